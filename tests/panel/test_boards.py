"""The panel's own hardware on simulated chips: the display's memory is the picture, and the encoder's turns arrive."""

import importlib.util
import os
import time
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

from neurorack.drivers import board as boards
from neurorack.panel import frame
from neurorack.simbus.bus import SimBus
from neurorack.simbus.wires import SimWires
from tests.panel.own import Own
from tests.play.runs import until

NEEDED = ("luma", "RPi", "spidev", "smbus2", "gpiod")
pytestmark = pytest.mark.skipif(any(importlib.util.find_spec(name) is None for name in NEEDED), reason=f"one of {', '.join(NEEDED)} is not installed")


class Hands(SimWires):
    """At the encoder of a running instrument's simulated board."""

    def __init__(self, run, settings):
        link = next(link for link in Path(f"/proc/{run.pid}/fd").iterdir() if "neurorack-simbus" in os.readlink(link))
        self.settings, self.sim = settings, SimBus(str(link))


@pytest.fixture(scope="module", params=["pi", pytest.param("pi-ads1115", marks=pytest.mark.soak), "classic"])
def panel(request, tmp_path_factory):
    """``(run, hands)`` of a board whose chips are simulated."""
    settings = boards.load(request.param)
    with Own(tmp_path_factory.mktemp("board"), "--web", "none", "--midi", "none", "--board", request.param, "--simulated", "--seconds", 300) as run:
        run.sounding()
        hands = Hands(run, settings)
        until(lambda: (found := frame.read(run.rack)) and found.screen == "home", 30, "Home")
        yield run, hands
        hands.sim.close()


def as_held(pixels):
    """A picture as its chip keeps it: on or off, or 16 bits."""
    return pixels > 0 if pixels.ndim == 2 else pixels & np.array([0xF8, 0xFC, 0xF8], np.uint8)


def shows_the_picture(run, hands):
    """The display's memory is the picture in the shared block, while neither changes."""
    before = frame.read(run.rack)
    held = hands.sim.picture()
    after = frame.read(run.rack)
    return before and after and before.number == after.number and np.array_equal(held, as_held(before.pixels))


def press(hands, seconds):
    hands.press(True)
    time.sleep(seconds)
    hands.press(False)


def open_menu(run, hands):
    for _ in range(8):
        if (before := frame.read(run.rack).screen) == "main":
            return
        press(hands, 0.1 if before == "home" else 0.5)
        end = time.monotonic() + 0.5      # a press may be for a notice
        while frame.read(run.rack).screen == before and time.monotonic() < end:
            time.sleep(0.01)
    assert frame.read(run.rack).screen == "main"


def still(run, seconds=0.4):
    """Wait until no picture was drawn for so long."""
    number, since = run.rack.panel.number, time.monotonic()
    end = since + 10
    while time.monotonic() - since < seconds:
        assert time.monotonic() < end, "it never comes to rest"
        time.sleep(0.02)
        if run.rack.panel.number != number:
            number, since = run.rack.panel.number, time.monotonic()


def test_the_display_holds_what_the_block_holds(panel):
    run, hands = panel
    open_menu(run, hands)
    until(lambda: shows_the_picture(run, hands), 10, "the same picture")
    assert frame.read(run.rack).pixels.any()
    press(hands, 0.5)
    until(lambda: frame.read(run.rack).screen == "home", 5, "Home")
    until(lambda: shows_the_picture(run, hands), 20, "the same picture while it moves")


def test_only_what_changes_is_sent(panel):
    run, hands = panel
    open_menu(run, hands)
    still(run)
    sent, frames = run.rack.panel.chip_bytes, run.rack.panel.number
    time.sleep(1.0)
    assert run.rack.panel.chip_bytes == sent and run.rack.panel.number == frames, "nothing changes, nothing is sent"
    hands.turn(1)
    until(lambda: run.rack.panel.number > frames, 5, "the next row")
    still(run, 0.3)
    whole = 1024 if run.rack.panel.channels == 1 else 240 * 240 * 2
    assert 0 < run.rack.panel.chip_bytes - sent < whole / 2
    hands.turn(-1)
    time.sleep(0.3)


def test_no_detent_of_the_real_encoder_is_lost(panel):
    run, hands = panel
    open_menu(run, hands)
    before = run.rack.panel.detents
    for steps in (3, 2, 7, 8, 1):      # an expander tells the sum since it was asked
        hands.turn(steps)
        time.sleep(0.02)
    until(lambda: run.rack.panel.detents - before == 21, 5, f"all detents; {run.rack.panel.detents - before} came")


def test_the_encoder_shines_as_the_block_says(panel):
    run, hands = panel
    if "expander" not in hands.settings["controls"]:
        pytest.skip("its encoder has no light")

    def shines():
        chip = hands.sim.chip("ioexpander")
        duty = tuple(chip.byte[low] | chip.byte[high] << 8 for low, high in ((0xCB, 0xC8), (0x9B, 0x93), (0x9C, 0x94)))
        return duty == frame.read(run.rack).led and any(duty)
    until(shines, 10, "the light")
    hands.press(True)
    until(lambda: frame.read(run.rack).led == (255, 255, 255) and shines(), 5, "white while it is pressed")
    hands.turn(1)      # and the press means nothing
    hands.press(False)


def test_a_display_that_is_pulled_out_is_named_and_comes_back(panel):
    run, hands = panel
    if "expander" not in hands.settings["controls"]:
        pytest.skip("SPI does not tell that nobody listens; its encoder at the expander does")
    chip = hands.sim.chip("ioexpander")
    chip.absent = 1
    until(lambda: "encoder does not answer" in run.said, 10, "its name")
    number = run.rack.panel.number
    ways = cycle((1, -1))       # one of them moves, wherever the list stands
    until(lambda: run.ask("panel", turn=next(ways)) and run.rack.panel.number > number, 10, "the picture goes on", 0.1)      # turned from afar
    chip.absent = 0
    until(lambda: "encoder answers again" in run.said, 10, "its return")
    assert run.said.count("encoder does not answer") == 1
    before = run.rack.panel.detents
    hands.turn(2)
    until(lambda: run.rack.panel.detents > before, 5, "its turns")
