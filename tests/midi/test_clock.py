"""MIDI's clock: tempo through jitter, start and stop."""

import random

import pytest

from neurorack.inputs.midi_clock import MidiClock
from neurorack.remote import wire

PULSE_NS = 60e9 / 120 / 24      # 120 BPM


def pulses(clock, count, at, jitter_ns=0.0, seed=1):
    wobble = random.Random(seed)
    for i in range(count):
        clock.take(round(at + i * PULSE_NS + wobble.uniform(-jitter_ns, jitter_ns)), wire.CLOCK)
    return at + count * PULSE_NS


def test_the_tempo_comes_through_the_jitter():
    clock = MidiClock()
    assert clock.tempo_bpm == 0
    pulses(clock, 96, 1e9, jitter_ns=1e6)
    assert clock.tempo_bpm == pytest.approx(120, rel=0.02) and clock.running


def test_start_counts_from_its_first_pulse():
    clock = MidiClock()
    at = pulses(clock, 30, 1e9)
    clock.take(round(at - PULSE_NS / 2), wire.START)
    clock.take(round(at), wire.CLOCK)
    assert clock.pulses == 1 and clock.step(round(at)) == pytest.approx(0, abs=0.05)
    pulses(clock, 23, at + PULSE_NS)
    assert clock.pulses == 24 and clock.step(round(at + 23 * PULSE_NS)) == pytest.approx(23 / 6, abs=0.05), "steps are sixteenths"


def test_pulses_that_were_held_up_are_counted():
    clock = MidiClock()
    at = pulses(clock, 24, 1e9)
    for _ in range(5):
        clock.take(round(at + 5 * PULSE_NS), wire.CLOCK)      # five at once, after a stall
    pulses(clock, 12, at + 6 * PULSE_NS)
    assert clock.pulses == 24 + 5 + 12 and clock.tempo_bpm == pytest.approx(120, rel=0.1)


def test_stop_holds_the_place_and_follows_the_tempo():
    clock = MidiClock()
    at = pulses(clock, 24, 1e9)
    clock.take(round(at), wire.STOP)
    at = pulses(clock, 24, at)
    assert clock.pulses == 24 and clock.tempo_bpm == pytest.approx(120, rel=0.01)
    clock.take(round(at), wire.CONTINUE)
    pulses(clock, 1, at)
    assert clock.pulses == 25


def test_a_clock_that_goes_away_has_stopped():
    clock = MidiClock()
    at = pulses(clock, 24, 1e9)
    clock.look(round(at + 4 * PULSE_NS))
    assert not clock.running and clock.tempo_bpm == pytest.approx(120, rel=0.01)
