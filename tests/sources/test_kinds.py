"""Each kind of modulator against what its definition says, computed here by numpy."""

import numpy as np
import pytest

from tests.sources.bench import SCAN, SETTLE, Bench, one

NEAR = {"abs": 1e-6}


def cycle(times, rate, phase=0.0):
    """Where in its cycle an oscillator stands that began with the first scan."""
    return ((times - times[0]) * rate + phase) % 1.0


SHAPES = {
    "sine": lambda x: np.sin(2 * np.pi * x),
    "triangle": lambda x: np.interp(x, [0, 0.25, 0.75, 1], [0, 1, -1, 0]),
    "saw_up": lambda x: 2 * x - 1,
    "saw_down": lambda x: 1 - 2 * x,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rate, phase", [(0.37, 0.0), (2.0, 0.3), (49.7, 0.9)])
def test_an_oscillator(shape, rate, phase):
    times, volts = one(4, kind="lfo", shape=shape, rate_hz=rate, phase=phase, level_volts=4.0)
    x = cycle(times, rate, phase)
    clear = (x > 1e-6) & (x < 1 - 1e-6)      # at the leap of a saw either side is right
    assert volts[clear] == pytest.approx(4 * SHAPES[shape](x[clear]), abs=1e-4)
    _, above = one(4, kind="lfo", shape=shape, rate_hz=rate, phase=phase, level_volts=4.0, polarity="unipolar")
    assert above == pytest.approx(2 + volts / 2)


@pytest.mark.parametrize("width", [0.05, 0.3, 0.95])
def test_a_square_is_high_for_its_width(width):
    times, volts = one(10, kind="lfo", shape="square", rate_hz=3.0, width=width)
    assert set(np.unique(volts)) == {-5.0, 5.0}
    assert np.mean(volts > 0) == pytest.approx(width, abs=0.005)
    rises = np.flatnonzero(np.diff(volts) > 0)
    assert np.diff(times[rises]) == pytest.approx(1 / 3, abs=2 * SCAN)


def test_random_steps_change_once_a_cycle_and_lie_anywhere():
    times, volts = one(100, every=0.01, kind="lfo", shape="random", rate_hz=10.0)
    changes = times[1:][np.diff(volts) != 0]
    assert np.diff(changes) == pytest.approx(0.1, abs=0.0101) and len(changes) == pytest.approx(1000, abs=2)
    values = volts[np.flatnonzero(np.diff(volts))]
    assert np.histogram(values, 4, (-5, 5))[0].min() > 180 and abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.1


def test_the_same_seed_gives_the_same_numbers_and_every_modulator_its_own():
    fields = {"kind": "lfo", "shape": "random", "rate_hz": 20.0}
    first, again, other = (Bench(seed, mod1=fields, mod2=fields).run(1)[1] for seed in (7, 7, 8))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert not np.array_equal(first[:, 0], first[:, 1])


def test_a_gate_begins_an_oscillator_anew_at_its_own_time():
    bench = Bench(mod1={"kind": "lfo", "shape": "saw_up", "rate_hz": 2.0, "reset": "gate2", "phase": 0.25})
    bench.gate(0.30023, gate=1)
    bench.gate(0.4)
    times, volts = bench.run(0.7)
    after = times > 0.30023 + SETTLE
    x = ((times[after] - 0.30023) * 2 + 0.25) % 1
    assert volts[after, 0] == pytest.approx(5 * (2 * x - 1), **NEAR)


# ---- envelopes


def bent(x, curve):
    x = np.clip(x, 0, 1)
    return (1 - np.exp(-5 * curve * x)) / (1 - np.exp(-5 * curve)) if curve else x


def adsr(t, attack, decay, sustain, release, length, curve):
    """Level at ``t`` seconds after the gate rose."""
    def held(t):
        return np.where(t < attack, bent(t / attack, curve), 1 + (sustain - 1) * bent((t - attack) / decay, curve))
    return np.where(t < 0, 0, np.where(t < length, held(t), held(np.float64(length)) * (1 - bent((t - length) / release, curve))))


@pytest.mark.parametrize("curve", [-1.0, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("length", [0.03, 0.15, 0.6])
def test_an_envelope(curve, length):
    """Cut off in its attack, in its decay, and held."""
    bench = Bench(mod1={"kind": "envelope", "attack_ms": 100, "decay_ms": 200, "sustain": 0.4, "release_ms": 300, "curve": curve, "level_volts": 8})
    bench.gate(0.05037, length=length)
    times, volts = bench.run(1.2)
    known = (times > 0.05037 + SETTLE) & ~((times >= 0.05037 + length) & (times < 0.05037 + length + SETTLE))
    want = 8 * adsr(times - 0.05037, 0.1, 0.2, 0.4, 0.3, length, curve)
    assert volts[known, 0] == pytest.approx(want[known], abs=1e-4)
    assert np.all(volts[times < 0.05, 0] == 0)


def test_attack_and_decay_ignore_the_gates_length():
    bench = Bench(mod1={"kind": "envelope", "stages": "ad", "attack_ms": 50, "decay_ms": 100, "curve": 0, "trigger": "gate2"})
    bench.gate(0.1, gate=1, length=0.002)
    bench.gate(0.3)
    times, volts = bench.run(0.6)
    want = 5 * np.interp(times, [0.1, 0.15, 0.25], [0, 1, 0])
    known = times > 0.102
    assert volts[known, 0] == pytest.approx(want[known], abs=1e-4)


def test_a_second_gate_rises_from_where_the_envelope_is():
    bench = Bench(mod1={"kind": "envelope", "attack_ms": 100, "release_ms": 400, "decay_ms": 10, "sustain": 1.0, "curve": 0.5})
    bench.gate(0.1, length=0.2)
    bench.gate(0.45, length=0.3)
    _, volts = bench.run(1)
    assert np.abs(np.diff(volts[:, 0])).max() < 5 * bent(np.array(2.5 * SCAN / 0.1), 0.5), "it jumps"
    low = volts[round(0.4505 / SCAN), 0]
    assert 0.5 < low < 4.5 and volts[round(0.56 / SCAN), 0] == pytest.approx(5, abs=1e-3)


def test_no_time_at_all_is_a_gate():
    bench = Bench(mod1={"kind": "envelope", "attack_ms": 0, "decay_ms": 0, "sustain": 1, "release_ms": 0})
    bench.gate(0.1, length=0.1)
    times, volts = bench.run(0.3)
    assert set(volts[:, 0]) == {0.0, 5.0} and np.sum(volts[:, 0]) * SCAN == pytest.approx(0.5, abs=5 * 2 * SCAN)


# ---- the others


def test_sample_and_hold_takes_the_settled_volts():
    bench = Bench(mod1={"kind": "sample_hold", "input": "cv3"}, mod2={"kind": "sample_hold", "input": "mod1", "trigger": "gate2"})
    bench.cv = lambda at: [0, 0, 10 * at - 4, 0, 0, 0, 0, 0]
    bench.gate(0.1, 0.3, 0.7)
    bench.gate(0.5, gate=1)
    times, volts = bench.run(1)
    held = np.select([times > 0.7 + SETTLE - 1e-9, times > 0.3 + SETTLE - 1e-9, times > 0.1 + SETTLE - 1e-9], [3.01, -0.99, -2.99], 0.0)
    assert volts[:, 0] == pytest.approx(held, abs=0.006)
    assert volts[times < 0.5, 1].max() == 0 and volts[times > 0.502, 1] == pytest.approx(-0.99, abs=0.006)


def test_held_noise_lies_between_its_limits():
    bench = Bench(mod1={"kind": "sample_hold", "low_volts": 1, "high_volts": 3})
    bench.gate(*np.arange(0.02, 20, 0.02), length=0.005)
    volts = bench.run(20, 0.01)[1][5:, 0]
    assert 1 <= volts.min() < 1.05 and 2.95 < volts.max() <= 3 and volts.mean() == pytest.approx(2, abs=0.1)


def test_a_straight_slew_takes_its_time_for_five_volts():
    bench = Bench(mod1={"kind": "slew", "rise_ms": 200, "fall_ms": 50})
    bench.cv = lambda at: [4.0 if at < 0.5 else -1.0, *[0.0] * 7]
    times, volts = bench.run(1)
    want = np.minimum(4, 25 * times)
    want[times >= 0.5] = np.maximum(-1, 4 - 100 * (times[times >= 0.5] - 0.5))
    assert volts[:, 0] == pytest.approx(want, abs=101 * SCAN)


def test_an_exponential_slew_has_time_constants():
    bench = Bench(mod1={"kind": "slew", "rise_ms": 100, "fall_ms": 30, "response": "exponential"})
    bench.cv = lambda at: [5.0 if at < 0.6 else 0.0, *[0.0] * 7]
    times, volts = bench.run(1)
    want = 5 * (1 - np.exp(-times / 0.1))
    fell = times >= 0.6
    want[fell] = 5 * (1 - np.exp(-6)) * np.exp(-(times[fell] - 0.6) / 0.03)
    assert volts[:, 0] == pytest.approx(want, abs=170 * SCAN)


def test_a_slew_without_time_is_its_input_and_may_be_another_modulator():
    bench = Bench(mod1={"kind": "lfo", "rate_hz": 5}, mod2={"kind": "slew", "input": "mod1", "rise_ms": 0, "fall_ms": 0})
    volts = bench.run(0.5)[1]
    assert np.array_equal(volts[:, 0], volts[:, 1])


def test_a_walk_steps_at_its_rate_within_its_bounds():
    times, volts = one(200, every=0.005, kind="walk", rate_hz=10, step_volts=2, low_volts=-1, high_volts=4, smooth=0)
    changes = times[1:][np.diff(volts) != 0]
    assert np.diff(changes) == pytest.approx(0.1, abs=0.0051) and len(changes) == pytest.approx(2000, abs=4)
    steps = np.diff(volts)[np.diff(volts) != 0]
    assert np.abs(steps).max() <= 2 and np.abs(steps).max() > 1.9
    assert -1 <= volts.min() < -0.9 and 3.9 < volts.max() <= 4
    assert np.histogram(volts, 5, (-1, 4))[0].min() > 0.1 * len(volts), "it does not stay at its bounds"


def test_a_smooth_walk_goes_straight_from_step_to_step():
    stairs, smooth, half = (one(5, kind="walk", rate_hz=4, smooth=share)[1] for share in (0.0, 1.0, 0.5))
    at = np.arange(len(stairs)) * SCAN % 0.25 / 0.25
    before = np.concatenate([np.zeros(round(0.25 / SCAN)), stairs[:-round(0.25 / SCAN)]])       # a step ago
    inside = (at > 0.02) & (at < 0.98)
    assert smooth[inside] == pytest.approx((before + at * (stairs - before))[inside], abs=0.01)
    assert half[inside] == pytest.approx((before + np.minimum(1, 2 * at) * (stairs - before))[inside], abs=0.02)


@pytest.mark.parametrize("direction, places", [("forward", [0, 1, 2, 3, 0, 1, 2, 3, 0]), ("backward", [0, 3, 2, 1, 0, 3, 2, 1, 0]),
                                               ("pingpong", [0, 1, 2, 3, 2, 1, 0, 1, 2])])
def test_a_sequence_goes_its_way(direction, places):
    bench = Bench(mod1={"kind": "steps", "steps": [0.5, -1, 2, 7], "direction": direction})
    bench.gate(*(0.1 * np.arange(1, 10)))
    volts = bench.run(1)[1][:, 0]
    assert volts[:round(0.1 / SCAN)] == pytest.approx(0.5), "it waits at its first step"
    assert [volts[round((0.1 * k + 0.05) / SCAN)] for k in range(1, 10)] == [[0.5, -1, 2, 7][p] for p in places]


def test_a_random_sequence_plays_every_step():
    bench = Bench(mod1={"kind": "steps", "steps": list(range(5)), "direction": "random"})
    bench.gate(*np.arange(0.02, 10, 0.02), length=0.005)
    volts = bench.run(10, 0.01)[1][4::2, 0]
    assert np.histogram(volts, 5, (-0.5, 4.5))[0].min() > 60


def test_a_sequence_glides():
    bench = Bench(mod1={"kind": "steps", "steps": [0, 4], "glide_ms": 100})
    bench.gate(0.1, 0.2, 0.25)
    times, volts = bench.run(0.5)
    want = np.interp(times, [0.2, 0.25, 0.35], [0, 2, 0])
    known = (times < 0.25) | (times > 0.2515)
    assert volts[known, 0] == pytest.approx(want[known], abs=0.05)


def test_a_gate_takes_a_sequence_to_its_first_step_and_a_trigger_beside_it_belongs_to_that():
    bench = Bench(mod1={"kind": "steps", "steps": [0, 1, 2, 3], "reset": "gate2"})
    bench.gate(0.1, 0.2, 0.3, 0.503, 0.6)
    bench.gate(0.5, gate=1)
    volts = bench.run(0.8)[1][:, 0]
    assert [volts[round(at / SCAN)] for at in (0.15, 0.25, 0.35, 0.51, 0.55, 0.65)] == [0, 1, 2, 0, 0, 1]


def test_a_modulator_that_is_off_gives_nothing():
    assert not Bench().run(0.1)[1].any() and not Bench(mod1={"kind": "off"}).run(0.1)[1].any()


def test_nothing_leaves_ten_volts():
    bench = Bench(mod1={"kind": "sample_hold", "input": "cv1"}, mod2={"kind": "slew", "input": "cv1", "rise_ms": 0, "fall_ms": 0})
    bench.cv = lambda at: [float("nan") if at < 0.1 else 14.0, *[0.0] * 7]
    bench.gate(0.05, 0.2)
    volts = bench.run(0.3)[1]
    assert np.isfinite(volts).all() and np.abs(volts).max() <= 10 and volts[-1].max() == 10
