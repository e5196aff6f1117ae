"""Displays' memories hold the picture, whichever pixels change, and only what changes is sent. luma and drivers unmodified, chips simulated."""

import importlib.util
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from neurorack.drivers import board as boards
from neurorack.panel.chips import open_chip
from neurorack.panel.hardware import layout_of
from neurorack.simbus.wires import SimWires
from tests.drivers.conftest import Program

NEEDED = ("luma", "RPi", "spidev", "smbus2", "gpiod")
pytestmark = pytest.mark.skipif(any(importlib.util.find_spec(name) is None for name in NEEDED), reason=f"one of {', '.join(NEEDED)} is not installed")
HELD = {}


def pictures(board, seed, count):
    """A picture that changes here and there, as Pillow draws it."""
    layout, rng = layout_of(board, None), random.Random(seed)
    image = Image.new(layout.mode, layout.size)
    for _ in range(count):
        draw = ImageDraw.Draw(image)
        x, y = rng.randrange(layout.size[0]), rng.randrange(layout.size[1])
        colour = rng.randrange(2) if layout.mode == "1" else tuple(rng.randrange(256) for _ in range(3))
        draw.rectangle((x, y, x + rng.randrange(30), y + rng.randrange(12)), fill=colour)
        yield image


def show(board, seed, count):
    """In the program under the simulated board: the last picture, and the bytes of each."""
    chip = HELD.setdefault("chip", None) or open_chip(board)
    HELD["chip"] = chip
    chip.light(0.8)
    sent = [chip.show(image) for image in pictures(board, seed, count)]
    return np.asarray(image_of(board, seed, count)), sent, chip.show(image_of(board, seed, count))


def image_of(board, seed, count):
    *_, last = pictures(board, seed, count)
    return last


@pytest.mark.parametrize("name", ["pi", "pi-ads1115", "classic"])
def test_a_display_holds_what_was_drawn_last(name):
    settings = boards.load(name)
    wires = SimWires(settings)
    program = Program(wires.environment())
    try:
        picture, sent, again = program.run(show, settings, 1, 12)
        expected = picture if picture.ndim == 2 else picture & np.array([0xF8, 0xFC, 0xF8], np.uint8)
        assert np.array_equal(wires.sim.picture(), expected) and picture.any()
        assert again == 0, "what is there already is not sent"
        assert max(sent) < (500 if picture.ndim == 2 else 40 * 26 * 2 + 200), "a small change is a small message"
    finally:
        program.close()
        wires.sim.close()


def test_each_board_has_a_layout_and_a_desk_may_choose():
    assert [layout_of(boards.load(name), None).name for name in ("pi", "pi-ads1115", "classic", "desk")] == ["128x64", "128x64", "240x240", "128x64"]
    assert layout_of(boards.load("desk"), "240").name == "240x240" and layout_of(boards.load("pi"), "240").name == "128x64"
