"""Operators that put numbers in order or find their places among others."""

from __future__ import annotations

import numpy as np

from ..errors import UnsupportedError
from ..tensors import KIND, Value
from .arguments import axis_of
from .folds import squeezed
from .table import operator

MOST_PASSES = 64   # of topk, one for each place
MOST_RANKED = 512  # elements whose order is found by comparing all with all


def _ranked(ops, x: Value, axis: int, descending: bool) -> Value:
    """Places of the elements in order, by counting for each how many come before it."""
    n = x.array.shape[axis]
    if n > MOST_RANKED:
        raise UnsupportedError(f"the order of {n} numbers is not followed here (at most {MOST_RANKED})")
    last = [i for i in range(x.array.ndim) if i != axis] + [axis]
    x = ops.permute(x, last)
    lead = x.array.shape[:-1]
    mine, other = ops.reshape(x, lead + (n, 1)), ops.reshape(x, lead + (1, n))
    before = ops.binary("gt" if descending else "lt", other, mine)
    ties = ops.binary("and", ops.binary("eq", other, mine), Value(np.tri(n, n, -1, dtype=bool)))
    rank = ops.reduce("add", ops.cast(ops.binary("or", before, ties), "i64"), (len(lead) + 1,))  # [..., n, 1]
    at = ops.cast(ops.binary("eq", rank, Value(np.arange(n))), "i64")  # [..., element, place]
    order = ops.reduce("add", ops.binary("mul", at, Value(np.arange(n)[:, None])), (len(lead),))
    return ops.permute(ops.reshape(order, lead + (n,)), [last.index(i) for i in range(len(last))])


@operator("sort")
def sort(ops, x, *places, dim=-1, descending=False, stable=None):
    if places and (places[0] is None or isinstance(places[0], bool) and len(places) > 1):
        places = places[1:]  # sort(x, stable, dim, descending)
    dim, descending = [*places, *(dim, descending)[len(places):]][:2]
    value, axis = ops.read(x), axis_of(dim, x.ndim)
    ordered = ops.run("sort", [value], axis=axis, descending=bool(descending))
    return ops.fresh(ordered, x.dtype), argsort(ops, x, dim, descending)


@operator("argsort")
def argsort(ops, x, dim=-1, descending=False, stable=None):
    axis, value = axis_of(dim, x.ndim), ops.read(x)
    if value.node is None:
        return ops.fresh(Value(np.argsort(-value.array if descending else value.array, axis, kind="stable").astype(np.int64)))
    return ops.fresh(_ranked(ops, value, axis, bool(descending)))


@operator("topk")
def topk(ops, x, k, dim=-1, largest=True, sorted=True):
    """The largest one by one, each taken out before the next is looked for."""
    axis, value = axis_of(dim, x.ndim), ops.read(x)
    if not 0 < k <= MOST_PASSES:
        raise UnsupportedError(f"topk of {k} is not followed here (1 to {MOST_PASSES})")
    fn, worst = ("max", -np.inf) if largest else ("min", np.inf)
    line = Value(np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1)))
    found, places = [], []
    for i in range(k):
        place = ops.run("arg", [value], dtype="i64", fn=fn, axis=axis)
        found.append(ops.run("take", [ops.read(x), place], axis=axis))
        places.append(place)
        if i + 1 < k:
            value = ops.where(ops.binary("eq", line, place), Value(np.asarray(worst, value.array.dtype)), value)
    return ops.fresh(ops.cat(found, axis), x.dtype), ops.fresh(ops.cat(places, axis))


@operator("median")
def median(ops, x, dim=None, keepdim=False):
    """The lower of the two in the middle."""
    if dim is None:
        flat = ops.run("sort", [ops.reshape(ops.read(x), (x.size,))], axis=0, descending=False)
        return ops.fresh(ops.reshape(ops.cut(flat, 0, (x.size - 1) // 2, (x.size - 1) // 2 + 1), ()), x.dtype)
    axis = axis_of(dim, x.ndim)
    middle = (x.shape[axis] - 1) // 2
    values, places = sort(ops, x, dim)
    return tuple(ops.fresh(squeezed(ops, ops.cut(ops.read(v), axis, middle, middle + 1), (axis,), keepdim), v.dtype)
                 for v in (values, places))


@operator("bucketize")
def bucketize(ops, x, boundaries, out_int32=False, right=False):
    edges, value = ops.known(boundaries, "boundaries"), ops.read(x)
    wide = ops.reshape(value, (*x.shape, 1))
    above = ops.binary("ge" if right else "gt", wide, ops.cast(Value(edges), KIND[value.array.dtype]))
    return ops.fresh(squeezed(ops, ops.reduce("add", ops.cast(above, "i64"), (x.ndim,)), (x.ndim,), False))


@operator("searchsorted")
def searchsorted(ops, sorted_sequence, x, out_int32=False, right=False, side=None, sorter=None):
    if sorted_sequence.ndim != 1:
        raise UnsupportedError("searchsorted in more than one line is not known here")
    return bucketize(ops, x, sorted_sequence, out_int32, right or side == "right")
