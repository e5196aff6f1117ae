"""Every operation of a trace in numpy: ``KERNELS[op](params, shape, dtype)`` makes the function of its input arrays.

This is the definition of the operations of ``trace.py``; interpretation and replay both run it. Functions never
change their inputs and may return views of them, so nothing that holds a result may be written to.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..trace import DTYPES

_ERF = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x):
    return np.reciprocal(np.exp(-x) + 1)


def _where_positive(x, low):
    return np.where(x > 0, x, low)


#: Functions of one number; parameters ``a`` and ``b`` come as numbers of x's own type.
UNARY = {
    "copy": lambda x, a, b: x, "neg": lambda x, a, b: np.negative(x), "abs": lambda x, a, b: np.abs(x),
    "square": lambda x, a, b: x * x, "sqrt": lambda x, a, b: np.sqrt(x), "reciprocal": lambda x, a, b: 1 / x,
    "exp": lambda x, a, b: np.exp(x), "log": lambda x, a, b: np.log(x), "sin": lambda x, a, b: np.sin(x),
    "cos": lambda x, a, b: np.cos(x), "tanh": lambda x, a, b: np.tanh(x), "sigmoid": lambda x, a, b: _sigmoid(x),
    "softplus": lambda x, a, b: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "relu": lambda x, a, b: np.maximum(x, 0), "leaky_relu": lambda x, a, b: _where_positive(x, x * a),
    "elu": lambda x, a, b: _where_positive(x, a * np.expm1(np.minimum(x, 0))), "silu": lambda x, a, b: x * _sigmoid(x),
    "clamp": lambda x, a, b: np.minimum(np.maximum(x, a), b), "affine": lambda x, a, b: x * a + b,
    "floor": lambda x, a, b: np.floor(x), "ceil": lambda x, a, b: np.ceil(x), "round": lambda x, a, b: np.rint(x),
    "trunc": lambda x, a, b: np.trunc(x), "sign": lambda x, a, b: np.sign(x), "log1p": lambda x, a, b: np.log1p(x),
    "expm1": lambda x, a, b: np.expm1(x), "asin": lambda x, a, b: np.arcsin(x), "acos": lambda x, a, b: np.arccos(x),
    "atan": lambda x, a, b: np.arctan(x), "tan": lambda x, a, b: np.tan(x), "erf": lambda x, a, b: _ERF(x),
    "rsqrt": lambda x, a, b: 1 / np.sqrt(x), "not": lambda x, a, b: x == 0,
}
BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "max": np.maximum, "min": np.minimum,
    "pow": np.power, "fmod": np.fmod, "remainder": np.remainder, "atan2": np.arctan2, "eq": np.equal, "ne": np.not_equal,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "and": np.logical_and, "or": np.logical_or,
}


def indices(params) -> tuple[slice, ...]:
    """The numpy slices that a ``slice`` or ``assign`` names."""
    return tuple(slice(a, b, c) for a, b, c in zip(params["start"], params["stop"], params["step"]))


def _unary(params, shape, dtype):
    fn, kind = UNARY[params["fn"]], DTYPES[dtype]
    number = kind if dtype != "bool" else float
    a, b = number(params.get("a", 0)), number(params.get("b", 0))
    if params["fn"] == "clamp" and math.isinf(a):
        return lambda x: np.minimum(x, b)
    if params["fn"] == "clamp" and math.isinf(b):
        return lambda x: np.maximum(x, a)

    def run(x):
        y = fn(x, a, b)
        return y if y.dtype == kind else y.astype(kind)

    return run


def _binary(params, shape, dtype):
    fn, kind = BINARY[params["fn"]], DTYPES[dtype]

    def run(a, b):
        y = fn(a, b)
        return y if y.dtype == kind else y.astype(kind)

    return run


def _cast(params, shape, dtype):
    kind = DTYPES[dtype]
    if dtype == "bool":
        return lambda x: x != 0

    def run(x):
        if kind is np.int64 and x.dtype.kind == "f":
            return np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0).astype(kind)
        return x.astype(kind)

    return run


def _pad(params, shape, dtype):
    inside = tuple(slice(b, n - a) for b, a, n in zip(params["before"], params["after"], shape))
    value, kind = params["value"], DTYPES[dtype]

    def run(x):
        y = np.full(shape, value, kind)
        y[inside] = x
        return y

    return run


def _assign(params, shape, dtype):
    where = indices(params)

    def run(base, value):
        y = np.array(base, order="C")
        y[where] = value
        return y

    return run


def _padded(x, left, right):
    """x [n, c, t] with zeros at both ends of time; negative counts crop."""
    if left < 0 or right < 0:
        x = x[:, :, max(-left, 0):x.shape[2] - max(-right, 0)]
        left, right = max(left, 0), max(right, 0)
    if not (left or right):
        return x
    n, c, t = x.shape
    y = np.zeros((n, c, left + t + right), x.dtype)
    y[:, :, left:left + t] = x
    return y


def _conv1d(params, shape, dtype):
    """As a matrix product: kernels [out, c * taps] by windows [c * taps, frames]; a few taps one by one, without windows."""
    stride, dilation, groups, (left, right) = params["stride"], params["dilation"], params["groups"], params["padding"]
    n, outs, frames = shape

    def run(x, w, bias=None):
        x = _padded(x, left, right)
        taps, ins = w.shape[2], w.shape[1]
        if taps == 1 and groups == 1:
            y = np.matmul(w[:, :, 0], x[:, :, :(frames - 1) * stride + 1:stride])
        elif ins == 1 and outs == groups:  # each channel by itself
            y = np.zeros(shape, x.dtype)
            for k in range(taps):
                y += x[:, :, k * dilation:][:, :, :(frames - 1) * stride + 1:stride] * w[:, 0, k, None]
        else:
            x = np.ascontiguousarray(x)
            a, b, c = x.strides
            windows = as_strided(x, (n, x.shape[1], taps, frames), (a, b, c * dilation, c * stride), writeable=False)
            columns = windows.reshape(n, groups, ins * taps, frames)
            kernels = w.reshape(groups, outs // groups, ins * taps)
            y = np.matmul(kernels, columns).reshape(shape)
        return y if bias is None else np.add(y, bias[:, None], out=y)

    return run


def _conv_transpose1d(params, shape, dtype):
    """As a matrix product and an overlapping sum; ``padding`` is cropped from both ends."""
    stride, dilation, groups, (left, right) = params["stride"], params["dilation"], params["groups"], params["padding"]
    extra = params["output_padding"]
    n, outs, frames = shape

    def run(x, w, bias=None):
        t, taps = x.shape[2], w.shape[2]
        each, ins = outs // groups, x.shape[1] // groups
        kernels = w.reshape(groups, ins, each * taps).transpose(0, 2, 1)
        parts = np.matmul(kernels, x.reshape(n, groups, ins, t)).reshape(n, outs, taps, t)
        if dilation == 1:
            waves = -(-taps // stride)
            whole = np.zeros((n, outs, t + waves, stride), x.dtype)
            for j in range(waves):
                part = parts[:, :, j * stride:(j + 1) * stride]
                whole[:, :, j:j + t, :part.shape[2]] += part.transpose(0, 1, 3, 2)
            whole = whole.reshape(n, outs, -1)
        else:
            whole = np.zeros((n, outs, (t - 1) * stride + (taps - 1) * dilation + 1 + extra), x.dtype)
            for k in range(taps):
                whole[:, :, k * dilation:k * dilation + (t - 1) * stride + 1:stride] += parts[:, :, k]
        if whole.shape[2] < left + frames:
            whole = _padded(whole, 0, left + frames - whole.shape[2])
        y = whole[:, :, left:left + frames]
        return y if bias is None else y + bias[:, None]

    return run


def _reduce(params, shape, dtype):
    fold = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[params["fn"]].reduce
    axes, kind = tuple(params["axes"]), DTYPES[dtype]
    scale = kind(params["scale"])

    def run(x):
        y = fold(x, axis=axes, keepdims=True)
        return y if scale == 1 else y * scale

    return run


def _scan(params, shape, dtype):
    scan, axis, kind = {"add": np.cumsum, "mul": np.cumprod}[params["fn"]], params["axis"], DTYPES[dtype]
    inside = np.int64 if dtype == "i64" else np.float64
    return lambda x: scan(x, axis=axis, dtype=inside).astype(kind)


def _sort(params, shape, dtype):
    axis = params["axis"]
    if params["descending"]:
        return lambda x: np.flip(np.sort(x, axis=axis), axis)
    return lambda x: np.sort(x, axis=axis)


def _gru(params, shape, dtype):
    def run(x, w_ih, w_hh, b_ih, b_hh, h):
        steps, hidden = x.shape[0], h.shape[1]
        gates = np.matmul(x, w_ih.T) + b_ih
        y, w = np.empty((steps, *h.shape), x.dtype), w_hh.T
        for t in range(steps):
            own = h @ w + b_hh
            both = _sigmoid(gates[t, :, :2 * hidden] + own[:, :2 * hidden])
            fresh = np.tanh(gates[t, :, 2 * hidden:] + both[:, :hidden] * own[:, 2 * hidden:])
            h = fresh + both[:, hidden:] * (h - fresh)
            y[t] = h
        return y

    return run


def _arg(params, shape, dtype):
    axis, find = params["axis"], {"max": np.argmax, "min": np.argmin}[params["fn"]]
    return lambda x: find(x, axis=axis, keepdims=True).astype(np.int64)


KERNELS = {
    "reshape": lambda p, shape, dtype: lambda x: x.reshape(shape),
    "permute": lambda p, shape, dtype: lambda x: x.transpose(p["order"]),
    "slice": lambda p, shape, dtype: lambda x, where=indices(p): x[where],
    "expand": lambda p, shape, dtype: lambda x: np.broadcast_to(x, shape),
    "cat": lambda p, shape, dtype: lambda *parts: np.concatenate(parts, p["axis"]),
    "pad": _pad, "assign": _assign, "cast": _cast, "unary": _unary, "binary": _binary,
    "where": lambda p, shape, dtype: lambda c, a, b: np.where(c, a, b),
    "conv1d": _conv1d, "conv_transpose1d": _conv_transpose1d,
    "matmul": lambda p, shape, dtype: np.matmul,
    "reduce": _reduce, "arg": _arg, "scan": _scan, "sort": _sort,
    "gather": lambda p, shape, dtype: lambda table, index: table[index],
    "take": lambda p, shape, dtype: lambda x, index: np.take_along_axis(x, index, p["axis"]),
    "gru": _gru,
}
