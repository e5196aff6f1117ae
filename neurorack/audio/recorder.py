"""The recorder: what the jack plays, without loss, into WAV files. It works in the supervisor.

The callback copies its output into the capture ring (5 s deep) while ``run.recording`` is set. Two threads empty it: one
only pulls and writes, the other brings the head up to date each second, waits for the disk and looks how much of it is
left. A slow or full disk can therefore never touch the sound, and a slow one does not touch the recording either. A file
survives a kill and a power cut but for its last second or two; a new one begins when the size limit is reached or the audio
process was started anew; and a full disk ends the recording, not the instrument. A recording that begins amid the sound begins a
moment before (``BEFORE_FRAMES``, from the tape that pictures are drawn of), so the hit that asked for it is in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from neurorack.audio.wave import FRAME_BYTES, Wave
from neurorack.errors import NeurorackError
from neurorack.shm import table
from neurorack.shm.rack import Rack, TapeView

ROTATE_BYTES = 1 << 30
KEEP_FREE_BYTES = 32 << 20
POLL_SECONDS, RENEW_SECONDS = 0.05, 1.0
LAST_BLOCK_SECONDS = 0.1       # a callback that had begun when the recording ended is through by then
END_SECONDS = 10.0             # a disk that takes longer than that for the end is given up
AT_ONCE_FRAMES = 8192
BEFORE_FRAMES = table.SCOPE_FRAMES // 2        # 85 ms at 48 kHz
FIRST_BLOCK_SECONDS = 0.03     # how long the first block is waited for to find what was before it


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
    check_space(path.parent)


def check_space(folder: Path) -> None:
    """Raises ``NeurorackError`` where there is too little."""
    free = shutil.disk_usage(folder).free
    if free < KEEP_FREE_BYTES:
        raise NeurorackError(f"{folder} has {free >> 20} MB left; a recording needs {KEEP_FREE_BYTES >> 20} MB: free some space")


class Recorder:
    """One recording, from its construction to ``finish``. Raises ``NeurorackError`` if its file cannot be made.

    Args:
        path: of its first file; where that exists, and for those that follow, see ``numbered``.
        say: takes a line for the person.
        about: texts for the files' heads, see ``Wave``.
    """

    def __init__(self, rack: Rack, path: Path, say: Callable[[str], None], about: dict[str, str] | None = None,
                 rotate_bytes: int = ROTATE_BYTES, keep_free_bytes: int = KEEP_FREE_BYTES):
        self.rack, self.path, self.say, self.about = rack, Path(path), say, about or {}
        self.rotate_bytes, self.keep_free_bytes = rotate_bytes, keep_free_bytes
        self.number, self.frames, self.dropped_frames = 0, 0, 0
        self.error = ""                        # why it ended by itself
        self._seams: deque[int] = deque()      # ring frames at which a new file begins
        self._ending, self._written = threading.Event(), threading.Event()
        self._full: OSError | None = None      # told by the thread that looks after the disk
        self._to_close: deque[Wave] = deque()
        try:
            self.wave = self._next_wave()
        except OSError as error:
            raise NeurorackError(f"cannot record into {self.path} ({error.strerror or error}): free some space, or record elsewhere") from None
        while len(rack.capture.pull(AT_ONCE_FRAMES)):
            pass                               # what a recorder before this one left
        self._dropped_before = rack.audio.capture_dropped_frames
        rack.run.recording = 1
        if (before := self._played_before()) is not None:
            with contextlib.suppress(OSError):              # the thread that writes will meet it too, and say it
                self.wave.write(before)
                self.frames = len(before)
        self._threads = [threading.Thread(target=work, name=f"recorder {what}", daemon=True) for what, work in (("writes", self._work), ("keeps", self._keep))]
        for thread in self._threads:
            thread.start()

    @property
    def target(self) -> Path:
        """The file that is written now."""
        return self.wave.path

    @property
    def seconds(self) -> float:
        """Written so far, all files together."""
        return self.frames / self.rack.header.sample_rate_hz

    def audio_is_gone(self) -> None:
        """The audio process died: what its successor plays goes into a file of its own. From the supervisor's loop, before it starts."""
        self._seams.append(self.rack.capture_ring.head_frames)

    def end(self) -> None:
        """No further sound; ``finish`` waits for what there is."""
        self.rack.run.recording = 0
        self._ending.set()

    def finish(self, seconds: float = END_SECONDS) -> None:
        """End it: write what is left, close the file."""
        self.end()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _played_before(self) -> np.ndarray | None:
        """What the jack played just before the ring's first frame, float32 [n, 2]; None where that cannot be said for sure."""
        ring, tape = self.rack.capture_ring, TapeView(self.rack.scope, table.SCOPE_FRAMES)
        first, deadline = ring.tail_frames, time.monotonic() + FIRST_BLOCK_SECONDS
        if self.rack.audio.blocks == 0:
            return None
        while ring.head_frames == first and time.monotonic() < deadline:
            time.sleep(0.0005)
        there = ring.head_frames - first
        if not 0 < there < table.CAPTURE_CAPACITY_FRAMES:
            return None
        # The callback writes the tape before the ring, and both are looked at in the other order: the distance seen is right or a block too long.
        begins = first + min(tape.section.head_frames - head for head in (ring.head_frames for _ in range(8)))
        start = max(0, begins - BEFORE_FRAMES)
        frames = tape.read(start)
        if frames is None:
            return None
        before, after = frames[:begins - start], frames[begins - start:]
        places = np.arange(first, first + min(there, len(after))) % table.CAPTURE_CAPACITY_FRAMES
        same = len(places) > 0 and np.array_equal(ring.frames.reshape(-1, 2)[places], after[:len(places)])
        return before if same else None

    # -- one thread pulls and writes

    def _next_wave(self) -> Wave:
        while True:
            self.number += 1
            with contextlib.suppress(FileExistsError):      # never over an earlier take
                return Wave(numbered(self.path, self.number), self.rack.header.sample_rate_hz, self.about)

    def _turn_over(self) -> None:
        old, self.wave = self.wave, self._next_wave()
        self._to_close.append(old)

    def _drain(self) -> int:
        """Frames written."""
        want, tail = AT_ONCE_FRAMES, self.rack.capture_ring.tail_frames
        if self._seams and self._seams[0] <= tail < self.rack.capture_ring.head_frames:
            self._seams.popleft()
            if self.wave.frames:
                self._turn_over()
        if self._seams:
            want = min(want, self._seams[0] - tail)
        frames = self.rack.capture.pull(want)
        if self.wave.frames and FRAME_BYTES * (self.wave.frames + len(frames)) > self.rotate_bytes:
            self._turn_over()
        self.wave.write(frames)
        self.frames += len(frames)
        return len(frames)

    def _work(self) -> None:
        audio = self.rack.audio
        try:
            while not self._ending.wait(POLL_SECONDS):
                if self._full:
                    raise self._full
                while self._drain() and not self._ending.is_set():
                    pass
            seen, deadline = audio.callback_count, time.monotonic() + LAST_BLOCK_SECONDS
            while audio.callback_count - seen < 2 and time.monotonic() < deadline:
                time.sleep(0.001)
            while self._drain():
                pass
        except OSError as error:
            self.rack.run.recording = 0
            reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
            self.error = f"{reason}; {self.seconds:.1f} s are kept in {self.target.name}; free some space (delete old takes) and record again"
            self.say(f"warning: RecordingStopped: {self.error}")
        finally:
            self._written.set()

    # -- the other looks after the disk

    def _keep(self) -> None:
        while not self._written.wait(RENEW_SECONDS):
            self._look_after()
        self._look_after()
        self._close(self.wave)

    def _look_after(self) -> None:
        while self._to_close:
            self._close(self._to_close.popleft())
        dropped = self.rack.audio.capture_dropped_frames - self._dropped_before
        if dropped and not self.dropped_frames:
            self.say(f"warning: RecordingGap: the disk was too slow, frames are missing in {self.target.name}; record onto a faster one")
        self.dropped_frames = dropped
        try:
            self.wave.renew()
            if shutil.disk_usage(self.path.parent).free < self.keep_free_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._full = error

    @staticmethod
    def _close(wave: Wave) -> None:
        with contextlib.suppress(OSError):     # the disk is full: the head of the last second stands
            wave.close()
