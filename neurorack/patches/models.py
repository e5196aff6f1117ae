"""Which models a scene means: their names and contents, and the files that play them here. For threads that may wait for the disk."""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path

from neurorack import library
from neurorack.errors import NeurorackError
from neurorack.library import check, entries, files
from neurorack.patches import schema


def of(document: dict) -> dict[str, dict]:
    """Slot to model, of a whole document."""
    return {slot: model for slot, model in document["models"].items() if slot in schema.SLOTS}


def described(path: Path, title: str) -> dict:
    """A scene's entry for the model that this file plays."""
    path = path.absolute()
    for name, entry in entries.entries().items():
        try:
            if check.playable(entry) == path:
                return {"name": name, "sha256": entry.sha256()}
        except NeurorackError:
            continue
    try:
        return {"name": title, "sha256": files.sha256_of(path), "file": str(path)}
    except NeurorackError:
        return {"name": title, "file": str(path)}


def found(model: dict, make: bool = True) -> Path | None:
    """The file that plays what a scene's entry means: by name, by content under another name, or where it lay. None: it is missing.

    ``make``: one outside the library may be lifted first, which takes its time.
    """
    known = entries.entries()
    name = model["name"] if model["name"] in known else entries.aliases().get(model["name"])
    choices = [name] if name in known else []
    if model.get("sha256") and not (choices and known[name].known.get("sha256") == model["sha256"]):
        choices = [other for other, entry in known.items() if entry.known.get("sha256") == model["sha256"]] + choices
    outside = Path(model["file"]) if model.get("file") else None
    if outside and outside.is_file():
        choices = [None, *choices] if not choices or model.get("sha256") is None else [*choices, None]
    for choice in choices:
        try:
            path = (library.find(str(outside)) if make else outside) if choice is None else check.playable(known[choice])
        except NeurorackError:
            continue
        if path:
            return path
    return None


def encoder_file(model: dict) -> Path | None:
    """Of the entry's encoder; None where it has none, or that is missing."""
    try:
        return library.find(model["encoder"]) if model.get("encoder") else None
    except NeurorackError:
        return None


class Names:
    """Descriptions of files that play, looked up aside: ``told`` never waits, and knows more the next time."""

    def __init__(self):
        self._known: dict[tuple, dict] = {}
        self._asked: queue.SimpleQueue = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def told(self, path: Path, title: str) -> dict:
        key = str(path), title
        if key not in self._known:
            self._known[key] = {"name": title, "file": str(path.absolute())}
            self._asked.put(key)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="models of scenes", daemon=True)
                self._thread.start()
        return self._known[key]

    def _work(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while True:
            self._take(self._asked.get())

    def look(self, path: Path, title: str) -> None:
        """Wait for it."""
        self._take((str(path), title))

    def learn(self, path: Path, title: str, model: dict) -> None:
        """As a scene says it, what is unknown of it too."""
        told = {key: value for key, value in model.items() if key != "encoder"}
        self._known[str(path), title] = {**told, **self._known.get((str(path), title), {})}

    def _take(self, key: tuple[str, str]) -> None:
        more = {name: value for name, value in self._known.get(key, {}).items() if name not in ("name", "sha256", "file")}
        self._known[key] = {**described(Path(key[0]), key[1]), **more}
