"""Operators that fold many numbers into few: sums, means, norms, normalisations, softmax, running sums, the largest."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UnsupportedError
from ..tensors import BOOL, FLOATS, INT64, INTEGERS, Tensor, Value
from . import complexes, joins, pairs
from .arguments import axes_of, axis_of
from .table import operator


def squeezed(ops, value: Value, axes, keepdim: bool) -> Value:
    """Without the folded dimensions, unless they are to stay."""
    if keepdim:
        return value
    return ops.reshape(value, [n for i, n in enumerate(value.array.shape) if i not in axes])


def _number(value: Value, x) -> Value:
    """A constant of a value's type."""
    return Value(np.asarray(x, value.array.dtype))


def folded(ops, x: Value, fn, axes, keepdim, scale=1.0) -> Value:
    if not axes:
        return ops.scaled(x, scale) if scale != 1 else x
    return squeezed(ops, ops.reduce(fn, x, axes, scale), axes, keepdim)


@operator("sum")
def sum_(ops, x, dim=None, keepdim=False, dtype=None):
    if isinstance(dim, bool):
        dim, keepdim = None, dim
    dtype = dtype or (INT64 if x.dtype in INTEGERS or x.dtype == BOOL else x.dtype)
    return ops.fresh(folded(ops, ops.as_value(x, dtype), "add", axes_of(dim, x.ndim), keepdim), dtype)


@operator("prod")
def prod(ops, x, dim=None, keepdim=False, dtype=None):
    dtype = dtype or (INT64 if x.dtype in INTEGERS or x.dtype == BOOL else x.dtype)
    return ops.fresh(folded(ops, ops.as_value(x, dtype), "mul", axes_of(dim, x.ndim), keepdim), dtype)


@operator("mean")
def mean(ops, x, dim=None, keepdim=False, dtype=None):
    dtype = dtype or x.dtype
    if dtype not in FLOATS:
        raise ValueError("a mean of whole numbers")
    return ops.fresh(mean_value(ops, ops.as_value(x, dtype), axes_of(dim, x.ndim), keepdim), dtype)


def mean_value(ops, x: Value, axes, keepdim=True) -> Value:
    return folded(ops, x, "add", axes, keepdim, 1 / max(math.prod(x.array.shape[a] for a in axes), 1))


def variance_value(ops, x: Value, axes, correction) -> tuple[Value, Value]:
    """Variance and mean with the folded dimensions kept."""
    middle = mean_value(ops, x, axes)
    count = math.prod(x.array.shape[a] for a in axes)
    squares = ops.unary("square", ops.binary("sub", x, middle))
    return ops.reduce("add", squares, axes, 1 / max(count - correction, 0) if count > correction else math.nan), middle


def _spread(ops, x, dim, unbiased, correction, keepdim):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = (1 if unbiased in (None, True) else 0) if correction is None else correction
    axes = axes_of(dim, x.ndim)
    variance, middle = variance_value(ops, ops.floating(x)[0], axes, correction)
    return squeezed(ops, variance, axes, keepdim), squeezed(ops, middle, axes, keepdim)


@operator("var")
def var(ops, x, dim=None, unbiased=None, keepdim=False, correction=None):
    return ops.fresh(_spread(ops, x, dim, unbiased, correction, keepdim)[0], x.dtype)


@operator("std")
def std(ops, x, dim=None, unbiased=None, keepdim=False, correction=None):
    return ops.fresh(ops.unary("sqrt", _spread(ops, x, dim, unbiased, correction, keepdim)[0]), x.dtype)


@operator("var_mean")
def var_mean(ops, x, dim=None, unbiased=None, keepdim=False, correction=None):
    return tuple(ops.fresh(v, x.dtype) for v in _spread(ops, x, dim, unbiased, correction, keepdim))


@operator("std_mean")
def std_mean(ops, x, dim=None, unbiased=None, keepdim=False, correction=None):
    variance, middle = _spread(ops, x, dim, unbiased, correction, keepdim)
    return ops.fresh(ops.unary("sqrt", variance), x.dtype), ops.fresh(middle, x.dtype)


def norm_value(ops, x: Value, p, axes, keepdim) -> Value:
    if p in (math.inf, -math.inf):
        return folded(ops, ops.unary("abs", x), "max" if p > 0 else "min", axes, keepdim)
    if p == 2:
        return ops.unary("sqrt", folded(ops, ops.unary("square", x), "add", axes, keepdim))
    if p == 1:
        return folded(ops, ops.unary("abs", x), "add", axes, keepdim)
    if p == 0:
        return folded(ops, ops.cast(ops.binary("ne", x, _number(x, 0)), "f32"), "add", axes, keepdim)
    total = folded(ops, ops.binary("pow", ops.unary("abs", x), _number(x, p)), "add", axes, keepdim)
    return ops.binary("pow", total, _number(x, 1 / p))


@operator("norm", "linalg_vector_norm", "frobenius_norm")
def norm(ops, x, p=2, dim=None, keepdim=False, dtype=None):
    p = 2 if p is None or p == "fro" else p
    if isinstance(p, (list, str)):
        raise UnsupportedError("a matrix norm is not known here")
    if x.complex:
        x = complexes.magnitude(ops, x)
    value, kind = ops.floating(x)
    return ops.fresh(norm_value(ops, value, float(p), axes_of(dim, x.ndim), keepdim), kind)


@operator("linalg_norm")
def linalg_norm(ops, x, ord=None, dim=None, keepdim=False, dtype=None):
    if ord is not None and x.ndim > 1 and not isinstance(dim, int) and len(dim or [0, 0]) > 1:
        raise UnsupportedError("a matrix norm is not known here")
    return norm(ops, x, ord, dim, keepdim, dtype)


def _extreme(fn):
    def run(ops, x, dim=None, keepdim=False):
        if isinstance(dim, Tensor):
            return pairs.both(ops, fn, x, dim)
        if dim is None:
            return ops.fresh(folded(ops, _plain(ops, x), fn, axes_of(None, x.ndim), False), x.dtype)
        axis, value = axis_of(dim, x.ndim), _plain(ops, x)
        if not x.ndim:
            return ops.fresh(value, x.dtype), ops.fresh(Value(np.asarray(0)))
        largest = ops.reduce(fn, value, (axis,))
        where = ops.run("arg", [value], dtype="i64", fn=fn, axis=axis)
        return ops.fresh(squeezed(ops, largest, (axis,), keepdim), x.dtype), ops.fresh(squeezed(ops, where, (axis,), keepdim))

    return run


def _plain(ops, x) -> Value:
    """A value that can be compared by size: truths as numbers."""
    if x.dtype == BOOL:
        raise UnsupportedError("the largest of truths is not known here")
    return ops.read(x)


operator("max")(_extreme("max"))
operator("min")(_extreme("min"))


def _a_extreme(fn):
    def run(ops, x, dim=None, keepdim=False):
        return ops.fresh(folded(ops, _plain(ops, x), fn, axes_of(dim, x.ndim), keepdim), x.dtype)

    return run


operator("amax")(_a_extreme("max"))
operator("amin")(_a_extreme("min"))


@operator("aminmax")
def aminmax(ops, x, dim=None, keepdim=False):
    return _a_extreme("min")(ops, x, dim, keepdim), _a_extreme("max")(ops, x, dim, keepdim)


def _arg(fn):
    def run(ops, x, dim=None, keepdim=False):
        value = _plain(ops, x)
        if dim is None:
            value, axis = ops.reshape(value, (x.size,)), 0
        else:
            axis = axis_of(dim, x.ndim)
        where = ops.run("arg", [value], dtype="i64", fn=fn, axis=axis)
        if dim is None and keepdim:
            return ops.fresh(ops.reshape(where, (1,) * x.ndim))
        return ops.fresh(squeezed(ops, where, (axis,), keepdim))

    return run


operator("argmax")(_arg("max"))
operator("argmin")(_arg("min"))


@operator("all")
def all_(ops, x, dim=None, keepdim=False):
    return _truth(ops, x, dim, keepdim, "min")


@operator("any")
def any_(ops, x, dim=None, keepdim=False):
    return _truth(ops, x, dim, keepdim, "max")


def _truth(ops, x, dim, keepdim, fn):
    numbers = ops.cast(ops.as_value(x, BOOL), "i64")
    return ops.fresh(ops.cast(folded(ops, numbers, fn, axes_of(dim, x.ndim), keepdim), "bool"), BOOL)


@operator("count_nonzero")
def count_nonzero(ops, x, dim=None):
    numbers = ops.cast(ops.as_value(x, BOOL), "i64")
    return ops.fresh(folded(ops, numbers, "add", axes_of(dim, x.ndim), False))


def _scan(fn):
    def run(ops, x, dim, dtype=None):
        dtype = dtype or (INT64 if x.dtype in INTEGERS or x.dtype == BOOL else x.dtype)
        value = ops.as_value(x, dtype)
        return ops.fresh(ops.run("scan", [value], fn=fn, axis=axis_of(dim, x.ndim)) if x.ndim else value, dtype)

    return run


operator("cumsum")(_scan("add"))
operator("cumprod")(_scan("mul"))


@operator("diff")
def diff(ops, x, n=1, dim=-1, prepend=None, append=None):
    x = joins.cat(ops, [v for v in (prepend, x, append) if v is not None], dim)
    axis, value = axis_of(dim, x.ndim), ops.read(x)
    for _ in range(n):
        size = value.array.shape[axis]
        value = ops.binary("sub", ops.cut(value, axis, 1, size), ops.cut(value, axis, 0, size - 1))
    return ops.fresh(value, x.dtype)
