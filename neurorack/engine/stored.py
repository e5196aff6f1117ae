"""A tensor as a file keeps it: float32, or narrower. What the narrow kinds mean, in one place.

BF16 is the upper half of a float32, rounded to nearest, ties to even. I8 is a whole number from -127 to 127 times a float32
that all numbers of one channel share: ``scale`` has the tensor's dimensions, 1 long but for the channel's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ModelError

LEAST_SCALE, MOST_SCALE = 1e-30, 1e30  # so that neither a weight nor what the kernels make of a scale leaves float32's range
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "u1", "I8": "i1", "BOOL": "?"}
WIDTH = {dtype: np.dtype(kind).itemsize for dtype, kind in _NUMPY.items()}
_OWN = {np.dtype(np.float16): "F16"}  # how an array is written; any other as F32


class Stored(NamedTuple):
    """``dtype`` as safetensors names it; ``raw`` the numbers as they lie in the file (BF16 in uint16); ``scale`` of I8, or None."""

    dtype: str
    raw: np.ndarray
    scale: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.raw.shape

    @property
    def nbytes(self) -> int:
        """Bytes in the file, with the scales."""
        return self.raw.nbytes + (0 if self.scale is None else self.scale.nbytes)

    def channels(self) -> tuple[int, int]:
        """(inner, n): number i of the tensor counts ``scale.flat[i // inner % n]`` times; (1, 1) where there are no scales."""
        axis = [a for a, n in enumerate(() if self.scale is None else self.scale.shape) if n > 1]
        return (int(np.prod(self.shape[axis[0] + 1:], dtype=np.int64)), self.shape[axis[0]]) if axis else (1, 1)

    def floats(self) -> np.ndarray:
        """As float32, C-contiguous and aligned; the file's own memory where it is that already."""
        if self.dtype == "BF16":
            return (self.raw.astype(np.uint32) << 16).view(np.float32)
        if self.scale is not None:
            return self.raw.astype(np.float32) * self.scale
        return self.raw if self.dtype == "F32" and self.raw.flags.aligned else np.ascontiguousarray(self.raw, np.float32)


def read(dtype: str, memory, shape: tuple[int, ...], begin: int, scale: np.ndarray | None = None) -> Stored:
    count = int(np.prod(shape, dtype=np.int64))
    return Stored(dtype, np.frombuffer(memory, _NUMPY[dtype], count, begin).reshape(shape), scale)


def stored(array) -> Stored:
    """Arrays of float16 are kept as such, all else as float32; what is ``Stored`` already stays."""
    if isinstance(array, Stored):
        return array
    dtype = _OWN.get(np.asarray(array).dtype, "F32")
    return Stored(dtype, np.ascontiguousarray(array, _NUMPY[dtype]))


def bf16(array) -> Stored:
    """Rounded to nearest, ties to even; NaN stays NaN."""
    array = np.ascontiguousarray(array, np.float32)
    bits = array.view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return Stored("BF16", np.where(np.isnan(array), np.uint16(0x7FC0), rounded))


def int8(array, axis: int | None) -> Stored:
    """Each channel along ``axis`` (None: all as one) is divided by its largest magnitude / 127 and rounded. Raises ``ModelError`` for
    numbers that are not finite or beyond what scales reach."""
    array = np.ascontiguousarray(array, np.float32)
    others = tuple(a for a in range(array.ndim) if a != axis)
    peak = np.abs(array).max(axis=others, keepdims=True).astype(np.float64)
    if not (np.isfinite(peak) & (peak <= 127 * MOST_SCALE)).all():
        raise ModelError(f"weights up to {peak.max():.3g} cannot be kept as int8 (at most {127 * MOST_SCALE:.3g}, finite); keep them as float32")
    scale = np.clip(peak / 127, LEAST_SCALE, MOST_SCALE).astype(np.float32)
    return Stored("I8", np.clip(np.rint(array / scale), -127, 127).astype(np.int8), scale)


def check_scale(scale: np.ndarray, name: str, shape: tuple[int, ...]) -> None:
    """Raises ``ModelError`` for scales that do not fit a tensor of this shape."""
    fits = scale.ndim == len(shape) and all(n in (1, m) for n, m in zip(scale.shape, shape))
    if not fits or sum(n > 1 for n in scale.shape) > 1:
        raise ModelError(f"scales of {list(scale.shape)} do not fit the tensor {name!r} of {list(shape)}; one channel's length and 1 belong there")
    if not ((scale >= LEAST_SCALE) & (scale <= MOST_SCALE)).all():
        wrong = scale[~((scale >= LEAST_SCALE) & (scale <= MOST_SCALE))][0]
        raise ModelError(f"a scale of the tensor {name!r} is {wrong:.3g}; {LEAST_SCALE:g} to {MOST_SCALE:g} belongs there: export it again")
