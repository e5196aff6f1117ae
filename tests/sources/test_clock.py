"""Modulators by the clock: their phase stays with its pulses, their triggers come with them."""

import numpy as np
import pytest

from neurorack.inputs.clock import Clock
from tests.sources.bench import SCAN, Bench


SIXTEEN = list(range(-8, 8))


def phase_of(saw: np.ndarray) -> np.ndarray:
    """Of a rising saw of 5 V."""
    return (saw / 5 + 1) / 2


def away(phase, wanted):
    """Shortest way from one phase to another, in cycles."""
    return np.abs((phase - wanted + 0.5) % 1 - 0.5)


def at(times, volts, moments):
    return volts[np.searchsorted(times, np.asarray(moments) + 2 * SCAN)]


def rising(volts):
    """Scans at which it changed."""
    return np.flatnonzero(np.diff(volts)) + 1


@pytest.mark.parametrize("multiply, divide", [(1, 1), (4, 1), (1, 4), (3, 2), (32, 1)])
@pytest.mark.parametrize("jitter_ms", [0.0, 2.0])
def test_a_cycle_stays_with_the_pulses(multiply, divide, jitter_ms):
    beats = np.arange(1, 60) * 0.5
    pulses = beats + np.random.default_rng(1).uniform(-1e-3, 1e-3, len(beats)) * jitter_ms
    bench = Bench(mod1={"kind": "lfo", "shape": "saw_up", "pace": "clock", "multiply": multiply, "divide": divide, "rate_hz": 3.33})
    bench.clocked(pulses)
    times, volts = bench.run(29)
    phase = phase_of(at(times, volts[:, 0], beats[9:55]))
    wanted = (np.arange(9, 55) + 2 * SCAN / 0.5) * multiply / divide
    most = 0.004 + 2 * jitter_ms * 1e-3 / 0.5 * multiply / divide
    assert away(phase, wanted).max() < most
    steps = np.diff(volts[5000:, 0])
    assert (steps > 0).mean() > 0.9 and steps[steps > 0].max() < 4 * 10 * SCAN * 2 * multiply / divide, "it leaps or turns back"


@pytest.mark.parametrize("pulses_per_beat", [1, 4, 24])
def test_a_cycle_follows_changes_of_tempo_without_a_leap(pulses_per_beat):
    """120 to 132, to 100, and at once to 180 beats a minute."""
    tempi = np.concatenate([np.full(24, 120.0), np.linspace(120, 132, 16), np.linspace(132, 100, 32), np.full(8, 100), np.full(48, 180.0)])
    beats = np.concatenate([[0.3], 0.3 + np.cumsum(60 / tempi)])
    pulses = np.interp(np.arange(pulses_per_beat * (len(beats) - 1)) / pulses_per_beat, np.arange(len(beats)), beats)
    bench = Bench(mod1={"kind": "lfo", "shape": "saw_up", "pace": "clock", "divide": 2})
    bench.clocked(pulses, pulses_per_beat)
    times, volts = bench.run(beats[-1] - 0.5)
    volts = volts[:, 0]
    wanted = np.interp(times, beats, np.arange(len(beats))) / 2
    error = away(phase_of(volts), wanted)
    steady = ((times > beats[8]) & (times < beats[80])) | (times > beats[90])
    assert error[steady].max() < 0.1 and np.median(error[steady]) < 0.02
    steps = np.diff(volts[times > beats[3]])
    assert steps[steps > 0].max() < 4 * 10 * SCAN * 1.5 and (steps >= 0).mean() > 0.99


def test_without_a_clock_a_cycle_has_its_own_rate_and_then_the_last_tempo():
    bench = Bench(mod1={"kind": "lfo", "shape": "saw_up", "pace": "clock", "rate_hz": 7.0})
    times, volts = bench.run(2)
    assert np.sum(np.diff(volts[:, 0]) < -5) == pytest.approx(14, abs=1)
    bench.clocked(2.1 + 0.25 * np.arange(12))
    bench.run(4)
    times, volts = bench.run(3)      # the clock has stopped: 240 beats a minute go on
    assert np.sum(np.diff(volts[:, 0]) < -5) == pytest.approx(12, abs=1)
    assert np.diff(times[1:][np.diff(volts[:, 0]) < -5]) == pytest.approx(0.25, abs=2 * SCAN)


def test_a_reset_of_the_clock_begins_the_cycle():
    bench = Bench(mod1={"kind": "lfo", "shape": "saw_up", "pace": "clock", "divide": 8})
    bench.clocked(0.25 * np.arange(1, 60))
    bench.run(3.6)
    before = bench.run(0.14)[1][-1, 0]
    bench.clock.reset(bench.beats(0) and round(5e9 + 3.749e9))
    times, volts = bench.run(1)
    phase = phase_of(volts[:, 0])
    assert phase_of(before) > 0.2 and phase[8] < 0.01
    assert away(phase[times > 3.76], (times[times > 3.76] - 3.75) / 0.25 / 8).max() < 0.01


def test_a_gate_reset_holds_against_the_clock():
    bench = Bench(mod1={"kind": "lfo", "shape": "saw_up", "pace": "clock", "divide": 4, "reset": "gate1"})
    bench.clocked(0.25 * np.arange(1, 60))
    bench.gate(4.1)
    times, volts = bench.run(8)
    after = times > 4.102
    assert away(phase_of(volts[after, 0]), (times[after] - 4.1) / 0.25 / 4).max() < 0.01


def test_another_ratio_or_the_clock_itself_is_reached_without_a_leap():
    bench = Bench(mod1={"kind": "lfo", "pace": "free", "rate_hz": 1.3, "shape": "sine"})
    bench.clocked(0.5 * np.arange(1, 60))
    parts = [bench.run(4.27)[1][:, 0]]
    for fields in ({"pace": "clock"}, {"pace": "clock", "multiply": 3}, {"pace": "clock", "multiply": 2, "divide": 3}, {"pace": "free", "rate_hz": 0.7}):
        bench.set(mod1={"kind": "lfo", **fields})
        parts.append(bench.run(3.1)[1][:, 0])
    volts = np.concatenate(parts)
    assert np.abs(np.diff(volts)).max() < 2 * 5 * 2 * np.pi * 6 * SCAN      # twice the quickest of them


def test_a_new_cycle_begins_where_the_clock_is():
    bench = Bench()
    bench.clocked(0.5 * np.arange(1, 30))
    bench.run(4.1)
    bench.set(mod1={"kind": "lfo", "shape": "saw_up", "pace": "clock", "divide": 4})
    times, volts = bench.run(1)
    assert away(phase_of(volts[:, 0]), (times - 0.5) / 0.5 / 4).max() < 0.01


@pytest.mark.parametrize("multiply, divide", [(1, 1), (4, 1), (1, 4), (3, 2)])
def test_triggers_come_with_the_pulses_and_between_them(multiply, divide):
    bench = Bench(mod1={"kind": "steps", "steps": SIXTEEN, "trigger": "clock", "multiply": multiply, "divide": divide},
                  mod2={"kind": "sample_hold", "trigger": "clock", "multiply": multiply, "divide": divide})
    bench.clocked(0.25 * np.arange(1, 40), 2)
    times, volts = bench.run(9.6)
    changes = times[rising(volts[:, 0])]
    wanted = 0.25 + 0.5 * np.arange(1, 200) * divide / multiply
    wanted = wanted[(wanted < 9.6) & (wanted > 0.5)]
    found = changes[changes > 0.5]
    assert len(found) == len(wanted) and found == pytest.approx(wanted, abs=2 * SCAN)
    assert np.diff(volts[rising(volts[:, 0]), 0] % 16) % 16 == pytest.approx(1)
    assert len(rising(volts[:, 1])) == pytest.approx(len(wanted) + 1, abs=1)


def test_a_stopped_clock_triggers_no_more():
    bench = Bench(mod1={"kind": "steps", "steps": SIXTEEN, "trigger": "clock", "multiply": 4})
    bench.clocked(0.5 * np.arange(1, 5))
    bench.run(3)
    stands = bench.run(2)[1][:, 0]
    assert np.ptp(stands) == 0
    bench.clocked(5.5 + 0.5 * np.arange(4))
    assert np.ptp(bench.run(3)[1][:, 0]) > 0


def test_a_reset_of_the_clock_takes_a_clocked_sequence_to_its_first_step():
    bench = Bench(mod1={"kind": "steps", "steps": [1, 2, 3, 4, 5], "trigger": "clock"})
    bench.clocked(0.25 * np.arange(1, 60))
    bench.run(2.1)
    bench.clock.reset(round(5e9 + 2.1e9))
    volts = bench.run(0.8)[1][:, 0]
    assert volts[5] == 1 and volts[round(0.2 / SCAN)] == 2 and volts[round(0.45 / SCAN)] == 3


def test_the_clock_opens_an_envelope_for_half_its_time():
    bench = Bench(mod1={"kind": "envelope", "trigger": "clock", "attack_ms": 0, "decay_ms": 0, "sustain": 1, "release_ms": 0})
    bench.clocked(0.4 * np.arange(1, 30))
    times, volts = bench.run(8)
    high = volts[times > 2, 0] > 2.5
    assert high.mean() == pytest.approx(0.5, abs=0.02)
    assert np.diff(times[times > 2][1:][np.diff(high.astype(int)) > 0]) == pytest.approx(0.4, abs=2 * SCAN)


def test_a_clocked_walk_steps_with_the_pulses():
    bench = Bench(mod1={"kind": "walk", "pace": "clock", "multiply": 2, "smooth": 0})
    bench.clocked(0.5 * np.arange(1, 30))
    times, volts = bench.run(14)
    changes = times[rising(volts[:, 0])]
    assert changes[changes > 3.1] == pytest.approx(np.arange(3.25, 14.1, 0.25), abs=0.003)


def test_taps_say_where_the_beat_is():
    bench = Bench(mod1={"kind": "lfo", "shape": "saw_up", "pace": "clock"}, mod2={"kind": "lfo", "shape": "saw_up", "pace": "clock", "divide": 4})
    bench.clock = Clock()
    bench.pulse = lambda ns: bench.clock.tap(ns)
    taps = 0.3 + 0.5 * np.arange(14) + np.random.default_rng(0).uniform(-0.02, 0.02, 14)
    bench.pulses = list(taps)
    times, volts = bench.run(7)
    late = taps[6:]
    assert away(phase_of(at(times, volts[:, 0], late)), 0).max() < 0.1
    assert away(phase_of(at(times, volts[:, 1], late)), np.arange(5, 13) / 4).max() < 0.05, "the second tap is the first beat"


def test_midi_that_is_stopped_goes_on_telling_its_tempo_but_no_place():
    """Its pulses come on and do not count: a sequence stands, an oscillator goes on at the tempo."""
    from neurorack.inputs.midi_clock import MidiClock
    from neurorack.remote import wire

    bench = Bench(mod1={"kind": "steps", "steps": SIXTEEN, "trigger": "clock"}, mod2={"kind": "lfo", "shape": "saw_up", "pace": "clock"})
    clock = bench.clock = MidiClock()
    bench.pulse = lambda ns: clock.take(ns, wire.CLOCK)
    bench.pulses = list(0.01 + np.arange(24 * 24) * 0.5 / 24)
    clock.take(0, wire.START)
    bench.run(4)
    clock.take(0, wire.STOP)
    times, volts = bench.run(4)
    assert np.ptp(volts[200:, 0]) == 0
    assert np.diff(times[1:][np.diff(volts[:, 1]) < -5]) == pytest.approx(0.5, rel=0.02)
    clock.take(0, wire.CONTINUE)
    assert np.ptp(bench.run(2)[1][:, 0]) > 0
