"""From converted volts to what a jack means: noise, steps, ends, octaves, scales, open jacks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack.inputs.calibration import Correction
from neurorack.inputs.conditioner import Conditioner
from neurorack.inputs.settings import CvSettings, parse

SCAN_NS = 500_000
CV = {"jacks": 2, "range_volts": [-10.0, 10.0], "unpatched_volts": 1.241}


def jack(correction=Correction(), **given) -> Conditioner:
    made = Conditioner(CV)
    made.use([parse("cv1", given), CvSettings()], [correction, Correction()])
    return made


def through(conditioner, volts, scan_ns=SCAN_NS) -> np.ndarray:
    return np.array([conditioner.condition([v, 0.0], (i + 1) * scan_ns)[0] for i, v in enumerate(volts)])


def test_noise_is_filtered_and_a_step_is_not():
    noise = np.random.default_rng(1).normal(0, 0.003, 8000)
    out = through(jack(smooth_ms=10), 2.0 + noise)[500:]
    assert out.std() < noise.std() / 4 and abs(out.mean() - 2) < 0.001
    steps = np.repeat([0.0, 1.0, 3.0, 2.95, -4.0], 3)
    assert through(jack(smooth_ms=1000, deadzone_volts=0), steps) == pytest.approx(steps), "more than half a semitone: at once"


def test_a_step_under_half_a_semitone_is_filtered():
    out = through(jack(smooth_ms=10), [1.0] * 10 + [1.02] * 400)
    assert 1.0 < out[10] < 1.01 and out[-1] == pytest.approx(1.02, abs=1e-4)
    assert (np.diff(out) >= 0).all(), "it creeps there and never beyond"


@pytest.mark.parametrize("volts_per_second", [1, 10, 100])
def test_a_curve_makes_no_stairs(volts_per_second):
    """The output of a ramp follows it steadily: no scan moves it by more than twice the ramp's own move."""
    ramp = np.arange(0.1, 4, volts_per_second * SCAN_NS / 1e9)
    out = through(jack(smooth_ms=20), ramp)
    assert np.diff(out)[5:].max() < 2.0 * (ramp[1] - ramp[0]) and np.abs(ramp - out).max() < 1 / 24


def test_calibration_comes_first():
    assert through(jack(Correction(1.02, -0.03)), [1.0])[0] == pytest.approx(0.99)


@pytest.mark.parametrize("name, low, high", [("board", -10, 10), ("-5..5", -5, 5), ("0..5", 0, 5), ("0..8", 0, 8), ("0..10", 0, 10)])
def test_both_ends_and_zero_are_reachable(name, low, high):
    """With a converter that lacks a little at each end and stands a little beside 0."""
    for short in (0.015, -0.5):
        assert through(jack(range=name), [high - short])[0] == high
        assert through(jack(range=name), [low + (short if low else 0.004)])[0] == low
    assert through(jack(range=name), [0.004])[0] == 0 and through(jack(range=name), [-0.004])[0] == 0
    assert through(jack(range=name), [0.3 * high])[0] == pytest.approx(0.3 * high)
    assert through(jack(range=name, deadzone_volts=0), [0.004])[0] == 0.004


@given(volts=st.floats(-10, 10), octave=st.sampled_from([1.0, 1.2]))
@settings(max_examples=200, deadline=None)
def test_quantised_volts_are_the_nearest_note_of_the_scale(volts, octave):
    out = through(jack(scale="minor", root="D", volts_per_octave=octave, deadzone_volts=0), [volts])[0]
    semitones, note = 12 * volts / octave, round(12 * out)
    assert 12 * out == pytest.approx(note, abs=1e-9) and (note - 2) % 12 in (0, 2, 3, 5, 7, 8, 10)
    assert abs(semitones - note) <= 1 + 1e-9


def test_twelve_hundred_millivolts_an_octave():
    assert through(jack(volts_per_octave=1.2), [3.6])[0] == pytest.approx(3.0)
    assert through(jack(volts_per_octave=1.2, smooth_ms=1000), [1.2, 1.2 + 0.049])[1] < 1.041, "half a semitone is 50 mV there"


def test_a_voltage_between_two_notes_stays_on_its_note():
    noise = 0.5 / 12 + 0.05 / 12 * np.sin(np.arange(400))
    assert len(set(through(jack(scale="chromatic", smooth_ms=0), 1 + noise))) == 1
    assert set(through(jack(scale="octaves", smooth_ms=0), [0.1, 0.45, 0.7, 1.3, -0.8])) == {0, 1, -1}


def test_an_open_jack_gives_its_normal_where_the_board_can_tell():
    quarter = int(0.25e9 / SCAN_NS)
    out = through(jack(detect_unpatched=True, normal_volts=5.0, smooth_ms=0), [1.241] * (quarter + 5) + [2.0])
    assert out[0] == 1.241 and out[quarter + 3] == 5.0 and out[-1] == 2.0
    assert set(through(jack(smooth_ms=0), [1.241] * 2 * quarter)) == {1.241}, "only where it was asked for: a pitch may stand there"


def test_a_jack_that_was_never_converted_gives_its_normal_then_what_it_reads():
    nan = float("nan")
    assert list(through(jack(normal_volts=2.5), [nan, nan, 1.0, nan])) == [2.5, 2.5, 1.0, 1.0]
    made = jack(normal_volts=2.5)
    made.hold([4.0, 0.0])
    assert list(through(made, [nan, 1.0])) == [4.0, 1.0], "after a restart it holds"


def test_new_settings_do_not_disturb_a_jack_that_stands():
    made = jack(smooth_ms=50)
    before = through(made, [1.0] * 5 + [1.02] * 20)[-1]
    made.use([parse("cv1", {"smooth_ms": 51}), CvSettings()], [Correction()] * 2)
    assert made.condition([1.02, 0.0], 26 * SCAN_NS)[0] == pytest.approx(before, abs=0.001)
