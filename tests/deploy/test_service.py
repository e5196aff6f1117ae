"""Starts that did not hold, safe mode, and the guard of a release on trial."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from neurorack import library, service
from neurorack.drivers import board as boards
from neurorack.errors import NeurorackError
from neurorack.simbus.bus import SimBus
from neurorack.simbus.wires import SimWires
from tests.deploy.board import ROOT
from tests.drivers.conftest import Program
from tests.play.runs import until


@pytest.fixture
def state(tmp_path, monkeypatch):
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    (tmp_path / "neurorack").mkdir()
    return tmp_path / "neurorack"


def start(calm_seconds=10.0):
    code = f"import sys; from neurorack import service; service.CALM_SECONDS = {calm_seconds}; sys.exit(service.play())"
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


def failed(state):
    return json.loads((state / "starts.json").read_text())["failed"]


def test_three_bad_starts_lead_to_safe_mode_and_a_good_end_leads_out(state, monkeypatch):
    (state / "options").write_text("--device null --board desk --model 'no such model'\n")
    for count in (1, 2, 3):
        bad = start()
        assert "no such model" in bad.communicate(timeout=60)[1] and bad.returncode == 2
        assert failed(state) == count
    safe = start()
    try:
        lines = iter(safe.stderr.readline, "")
        assert "safe mode, the factory model" in next(lines)
        assert any("impacts plays on null" in line and "board desk" in line for line in lines)
        safe.send_signal(signal.SIGTERM)
        assert safe.wait(30) == 0 and failed(state) == 0
    finally:
        safe.kill()
        safe.wait()


def test_a_start_that_holds_is_forgotten_and_a_kill_is_not(state):
    (state / "options").write_text("--device null --board desk\n")
    run = start(calm_seconds=1.0)
    try:
        until((state / "starts.json").exists, 30, "its mark")
        assert failed(state) == 1
        until(lambda: failed(state) == 0, 90, "a start that holds", every=0.1)
        until((state / "good-release").exists, 10)
        assert (state / "good-release").read_text().strip() == ROOT.name
    finally:
        run.kill()      # the plug is pulled
        run.wait()
    assert service.Starts(state).reason == ""


def test_reasons_and_options_of_safe_mode(state):
    starts = service.Starts(state)
    assert not starts.reason
    assert "button" in service.Starts(state, button_held=True).reason
    (state / "safe-mode").touch()
    flagged = service.Starts(state)
    assert "file safe-mode" in flagged.reason
    flagged.held()
    assert not (state / "safe-mode").exists()
    given = ["--board=pi", "--device", "dac", "--model", "heavy", "--block", "32"]
    model = ["--model", str(library.FACTORY / "impacts" / "impacts.safetensors")]
    assert service.safe_options(given, 3) == [*model, "--board", "pi", "--device", "dac"]
    assert service.safe_options(given, 6) == model
    (state / "options").write_text("--model 'no end\n")
    with pytest.raises(NeurorackError, match="options"):
        service.options(state)


def test_the_button_at_power_up_on_simulated_lines():
    if importlib.util.find_spec("gpiod") is None:
        pytest.skip("not installed: gpiod")
    assert not service.button_held(["--board", "desk"]) and not service.button_held(["--board", "no such board"])
    sim = SimBus.create("pinctrl-bcm2711")
    program = Program(sim.environment())
    try:
        line = boards.load("pi")["controls"]["button"]
        for level, held in ((1, False), (0, True)):
            sim.set_line(line, level)
            assert program.run(service.button_held, ["--board", "pi"]) is held
    finally:
        program.close()
        sim.close()
    assert not service.button_held(["--board", "pi"]), "a board whose lines cannot be read has none that is held"


def test_safe_mode_is_said_on_a_simulated_display(state):
    if missing := [name for name in ("gpiod", "spidev", "luma.oled", "RPi") if _missing(name)]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    (state / "options").write_text("--board pi --device null\n")
    wires = SimWires(boards.load("pi"))
    try:
        done = subprocess.run([sys.executable, "-m", "neurorack.service", "show", "SAFE MODE: 3 starts in a row did not hold"], cwd=ROOT,
                              env={**os.environ, **wires.environment()}, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert wires.sim.picture()[:26].sum() > 150 and not wires.sim.picture()[40:].any(), "two lines of text at the top, and they stay"
    finally:
        wires.sim.close()


def _missing(name):
    try:
        return importlib.util.find_spec(name) is None
    except ImportError:
        return True


@pytest.mark.parametrize("damage", [b"", b"{", b'{"failed": "many"}', b"\xff\xfe", b"[1]"])
def test_a_damaged_count_is_none(state, damage):
    (state / "starts.json").write_bytes(damage)
    assert service.Starts(state).failed == 0


def test_a_state_folder_that_cannot_be_written_keeps_nobody_from_playing(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    service.Starts(tmp_path / "file" / "state").begin()
    assert "warning: StateFolder" in capsys.readouterr().err


def test_the_count_survives_a_kill_at_any_time(state):
    """Whole before or whole after, whenever the plug is pulled in a save."""
    code = ("from pathlib import Path; import sys; from neurorack import service\nstarts = service.Starts(Path(sys.argv[1])); print('on', flush=True)\n"
            "while True: starts.begin()")
    for pause in (0.002, 0.013, 0.04, 0.07):
        writer = subprocess.Popen([sys.executable, "-c", code, str(state)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        writer.stdout.readline()
        time.sleep(pause)
        writer.kill()
        writer.wait()
        if (state / "starts.json").exists():
            assert failed(state) >= 1
    assert service.Starts(state).failed >= 1


def guard(base):
    return subprocess.run(["sh", str(ROOT / "tools" / "deploy" / "guard.sh"), str(base)], capture_output=True, text=True)


@pytest.fixture
def trial(tmp_path):
    for name in ("old", "new"):
        (tmp_path / "releases" / name).mkdir(parents=True)
        (tmp_path / "releases" / name / ".complete").touch()
    (tmp_path / "var" / "neurorack").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/new")
    (tmp_path / "trial").write_text("new=new\nold=old\n")
    return tmp_path


def test_the_third_start_of_a_release_that_never_held_is_the_old_ones(trial):
    for _ in range(2):
        assert guard(trial).returncode == 0 and os.readlink(trial / "current") == "releases/new"
    assert "going back to old" in guard(trial).stderr
    assert os.readlink(trial / "current") == "releases/old" and not (trial / "trial").exists()
    assert guard(trial).returncode == 0 and os.readlink(trial / "current") == "releases/old"


def test_a_release_that_has_held_is_on_trial_no_more(trial):
    guard(trial)
    (trial / "var" / "neurorack" / "good-release").write_text("new\n")
    for _ in range(4):
        guard(trial)
    assert os.readlink(trial / "current") == "releases/new" and not (trial / "trial").exists()


def test_without_an_old_one_or_with_half_of_one_the_new_one_stays(trial):
    (trial / "releases" / "old" / ".complete").unlink()
    for _ in range(4):
        assert guard(trial).returncode == 0
    assert os.readlink(trial / "current") == "releases/new"
