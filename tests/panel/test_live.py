"""The panel's process beside an instrument that plays: what it is told, what it shows, and that the sound does not care."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from neurorack.panel import frame, terminal
from neurorack.runfiles import started_at
from tests.panel.own import Own
from tests.play.runs import until


@pytest.fixture(scope="module")
def instrument(tmp_path_factory):
    with Own(tmp_path_factory.mktemp("panel"), "--web", "none", "--seconds", 300) as run:
        run.sounding()
        until(lambda: shown(run) and shown(run).screen == "home", 20, "Home")
        yield run


def shown(run):
    return until(lambda: frame.read(run.rack), 5, "a picture")


def press(run, seconds=0.03):
    run.ask("panel", press=True)
    time.sleep(seconds)
    run.ask("panel", press=False)


def goes_to(run, name):
    """Wait for a screen."""
    return until(lambda: (found := shown(run)) and found.screen == name and found, 5, f"screen {name}")


def open_menu(run):
    """From anywhere; a notice is read first."""
    for _ in range(10):
        go_home(run)
        press(run)
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            if shown(run).screen == "main":
                return
            time.sleep(0.01)
    goes_to(run, "main")


def go_home(run):
    for _ in range(6):
        if shown(run).screen == "home":
            return
        press(run, 2.2)
        time.sleep(0.2)
    goes_to(run, "home")


def test_home_shows_the_sound_and_moves_with_it(instrument):
    go_home(instrument)
    first = shown(instrument)
    assert first.size == (128, 64) and first.mode == "1" and first.light == 2 and first.pixels.any()
    assert set(np.unique(first.pixels)) <= {0, 255}
    until(lambda: shown(instrument).number > first.number + 5, 5, "more frames")
    assert any(first.led)


def test_turns_and_presses_lead_through_the_menu_and_back(instrument):
    open_menu(instrument)
    before = shown(instrument)
    instrument.ask("panel", turn=1)
    after = until(lambda: (found := shown(instrument)).event_ns > before.event_ns and found, 5, "another picture")
    assert not np.array_equal(after.pixels, before.pixels) and 0 < after.drawn_ns - after.event_ns < 2e9
    press(instrument)
    goes_to(instrument, "models")
    press(instrument, 0.5)
    goes_to(instrument, "main")
    press(instrument, 0.5)
    goes_to(instrument, "home")


def test_what_the_panel_answers(instrument):
    told = instrument.ask("panel")
    assert told["size"] == [128, 64] and told["mode"] == "1" and len(told["led"]) == 3 and told["frame"] > 0
    assert "turn is 1.5" in instrument.refused("panel", turn=1.5) and "press is 1" in instrument.refused("panel", press=1)
    card = instrument.ask("card", slot="A")
    assert card["model"] == "impacts" and len(card["plane"]) == 2 and card["plane"][0] in {control["name"] for control in card["controls"]}
    assert instrument.ask("card", slot="B")["model"] is None


def test_no_detent_is_lost(instrument):
    go_home(instrument)
    rack = instrument.rack
    before, began = rack.panel.detents, time.monotonic()
    for number in range(500):
        instrument.ask("panel", turn=1 if number % 3 else -2)
    assert time.monotonic() - began < 20
    sent = sum(1 if number % 3 else 2 for number in range(500))
    until(lambda: rack.panel.detents - before == sent, 10, "all detents")


def test_the_scope_holds_what_was_played(instrument):
    rack = instrument.rack
    head = rack.scope.head_frames
    until(lambda: rack.scope.head_frames > head, 5, "more of it")
    assert until(lambda: np.abs(rack.scope.frames).max() > 1e-3, 10, "sound in it")


def test_the_terminal_shows_the_same(instrument):
    open_menu(instrument)
    run = subprocess.run([sys.executable, "-m", "neurorack", "panel", "--once", "--pid", str(instrument.pid)], env=instrument.env, capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == terminal.braille(shown(instrument).pixels)
    go_home(instrument)


def test_one_that_dies_comes_again_and_the_sound_goes_on(instrument):
    rack = instrument.rack
    pid, late = rack.panel.pid, int(sum(rack.underruns[0].late))
    os.kill(pid, signal.SIGKILL)
    blocks = rack.audio.blocks
    until(lambda: rack.panel.pid != pid and rack.run.restarts[5] == 1 and rack.panel.heartbeat_ns, 20, "another panel")
    go_home(instrument)
    assert rack.audio.blocks > blocks and instrument.process.poll() is None
    assert int(sum(rack.underruns[0].late)) - late < 5 and list(rack.run.restarts[:5]) == [0] * 5


def test_it_runs_below_the_sound(instrument):
    stat = Path(f"/proc/{instrument.rack.panel.pid}/stat").read_text().rpartition(")")[2].split()
    assert int(stat[16]) == 10 and int(stat[38]) == 0, "nice 10, no real-time policy"


def test_a_missing_library_is_said_once_and_the_sound_goes_on(tmp_path):
    (tmp_path / "hide" / "PIL").mkdir(parents=True)
    (tmp_path / "hide" / "PIL" / "__init__.py").write_text("raise ImportError('not here')\n")
    env = {"PYTHONPATH": f"{tmp_path / 'hide'}:{os.environ.get('PYTHONPATH', '')}:{Path(__file__).parents[2]}"}
    with Own(tmp_path, "--web", "none", "--seconds", 60, env=env) as run:
        run.sounding()
        until(lambda: run.rack.run.restarts[5] >= 2, 20, "two attempts")
        assert "pip install Pillow" in run.said and run.said.count("the panel process ended") == 1
        assert run.process.poll() is None and run.rack.audio.blocks > 0 and "there is no panel" in run.said
        until(lambda: run.stop() < 5, 10)
        assert not run.left_over() and started_at(run.pid) is None


def test_no_panel_where_none_is_wanted(tmp_path):
    with Own(tmp_path, "--web", "none", "--display", "none", "--seconds", 60) as run:
        run.sounding()
        assert "there is no panel" in run.refused("panel", turn=1)
