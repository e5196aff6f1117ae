"""Operators that pick numbers by their places, put them at places, or sort them."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UnsupportedError
from ..tensors import BOOL, HELD, INT64, KIND, Tensor, Value
from .arguments import axis_of, pair
from .folds import squeezed
from .table import OPERATORS, operator

MOST_PASSES = 64   # of topk, one for each place
MOST_RUNS = 8      # of places side by side
MOST_RANKED = 512  # elements whose order is found by comparing all with all


def _counted(ops, index: Value, size: int) -> Value:
    """Places counted from the front."""
    if index.node is None:
        if index.array.size and not -size <= index.array.min() <= index.array.max() < size:
            raise ValueError(f"an index outside {size} elements")
        return Value(np.where(index.array < 0, index.array + size, index.array))
    zero = Value(np.asarray(0))
    return ops.where(ops.binary("lt", index, zero), ops.binary("add", index, Value(np.asarray(size))), index)


def rows(ops, x: Value, axis: int, index: Value) -> Value:
    """Entries of one dimension by an index of any shape, whose dimensions take its place."""
    n = x.array.ndim
    steps = np.diff(index.array) if index.array.ndim == 1 and index.node is None else []
    if len(steps) and steps[0] > 0 and (steps == steps[0]).all():
        return ops.cut(x, axis, int(index.array[0]), int(index.array[-1]) + 1, int(steps[0]))
    table = ops.permute(x, [axis, *(i for i in range(n) if i != axis)])
    picked = ops.run("gather", [table, index])
    k = index.array.ndim
    return ops.permute(picked, [*range(k, k + axis), *range(k), *range(k + axis, k + n - 1)])


def at_places(ops, x: Value, axis: int, places: np.ndarray) -> Value:
    """Entries of one dimension at places known before: a few runs laid side by side, or picked one by one."""
    runs = _runs(places)
    if len(runs) > MOST_RUNS:
        return rows(ops, x, axis, Value(places))
    parts, shape = [], x.array.shape
    for first, last, step in runs:
        if step == 0:
            size = [*shape[:axis], last, *shape[axis + 1:]]
            parts.append(ops.expand(ops.cut(x, axis, first, first + 1), size))
        else:
            end = last + step
            parts.append(ops.cut(x, axis, first, end, step) if step > 0 else _backwards(ops, x, axis, first, end))
    return ops.cat(parts, axis)


def _backwards(ops, x, axis, first, end):
    return ops.cut(x, axis, first, None if end < 0 else end, -1)


def _runs(places: np.ndarray) -> list[tuple[int, int, int]]:
    """Runs (first, last, step) of step 1 or -1, and (place, count, 0) of one place again and again."""
    found, i, n = [], 0, len(places)
    while i < n:
        step = int(places[i + 1] - places[i]) if i + 1 < n else 1
        step = step if step in (0, 1, -1) else 1
        j = i
        while j + 1 < n and places[j + 1] - places[j] == step:
            j += 1
        found.append((int(places[i]), int(places[j]), step) if step else (int(places[i]), j - i + 1, 0))
        i = j + 1
    return found


@operator("index_select")
def index_select(ops, x, dim, index):
    axis = axis_of(dim, x.ndim)
    places = _counted(ops, ops.reshape(ops.read(index), (index.size,)), x.shape[axis])
    return ops.fresh(rows(ops, ops.read(x), axis, places), x.dtype)


@operator("embedding")
def embedding(ops, weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    return ops.fresh(ops.run("gather", [ops.read(weight), ops.cast(ops.read(indices), "i64")]), weight.dtype)


@operator("gather")
def gather(ops, x, dim, index, sparse_grad=False):
    axis = axis_of(dim, x.ndim)
    value, places = ops.read(x), ops.read(index)
    for i, (n, m) in enumerate(zip(x.shape, index.shape)):
        if i != axis and m < n:
            value = ops.cut(value, i, 0, m)
    return ops.fresh(ops.run("take", [value, places], axis=axis), x.dtype)


@operator("take_along_dim")
def take_along_dim(ops, x, indices, dim=None):
    return gather(ops, x, dim, indices)


@operator("take")
def take(ops, x, index):
    flat = ops.reshape(ops.read(x), (x.size,))
    return ops.fresh(ops.run("gather", [flat, _counted(ops, ops.read(index), x.size)]), x.dtype)


def _spelled(ops, x, indices):
    """Indices for each dimension: None or whole numbers; truths become places."""
    result: list = []
    for index in indices:
        if index is None:
            result.append(None)
        elif index.dtype == BOOL or index.dtype == 0:
            result += [Value(np.asarray(p, np.int64)) for p in np.nonzero(ops.known(index, "an index of truths"))]
        else:
            result.append(ops.read(index))
    return result + [None] * (x.ndim - len(result))


@operator("index", "_unsafe_index")
def index(ops, x, indices):
    """``x[indices]``; several indices are joined to one of the dimensions they cover together."""
    if x.complex:
        raise UnsupportedError("index of complex numbers is not known here")
    places = _spelled(ops, x, indices)
    axes = [i for i, p in enumerate(places) if p is not None]
    value = ops.read(x)
    if not axes:
        return ops.fresh(value, x.dtype)
    if len(axes) == 1:
        return ops.fresh(rows(ops, value, axes[0], _counted(ops, places[axes[0]], x.shape[axes[0]])), x.dtype)
    joined = None
    for axis in axes:
        place = _counted(ops, places[axis], x.shape[axis])
        if joined is not None:
            place = ops.binary("add", ops.binary("mul", joined, Value(np.asarray(x.shape[axis]))), place)
        joined = place
    rest = [i for i in range(x.ndim) if i not in axes]
    together = axes == list(range(axes[0], axes[-1] + 1))
    first = axes[0] if together else 0
    table = ops.permute(value, [*axes, *rest])
    table = ops.reshape(table, (math.prod(x.shape[i] for i in axes), *(x.shape[i] for i in rest)))
    picked = ops.run("gather", [table, joined])
    k = joined.array.ndim
    return ops.fresh(ops.permute(picked, [*range(k, k + first), *range(k), *range(k + first, k + len(rest))]), x.dtype)


def _put(ops, x, places: np.ndarray, values: Value) -> Value:
    """x with the elements at ``places`` of its flat form replaced by values of the same count; the last one wins."""
    count = x.size
    source = np.arange(count)
    source[places.reshape(-1)] = count + np.arange(places.size)
    flat = ops.reshape(ops.read(x), (count,))
    both = ops.cat([flat, ops.reshape(values, (places.size,))], 0)
    return ops.reshape(ops.run("gather", [both, Value(source)]), x.shape)


@operator("index_put_", "_index_put_impl_")
def index_put_(ops, x, indices, values, accumulate=False, unsafe=False):
    if len(indices) == 1 and indices[0] is not None and indices[0].dtype == BOOL and indices[0].shape == x.shape and values.size == 1:
        chosen = ops.where(ops.read(indices[0]), ops.as_value(values, x.dtype), ops.read(x))
        return ops.write(x, chosen)
    known = [None if i is None else ops.known(i, "an index that is written to") for i in indices]
    where = tuple(slice(None) if i is None else i for i in known)
    places = np.arange(x.size).reshape(x.shape)[where]
    spread = ops.expand(ops.as_value(values, x.dtype), places.shape)
    if accumulate:
        if np.unique(places).size != places.size:
            raise UnsupportedError("index_put_ that adds several numbers at one place is not known here")
        spread = ops.binary("add", ops.run("gather", [ops.reshape(ops.read(x), (x.size,)), Value(places)]), spread)
    return ops.write(x, _put(ops, x, places, spread))


@operator("index_put")
def index_put(ops, x, indices, values, accumulate=False):
    return index_put_(ops, ops.fresh(ops.read(x), x.dtype), indices, values, accumulate)


def _scattered(ops, x, dim, index, src) -> Value:
    axis = axis_of(dim, x.ndim)
    known = ops.known(index, "an index that is written to")
    grid = list(np.indices(known.shape))
    grid[axis] = known
    places = np.arange(x.size).reshape(x.shape)[tuple(grid)]
    if isinstance(src, Tensor) and src.shape != ():
        values = ops.as_value(src, x.dtype)
        for i, n in enumerate(known.shape):
            values = ops.cut(values, i, 0, n) if values.array.shape[i] != n else values
    else:
        values = ops.expand(ops.as_value(src, x.dtype), known.shape)
    return _put(ops, x, places, values)


@operator("scatter")
def scatter(ops, x, dim, index, src=None, value=None, reduce=None):
    if reduce is not None:
        raise UnsupportedError("scatter that reduces is not known here")
    return ops.fresh(_scattered(ops, x, dim, index, value if src is None else src), x.dtype)


def _along(ops, x, dim, index):
    """Places of whole entries along a dimension, as flat numbers."""
    axis = axis_of(dim, x.ndim)
    where = [slice(None)] * x.ndim
    where[axis] = ops.known(index, "an index that is written to").reshape(-1)
    return np.arange(x.size).reshape(x.shape)[tuple(where)]


@operator("index_copy")
def index_copy(ops, x, dim, index, source):
    return ops.fresh(_put(ops, x, _along(ops, x, dim, index), ops.as_value(source, x.dtype)), x.dtype)


@operator("index_fill")
def index_fill(ops, x, dim, index, value):
    places = _along(ops, x, dim, index)
    return ops.fresh(_put(ops, x, places, ops.expand(ops.as_value(value, x.dtype), places.shape)), x.dtype)


@operator("masked_select")
def masked_select(ops, x, mask):
    known = ops.known(mask, "a mask that selects")
    shape = np.broadcast_shapes(x.shape, known.shape)
    value = ops.expand(ops.read(x), shape)
    places = np.flatnonzero(np.broadcast_to(known, shape))
    return ops.fresh(ops.run("gather", [ops.reshape(value, (math.prod(shape),)), Value(places)]), x.dtype)


@operator("select_scatter")
def select_scatter(ops, x, src, dim, index):
    whole = ops.fresh(ops.read(x), x.dtype)
    ops.write(OPERATORS["select"](ops, whole, dim, index), ops.as_value(src, x.dtype))
    return whole


@operator("slice_scatter")
def slice_scatter(ops, x, src, dim=0, start=None, end=None, step=1):
    whole = ops.fresh(ops.read(x), x.dtype)
    ops.write(OPERATORS["slice"](ops, whole, dim, start, end, step), ops.as_value(src, x.dtype))
    return whole


# order


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


@operator("one_hot")
def one_hot(ops, x, num_classes=-1):
    if num_classes < 0:
        num_classes = int(ops.known(x, "a count of classes").max()) + 1
    same = ops.binary("eq", ops.reshape(ops.read(x), (*x.shape, 1)), Value(np.arange(num_classes)))
    return ops.fresh(ops.cast(same, "i64"))


def _triangle(lower):
    def run(ops, x, diagonal=0):
        mask = np.tri(*x.shape[-2:], diagonal if lower else diagonal - 1, dtype=bool)
        value = ops.read(x)
        return ops.fresh(ops.where(Value(mask if lower else ~mask), value, Value(np.asarray(0, value.array.dtype))), x.dtype)

    return run


operator("tril")(_triangle(True))
operator("triu")(_triangle(False))


@operator("tril_indices")
def tril_indices(ops, row, col, offset=0, **options):
    return ops.fresh(Value(np.stack(np.tril_indices(row, offset, col)).astype(np.int64)), INT64)


@operator("triu_indices")
def triu_indices(ops, row, col, offset=0, **options):
    return ops.fresh(Value(np.stack(np.triu_indices(row, offset, col)).astype(np.int64)), INT64)


@operator("diag")
def diag(ops, x, diagonal=0):
    if x.ndim == 2:
        return OPERATORS["diagonal"](ops, x, diagonal)
    n = x.size + abs(diagonal)
    mask = np.eye(n, n, diagonal, dtype=bool)
    line = ops.pad(ops.read(x), (max(diagonal, 0),), (max(-diagonal, 0),), 0)
    if diagonal < 0:
        line = ops.pad(ops.read(x), (0,), (-diagonal,), 0)
    return ops.fresh(ops.where(Value(mask), line, Value(np.asarray(0, line.array.dtype))), x.dtype)


@operator("diag_embed")
def diag_embed(ops, x, offset=0, dim1=-2, dim2=-1):
    if offset or pair([dim1, dim2], 2) != (-2, -1):
        raise UnsupportedError("diag_embed to other dimensions is not known here")
    n, value = x.shape[-1], ops.read(x)
    wide = ops.reshape(value, (*x.shape, 1))
    return ops.fresh(ops.where(Value(np.eye(n, dtype=bool)), wide, Value(np.asarray(0, value.array.dtype))), x.dtype)


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
