"""Where models are found: by file, or by name in the folders of the library."""

from __future__ import annotations

import os
from pathlib import Path

from neurorack.errors import ModelError

FACTORY = Path(__file__).resolve().parent.parent / "models"
DEFAULT_MODEL = "impacts"
SUFFIX = ".safetensors"


def folders() -> list[Path]:
    """Folders searched, first to last: the musician's own models, then the factory bank."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return [data / "neurorack" / "models", FACTORY]


def available() -> dict[str, Path]:
    """Model name -> file; a musician's model hides a factory model of the same name."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted([*folder.glob(f"*{SUFFIX}"), *folder.glob(f"*/*{SUFFIX}")]):
            found.setdefault(path.stem, path)
    return found


def find(name: str | None, beside: Path | None = None) -> Path:
    """The file of a model named by its name or its path (also relative to ``beside``); raises ``ModelError``."""
    wanted = name or DEFAULT_MODEL
    names = available()
    if wanted in names:
        return names[wanted]
    for path in [Path(wanted), *([beside / wanted] if beside else [])]:
        if path.is_file():
            return path
    known = ", ".join(sorted(names)) or "none"
    raise ModelError(f"there is no model {wanted!r}: give a {SUFFIX} file or one of these names: {known}")
