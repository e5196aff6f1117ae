"""The bank of scenes: one file for each of its places in the state folder, ``scenes/03.yaml``, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from neurorack.errors import PatchError
from neurorack.inputs import store
from neurorack.patches import schema, text


class Bank:
    """Read when it is first asked for, and again where a file changed. For any thread; a write waits for the disk."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or store.folder() / "scenes"
        self.lock = threading.RLock()
        self._known: dict[int, tuple[tuple, dict | None, str]] = {}     # number -> (stamp, document, what is wrong)

    def path(self, number: int) -> Path:
        return self.folder / f"{number:02d}.yaml"

    def _look(self, number: int) -> tuple[tuple, dict | None, str]:
        path = self.path(number)
        try:
            stat = os.stat(path)
        except OSError:
            self._known.pop(number, None)
            return (), None, ""
        stamp = stat.st_mtime_ns, stat.st_ino, stat.st_size
        if self._known.get(number, ((),))[0] != stamp:
            problems: list[str] = []
            try:
                document = text.read(path, problems)
            except PatchError as error:
                document, problems = None, [str(error)]
            self._known[number] = stamp, document, "; ".join(problems)
        return self._known[number]

    def numbers(self) -> list[int]:
        """Places that hold a scene, also one that cannot be read."""
        found = []
        with contextlib.suppress(OSError):
            for name in os.listdir(self.folder):
                stem, _, suffix = name.partition(".")
                if suffix == "yaml" and len(stem) == 2 and stem.isdigit() and 1 <= int(stem) <= schema.SCENES:
                    found.append(int(stem))
        return sorted(found)

    def all(self) -> dict[int, tuple[dict | None, str]]:
        """Number to document (None: it cannot be read) and what is wrong with it."""
        with self.lock:
            return {number: look[1:] for number in self.numbers() if (look := self._look(number))[0]}

    def get(self, number: int) -> dict:
        """A scene's document, not to be changed. Raises ``PatchError``."""
        with self.lock:
            stamp, document, wrong = self._look(number)
        if not stamp:
            raise PatchError(f"there is no scene {number}; {self._there()}")
        if document is None:
            raise PatchError(f"scene {number} cannot be read: {wrong}")
        return document

    def wrong(self, number: int) -> str:
        """What is wrong with a scene's file, "" for nothing."""
        with self.lock:
            return self._look(number)[2]

    def _there(self) -> str:
        numbers = self.numbers()
        return f"there are {', '.join(map(str, numbers))}" if numbers else "none has been saved yet (`neurorack ctl scene_save`)"

    def free(self) -> int:
        """The first free place. Raises ``PatchError`` where there is none."""
        taken = set(self.numbers())
        for number in range(1, schema.SCENES + 1):
            if number not in taken:
                return number
        raise PatchError(f"all {schema.SCENES} scenes are taken: delete one, or say which to replace")

    def text(self, number: int) -> str | None:
        """What stands in the file; None where there is none. Raises ``PatchError``."""
        try:
            return self.path(number).read_text(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PatchError(f"{self.path(number)} cannot be read ({error.strerror})") from None

    def write(self, number: int, content: str | None) -> None:
        """Replace a place's file; None empties it. On the disk when this returns. Raises ``NeurorackError`` and leaves the old one."""
        with self.lock:
            if content is not None:
                store.replace(self.path(number), content)
                return
            try:
                self.path(number).unlink(missing_ok=True)
                if self.folder.is_dir():
                    store.sync(self.folder)
            except OSError as error:
                raise PatchError(f"{self.path(number)} cannot be removed ({error.strerror})") from None

    def put(self, number: int, document: dict) -> str:
        """Write a scene; returns its text."""
        content = text.dumps(document)
        self.write(number, content)
        return content
