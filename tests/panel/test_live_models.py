"""Map and Models with an instrument that plays: places kept, a model on trial, loaded beside, blended, measured."""

import subprocess
import sys
import time

import pytest

from neurorack.panel import frame
from tests import models
from tests.panel.own import Own
from tests.play.runs import until

PATIENCE = 40


@pytest.fixture(scope="module")
def instrument(tmp_path_factory):
    """With a second model in its library."""
    folder = tmp_path_factory.mktemp("models")
    models.tone(folder / "tone.safetensors")
    with Own(folder, "--web", "none", "--midi", "none", "--seconds", 300) as run:
        run.sounding()
        done = subprocess.run([sys.executable, "-m", "neurorack", "models", "add", str(folder / "tone.safetensors")], env=run.env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: screen(run) == "home", 30, "Home")
        yield run


def screen(run):
    found = frame.read(run.rack)
    return found and found.screen


def press(run, seconds=0.03):
    run.ask("panel", press=True)
    time.sleep(seconds)
    run.ask("panel", press=False)
    time.sleep(0.3)


def go(run, name, *entry):
    """To a screen of the main menu from anywhere, then down by so many rows and in."""
    for _ in range(10):
        while screen(run) != "home":
            press(run, 2.2)
        press(run)      # a notice is read first
        if until(lambda: screen(run), 1) == "main":
            break
    run.ask("panel", turn=-20)
    run.ask("panel", turn=["map", "models"].index(name))
    press(run)
    until(lambda: screen(run) == name, 10, name)
    for rows in entry:
        time.sleep(0.8)       # its rows are read from disk
        run.ask("panel", turn=-30)
        run.ask("panel", turn=rows)
        press(run)


def playing(run):
    """Models by slot, and where the crossfade stands."""
    told = run.ask("status")
    return {name: slot["model"] for name, slot in told["slots"].items() if slot and slot["playing"]}, told["mix"]


def test_a_place_is_kept_and_gone_back_to(instrument):
    go(instrument, "map")
    kept = instrument.state / "waypoints.yaml"
    plane = until(lambda: instrument.ask("card")["plane"], 5)
    instrument.ask("set", control=plane[0], value=0.8, drive=0)
    time.sleep(0.5)
    press(instrument)
    until(kept.exists, 10, "the file of places")
    instrument.ask("set", control=plane[0], value=0.1)
    time.sleep(1.2)
    before = instrument.ask("status")["patch"]["knobs"][plane[0]]
    instrument.ask("panel", turn=1)
    press(instrument)
    until(lambda: abs(instrument.ask("status")["patch"]["knobs"][plane[0]] - before) > 0.3, 10, "the knob's move")
    press(instrument, 1.2)
    until(lambda: "points: []" in kept.read_text(), 10, "the place forgotten")


@pytest.mark.soak
def test_a_model_on_trial_goes_back(instrument):
    go(instrument, "models", 2, 1)
    until(lambda: screen(instrument) == "audition", 5, "audition")
    until(lambda: "tone" in playing(instrument)[0].values() and not instrument.ask("status")["job"], PATIENCE, "the model on trial")
    time.sleep(0.5)
    press(instrument, 0.5)
    until(lambda: set(playing(instrument)[0].values()) == {"impacts"} and not instrument.ask("status")["job"], PATIENCE, "the model before it")


def test_two_models_are_loaded_and_blended(instrument):
    go(instrument, "models", 2, 2)
    until(lambda: screen(instrument) == "blend", PATIENCE, "the blend")
    assert len(playing(instrument)[0]) == 2
    before = playing(instrument)[1]
    for _ in range(10):
        instrument.ask("panel", turn=1 if before < 0.5 else -1)
    until(lambda: abs(playing(instrument)[1] - before) > 0.15, 5, "another mix")


@pytest.mark.soak
def test_a_board_is_measured_while_it_plays(instrument):
    late = int(sum(sum(slot.late) for slot in instrument.rack.underruns))
    go(instrument, "models", 0, 1)
    until(lambda: screen(instrument) == "measure", 5, "measuring")
    first = frame.read(instrument.rack).pixels.copy()
    until(lambda: (frame.read(instrument.rack).pixels[12:22] != first[12:22]).mean() > 0.05, PATIENCE, "the figures")
    assert int(sum(sum(slot.late) for slot in instrument.rack.underruns)) - late < 20 and instrument.process.poll() is None
