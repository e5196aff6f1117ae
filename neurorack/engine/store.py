"""Reading and writing safetensors files: tensors mapped from the file, metadata as text.

The layout is safetensors' own: eight bytes little-endian length of a JSON header, the header, the tensors' bytes. It is
read here rather than by its library so that tensors stay mapped (their pages are dropped again once the weights are
packed) and every malformed file ends in one line.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path

import numpy as np

from ..errors import ModelError

MOST_HEADER_BYTES = 100_000_000
_WIDTH = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "I8": 1, "BOOL": 1}
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "I8": "i1", "BOOL": "?"}


class Store:
    """An open safetensors file.

    Attributes: ``path``; ``metadata`` (str to str); ``shapes`` and ``dtypes`` (by tensor name). ``array(name)`` gives a tensor as
    float32, mapped where it is stored so. Raises ``ModelError`` for anything that is not a whole safetensors file.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            with open(self.path, "rb") as file:
                self.size = os.fstat(file.fileno()).st_size
                if self.size < 10:
                    raise ModelError(f"{path}: {self.size} bytes; not a model file")
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            raise ModelError(f"{path}: {error.strerror.lower()}; give a model file (.safetensors)") from None
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error})") from None
        length = int.from_bytes(self._map[:8], "little")
        if length > min(MOST_HEADER_BYTES, self.size - 8):
            raise ModelError(f"{path}: not a model file, or cut short (header of {length} bytes in a file of {self.size})")
        self._start = 8 + length
        self.metadata, self._tensors = _header(self.path, self._map[8:self._start], self.size - self._start)
        self.shapes = {name: shape for name, (_, shape, _) in self._tensors.items()}
        self.dtypes = {name: dtype for name, (dtype, _, _) in self._tensors.items()}
        self._arrays: dict[str, np.ndarray] = {}

    def array(self, name: str) -> np.ndarray:
        """The tensor as float32, C-contiguous, read-only; always the same memory for the same name."""
        if name not in self._arrays:
            dtype, shape, begin = self._tensors[name]
            count = int(np.prod(shape, dtype=np.int64))
            raw = np.frombuffer(self._map, "<u2" if dtype == "BF16" else _NUMPY[dtype], count, self._start + begin)
            if dtype == "BF16":
                raw = (raw.astype(np.uint32) << 16).view(np.float32)
            array = raw.reshape(shape)
            if dtype != "F32" or not array.flags.aligned:
                array = np.ascontiguousarray(array, np.float32)
            self._arrays[name] = array
        return self._arrays[name]

    def release_pages(self) -> None:
        """Give back the memory of mapped tensors; they are read again from the file when touched."""
        if hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)


def _header(path: Path, text: bytes, data_bytes: int):
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelError(f"{path}: not a model file (its header is not JSON)") from None
    if not isinstance(header, dict):
        raise ModelError(f"{path}: not a model file (its header is no object)")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ModelError(f"{path}: not a model file (its metadata is not text)")
    tensors = {}
    for name, entry in header.items():
        if not isinstance(entry, dict):
            raise ModelError(f"{path}: tensor {name!r} has no entry in the header")
        dtype, shape, place = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
        whole = [v for v in (shape, place) if isinstance(v, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in v)]
        if not isinstance(dtype, str) or dtype not in _WIDTH or len(whole) != 2 or len(place) != 2:
            raise ModelError(f"{path}: tensor {name!r} is of an unknown type or has no shape")
        count = _WIDTH[dtype]
        for n in shape:
            count *= n
        if place[1] > data_bytes:
            raise ModelError(f"{path}: cut short: tensor {name!r} ends at byte {place[1]} of {data_bytes}; copy it again")
        if place[1] - place[0] != count:
            raise ModelError(f"{path}: tensor {name!r} of shape {shape} takes {count} bytes, not {place[1] - place[0]}")
        tensors[name] = (dtype, tuple(shape), place[0])
    return metadata, tensors


def write(path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write tensors and metadata, whole or not at all (a new file takes the place of the old one).

    Arrays of float16 are stored as such, behind the others; all else as float32.
    """
    header, blobs, at = {"__metadata__": dict(sorted(metadata.items()))}, [], 0
    tensors = {name: np.asarray(array) for name, array in tensors.items()}
    for name in sorted(tensors, key=lambda name: (tensors[name].dtype == np.float16, name)):
        half = tensors[name].dtype == np.float16
        array = np.ascontiguousarray(tensors[name], np.float16 if half else np.float32)
        header[name] = {"dtype": "F16" if half else "F32", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
        blobs.append(array)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 64)
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(aside, "wb") as file:
            file.write((len(text)).to_bytes(8, "little") + text)
            for blob in blobs:
                file.write(memoryview(blob.reshape(-1).view(np.uint8)) if blob.size else b"")
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
