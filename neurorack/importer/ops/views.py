"""Operators that show the same numbers in another shape, and those that join them or move them around."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UnsupportedError
from ..tensors import COMPLEX, COMPLEX_DOUBLE, DOUBLE, FLOAT, strides_of_view
from .arguments import axes_of, axis_of, pair, whole
from .table import operator


@operator("slice")
def slice_(ops, x, dim=0, start=None, end=None, step=1):
    axis = axis_of(dim, x.ndim)
    size = x.shape[axis]
    start, end = (None if p is None else whole(p, ops) for p in (start, end))
    start, end, step = slice(start, end, 1).indices(size)[0], slice(start, end, 1).indices(size)[1], int(step)
    parts = [(0, n, 1) for n in x.shape]
    parts[axis] = (start, max(start, end), step)
    return ops.slice_view(x, parts)


@operator("narrow")
def narrow(ops, x, dim, start, length):
    start = whole(start, ops)
    start += x.shape[dim] if start < 0 else 0
    if start + length > x.shape[dim]:
        raise ValueError(f"{start} + {length} of {x.shape[dim]}")
    return slice_(ops, x, dim, start, start + length)


@operator("select")
def select(ops, x, dim, index):
    axis = axis_of(dim, x.ndim)
    index = whole(index, ops)
    if not -x.shape[axis] <= index < x.shape[axis]:
        raise ValueError(f"index {index} of {x.shape[axis]}")
    index %= x.shape[axis]
    part = slice_(ops, x, axis, index, index + 1)
    return squeeze(ops, part, axis)


def reshaped(ops, x, shape):
    """A view in another shape where memory allows, else a copy, as torch decides."""
    shape = [whole(n, ops) for n in shape]
    if -1 in shape:
        rest = math.prod(n for n in shape if n != -1)
        shape[shape.index(-1)] = x.size // rest if rest else 0
    shape = tuple(shape)
    if math.prod(shape) != x.size:
        raise ValueError(f"{list(x.shape)} can't be seen as {list(shape)}")
    strides = strides_of_view(x.shape, x.strides, shape)
    if strides is None:
        return ops.fresh(ops.reshape(ops.read(x), shape + (2,) * x.complex), x.dtype)
    return ops.view(x, "reshape", shape, strides)


@operator("reshape", "view", "_unsafe_view", "_reshape_alias")
def reshape(ops, x, shape, *rest):
    return reshaped(ops, x, shape)


@operator("view_as", "reshape_as")
def view_as(ops, x, other):
    return reshaped(ops, x, other.shape)


@operator("flatten")
def flatten(ops, x, start_dim=0, end_dim=-1):
    if not x.ndim:
        return reshaped(ops, x, [1])
    a, b = axis_of(start_dim, x.ndim), axis_of(end_dim, x.ndim)
    return x if a == b else reshaped(ops, x, [*x.shape[:a], math.prod(x.shape[a:b + 1]), *x.shape[b + 1:]])


@operator("ravel")
def ravel(ops, x):
    return reshaped(ops, x, [-1])


@operator("unflatten")
def unflatten(ops, x, dim, sizes):
    a = axis_of(dim, x.ndim)
    sizes = list(sizes)
    if -1 in sizes:
        sizes[sizes.index(-1)] = x.shape[a] // -math.prod(sizes)
    return reshaped(ops, x, [*x.shape[:a], *sizes, *x.shape[a + 1:]])


@operator("unsqueeze")
def unsqueeze(ops, x, dim):
    a = dim + x.ndim + 1 if dim < 0 else dim
    stride = x.shape[a] * x.strides[a] if a < x.ndim else 1
    return ops.view(x, "reshape", x.shape[:a] + (1,) + x.shape[a:], x.strides[:a] + (stride,) + x.strides[a:])


@operator("squeeze")
def squeeze(ops, x, dim=None):
    axes = range(x.ndim) if dim is None else axes_of(dim, x.ndim)
    kept = [i for i in range(x.ndim) if not (i in axes and x.shape[i] == 1)]
    return ops.view(x, "reshape", [x.shape[i] for i in kept], [x.strides[i] for i in kept])


@operator("permute")
def permute(ops, x, dims):
    order = tuple(axis_of(d, x.ndim) for d in dims)
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"order {list(dims)}")
    return ops.view(x, "permute", [x.shape[i] for i in order], [x.strides[i] for i in order], order=order)


@operator("transpose", "swapaxes", "swapdims")
def transpose(ops, x, dim0, dim1):
    order = list(range(x.ndim))
    if order:
        a, b = axis_of(dim0, x.ndim), axis_of(dim1, x.ndim)
        order[a], order[b] = order[b], order[a]
    return permute(ops, x, order)


@operator("movedim", "moveaxis")
def movedim(ops, x, source, destination):
    source = [axis_of(d, x.ndim) for d in pair(source)]
    destination = [axis_of(d, x.ndim) for d in pair(destination)]
    rest = iter(i for i in range(x.ndim) if i not in source)
    return permute(ops, x, [source[destination.index(i)] if i in destination else next(rest) for i in range(x.ndim)])


@operator("t")
def t(ops, x):
    return transpose(ops, x, 0, 1) if x.ndim == 2 else x


@operator("mT")
def matrix_transpose(ops, x):
    return transpose(ops, x, -2, -1)


@operator("expand", "broadcast_to")
def expand(ops, x, size, implicit=False):
    new = len(size) - x.ndim
    shape = tuple(n if n != -1 else x.shape[i - new] for i, n in enumerate(whole(s, ops) for s in size))
    strides = tuple(0 if i < new or (x.shape[i - new] == 1 and n != 1) else x.strides[i - new] for i, n in enumerate(shape))
    return ops.view(x, "expand", shape, strides) if shape != x.shape else ops.view(x, "", x.shape, x.strides)


@operator("expand_as")
def expand_as(ops, x, other):
    return expand(ops, x, other.shape)


@operator("chunk")
def chunk(ops, x, chunks, dim=0):
    size = x.shape[axis_of(dim, x.ndim)]
    return split(ops, x, max(-(-size // chunks), 1), dim)


@operator("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes")
def split(ops, x, split_size, dim=0):
    axis = axis_of(dim, x.ndim)
    n = x.shape[axis]
    if isinstance(split_size, (list, tuple)):
        edges = np.cumsum([0, *split_size]).tolist()
        if edges[-1] != n:
            raise ValueError(f"parts of {list(split_size)} do not make {n}")
    else:
        edges = [*range(0, n, whole(split_size, ops)), n] if n else [0, 0]
    return [slice_(ops, x, axis, a, b) for a, b in zip(edges, edges[1:])]


@operator("unsafe_chunk")
def unsafe_chunk(ops, x, chunks, dim=0):
    return chunk(ops, x, chunks, dim)


@operator("tensor_split")
def tensor_split(ops, x, indices_or_sections, dim=0):
    n = x.shape[axis_of(dim, x.ndim)]
    parts = indices_or_sections
    if isinstance(parts, int):
        edges = np.cumsum([0] + [n // parts + (i < n % parts) for i in range(parts)]).tolist()
    else:
        edges = [0, *parts, n]
    return [slice_(ops, x, dim, a, b) for a, b in zip(edges, edges[1:])]


@operator("unbind")
def unbind(ops, x, dim=0):
    return [select(ops, x, dim, i) for i in range(x.shape[axis_of(dim, x.ndim)])]


@operator("view_as_real")
def view_as_real(ops, x):
    strides = tuple(2 * s for s in x.strides) + (1,)
    return ops.view(x, "", x.shape + (2,), strides, 2 * x.offset, DOUBLE if x.dtype == COMPLEX_DOUBLE else FLOAT)


@operator("view_as_complex")
def view_as_complex(ops, x):
    if not x.shape or x.shape[-1] != 2 or x.dtype not in (FLOAT, DOUBLE):
        raise ValueError("pairs of numbers are needed")
    strides = tuple(s // 2 for s in x.strides[:-1])
    return ops.view(x, "", x.shape[:-1], strides, x.offset // 2, COMPLEX if x.dtype == FLOAT else COMPLEX_DOUBLE)


@operator("real")
def real(ops, x):
    return select(ops, view_as_real(ops, x), -1, 0) if x.complex else x


@operator("imag")
def imag(ops, x):
    return select(ops, view_as_real(ops, x), -1, 1)


@operator("diagonal")
def diagonal(ops, x, offset=0, dim1=0, dim2=1):
    """As a chain: rows laid one after another, of which every (columns + 1)-th number is taken."""
    a, b = axis_of(dim1, x.ndim), axis_of(dim2, x.ndim)
    rest = [i for i in range(x.ndim) if i not in (a, b)]
    (high, wide), shape, strides = (x.shape[a], x.shape[b]), [x.shape[i] for i in rest], [x.strides[i] for i in rest]
    first = offset if offset >= 0 else -offset * wide
    count = max(0, min(high + min(offset, 0), wide - max(offset, 0)))
    flat = ops.view(permute(ops, x, [*rest, a, b]), "reshape", [*shape, high * wide], [*strides, 0])
    start, ones = (0,) * len(rest), (1,) * len(rest)
    at = x.offset + (offset * x.strides[b] if offset >= 0 else -offset * x.strides[a])
    return ops.view(flat, "slice", [*shape, count], [*strides, x.strides[a] + x.strides[b]], at, start=(*start, first),
                    stop=(*shape, first + (count - 1) * (wide + 1) + 1 if count else first), step=(*ones, wide + 1))


@operator("as_strided")
def as_strided(ops, x, size, stride, storage_offset=None):
    return ops.over(x.storage, tuple(size), tuple(stride), x.offset if storage_offset is None else storage_offset, x.dtype)


@operator("unfold")
def unfold(ops, x, dimension, size, step):
    """Windows of one dimension as a new last one; made of steps laid side by side."""
    axis = axis_of(dimension, x.ndim)
    n = x.shape[axis]
    if size > n or size < 1 or step < 1:
        raise ValueError(f"windows of {size} every {step} of {n}")
    frames = (n - size) // step + 1
    last = permute(ops, x, [*(i for i in range(x.ndim) if i != axis), axis])
    value, lead = ops.read(last), last.shape[:-1]
    parts, end = -(-size // step), x.ndim - 1
    need = (frames - 1 + parts) * step
    if need > n:
        value = ops.pad(value, (0,) * x.ndim, (0,) * end + (need - n,), 0)
    rows = []
    for j in range(parts):
        part = ops.reshape(ops.cut(value, end, j * step, (j + frames) * step), lead + (frames, step))
        rows.append(ops.cut(part, x.ndim, 0, min(step, size - j * step)))
    value = ops.cat(rows, x.ndim)
    return ops.fresh(ops.permute(value, [*range(axis), x.ndim - 1, *range(axis, x.ndim - 1), x.ndim]), x.dtype)


@operator("contiguous")
def contiguous(ops, x, memory_format=0):
    return x if x.contiguous() else ops.fresh(ops.read(x), x.dtype)


@operator("clone", "alias_copy")
def clone(ops, x, memory_format=None):
    return ops.fresh(ops.read(x), x.dtype)


@operator("detach", "alias", "requires_grad_", "detach_", "resolve_conj", "resolve_neg", "lift_fresh", "lift_fresh_copy")
def same(ops, x, *rest, **options):
    return x


@operator("resize_")
def resize_(ops, x, size, memory_format=None):
    if tuple(size) != x.shape:
        raise UnsupportedError("resize_ to another shape is not known here")
    return x
