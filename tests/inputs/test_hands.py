"""Hands at the simulated jacks: keyboard and score. Cables: ``test_cables.py``."""

import time
from types import SimpleNamespace

import pytest

from neurorack.desk.cables import Cables
from neurorack.desk.hands import ScoreHand
from neurorack.desk.keyboard import Keyboard, status_line
from neurorack.score import parse
from neurorack.shm.rack import Rack


class Wires:
    """Notes what was done to the jacks, and when."""

    def __init__(self):
        self.done = []

    def set_gate(self, gate, volts):
        self.done.append((time.monotonic(), f"gate{gate + 1}", volts))
        return time.monotonic_ns()

    def set_cv(self, jack, volts):
        self.done.append((time.monotonic(), f"cv{jack + 1}", volts))

    def pulse(self, gate, seconds=0.01, volts=5.0):
        self.set_gate(gate, volts)
        self.set_gate(gate, 0.0)

    def of(self, jack):
        return [(at, volts) for at, name, volts in self.done if name == jack]

    @property
    def moves(self):
        return [(name, volts) for _, name, volts in self.done]


# ---- keyboard


@pytest.fixture
def keyboard():
    wires, left = Wires(), []
    cables = Cables(wires, seed=1)
    return SimpleNamespace(hand=Keyboard(cables, lambda: left.append(True), stream=SimpleNamespace(fileno=lambda: -1)), wires=wires, left=left, cables=cables)


def test_keys_hit_freeze_and_turn(keyboard):
    keyboard.hand.keys(" ff")
    keyboard.cables.play_built_in(True)
    assert keyboard.wires.moves == [("gate1", 5.0), ("gate1", 0.0), ("gate2", 5.0), ("gate2", 0.0)]
    keyboard.wires.done.clear()
    keyboard.hand.keys("2\x1b[A\x1b[A\x1b[B")
    assert keyboard.wires.moves == [("cv2", 0.25), ("cv2", 0.5), ("cv2", 0.25)]
    keyboard.hand.keys("0")
    assert keyboard.wires.moves[-1] == ("cv2", 0.0)
    keyboard.hand.keys("4" + "+" * 100)
    assert keyboard.wires.moves[-1] == ("cv4", 10.0)
    assert keyboard.cables.first == {"gate1", "cv1", "cv3"}, "a turned jack is the player's"


def test_the_patch_is_switched_and_the_run_left(keyboard):
    keyboard.hand.keys("p")
    assert set(keyboard.cables.sources) == {"gate1", "cv1", "cv2", "cv3", "cv4"}
    keyboard.hand.keys("3+p")
    assert not keyboard.cables.sources and keyboard.cables.volts["cv3"] == 0.25
    keyboard.hand.keys("p")
    assert len(keyboard.cables.first) == 5
    keyboard.hand.keys("q")
    assert keyboard.left == [True]


def test_unknown_keys_are_ignored(keyboard):
    keyboard.hand.keys("xyz\x1b[Zäß\x00")
    assert keyboard.wires.moves == [] and not keyboard.left


def test_keys_for_models_the_mix_taps_and_takes():
    asked = []
    keyboard = Keyboard(Cables(Wires()), None, stream=object(), wish=asked.append)
    keyboard.keys("n][tr")
    assert asked == [{"do": "next"}, {"do": "mix", "relative": True, "value": 0.1}, {"do": "mix", "relative": True, "value": -0.1}, {"do": "tap"}, {"do": "record"}]


def test_the_status_line_fits_a_terminal():
    rack = Rack.create(sample_rate_hz=48000, block_frames=64)
    rack.write_controls([1.0, -2.5, 0, 0, 0, 0, 0, 0], 1, 1)
    rack.underruns[0].late[0], rack.run.recording = 3, 1
    line = status_line(rack, 0.25, None)
    assert "REC " in line and "cv1 +1.00" in line and "cv2 -2.50" in line and "underruns 3" in line and len(line) < 119 and "##########" in line


# ---- score


def test_a_score_moves_the_jacks_at_its_times():
    wires, driven = Wires(), []
    score = parse({"seconds": 0.4, "events": [{"at": 0.05, "jack": "gate1"}, {"at": 0.06, "jack": "gate1", "volts": 0}, {"at": 0.1, "jack": "cv2", "volts": 3},
                                              {"at": 0.15, "jack": "gate2"}, {"at": 0.2, "jack": "gate2"}],
                   "curves": {"cv1": [[0, -4], [0.4, 4]]}, "controls": {"level": [[0, 0], [0.4, 1]]}})
    hand = ScoreHand(score, wires, lambda name, value: driven.append((name, value)))
    began = time.monotonic()
    hand.start()
    assert hand.done.wait(10)
    hand.join()
    gates = [(jack, volts) for _, jack, volts in wires.done if jack.startswith("gate")]
    assert gates == [("gate1", 5.0), ("gate1", 0.0), ("gate2", 5.0), ("gate2", 0.0), ("gate2", 5.0)], "a step up from high is a hit of its own"
    lateness = [at - began - want for (at, _), want in zip(wires.of("gate1"), (0.05, 0.06))]
    assert all(-0.001 < late < 0.2 for late in lateness)
    ramp = [volts for _, volts in wires.of("cv1")]
    assert len(ramp) > 40 and ramp == sorted(ramp) and ramp[0] == -4 and ramp[-1] == pytest.approx(4, abs=0.5)
    assert [volts for _, volts in wires.of("cv2")][-1] == 3 and wires.of("cv2")[0][1] == 0
    values = [value for name, value in driven if name == "level"]
    assert values == sorted(values) and values[-1] > 0.9
    assert len(hand.edge_ns) == 1


def test_a_hand_stops_at_once():
    for hand in (ScoreHand(parse({"seconds": 1000}), Wires()), Cables(Wires())):
        hand.start()
        began = time.monotonic()
        hand.finish()
        assert not hand.is_alive() and time.monotonic() - began < 1
