"""Every entry of every menu, on a real instrument: reached by turns and presses, acted on, and its effect asked for."""

import os
import time

import pytest
import yaml

from neurorack.panel.canvas import LARGE, SMALL
from neurorack.panel.screens.modulators import Modulator
from neurorack.panel.widgets import ListScreen
from tests.panel.face import Face
from tests.panel.own import Own
from tests.play.runs import until

DEEPEST = 5
#: Rows that are acted on by name below, because they take long or end something; the walk only sees that they lead somewhere.
NOT_BLINDLY = {"", "reboot", "shut down", "calibrate", "detective"}


@pytest.fixture(scope="module")
def instrument(tmp_path_factory):
    """With a desk board whose jacks nobody moves."""
    folder = tmp_path_factory.mktemp("every")
    score = folder / "silent.yaml"
    score.write_text(yaml.safe_dump({"seconds": 900, "events": []}))
    before = {name: os.environ.get(name) for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME")}
    with Own(folder, "--score", score, "--seconds", 600, "--input") as run:
        os.environ.update({name: run.env[name] for name in before})
        try:
            yield run.sounding()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="module")
def seat(instrument):
    return Face(instrument)


@pytest.fixture
def face(seat):
    """At Home, with nothing refused yet."""
    seat.home()
    seat.asker.refused.clear()
    seat.asker.requests.clear()
    yield seat


def patch(instrument):
    return instrument.ask("status")["patch"]


def route(instrument, jack, control):
    return next((one for one in patch(instrument)["routes"] if (one["jack"], one["control"]) == (jack, control)), None)


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
    face.menu("Controls", "booming", "learn a jack")
    face.draw()
    instrument.attach().desk.cv_wire_volts[2] = 2.0
    face.until(lambda: face.screen.name == "route", "the route")
    face.settled()
    assert route(instrument, "cv3", "booming")
    instrument.attach().desk.cv_wire_volts[2] = 0.0
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


# -- scenes

def test_scenes_from_the_first_to_the_morph(face, instrument):
    def scenes():
        return instrument.ask("scenes")
    face.menu("Scenes", "save as new")
    assert face.screen.name == "letters"
    face.press()          # one more letter
    face.turn(2)
    face.hold(2)          # keep
    face.settled()
    assert [one["name"] for one in scenes()["scenes"]] == ["Scene 1B"]
    instrument.ask("set", control="centroid", value=0.9)
    until(lambda: scenes()["undo"] == "set centroid", 5, "the edit")
    face.until(lambda: face.find("undo") is not None and face.value("undo") == "set centroid", "its row")
    face.choose("undo")
    face.settled()
    until(lambda: patch(instrument)["knobs"].get("centroid", 0.5) == pytest.approx(0.5, abs=0.01), 10, "the knob of before")
    face.until(lambda: face.find("redo") is not None, "the way forth")
    face.choose("redo")
    face.settled()
    until(lambda: patch(instrument)["knobs"]["centroid"] == pytest.approx(0.9), 10, "the knob of after")
    face.choose("save as new")
    face.hold(2)
    face.settled()
    assert [one["number"] for one in scenes()["scenes"]] == [1, 2] and scenes()["current"] == 2
    face.choose("1 Scene 1B")
    face.settled()
    until(lambda: scenes()["current"] == 1, 20, "the recall")

    face.until(lambda: face.find("2 Scene 2") is not None, "its row")
    face.select("2 Scene 2")
    face.hold(2)
    assert face.screen.name == "scene"
    face.choose("rename")
    face.hold(1)          # the 2 goes
    face.turn(-1)
    face.hold(2)
    face.settled()
    renamed = scenes()["scenes"][1]["name"]
    assert renamed.startswith("Scene") and renamed != "Scene 2"
    face.choose("copy")
    face.press()          # the first free one is chosen already
    face.settled()
    assert [one["number"] for one in scenes()["scenes"]] == [1, 2, 3]
    face.choose("save into it")
    face.yes()
    face.settled()
    until(lambda: scenes()["current"] == 2, 5, "the save")
    face.menu("Scenes")
    face.select(f"3 {renamed}")
    face.hold(2)
    face.choose("delete")
    face.press()          # no
    assert len(scenes()["scenes"]) == 3
    face.choose("delete")
    face.yes()
    face.settled()
    assert [one["number"] for one in scenes()["scenes"]] == [1, 2] and face.screen.name == "scenes"
    face.choose("2 " + renamed)
    face.settled()
    face.choose("save into 2")
    face.settled()

    face.choose("morph", "begin: from", "1 Scene 1B", "2 " + renamed)
    face.settled()
    until(lambda: (now := scenes()["morph"]) and (now["from"], now["to"]) == (1, 2), 10, "the morph")
    face.until(lambda: face.find("by hand") is not None, "its rows")
    face.choose("by hand")
    face.turn(30)
    face.press()
    face.settled()
    until(lambda: scenes()["morph"]["value"] == pytest.approx(0.3, abs=0.02), 5, "its value")
    face.choose("add a jack", "cv1")
    face.settled()
    assert route(instrument, "cv1", "morph")
    face.choose("remove")
    face.settled()
    face.choose("by the clock", "4")
    face.settled()
    assert not face.asker.refused or "tempo" in face.asker.refused[0][1]
    face.choose("end")
    face.settled()
    until(lambda: scenes()["morph"] is None, 5, "its end")


# -- record

def test_a_take_is_recorded_looked_at_and_deleted(face, instrument):
    face.menu("Record")
    face.until(lambda: "takes" in face.view.answer("takes"), "the takes")
    face.press()
    face.settled()
    assert instrument.ask("takes")["recording"]
    face.until(lambda: face.view.answer("takes").get("seconds", 0) > 0.2, "some sound")
    face.press()
    face.settled()
    takes = instrument.ask("takes")
    assert not takes["recording"] and len(takes["takes"]) == 1
    face.until(lambda: len(face.items()) == 2, "its row")
    face.turn(1)
    face.press()
    assert face.screen.name == "take"
    face.choose("delete")
    face.yes()
    face.settled()
    assert instrument.ask("takes")["takes"] == [] and face.screen.name == "record"


# -- settings

def test_sound(face, instrument):
    face.menu("Settings", "sound", "monitor")
    face.turn(40)
    face.settled()
    assert instrument.ask("monitor")["monitor_db"] == pytest.approx(-40)
    face.hold(2)
    face.settled()
    assert instrument.ask("monitor")["monitor_db"] is None
    face.menu("Settings", "sound", "level")
    assert face.screen.name == "level"


@pytest.mark.parametrize("place, label, row, name", [
    ("display", "brightness", None, "display.brightness"), ("display", "dim after", None, "display.dim_minutes"), ("display", "dark after", None, "display.blank_minutes"),
    ("display", "turn up", "left", "encoder.direction"), ("display", "scope", "spectrum", "scope.style"), ("network", "page for", "off", "web.network"),
    ("network", "page's port", None, "web.port"), ("MIDI and OSC", "OSC from", "local", "osc.network"), ("MIDI and OSC", "OSC port", None, "osc.port"),
    ("MIDI and OSC", "MIDI ports", "none", "midi.ports")])
def test_every_preference(face, instrument, place, label, row, name):
    before = instrument.ask("preferences")["preferences"][name]["value"]
    face.menu("Settings", place, label)
    if row:
        face.choose(row)
    else:
        face.turn(-1)
        face.press()
    face.settled()
    now = until(lambda: (value := instrument.ask("preferences")["preferences"][name]["value"]) != before and value, 10, "the change")
    assert now == row if row else abs(now - before) in (1, 5)
    instrument.ask("preference", name=name, value=before)


def test_the_clock_is_tapped_and_a_gate_made_one(face, instrument):
    face.menu("Settings", "clock")
    face.select("tap")
    for _ in range(3):
        face.press()
        time.sleep(0.4)
    face.settled()
    until(lambda: instrument.ask("status")["inputs"]["clock"] == "tapped", 5, "a tempo")
    face.choose("gate2", "role", "clock")
    face.until(lambda: face.find("pulses/beat") is not None, "a clock's fields")
    face.choose("pulses/beat")
    face.turn(1)
    face.press()
    face.settled()
    assert until(lambda: instrument.ask("jacks")["jacks"]["gate2"], 5)["pulses_per_beat"] == 5
    face.choose("role", "gate")
    face.settled()


def test_every_setting_of_a_cv_jack(face, instrument):
    face.menu("Settings", "jacks", "cv2")
    face.until(lambda: len(face.items()) > 5, "its settings")
    before = instrument.ask("jacks")["jacks"]["cv2"]
    for item in face.items():
        face.choose(item.label)
        face.turn(1)
        face.press()
        face.settled()
    now = until(lambda: (told := instrument.ask("jacks")["jacks"]["cv2"]) and all(told[key] != before[key] for key in before) and told, 5, "all of them")
    assert now["smooth_ms"] == before["smooth_ms"] + 1
    instrument.ask("jack", jack="cv2", **before)


def test_calibration_on_the_display(face, instrument):
    wires = instrument.attach().desk.cv_wire_volts
    face.menu("Settings", "jacks", "calibrate", "cv2")
    for volts in (0.02, 1.02, 3.02):
        face.until(lambda: face.screen.told.get("phase") == "patch", "the question")
        wires[1] = volts
        face.press()
    face.until(lambda: face.screen.told["phase"] == "verify", "the verify page")
    assert not (instrument.state / "calibration-desk.yaml").exists()
    face.press()
    face.until(lambda: face.screen.told["phase"] == "kept", "the end")
    kept = yaml.safe_load((instrument.state / "calibration-desk.yaml").read_text())["jacks"]["cv2"]
    assert kept["offset_volts"] == pytest.approx(-0.02, abs=0.006)
    until(lambda: abs(instrument.attach().read_controls()[0][1] - 3.0) < 0.015, 5, "the new values")
    wires[1] = 0.0
    face.press()
    face.choose("cv3")
    face.until(lambda: face.screen.told.get("phase") == "patch", "the question")
    face.hold(1)
    face.settled()
    assert instrument.ask("calibrate")["calibration"]["phase"] == "over" and face.screen.name == "calibrate"


def test_the_detective_on_the_display(face, instrument):
    instrument.attach().desk.cv_wire_volts[0] = 2.5
    face.menu("Settings", "jacks", "detective")
    face.until(lambda: len(face.items()) == 6, "the findings", 20)
    face.choose("cv1", "why")
    assert face.screen.name == "text"
    face.hold(1)
    face.choose("accept")
    face.settled()
    assert instrument.ask("jacks")["jacks"]["cv1"]["role"] == "modulation" and face.items()[0].mark == "✓"
    instrument.attach().desk.cv_wire_volts[0] = 0.0


def test_notices_log_statistics_power_updates_about(face, instrument):
    instrument.attach()
    face.menu("Settings", "power", "shut down")
    assert face.machine.notices and "not a module" in face.machine.notices[0].text
    face.home()
    for label, name in (("log", "log"), ("statistics", "statistics"), ("updates", "updates"), ("about", "about"), ("notices", "notices")):
        face.menu("Settings", label)
        assert face.screen.name == name
    face.menu("Settings", "log")
    face.until(lambda: "impacts plays" in face.screen._text(face.view), "the lines")
    face.menu("Settings", "updates", "how to update")
    assert face.screen.name == "how"
    face.menu("Settings", "statistics")
    face.until(lambda: face.find("free disk") is not None, "the numbers")


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
