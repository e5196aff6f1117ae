"""The operations in plain numpy, one by one as ``docs/engine.md`` defines them: the measure for the compiled engine.

Slow (milliseconds a block) but complete, with no compiled code: what a listing means is what this computes.
"""

from __future__ import annotations

import math

import numpy as np

from .generate import mix
from .listing import Listing

_ERF = np.vectorize(math.erf, otypes=[np.float32])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


UNARY = {
    "copy": lambda x, a, b: x, "neg": lambda x, a, b: -x, "abs": lambda x, a, b: np.abs(x), "square": lambda x, a, b: x * x,
    "sqrt": lambda x, a, b: np.sqrt(x), "reciprocal": lambda x, a, b: 1 / x, "exp": lambda x, a, b: np.exp(x),
    "log": lambda x, a, b: np.log(x), "sin": lambda x, a, b: np.sin(x), "cos": lambda x, a, b: np.cos(x),
    "tanh": lambda x, a, b: np.tanh(x), "sigmoid": lambda x, a, b: _sigmoid(x),
    "softplus": lambda x, a, b: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), "relu": lambda x, a, b: np.where(x < 0, 0, x),
    "leaky_relu": lambda x, a, b: np.where(x > 0, x, x * a), "elu": lambda x, a, b: np.where(x > 0, x, a * np.expm1(x)),
    "silu": lambda x, a, b: x * _sigmoid(x), "clamp": lambda x, a, b: np.where(x < a, a, np.where(x > b, b, x)),
    "affine": lambda x, a, b: x * a + b, "floor": lambda x, a, b: np.floor(x), "ceil": lambda x, a, b: np.ceil(x),
    "round": lambda x, a, b: np.rint(x), "trunc": lambda x, a, b: np.trunc(x), "sign": lambda x, a, b: np.sign(x),
    "log1p": lambda x, a, b: np.log1p(x), "expm1": lambda x, a, b: np.expm1(x), "asin": lambda x, a, b: np.arcsin(x),
    "acos": lambda x, a, b: np.arccos(x), "atan": lambda x, a, b: np.arctan(x), "tan": lambda x, a, b: np.tan(x),
    "erf": lambda x, a, b: _ERF(x), "rsqrt": lambda x, a, b: 1 / np.sqrt(x), "not": lambda x, a, b: x == 0,
}
BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "max": np.maximum, "min": np.minimum,
    "pow": np.power, "fmod": np.fmod, "remainder": np.remainder, "atan2": np.arctan2, "eq": np.equal, "ne": np.not_equal,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "and": np.logical_and, "or": np.logical_or,
}
TERNARY = {
    "where": lambda a, b, c: np.where(a != 0, b, c), "multiply_add": lambda a, b, c: a * b + c,
    "lerp": lambda a, b, c: a + (b - a) * c, "snake": lambda a, b, c: a + np.sin(a * b) ** 2 * c,
}


class ReferenceProgram:
    """A listing run by numpy; ``run``, ``stream``, ``reset`` as in ``Program``."""

    def __init__(self, listing: Listing, arrays: dict[int, np.ndarray]):
        self.listing, self._arrays = listing, arrays
        self.in_shape, self.out_shape, self.delay_frames = listing.in_shape, listing.out_shape, listing.delay_frames
        self.reset()

    def reset(self) -> None:
        self._memory = []
        for i, buffer in enumerate(self.listing.buffers):
            fresh = np.zeros(buffer.size, np.float32)
            if i in self._arrays:
                fresh.view(np.uint32)[:] = self._arrays[i].reshape(-1).view(np.uint32)  # integers in states stay as they are
            self._memory.append(fresh)

    def run(self, x=None) -> np.ndarray:
        kinds = [b.kind for b in self.listing.buffers]
        if x is not None:
            if np.shape(x) != self.in_shape:
                raise ValueError(f"a block of {np.shape(x)} was given; this program takes {self.in_shape}")
            self._memory[kinds.index("input")][:] = np.asarray(x, np.float32).reshape(-1)
        with np.errstate(all="ignore"):
            for call in self.listing.calls:
                _RUN[call.op](call.params, *[None if v is None else self._view(v) for v in call.views])
        return self._memory[kinds.index("output")].reshape(self.out_shape).copy()

    def stream(self, x) -> np.ndarray:
        return np.concatenate([self.run(block) for block in np.asarray(x, np.float32).reshape(-1, *self.in_shape)])

    def _view(self, v) -> np.ndarray:
        base = self._memory[v.buffer][v.offset:]
        return np.lib.stride_tricks.as_strided(base, v.shape, [4 * s for s in v.strides])


def _activate(name, x, a, b):
    return UNARY[name](x, np.float32(a), np.float32(b))


def _conv1d(p, x, w, bias, residual, y, y2):
    rows, taps, groups = len(y), len(w), p["groups"]
    sums = np.zeros(y.shape, np.float64)
    ins, outs = w.shape[1], w.shape[2] // groups
    for k in range(taps):
        window = x[k * p["dilation"]:][:(rows - 1) * p["stride"] + 1:p["stride"]].astype(float)
        for g in range(groups):
            sums[:, g * outs:(g + 1) * outs] += window[:, g * ins:(g + 1) * ins] @ w[k, :, g * outs:(g + 1) * outs].astype(float)
    if bias is not None:
        sums += bias
    sums = sums.astype(np.float32)
    if residual is not None and p["residual_first"]:
        sums = sums + residual
    sums = _activate(p["act"], sums, p["a"], p["b"])
    if residual is not None and not p["residual_first"]:
        sums = sums + residual
    y[...] = sums
    if y2 is not None:
        y2[...] = _activate(p["act2"], sums, p["a2"], p["b2"])


def _conv_transpose1d(p, x, w, bias, y, y2):
    stride, groups, (taps, _, outs) = p["stride"], p["groups"], w.shape
    whole = np.zeros((max((len(x) - 1) * stride + taps, len(x) * stride), y.shape[1]))
    ins = x.shape[1] // groups
    for g in range(groups):
        for k in range(taps):
            part = x[:, g * ins:(g + 1) * ins].astype(float) @ w[k, g * ins:(g + 1) * ins].astype(float)
            whole[k:k + (len(x) - 1) * stride + 1:stride, g * outs:(g + 1) * outs] += part
    sums = (whole[p["crop"]:p["crop"] + len(y)] + (0 if bias is None else bias)).astype(np.float32)
    y[...] = _activate(p["act"], sums, p["a"], p["b"])
    if y2 is not None:
        y2[...] = _activate(p["act2"], y, p["a2"], p["b2"])


def _matmul(p, a, b, y):
    y[...] = np.matmul(a.astype(float), b.astype(float))


def _reduce(p, x, y):
    axes = tuple(i for i, (n, m) in enumerate(zip(x.shape, y.shape)) if n != m)
    fold = {"add": np.sum, "mul": np.prod, "max": np.max, "min": np.min}[p["fn"]]
    y[...] = fold(x.astype(float), axis=axes, keepdims=True) * p["scale"] if axes else x * np.float32(p["scale"])


def _arg(p, x, y):
    y[...] = {"max": np.argmax, "min": np.argmin}[p["fn"]](x, axis=1)


def _scan(p, x, y):
    y[...] = {"add": np.cumsum, "mul": np.cumprod}[p["fn"]](x.astype(float), axis=p["axis"])


def _gather(p, x, index, y):
    inside = (index >= 0) & (index < len(x))
    y[...] = np.where(inside[:, None], x[np.where(inside, index, 0).astype(int)], np.nan)


def _gru(p, x, w_x, b_x, w_h, b_h, h, y):
    hidden = len(h)
    for t in range(len(x)):
        gx = (x[t].astype(float) @ w_x + (0 if b_x is None else b_x)).reshape(3, hidden)
        gh = (h.astype(float) @ w_h + (0 if b_h is None else b_h)).reshape(3, hidden)
        reset, update = _sigmoid(gx[0] + gh[0]), _sigmoid(gx[1] + gh[1])
        fresh = np.tanh(gx[2] + reset * gh[2])
        h[...] = fresh + update * (h - fresh)
        y[t] = h


def _steps(cycles):
    """Cycles per sample to 2^-32 turns; NaN counts as zero."""
    safe = np.where(cycles > 0, np.minimum(np.nan_to_num(cycles.astype(float)), 0.5), 0.0)
    return np.rint(safe * 2.0 ** 32).astype(np.uint64).astype(np.uint32)


def _oscillators(p, amplitudes, steps, frequencies, last, phases, last_steps, y):
    hop, rows = p["hop"], len(amplitudes)
    phases = phases.view(np.uint32)
    m = np.arange(1, hop + 1, dtype=np.uint32)[:, None]
    if steps is not None:
        fixed = steps.view(np.uint32)
    for r in range(rows):
        to, step, bend = amplitudes[r], None, np.zeros(len(phases), np.uint32)
        if frequencies is None:
            step = fixed
        else:
            step, new = last_steps.view(np.uint32).copy(), _steps(frequencies[r])
            bend = np.rint((new.astype(np.int64) - step.astype(np.int64)) / hop).astype(np.int64).astype(np.uint32)
            to = np.where(frequencies[r] < 0.5, to, np.where(np.isnan(frequencies[r]), np.nan, 0)).astype(np.float32)
            last_steps.view(np.uint32)[:] = new
        phase = phases + m * step + bend * ((m * (m + 1)) >> np.uint32(1))
        level = last + (to - last) / np.float32(hop) * m.astype(np.float32)
        sines = np.sin(phase.astype(np.int32) * (np.pi / 2.0 ** 31))
        y[r * hop:(r + 1) * hop] = np.where((last == 0) & (to == 0), 0, level * sines).sum(1)
        phases[:] = phase[-1]
        last[:] = to


def _noise_bands(p, amplitudes, table, last, position, y):
    hop, length = p["hop"], table.shape[1]
    place = position.view(np.uint32)
    for r in range(len(amplitudes)):
        at = (int(place[0]) + np.arange(hop)) % length
        level = last[:, None] + (amplitudes[r] - last)[:, None] * (np.arange(1, hop + 1) / hop)
        y[r * hop:(r + 1) * hop] = (level * table[:, at]).sum(0)
        last[:] = amplitudes[r]
        place[0] = (int(place[0]) + hop) % length


def _random(p, counter, y):
    words = counter.view(np.uint32)
    first, count = int(words[0]) | int(words[1]) << 32, y.size
    number = np.uint64(first) + np.arange(count, dtype=np.uint64)
    low, high = number.astype(np.uint32), (number >> np.uint64(32)).astype(np.uint32)
    key = np.uint32(p["seed"]) ^ mix(high)
    if p["normal"]:
        one, two = (mix(mix((low & np.uint32(0xFFFFFFFE) | np.uint32(odd)) ^ key) + key) for odd in (0, 1))
        radius = np.sqrt(-2 * np.log(((one >> np.uint32(8)) + 0.5) * 2.0 ** -24))
        turn = two / 2.0 ** 32 * 2 * np.pi
        values = radius * np.where(low & 1, np.sin(turn), np.cos(turn))
    else:
        values = (mix(mix(low ^ key) + key) >> np.uint32(8)) * 2.0 ** -24
    y[...] = values.reshape(y.shape)
    words[:] = [(first + count) & 0xFFFFFFFF, (first + count) >> 32]


def _filter_frames(p, x, ir, tail, y):
    hop = p["hop"]
    out = np.zeros(len(x))
    carry = tail.astype(float)
    for r, response in enumerate(ir.astype(float)):
        frame = np.convolve(x[r * hop:(r + 1) * hop].astype(float), response)
        frame[:len(carry)] += carry
        out[r * hop:(r + 1) * hop], carry = frame[:hop], frame[hop:]
    tail[:] = carry
    y[...] = out


def _unary(p, x, y):
    y[...] = _activate(p["fn"], x.copy(), p["a"], p["b"])


def _binary(p, a, b, y):
    y[...] = BINARY[p["fn"]](a, b)


def _ternary(p, a, b, c, y):
    y[...] = TERNARY[p["fn"]](a, b, c)


_RUN = {"conv1d": _conv1d, "conv_transpose1d": _conv_transpose1d, "matmul": _matmul, "unary": _unary, "binary": _binary,
        "ternary": _ternary, "reduce": _reduce, "arg": _arg, "scan": _scan, "gather": _gather, "gru": _gru,
        "oscillators": _oscillators, "noise_bands": _noise_bands, "random": _random, "filter_frames": _filter_frames}
