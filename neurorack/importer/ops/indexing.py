"""Operators that pick numbers by their places, put them at places, or sort them."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UnsupportedError
from ..tensors import BOOL, HELD, INT64, Tensor, Value
from ..trace import DTYPES
from .arguments import axis_of, pair
from .table import OPERATORS, operator

MOST_COMPARED = 1 << 16  # places by indices of a scatter that depends on data
MOST_RUNS = 8      # of places side by side


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


def _scattered_anywhere(ops, x, axis, index, src) -> Value:
    """Each place looks for the last index that names it."""
    n, m = x.shape[axis], index.shape[axis]
    if any(a != b for i, (a, b) in enumerate(zip(x.shape, index.shape)) if i != axis) or n * m > MOST_COMPARED:
        raise UnsupportedError(f"scatter at {m} of {n} places that depend on data is not followed here")
    last = [i for i in range(x.ndim) if i != axis] + [axis]
    base, where = ops.permute(ops.read(x), last), ops.permute(ops.read(index), last)
    lead, whole = where.array.shape[:-1], isinstance(src, Tensor) and src.shape != ()
    values = ops.expand(ops.as_value(src, x.dtype), index.shape) if not whole else ops.as_value(src, x.dtype)
    values = ops.permute(ops.cut(values, axis, 0, m), last)
    names = ops.binary("eq", ops.reshape(where, (*lead, 1, m)), Value(np.arange(n)[:, None]))
    order = ops.binary("mul", ops.cast(names, "i64"), Value(np.arange(1, m + 1)))
    final = ops.reshape(ops.reduce("max", order, (x.ndim,)), (*lead, n))
    source = ops.binary("max", ops.binary("sub", final, Value(np.asarray(1))), Value(np.asarray(0)))
    found = ops.run("take", [values, source], axis=x.ndim - 1)
    result = ops.where(ops.binary("gt", final, Value(np.asarray(0))), found, base)
    return ops.permute(result, [last.index(i) for i in range(x.ndim)])


def _scattered(ops, x, dim, index, src) -> Value:
    axis = axis_of(dim, x.ndim)
    if ops.read(index).node is not None:
        return _scattered_anywhere(ops, x, axis, index, src)
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


@operator("index_add")
def index_add(ops, x, dim, index, source, alpha=1):
    """A product with a matrix of zeros and ones."""
    axis = axis_of(dim, x.ndim)
    places = ops.known(index, "an index that is added to").reshape(-1)
    chosen = np.zeros((x.shape[axis], len(places)), DTYPES[HELD[x.dtype]])
    chosen[places, np.arange(len(places))] = alpha
    order = [axis, *(i for i in range(x.ndim) if i != axis)]
    more = ops.permute(ops.as_value(source, x.dtype), order)
    rest = more.array.shape[1:]
    more = ops.run("matmul", [Value(chosen), ops.reshape(more, (len(places), math.prod(rest)))])
    more = ops.permute(ops.reshape(more, (x.shape[axis], *rest)), [order.index(i) for i in range(x.ndim)])
    return ops.fresh(ops.binary("add", ops.read(x), more), x.dtype)


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
