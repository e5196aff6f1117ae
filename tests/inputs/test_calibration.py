"""Calibration: what is measured, what is refused, what is kept; and the whole of it on simulated boards."""

import os
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import yaml

from neurorack.drivers import board as boards
from neurorack.errors import BoardError, NeurorackError
from neurorack.inputs import calibration, store
from neurorack.inputs.calibrate import Session, live, page, points_of
from neurorack.inputs.calibration import CENTS, Correction, Reading
from neurorack.inputs.jacks import watch
from neurorack.inputs.watching import Jacks, open_jacks
from tests.drivers.conftest import Bench, until
from tests.inputs.buses import needs_buses

@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()      # another instrument on this machine is none of ours
    return tmp_path / "neurorack"


@pytest.fixture
def bench():
    made = []

    def make(name, **changes):
        made.append(Bench(name, **changes))
        return made[-1].begin()
    yield make
    for one in made:
        one.close()


def jacks_of(b: Bench, wires=True) -> Jacks:
    return Jacks(b.rack, b.settings, b.rack.inputs.board_name, b.wires if wires else None)


def steady(volts, noise=0.003, n=500):
    return volts + np.random.default_rng(3).normal(0, noise, n)


# ---- measuring


def test_the_mean_forgets_wild_samples():
    samples = steady(1.01)
    samples[::60] += 0.3
    assert samples.mean() > 1.0145 and calibration.measure("cv1", 1.0, samples).converted_volts == pytest.approx(1.01, abs=0.001)
    assert calibration.measure("cv1", 1.0, steady(1.01)).noise_volts == pytest.approx(0.003, rel=0.1)


@pytest.mark.parametrize("patched, samples, what", [
    (3.0, steady(1.0), "must lie within 0.68 V"), (0.0, steady(0.6), "right cable"), (1.0, steady(1.0, 0.2), "stands still"),
    (1.0, np.linspace(0.98, 1.05, 500), "stands still"), (1.0, steady(1.0, n=5), "only 5 scans")])
def test_what_cannot_be_the_patched_volts_is_refused(patched, samples, what):
    with pytest.raises(BoardError, match=what):
        calibration.measure("cv1", patched, samples)


def readings(*pairs):
    return [Reading(patched, converted, 0.001) for patched, converted in pairs]


def test_the_line_through_the_points():
    found = calibration.fit("cv1", readings((0, 0.03), (1, 1.05), (3, 3.09)))
    assert found(np.array([0.03, 1.05, 3.09, 5.13])) == pytest.approx([0, 1, 3, 5], abs=1e-9)
    assert calibration.fit("cv1", readings((1, 1.0), (3, 3.0))) == Correction(pytest.approx(1), pytest.approx(0))


@pytest.mark.parametrize("points, what", [
    (((0, 0), (1, 1.02), (3, 3)), "off a straight line"), (((0, 0), (3, 2.5)), "check the board's resistors"),
    (((0, 0.7), (3, 3.7)), "check the board's resistors"), (((1, 1), (1.1, 1.1)), "two points"), (((0, 0),), "two points")])
def test_no_sound_board_has_such_points(points, what):
    with pytest.raises(BoardError, match=what):
        calibration.fit("cv1", readings(*points))


@pytest.mark.parametrize("text, points", [("0,1,3", [0, 1, 3]), ("1,5", [1, 5]), ("-3, 3", [-3, 3])])
def test_points(text, points):
    assert points_of(text) == points


@pytest.mark.parametrize("text", ["", "1", "a,b", "0,0.5", "0,1,2,3", "0,11", "0,nan"])
def test_points_that_make_no_line(text):
    with pytest.raises(NeurorackError, match="--points"):
        points_of(text)


# ---- keeping


def test_it_is_kept_by_board_readable_and_beside_what_is_there(state):
    board = boards.load("pi")
    calibration.save("pi", {"cv1": (Correction(1.02, -0.03), readings((0, 0.03), (3, 2.97)))}, "today")
    where = calibration.save("pi", {"cv8": (Correction(0.99, 0.01), readings((0, 0), (3, 3)))}, "today")
    assert where == state / "calibration-pi.yaml" and yaml.safe_load(where.read_text())["jacks"]["cv1"]["gain"] == 1.02
    found, problems = calibration.load(board, "pi")
    assert problems == [] and found[0] == Correction(1.02, -0.03) and found[7] == Correction(0.99, 0.01) and found[1] == Correction()
    assert calibration.load(board, "pi-simulated") == ([Correction()] * 8, []), "simulated chips are other chips"
    assert os.listdir(state) == ["calibration-pi.yaml"]


@pytest.mark.parametrize("text, what", [
    ("{", "ignored"), ("just words", "no calibration file"), ("kind: calibration\nformat: 1\nboard: classic\njacks: {}", "belongs to board 'classic'"),
    ("kind: jacks\nformat: 1\nboard: pi\njacks: {}", "no calibration file"), ("kind: calibration\nformat: 1\nboard: pi\njacks: [1]", "no mapping"),
    ("kind: calibration\nformat: 1\nboard: pi\njacks: {cv1: {gain: 7}}", "cv1 has gain 7"), ("\xff\x00", "ignored"),
    ("kind: calibration\nformat: 1\nboard: pi\njacks: {cv1: {gain: .nan}}", "cv1 has gain nan"), ("[" * 20000, "ignored"), ("x" * 70000, "more than")])
def test_a_broken_or_foreign_file_is_named_and_ignored(state, text, what):
    state.mkdir()
    (state / "calibration-pi.yaml").write_bytes(text.encode("latin-1"))
    found, problems = calibration.load(boards.load("pi"), "pi")
    assert found == [Correction()] * 8 and len(problems) == 1 and what in problems[0] and "calibration-pi.yaml" in problems[0] and "\n" not in problems[0]


def test_a_save_killed_at_any_step_leaves_the_old_file_or_the_new(state, tmp_path):
    """The process ends hard at every operation on files that a save makes."""
    calibration.save("pi", {"cv1": (Correction(1.01, 0), readings((0, 0), (3, 3)))}, "old")
    program = ("import os, sys\nfrom neurorack.inputs import calibration as c\nleft = [int(sys.argv[1])]\n"
               "def hook(event, args):\n    if event in ('open', 'os.rename', 'os.chmod', 'tempfile.mkstemp', 'os.mkdir') and 'calibration' in str(args):\n"
               "        left[0] -= 1\n        if left[0] == 0: os._exit(9)\nsys.addaudithook(hook)\n"
               "c.save('pi', {'cv1': (c.Correction(1.02, 0), [])}, 'new')\n")
    codes = []
    for step in range(1, 12):
        codes.append(subprocess.run([sys.executable, "-c", program, str(step)]).returncode)
        found, problems = calibration.load(boards.load("pi"), "pi")
        assert problems == [] and found[0].gain in (1.01, 1.02)
        if codes[-1] == 0:
            break
    assert codes[-1] == 0 and found[0].gain == 1.02 and codes.count(9) >= 3


def test_a_full_disk_keeps_the_old_values(state, monkeypatch):
    calibration.save("pi", {"cv1": (Correction(1.01, 0), [])}, "old")
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(NeurorackError, match="No space left on device.*old values stay"):
        calibration.save("pi", {"cv1": (Correction(1.02, 0), [])}, "new")
    assert calibration.load(boards.load("pi"), "pi")[0][0].gain == 1.01 and os.listdir(state) == ["calibration-pi.yaml"]


def test_the_systems_state_folder_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}/one:{tmp_path}/two")
    assert store.folder() == tmp_path / "one"


# ---- on simulated boards, through the real inputs process


@needs_buses
@pytest.mark.parametrize("name, chip", [("pi", "mcp3208"), ("pi-ads1115", "ads1115")])
def test_a_chip_two_percent_and_thirty_millivolts_off_is_calibrated_within_two_cents(bench, name, chip):
    b = bench(name)
    b.sim.chip(chip).gain, b.sim.chip(chip).offset_volts = 1.02, 0.03
    session = Session(jacks_of(b), [1, 3], [0.0, 1.0, 3.0], 0.4, None, lambda line: None)
    found = session.measure()
    assert set(found) == {"cv2", "cv4"} and not session.failed and "cv4" in page(found)
    before = calibration.save(b.rack.inputs.board_name, found, "today")
    assert before.name == f"calibration-{name}-simulated.yaml"
    b.wires.set_cv(1, 2.0)
    assert until(lambda: abs(b.rack.get_cv(1) - 2.0) < 0.01, 5), "the playing process takes the new values by itself"
    errors = []
    for octave in range(6):
        for jack in (1, 3):
            b.wires.set_cv(jack, float(octave))
        time.sleep(0.05)
        volts = np.mean([[b.rack.get_cv(jack) for jack in (1, 3)] for _ in range(150) if time.sleep(0.001) is None], axis=0)
        errors += [CENTS * abs(v - octave) for v in volts]
    assert max(errors) < 2.0, errors


@needs_buses
def test_a_wrong_cable_keeps_the_old_values_and_the_other_jacks_go_on(bench):
    b = bench("pi")
    calibration.save(b.rack.inputs.board_name, {"cv1": (Correction(1.01, 0.0), [])}, "old")
    said, jacks = [], jacks_of(b, wires=False)

    def ask(line):        # a person who puts 3 V into the wrong jack when cv1 is asked for
        asked = line.split()[1]
        for jack in range(8):
            b.wires.set_cv(jack, 0.0)
        if line.startswith("Patch"):
            b.wires.set_cv(5 if "3 V into cv1" in line else int(line.split()[4].strip(",")[2:]) - 1, float(asked))
        return ""
    session = Session(jacks, [0, 1], [0.0, 1.0, 3.0], 0.15, ask, said.append)
    found = session.measure()
    assert list(found) == ["cv2"] and "cv1 reads" in session.failed[0] and any("keeps its old values" in line for line in said)
    calibration.save(jacks.name, found, "new")
    kept, _ = calibration.load(b.settings, jacks.name)
    assert kept[0].gain == 1.01 and kept[1].gain == pytest.approx(1.0, abs=0.002)


def test_the_live_page_ends_with_enter(capsys):
    with open_jacks("desk") as jacks, open(os.dup((pipe := os.pipe())[0])) as keys:
        jacks.wires.set_cv(0, 2.0 + 1 / 12 + 0.01)
        threading.Timer(1.0, os.write, (pipe[1], b"\n")).start()
        live(jacks, {"cv1": (Correction(), [])}, print, keys)
    shown = capsys.readouterr().out
    assert "Enter" in shown and "cv1 +2.09" in shown and re.search(r"[+]1[0-4]\.\d ct", shown)
    for end in pipe:
        os.close(end)


@needs_buses
def test_a_converter_that_is_not_there_is_said(state):
    b = Bench("pi")
    b.sim.chip("mcp3208").absent = 1
    b.begin()
    try:
        session = Session(jacks_of(b), [0], [0.0, 3.0], 0.1, None, lambda line: None)
        assert session.measure() == {} and "converter does not answer" in session.failed[0]
        assert [finding.role for finding in watch(jacks_of(b), 0.3, ["cv1", "gate1"])] == ["unknown", "unpatched"]
    finally:
        b.close()


@needs_buses
def test_the_command_on_a_simulated_board(state):
    command = [sys.executable, "-m", "neurorack", "calibrate", "--board", "pi", "--simulated", "--jack", "2", "--points", "0,3", "--seconds", "0.2"]
    done = subprocess.run([*command, "--yes"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "cents" in done.stdout and "no instrument plays" in done.stdout, done
    assert list(yaml.safe_load((state / "calibration-pi-simulated.yaml").read_text())["jacks"]) == ["cv2"]
    (state / "calibration-pi-simulated.yaml").unlink()
    done = subprocess.run(command, input="n\n", capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Nothing was changed" in done.stdout and not list(state.iterdir())


@pytest.mark.parametrize("options, what", [(["--jack", "9"], "there is no CV jack '9'"), (["--points", "1"], "--points"), (["--seconds", "0"], "--seconds")])
def test_bad_input_is_one_line(options, what):
    done = subprocess.run([sys.executable, "-m", "neurorack", "calibrate", "--board", "desk", "--yes", *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and what in done.stderr and done.stderr.count("\n") == 1
