"""Preferences, notices, statistics, jacks, calibration and detective, asked of one instrument that plays."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from neurorack import notices, preferences
from neurorack.errors import PatchError
from tests.panel.own import Own
from tests.play.runs import children, until


@pytest.fixture(scope="module")
def instrument(tmp_path_factory):
    """On the desk, with nobody who moves its jacks."""
    folder = tmp_path_factory.mktemp("upkeep")
    score = folder / "silent.yaml"
    score.write_text(yaml.safe_dump({"seconds": 600, "events": []}))
    with Own(folder, "--score", score, "--seconds", 300) as run:
        yield run.sounding()


def ctl(instrument, *arguments):
    return subprocess.run([sys.executable, "-m", "neurorack", "ctl", *arguments], env=instrument.env, capture_output=True, text=True, stdin=subprocess.DEVNULL)


# -- preferences

def test_a_preference_is_told_kept_and_followed(instrument):
    told = instrument.ask("preferences")["preferences"]
    assert set(told) == set(preferences.TABLE) and all(one["value"] == one["default"] and one["doc"] for one in told.values())
    assert instrument.ask("preference", name="display.dim_minutes", value=7)["preferences"]["display.dim_minutes"]["value"] == 7
    kept = yaml.safe_load((instrument.state / "preferences.yaml").read_text())
    assert kept["values"] == {"display.dim_minutes": 7}
    assert instrument.ask("preference", name="display.dim_minutes", value=5) and "dim" not in (instrument.state / "preferences.yaml").read_text().split("values")[1]


def test_bad_preferences_are_refused_with_the_limit(instrument):
    assert "whole number from 0 to 120" in instrument.refused("preference", name="display.dim_minutes", value=1000)
    assert "off, local, network" in instrument.refused("preference", name="web.network", value="everybody")
    assert "there is no preference" in instrument.refused("preference", name="colour", value=1)
    for value in (None, True, "5", [1], 1.5, float("nan")):
        assert "whole number" in instrument.refused("preference", name="display.dim_minutes", value=value)


def test_osc_is_opened_and_closed_by_preference(instrument):
    instrument.ask("preference", name="osc.port", value=17431)
    instrument.ask("preference", name="osc.network", value="local")
    until(lambda: "OSC in: 127.0.0.1:17431" in instrument.said, 10, "OSC")
    restarts = instrument.ask("status")["restarts"]
    instrument.ask("preference", name="osc.network", value="off")
    until(lambda: "remote" not in [name for name in titles(instrument)], 10, "the end of the remote process")
    assert instrument.ask("status")["restarts"] == restarts, "a wish is no failure"
    path = instrument.state / "preferences.yaml"
    path.write_text(path.read_text().replace("17431", "17432\n  osc.network: local"))
    until(lambda: "OSC in: 127.0.0.1:17432" in instrument.said, 15, "OSC, as an edited file says")
    instrument.ask("preference", name="osc.network", value="off")


def titles(instrument):
    found = []
    for child in open(f"/proc/{instrument.pid}/task/{instrument.pid}/children").read().split():
        try:
            found.append(open(f"/proc/{child}/cmdline").read().split("\0")[0].removeprefix("neurorack: "))
        except OSError:
            pass
    return found


def test_the_file_is_whole_and_keeps_what_it_does_not_know(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    path = tmp_path / "preferences.yaml"
    path.write_text("kind: preferences\nformat: 1\nvalues: {of.tomorrow: [1, 2], display.brightness: 900, web.network: off}\n")
    values, problems = preferences.load()
    assert values["display.brightness"] == 80 and values["web.network"] == "off" and "from 5 to 100" in problems[0] and len(problems) == 1
    preferences.keep("osc.port", 9000)
    assert yaml.safe_load(path.read_text())["values"] == {"of.tomorrow": [1, 2], "display.brightness": 900, "web.network": False, "osc.port": 9000}
    reader = preferences.Reader()
    assert reader["osc.port"] == 9000
    path.write_text("kind: [")
    assert preferences.load()[0]["osc.port"] == 7400 and "is ignored" in preferences.load()[1][0]
    until(lambda: reader["osc.port"] == 7400, 5, "another look")
    preferences.keep("osc.port", 9001)
    assert preferences.load() == ({**{n: p.default for n, p in preferences.TABLE.items()}, "osc.port": 9001}, [])
    assert (tmp_path / "preferences.yaml.broken").read_text() == "kind: ["


@pytest.mark.parametrize("one", preferences.TABLE.values(), ids=lambda one: one.name)
def test_every_default_is_one_that_may_be_set(one):
    assert one.check(one.default) == one.default
    with pytest.raises(PatchError, match=one.name):
        one.check("nonsense" * 20)


def test_the_page_about_the_panel_lists_them():
    page = (Path(preferences.__file__).resolve().parent.parent / "docs" / "panel.md").read_text()
    assert preferences.markdown() in page


# -- notices

def test_warnings_are_notices_with_their_remedy_until_seen(instrument):
    os.kill(children(instrument.pid)["inputs"], signal.SIGKILL)
    found = until(lambda: [one for one in instrument.ask("notices")["notices"] if "inputs process was killed" in one["text"]], 10, "the notice")[0]
    assert found["level"] == "warning" and found["remedy"] == "starting it again" and abs(found["at_ns"] - time.monotonic_ns()) < 30e9
    instrument.ask("notice_seen", id=found["id"])
    assert found["id"] not in [one["id"] for one in instrument.ask("notices")["notices"]]
    until(lambda: instrument.attach().inputs.heartbeat_ns > time.monotonic_ns() - 1e9, 10, "the inputs process")


def test_a_new_model_is_told(instrument):
    models = instrument.home / "xdg_data_home" / "neurorack" / "models"
    models.mkdir(parents=True, exist_ok=True)
    (models / "broken.ts").write_bytes(b"this is no model")
    found = until(lambda: [one for one in instrument.ask("notices")["notices"] if one["id"] == "model broken"], 60, "its verdict")[0]
    assert "refused" in found["text"] and found["level"] == "warning"
    (models / "broken.ts").unlink()


class Run:
    """Of an instrument, what the notices look at."""

    def __init__(self, rack):
        self.rack, self.lines = rack, []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def looked():
    from neurorack.shm.rack import Rack

    return notices.Notices(Run(Rack.create(sample_rate_hz=48000, block_frames=128)))


def test_the_same_matter_is_one_notice(looked):
    looked.said("warning: Chip: cv1 is off by 3.2 V; look at its plug")
    looked.said("warning: Chip: cv1 is off by 3.9 V; look at its plug")
    looked.said("only said")
    assert [(one["text"], one["remedy"], one["count"]) for one in looked.told()] == [("cv1 is off by 3.9 V", "look at its plug", 2)]


def test_a_silent_chip_is_told_while_it_is_silent(looked):
    def silent(at):
        return {name for name in looked._look(at) if name.startswith("chip")}
    assert not silent(100.0)
    looked.run.rack.inputs.chip_errors = 4
    assert silent(102.0) == {"chip inputs"}
    looked.run.rack.panel.chip_errors = 1
    assert silent(105.0) == {"chip inputs", "chip panel"} and silent(110.0) == {"chip panel"} and not silent(112.0)


def test_underruns_are_told_by_their_cause(looked):
    looked.run.rack.underruns[0].late[0] = 3
    looked._count_underruns()
    looked._count_underruns()
    told = looked.told()
    assert len(told) == 1 and told[0]["text"].startswith("3 underruns: the model is too slow") and told[0]["count"] == 1


def test_admitted_models_and_a_full_list(looked):
    looked.library("bells is new: it is being checked")
    looked.library("bells: plays: less than 1 % of one core")
    assert [one["level"] for one in looked.told()] == ["info"] and looked.run.lines
    for i in range(80):
        looked.put(f"matter {i}", "text")
    assert len(looked.told()) == notices.MOST and looked.told()[0]["id"] == "matter 79"


# -- statistics, power

def test_statistics(instrument):
    told = instrument.ask("statistics")
    assert len(told["cores"]) == os.cpu_count() and all(0 <= load <= 1 for load in told["cores"])
    assert 20 << 20 < told["memory"]["ours_bytes"] < 2 << 30 and told["memory"]["free_bytes"] <= told["memory"]["total_bytes"]
    assert 0 < told["disk"]["free_bytes"] <= told["disk"]["total_bytes"] and told["uptime_seconds"]["instrument"] < told["uptime_seconds"]["machine"]
    assert told["audio"]["device"] == "null" and told["versions"]["neurorack"] and told["synth_load"]["A"] >= 0 and told["releases"] == []
    assert "cores:" in ctl(instrument, "statistics").stdout


def test_a_desk_machine_is_not_switched_off(instrument):
    assert "not a module of ours" in instrument.refused("power", what="shutdown")
    assert "shutdown or reboot" in instrument.refused("power", what="off")
    assert "no releases" in instrument.refused("release", name="1")
    done = ctl(instrument, "power", "reboot")
    assert done.returncode == 2 and "--yes" in done.stderr
    assert instrument.ask("status")["slots"]["A"]["playing"]


# -- by hand

def test_a_hit_by_hand(instrument):
    rack = instrument.attach()
    edges = rack.inputs.edges
    assert instrument.ask("hit")["high"] is False
    until(lambda: rack.inputs.edges == edges + 2, 5, "a rise and a fall")
    assert instrument.ask("hit", gate="gate2", hold=True)["high"] is True
    until(lambda: rack.read_controls()[1] & 2, 5, "gate 2")
    assert instrument.ask("hit", gate="gate2", hold=True)["high"] is False
    until(lambda: not rack.read_controls()[1] & 2, 5, "its end")
    assert "gate1, gate2" in instrument.refused("hit", gate="gate7")


def test_the_monitor(instrument):
    assert instrument.ask("monitor") == {"ok": True, "monitor_db": None, "input_channels": 0}
    assert instrument.ask("monitor", db=-12)["monitor_db"] == -12
    assert "from -90 to 12" in instrument.refused("monitor", db=50)
    assert instrument.ask("monitor", db=None)["monitor_db"] is None and instrument.attach().run.monitor_gain == 0


# -- jacks

def test_settings_of_a_jack(instrument):
    told = instrument.ask("jacks")
    assert set(told["jacks"]) == {"cv1", "cv2", "cv3", "cv4", "gate1", "gate2"} and told["fields"]["gate"]["role"]["choices"] == ["gate", "clock", "reset"]
    assert instrument.ask("jack", jack="gate2", role="clock", pulses_per_beat=2)["jacks"]["gate2"]["pulses_per_beat"] == 2
    assert "one of gate, clock, reset" in instrument.refused("jack", jack="gate2", role="melody")
    assert "there is no jack" in instrument.refused("jack", jack="cv9", role="pitch")
    instrument.ask("jack", jack="gate2", role="gate")
    done = ctl(instrument, "jack", "cv3", "range=0..5", "scale=minor")
    assert done.returncode == 0 and "scale minor" in done.stdout


def wire(instrument, **volts):
    for name, value in volts.items():
        instrument.attach().desk.cv_wire_volts[int(name[2:]) - 1] = value


def calibrated(instrument, seconds=20):
    """Where the calibration stands once it waits for somebody."""
    return until(lambda: (now := instrument.ask("calibrate")["calibration"])["phase"] != "measuring" and now, seconds, "the calibration")


def test_calibration_step_by_step(instrument):
    told = instrument.ask("calibrate", step="begin", jack="cv2")["calibration"]
    assert told["steps"] == 3 and not told["found"]
    for volts, words in ((0.02, "Take the cables out"), (1.02, "Patch 1 V into cv2"), (3.02, "Patch 3 V into cv2")):
        told = calibrated(instrument)
        assert told["phase"] == "patch" and told["line"].startswith(words)
        wire(instrument, cv2=volts)
        time.sleep(0.05)
        instrument.ask("calibrate", step="measure")
    told = calibrated(instrument)
    assert told["phase"] == "verify" and told["found"]["cv2"]["offset_volts"] == pytest.approx(-0.02, abs=0.005), told
    assert abs(told["live"]["cv2"]["volts"] - 3.0) < 0.02 and len(told["found"]["cv2"]["points"]) == 3
    path = instrument.state / "calibration-desk.yaml"
    assert not path.exists()
    instrument.ask("calibrate", step="keep")
    assert yaml.safe_load(path.read_text())["jacks"]["cv2"]["gain"] == pytest.approx(told["found"]["cv2"]["gain"], abs=1e-4)
    until(lambda: abs(instrument.attach().read_controls()[0][1] - 3.0) < 0.015, 5, "the new values in the inputs process")
    wire(instrument, cv2=0.0)


def test_a_failed_calibration_keeps_the_old_values(instrument):
    path = instrument.state / "calibration-desk.yaml"
    before = path.read_text() if path.exists() else None
    instrument.ask("calibrate", step="begin", jack="cv3")
    while (told := calibrated(instrument))["phase"] == "patch":
        instrument.ask("calibrate", step="measure")       # 0 V stays in it
    assert told["phase"] == "over" and "reads" in told["failed"]["cv3"] and "within" in told["failed"]["cv3"]
    assert "nothing to keep" in instrument.refused("calibrate", step="keep")
    instrument.ask("calibrate", step="begin", jack="all")
    calibrated(instrument)
    instrument.ask("calibrate", step="cancel")
    assert instrument.ask("calibrate")["calibration"]["phase"] == "over"
    assert (path.read_text() if path.exists() else None) == before


def test_the_detective_proposes_and_one_accepts(instrument):
    wire(instrument, cv1=2.5)
    instrument.ask("detect", step="begin", jack="all", seconds=1.0)
    assert "wait for its end" in instrument.refused("detect", step="begin")
    told = until(lambda: (now := instrument.ask("detect")["detective"])["watching"] is False and now, 10, "the findings")
    found = {one["jack"]: one for one in told["findings"]}
    assert found["cv1"]["role"] == "modulation" and found["gate1"]["role"] == "unpatched" and len(found) == 6
    instrument.ask("detect", step="keep", jack="cv1")
    assert instrument.ask("jacks")["jacks"]["cv1"]["smooth_ms"] == found["cv1"]["settings"]["smooth_ms"]
    assert "nothing is proposed" in instrument.refused("detect", step="keep", jack="gate1")
    wire(instrument, cv1=0.0)


def test_every_request_has_its_command(instrument):
    for command in (["preferences"], ["preference", "scope.style", "spectrum"], ["notices"], ["notice_seen", "x"], ["jacks"], ["calibrate"], ["detect"]):
        done = ctl(instrument, *command, "--json")
        assert done.returncode == 0 and isinstance(json.loads(done.stdout), dict), (command, done.stderr)
        assert ctl(instrument, *command).returncode == 0
