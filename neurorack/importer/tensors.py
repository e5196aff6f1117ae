"""Tensors of an interpreted model: views with torch's meaning over values that never change.

A ``Value`` is an array that nobody writes to, and the node that made it where a recorder runs and the array is not a
constant. A ``Storage`` holds the present value of what tensors share. A ``Tensor`` is a view of a storage: a chain of slices,
permutations, reshapes and expansions. Writing through a view gives the storage a new value, the old one with that part
replaced, so every alias sees it and the recorder gets pure operations.
"""

from __future__ import annotations

import math

import numpy as np

from ..engine.reference import _random as engine_sequence
from .errors import UnsupportedError
from .trace import random_stream


# torch's numbers for the types of elements, as printed source uses them
UINT8, INT8, INT16, INT32, INT64, HALF, FLOAT, DOUBLE, COMPLEX, COMPLEX_DOUBLE, BOOL, BFLOAT16 = (
    0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 15)
INTEGERS = (UINT8, INT8, INT16, INT32, INT64)
FLOATS = (HALF, FLOAT, DOUBLE, BFLOAT16)
COMPLEXES = (COMPLEX, COMPLEX_DOUBLE)
#: type of the numbers that a tensor of each type holds; half precision is held as f32 and may only be converted
HELD = {**dict.fromkeys(INTEGERS, "i64"), HALF: "f32", BFLOAT16: "f32", FLOAT: "f32", DOUBLE: "f64",
        COMPLEX: "f32", COMPLEX_DOUBLE: "f64", BOOL: "bool"}
_OF_NUMPY = {"uint8": UINT8, "int8": INT8, "int16": INT16, "int32": INT32, "int64": INT64, "float16": HALF, "float32": FLOAT,
             "float64": DOUBLE, "complex64": COMPLEX, "complex128": COMPLEX_DOUBLE, "bool": BOOL}
#: names of the numbers' types in a trace
KIND = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64", np.dtype(np.int64): "i64", np.dtype(np.bool_): "bool"}


class Value:
    """An array of f32, f64, i64 or bool that never changes; ``node`` is None for what is known before any block."""

    __slots__ = ("array", "node")

    def __init__(self, array: np.ndarray, node: int | None = None):
        self.array, self.node = array, node


class Storage:
    """What aliases share: the present ``value``, in the shape its first tensor had."""

    __slots__ = ("value", "version", "name", "start")

    def __init__(self, value: Value, name: str | None = None):
        self.value, self.version, self.name, self.start = value, 0, name, value


class Tensor:
    """A view of a storage: shape, strides and offset (in elements) as torch would report them."""

    __slots__ = ("storage", "chain", "shape", "strides", "offset", "dtype", "version", "value")

    def __init__(self, storage, shape, strides, offset, dtype, chain=(), value=None):
        self.storage, self.chain, self.dtype = storage, chain, dtype
        self.shape, self.strides, self.offset = shape, strides, offset
        self.value, self.version = value, storage.version if value is not None else -1

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def complex(self) -> bool:
        return self.dtype in COMPLEXES

    @property
    def floating(self) -> bool:
        return self.dtype in FLOATS

    def contiguous(self) -> bool:
        """Whether the elements lie in torch's memory in order, without gaps."""
        return self.size == 0 or all(n == 1 or s == t for n, s, t in zip(self.shape, self.strides, strides_of(self.shape)))

    def __repr__(self) -> str:
        return f"Tensor({list(self.shape)}, dtype={self.dtype})"


def strides_of(shape) -> tuple[int, ...]:
    """Strides, in elements, of a dense array of that shape."""
    strides, count = [], 1
    for n in reversed(shape):
        strides.append(count)
        count *= max(n, 1)
    return tuple(reversed(strides))


def strides_of_view(shape, strides, wanted) -> tuple[int, ...] | None:
    """Strides that show the same elements in the shape ``wanted``, None where only a copy can."""
    if math.prod(shape) == 0:
        return strides_of(wanted)
    blocks = []  # runs of dimensions that lie densely in each other: [size, stride of the last]
    for n, s in zip(shape, strides):
        if n == 1:
            continue
        if blocks and blocks[-1][1] == n * s:
            blocks[-1] = [blocks[-1][0] * n, s]
        else:
            blocks.append([n, s])
    result, left, stride = [], 1, 1
    for n in reversed(wanted):
        if n != 1 and left == 1:
            if not blocks:
                return None
            left, stride = blocks.pop()
        if n != 1:
            if left % n:
                return None
            result.append(stride)
            left, stride = left // n, stride * n
        else:
            result.append(stride)
    return tuple(reversed(result)) if left == 1 and not blocks else None


def held(array: np.ndarray) -> tuple[np.ndarray, int]:
    """An array of any of torch's types as the numbers a ``Value`` holds, and its type."""
    dtype = _OF_NUMPY.get(array.dtype.name)
    if dtype is None:
        raise UnsupportedError(f"a tensor of {array.dtype} can't be read; export the model with float32")
    if dtype in COMPLEXES:
        array = np.ascontiguousarray(array).view(np.float32 if dtype == COMPLEX else np.float64).reshape(*array.shape, 2)
    elif array.dtype not in KIND:
        array = array.astype(np.float32 if dtype == HALF else np.int64)
    return array, dtype


class Random:
    """The engine's random sequences: call ``k`` of every block goes on where it stopped in the block before."""

    def __init__(self, seed: int = 0):
        self.seed = seed
        self.reset()

    def reset(self) -> None:
        self._counters: dict[int, np.ndarray] = {}

    def uniform(self, shape, call_index: int) -> np.ndarray:
        """Numbers from 0 up to 1, float32."""
        return self._draw(shape, call_index, 0)

    def normal(self, shape, call_index: int) -> np.ndarray:
        """Numbers of mean 0 and deviation 1, float32."""
        return self._draw(shape, call_index, 1)

    def _draw(self, shape, call_index, normal):
        counter = self._counters.setdefault(call_index, np.zeros(2, np.float32))
        y = np.empty(shape, np.float32)
        with np.errstate(over="ignore"):
            engine_sequence({"seed": random_stream(self.seed, call_index), "normal": normal}, counter, y)
        return y
