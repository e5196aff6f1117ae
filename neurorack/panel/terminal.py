"""``neurorack panel``: the display in a terminal, pixel for pixel, with the keyboard as its encoder.

On or off is drawn in half blocks (1x2 pixels a letter) where the terminal is large enough, else in braille (2x4). A colour
display is drawn in braille with a colour a letter, or made smaller until it fits in half blocks.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import termios
import threading
import time
import tty

import numpy as np

from neurorack import control
from neurorack.errors import NeurorackError
from neurorack.panel import frame
from neurorack.shm.rack import Rack

FRAME_SECONDS = 0.04
HOLDS = {"b": 0.5, "\x7f": 0.5, "s": 1.3, "m": 2.3}     # keys that press for so long
HELP = "←→ turn · Enter press · b back (hold) · s 1 s · m home (2 s) · f and ←→: fine · q quit"
DIM, LIT = 60, 128            # brightness below which a pixel of a colour display counts as dark
#: bit of a braille letter for each of its 4 rows of 2 dots (Unicode 13, chapter 21)
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


def braille(pixels: np.ndarray) -> list[str]:
    """Lines of a picture, uint8 [height, width] or [height, width, 3]; sides are filled up to 4 and 2."""
    height, width = pixels.shape[:2]
    pixels = np.pad(pixels, ((0, -height % 4), (0, -width % 2), *(((0, 0),) if pixels.ndim == 3 else ())))
    lit = pixels.max(axis=2) > DIM if pixels.ndim == 3 else pixels >= LIT
    cells = lit.reshape(lit.shape[0] // 4, 4, lit.shape[1] // 2, 2)
    codes = 0x2800 + np.einsum("ykxj,kj->yx", cells.astype(int), _DOTS)
    if pixels.ndim == 2:
        return ["".join(map(chr, line)) for line in codes.tolist()]
    colours = pixels.reshape(*cells.shape, 3).astype(float) * cells[..., None]
    counts = np.maximum(1, cells.sum(axis=(1, 3)))
    means = (colours.sum(axis=(1, 3)) / counts[..., None]).astype(int)
    return ["".join(_parts(line, row)) for line, row in zip(codes.tolist(), means.tolist())]


def _parts(codes: list[int], colours: list[list[int]]):
    """Letters, with an escape where the colour changes."""
    before = None
    for code, colour in zip(codes, colours):
        if code != 0x2800 and colour != before:
            yield "\x1b[38;2;{};{};{}m".format(*colour)
            before = colour
        yield chr(code)
    yield "\x1b[39m"


def blocks(pixels: np.ndarray) -> list[str]:
    """Half blocks: two pixels above each other a letter."""
    height, width = pixels.shape[:2]
    pixels = np.pad(pixels, ((0, height % 2), (0, 0), *(((0, 0),) if pixels.ndim == 3 else ())))
    upper, lower = pixels[0::2], pixels[1::2]
    if pixels.ndim == 2:
        signs = np.array([" ", "▄", "▀", "█"])[(upper >= LIT) * 2 + (lower >= LIT)]
        return ["".join(line) for line in signs]
    lines = []
    for top, bottom in zip(upper.tolist(), lower.tolist()):
        lines.append("".join("\x1b[38;2;{};{};{};48;2;{};{};{}m▀".format(*a, *b) for a, b in zip(top, bottom)) + "\x1b[0m")
    return lines


def smaller(pixels: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """A colour picture averaged down until its half blocks fit."""
    factor = max(1, -(-pixels.shape[1] // max(1, columns)), -(-pixels.shape[0] // max(1, 2 * rows)))
    height, width = pixels.shape[0] // factor * factor, pixels.shape[1] // factor * factor
    return pixels[:height, :width].reshape(height // factor, factor, width // factor, factor, 3).mean(axis=(1, 3)).astype(np.uint8)


def picture(shown: frame.Frame, columns: int, rows: int, style: str = "auto") -> list[str]:
    """Lines of a frame for a terminal of this size."""
    height, width = shown.pixels.shape[:2]
    if shown.mode == "1":
        return blocks(shown.pixels) if style == "blocks" or style == "auto" and columns >= width and rows >= height // 2 else braille(shown.pixels)
    fits = columns >= width // 2 and rows >= height // 4
    return braille(shown.pixels) if style == "braille" or style == "auto" and fits else blocks(smaller(shown.pixels, columns, rows))


class Keys:
    """Keys of the terminal to turns and presses; presses that last are made in a thread, as a finger's are."""

    def __init__(self, ask):
        self.ask, self.fine, self.busy, self.quit = ask, False, threading.Lock(), False

    def feed(self, data: str) -> None:
        """The characters of one read."""
        for name, key in (("\x1b[A", ">"), ("\x1b[C", ">"), ("\x1b[B", "<"), ("\x1b[D", "<"), ("\x1bOA", ">"), ("\x1bOC", ">"), ("\x1bOB", "<"), ("\x1bOD", "<")):
            data = data.replace(name, key)
        steps = 0
        for key in data:
            if key in "<>+-":
                steps += 1 if key in ">+" else -1
                continue
            steps = self._turn(steps)
            if key in "\r\n ":
                self._press(0.08)
            elif key in HOLDS:
                self._press(HOLDS[key])
            elif key == "f":
                self.fine = not self.fine
                self.ask({"do": "panel", "press": self.fine})
            elif key in "q\x03\x04":
                self.quit = True
        self._turn(steps)

    def _turn(self, steps: int) -> int:
        if steps:
            self.ask({"do": "panel", "turn": steps})
        return 0

    def _press(self, seconds: float) -> None:
        def work() -> None:
            with self.busy:
                self.ask({"do": "panel", "press": True})
                time.sleep(seconds)
                self.ask({"do": "panel", "press": False})

        if seconds < 0.2:
            work()
        else:
            threading.Thread(target=work, daemon=True).start()


def run(pid: int | None, once: bool, style: str) -> int:
    """The whole of the command. Raises ``NeurorackError`` where no instrument or no panel runs."""
    pid = control.request({"do": "status"}, pid)["pid"]
    control.request({"do": "panel"}, pid)
    rack = Rack.attach_to(pid)
    until = time.monotonic() + 5
    while (shown := frame.read(rack)) is None:
        if time.monotonic() > until:
            raise NeurorackError("the panel shows nothing yet; `neurorack ctl notices` may say why")
        time.sleep(0.05)
    if once or not sys.stdin.isatty() or not sys.stdout.isatty():
        size = shutil.get_terminal_size()
        print("\n".join(picture(shown, size.columns, size.lines - 1, style)))
        return 0
    return _live(pid, rack, style)


def _live(pid: int, rack: Rack, style: str) -> int:
    told = ""

    def ask(request: dict) -> None:
        nonlocal told
        try:
            control.request(request, pid, 5)
            told = ""
        except NeurorackError as error:
            told = str(error)

    keys, fd = Keys(ask), sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    lines: list[str] = []
    size = (0, 0)
    try:
        tty.setcbreak(fd)
        sys.stdout.write("\x1b[?1049h\x1b[?25l\x1b[2J")
        while not keys.quit and os.path.exists(f"/proc/{pid}"):
            if select.select([fd], [], [], FRAME_SECONDS)[0]:
                data = os.read(fd, 256).decode("utf-8", "ignore")
                if not data:
                    break
                keys.feed(data)
            shown = frame.read(rack)
            if shown is None:
                continue
            now = tuple(shutil.get_terminal_size())
            if now != size:
                lines, size = [], now
                sys.stdout.write("\x1b[2J")
            dark = {0: "dark: any key wakes it", 1: "", 2: ""}[shown.light]
            light = "\x1b[38;2;{};{};{}m●\x1b[39m ".format(*(min(255, 40 + level) for level in shown.led))
            fresh = picture(shown, now[0], now[1] - 1, style)[: now[1] - 1] + [light + (told or dark or HELP)[: now[0] - 3]]
            for row, line in enumerate(fresh):
                if row >= len(lines) or lines[row] != line:
                    sys.stdout.write(f"\x1b[{row + 1};1H{line}\x1b[K")
            lines = fresh
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.write("\x1b[?25h\x1b[?1049l")
            sys.stdout.flush()
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        if keys.fine:
            ask({"do": "panel", "press": False})
    return 0
