"""The models there are: names, their files, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from neurorack import library
from neurorack.errors import ModelError
from neurorack.library import cards, files, lifted, names

OWN, FACTORY = "own", "factory"


@dataclass
class Entry:
    """A model of the library. ``options``: attributes set and the sample rate told; ``known``: the stored sha256, {} if the file changed."""

    name: str
    where: str
    file: Path
    options: dict = field(default_factory=dict)
    known: dict = field(default_factory=dict)

    @property
    def native(self) -> bool:
        """A file of the engine itself: it plays as it is."""
        return self.file.suffix == ".safetensors"

    def sha256(self) -> str:
        """Read from the file where it changed since it was last asked for. Raises ``ModelError``."""
        if "sha256" not in self.known:
            self.known = {"sha256": files.sha256_of(self.file)}
        return self.known["sha256"]

    def record(self, *, read_file: bool = False) -> dict:
        """The record of the last check; empty when this content was not checked here. Without ``read_file`` a changed
        file counts as not checked."""
        if "sha256" not in self.known and not read_file:
            return {}
        return lifted.recall(self.sha256(), self.options)


def _record_path(name: str) -> Path:
    return files.own() / files.NAMES / f"{name}.json"


def entry_of(name: str, where: str, file: Path) -> Entry:
    noted = files.read_json(_record_path(name))
    try:
        same = noted.get("file") == _place(file) and {k: noted.get(k) for k in ("bytes", "mtime_ns")} == files.stamp(file)
    except OSError:
        same = False
    options = noted.get("options") if noted.get("file") == _place(file) and isinstance(noted.get("options"), dict) else {}
    return Entry(name, where, file, options, {"sha256": noted["sha256"]} if same and isinstance(noted.get("sha256"), str) else {})


def _place(file: Path) -> str:
    """Where a file is, so that the library can be moved as a whole."""
    for folder in library.folders():
        if file.is_relative_to(folder):
            return str(file.relative_to(folder))
    return str(file)


def note(entry: Entry, stamp: dict | None = None) -> None:
    """Remember what is known of a name: its file's sha256 and its options. The caller holds the lock.

    ``stamp``: of a file that is about to take its place.
    """
    files.made(files.NAMES)
    files.write_json(_record_path(entry.name), {"file": _place(entry.file), **(stamp or files.stamp(entry.file)), "sha256": entry.sha256(),
                                                "options": entry.options})


def forget(name: str) -> None:
    _record_path(name).unlink(missing_ok=True)


def model_files(folder: Path) -> list[Path]:
    """Model files of a folder and of the folders in it, hidden ones left out; the engine's own before foreign ones."""
    found = [path for suffix in names.SUFFIXES for pattern in (f"*{suffix}", f"*/*{suffix}") for path in sorted(folder.glob(pattern))]
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)
            and not path.name.endswith(lifted.GESTURES) and path.is_file()]


def belongings(file: Path) -> list[Path]:
    """Files that go where a model goes: its card beside it, and its recorded gestures."""
    return [path for path in (cards.beside(file), file.with_name(f"{file.stem}{lifted.GESTURES}")) if path.exists()]


def entries() -> dict[str, Entry]:
    """Name to model, the musician's own before the factory bank's; a name's first file hides later ones."""
    found: dict[str, Entry] = {}
    for folder in library.folders():
        where = FACTORY if folder == library.FACTORY else OWN
        for path in model_files(folder):
            name = names.tidy(path.stem)
            if name not in found:
                found[name] = entry_of(name, where, path)
    return found


def hidden() -> list[tuple[Path, str]]:
    """Files that no name leads to, each with the name that another file has taken."""
    shown = {entry.file for entry in entries().values()}
    return [(path, names.tidy(path.stem)) for folder in library.folders() for path in model_files(folder) if path not in shown]


def aliases() -> dict[str, str]:
    """Old name to present name."""
    return {old: new for old, new in files.read_json(files.own() / files.ALIASES).items() if isinstance(new, str)}


def entry(name: str) -> Entry:
    """The model of this name, also by a name it had before. Raises ``ModelError``."""
    known = entries()
    for wanted in (name, aliases().get(name)):
        if wanted in known:
            return known[wanted]
    raise ModelError(f"there is no model {name!r} in the library; it has {', '.join(sorted(known)) or 'none'}")
