"""Compiled traces against their replay in numpy: hand-made ones that lie in memory in particular ways, and random ones."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from neurorack.engine.builder import ProgramBuilder, Weights
from neurorack.engine.model import program_of
from neurorack.importer.compile import lower
from neurorack.importer.errors import UnsupportedError
from neurorack.importer.replay import Replay
from tests.importer.traces import TraceMaker

RANDOM = np.random.default_rng(11)


def weights(*shape):
    return (RANDOM.standard_normal(shape) * 0.3).astype(np.float32)


def compiled(trace):
    """The program and its list."""
    in_channels, in_rows = trace.nodes[trace.inputs[0]].shape[-2:]
    out_channels, out_rows = trace.nodes[trace.outputs[0]].shape[-2:]
    store = Weights()
    frames = trace.block_frames
    builder = ProgramBuilder(store, frames, in_channels, frames // in_rows, out_channels, frames // out_rows)
    lower(trace, builder)
    listing = builder.listing()
    return program_of(listing, store), listing


def agree(trace, blocks=6, scale=1.0, tolerance=2e-6):
    """Runs both over some blocks; gives the list's operations."""
    program, listing = compiled(trace)
    replay, random = Replay(trace), np.random.default_rng(3)
    biggest = 0.0
    for _ in range(blocks):
        x = (random.standard_normal(program.in_shape) * scale).astype(np.float32)
        want, got = replay.run(x), program.run(x)
        assert np.isfinite(want).all()
        biggest = max(biggest, float(np.abs(want).max()))
        assert np.abs(want - got).max() <= tolerance * max(biggest, 1.0)
    assert biggest > 0.0
    return [(call.op, call.params.get("fn") or call.params.get("act")) for call in listing.calls]


def residual_unit(m, x, channels, dilation):
    cache = m.state(np.zeros((1, channels, 2 * dilation)))
    joined = m.cat([cache, m.unary("leaky_relu", x, a=0.2)], 2)
    rows = m.shape(joined)[2]
    m.carry(cache, m.slice(joined, d2=slice(rows - 2 * dilation, None)))
    y = m.unary("leaky_relu", m.conv1d(joined, weights(channels, channels, 3), weights(channels), dilation=dilation), a=0.2)
    return m.binary("add", m.conv1d(y, weights(channels, channels, 1), weights(channels)), x)


def test_a_residual_unit_is_two_products_and_the_cache_one_copy():
    m = TraceMaker(16)
    x = m.conv1d(m.input(1, 4, 16), weights(8, 4, 1))
    for dilation in (1, 3, 9):          # the last cache is longer than the block
        x = residual_unit(m, x, 8, dilation)
    operations = agree(m.done(m.unary("tanh", m.conv1d(x, weights(2, 8, 1)))))
    assert [op for op, _ in operations] == ["conv1d"] * 8 + ["unary"] * 3
    assert [end for op, end in operations if op == "unary"] == ["copy"] * 3


def test_overlap_and_add_happens_in_place():
    m = TraceMaker(32)
    y = m.conv_transpose1d(m.input(1, 6, 8), weights(6, 5, 8), weights(5), stride=4)
    tail = m.state(weights(1, 5, 4))
    whole = m.assign(y, m.binary("add", m.slice(y, d2=slice(0, 4)), tail), d2=slice(0, 4))
    m.carry(tail, m.slice(whole, d2=slice(32, 36)))
    assert agree(m.done(m.slice(whole, d2=slice(0, 32))))[:2] == [("conv_transpose1d", "copy"), ("binary", "add")]


def test_in_place_only_where_nobody_reads_the_old_value():
    m = TraceMaker(16)
    y = m.conv1d(m.input(1, 4, 16), weights(4, 4, 1))
    early = m.slice(y, d2=slice(0, 8))
    changed = m.assign(y, m.unary("neg", m.slice(y, d2=slice(8, 16))), d2=slice(0, 8))
    late = m.unary("tanh", early)                                     # reads what the assignment replaced
    agree(m.done(m.binary("add", changed, m.cat([late, late], 2))))


def test_flips_masks_and_reshapes_of_a_filter_bank():
    m = TraceMaker(64)
    y = m.conv1d(m.input(1, 4, 16), weights(4, 4, 3), padding=(1, 1))
    odd = m.slice(m.slice(y, d1=slice(1, None, 2)), d2=slice(0, None, 2))
    y = m.assign(y, m.unary("neg", odd), d1=slice(1, None, 2), d2=slice(0, None, 2))
    flipped = m.slice(y, d1=slice(None, None, -1))
    agree(m.done(m.reshape(m.permute(flipped, 0, 2, 1), 1, 1, 64)))


def test_states_that_change_places():
    m = TraceMaker(8)
    x, s, t = m.input(1, 2, 8), m.state(weights(1, 2, 8)), m.state(weights(1, 2, 8))
    y = m.binary("add", m.binary("mul", s, t), x)
    m.carry(s, t)
    m.carry(t, x)
    agree(m.done(y))


def test_scales_and_offsets_of_channels_go_into_the_weights():
    m = TraceMaker(16)
    y = m.conv1d(m.input(1, 4, 16), weights(6, 4, 3), padding=(2, 0))
    y = m.binary("mul", y, m.constant(weights(1, 6, 1)))
    y = m.binary("add", m.constant(weights(6, 1)), y)
    y = m.binary("sub", m.constant(np.float32(1.0)), m.binary("mul", y, m.constant(np.float32(0.5))))
    assert [op for op, _ in agree(m.done(m.unary("sigmoid", y)))] == ["unary", "conv1d"]


def test_grouped_transposed_convolution_with_scale():
    m = TraceMaker(32)
    y = m.conv_transpose1d(m.input(1, 6, 8), weights(6, 2, 8), stride=4, groups=3, padding=(2, 2))
    agree(m.done(m.binary("mul", y, m.constant(weights(1, 6, 1)))))


def test_snake_is_one_operation():
    m = TraceMaker(8)
    x, alpha = m.input(1, 2, 8), np.array([[[0.5], [2.0]]], np.float32)
    sine = m.binary("pow", m.unary("sin", m.binary("mul", x, m.constant(alpha))), m.constant(np.float32(2.0)))
    assert agree(m.done(m.binary("add", x, m.binary("mul", m.constant(1 / alpha), sine)))) == [("ternary", "snake")]


def test_products_sums_and_scans_over_odd_shapes():
    m = TraceMaker(12)
    x = m.input(1, 4, 12)
    y = m.reshape(m.permute(x, 0, 2, 1), 1, 6, 8)
    y = m.reshape(m.matmul(y, m.constant(weights(8, 8))), 1, 4, 12)
    y = m.binary("sub", y, m.reduce("add", y, 1, scale=0.25))
    y = m.scan("add", y, 2)
    moving = m.matmul(m.permute(y, 0, 2, 1), y)
    agree(m.done(m.binary("add", y, m.slice(moving, d1=slice(0, 4)))))


def test_the_same_random_numbers_whatever_plays():
    m = TraceMaker(16)
    x = m.input(1, 3, 16)
    agree(m.done(m.binary("add", m.binary("mul", x, m.random("uniform", 1, 3, 16)), m.random("normal", 1, 3, 16))))


def test_five_dimensions_that_do_not_merge():
    m = TraceMaker(32)
    x = m.reshape(m.input(1, 4, 32), 2, 2, 4, 2, 4)
    y = m.binary("mul", m.permute(x, 3, 1, 4, 0, 2), m.constant(weights(2, 2, 4, 2, 4)))
    agree(m.done(m.reshape(y, 1, 4, 32)))


def test_what_the_engine_lacks_is_named():
    m = TraceMaker(8)
    x = m.input(1, 4, 8)
    with pytest.raises(UnsupportedError, match="sort"):
        compiled(m.done(m.node("sort", (x,), (1, 4, 8), axis=1, descending=False)))


def test_weights_that_change_from_block_to_block():
    m = TraceMaker(8)
    x = m.input(1, 4, 8)
    w = m.reshape(m.unary("tanh", x), 4, 2, 4)
    bias = m.reshape(m.slice(x, d2=slice(0, 1)), 4)
    wide = m.pad(x, (0, 0, 6), (0, 0, 0))
    agree(m.done(m.node("conv1d", (wide, w, bias), (1, 4, 8), stride=1, padding=(0, 0), dilation=2, groups=2)))


def test_amplitudes_without_phases_meet_half_of_the_matrix():
    m = TraceMaker(16)
    y = m.conv1d(m.input(1, 4, 16), weights(5, 4, 1))
    loud = m.binary("pow", m.unary("sigmoid", y), m.constant(np.float32(2.3)))
    amplitude = m.reshape(m.permute(loud, 0, 2, 1), 1, 16, 5, 1)
    pairs = m.reshape(m.cat([amplitude, m.constant(np.zeros((1, 16, 5, 1), np.float32))], 3), 1, 16, 10)
    sound = m.permute(m.matmul(pairs, m.constant(weights(10, 6))), 0, 2, 1)
    operations = agree(m.done(sound))
    assert [op for op in operations if op[0] != "conv1d"][:2] == [("unary", "affine"), ("unary", "exp")] and ("unary", "sigmoid") not in operations
    assert [call.views[1].shape for call in compiled(m.trace)[1].calls if call.op == "conv1d"] == [(1, 4, 5), (1, 5, 6)]


def test_a_filter_of_one_channel_fills_the_lanes():
    m = TraceMaker(64)
    x = m.input(1, 1, 64)
    cache = m.state(weights(1, 1, 20))
    joined = m.cat([cache, x], 2)
    m.carry(cache, m.slice(joined, d2=slice(64, None)))
    y = m.conv1d(joined, weights(1, 1, 21), weights(1))
    program, listing = compiled(m.done(m.unary("tanh", y)))
    assert [call.views[1].shape for call in listing.calls if call.op == "conv1d"] == [(36, 1, 16)]
    agree(m.trace)


def test_numbers_picked_along_an_axis():
    m = TraceMaker(8)
    x = m.input(1, 4, 8)
    place = m.node("cast", (m.binary("mul", m.unary("sigmoid", x), m.constant(np.float32(3.99))),), (1, 4, 8), "i64")
    picked = m.node("take", (m.permute(x, 0, 2, 1), m.permute(place, 0, 2, 1)), (1, 8, 4), axis=2)
    agree(m.done(m.permute(picked, 0, 2, 1)))


def test_a_batch_under_one_tap_is_one_product():
    m = TraceMaker(32)
    x = m.reshape(m.input(1, 8, 32), 16, 4, 4)
    y = m.unary("tanh", m.conv1d(x, weights(6, 4, 1), weights(6)))
    operations = agree(m.done(m.reshape(y, 1, 12, 32)))
    assert [op for op, _ in operations].count("conv1d") == 1


# -- random traces: whatever is put together must mean the same

class Grower:
    """Adds random operations to a trace; every value stays [1, channels, time] of moderate size."""

    def __init__(self, draw):
        self.draw, self.m = draw, TraceMaker(24)
        self.values = [self.m.input(1, draw(st.integers(1, 5)), 24)]

    def pick(self, items):
        return self.draw(st.sampled_from(items))

    def number(self, low, high):
        return self.draw(st.integers(low, high))

    def step(self):
        m, x = self.m, self.pick(self.values[-6:])
        _, channels, rows = m.shape(x)
        kind = self.pick(("conv", "conv", "cached", "act", "act", "add", "scale", "cut", "flip", "join", "assign", "assign", "turn", "up", "sum", "pad"))
        if kind == "conv":
            taps = self.number(1, 3)
            y = m.conv1d(x, weights(self.number(1, 5), channels, taps), padding=(taps - 1, 0))
        elif kind == "cached":
            length = self.number(1, 2 * rows)
            cache = m.state(weights(1, channels, length))
            joined = m.cat([cache, x], 2)
            m.carry(cache, m.slice(joined, d2=slice(rows, None)))
            y = m.slice(joined, d2=slice(0, rows)) if self.number(0, 1) else m.slice(joined, d2=slice(length, None))
        elif kind == "act":
            fn = self.pick(("tanh", "leaky_relu", "sigmoid", "sin", "neg", "relu"))
            y = m.unary(fn, x, a=0.2)
        elif kind == "add":
            same = [v for v in self.values if m.shape(v) == m.shape(x)]
            y = m.binary(self.pick(("add", "sub", "mul", "max")), x, self.pick(same))
        elif kind == "scale":
            y = m.binary(self.pick(("mul", "add")), x, m.constant(weights(*self.pick(((1, channels, 1), (1, 1, rows), (), (channels, 1))))))
        elif kind == "cut":
            a = self.number(0, channels - 1)
            y = m.slice(x, d1=slice(a, self.number(a + 1, channels)), d2=slice(self.number(0, min(1, rows - 1)), None))
        elif kind == "flip":
            y = m.slice(x, **{self.pick(("d1", "d2")): slice(None, None, -1)})
        elif kind == "join":
            same = [v for v in self.values if m.shape(v)[2] == rows]
            y = m.cat([x, self.pick(same)], 1)
        elif kind == "assign":
            a, step = self.number(0, rows // 2), self.number(1, 2)
            part = m.slice(x, d2=slice(a, None, step))
            y = m.assign(x, m.unary(self.pick(("neg", "tanh")), part), d2=slice(a, None, step))
        elif kind == "turn":
            y = m.permute(x, 0, 2, 1)
        elif kind == "up":
            y = m.reshape(m.permute(x, 0, 2, 1), 1, rows, channels) if self.number(0, 1) else m.reshape(x, 1, rows, channels)
        elif kind == "sum":
            y = m.binary("sub", x, m.reduce("add", x, self.pick((1, 2)), scale=0.1))
        else:
            y = m.pad(x, (0, 0, self.number(0, 2)), (0, 0, self.number(0, 2)), value=self.pick((0.0, 0.5)))
        if m.shape(y)[1] <= 64 and m.shape(y)[2] <= 64:
            self.values.append(y)

    def done(self):
        m, y = self.m, self.values[-1]
        _, channels, rows = m.shape(y)
        flat = m.reshape(y, 1, 1, channels * rows)
        wide = m.cat([flat, m.constant(np.zeros((1, 1, -(channels * rows) % 24 or 24), np.float32))], 2)
        folded = m.reshape(wide, 1, m.shape(wide)[2] // 24, 24)
        return m.done(m.unary("tanh", folded))


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_traces(data):
    grower = Grower(data.draw)
    for _ in range(data.draw(st.integers(2, 14))):
        grower.step()
    trace = grower.done()
    program, _ = compiled(trace)
    replay, random = Replay(trace), np.random.default_rng(5)
    for _ in range(4):
        x = random.standard_normal(program.in_shape).astype(np.float32)
        want, got = replay.run(x), program.run(x)
        assert np.allclose(want, got, atol=3e-4, rtol=1e-3)
