"""Building small programs and running them by the compiled engine and by numpy."""

import numpy as np

from neurorack.engine import generate, native
from neurorack.engine.builder import ProgramBuilder, Weights
from neurorack.engine.model import Program
from neurorack.engine.reference import ReferenceProgram


def listing(build, in_shape, out_shape):
    """(listing, arrays) of a builder function for a program of [rows, channels] in and out."""
    weights = Weights()
    builder = ProgramBuilder(weights, in_shape[0], in_shape[1], 1, out_shape[1], 1)
    builder.out_shape = tuple(out_shape)
    build(builder)
    made = builder.listing()
    arrays = {}
    for i, buffer in enumerate(made.buffers):
        if buffer.tensor is not None:
            arrays[i] = weights.tensors[buffer.tensor]
        elif buffer.generator is not None:
            arrays[i] = generate.array(weights.generators[buffer.generator])
    return made, arrays


def compiled(made, arrays) -> Program:
    pool = native.Pool()
    program = Program(native.load(made, arrays, pool), pool, made)
    program.arrays = arrays
    return program


def both(build, in_shape, out_shape):
    made, arrays = listing(build, in_shape, out_shape)
    return compiled(made, arrays), ReferenceProgram(made, arrays)


def agree(build, x, out_shape, tolerance=2e-6, runs=3, floor=None):
    """Both give the same for a few runs on x [runs * rows, channels], relative to each value or, where sums cancel, to ``floor``
    (the largest value if not given, at least 1)."""
    rows = len(x) // runs
    fast, slow = both(build, (rows, x.shape[1]), out_shape)
    for block in np.asarray(x, np.float32).reshape(runs, rows, -1):
        got, want = fast.run(block), slow.run(block)
        scale = floor or max(1.0, np.nanmax(np.abs(np.where(np.isfinite(want), want, 0))))
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def streamed(build, x, block, out_channels=1, in_ratio=1, out_ratio=1):
    """x [frames / in_ratio, channels] through a program of one block length."""
    weights = Weights()
    builder = ProgramBuilder(weights, block, x.shape[1], in_ratio, out_channels, out_ratio)
    build(builder)
    made = builder.listing()
    arrays = {
        i: weights.tensors[b.tensor] if b.tensor else generate.array(weights.generators[b.generator])
        for i, b in enumerate(made.buffers)
        if b.tensor or b.generator
    }
    return compiled(made, arrays).stream(x)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
