"""Operators that lengthen, shorten or resample: padding, pooling, interpolation."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UnsupportedError
from ..tensors import HELD, Tensor, Value
from ..trace import DTYPES
from . import views
from .arguments import pair
from .indexing import at_places
from .table import operator


@operator("pad")
def pad(ops, x, pad, mode="constant", value=None):
    edges = [int(p) for p in pad]
    if mode == "constant":
        return constant_pad_nd(ops, x, edges, 0 if value is None else value)
    v = ops.read(x)
    for k in range(len(edges) // 2):
        axis = x.ndim - 1 - k
        v = _mirrored(ops, v, axis, edges[2 * k], edges[2 * k + 1], mode)
    return ops.fresh(v, x.dtype)


@operator("constant_pad_nd")
def constant_pad_nd(ops, x, pad, value=0):
    """Negative counts crop."""
    value = ops.number(value) if isinstance(value, Tensor) else value
    edges = [(0, 0)] * x.ndim
    for k in range(len(pad) // 2):
        edges[x.ndim - 1 - k] = (int(pad[2 * k]), int(pad[2 * k + 1]))
    kept = ops.slice_view(x, [(max(-a, 0), n - max(-b, 0), 1) for (a, b), n in zip(edges, x.shape)])
    more = (0,) * x.complex
    before, after = tuple(max(a, 0) for a, _ in edges) + more, tuple(max(b, 0) for _, b in edges) + more
    return ops.fresh(ops.pad(ops.read(kept), before, after, value), x.dtype)


def _mirrored(ops, v: Value, axis: int, left: int, right: int, mode: str) -> Value:
    n = v.array.shape[axis]
    if mode == "reflect":
        places = np.pad(np.arange(n), (max(left, 0), max(right, 0)), "reflect")
    elif mode == "replicate":
        places = np.pad(np.arange(n), (max(left, 0), max(right, 0)), "edge")
    elif mode == "circular":
        places = np.pad(np.arange(n), (max(left, 0), max(right, 0)), "wrap")
    else:
        raise UnsupportedError(f"padding of the kind {mode!r} is not known here")
    return at_places(ops, v, axis, places[max(-left, 0):len(places) - max(-right, 0)])


def _padded_mode(name, mode):
    operator(name)(lambda ops, x, padding: pad(ops, x, padding, mode))


for _lines in "1d", "2d", "3d":
    _padded_mode(f"reflection_pad{_lines}", "reflect")
    _padded_mode(f"replication_pad{_lines}", "replicate")


@operator("_pad_circular")
def pad_circular(ops, x, pad_):
    return pad(ops, x, pad_, "circular")


# pooling


def _windows(ops, v: Value, size, stride, padding, dilation, ceil_mode, fill) -> tuple[Value, int]:
    """Windows [n, c, frames, size] of [n, c, t]; also how many frames."""
    n, c, t = v.array.shape
    reach = dilation * (size - 1) + 1
    frames = (t + 2 * padding - reach) // stride + 1
    if ceil_mode:
        frames = -(-(t + 2 * padding - reach) // stride) + 1
        frames -= (frames - 1) * stride >= t + padding
    after = max((frames - 1) * stride + reach - t - padding, 0)
    if frames < 1:
        raise ValueError(f"windows of {size} over {t}")
    v = ops.pad(v, (0, 0, padding), (0, 0, after), fill)
    parts = [ops.reshape(ops.cut(v, 2, k * dilation, k * dilation + (frames - 1) * stride + 1, stride), (n, c, frames, 1))
             for k in range(size)]
    return ops.cat(parts, 3), frames


def _lined(function):
    """For [c, t] as for [n, c, t]."""

    def run(ops, x, *args, **kwargs):
        if x.ndim == 2:
            result = function(ops, views.unsqueeze(ops, x, 0), *args, **kwargs)
            return tuple(views.squeeze(ops, y, 0) for y in result) if isinstance(result, tuple) else views.squeeze(ops, result, 0)
        return function(ops, x, *args, **kwargs)

    return run


def _avg_pool1d(ops, x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    (size,), (padding,) = pair(kernel_size), pair(padding)
    (stride,) = pair(stride) if stride else (size,)
    windows, frames = _windows(ops, ops.read(x), size, stride, padding, 1, ceil_mode, 0)
    starts = np.arange(frames) * stride - padding
    low = np.maximum(starts, 0) if not count_include_pad else starts
    high = np.minimum(starts + size, x.shape[2] + (padding if count_include_pad else 0))
    total = ops.reduce("add", windows, (3,))
    total = ops.reshape(total, total.array.shape[:3])
    counts = (high - low).astype(total.array.dtype)
    if (counts == counts[0]).all():
        return ops.fresh(ops.scaled(total, 1 / float(counts[0])), x.dtype)
    return ops.fresh(ops.binary("div", total, Value(counts)), x.dtype)


def _max_pool1d(ops, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    (size,), (padding,), (dilation,) = pair(kernel_size), pair(padding), pair(dilation)
    (stride,) = pair(stride) if stride else (size,)
    windows, _ = _windows(ops, ops.read(x), size, stride, padding, dilation, ceil_mode, -np.inf)
    most = ops.reduce("max", windows, (3,))
    return ops.fresh(ops.reshape(most, most.array.shape[:3]), x.dtype)


operator("avg_pool1d")(_lined(_avg_pool1d))
operator("max_pool1d")(_lined(_max_pool1d))


def _adaptive(fn):
    def run(ops, x, output_size):
        (count,) = pair(output_size)
        value, t, parts = ops.read(x), x.shape[2], []
        if t % count == 0:
            split = ops.reshape(value, (*x.shape[:2], count, t // count))
            folded = ops.reduce(fn, split, (3,), count / t if fn == "add" else 1.0)
            return ops.fresh(ops.reshape(folded, (*x.shape[:2], count)), x.dtype)
        for i in range(count):
            a, b = i * t // count, -(-(i + 1) * t // count)
            parts.append(ops.reduce(fn, ops.cut(value, 2, a, b), (2,), 1 / (b - a) if fn == "add" else 1.0))
        return ops.fresh(ops.cat(parts, 2), x.dtype)

    return _lined(run)


operator("adaptive_avg_pool1d")(_adaptive("add"))


# interpolation


def _counts(x, output_size, scales) -> tuple[int, float | None]:
    """Length of the result, and the factor that says how places relate, where one was given."""
    scale = pair_float(scales)
    if output_size is not None and list(output_size):
        return int(list(output_size)[0]), scale
    return int(math.floor(x.shape[2] * scale)), scale


def pair_float(scales) -> float | None:
    if scales is None:
        return None
    if isinstance(scales, (list, tuple)):
        return float(scales[0]) if scales and scales[0] is not None else None
    return float(scales)


def _line(x):
    if x.ndim != 3:
        raise UnsupportedError(f"interpolation of a tensor of {x.ndim} dimensions is not known here")


def _nearest(exact):
    def run(ops, input, output_size=None, scales=None):
        _line(input)
        count, scale = _counts(input, output_size, scales)
        t = input.shape[2]
        ratio = np.float32(1 / scale) if scale else np.float32(t) / np.float32(count)
        places = np.floor((np.arange(count, dtype=np.float32) + np.float32(0.5 * exact)) * ratio).astype(np.int64)
        return ops.fresh(at_places(ops, ops.read(input), 2, np.minimum(places, t - 1)), input.dtype)

    return run


operator("upsample_nearest1d")(_nearest(False))
operator("_upsample_nearest_exact1d")(_nearest(True))


def _nearest2d(exact):
    def run(ops, input, output_size=None, *scales):
        return _by_lines(ops, input, output_size, scales, lambda x, size, scale: _nearest(exact)(ops, x, size, scale))

    return run


def _by_lines(ops, input, output_size, scales, along):
    """Along t of [n, c, h, t], then along h: a line at a time as [n * h, c, t]."""
    if len(scales) == 1 and isinstance(scales[0], (list, tuple)):
        scales = scales[0]
    for axis in (1, 0):
        input = views.transpose(ops, input, 2, 3) if axis == 0 else input
        n, c, h, t = input.shape
        size = None if output_size is None else [output_size[axis]]
        scale = None if not scales or scales[0] is None else [scales[axis]]
        lines = views.reshaped(ops, views.transpose(ops, input, 1, 2), [n * h, c, t])
        lines = along(lines, size, scale)
        input = views.transpose(ops, views.reshaped(ops, lines, [n, h, c, lines.shape[2]]), 1, 2)
        input = views.transpose(ops, input, 2, 3) if axis == 0 else input
    return input


operator("upsample_nearest2d")(_nearest2d(False))
operator("_upsample_nearest_exact2d")(_nearest2d(True))


@operator("upsample_bilinear2d")
def upsample_bilinear2d(ops, input, output_size=None, align_corners=False, *scales):
    return _by_lines(ops, input, output_size, scales,
                     lambda x, size, scale: upsample_linear1d(ops, x, size, align_corners, scale))


@operator("upsample_linear1d")
def upsample_linear1d(ops, input, output_size=None, align_corners=False, scales=None):
    _line(input)
    if isinstance(align_corners, (list, tuple)):
        align_corners, scales = scales, align_corners
    count, scale = _counts(input, output_size, scales)
    t = input.shape[2]
    if count == t:
        return input
    if align_corners:
        at = np.arange(count, dtype=np.float32) * np.float32((t - 1) / (count - 1) if count > 1 else 0)
    else:
        ratio = np.float32(1 / scale) if scale else np.float32(t) / np.float32(count)
        at = np.maximum((np.arange(count, dtype=np.float32) + np.float32(0.5)) * ratio - np.float32(0.5), 0)
    low = np.minimum(np.floor(at).astype(np.int64), t - 1)
    high, part = np.minimum(low + 1, t - 1), (at - low).astype(np.float32)
    value = ops.read(input)
    kind = value.array.dtype
    left, right = at_places(ops, value, 2, low), at_places(ops, value, 2, high)
    return ops.fresh(ops.binary("add", ops.binary("mul", left, Value((1 - part).astype(kind))),
                                ops.binary("mul", right, Value(part.astype(kind)))), input.dtype)


@operator("__interpolate", "interpolate")
def interpolate(ops, input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
                antialias=False):
    size = None if size is None else pair(size)
    scale = None if recompute_scale_factor and size is None else scale_factor
    if size is None and scale is None:
        size = [int(math.floor(input.shape[2] * pair_float(scale_factor)))]
    if mode == "nearest":
        return _nearest(False)(ops, input, size, scale)
    if mode == "nearest-exact":
        return _nearest(True)(ops, input, size, scale)
    if mode == "linear":
        return upsample_linear1d(ops, input, size, bool(align_corners), scale)
    raise UnsupportedError(f"interpolation of the kind {mode!r} is not known here")


def _line_axis(sizes, *others) -> int:
    """Which of two dimensions is more than a line of one."""
    for axis in (0, 1):
        if sizes[1 - axis] == 1 and all(pair(o, 2)[1 - axis] == one for o, one in others):
            return axis
    raise UnsupportedError("fold and unfold in two dimensions at once are not known here")


@operator("col2im")
def col2im(ops, x, output_size, kernel_size, dilation, padding, stride):
    """[n, c * taps, frames] added up where windows overlap, [n, c, 1, t] or [n, c, t, 1]: a transposed convolution by ones."""
    kernel = pair(kernel_size, 2)
    axis = _line_axis(kernel, (padding, 0), (stride, 1)) if 1 in kernel else _line_axis(kernel)
    taps, step, edge, gap = (pair(v, 2)[axis] for v in (kernel, stride, padding, dilation))
    flat = x if x.ndim == 3 else views.unsqueeze(ops, x, 0)
    n, rows, frames = flat.shape
    size = pair(output_size, 2)[axis]
    ones = np.tile(np.eye(taps, dtype=DTYPES[HELD[x.dtype]])[:, None], (rows // taps, 1, 1))
    whole = (frames - 1) * step + gap * (taps - 1) + 1
    y = ops.run("conv_transpose1d", [ops.read(flat), Value(ones)], (n, rows // taps, whole), stride=step, padding=(0, 0),
                output_padding=0, dilation=gap, groups=rows // taps)
    y = ops.cut(ops.pad(y, (0, 0, 0), (0, 0, max(edge + size - whole, 0)), 0), 2, edge, edge + size)
    shape = (n, rows // taps, *((size, 1) if axis == 0 else (1, size)))
    return ops.fresh(ops.reshape(y, shape if x.ndim == 3 else shape[1:]), x.dtype)


@operator("im2col")
def im2col(ops, x, kernel_size, dilation, padding, stride):
    """Windows of [n, c, 1, t] or [n, c, t, 1] as [n, c * taps, frames]."""
    kernel = pair(kernel_size, 2)
    axis = _line_axis(kernel, (padding, 0), (stride, 1))
    if x.ndim != 4 or x.shape[3 - axis] != 1:
        raise UnsupportedError("unfold in two dimensions at once is not known here")
    n, c = x.shape[:2]
    taps, step, edge, gap = (pair(v, 2)[axis] for v in (kernel, stride, padding, dilation))
    windows, frames = _windows(ops, ops.reshape(ops.read(x), (n, c, x.shape[2 + axis])), taps, step, edge, gap, False, 0)
    return ops.fresh(ops.reshape(ops.permute(windows, (0, 1, 3, 2)), (n, c * taps, frames)), x.dtype)


@operator("pixel_shuffle")
def pixel_shuffle(ops, x, upscale_factor):
    r, (n, c, h, w) = upscale_factor, x.shape
    value = ops.reshape(ops.read(x), (n, c // (r * r), r, r, h, w))
    return ops.fresh(ops.reshape(ops.permute(value, (0, 1, 4, 2, 5, 3)), (n, c // (r * r), h * r, w * r)), x.dtype)
