"""The watched folder: files that are copied into the library while the instrument plays are checked aside and made available.

The folder is looked at once a second (inotify sees no writes of other machines on a network share, and needs as many lines
as this). A file counts as complete when its size and time stood still for two seconds and its format's own end is there; until
then it is not opened for anything else. Checking happens in a child process of the lowest priority; the thread here only waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from pathlib import Path

from neurorack.errors import NeurorackError
from neurorack.library import background, changes, check, entries, files, lifted
from neurorack.process import tell

POLL_SECONDS = 1.0
STILL_SECONDS = 2.0
PATIENCE_SECONDS = 30.0       # a file that stands still without its end for so long is judged as it is
CHECK_SECONDS = 900.0         # a check that has not answered by then never will
_EOCD = b"PK\x05\x06"         # the record at the end of a zip archive


def complete(path: Path) -> bool:
    """Whether the end of the file's format is there: False for a zip or safetensors file that is still being copied.

    True as well for what is neither: that will be refused with a better reason than "incomplete".
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            head = file.read(8)
            if path.suffix == ".safetensors":
                header = int.from_bytes(head, "little")
                if header > 100_000_000:
                    return True
                ends = [entry["data_offsets"][1] for name, entry in json.loads(file.read(header)).items() if name != "__metadata__"]
                return size >= 8 + header + max(ends, default=0)
            if not head.startswith(b"PK"):
                return size > 0 and any(head)        # empty, or room that an upload took first
            file.seek(max(0, size - 65557))
            return _EOCD in file.read()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False


class _Seen:
    """A file: its stamp, since when it is so, and whether it is done with."""

    def __init__(self, stamp: dict):
        self.stamp, self.since, self.done = stamp, time.monotonic(), False


class Watcher:
    """Watches the musician's folder in a thread of its own.

    ``say(line)`` gets one line for each file; ``changed()`` is called after a model was admitted, has gone or was changed.
    Both are called in the watcher's thread.
    """

    def __init__(self, say=lambda line: tell(f"neurorack: {line}\n"), changed=lambda: None, *, poll_seconds: float = POLL_SECONDS,
                 still_seconds: float = STILL_SECONDS, patience_seconds: float = PATIENCE_SECONDS):
        self.say, self.changed = say, changed
        self.poll_seconds, self.still_seconds, self.patience_seconds = poll_seconds, still_seconds, patience_seconds
        self.seen: dict[Path, _Seen] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="library", daemon=True)

    def start(self) -> Watcher:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends within a fraction of a second; a check under way is given up and begun anew at the next start."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def _work(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)     # of this thread, and of what it starts
        with contextlib.suppress(NeurorackError), files.lock():
            pass                                                           # clears what a killed writer left
        changes.clean()
        while True:
            try:
                self._look()
            except (OSError, NeurorackError) as error:
                self._once(("look", str(error)), f"warning: the library cannot be watched: {error}")
            if self._stop.wait(self.poll_seconds):
                return

    def _once(self, what, line: str) -> None:
        """Say it, unless it was the last thing said of this kind."""
        if getattr(self, "_said", None) != what:
            self._said = what
            self.say(line)

    def _look(self) -> None:
        stamps = {}
        for path in entries.model_files(files.own()):
            with contextlib.suppress(FileNotFoundError):
                stamps[path] = files.stamp(path)
        gone = [path for path in self.seen if path not in stamps]
        for path in gone:
            del self.seen[path]
        for path, stamp in stamps.items():
            if path not in self.seen or self.seen[path].stamp != stamp:
                self.seen[path] = _Seen(stamp)
        if gone:
            self.changed()
        for path, seen in list(self.seen.items()):
            still = time.monotonic() - seen.since
            if seen.done or self._stop.is_set() or still < self.still_seconds:
                continue
            if complete(path) or still >= self.patience_seconds:
                seen.done = True
                self._take(path)

    def _take(self, path: Path) -> None:
        """Check a complete file, unless it was checked in this very state before."""
        known = {entry.file: entry for entry in entries.entries().values()}
        if path not in known:
            taken = next(name for hidden, name in entries.hidden() if hidden == path)
            return self.say(f"warning: {path.name} is not available: another file is called {taken!r} too; rename one of them")
        entry = known[path]
        record = entry.record()
        if record and (not check.plays(record) or lifted.ready(record, path, thorough=True)):
            return None
        self.say(f"{path.name} is {'to be lifted again' if record else 'new'}: it is being checked")
        line = self._check(entry.name)
        if line is None:
            return None
        self.say(f"{entry.name}: {line}")
        return self.changed()

    def _check(self, name: str) -> str | None:
        """The verdict's line, from a child process; None when the watcher is to stop."""
        child = background.start(name)
        deadline = time.monotonic() + CHECK_SECONDS
        while True:
            try:
                out, err = child.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if not self._stop.is_set() and time.monotonic() < deadline:
                    continue
            child.terminate()
            try:
                child.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
            return None if self._stop.is_set() else f"gave no verdict within {CHECK_SECONDS:.0f} s; try: neurorack models check {name!r}"
        if child.returncode != 0:
            return f"could not be checked ({background.reason(child, err)}); try: neurorack models check {name!r}"
        return out.strip()
