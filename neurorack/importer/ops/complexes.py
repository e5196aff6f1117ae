"""Complex numbers, kept as pairs in a last dimension of 2."""

from __future__ import annotations

import numpy as np

from ..tensors import COMPLEX, COMPLEX_DOUBLE, DOUBLE, FLOAT, Tensor, Value
from .table import operator


def parts(ops, x, dtype) -> tuple[Value, Value]:
    """Real and imaginary values of a tensor or number."""
    value = ops.as_value(x, dtype)
    last, shape = value.array.ndim - 1, value.array.shape[:-1]
    return tuple(ops.reshape(ops.cut(value, last, i, i + 1), shape) for i in (0, 1))


def joined(ops, re: Value, im: Value, dtype) -> Tensor:
    shape = np.broadcast_shapes(re.array.shape, im.array.shape)
    pair = [ops.reshape(ops.expand(v, shape), shape + (1,)) for v in (re, im)]
    return ops.fresh(ops.cat(pair, len(shape)), dtype)


def _reals(dtype) -> int:
    return FLOAT if dtype == COMPLEX else DOUBLE


def both(ops, fn, a, b, dtype):
    """Sum or difference: by real and imaginary parts alike."""
    return ops.fresh(ops.binary(fn, ops.as_value(a, dtype), ops.as_value(b, dtype)), dtype)


def _one_real(ops, x, dtype):
    """A real factor, as a value that spreads over pairs; None for a complex one."""
    if isinstance(x, complex) or isinstance(x, Tensor) and x.complex:
        return None
    value = ops.as_value(x, _reals(dtype))
    return ops.reshape(value, value.array.shape + (1,))


def mul(ops, a, b, dtype):
    for x, y in ((a, b), (b, a)):
        real = _one_real(ops, y, dtype)
        if real is not None:
            return ops.fresh(ops.binary("mul", ops.as_value(x, dtype), real), dtype)
    (ar, ai), (br, bi) = parts(ops, a, dtype), parts(ops, b, dtype)
    times = lambda x, y: ops.binary("mul", x, y)  # noqa: E731
    return joined(ops, ops.binary("sub", times(ar, br), times(ai, bi)), ops.binary("add", times(ar, bi), times(ai, br)), dtype)


def div(ops, a, b, dtype):
    real = _one_real(ops, b, dtype)
    if real is not None:
        return ops.fresh(ops.binary("div", ops.as_value(a, dtype), real), dtype)
    re, im = parts(ops, b, dtype)
    norm = ops.binary("add", ops.unary("square", re), ops.unary("square", im))
    top = mul(ops, a, joined(ops, re, ops.unary("neg", im), dtype), dtype)
    return ops.fresh(ops.binary("div", ops.read(top), ops.reshape(norm, norm.array.shape + (1,))), dtype)


def magnitude(ops, x):
    squares = ops.unary("square", ops.read(x))
    total = ops.reduce("add", squares, (x.ndim,))
    return ops.fresh(ops.reshape(ops.unary("sqrt", total), x.shape), _reals(x.dtype))


def exp(ops, x):
    re, im = parts(ops, x, x.dtype)
    size = ops.unary("exp", re)
    return joined(ops, *(ops.binary("mul", size, ops.unary(fn, im)) for fn in ("cos", "sin")), x.dtype)


@operator("angle")
def angle(ops, x):
    if not x.complex:
        value, dtype = ops.floating(x)
        return ops.fresh(ops.binary("atan2", ops.scaled(value, 0), value), dtype)
    re, im = parts(ops, x, x.dtype)
    return ops.fresh(ops.binary("atan2", im, re), _reals(x.dtype))


@operator("polar")
def polar(ops, abs, angle):
    size, turn = ops.read(abs), ops.read(angle)
    return joined(ops, *(ops.binary("mul", size, ops.unary(fn, turn)) for fn in ("cos", "sin")),
                  COMPLEX if abs.dtype == FLOAT else COMPLEX_DOUBLE)


@operator("conj", "conj_physical", "_conj")
def conj(ops, x):
    if not x.complex:
        return x
    re, im = parts(ops, x, x.dtype)
    return joined(ops, re, ops.unary("neg", im), x.dtype)


@operator("is_complex")
def is_complex(ops, x):
    return x.complex
