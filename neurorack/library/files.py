"""The library's folder on disk: whole files or none, one writer at a time, never a full disk by surprise.

Everything beside the models themselves is hidden: ``.names`` (what is known of each name), ``.lifted`` (verdicts and lifted
files by content), ``.trash`` (the last removed models), ``.lighter`` (lighter ones that wait), ``.aliases.json``, and ``.lock`` and ``.checking``, which whoever writes or checks holds.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path

from neurorack import library
from neurorack.errors import ModelError, NeurorackError

PART = ".neurorack-part"                # ours alone: uploads in progress end otherwise
KEEP_FREE_BYTES = 32 << 20              # what an add leaves for recordings and the system
NAMES, LIFTED, TRASH, ALIASES, LOCK, CHECKING = ".names", ".lifted", ".trash", ".aliases.json", ".lock", ".checking"
LIGHTER = ".lighter"                    # lighter models that are not kept yet (lighter.py)
_CHUNK = 1 << 20


def own() -> Path:
    """The musician's own folder, whether it exists or not."""
    return library.folders()[0]


def made(name: str = "") -> Path:
    """The own folder, or a folder in it, made where it is missing. Raises ``NeurorackError``."""
    path = own() / name if name else own()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NeurorackError(f"the library {path} cannot be made ({error.strerror}); set XDG_DATA_HOME to a folder that can be written") from None
    return path


@contextlib.contextmanager
def alone(name: str):
    """Whoever holds this file of the library is alone, also between processes; others wait. Raises ``NeurorackError``."""
    folder = made()
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(folder / name, "w"))
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise NeurorackError(f"the library {folder} cannot be written to ({error.strerror})") from None
        yield


@contextlib.contextmanager
def lock():
    """One writer at a time. What a killed writer left half done is removed first."""
    folder = own()
    with alone(LOCK):
        for place in (folder, folder / NAMES, folder / LIFTED):
            for left in place.glob(f".*{PART}"):
                left.unlink(missing_ok=True)
        yield


def aside(target: Path) -> Path:
    """Where a file waits until it is whole; removed by the next ``lock()`` if its writer was killed."""
    return target.with_name(f".{target.name}{PART}")


def sha256_of(path: Path) -> str:
    """Raises ``ModelError`` where the file cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give a model file") from None


def stamp(path: Path) -> dict:
    """What tells a changed file from an unchanged one, without reading it."""
    stat = path.stat()
    return {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def make_room(needed_bytes: int) -> None:
    """Raises ``NeurorackError`` when so much does not fit, before anything is written."""
    folder = made()
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + KEEP_FREE_BYTES:
        raise NeurorackError(f"{needed_bytes / 1e6:.0f} MB are needed and {KEEP_FREE_BYTES >> 20} MB kept free, but {folder} has {free / 1e6:.0f} MB left: "
                             "free some space, or remove a model (neurorack models remove NAME)")


def failed(target: Path, error: OSError) -> NeurorackError:
    """The error of a write that did not succeed, with its remedy."""
    full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
    remedy = "; nothing was kept: free some space and try again" if full else ""
    return NeurorackError(f"cannot write {target.name} into {target.parent}: {error.strerror or error}{remedy}")


@contextlib.contextmanager
def changing(target: Path):
    """What the system refuses in this block is said in one line, as ``NeurorackError``."""
    try:
        yield
    except OSError as error:
        if isinstance(error, NeurorackError):
            raise
        raise failed(target, error) from None


@contextlib.contextmanager
def writing(target: Path):
    """A file that takes its place when all of it is on the disk, or leaves nothing behind. Raises ``NeurorackError``."""
    part = aside(target)
    try:
        with changing(target):
            with open(part, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)
            sync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Names that changed in this folder are on the disk afterwards."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy(source: Path, target: Path) -> str:
    """A whole copy with a name of its own; returns its sha256. Raises ``NeurorackError``."""
    digest = hashlib.sha256()
    try:
        reading = open(source, "rb")
    except OSError as error:
        raise ModelError(f"{source}: cannot be read ({error.strerror})") from None
    with reading, writing(target) as file:
        while chunk := reading.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def write_json(path: Path, data: dict) -> None:
    with writing(path) as file:
        file.write((json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> dict:
    """What ``write_json`` wrote; an empty dict where there is none, or it is damaged."""
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def inside(path: Path, folder: Path) -> bool:
    """Whether ``path``, links followed, lies in ``folder``."""
    return path.resolve().is_relative_to(folder.resolve())
