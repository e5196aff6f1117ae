"""Small programs that use one kernel each, over the sizes that models have: what a calibration measures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..engine import stored
from ..engine.builder import ProgramBuilder, Weights
from ..engine.listing import Listing
from ..engine.model import Program, program_of

KILO = 1024
#: Bytes of weights that a run goes through, for the curve of fetching. The longest is left out on boards short of memory.
STREAMED = (16 * KILO, 64 * KILO, 256 * KILO, 512 * KILO, 1024 * KILO, 4096 * KILO, 16384 * KILO, 65536 * KILO)

#: rows, inputs, outputs, activation: weights that stay in the first cache (up to 16 KiB)
PRODUCTS = [
    *((rows, 64, cols, "copy") for rows in (1, 2, 3, 4, 6, 8, 16, 64) for cols in (1, 4, 16, 48, 64)),
    *((rows, depth, cols, "copy") for rows in (1, 8, 32) for depth, cols in ((8, 8), (16, 48), (24, 13), (256, 16), (32, 104), (12, 160))),
    *((rows, 32, cols, "copy") for rows in (1, 16) for cols in (17, 31, 33, 50, 63)),
    *((rows, 16, 64, act) for rows in (1, 32) for act in ("leaky_relu", "tanh", "sigmoid")),
]
NARROW = [(rows, depth, cols) for rows in (1, 8, 32) for depth, cols in ((64, 48), (64, 64), (256, 32), (32, 104))]
LENGTHS = (1, 7, 16, 64, 512, 4096)


class Case(NamedTuple):
    name: str
    listing: Listing
    program: Program
    forms: dict = {}


def _case(name: str, rows: int, channels: int, build, out=None, narrow=None) -> Case:
    """``build(b, x)`` gives the result, of shape ``out`` (default: as the input). ``narrow``: how matrices are kept, given an array."""
    weights = Weights()
    out = out or (rows, channels)
    frames = rows * out[0]
    builder = ProgramBuilder(weights, frames, channels, frames // rows, out[1], frames // out[0])
    builder.output(build(builder, builder.input()))
    listing, forms = builder.listing(), {}
    for tensor, array in weights.tensors.items():
        if narrow and array.ndim > 1:
            weights.tensors[tensor] = narrow(array)
            forms[tensor] = weights.tensors[tensor]
    program = program_of(listing, weights)
    program.input[:] = 0.4
    return Case(name, listing, program, forms)


def _weights(*shape, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def product(rows: int, depth: int, cols: int, act: str = "copy", layers: int = 1, narrow=None) -> Case:
    """``layers`` products of the same input, each with weights of its own."""
    def build(b, x):
        for layer in range(layers):
            y = b.linear(x, _weights(cols, depth, seed=layer), np.zeros(cols), act=act)
        return y

    return _case(f"product {rows} x {depth} x {cols} {act} x {layers}", rows, depth, build, (rows, cols), narrow)


def streamed(total_bytes: int) -> Case:
    depth, cols = (64, 64) if total_bytes < 256 * KILO else (256, 256)
    return product(1, depth, cols, layers=total_bytes // (4 * depth * cols))


def _loops():
    for n in LENGTHS:
        for fn in ("copy", "square", "affine", "exp", "tanh", "sin", "sqrt"):
            yield _case(f"{fn} {n}", 1, n, lambda b, x, fn=fn: b.unary(fn, x, a=0.5, b=0.1))
        yield _case(f"add {n}", 1, n, lambda b, x: x + x)
        yield _case(f"sum {n}", 1, n, lambda b, x: _reduced(b, x), (1, 1))
    for fn in ("sigmoid", "log", "softplus"):
        yield _case(f"{fn} 512", 1, 512, lambda b, x, fn=fn: b.unary(fn, x))
    for fn in ("floor", "round", "erf", "log1p"):
        yield _case(f"{fn} 512", 1, 512, lambda b, x, fn=fn: b.unary(fn, x))
    yield _case("pow 512", 1, 512, lambda b, x: b.binary("pow", x, x))
    for rows, channels in ((16, 4), (64, 20), (16, 104), (8, 512)):        # every row by itself: broadcast along it
        yield _case(f"times column {rows} x {channels}", rows, channels, lambda b, x: x * x[:, :1])
        yield _case(f"transposed {rows} x {channels}", rows, channels, lambda b, x: b.copy(x.transposed()), (channels, rows))


def _reduced(b, x):
    y = b.new(1, 1)
    b.call("reduce", [x], [y], fn="add")
    return y


def _walks():
    for n in (64, 1024):
        yield _case(f"scan {n}", n, 1, lambda b, x: _called(b, "scan", [x], x.shape, fn="add", axis=0))
        yield _case(f"arg {n}", 1, n, lambda b, x: _called(b, "arg", [x], (1,), fn="max").reshape(1, 1), (1, 1))
        yield _case(f"gather {n}", n, 1, lambda b, x: _called(b, "gather", [x, x[:, 0]], x.shape))
        yield _case(f"changing weights {n}", 1, n, lambda b, x, n=n: b.matmul(x.reshape(1, n), x.reshape(n, 1).expand(n, 16)), (1, 16))


def _called(b, op, inputs, shape, **params):
    y = b.new(*shape)
    b.call(op, inputs, [y], **params)
    return y


def _grouped():
    for rows, channels, taps in ((1, 64, 3), (16, 64, 3), (16, 20, 7), (64, 128, 5)):
        yield _case(f"depthwise {rows} x {channels} x {taps}", rows, channels,
                    lambda b, x, n=channels, taps=taps: b.conv1d(x, _weights(n, 1, taps), np.zeros(n), groups=n))


def _sources():
    for count, rows, hop in ((8, 1, 64), (96, 1, 64), (96, 8, 64), (40, 1, 256), (96, 1, 16)):
        fixed = np.linspace(100, 9000, count)
        yield _case(f"sines {count} {rows} {hop}", rows, count, lambda b, x, f=fixed, hop=hop: b.oscillators(x, f, 48000, hop), (rows * hop, 1))
        yield _case(f"moving sines {count} {rows} {hop}", rows, count,
                    lambda b, x, hop=hop: b.oscillators(x, x * 100.0, 48000, hop), (rows * hop, 1))
    for bands, rows, hop, length in ((64, 1, 64, 256), (64, 8, 64, 256), (16, 1, 64, 1024), (64, 1, 16, 256), (16, 1, 256, 1024)):
        yield _bands(bands, rows, hop, length)
    for n in (64, 1024):
        yield _case(f"uniform {n}", n, 1, lambda b, x, n=n: b.random(n))
        yield _case(f"normal {n}", n, 1, lambda b, x, n=n: b.random(n, normal=True))
    for hop, taps in ((64, 128), (64, 33), (256, 16)):
        yield _case(f"filter {hop} {taps}", 1, taps, lambda b, x, hop=hop: b.filter_frames(b.random(hop), x), (hop, 1))
    for rows, hidden in ((1, 16), (8, 32), (1, 128)):
        yield _case(f"gru {rows} {hidden}", rows, 8,
                    lambda b, x, h=hidden: b.gru(x, _weights(3 * h, 8), _weights(3 * h, h), np.zeros(3 * h), np.zeros(3 * h)), (rows, hidden))


def _bands(bands: int, rows: int, hop: int, length: int) -> Case:
    return _case(f"bands {bands} {rows} {hop} {length}", rows, bands, lambda b, x: b.noise_bands(x, b.constant(_weights(bands, length)), hop), (rows * hop, 1))


def far_bands() -> Case:
    """The table of the lab's engines: 16 MiB, of which each run reads a little from everywhere."""
    return _bands(64, 1, 64, 65536)


def in_cache() -> list[Case]:
    """All that is fitted at once."""
    narrow = (product(*sizes, narrow=keep) for sizes in NARROW for keep in (stored.bf16, lambda array: stored.int8(array, 0)))
    return [*(product(*sizes) for sizes in PRODUCTS), *narrow, *_loops(), *_grouped(), *_walks(), *_sources()]
