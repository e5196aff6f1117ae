"""Gates that do something beyond the voice, on a running instrument: each edge once, at its own time."""

import time

import pytest

from neurorack.errors import NeurorackError
from tests.play.runs import until
from tests.takes.conftest import EVERY_SECONDS


@pytest.fixture
def gates(playing):
    """Say what the gates do; as at first afterwards."""
    def set_to(**actions):
        for gate, action in actions.items():
            playing.ask("gate_action", gate=gate, action=action)
    yield set_to
    set_to(gate1="trigger", gate2="freeze")
    playing.ask("record", on=False)


def grown(count, seconds: float) -> float:
    """How much a count grows a second."""
    before, began = count(), time.monotonic()
    time.sleep(seconds)
    return (count() - before) / (time.monotonic() - began)


def test_a_gate_begins_and_ends_takes(playing, gates):
    before = playing.names()
    gates(gate2="record")
    until(lambda: len(playing.names()) >= len(before) + 3, 20, "three takes", every=0.05)
    gates(gate2="none")
    playing.ask("record", on=False)
    made = {take["name"]: take["seconds"] for take in playing.ask("takes")["takes"] if take["name"] not in before}
    lengths = [made[name] for name in sorted(made)][:2]
    assert lengths == [pytest.approx(EVERY_SECONDS, abs=0.15)] * 2, "from one edge to the next"


def test_a_gate_goes_from_scene_to_scene(playing, gates):
    for number in (1, 2, 3):
        playing.ask("scene_save", number=number, name=f"Scene {number}")
    playing.ask("gate_action", gate="gate2", action="scene")      # none of them says so: the first recall ends it
    until(lambda: playing.ask("scenes")["current"] == 1, 20, "the scene after the last", every=0.05)
    until(lambda: playing.ask("status")["patch"]["gates"]["gate2"] == "freeze", 5, "its gates", every=0.05)
    name = playing.ask("record", on=True)["take"]
    playing.ask("record", on=False)
    assert next(take["about"] for take in playing.ask("takes")["takes"] if take["name"] == name) == "tone, Scene 1"


def test_taps_by_a_gate_make_the_tempo(playing, gates):
    gates(gate2="tap")
    told = until(lambda: (told := playing.ask("status")["inputs"])["tempo_bpm"] == pytest.approx(60 / EVERY_SECONDS, abs=0.2) and told, 20, "the tempo", every=0.2)
    assert told["clock"] == "tapped"


def test_freeze_and_trigger_change_places(playing, gates):
    synth = playing.run.rack.synth[0]
    assert grown(lambda: synth.triggers, 1.5) == pytest.approx(10, abs=2.5)
    gates(gate1="freeze", gate2="trigger")
    until(lambda: synth.frozen, 10, "frozen by gate 1", every=0.001)
    assert grown(lambda: synth.triggers, 2.4) == pytest.approx(1 / EVERY_SECONDS, abs=1.2)
    assert playing.ask("status")["patch"]["gates"] == {"gate1": "freeze", "gate2": "trigger"}
    gates(gate1="none", gate2="none")
    until(lambda: not synth.frozen, 10, "no more hands on it", every=0.001)
    assert grown(lambda: synth.triggers, 1.0) == 0


@pytest.mark.parametrize("gate, action, what", [("gate3", "trigger", "there is no gate 'gate3'"), ("gate1", "explode", "it must be one of"), ("gate1", None, "must be a name")])
def test_what_there_is_not(playing, gate, action, what):
    with pytest.raises(NeurorackError, match=what):
        playing.ask("gate_action", gate=gate, action=action)
    assert playing.ask("status")["patch"]["gates"] == {"gate1": "trigger", "gate2": "freeze"}
