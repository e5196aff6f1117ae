"""The journal of edits: what ``history`` does, line by line, on the disk within a second; a power cut at any byte loses no more.

A line is the CRC-32 of its JSON in eight hex digits, a space, the JSON. Reading stops at the first line that is not whole: what was
being written when the power went. The file only grows, until it is written anew, whole or not at all, as the shortest
journal that leads to the same history. One instrument at a time keeps it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

from neurorack.errors import NeurorackError
from neurorack.inputs import store
from neurorack.patches.history import History

PAUSE_SECONDS = 0.75            # between two writes: at most so old, and the time of one write, is what a power cut takes
MOST_BYTES = 1 << 18            # beyond that, and twice what it was when it was last written anew, that is done
MOST_READ_BYTES = 1 << 24
NAME = "patch.journal"


def line(operation: dict) -> bytes:
    text = json.dumps(operation, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return b"%08x %s\n" % (zlib.crc32(text), text)


def replay(data: bytes, history: History) -> int:
    """Repeat what a journal says; returns the bytes of whole lines that fit, all of them for a good one."""
    good = 0
    while (end := data.find(b"\n", good)) >= 0:
        head, _, text = data[good:end].partition(b" ")
        try:
            if len(head) != 8 or int(head, 16) != zlib.crc32(text):
                break
            operation = json.loads(text)
            history.apply(operation)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError):
            break
        good = end + 1
    return good


class Journal:
    """Keeps a history on the disk. ``say`` hears once of a disk that takes no more."""

    def __init__(self, path: Path, history: History, say: Callable[[str], None] = lambda line: None):
        self.path, self.history, self.say = path, history, say
        self.kept = False            # this process keeps it
        self.waiting: list[bytes] = []
        self.anew = True             # the next write replaces the file
        self.failed = False
        self._anew_bytes = 0
        self._come, self._end = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = None

    def open(self) -> str:
        """Read it, and keep it from now on. Returns a line about what could not be read or kept, "" for nothing."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path.with_suffix(".lock"), "w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "another instrument keeps the patch; edits of this one are forgotten at its end"
        except OSError as error:
            return f"{self.path.parent} cannot be written ({error.strerror}); the patch will be forgotten at the end"
        self.kept = True
        self.history.write = self.write
        store.tidy(self.path.parent)
        return self._read()

    def _read(self) -> str:
        try:
            with open(self.path, "rb") as file:
                data = file.read(MOST_READ_BYTES)
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{self.path} cannot be read ({error.strerror}); the patch starts anew"
        good = replay(data, self.history)
        self.anew = good < len(data)
        if b"\n" not in data[good:]:
            return ""                # whole, or cut in its last line
        aside = self.path.with_suffix(".damaged")
        with contextlib.suppress(NeurorackError, OSError):
            aside.write_bytes(data)
        return f"{self.path} is damaged after {good} bytes; the patch is as it was there, the rest lies in {aside.name}"

    def write(self, operation: dict) -> None:
        """Note it; it is on the disk within a second. Never waits for the disk. With the history's lock held."""
        self.waiting.append(line(operation))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
            self._thread.start()
        self._come.set()

    def _work(self) -> None:
        while not self._end.is_set():
            self._come.wait()
            self._come.clear()
            self.flush()
            self._end.wait(PAUSE_SECONDS)

    def flush(self) -> None:
        """What waits goes to the disk. A disk that takes it not is tried again with the next edit."""
        with self.history.lock:
            lines, self.waiting = b"".join(self.waiting), []
            operations = None
            if lines and (self.anew or not self.path.is_file() or self.path.stat().st_size + len(lines) > max(MOST_BYTES, 2 * self._anew_bytes)):
                operations = self.history.snapshot()
        if not lines:
            return
        whole = b"".join(map(line, operations())) if operations else None
        try:
            if whole is not None:
                self._anew_bytes = len(whole)
                store.replace(self.path, whole)
            else:
                with open(self.path, "ab") as file:
                    file.write(lines)
                    file.flush()
                    os.fsync(file.fileno())
            self.anew = self.failed = False
        except (OSError, NeurorackError) as error:
            self.anew = True             # half a line may stand at its end
            if not self.failed:
                self.say(f"warning: Patch: edits cannot be kept ({error}); free some space, they are tried again")
            self.failed = True

    def close(self) -> None:
        """All is on the disk when this returns."""
        self._end.set()
        self._come.set()
        if self._thread:
            self._thread.join(5)
        if self.kept:
            self.flush()
            self.kept = False
        if self._lock:
            self._lock.close()
