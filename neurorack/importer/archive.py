"""Opens a TorchScript archive without torch: a zip with one pickled object, raw tensors and printed source.

The whole file is checked while it is read (header, names, sizes, CRC of every entry, SHA-256) and every refusal is one
``ModelError``. Tensors are read once into memory and stay there unchanged (read-only arrays); views share their storage.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import ModelError
from .limits import MIB, Limits
from .records import ScriptObject, StorageRecord, TensorRecord
from .source import Source
from .unpickle import unpickle

FORMATS = range(3, 11)
CHUNK_BYTES = MIB
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError, ValueError, KeyError,
          IndexError, OverflowError, OSError)


@dataclass
class Archive:
    """One file, read. ``root`` is the object tree, its tensors ``TensorRecord``; ``array`` gives their numbers."""

    path: Path
    root: ScriptObject
    version: int  # of the format, 3 (since torch 1.6) to 10
    source: Source
    constants: tuple  # CONSTANTS.c0, .c1, ...
    sha256: str
    size_bytes: int
    _numbers: dict[StorageRecord, np.ndarray] = field(repr=False)

    def storage(self, record: StorageRecord) -> np.ndarray:
        """All numbers of a storage: one read-only array [count], the same one for every view. bfloat16 comes as float32."""
        return self._numbers[record]

    def array(self, record: TensorRecord) -> np.ndarray:
        """The numbers of a tensor: a read-only view of its storage, in the tensor's shape."""
        flat = self.storage(record.storage)
        if 0 in record.shape:
            return np.empty(record.shape, flat.dtype)
        step = flat.itemsize
        return np.ndarray(record.shape, flat.dtype, flat, step * record.offset, [step * s for s in record.strides])


def open_archive(path: str | os.PathLike, limits: Limits = Limits()) -> Archive:
    """Reads the TorchScript archive ``path``. Raises ModelError for anything that is none, is damaged or beyond ``limits``."""
    path = Path(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ModelError(f"{path.name} is no file; a model is a single .ts file")
        with open(path, "rb") as file:
            return _read(path, file, limits)
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist") from None
    except MemoryError:
        raise ModelError(f"{path.name} does not fit into memory; use a smaller model") from None
    except OSError as error:
        raise ModelError(f"{path.name} can't be read: {error.strerror or error}") from None


def _read(path: Path, file: BinaryIO, limits: Limits) -> Archive:
    size_bytes = os.fstat(file.fileno()).st_size
    if size_bytes > limits.file_bytes:
        raise ModelError(f"{path.name} has {size_bytes // MIB} MiB, more than {limits.file_bytes // MIB}; use a smaller model")
    head = file.read(512)
    _check_head(path.name, head)
    digest = hashlib.sha256(head)
    while part := file.read(CHUNK_BYTES):
        digest.update(part)
    try:
        with zipfile.ZipFile(file) as zipped:
            entries = _Entries(path.name, zipped, size_bytes, limits)
            return _assemble(path, entries, digest.hexdigest(), size_bytes)
    except ModelError:
        raise
    except DAMAGE as error:
        raise ModelError(f"{path.name} is truncated or damaged ({_first_line(error)}); copy or download it again") from None


def _check_head(name: str, head: bytes) -> None:
    """Says what a file is that is no zip."""
    if not head:
        raise ModelError(f"{name} is empty; copy or download it again")
    if head.startswith(b"PK\x03\x04"):
        return
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise ModelError(f"{name} is a web page, not a model; download the file itself")
    if text.startswith(b"version https://git-lfs"):
        raise ModelError(f"{name} is only a pointer to the model (git LFS); fetch the file itself")
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        raise ModelError(f"{name} is a plain pickle, which could run anything; it was not opened. Export the model as TorchScript")
    raise ModelError(f"{name} is no TorchScript file (it starts with {head[:4].hex(' ')}); export the model as TorchScript")


class _Entries:
    """The entries of the zip below its one folder. Each is read once; what is not asked for is read by ``check_rest``."""

    def __init__(self, name: str, zipped: zipfile.ZipFile, size_bytes: int, limits: Limits) -> None:
        self.name, self.zipped, self.limits = name, zipped, limits
        infos = zipped.infolist()
        if len(infos) > limits.entries:
            raise ModelError(f"{name} has {len(infos)} entries, more than {limits.entries}")
        self._check_sizes(infos, size_bytes)
        roots = sorted({info.filename.split("/")[0] for info in infos})
        homes = [root for root in roots if f"{root}/data.pkl" in zipped.NameToInfo]
        if len(homes) != 1 or len(roots) != 1:
            raise ModelError(f"{name} is a zip, but no TorchScript file (no single folder with data.pkl); export the model as TorchScript")
        self.infos = {info.filename[len(homes[0]) + 1:]: info for info in infos if not info.is_dir()}
        self.unread = dict(self.infos)

    def _check_sizes(self, infos: list[zipfile.ZipInfo], size_bytes: int) -> None:
        seen = set()
        for info in infos:
            parts = info.filename.split("/")
            if not info.filename or info.filename in seen or ".." in parts or parts[0] == "" or re.search(r"[\\\0:]",
                                                                                                          info.filename):
                raise ModelError(f"{self.name} has an entry with the name {info.filename!r}, twice or not allowed; "
                                 "the file is damaged or harmful")
            seen.add(info.filename)
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ModelError(f"{self.name} is encrypted or packed in a way TorchScript does not use; pack it with zip")
        packed, unpacked = sum(info.compress_size for info in infos), sum(info.file_size for info in infos)
        allowed = max(64 * MIB, self.limits.unpacked_ratio * size_bytes)
        if packed > size_bytes or unpacked > allowed:
            raise ModelError(f"{self.name} would unpack to {unpacked / MIB:.0f} MiB from {size_bytes / MIB:.2f}; "
                             "the file is damaged or harmful")

    def __contains__(self, entry: str) -> bool:
        return entry in self.infos

    def names(self) -> list[str]:
        return list(self.infos)

    def size(self, entry: str) -> int:
        return self.infos[entry].file_size

    def read(self, entry: str) -> bytes:
        """A whole entry; the zip module compares its CRC."""
        info = self.infos[entry]
        self.unread.pop(entry, None)
        data = self.zipped.read(info)
        if len(data) != info.file_size:
            raise EOFError(entry)
        return data

    def read_numbers(self, entry: str, dtype: np.dtype, count: int) -> np.ndarray:
        """The first ``count`` numbers of an entry in an array of their own, read without a second copy."""
        self.unread.pop(entry, None)
        numbers = np.empty(count, dtype)
        view, at = memoryview(numbers).cast("B") if count else memoryview(b""), 0
        with self.zipped.open(self.infos[entry]) as stream:
            while at < len(view):
                read = stream.readinto(view[at:at + CHUNK_BYTES])
                if not read:
                    raise EOFError(entry)
                at += read
            while stream.read(CHUNK_BYTES):  # to the end, where the CRC is compared
                pass
        return numbers

    def check_rest(self) -> None:
        """Reads what nobody asked for, so that its CRC is compared too."""
        for info in self.unread.values():
            with self.zipped.open(info) as stream:
                while stream.read(CHUNK_BYTES):
                    pass


def _assemble(path: Path, entries: _Entries, sha256: str, size_bytes: int) -> Archive:
    name = path.name
    version = _version(name, entries)
    code = [entry for entry in entries.names() if entry.startswith("code/") and entry.endswith(".py")]
    if not code or "constants.pkl" not in entries:
        raise ModelError(f"{name} holds weights without a program (written by torch.save?); export the model as TorchScript")
    if sum(map(entries.size, code)) > entries.limits.source_bytes:
        raise ModelError(f"{name} has more than {entries.limits.source_bytes // MIB} MiB of source")
    source = Source({entry[len("code/"):-len(".py")]: entries.read(entry) for entry in code})
    if entries.size("data.pkl") + entries.size("constants.pkl") > entries.limits.pickle_bytes:
        raise ModelError(f"{name} has more than {entries.limits.pickle_bytes // MIB} MiB of pickled objects")
    root, storages = unpickle(entries.read("data.pkl"), f"{name}'s data.pkl", "data")
    constants, more = unpickle(entries.read("constants.pkl"), f"{name}'s constants.pkl", "constants")
    if not isinstance(root, ScriptObject) or not isinstance(constants, tuple):
        raise ModelError(f"{name} holds no TorchScript module; export the model with torch.jit.save")
    numbers = _numbers(name, entries, storages | more)
    entries.check_rest()
    return Archive(path, root, version, source, constants, sha256, size_bytes, numbers)


def _version(name: str, entries: _Entries) -> int:
    entry = ".data/version" if ".data/version" in entries else "version"
    if entry not in entries:
        raise ModelError(f"{name} does not say its format version; export the model with torch.jit.save")
    text = entries.read(entry).strip()
    if not re.fullmatch(rb"[0-9]{1,6}", text) or int(text) not in FORMATS:
        raise ModelError(f"{name} has the format version {text[:20].decode('ascii', 'replace')!r}, "
                         f"which must be {FORMATS[0]} to {FORMATS[-1]}; export it with another version of torch")
    return int(text)


def _numbers(name: str, entries: _Entries, records: set[StorageRecord]) -> dict[StorageRecord, np.ndarray]:
    """Every storage as a read-only array that owns its memory, in the type of its tensors."""
    little = "byteorder" not in entries or entries.read("byteorder").strip() != b"big"
    numbers = {}
    for record in records:
        stored = np.dtype("u2" if record.dtype == "bf16" else record.dtype)
        if record.entry not in entries or record.count * stored.itemsize > entries.size(record.entry):
            raise ModelError(f"{name} lacks (a part of) the tensor {record.entry}; copy or download it again")
        values = entries.read_numbers(record.entry, stored, record.count)
        if not little:
            values = values.byteswap()
        if record.dtype == "bf16":
            values = (values.astype(np.uint32) << 16).view(np.float32).copy()
        values.flags.writeable = False
        numbers[record] = values
    return numbers


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
