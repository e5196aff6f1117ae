"""Every entry of the settings, on a real instrument: turned, pressed, and its effect asked for."""

import time

import pytest
import yaml

from neurorack.panel.screens import calibrate
from tests.panel.face import face, instrument, seat  # noqa: F401
from tests.play.runs import until


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


def test_the_detective_on_the_display(face, instrument, monkeypatch):
    monkeypatch.setattr(calibrate, "WATCH_SECONDS", 1.0)
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
