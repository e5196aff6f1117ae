"""Every entry of every menu, on a real instrument: reached by turns and presses, acted on, and its effect asked for."""

import pytest

from neurorack.panel.canvas import LARGE, SMALL
from neurorack.panel.screens.modulators import Modulator
from neurorack.panel.widgets import ListScreen
from tests.panel.face import Face, face, instrument, patch, route, seat  # noqa: F401
from tests.play.runs import until
from tools.draw import panel_shots
from tools.draw.panel_script import Player

DEEPEST = 5
#: Rows that are acted on by name below, because they take long or end something; the walk only sees that they lead somewhere.
NOT_BLINDLY = {"", "reboot", "shut down", "calibrate", "detective"}


# -- controls

def test_a_control_is_turned(face, instrument):
    face.menu("Controls", "centroid", "knob")
    assert face.screen.name == "knob"
    face.turn(-7)
    face.settled()
    before = face.screen.value
    until(lambda: patch(instrument)["knobs"].get("centroid") == pytest.approx(before), 5, "the knob")
    face.hold(2)
    face.settled()
    until(lambda: patch(instrument)["knobs"]["centroid"] == pytest.approx(face.screen.default), 5, "its default")


def test_drive_and_default(face, instrument):
    face.menu("Controls", "centroid", "drive")
    face.turn(5)
    face.press()
    until(lambda: face.settled() is None and patch(instrument)["drives"].get("centroid") == pytest.approx(0.05), 5, "the drive")
    face.choose("to its default")
    face.settled()
    default = face.view.slot.control("centroid").default
    assert patch(instrument)["knobs"]["centroid"] == pytest.approx(default)


def test_a_jack_is_routed_and_every_field_of_the_route_edited(face, instrument):
    face.menu("Controls", "bandwidth", "add a jack", "cv4")
    face.settled()
    assert face.screen.name == "route" and route(instrument, "cv4", "bandwidth")["amount_per_volt"] == pytest.approx(0.1)
    turned = {"amount": ("amount_per_volt", 3, 0.13), "offset": ("offset", -4, -0.04), "low end": ("low", 10, 0.1), "high end": ("high", -20, 0.8),
              "curve": ("curve", 4, 1.2), "smooth": ("smooth_ms", 3, 8.0)}
    for label, (_, steps, _) in turned.items():
        face.choose(label)
        face.turn(steps)
        face.press()
    face.choose("at hits only", "yes")
    face.choose("quantise", "minor", "D")
    face.settled()
    made = until(lambda: (one := route(instrument, "cv4", "bandwidth")) and one["quantise"] == "D minor" and one, 5, "the route")
    assert made["latched"] is True
    for key, _, wanted in turned.values():
        assert made[key] == pytest.approx(wanted, abs=1e-6), key
    face.choose("other control", "sharpness")
    face.settled()
    assert route(instrument, "cv4", "bandwidth") is None and route(instrument, "cv4", "sharpness")["amount_per_volt"] == pytest.approx(0.13)
    face.choose("remove")
    face.settled()
    assert route(instrument, "cv4", "sharpness") is None and face.screen.name == "control"


def test_a_jack_is_learned_by_moving_it(face, instrument):
    wires = instrument.attach().desk.cv_wire_volts
    face.menu("Controls", "booming", "learn a jack")
    face.draw()
    wires[0] = 4.0                           # moves by itself
    began = face.view.now
    face.until(lambda: face.view.now > began + 0.7, "a quiet moment")
    assert face.screen.name == "learn-jack"
    wires[2] = 2.0
    face.until(lambda: face.screen.name == "route", "the route")
    face.settled()
    assert route(instrument, "cv3", "booming")
    wires[0] = wires[2] = 0.0
    face.choose("remove")
    face.settled()


def test_midi_is_learned_where_there_is_midi(face, instrument):
    """Here is none: it says so, and comes back."""
    face.menu("Controls", "booming", "learn MIDI")
    face.until(lambda: face.asker.refused, "its answer")
    assert "MIDI" in face.asker.refused[0][1] and face.screen.name == "control"


def test_the_level_is_turned_and_shown(face, instrument):
    face.menu("Controls", "level")
    face.turn(-6)
    face.settled()
    assert patch(instrument)["level_db"] == pytest.approx(-3.0)
    face.hold(2)
    face.settled()
    assert patch(instrument)["level_db"] == 0.0


# -- assign

def test_a_modulator_is_chosen_set_and_routed(face, instrument):
    def told():
        return instrument.ask("sources")["sources"][4]
    face.menu("Assign", "mod5", "kind", "lfo")
    face.until(lambda: face.value("kind") == "lfo", "its fields")
    face.choose("shape", "triangle")
    face.choose("rate")
    face.turn(3)
    face.press()
    face.settled()
    until(lambda: told()["shape"] == "triangle" and told()["rate_hz"] == pytest.approx(1.15, abs=0.03), 5, "the LFO")
    face.choose("pace", "clock")
    face.until(lambda: face.find("multiply") is not None and face.find("rate") is None, "its fields by the clock")
    face.choose("move a control", "sharpness")
    face.settled()
    assert route(instrument, "mod5", "sharpness")
    face.choose("remove")
    face.choose("kind", "off")
    face.settled()
    assert told()["kind"] == "off"


def test_a_sequence_is_written(face, instrument):
    face.menu("Assign", "mod6", "kind", "steps")
    face.until(lambda: face.find("steps") is not None, "its steps")
    face.choose("steps")
    face.turn(1)          # the second step
    face.press()
    face.turn(2)          # two semitones
    face.press()
    face.turn(3)          # behind the last
    face.press()
    face.settled()
    steps = until(lambda: len(now := instrument.ask("sources")["sources"][5]["steps"]) == 5 and now, 5, "a fifth step")
    assert steps[1] == pytest.approx(1 + 2 / 12, abs=0.01) and steps[4] == steps[3]
    face.hold(2)
    face.settled()
    assert len(instrument.ask("sources")["sources"][5]["steps"]) == 4
    instrument.ask("source", source="mod6", kind="off")


def test_every_kind_of_modulator_shows_and_takes_its_fields(face, instrument):
    """Each field's editor, opened, turned by one or chosen anew, and closed."""
    for kind, spec in instrument.ask("sources")["kinds"].items():
        instrument.ask("source", source="mod7", kind=kind)
        face.home()
        face.machine.push(Modulator("mod7"))
        face.until(lambda: face.value("kind") == kind.replace("_", " "), f"the kind {kind}")
        labels = [item.label for item in face.items()][1: 1 + len(spec["fields"])]
        for label in labels:
            if face.find(label) is None or label.startswith(("→", "move")):
                continue      # it no longer matters beside what was chosen before
            face.choose(label)
            face.turn(1)
            face.press()
            if face.screen.name == "steps":
                face.hold(1)
                face.hold(1)
            face.settled()
            assert face.screen.name == "modulator", (kind, label)
    assert not face.asker.refused
    instrument.ask("source", source="mod7", kind="off")


def test_gates_and_what_home_does(face, instrument):
    face.menu("Assign", "gate2", "does", "record")
    face.settled()
    assert patch(instrument)["gates"]["gate2"] == "record"
    face.until(lambda: face.value("does") == "record", "its row")
    face.choose("does", "freeze")
    face.settled()
    assert patch(instrument)["gates"]["gate2"] == "freeze"
    face.menu("Assign", "turn on Home", "level")
    face.settled()
    face.until(lambda: face.view.preferences["home.turn"] == "level", "the preference")
    face.home()
    face.turn(-4)
    face.settled()
    assert patch(instrument)["level_db"] == pytest.approx(-2.0)
    instrument.ask("level", db=0)
    face.menu("Assign", "turn on Home", "scope")
    face.menu("Assign", "hold on Home", "hit gate 1")
    face.until(lambda: face.view.preferences["home.hold"] == "gate1", "the preference")
    face.home()
    edges = instrument.attach().inputs.edges
    face.hold(2)
    until(lambda: instrument.attach().inputs.edges == edges + 2, 5, "the hit")
    face.menu("Assign", "hold on Home", "save scene")
    face.settled()


# -- all of it

def test_no_entry_is_a_stub(face, instrument):
    """Every row of every list down to the fifth level: one that can be chosen opens a screen, asks for something, or says something."""
    seen, idle = set(), []

    def walk(path):
        face.menu(*path)
        if not isinstance(face.screen, ListScreen) or len(path) >= DEEPEST:
            return
        key = type(face.screen).__name__, face.screen.name      # a control's screen is like another control's
        if key in seen or face.screen.name in ("choice", "targets", "origins"):
            return
        seen.add(key)
        face.until(lambda: face.screen.name == "notices" or face.items() and face.find("…") is None, f"rows of {path}")
        for label in [item.label for item in face.items() if callable(item.what) or not item.value]:
            if label in NOT_BLINDLY:
                continue
            face.menu(*path)
            if face.find(label) is None:
                continue
            before = len(face.machine.stack), len(face.asker.requests), face.machine._toast
            face.choose(label)
            if (len(face.machine.stack), len(face.asker.requests), face.machine._toast) == before and not face.machine.notices:
                idle.append((*path, label))
            deeper = len(face.machine.stack) > before[0]
            face.settled()
            if deeper:
                walk((*path, label))
    from neurorack.panel.screens import MENU

    for label, _ in MENU:
        if label != "Models":
            walk((label,))
    assert not idle and len(seen) > 15, (idle, seen)


def test_the_same_screens_in_colour(instrument):
    """The large layout reaches and draws what the small one does."""
    face = Face(instrument, LARGE)
    for path in (("Controls", "centroid"), ("Assign", "cv1"), ("Scenes",), ("Record",), ("Settings", "statistics"), ("Settings", "network")):
        face.menu(*path)
        assert face.draw().image.size == (240, 240)


def test_a_learned_controller_is_told_and_the_control_shown_again():
    """As on a machine with MIDI, which this one may not have."""
    player = Player(SMALL, panel_shots.FACE, {"learn": {"text": "brightness: cc 21, channel 1"}})
    player.play("p 2 p 1 p 7")
    assert player.machine.screen.item.label == "learn MIDI"
    player.play("p")
    assert player.machine.screen.name == "control" and player.machine._toast == "brightness: cc 21, channel 1"
