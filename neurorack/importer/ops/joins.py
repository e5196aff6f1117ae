"""Operators that join tensors, repeat them or move their parts around."""

from __future__ import annotations

import numpy as np

from ..tensors import Tensor
from .arguments import axes_of, axis_of, pair, whole
from .table import operator
from .views import expand, reshaped, slice_, transpose, unsqueeze


@operator("cat", "concat", "concatenate")
def cat(ops, tensors, dim=0):
    tensors = [x for x in tensors if x.shape != (0,)] or list(tensors[:1])
    dtype = ops.promote(*tensors)
    return ops.fresh(ops.cat([ops.as_value(x, dtype) for x in tensors], axis_of(dim, tensors[0].ndim)), dtype)


@operator("stack")
def stack(ops, tensors, dim=0):
    dim = dim + tensors[0].ndim + 1 if dim < 0 else dim
    return cat(ops, [unsqueeze(ops, x, dim) for x in tensors], dim)


@operator("hstack")
def hstack(ops, tensors):
    return cat(ops, [x if x.ndim else reshaped(ops, x, [1]) for x in tensors], 0 if tensors[0].ndim < 2 else 1)


@operator("vstack")
def vstack(ops, tensors):
    return cat(ops, [reshaped(ops, x, [1, -1]) if x.ndim < 2 else x for x in tensors], 0)


@operator("flip")
def flip(ops, x, dims):
    axes, n = axes_of(dims, x.ndim), x.ndim + x.complex
    shape = ops.read(x).array.shape
    return ops.fresh(ops.run("slice", [ops.read(x)], start=tuple(shape[i] - 1 if i in axes else 0 for i in range(n)),
                             stop=tuple(None if i in axes else shape[i] for i in range(n)),
                             step=tuple(-1 if i in axes else 1 for i in range(n))), x.dtype) if x.size else x


@operator("roll")
def roll(ops, x, shifts, dims=None):
    shifts = pair(shifts)
    if not dims:
        return reshaped(ops, roll(ops, reshaped(ops, x, [-1]), shifts, [0]), x.shape)
    value = ops.read(x)
    for shift, dim in zip(shifts, pair(dims)):
        axis = axis_of(dim, x.ndim)
        n = x.shape[axis]
        if n and shift % n:
            edge = n - shift % n
            value = ops.cat([ops.cut(value, axis, edge, n), ops.cut(value, axis, 0, edge)], axis)
    return ops.fresh(value, x.dtype)


@operator("repeat")
def repeat(ops, x, repeats):
    """Whole copies side by side: a new dimension of each count before every dimension."""
    repeats = [whole(r, ops) for r in repeats]
    new = len(repeats) - x.ndim
    shape = (1,) * new + x.shape
    apart, wide = [], []
    for r, n in zip(repeats, shape):
        apart += [1, n]
        wide += [r, n]
    pair_ = (2,) * x.complex
    value = ops.expand(ops.reshape(ops.read(x), (*apart, *pair_)), (*wide, *pair_))
    return ops.fresh(ops.reshape(value, (*(r * n for r, n in zip(repeats, shape)), *pair_)), x.dtype)


@operator("tile")
def tile(ops, x, dims):
    return repeat(ops, x, [1] * (x.ndim - len(dims)) + list(dims))


@operator("repeat_interleave")
def repeat_interleave(ops, x, repeats, dim=None, output_size=None):
    if dim is None:
        x, dim = reshaped(ops, x, [-1]), 0
    axis = axis_of(dim, x.ndim)
    if isinstance(repeats, Tensor):
        counts = ops.known(repeats, "a count of repeats").reshape(-1)
        if counts.size > 1:
            places = np.repeat(np.arange(x.shape[axis]), counts)
            return cat(ops, [slice_(ops, x, axis, int(i), int(i) + 1) for i in places], axis)
        repeats = int(counts[0])
    lead, rest = x.shape[:axis + 1], x.shape[axis + 1:] + (2,) * x.complex
    value = ops.expand(ops.reshape(ops.read(x), lead + (1,) + rest), lead + (repeats,) + rest)
    return ops.fresh(ops.reshape(value, x.shape[:axis] + (x.shape[axis] * repeats,) + rest), x.dtype)


@operator("meshgrid")
def meshgrid(ops, tensors, indexing="ij"):
    shape = tuple(x.size for x in tensors)
    grids = []
    for i, x in enumerate(tensors):
        line = reshaped(ops, x, [n if j == i else 1 for j, n in enumerate(shape)])
        grid = expand(ops, line, shape)
        grids.append(transpose(ops, grid, 0, 1) if indexing == "xy" and len(shape) > 1 else grid)
    return grids


@operator("broadcast_tensors")
def broadcast_tensors(ops, tensors):
    shape = np.broadcast_shapes(*(x.shape for x in tensors))
    return [expand(ops, x, shape) for x in tensors]
