"""Pointwise operations, reductions and arrangement of values, as methods of ``ProgramBuilder``."""

from __future__ import annotations

import numpy as np

from ..errors import ModelError
from .value import Value


class Pointwise:
    """Values that look at different times are aligned by delay before they meet."""

    def align(self, *values: Value) -> list[Value]:
        """The values, the earlier ones delayed to the latest. Only values with rows of the same rate belong together."""
        latest = max(v.delay for v in values)
        return [v.delayed(latest - v.delay) for v in values]

    def unary(self, fn: str, x: Value, a: float = 0.0, b: float = 0.0) -> Value:
        y = self.new(*x.shape, delay=x.delay)
        self.call("unary", [x], [y], fn=fn, a=float(a), b=float(b))
        return y

    def binary(self, fn: str, a, b) -> Value:
        return self._many("binary", fn, a, b)

    def ternary(self, fn: str, a, b, c) -> Value:
        return self._many("ternary", fn, a, b, c)

    def _many(self, op: str, fn: str, *operands) -> Value:
        values = [self.value(v) for v in operands]
        moving = [i for i, v in enumerate(values) if v.room.kind != "constant"]
        for i, v in zip(moving, self.align(*[values[i] for i in moving])):
            values[i] = v
        try:
            shape = np.broadcast_shapes(*[v.shape for v in values])
        except ValueError:
            raise ModelError(f"{fn}: {', '.join(str(v.shape) for v in values)} do not fit each other") from None
        y = self.new(*shape, delay=max((values[i].delay for i in moving), default=0))
        self.call(op, values, [y], fn=fn)
        return y

    def copy(self, x: Value) -> Value:
        return self.unary("copy", x)

    def kept_copy(self, x: Value) -> Value:
        """A copy of x, the same one each time x is asked for."""
        kept = self.__dict__.setdefault("_copies", {})
        key = (x.room.index, x.offset, x.shape, x.strides)
        if key not in kept:
            kept[key] = self.copy(x)
        return kept[key]

    def exp(self, x):
        return self.unary("exp", x)

    def log(self, x):
        return self.unary("log", x)

    def sin(self, x):
        return self.unary("sin", x)

    def tanh(self, x):
        return self.unary("tanh", x)

    def sigmoid(self, x):
        return self.unary("sigmoid", x)

    def softplus(self, x):
        return self.unary("softplus", x)

    def leaky_relu(self, x, slope: float = 0.01):
        return self.unary("leaky_relu", x, slope)

    def clamp(self, x, low: float, high: float):
        return self.unary("clamp", x, low, high)

    def affine(self, x, scale: float, offset: float = 0.0):
        return self.unary("affine", x, scale, offset)

    def concat(self, values, axis: int = 1) -> Value:
        """Values side by side along an axis (their rows aligned in time)."""
        values = self.align(*values)
        shape = list(values[0].shape)
        shape[axis] = sum(v.shape[axis] for v in values)
        y, at = self.new(*shape, delay=values[0].delay), 0
        for v in values:
            place = [slice(None)] * len(shape)
            place[axis] = slice(at, at + v.shape[axis])
            self.call("unary", [v], [y[tuple(place)]], fn="copy")
            at += v.shape[axis]
        return y

    def reduce(self, fn: str, x: Value, axis: int = 1, scale: float = 1.0) -> Value:
        """``fn`` (add, mul, max, min) along an axis, which stays with length 1; then times ``scale``."""
        shape = list(x.shape)
        shape[axis] = 1
        y = self.new(*shape, delay=x.delay)
        self.call("reduce", [x], [y], fn=fn, scale=float(scale))
        return y

    def sum(self, x: Value, axis: int = 1) -> Value:
        return self.reduce("add", x, axis)

    def mean(self, x: Value, axis: int = 1) -> Value:
        return self.reduce("add", x, axis, 1 / x.shape[axis])

    def scan(self, fn: str, x: Value, axis: int = 0) -> Value:
        """Running sum (add) or product (mul) along an axis, within the block."""
        y = self.new(*x.shape, delay=x.delay)
        self.call("scan", [x], [y], fn=fn, axis=axis % len(x.shape))
        return y

    def arg(self, fn: str, x: Value) -> Value:
        """Index of the largest (max) or smallest (min) channel, [rows, n] to [rows]."""
        y = self.new(x.rows, delay=x.delay)
        self.call("arg", [x], [y], fn=fn)
        return y

    def gather(self, table, index: Value) -> Value:
        """Rows of ``table`` [n, channels] picked by ``index`` [rows]; NaN for an index outside."""
        table = self.value(table)
        y = self.new(index.shape[0], table.shape[1], delay=index.delay)
        self.call("gather", [table, index], [y])
        return y

    def matmul(self, a: Value, b) -> Value:
        b = self.value(b)
        y = self.new(*a.shape[:-1], b.shape[-1], delay=a.delay)
        self.call("matmul", [a, b], [y])
        return y

    def hold(self, x: Value, hop: int) -> Value:
        """Each row repeated ``hop`` times, [rows, n] to [rows * hop, n]."""
        y = self.new(x.rows * hop, x.channels, delay=x.delay * hop)
        self.call(
            "unary", [x[:, None, :].expand(x.rows, hop, x.channels)], [y.reshape(x.rows, hop, x.channels)], fn="copy"
        )
        return y

    def glide(self, x: Value, hop: int) -> Value:
        """Rows joined by lines, [rows, n] to [rows * hop, n]: the last of a row's samples has its value, as in ``oscillators``."""
        window = x.past(1)
        before, now = (v[:, None, :].expand(x.rows, hop, x.channels) for v in (window[:-1], window[1:]))
        ramp = self.constant(np.arange(1, hop + 1) / hop)[None, :, None].expand(x.rows, hop, x.channels)
        y = self.new(x.rows * hop, x.channels, delay=x.delay * hop)
        self.call("ternary", [before, now, ramp], [y.reshape(x.rows, hop, x.channels)], fn="lerp")
        return y
