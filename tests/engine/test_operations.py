"""Every operation against its definition in numpy, over random shapes, strides and parameters."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurorack.engine import reference
from neurorack.engine.opset import ACTIVATIONS, BINARY, FOLDS, TERNARY, UNARY

from .helpers import agree, both, normal

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
size = st.integers(1, 40)


def awkward(x: np.ndarray) -> np.ndarray:
    """x with what arithmetic stumbles over in its first places."""
    x = x.copy()
    special = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        np.inf,
        -np.inf,
        np.nan,
        1e-30,
        88.5,
        -88.5,
        100.0,
        -110.0,
        20.5,
        0.5,
        -0.5,
        1.5,
        2.5,
        1e4,
        -3e5,
    ]
    flat = x.reshape(-1)
    flat[: len(special)] = special[: flat.size]
    return x


@pytest.mark.parametrize("fn", UNARY)
def test_functions_of_one_number(fn):
    x = awkward(normal(3 * 21, 7, seed=1) * 3)
    a, b = (0.3, 1.2) if fn == "clamp" else (0.2, 0.7)
    agree(lambda m: m.output(m.unary(fn, m.input(), a, b)), x, (21, 7), 6e-7, floor=0.2)


@pytest.mark.parametrize("fn", BINARY)
def test_functions_of_two_numbers(fn):
    x = np.concatenate([awkward(normal(3 * 9, 5, seed=2)), awkward(normal(3 * 9, 5, seed=3))[:, ::-1]], 1)
    if fn in ("eq", "ne"):
        x = np.round(x)
    agree(lambda m: m.output(m.binary(fn, m.input()[:, :5], m.input()[:, 5:])), x, (9, 5), 6e-7, floor=0.2)


@pytest.mark.parametrize("fn", TERNARY)
def test_functions_of_three_numbers(fn):
    x = normal(3 * 9, 21, seed=4)
    x[::2, :7] = 0
    agree(
        lambda m: m.output(m.ternary(fn, m.input()[:, :7], m.input()[:, 7:14], m.input()[:, 14:])),
        x,
        (9, 7),
        6e-7,
        floor=1.0,
    )


@QUICK
@given(st.data())
def test_strided_views_and_repeats(data):
    """Slices with steps, reversed axes, transposes and repeats, in and out, give what numpy gives."""
    rows, cols = data.draw(size), data.draw(size)
    x = normal(rows, cols, seed=rows * 41 + cols)

    def slices(n):
        start = data.draw(st.integers(0, n - 1))
        return slice(start, None, data.draw(st.sampled_from([1, 2, 3, -1, -2])))

    key = slices(rows), slices(cols)
    part = x[key]
    fn = data.draw(st.sampled_from(["add", "mul", "sub"]))
    other = data.draw(st.sampled_from(["row", "column", "number", "turned"]))

    def build(m):
        v = m.input()[key]
        second = {"row": v[:1], "column": v[:, :1], "number": v[:1, :1], "turned": m.copy(v.transposed()).transposed()}[
            other
        ]
        m.output(m.binary(fn, v, second))

    fast, _ = both(build, (rows, cols), part.shape)
    second = {"row": part[:1], "column": part[:, :1], "number": part[:1, :1], "turned": part}[other]
    np.testing.assert_array_equal(fast.run(x), reference.BINARY[fn](part, second))


@QUICK
@given(st.data())
def test_overlapping_copies_act_as_if_read_first(data):
    """A copy within one buffer gives what a copy by way of elsewhere gives, whatever the overlap."""
    n = data.draw(st.integers(24, 60))
    count = data.draw(st.integers(1, 4))
    step_from, step_to = data.draw(st.sampled_from([1, 2, -1, 3])), data.draw(st.sampled_from([1, 2, -1, 3]))
    width = data.draw(st.integers(1, 3))
    reach_from, reach_to = abs(step_from) * (count - 1) + width, abs(step_to) * (count - 1) + width
    start, to = data.draw(st.integers(0, n - reach_from)), data.draw(st.integers(0, n - reach_to))
    if abs(step_to) < width:
        step_to = width if step_to > 0 else -width
        to = min(to, n - (width * (count - 1) + width)) if width * count <= n else None
    if to is None or to < 0:
        return
    x = normal(n, 1, seed=n)

    def window(v, at, step):
        at += -step * (count - 1) if step < 0 else 0
        return at, (count, width), (step, 1)

    def build(m):
        from dataclasses import replace

        v = m.copy(m.input()).reshape(n)
        views = [
            replace(v, offset=w[0], shape=w[1], strides=w[2])
            for w in (window(v, start, step_from), window(v, to, step_to))
        ]
        m.call("unary", [views[0]], [views[1]], fn="copy")
        m.output(v.reshape(n, 1))

    want = x[:, 0].copy()
    views = [
        np.lib.stride_tricks.as_strided(want[w[0] :], w[1], [4 * s for s in w[2]])
        for w in (window(0, start, step_from), window(0, to, step_to))
    ]
    views[1][...] = views[0].copy()
    fast, _ = both(build, (n, 1), (n, 1))
    np.testing.assert_array_equal(fast.run(x)[:, 0], want)


@QUICK
@given(
    taps=st.integers(1, 7),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 4),
    groups=st.sampled_from([1, 1, 2, 3]),
    ins=st.integers(1, 20),
    outs=st.integers(1, 70),
    rows=st.integers(1, 20),
    act=st.sampled_from(ACTIVATIONS),
    act2=st.sampled_from([None, *(f for f in ACTIVATIONS if f != "exp")]),
    residual=st.booleans(),
    first=st.booleans(),
    bias=st.booleans(),
)
def test_convolutions(taps, stride, dilation, groups, ins, outs, rows, act, act2, residual, first, bias):
    w = normal(outs * groups, ins, taps, seed=taps) / math.sqrt(ins * taps)
    x = normal(3 * rows * stride, ins * groups, seed=outs)

    def build(m):
        extra = m.constant(normal(rows, outs * groups, seed=9)) if residual else None
        y = m.conv1d(
            m.input(),
            w,
            normal(outs * groups) if bias else None,
            stride=stride,
            dilation=dilation,
            groups=groups,
            act=act,
            a=0.2,
            b=0.9,
            residual=m.copy(extra) if residual else None,
            residual_first=first,
            also=act2,
            a2=-0.1,
            b2=0.3,
        )
        m.output(m.concat(y) if act2 else y)

    agree(build, x, (rows, outs * groups * (2 if act2 else 1)), 3e-6)


@QUICK
@given(
    taps=st.integers(1, 9),
    stride=st.integers(1, 5),
    groups=st.sampled_from([1, 1, 2, 3]),
    ins=st.integers(1, 12),
    outs=st.integers(1, 24),
    rows=st.integers(1, 12),
    crop=st.integers(0, 12),
    cut=st.integers(0, 12),
    act2=st.sampled_from([None, "tanh", "leaky_relu"]),
    strided=st.booleans(),
)
def test_transposed_convolutions(taps, stride, groups, ins, outs, rows, crop, cut, act2, strided):
    whole = (rows - 1) * stride + taps
    crop = min(crop, whole - 1)
    kept = max(1, whole - crop - cut)
    w = normal(taps, ins * groups, outs, seed=taps)

    def build(m):
        x = m.input()[::-1] if strided else m.input()
        y, y2 = m.new(kept, outs * groups), m.new(kept, outs * groups) if act2 else None
        m.call(
            "conv_transpose1d",
            [x, m.constant(w), m.constant(normal(outs * groups))],
            [y, y2],
            stride=stride,
            groups=groups,
            crop=crop,
            act="leaky_relu",
            a=0.2,
            act2=act2 or "copy",
            a2=0.5,
        )
        m.output(m.concat([y, y2]) if act2 else y)

    agree(build, normal(3 * rows, ins * groups), (kept, outs * groups * (2 if act2 else 1)), 3e-6)


@QUICK
@given(
    batch=st.sampled_from([0, 1, 3]),
    m=st.integers(1, 12),
    k=st.integers(1, 30),
    n=st.integers(1, 40),
    constant=st.booleans(),
    turned=st.booleans(),
)
def test_matrix_products(batch, m, k, n, constant, turned):
    stack = (batch,) if batch else ()
    count = max(batch, 1)
    right = normal(*stack, k, n, seed=5)

    def build(b):
        flat = b.input().reshape(count * m * k + count * k * n)
        left = flat[: count * m * k].reshape(*stack, m, k)
        moving = flat[count * m * k :].reshape(*stack, n, k) if turned else flat[count * m * k :].reshape(*stack, k, n)
        if turned:
            moving = moving.transposed(*range(len(stack)), len(stack) + 1, len(stack))
        b.output(b.matmul(left, b.constant(right) if constant else moving).reshape(count * m, n))

    agree(build, normal(3, count * (m * k + k * n), seed=k), (count * m, n), 5e-6)


@QUICK
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 33), st.integers(1, 9)),
    axes=st.sets(st.integers(0, 2), max_size=3),
    fn=st.sampled_from(FOLDS),
)
def test_reductions(shape, axes, fn):
    n = math.prod(shape)
    kept = [1 if i in axes else s for i, s in enumerate(shape)]

    def build(m):
        y = m.new(*kept)
        m.call("reduce", [m.input().reshape(*shape).transposed(2, 0, 1).transposed(1, 2, 0)], [y], fn=fn, scale=0.5)
        m.output(y.reshape(math.prod(kept), 1))

    x = 1 + 0.1 * normal(3 * n, 1, seed=n) if fn == "mul" else normal(3 * n, 1, seed=n)
    agree(build, x, (math.prod(kept), 1), 1e-5)


@pytest.mark.parametrize("fn", ["max", "min"])
def test_nan_wins_in_maxima(fn):
    x = normal(4, 37)
    x[1, 30] = np.nan
    fast, _ = both(lambda m: m.output(m.reduce(fn, m.input())), x.shape, (4, 1))
    assert np.isnan(fast.run(x)[:, 0]).tolist() == [False, True, False, False]


@QUICK
@given(rows=st.integers(1, 9), cols=st.integers(1, 40), axis=st.integers(0, 1), fn=st.sampled_from(["add", "mul"]))
def test_scans(rows, cols, axis, fn):
    agree(lambda m: m.output(m.scan(fn, m.input(), axis)), normal(3 * rows, cols), (rows, cols))


@QUICK
@given(rows=st.integers(1, 9), cols=st.integers(1, 40), fn=st.sampled_from(["max", "min"]), nan=st.booleans())
def test_argument_of_the_extreme(rows, cols, fn, nan):
    x = np.round(normal(3 * rows, cols))  # with equals
    if nan:
        x[0, cols // 2] = np.nan
    agree(lambda m: m.output(m.arg(fn, m.input()).reshape(rows, 1)), x, (rows, 1))


def test_gather_gives_nan_outside():
    table = normal(5, 3)
    x = np.array([[0.0], [4.9], [2.0], [-1.0], [5.0], [np.nan], [np.inf], [1e30], [3.0]], np.float32)
    fast, slow = both(lambda m: m.output(m.gather(table, m.input().reshape(9))), (9, 1), (9, 3))
    got = fast.run(x)
    np.testing.assert_array_equal(got, slow.run(x))
    np.testing.assert_array_equal(got[[0, 1, 2, 8]], table[[0, 4, 2, 3]])
    assert np.isnan(got[3:8]).all()


@QUICK
@given(rows=st.integers(1, 8), ins=st.integers(1, 20), hidden=st.integers(1, 40), bias=st.booleans())
def test_gru(rows, ins, hidden, bias):
    w_x, w_h, b_x, b_h = (
        normal(3 * hidden, ins),
        0.3 * normal(3 * hidden, hidden),
        normal(3 * hidden),
        normal(3 * hidden, seed=1),
    )
    agree(
        lambda m: m.output(
            m.gru(m.input(), w_x, w_h, b_x if bias else None, b_h if bias else None, initial=0.1 * normal(hidden))
        ),
        normal(3 * rows, ins),
        (rows, hidden),
    )


@QUICK
@given(
    rows=st.integers(1, 4),
    hop=st.sampled_from([1, 3, 16, 64, 100, 512]),
    count=st.integers(1, 12),
    varying=st.booleans(),
)
def test_oscillators(rows, hop, count, varying):
    amplitudes = np.abs(normal(3 * rows, count))
    amplitudes[:, 0] = 0
    hz = np.abs(normal(3 * rows, count, seed=7)) * 12000
    x = np.concatenate([amplitudes, hz], 1)

    def build(m):
        v = m.input()
        f = v[:, count:] if varying else np.geomspace(20, 20000, count)
        m.output(m.oscillators(v[:, :count], f, 48000, hop, phases=np.linspace(0, 1, count)))

    agree(build, x, (rows * hop, 1), 3e-6)


@QUICK
@given(
    rows=st.integers(1, 4),
    hop=st.sampled_from([1, 5, 64, 200]),
    length=st.sampled_from([17, 100, 256]),
    start=st.integers(0, 300),
)
def test_noise_bands(rows, hop, length, start):
    table = normal(6, length)
    agree(
        lambda m: m.output(m.noise_bands(m.input(), m.constant(table), hop, start)),
        np.abs(normal(3 * rows, 6)),
        (rows * hop, 1),
        3e-6,
    )


@pytest.mark.parametrize("normal_", [False, True])
def test_random_numbers(normal_):
    agree(lambda m: m.output(m.random(500, 3, normal=normal_, seed=5)[::-1]), np.zeros((3, 1)), (500, 3), 1e-6)


@QUICK
@given(rows=st.integers(1, 4), hop=st.integers(1, 40), taps=st.integers(2, 90))
def test_filter_frames(rows, hop, taps):
    def build(m):
        v = m.input()
        m.output(m.filter_frames(m.copy(v[:, :hop]).reshape(rows * hop, 1), v[:, hop:]))

    agree(build, normal(3 * rows, hop + taps), (rows * hop, 1), 5e-6)
