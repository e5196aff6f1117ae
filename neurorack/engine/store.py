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
from . import stored
from .stored import WIDTH, Stored

MOST_HEADER_BYTES = 100_000_000
SCALES = "neurorack_scales"  # metadata: a JSON object from the names of I8 tensors to those of the tensors that scale them


class Store:
    """An open safetensors file.

    Attributes: ``path``; ``metadata`` (str to str); ``shapes`` and ``dtypes`` (by tensor name). ``array(name)`` gives a tensor as
    float32, mapped where it is stored so; ``stored(name)`` as the file keeps it, which ``write`` takes. Scales of int8
    belong to their tensor and are not listed. Raises ``ModelError`` for anything that is not a whole safetensors file.
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
        self._stored: dict[str, Stored] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self._scales: dict[str, str] = {}
        self._scales = self._checked_scales(self.metadata.pop(SCALES, "{}"))
        hidden = set(self._scales.values())
        self.shapes = {name: shape for name, (_, shape, _) in self._tensors.items() if name not in hidden}
        self.dtypes = {name: self._tensors[name][0] for name in self.shapes}

    def _checked_scales(self, text: str) -> dict[str, str]:
        try:
            scales = json.loads(text)
        except (ValueError, RecursionError):
            scales = None
        if not isinstance(scales, dict) or not all(isinstance(name, str) for name in scales.values()):
            raise ModelError(f"{self.path}: its list of scales is no list of names; export it again")
        for name, scale in scales.items():
            for wanted, dtype in ((name, "I8"), (scale, "F32")):
                if self._tensors.get(wanted, "-")[0] != dtype:
                    raise ModelError(f"{self.path}: scales {scale[:60]!r} of {name[:60]!r}: the file has no {dtype} tensor {wanted[:60]!r}")
            try:
                stored.check_scale(self.array(scale), name, self._tensors[name][1])
            except ModelError as error:
                raise ModelError(f"{self.path}: {error}") from None
        return scales

    def stored(self, name: str) -> Stored:
        """The tensor as it lies in the file; always the same memory for the same name."""
        if name not in self._stored:
            dtype, shape, begin = self._tensors[name]
            scale = np.ascontiguousarray(self.array(self._scales[name])) if name in self._scales else None
            self._stored[name] = stored.read(dtype, self._map, shape, self._start + begin, scale)
        return self._stored[name]

    def array(self, name: str) -> np.ndarray:
        """The tensor as float32, C-contiguous, read-only; always the same memory for the same name."""
        if name not in self._arrays:
            self._arrays[name] = self.stored(name).floats()
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
        if not isinstance(dtype, str) or dtype not in WIDTH or len(whole) != 2 or len(place) != 2:
            raise ModelError(f"{path}: tensor {name!r} is of an unknown type or has no shape")
        count = WIDTH[dtype]
        for n in shape:
            count *= n
        if place[1] > data_bytes:
            raise ModelError(f"{path}: cut short: tensor {name!r} ends at byte {place[1]} of {data_bytes}; copy it again")
        if place[1] - place[0] != count:
            raise ModelError(f"{path}: tensor {name!r} of shape {shape} takes {count} bytes, not {place[1] - place[0]}")
        tensors[name] = (dtype, tuple(shape), place[0])
    return metadata, tensors


def write(path, tensors: dict[str, np.ndarray | Stored], metadata: dict[str, str]) -> None:
    """Write tensors and metadata, whole or not at all (a new file takes the place of the old one).

    What is ``Stored`` is written as it is, arrays of float16 as such, all else as float32; the narrower behind the wider.
    """
    ready, scales = {name: stored.stored(array) for name, array in tensors.items()}, {}
    for name in [name for name in ready if ready[name].scale is not None]:
        scales[name] = name + ".scale"
        while scales[name] in ready:
            scales[name] += "_"
        ready[scales[name]] = stored.stored(ready[name].scale)
    told = {**metadata, SCALES: json.dumps(scales)} if scales else metadata
    header, blobs, at = {"__metadata__": dict(sorted(told.items()))}, [], 0
    for name in sorted(ready, key=lambda name: (-WIDTH[ready[name].dtype], name)):
        dtype, array, _ = ready[name]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
        blobs.append(np.ascontiguousarray(array))
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
