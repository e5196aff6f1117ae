"""Where models are found: by file, or by name in the folders of the library.

A foreign file (``.ts``) plays only after it was admitted on this board and lifted; what plays then is the lifted file.
``docs/models.md`` tells the layout on disk.
"""

from __future__ import annotations

import os
from pathlib import Path

from neurorack.errors import ModelError

FACTORY = Path(__file__).resolve().parent.parent.parent / "models"
DEFAULT_MODEL = "impacts"
SUFFIX = ".safetensors"


def folders() -> list[Path]:
    """Folders searched, first to last: the musician's own models, then the factory bank."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return [data / "neurorack" / "models", FACTORY]


def available() -> dict[str, Path]:
    """Model name -> the file that the engine plays, of every model that plays now (checked, where it is foreign).

    A musician's model hides a factory model of the same name.
    """
    from neurorack.library import check, entries

    return {name: path for name, entry in entries.entries().items() if (path := check.playable(entry))}


def find(name: str | None, beside: Path | None = None) -> Path:
    """The file that plays for a model named by its name or its path (also relative to ``beside``).

    A foreign file that is not yet known here is checked and lifted first, with a line about it on standard error.
    Raises ``ModelError``.
    """
    from neurorack.library import check, entries

    wanted = name or DEFAULT_MODEL
    known, aliases = entries.entries(), entries.aliases()
    for called in (wanted, aliases.get(wanted)):
        if called in known:
            return check.made_playable(known[called])
    for path in [Path(wanted), *([beside / wanted] if beside else [])]:
        if path.is_file():
            return check.made_playable_file(path)
        if path.is_dir():
            raise ModelError(f"{path} is a folder: give a model file in it")
    shown = ", ".join(sorted(known)) or "none"
    raise ModelError(f"there is no model {wanted!r}: give a {SUFFIX} or .ts file or one of these names: {shown}")
