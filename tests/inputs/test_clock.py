"""A clock jack: tempo without jitter, steps, resets, pauses, taps."""

import random

import pytest

from neurorack.inputs.clock import JACK, NO, RESET_WINDOW_NS, TAPPED, Clock
from neurorack.inputs.settings import GateSettings

MS = 1_000_000


def clock(**given) -> Clock:
    return Clock(GateSettings(role="clock", **given))


def feed(c: Clock, times) -> list[int]:
    """Pulses at these times, looked at every 20 ms and whenever a step is due; returns the steps' times."""
    steps, now = [], None
    for at in map(int, times):
        now = at if now is None else now
        while now < at:
            now = min(at, now + 20 * MS, c.next_step_ns if c.next_step_ns and c.next_step_ns > now else at)
            if now < at:
                c.look(now)
                steps += c.steps()
        c.pulse(at)
        steps += c.steps()
    return steps


@pytest.mark.parametrize("bpm", [30, 120, 300])
def test_the_tempo_of_a_shaking_clock(bpm):
    period, rng = 60e9 / bpm / 4, random.Random(bpm)
    c = clock()
    tempi, errors = [], []
    for i in range(200):
        c.pulse(int(1e9 + i * period + rng.uniform(-2, 2) * MS))
        tempi.append(c.tempo_bpm)
        errors.append(abs(c.pulse_ns - (1e9 + i * period)))
    assert c.running == JACK and c.pulses == 200
    assert all(abs(t - bpm) < 0.025 * bpm for t in tempi[8:]), "each is within 2.5 %, where single intervals are off by up to 8 %"
    assert sorted(errors[8:])[96] < 0.8 * MS


def test_a_change_of_tempo_is_followed_in_three_pulses():
    c = clock()
    feed(c, [i * 125 * MS for i in range(20)] + [19 * 125 * MS + i * 80 * MS for i in range(1, 4)])
    assert c.tempo_bpm == pytest.approx(60 / 0.08 / 4, rel=0.02)


def test_a_missed_pulse_and_a_double_one_leave_the_tempo_alone():
    times = [i * 125 * MS for i in range(30)]
    for wrong in (times[:15] + times[16:], times[:15] + [times[14] + 30 * MS] + times[15:]):
        c = clock()
        feed(c, wrong)
        assert c.tempo_bpm == pytest.approx(120, rel=0.01) and c.pulse_ns == pytest.approx(times[-1], abs=2 * MS)


def test_it_stops_when_the_pulses_do_and_keeps_its_tempo():
    c = clock()
    feed(c, [i * 125 * MS for i in range(10)])
    c.look(9 * 125 * MS + 200 * MS)
    assert c.running == JACK
    c.look(9 * 125 * MS + 320 * MS)
    assert c.running == NO and c.tempo_bpm == pytest.approx(120) and c.next_step_ns is None
    feed(c, [10_000 * MS, 10_100 * MS])
    assert c.running == JACK and c.tempo_bpm == pytest.approx(150)


@pytest.mark.parametrize("multiply, divide", [(1, 1), (2, 1), (4, 1), (1, 4), (3, 2), (2, 3)])
def test_steps_multiplied_and_divided(multiply, divide):
    period, pulses = 120 * MS, 25
    steps = feed(clock(multiply=multiply, divide=divide), [i * period for i in range(pulses)])
    wanted = [i * period * divide / multiply for i in range((pulses - 1) * multiply // divide + 1)]
    wanted = [at for at in wanted if not 0 < at < period], [at for at in wanted if at >= period]      # before the second pulse there is no tempo yet
    assert [at for at in steps if at >= period] == pytest.approx(wanted[1], abs=10)
    assert steps[0] == 0


def test_the_step_grows_evenly():
    c = clock(multiply=2)
    feed(c, [i * 100 * MS for i in range(8)])
    assert [c.step(700 * MS + part * MS) for part in (0, 25, 50, 99, 150)] == pytest.approx([14, 14.5, 15, 15.98, 16])


@pytest.mark.parametrize("late", [-5, 0.5, 3, 7])
def test_a_reset_and_its_clock_are_one(late):
    """The clock may come a little before or after its reset: the step after them is the second."""
    c, reset = clock(), 1000 * MS
    feed(c, [i * 125 * MS for i in range(8)])
    for at, does in sorted([(reset, c.reset), (reset + int(late * MS), c.pulse)], key=lambda both: both[0]):
        does(at)
    assert c.pulses == 1 and c.step(reset + 8 * MS) < 0.2
    c.pulse(reset + 125 * MS)
    assert c.pulses == 2 and c.tempo_bpm == pytest.approx(120, rel=0.04)


def test_a_clock_after_the_window_counts():
    c = clock()
    c.reset(1000 * MS)
    assert not c.pulse(1000 * MS + RESET_WINDOW_NS - 1)
    c.reset(2000 * MS)
    assert c.pulse(2000 * MS + RESET_WINDOW_NS)
    assert c.pulses == 2


def test_taps_make_a_tempo_that_runs_until_a_clock_comes():
    c = clock()
    for i in range(4):
        c.tap(i * 500 * MS)
        c.look(i * 500 * MS)
    assert c.running == TAPPED and c.tempo_bpm == pytest.approx(120)
    steps = []
    for now in range(1520, 4000, 20):
        c.look(now * MS)
        steps += c.steps()
    assert len(steps) == 19 and c.running == TAPPED
    feed(c, [4000 * MS, 4100 * MS, 4200 * MS])
    assert c.running == JACK and c.tempo_bpm == pytest.approx(150)
    c.tap(4210 * MS)
    assert c.tempo_bpm == pytest.approx(150)


def test_taps_far_apart_are_no_tempo():
    c = clock()
    c.tap(0)
    c.tap(5000 * MS)
    assert c.running == NO and c.tempo_bpm == 0


def test_contact_bounce_is_no_pulse():
    c = clock()
    feed(c, [0, 1 * MS, 125 * MS, 126 * MS, 250 * MS])
    assert c.pulses == 3 and c.tempo_bpm == pytest.approx(120)
