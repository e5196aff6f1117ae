"""Takes: recordings that are started and stopped while it plays, in a folder of their own.

``neurorack play --record FILE`` begins one from the first frame on, into a file of the musician's choice; everything else
(the requests, the key r, a gate) begins a take with a name of its own in ``folder()``. All of this runs in the asker's thread; the
supervisor's loop only tells when the audio process died. docs/recording.md is the page about it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from pathlib import Path

from neurorack.audio.recorder import END_SECONDS, KEEP_FREE_BYTES, Recorder, check_space
from neurorack.audio.wave import FRAME_BYTES, Info, read_info
from neurorack.errors import NeurorackError

NAME = re.compile(r"take-(\d{4}-\d{2}-\d{2})-(\d{3,})(-\d{3,})?\.wav")    # the last: a take's further files


def folder() -> Path:
    """``takes`` beside the musician's models: on a module the service's own folder, as its environment names it."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "neurorack" / "takes"


def next_path(where: Path) -> Path:
    """The day's next: take-2026-11-20-001.wav, and so on; never the number of one that is there."""
    day = time.strftime("%Y-%m-%d")
    numbers = [int(found[2]) for name in os.listdir(where) if (found := NAME.fullmatch(name)) and found[1] == day]
    return where / f"take-{day}-{max(numbers, default=0) + 1:03d}.wav"


class Takes:
    """Of one run. ``requests`` are those of the control socket."""

    def __init__(self, run):
        self.run = run
        self.recorder: Recorder | None = None
        self.limits: dict[str, int] = {}       # other rotate_bytes and keep_free_bytes than the recorder's own
        self.requests = {"record": self._record, "takes": self._takes, "take_delete": self._delete}
        self._lock = threading.Lock()
        self._known: dict[tuple, Info | None] = {}

    # -- recording

    @property
    def recording(self) -> bool:
        """A recording goes on, and has not ended by itself."""
        return self.recorder is not None and not self.recorder.error

    @property
    def now(self) -> dict | None:
        """Name and length of the recording that goes on."""
        recorder = self.recorder
        return {"take": recorder.target.name, "seconds": round(recorder.seconds, 2)} if recorder and not recorder.error else None

    def begin(self, path: Path | None = None) -> str:
        """Record from now on, into the next take or into this file; its name. One that goes on, goes on. Raises ``NeurorackError``."""
        with self._lock:
            if self.recording:
                return self.recorder.target.name
            if path is None:
                path = self._next_path()
            rack = self.run.rack
            self.recorder = Recorder(rack, path, self.run.say, self._about(), **self.limits)
            self.run.say(f"recording into {self.recorder.target}")
            return self.recorder.target.name

    def end(self, seconds: float = END_SECONDS) -> dict | None:
        """The end of the recording: its name and length, or None where there was none."""
        with self._lock:
            recorder, self.recorder = self.recorder, None
            if recorder is None:
                return None
            recorder.finish(seconds)
            told = {"take": recorder.target.name, "seconds": round(recorder.seconds, 2)}
            if not recorder.error:
                self.run.say(f"recorded {recorder.seconds:.1f} s: {recorder.target}")
            return told

    def audio_is_gone(self) -> None:
        """From the supervisor's loop, before the audio process is started again."""
        recorder = self.recorder
        if recorder:
            recorder.audio_is_gone()

    def _next_path(self) -> Path:
        where = folder()
        try:
            where.mkdir(parents=True, exist_ok=True)
            path = next_path(where)
        except OSError as error:
            raise NeurorackError(f"the folder for takes {where} cannot be made ({error.strerror}); set XDG_DATA_HOME to a folder that can be written") from None
        check_space(where)
        return path

    def _about(self) -> dict[str, str]:
        """For the file's head: when, and what plays."""
        names, scenes = [" + ".join(slot.title for slot in self.run.slots.slots if slot.holds)], self.run.scenes
        if current := scenes.history.notes.get("current"):
            with contextlib.suppress(NeurorackError):      # deleted, or not to be read: then without
                names.append(scenes.bank.get(current).get("name", f"Scene {current}"))
        return {"INAM": ", ".join(names), "ISFT": "Neurorack", "ICRD": time.strftime("%Y-%m-%d %H:%M:%S")}

    # -- requests

    def _record(self, request: dict) -> dict:
        on = request.get("on")
        if on is not None and not isinstance(on, bool):
            raise NeurorackError(f"on is {on!r}; it must be true or false, or left out to change over")
        if on is None:
            on = not self.recording
        if on:
            return {"recording": True, "take": self.begin()}
        return {"recording": False, "take": None, "seconds": 0.0, **(self.end() or {})}

    def _takes(self, request: dict) -> dict:
        where, now, recorder = folder(), self.now, self.recorder
        place = next((path for path in (where, *where.parents) if path.is_dir()), where)
        free, rate_hz = shutil.disk_usage(place).free, self.run.rack.header.sample_rate_hz
        room = max(0, free - self.limits.get("keep_free_bytes", KEEP_FREE_BYTES))
        takes = self.list()
        for take in takes:
            if now and take["name"] == now["take"]:
                take["seconds"] = now["seconds"]      # its head is up to a second old
        return {"recording": now is not None, "take": now and now["take"], "seconds": now["seconds"] if now else 0.0,
                "stopped": recorder.error if recorder and recorder.error else None, "free_bytes": free,
                "free_seconds": room // (FRAME_BYTES * rate_hz), "takes": takes, "folder": str(where)}

    def list(self) -> list[dict]:
        """What lies in the folder, the newest first."""
        found, known = [], {}
        try:
            entries = [entry for entry in os.scandir(folder()) if entry.name.endswith(".wav") and entry.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise NeurorackError(f"the folder for takes {folder()} cannot be read: {error.strerror}") from None
        for entry in entries:
            try:
                stat = entry.stat(follow_symlinks=False)
                key = (entry.name, stat.st_ino, stat.st_mtime_ns, stat.st_size)
                info = known[key] = self._known[key] if key in self._known else read_info(Path(entry.path))
            except OSError:
                continue                     # it went meanwhile
            found.append((stat.st_mtime_ns, entry.name, {
                "name": entry.name, "seconds": round(info.seconds, 2) if info else 0.0, "bytes": stat.st_size,
                "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(stat.st_mtime)), "about": info.about.get("INAM", "") if info else ""}))
        self._known = known
        return [take for _, _, take in sorted(found, key=lambda one: one[:2], reverse=True)]

    def _delete(self, request: dict) -> dict:
        from neurorack.wishes import text

        name = text(request, "take")
        if name not in {take["name"] for take in self.list()}:      # names alone: no path ever comes from outside
            raise NeurorackError(f"there is no take {name!r}; `neurorack ctl takes` lists them")
        with self._lock:
            if self.recording and folder() / name == self.recorder.target:
                raise NeurorackError(f"{name} is being recorded: stop the recording first")
            try:
                (folder() / name).unlink(missing_ok=True)
            except OSError as error:
                raise NeurorackError(f"{name} cannot be deleted: {error.strerror}") from None
        return {"text": f"{name} is deleted"}
