"""The display in a terminal's letters, and a terminal's keys at the encoder."""

import time

import numpy as np
import pytest

from neurorack.panel import terminal
from neurorack.panel.canvas import LARGE, SMALL, Canvas
from neurorack.panel.frame import Frame
from neurorack.panel.machine import Machine
from neurorack.panel.screens import first, home
from neurorack.panel.view import View
from tests.play.runs import until
from tools.draw.panel_script import Canned


def shown(pixels):
    return Frame(1, pixels.shape[1::-1], 2, 0, 0, "home", pixels, (0, 0, 0))


def dots(lines):
    """Pixels of braille letters."""
    rows = []
    for line in lines:
        codes = np.array([ord(letter) - 0x2800 for letter in line])
        bits = np.array([[0, 3], [1, 4], [2, 5], [6, 7]])
        rows.append((codes[None, :, None] >> bits[:, None, :] & 1).reshape(4, -1))
    return np.concatenate(rows)


def halves(lines):
    """Pixels of half blocks."""
    return np.concatenate([np.array([[letter in "▀█" for letter in line], [letter in "▄█" for letter in line]]) for line in lines])


def test_every_pixel_is_in_the_letters():
    pixels = (np.random.default_rng(1).random((64, 128)) > 0.5).astype(np.uint8) * 255
    small, large = terminal.picture(shown(pixels), 80, 24), terminal.picture(shown(pixels), 128, 32)
    assert len(small) == 16 and len(small[0]) == 64 and np.array_equal(dots(small), pixels > 0)
    assert len(large) == 32 and len(large[0]) == 128 and np.array_equal(halves(large), pixels > 0)
    assert terminal.picture(shown(pixels), 200, 60, "braille") == small


def test_a_colour_display_keeps_its_colours_and_fits():
    canvas = Canvas(LARGE)
    canvas.fill(0, 0, 240, 240, "good")
    pixels = np.asarray(canvas.image)
    lines = terminal.picture(shown(pixels), 80, 24)
    assert len(lines) <= 24 and all(line.count("▀") <= 80 for line in lines) and "38;2;64;208;128" in lines[0]
    whole = terminal.picture(shown(pixels), 120, 60)
    assert len(whole) == 60 and whole[0].count("⣿") == 120 and "38;2;64;208;128" in whole[0]


def test_keys_turn_and_press():
    asked = []
    keys = terminal.Keys(asked.append)
    keys.feed("\x1b[A\x1b[C\x1b[B\x1bOA")
    assert asked == [{"do": "panel", "turn": 2}]
    asked.clear()
    keys.feed("\x1b[A\r\x1b[D\x1b[D")
    assert asked == [{"do": "panel", "turn": 1}, {"do": "panel", "press": True}, {"do": "panel", "press": False}, {"do": "panel", "turn": -2}]
    asked.clear()
    began = time.monotonic()
    keys.feed("b")
    assert time.monotonic() - began < 0.4, "it is held in a thread"
    until(lambda: len(asked) == 2, 5, "the release")
    keys.feed("q")
    assert keys.quit


@pytest.mark.parametrize("layout", [SMALL, LARGE], ids=lambda layout: layout.name)
def test_the_start_moves_ends_by_itself_and_any_control_ends_it(layout):
    def machine():
        made = Machine(layout, home(), Canned())
        made.push(first(0.0))
        return made

    m = machine()
    pictures = {m.draw(View(now=now), round(now * 1e9)).image.tobytes() for now in (0.2, 0.5, 0.8, 1.2)}
    assert len(pictures) == 4 and m.screen.name == "start"
    m.draw(View(now=2.0), 2_000_000_000)
    assert m.screen.name == "home"
    for act in (lambda m: m.turn(1, 1), lambda m: (m.press(1), m.release(2))):
        m = machine()
        act(m)
        assert m.screen.name == "home"
