"""Units are found in programs: what goes together is one unit, what must stay is none."""

import numpy as np
import pytest

from neurorack.engine.builder import ProgramBuilder, Weights
from neurorack.trim import TrimError, find
from neurorack.trim.units import cut_shapes, cut_tensors, masked_tensors

RNG = np.random.default_rng(1)


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


class Named:
    """Weights of a program under names; `groups` of what `build` makes of [2 rows, 3 channels] in and [rows, 1] out."""

    def __init__(self, build, rows=2, out_rows=2, fixed=()):
        self.weights = Weights()
        b = ProgramBuilder(self.weights, rows, 3, 1, 1, 1) if rows == out_rows else ProgramBuilder(self.weights, out_rows, 3, out_rows // rows)
        build(b, self)
        self.listing = b.listing()
        self.shapes = {name: array.shape for name, array in self.weights.tensors.items()}
        self.groups = find(self.listing, self.shapes, fixed)

    def __call__(self, name, *shape):
        array = random(*shape)
        self.weights.add(array, name)
        return array

    def members(self, group=0, unit=0):
        return {tuple(member) for member in self.groups[group].units[unit].members}

    @property
    def sizes(self):
        return {group.name: len(group.units) for group in self.groups}


def out(b, w, x):
    """A last layer, to one channel."""
    b.output(b.conv1d(x, w("out.weight", 1, x.channels, 1), w("out.bias", 1)))


def test_a_layer_has_a_unit_a_channel_and_ends_have_none():
    def build(b, w):
        out(b, w, b.conv1d(b.input(), w("a.weight", 5, 3, 3), w("a.bias", 5), act="relu"))

    net = Named(build)
    assert net.sizes == {"a": 5}
    assert net.members(unit=2) == {("a.weight", 0, 2, "out"), ("a.bias", 0, 2, "out"), ("out.weight", 1, 2, "in")}


def test_a_residual_stream_is_one_group_and_what_is_inside_another():
    def build(b, w):
        x = b.conv1d(b.input(), w("a.weight", 4, 3, 1))
        h = b.conv1d(x, w("b.weight", 6, 4, 3), act="leaky_relu", a=0.1, dilation=2)
        x = b.conv1d(h, w("c.weight", 4, 6, 1), w("c.bias", 4), residual=x)
        out(b, w, b.binary("add", x, x.delayed(3)))

    net = Named(build)
    assert net.sizes == {"a": 4, "b": 6}
    assert net.members(0, 1) == {("a.weight", 0, 1, "out"), ("b.weight", 1, 1, "in"), ("c.weight", 0, 1, "out"), ("c.bias", 0, 1, "out"),
                                 ("out.weight", 1, 1, "in")}


def test_scale_and_shift_by_another_layer_go_with_the_channel():
    def build(b, w):
        x, film = b.conv1d(b.input(), w("a.weight", 4, 3, 1)), b.conv1d(b.input(), w("film.weight", 8, 3, 1))
        x = b.ternary("multiply_add", x, film[:, :4], film[:, 4:])
        out(b, w, b.binary("mul", b.ternary("snake", x, w("alpha", 4), w("beta", 1, 4)), w("gain", 1)))

    net = Named(build)
    assert net.members(unit=1) == {("a.weight", 0, 1, "out"), ("film.weight", 0, 1, "out"), ("film.weight", 0, 5, "out"), ("alpha", 0, 1, "own"),
                                   ("beta", 1, 1, "own"), ("out.weight", 1, 1, "in")}


def test_all_gates_of_a_recurrent_unit_go_together():
    def build(b, w):
        x = b.conv1d(b.input(), w("a.weight", 2, 3, 1))
        out(b, w, b.gru(x, w("gru.weight_ih", 12, 2), w("gru.weight_hh", 12, 4), w("gru.bias_ih", 12), w("gru.bias_hh", 12)))

    net = Named(build)
    assert net.sizes == {"a": 2, "gru": 4}
    rows = {(name, 0, 1 + 4 * gate, "out") for gate in range(3) for name in ("gru.weight_ih", "gru.weight_hh", "gru.bias_ih", "gru.bias_hh")}
    assert net.members(1, 1) == rows | {("gru.weight_hh", 1, 1, "in"), ("out.weight", 1, 1, "in")}


def test_groups_of_a_convolution_stay_of_equal_size():
    def build(b, w):
        x = b.conv1d(b.input(), w("a.weight", 6, 3, 1))
        x = b.conv1d(x, w("depth.weight", 6, 1, 3), w("depth.bias", 6), groups=6)
        x = b.conv1d(x, w("pair.weight", 8, 3, 1), groups=2)
        out(b, w, x)

    net = Named(build)
    assert net.sizes == {"a": 3, "pair": 4}          # channels k and k + 3 of two groups of three, k and k + 4 of two of four
    assert {m for m in net.members(0, 0) if m[0] != "depth.bias"} == {
        ("a.weight", 0, 0, "out"), ("a.weight", 0, 3, "out"), ("depth.weight", 0, 0, "out"), ("depth.weight", 0, 3, "out"),
        ("pair.weight", 1, 0, "in")}


def test_a_transposed_convolution_with_a_group_for_every_channel():
    def build(b, w):
        x = b.conv1d(b.input(), w("a.weight", 4, 3, 1))
        out(b, w, b.conv_transpose1d(x, w("up.weight", 4, 2, 4), w("up.bias", 8), stride=2, groups=4))

    net = Named(build, rows=2, out_rows=4)
    assert net.sizes == {"a": 4}
    assert net.members(unit=1) == {("a.weight", 0, 1, "out"), ("up.weight", 0, 1, "in"), ("up.bias", 0, 2, "out"), ("up.bias", 0, 3, "out"),
                                   ("out.weight", 1, 2, "in"), ("out.weight", 1, 3, "in")}


def test_rows_made_of_channels_tie_the_channels():
    def build(b, w):
        x = b.conv1d(b.input(), w("a.weight", 6, 3, 1))
        out(b, w, x.reshape(4, 3))

    net = Named(build, rows=2, out_rows=4)
    assert net.sizes == {"a": 3}
    assert net.members(unit=1) == {("a.weight", 0, 1, "out"), ("a.weight", 0, 4, "out"), ("out.weight", 1, 1, "in")}


def test_a_norm_keeps_its_channels_apart_and_says_that_it_mixes_them():
    def build(b, w):
        x = b.conv1d(b.input(), w("a.weight", 4, 3, 1))
        x = b.binary("sub", x, b.mean(x))
        x = b.binary("mul", x, b.unary("rsqrt", b.mean(b.unary("square", x))))
        x = b.conv1d(b.ternary("multiply_add", x, w("norm.weight", 4), w("norm.bias", 4)), w("b.weight", 5, 4, 1))
        out(b, w, b.binary("mul", x, b.sigmoid(b.mean(b.input()))))

    net = Named(build)
    assert net.sizes == {"a": 4, "b": 5} and [group.mixed for group in net.groups] == [True, False]
    assert ("norm.bias", 0, 3, "own") in net.members(0, 3)


def test_what_is_repeated_over_channels_must_stay():
    def build(b, w):
        x = b.conv1d(b.input(), w("a.weight", 4, 3, 1))
        gate = b.conv1d(x, w("gate.weight", 1, 4, 1), act="sigmoid")
        wide = b.conv1d(b.input(), w("wide.weight", 2, 3, 1))        # its first channel is heard in all of x
        out(b, w, b.binary("mul", b.binary("mul", x, gate), wide[:, :1]))

    net = Named(build)
    assert net.sizes == {"a": 4}
    assert net.members(unit=2) == {("a.weight", 0, 2, "out"), ("gate.weight", 1, 2, "in"), ("out.weight", 1, 2, "in")}


@pytest.mark.parametrize("sound", ["oscillators", "noise bands", "matmul", "filter"])
def test_what_drives_a_source_of_sound_must_stay(sound):
    def build(b, w):
        x = b.conv1d(b.conv1d(b.input(), w("a.weight", 4, 3, 1)), w("head.weight", 5, 4, 1), act="softplus")
        if sound == "oscillators":
            y = b.oscillators(x, [100.0, 200.0, 300.0, 400.0, 500.0], 48000, 4)
        elif sound == "noise bands":
            y = b.noise_bands(x, b.generated(kind="erb_noise_bands", bands=5, length=64, sample_rate=48000), 4)
        elif sound == "filter":
            y = b.filtered_noise(x, 4)
        else:
            y = b.matmul(x, x.transposed()).reshape(4)[:, None]
        b.output(y)

    net = Named(build, rows=2, out_rows=4 if sound == "matmul" else 8, fixed=("t2",))
    assert net.sizes == {"a": 4}


def test_tables_named_as_fixed_keep_what_they_touch():
    def build(b, w):
        x = b.conv1d(b.conv1d(b.input(), w("a.weight", 4, 3, 1)), w("b.weight", 4, 4, 1))
        out(b, w, b.binary("mul", x, w("table", 4)))

    assert Named(build).sizes == {"a": 4, "b": 4} and Named(build, fixed={"table"}).sizes == {"a": 4}


def test_what_leaves_holes_in_memory_is_not_offered():
    def build(b, w):                                         # even and odd channels are other things, side by side in memory
        x = b.conv1d(b.input(), w("a.weight", 8, 3, 1))
        even, odd = b.conv1d(x[:, ::2], w("even.weight", 3, 4, 1)), b.conv1d(x[:, 1::2], w("odd.weight", 3, 4, 1))
        out(b, w, b.binary("mul", even, odd))

    assert Named(build).sizes == {"even": 3}


def test_a_last_channel_is_never_taken():
    def build(b, w):
        out(b, w, b.conv1d(b.input(), w("a.weight", 3, 3, 1)))

    net = Named(build)
    units = net.groups[0].units
    assert cut_shapes(net.shapes, units[:2]) == {"a.weight": (1, 3, 1), "out.weight": (1, 1, 1), "out.bias": (1,)}
    with pytest.raises(TrimError, match="leave one"):
        cut_shapes(net.shapes, units)
    tensors = net.weights.tensors
    cut, masked = cut_tensors(tensors, units[:2]), masked_tensors(tensors, units[:2], ("out",))
    assert np.array_equal(cut["a.weight"], tensors["a.weight"][2:]) and np.array_equal(masked["out.weight"], tensors["out.weight"])
    assert not masked["a.weight"][:2].any() and np.array_equal(masked["a.weight"][2:], tensors["a.weight"][2:])
