"""Operators that draw random numbers."""

from __future__ import annotations

import numpy as np

from ..errors import UnsupportedError
from ..tensors import FLOAT, HELD, INT64, Tensor, Value
from . import pairs
from .arguments import whole
from .folds import squeezed
from .table import operator


def _drawn(ops, shape, kind, dtype):
    dtype = FLOAT if dtype is None else dtype
    shape = [whole(n, ops) for n in shape]
    return ops.fresh(ops.cast(ops.draw(shape, kind), HELD[dtype]), dtype)


@operator("rand")
def rand(ops, size, dtype=None, **options):
    return _drawn(ops, size, "uniform", dtype)


@operator("randn")
def randn(ops, size, dtype=None, **options):
    return _drawn(ops, size, "normal", dtype)


@operator("rand_like")
def rand_like(ops, x, dtype=None, **options):
    return _drawn(ops, x.shape, "uniform", x.dtype if dtype is None else dtype)


@operator("randn_like")
def randn_like(ops, x, dtype=None, **options):
    return _drawn(ops, x.shape, "normal", x.dtype if dtype is None else dtype)


@operator("normal")
def normal(ops, mean, std=1.0, size=None, dtype=None, **options):
    if size is None:
        size = np.broadcast_shapes(*(v.shape for v in (mean, std) if isinstance(v, Tensor)))
    return pairs.add(ops, pairs.mul(ops, _drawn(ops, size, "normal", dtype), std), mean)


@operator("normal_")
def normal_(ops, x, mean=0.0, std=1.0, generator=None):
    return ops.write(x, ops.scaled(ops.draw(x.shape, "normal"), std, mean))


@operator("uniform_", "uniform")
def uniform_(ops, x, from_=0.0, to=1.0, generator=None):
    return ops.write(x, ops.scaled(ops.draw(x.shape, "uniform"), to - from_, from_))


def _whole_drawn(ops, low, high, shape, dtype):
    numbers = ops.unary("floor", ops.scaled(ops.draw(shape, "uniform"), high - low, low))
    return ops.fresh(ops.cast(numbers, HELD[dtype]), dtype)


@operator("randint")
def randint(ops, low, high, size=None, dtype=None, **options):
    if isinstance(high, (list, tuple)):
        low, high, size = 0, low, high
    return _whole_drawn(ops, low, high, size, INT64 if dtype is None else dtype)


@operator("randint_like")
def randint_like(ops, x, low, high=None, dtype=None, **options):
    low, high = (0, low) if high is None else (low, high)
    return _whole_drawn(ops, low, high, x.shape, x.dtype if dtype is None else dtype)


@operator("bernoulli")
def bernoulli(ops, x, p=None, generator=None):
    below = x if p is None else p
    return ops.fresh(ops.cast(ops.binary("lt", ops.draw(x.shape, "uniform"), ops.as_value(below, FLOAT)), HELD[x.dtype]), x.dtype)


@operator("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout")
def dropout(ops, x, p, train):
    if train:
        raise UnsupportedError("dropout in training is not known here; export the model in eval mode")
    return x


@operator("multinomial")
def multinomial(ops, x, num_samples, replacement=False, generator=None):
    """Places drawn by their weights: the first whose running sum passes a uniform number."""
    if num_samples != 1 and not replacement:
        raise UnsupportedError("multinomial without replacement is not known here")
    axis, value = x.ndim - 1, ops.read(x)
    sums = ops.run("scan", [value], fn="add", axis=axis)
    n = x.shape[axis]
    total = ops.cut(sums, axis, n - 1, n)
    drawn = ops.binary("mul", ops.draw((*x.shape[:-1], num_samples), "uniform"), total)
    passed = ops.binary("le", ops.reshape(sums, (*x.shape[:-1], 1, n)), ops.reshape(drawn, (*drawn.array.shape, 1)))
    places = ops.reduce("add", ops.cast(passed, HELD[INT64]), (axis + 1,))
    return ops.fresh(ops.binary("min", squeezed(ops, places, (axis + 1,), False), Value(np.asarray(n - 1))))
