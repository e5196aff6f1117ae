"""The recorder: what the jack plays, without loss, into WAV files.

The callback copies its output into the capture ring (5 s deep); this thread empties it into 32-bit float WAV. A slow
or full disk can therefore never touch the sound. The header is brought up to date every second, so a file survives
even a kill; a new file begins when the size limit is reached; and a full disk ends the recording, not the instrument.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

from neurorack.errors import NeurorackError

ROTATE_BYTES = 1 << 30
KEEP_FREE_BYTES = 32 << 20
POLL_SECONDS = 0.05
_SFC_UPDATE_HEADER_NOW = 0x1060    # libsndfile's command


def numbered(path: Path, number: int) -> Path:
    """take.wav, take-002.wav, take-003.wav, …"""
    return path if number == 1 else path.with_name(f"{path.stem}-{number:03d}{path.suffix}")


def check_target(path: Path) -> None:
    """Raises ``NeurorackError`` for a place that cannot be recorded to, before anything starts."""
    path = Path(path)
    if path.suffix.lower() != ".wav":
        raise NeurorackError(f"{path}: a recording must end in .wav")
    if not path.parent.is_dir():
        raise NeurorackError(f"there is no folder {path.parent} to record into: make it first")
    if not os.access(path.parent, os.W_OK):
        raise NeurorackError(f"the folder {path.parent} cannot be written to: record into another")
    free = shutil.disk_usage(path.parent).free
    if free < KEEP_FREE_BYTES:
        raise NeurorackError(f"{path.parent} has {free >> 20} MB left; a recording needs {KEEP_FREE_BYTES >> 20} MB: free some space")


class Recorder:
    def __init__(self, child, path: Path, rotate_bytes: int = ROTATE_BYTES, keep_free_bytes: int = KEEP_FREE_BYTES):
        import soundfile

        self.soundfile, self.child, self.rack, self.path = soundfile, child, child.rack, Path(path)
        self.rotate_bytes, self.keep_free_bytes = rotate_bytes, keep_free_bytes
        self.number, self.file, self.file_bytes = 0, None, 0
        self.frames = 0
        self._stop = threading.Event()
        self._next_file()
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    @classmethod
    def start_if_wanted(cls, child) -> Recorder | None:
        """A recorder for the run's ``--record``; never overwrites an earlier take."""
        path = child.config.get("record")
        if not path:
            return None
        options = {k: child.config[k] for k in ("rotate_bytes", "keep_free_bytes") if child.config.get(k)}
        return cls(child, Path(path), **options)

    def _next_file(self) -> None:
        self._close()
        self.number += 1
        while (target := numbered(self.path, self.number)).exists():
            self.number += 1    # never over an earlier take
        self.file = self.soundfile.SoundFile(target, "w", self.rack.header.sample_rate_hz, 2, subtype="FLOAT", format="WAV")
        self.file_bytes, self.target = 0, target

    def _close(self) -> None:
        if self.file:
            self.file.close()
            self.file = None

    def _write(self, frames) -> None:
        if self.file_bytes + 8 * len(frames) > self.rotate_bytes:
            self._next_file()
        before = self.file.tell()
        self.file.write(frames)
        if self.file.tell() - before != len(frames):
            raise OSError(28, "No space left on device")
        self.file_bytes += 8 * len(frames)
        self.frames += len(frames)

    def _drain(self) -> int:
        frames = self.rack.capture.pull(8192)
        if len(frames):
            self._write(frames)
        return len(frames)

    def _work(self) -> None:
        update_at = time.monotonic() + 1
        try:
            while not self._stop.wait(POLL_SECONDS):
                while self._drain() == 8192:
                    pass
                if time.monotonic() >= update_at:
                    update_at = time.monotonic() + 1
                    self.soundfile._snd.sf_command(self.file._file, _SFC_UPDATE_HEADER_NOW, self.soundfile._ffi.NULL, 0)
                    if shutil.disk_usage(self.path.parent).free < self.keep_free_bytes:
                        raise OSError(28, "No space left on device")
            while self._drain():
                pass
        except (OSError, RuntimeError, AssertionError) as error:
            seconds = self.frames / self.rack.header.sample_rate_hz
            self.child.say(f"warning: RecordingStopped: {getattr(error, 'strerror', None) or error}; {seconds:.1f} s are kept in {self.target}; free some space and record again")
        finally:
            try:
                self._close()
            except (OSError, RuntimeError):
                pass    # the disk is full: the header of the last second stands

    def finish(self) -> None:
        """Write what is left and close the file."""
        self._stop.set()
        self._thread.join(2)
