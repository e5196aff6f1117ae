"""Programs that between them use every operation of the engine."""

import numpy as np

from neurorack.engine import stored
from neurorack.engine.builder import ProgramBuilder, Weights
from neurorack.engine.model import program_of


def built(build, frames=64, channels=4, in_ratio=16, out_channels=1, narrow=None):
    """(listing, program, forms); ``build(b, x)`` with x [frames / in_ratio, channels] gives [frames, out_channels]."""
    weights = Weights()
    b = ProgramBuilder(weights, frames, channels, in_ratio, out_channels)
    b.output(build(b, b.input()))
    listing, forms = b.listing(), {}
    for name, array in weights.tensors.items():
        if narrow and array.ndim > 1:
            weights.tensors[name] = narrow(array)
            forms[name] = weights.tensors[name]
    return listing, program_of(listing, weights), forms


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def everything(b, x):
    """Every operation once at least; [rows, 4] to [rows * 16, 1]."""
    h = b.conv1d(x, numbers(19, 4, 3), numbers(19), act="tanh")
    h = b.conv1d(h, numbers(19, 19, 3), numbers(19), dilation=2, residual=h, also="leaky_relu")[0]
    h = b.conv1d(h, numbers(19, 1, 3), groups=19)
    h = b.gru(h, numbers(24, 19), numbers(24, 8), numbers(24), numbers(24))
    h = b.conv_transpose1d(h, numbers(8, 6, 4), numbers(6), stride=2)[::2]
    h = b.matmul(h, h.transposed()) if h.rows == 6 else b.matmul(h, b.constant(numbers(6, 6)))
    h = b.ternary("lerp", h, b.softplus(h), 0.5)
    top = b.new(h.rows)
    b.call("arg", [h], [top], fn="max")
    picked = b.new(h.rows, 6)
    b.call("gather", [b.constant(numbers(6, 6)), top], [picked])
    summed = b.new(*h.shape)
    b.call("scan", [picked + h], [summed], fn="add", axis=1)
    peak = b.new(h.rows, 1)
    b.call("reduce", [summed], [peak], fn="max")
    amplitudes = b.sigmoid(summed * peak)
    sound = b.oscillators(amplitudes, np.linspace(100, 900, 6), 48000, 16)
    sound = sound + b.noise_bands(amplitudes, b.constant(numbers(6, 64)), 16) + b.filter_frames(b.random(h.rows * 16), amplitudes)
    return sound


def bf16(array):
    return stored.bf16(array)


def int8(array):
    return stored.int8(array, 0)
