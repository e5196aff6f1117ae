"""Pure operations on values: computed at once and, with a recorder, written down."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UnsupportedError
from ..tensors import KIND, Value
from ..trace import DTYPES
from .kernels import KERNELS

#: elements of the largest tensor; 1 GiB of float32
MOST_ELEMENTS = 1 << 28


class Values:
    """One method for each kind of operation of a trace. ``recorder`` (see ``graph.Recorder``) is None for plain computing."""

    recorder = None
    most_elements = MOST_ELEMENTS

    def run(self, op: str, inputs, shape=None, dtype=None, **params) -> Value:
        """One operation of ``trace.py``; ``shape`` where the kernel can't find it out, ``dtype`` if it is not the first input's."""
        arrays = [v.array for v in inputs]
        dtype = dtype or KIND[arrays[0].dtype]
        if shape is not None and math.prod(shape) > self.most_elements:
            raise UnsupportedError(f"{op} makes {math.prod(shape)} numbers; at most {self.most_elements} are allowed")
        with np.errstate(all="ignore"):
            array = KERNELS[op](params, shape, dtype)(*arrays)
        if array.size > self.most_elements:
            raise UnsupportedError(f"{op} makes {array.size} numbers; at most {self.most_elements} are allowed")
        if self.recorder is None or all(v.node is None for v in inputs):
            return Value(array)
        nodes = tuple(self.recorder.constant(v.array) if v.node is None else v.node for v in inputs)
        return Value(array, self.recorder.add(op, nodes, params, array.shape, KIND[array.dtype]))

    def constant(self, x, dtype: str) -> Value:
        return Value(np.asarray(x, DTYPES[dtype]))

    def unary(self, fn: str, x: Value, a: float = 0.0, b: float = 0.0) -> Value:
        return self.run("unary", [x], fn=fn, a=a, b=b)

    def binary(self, fn: str, a: Value, b: Value) -> Value:
        dtype = "bool" if fn in ("eq", "ne", "lt", "le", "gt", "ge", "and", "or") else None
        return self.run("binary", [a, b], dtype=dtype, fn=fn)

    def scaled(self, x: Value, factor: float, offset: float = 0.0) -> Value:
        """x·factor + offset."""
        return self.unary("affine", x, float(factor), float(offset))

    def reshape(self, x: Value, shape) -> Value:
        shape = tuple(int(n) for n in shape)
        return x if shape == x.array.shape else self.run("reshape", [x], shape)

    def permute(self, x: Value, order) -> Value:
        order = tuple(int(i) for i in order)
        return x if order == tuple(range(len(order))) else self.run("permute", [x], order=order)

    def cut(self, x: Value, axis: int, start: int, stop: int | None, step: int = 1) -> Value:
        """Part of one dimension."""
        shape = x.array.shape
        start_, stop_, step_ = [0] * len(shape), list(shape), [1] * len(shape)
        start_[axis], stop_[axis], step_[axis] = start, stop, step
        return self.run("slice", [x], start=tuple(start_), stop=tuple(stop_), step=tuple(step_))

    def expand(self, x: Value, shape) -> Value:
        shape = tuple(int(n) for n in shape)
        return x if shape == x.array.shape else self.run("expand", [x], shape)

    def cat(self, parts, axis: int) -> Value:
        return parts[0] if len(parts) == 1 else self.run("cat", parts, axis=axis)

    def pad(self, x: Value, before, after, value=0.0) -> Value:
        if not any(before) and not any(after):
            return x
        shape = tuple(b + n + a for b, n, a in zip(before, x.array.shape, after))
        return self.run("pad", [x], shape, before=tuple(before), after=tuple(after), value=value)

    def cast(self, x: Value, dtype: str) -> Value:
        return x if KIND[x.array.dtype] == dtype else self.run("cast", [x], dtype=dtype)

    def where(self, c: Value, a: Value, b: Value) -> Value:
        return self.run("where", [c, a, b], dtype=KIND[a.array.dtype])

    def reduce(self, fn: str, x: Value, axes, scale: float = 1.0) -> Value:
        return self.run("reduce", [x], fn=fn, axes=tuple(axes), scale=scale)
