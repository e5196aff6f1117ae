"""What is measured and set once for a board, apart from patches: one readable YAML file each in the state folder.

The folder is ``$STATE_DIRECTORY`` (as systemd gives it), else ``$XDG_STATE_HOME/neurorack``, else ``~/.local/state/neurorack``.
Files are replaced whole: pulling the plug leaves the old one or the new one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path

import yaml

from neurorack.errors import NeurorackError

FORMAT = 1
PART, LEFT_SECONDS = ".part", 60.0      # a file that is being written; left by a killed writer, if it is so old
MOST_BYTES = 1 << 16


def folder() -> Path:
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "neurorack"


def path(kind: str, board: str) -> Path:
    """``kind``: "calibration" or "jacks"; ``board``: its name, with "-simulated" where its chips are."""
    return folder() / f"{kind}-{board}.yaml"


def read(kind: str, board: str) -> tuple[dict[str, dict], str]:
    """The entries of a board's jacks, and a line about a file that cannot be used, which counts as none."""
    where = path(kind, board)
    try:
        with open(where, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"{where} cannot be read ({error.strerror}); it is ignored"
    try:
        if len(data) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        content = yaml.safe_load(data.decode())
        if not isinstance(content, dict) or content.get("kind") != kind or content.get("format") != FORMAT:
            raise ValueError(f"no {kind} file of format {FORMAT}")
        if content.get("board") != board:
            raise ValueError(f"it belongs to board {content.get('board')!r}, not {board!r}")
        jacks = content.get("jacks")
        if not isinstance(jacks, dict) or not all(isinstance(name, str) and isinstance(entry, dict) for name, entry in jacks.items()):
            raise ValueError("its jacks are no mapping from a name to settings")
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        return {}, f"{where} is ignored: {' '.join(str(error).split())}"
    return jacks, ""


def write(kind: str, board: str, jacks: dict[str, dict], about: str) -> Path:
    """Replace a board's file; ``about`` goes into its head. Raises ``NeurorackError`` and leaves the old one."""
    lines = yaml.safe_dump({"kind": kind, "format": FORMAT, "board": board, "jacks": jacks}, sort_keys=False, default_flow_style=None, width=120)
    return replace(path(kind, board), f"# Neurorack: {about}\n{lines}")


def replace(where: Path, text: str | bytes) -> Path:
    """Write a file of the state folder whole. Raises ``NeurorackError`` and leaves the old one."""
    temporary = None
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=where.parent, prefix=f".{where.name}.", suffix=PART)
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, where)
        temporary = None
        sync(where.parent)
    except OSError as error:
        raise NeurorackError(f"cannot write {where} ({error.strerror or error}); the old values stay") from None
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
    return where


def tidy(where: Path) -> None:
    """Remove what writers that were killed have left half done."""
    for left in where.glob(f".*{PART}"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_SECONDS:      # nobody takes so long over a file
                left.unlink()


def sync(folder: Path) -> None:
    """Names that changed in this folder are on the disk afterwards. Raises ``OSError``."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def stamp(board: str) -> tuple:
    """Changes whenever one of a board's files does."""
    found = []
    for kind in ("calibration", "jacks"):
        try:
            stat = os.stat(path(kind, board))
            found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
        except OSError:
            found.append(None)
    return tuple(found)
