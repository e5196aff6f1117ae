"""The jack detective on known signals, as boards of different speed and noise see them, and through a simulated board."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from neurorack.errors import BoardError, NeurorackError
from neurorack.inputs import quantise, settings
from neurorack.inputs.detective import look_at_cv, look_at_gate
from neurorack.inputs.jacks import change, keep, named, watch
from neurorack.inputs.watching import Jacks
from tests.drivers.conftest import Bench
from tests.inputs.buses import needs_buses

CV = {"jacks": 4, "range_volts": [-10.0, 10.0]}
#: scans a second, conversions a second of one jack, LSB in volts
BOARDS = {"pi": (2000, 2000, 0.00537), "pi-ads1115": (860, 215, 0.00083)}


def seen(board, signal, seconds=5.0, seed=1):
    """A signal (a function of seconds) as a board's converter sees it: ns, volts."""
    scans_hz, jack_hz, lsb = BOARDS[board]
    at = np.arange(0, seconds, 1 / scans_hz)
    converted = np.floor(at * jack_hz) / jack_hz
    rng = np.random.default_rng(seed)
    fresh = np.concatenate(([True], np.diff(converted) > 0)) if jack_hz < scans_hz else np.ones(len(at), bool)
    noise = rng.normal(0, 0.5, len(at))[np.maximum.accumulate(np.where(fresh, np.arange(len(at)), 0))]
    return (at * 1e9).astype(np.int64), np.round(signal(converted) / lsb + noise) * lsb


def steps(values, seconds_each):
    return lambda t: np.array(values)[(t / seconds_each).astype(int) % len(values)]


def pulses(period, length, high=5.0, shake=0.0):
    rng = np.random.default_rng(5)
    starts = np.arange(0.05, 60, period) + rng.uniform(-shake, shake, len(np.arange(0.05, 60, period)))
    return lambda t: high * np.isin(np.searchsorted(starts, t), np.flatnonzero(starts >= 0) + 1) * (
        t - starts[np.clip(np.searchsorted(starts, t) - 1, 0, None)] < length) * (t >= starts[0])


NOTES = np.array([0, 3, 7, 12, 10, 5, 2, 8]) / 12
SIGNALS = {
    "unpatched": (lambda t: 0 * t, "unpatched", {}),
    "held": (lambda t: 0 * t + 3.3, "modulation", {"range": "board"}),
    "slow lfo": (lambda t: 4.5 * np.sin(2 * np.pi * 0.3 * t), "modulation", {"range": "-5..5"}),
    "fast lfo": (lambda t: 2 + 1.8 * np.sin(2 * np.pi * 6 * t), "modulation", {"range": "0..5"}),
    "envelope": (lambda t: 7.8 * np.exp(-(t % 1.1) / 0.2), "modulation", {"range": "0..8"}),
    "random steps": (steps(np.random.default_rng(7).uniform(0, 9.5, 40), 0.23), "modulation", {"range": "0..10"}),
    "pitch": (steps(NOTES, 0.3), "pitch", {"deadzone_volts": 0.0, "volts_per_octave": 1.0}),
    "detuned pitch": (steps(NOTES + 0.031, 0.25), "pitch", {"volts_per_octave": 1.0}),
    "buchla pitch": (steps(NOTES * 1.2, 0.3), "pitch", {"volts_per_octave": 1.2}),
    "gate": (pulses(0.7, 0.25, shake=0.2), "gate", {"smooth_ms": 0.0}),
    "clock": (pulses(0.25, 0.1), "clock", {"smooth_ms": 0.0}),
    "audio": (lambda t: 5 * np.sin(2 * np.pi * 61 * t), "audio", {"smooth_ms": 0.0, "range": "-5..5"}),
}


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", SIGNALS)
def test_what_is_patched_is_told(board, name):
    signal, role, wanted = SIGNALS[name]
    finding = look_at_cv("cv1", *seen(board, signal), CV)
    assert finding.role == role, finding
    assert {key: finding.settings[key] for key in wanted} == wanted
    settings.parse("cv1", finding.settings)
    assert finding.numbers["noise_volts"] < (0.01 if name != "fast lfo" else 0.03) or name == "audio"


def test_a_noisy_jack_is_smoothed_more():
    quiet, noisy = (look_at_cv("cv1", *seen("pi", lambda t, n=n: 3 + n * np.random.default_rng(2).normal(0, 1, len(t))), CV) for n in (0.0, 0.02))
    assert noisy.settings["smooth_ms"] > 3 * quiet.settings["smooth_ms"] and noisy.settings["deadzone_volts"] > quiet.settings["deadzone_volts"]
    assert noisy.numbers["noise_cents"] == pytest.approx(24, rel=0.2)


def test_thresholds_of_a_weak_gate():
    finding = look_at_cv("cv1", *seen("pi", pulses(0.7, 0.25, high=3.0, shake=0.2)), CV)
    assert finding.role == "gate" and 0.8 < finding.numbers["rise_volts"] < 1.5 and 0.3 < finding.numbers["fall_volts"] < 0.9


def test_an_open_jack_of_a_board_whose_jacks_float():
    assert look_at_cv("cv1", *seen("pi", lambda t: 0 * t + 1.241), {**CV, "unpatched_volts": 1.241}).role == "unpatched"
    assert look_at_cv("cv1", *seen("pi", lambda t: 0 * t), {**CV, "unpatched_volts": 1.241}).role == "modulation"


def test_too_few_scans_are_said():
    with pytest.raises(BoardError, match="only 20 scans"):
        look_at_cv("cv1", np.arange(20), np.zeros(20), CV)


def edges(times, length):
    return [edge for at in times for edge in ((int(at * 1e9), True), (int((at + length) * 1e9), False))]


@pytest.mark.parametrize("times, length, role, wanted", [
    (np.arange(0, 5, 0.125), 0.005, "clock", {"role": "clock", "pulses_per_beat": 4}),
    (np.arange(0, 5, 0.5), 0.1, "clock", {"role": "clock", "pulses_per_beat": 1}),
    (np.arange(0, 5, 60 / 120 / 24), 0.002, "clock", {"role": "clock", "pulses_per_beat": 24}),
    ([0.1, 0.9, 1.0, 2.4, 3.9], 0.003, "trigger", {"role": "gate"}), ([0.1, 0.9, 1.3, 2.4, 3.9], 0.2, "gate", {"role": "gate"}),
    ([0.1], 0.2, "gate", {"role": "gate"}), ([], 0, "unpatched", {})])
def test_gate_jacks(times, length, role, wanted):
    finding = look_at_gate("gate2", edges(times, length), 5.0)
    assert (finding.role, finding.settings) == (role, wanted)
    if role == "clock":
        assert finding.numbers["tempo_bpm"] == pytest.approx(120, rel=0.001)


# ---- settings


def test_settings_are_said_as_name_and_value():
    assert change("cv1", ["range=0..5", "smooth_ms=7", "scale=minor", "detect_unpatched=true"]) == {
        "range": "0..5", "smooth_ms": 7, "scale": "minor", "detect_unpatched": True}
    for wrong, what in (("range=0..7", "must be one of board"), ("smooth_ms=-1", "from 0 to 5000"), ("colour=red", "no setting 'colour'"), ("range", "NAME=VALUE"),
                        ("volts_per_octave=1.1", "1 or 1.2"), ("detect_unpatched=1", "true or false"), ("role=clockwork", "must be one of modulation")):
        with pytest.raises(NeurorackError, match=what):
            change("cv1", [wrong])
    with pytest.raises(NeurorackError, match="whole number"):
        change("gate2", ["divide=1.5"])
    assert named("3", ["cv1", "cv2", "cv3"]) == ["cv3"]


def test_the_persons_settings_lie_over_the_boards(monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    board = {"name": "mine", "cv": {"jacks": 2}, "gates": {"jacks": 2}, "jacks": {"cv1": {"range": "0..8", "smooth_ms": 9}, "cv7": {}, "gate2": {"role": "clock"}}}
    keep(Jacks(None, board, "mine"), {"cv1": {"range": "0..5"}})
    keep(Jacks(None, board, "mine"), {"cv1": {"scale": "blues"}, "gate1": {"role": "reset"}})
    found, problems = settings.load(board, "mine")
    assert (found["cv1"].range, found["cv1"].smooth_ms, found["cv1"].scale) == ("0..5", 9, "blues")
    assert found["cv2"] == settings.CvSettings() and (found["gate1"].role, found["gate2"].role) == ("reset", "clock")
    assert len(problems) == 1 and "no such jack" in problems[0]
    file = tmp_path / "jacks-mine.yaml"
    file.write_text(file.read_text().replace("blues", "greens"))
    found, problems = settings.load(board, "mine")
    assert found["cv1"].scale == "off" and any("'greens'" in problem and str(file) in problem for problem in problems)


# ---- through a simulated board

@needs_buses
def test_on_a_simulated_board():
    b = Bench("pi").begin()
    try:
        stop = threading.Event()

        def play():
            while not stop.wait(0.004):
                t = time.monotonic()
                b.wires.set_cv(0, float(steps(NOTES, 0.15)(np.array([t]))[0]))
                b.wires.set_cv(1, 4 * np.sin(t * 3))
                b.wires.set_cv(2, -2.5)
                b.wires.set_gate(1, 5.0 if t % 0.2 < 0.05 else 0.0)
        player = threading.Thread(target=play)
        player.start()
        found = {f.jack: f for f in watch(Jacks(b.rack, b.settings, b.rack.inputs.board_name), 2.5, ["cv1", "cv2", "cv3", "cv4", "gate1", "gate2"])}
        stop.set()
        player.join()
    finally:
        b.close()
    assert [found[jack].role for jack in ("cv1", "cv2", "cv3", "cv4", "gate1")] == ["pitch", "modulation", "modulation", "unpatched", "unpatched"]
    assert found["gate2"].numbers["pulses"] in (12, 13) and found["gate2"].role in ("clock", "gate")


@needs_buses
def test_the_command(tmp_path):
    command = [sys.executable, "-m", "neurorack", "jacks", "--board", "pi", "--simulated"]
    environment = {"STATE_DIRECTORY": str(tmp_path)}

    def run(*options):
        return subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, env={**os.environ, **environment})
    assert run("gate2", "--set", "role=clock", "--set", "multiply=2").returncode == 0
    assert "multiply 2" in run().stdout
    found = json.loads(run("cv1", "--seconds", "0.4", "--json").stdout)
    assert found[0]["jack"] == "cv1" and found[0]["role"] == "unpatched"
    silent = run("all", "--seconds", "0.4", "--write")
    assert silent.returncode == 2 and "nothing was found that could be kept" in silent.stderr and "gate2  clock: set by hand" in silent.stdout
    assert run("cv9").returncode == 2 and "no jack 'cv9'" in run("cv9").stderr


def test_the_documents_name_every_setting_and_scale():
    text = (Path(__file__).resolve().parents[2] / "docs" / "calibration.md").read_text()
    names = [field.name for kind in (settings.CvSettings, settings.GateSettings) for field in dataclasses.fields(kind)]
    assert not [name for name in [*names, *quantise.SCALES, *settings.RANGES] if f"`{name}`" not in text]
