"""The panel's process: takes turns and presses, draws, and shows the same picture on the display's chip and in the shared block.

It runs at low priority and waits for nobody: what the supervisor is asked is asked in threads (``asking.py``).
"""

from __future__ import annotations

import gc
import os
import select
import time
from pathlib import Path

import numpy as np

from neurorack.errors import NeurorackError
from neurorack.preferences import Reader
from neurorack.process import Child

FRAME_NS = 33_400_000             # not more than 30 frames a second
CALM_NS, DARK_NS = 100_000_000, 250_000_000       # where nothing moves; while the display is dim or dark
MOST_SHARE = 0.07                 # of a core for what moves by itself: a slow board draws it less often, turns and presses as ever
NICE = 10
SHIFT_SECONDS, SHIFTS = 60, ((0, 0), (1, 0), (1, 1), (0, 1))     # of an OLED's picture, against burning in
DIM_SHARE = 0.12
WAIT_SECONDS = 0.1                # the heartbeat needs it


class Panel:
    """All of one panel, in one thread."""

    def __init__(self, child: Child):
        try:
            from PIL import Image
        except ImportError:
            raise NeurorackError("there is no panel: Pillow is missing; pip install Pillow") from None
        from neurorack.panel import hardware, led
        from neurorack.panel.asking import Asker
        from neurorack.panel.frame import Writer
        from neurorack.panel.local import LOCAL
        from neurorack.panel.looking import Looker
        from neurorack.panel.machine import BLANK, FULL, Machine
        from neurorack.panel.screens import first, home

        self._image, self._colour_of, self._blank, self._full = Image, led.colour, BLANK, FULL
        board, config = child.config["board"], child.config
        self.child, self.rack, self.section = child, child.rack, child.rack.panel
        self.counts = hardware.Counts()
        note = child.say
        self.layout = hardware.layout_of(board, config.get("display"))
        self.display = hardware.Display(board, note, self.counts)
        self.controls = hardware.Controls(board, note, self.counts, config["events_fd"])
        self.asker = Asker(child.parent, LOCAL)
        self.looker, self.writer, self.preferences = Looker(child.rack, board), Writer(child.rack), Reader()
        self.machine = Machine(self.layout, home(), self.asker, now_ns=time.monotonic_ns())
        if not config.get("restarted"):
            self.machine.push(first(time.monotonic_ns() / 1e9))
        self.drawn_ns, self.changed_ns, self.shown, self.dirty, self.moves = 0, 0, b"", True, False
        self.cost_ns, self.unsent = 0.0, False          # processor time of a picture, smoothed

    def step(self) -> None:
        """Wait for something to do, and do it."""
        now = time.monotonic_ns()
        due = self._due_ns() - now
        wait = min(WAIT_SECONDS, self.controls.poll_seconds, max(0.0, due / 1e9))
        select.select([*self.controls.fds, self.asker.fd], [], [], wait)
        try:
            self._take()
            self.asker.results()
            now = time.monotonic_ns()
            if now >= self._due_ns():
                began = time.thread_time_ns()
                self._draw(now)
                self.cost_ns += 0.1 * (time.thread_time_ns() - began - self.cost_ns)
        except Exception as error:   # noqa: BLE001 - a screen with a mistake must not take the panel with it
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Say it, and go on from Home; where Home itself fails there is nothing to go on with."""
        name = self.machine.screen.name
        if len(self.machine.stack) == 1 or isinstance(error, OSError):
            raise error
        place = error.__traceback__
        while place.tb_next:
            place = place.tb_next
        self.child.say(f"warning: Panel: the screen {name!r} failed ({type(error).__name__}: {error}, {Path(place.tb_frame.f_code.co_filename).name} line {place.tb_lineno})")
        self.machine.home()
        self.machine.notice(f"the screen {name} failed", "the log says where; please report it")

    def _due_ns(self) -> int:
        """When to draw next: after an event at once, if the picture did not change within the last frame's time."""
        machine = self.machine
        if self.dirty:
            return self.changed_ns + FRAME_NS
        if machine.light != self._full and not machine.held:
            return self.drawn_ns + DARK_NS
        moves = machine.screen.moving or self.moves or machine.held
        return self.drawn_ns + (max(FRAME_NS, round(self.cost_ns / MOST_SHARE)) if moves else CALM_NS)

    def _take(self) -> None:
        """Turns and presses, in order."""
        for event in self.controls.read(-1 if self.preferences["encoder.direction"] == "left" else 1):
            if event.kind == "turn":
                self.machine.turn(event.steps, event.ns)
                self.section.detents = self.section.detents + abs(event.steps)
            else:
                getattr(self.machine, event.kind)(event.ns)
            self.section.events = self.section.events + 1
            self.dirty = True

    def _draw(self, now: int) -> None:
        """One picture, and out with it where it differs from the last."""
        machine, self.drawn_ns, self.dirty = self.machine, now, False
        machine.dim_minutes, machine.blank_minutes = self.preferences["display.dim_minutes"], self.preferences["display.blank_minutes"]
        self.asker.want(machine.needs)
        view = self.looker.look(now, self.asker.answers, self.preferences.values)
        if machine.light == self._blank:
            machine.tick(now)
            machine.view = view
            self.moves, picture = False, self._image.new(self.layout.mode, self.layout.size)
        else:
            canvas = machine.draw(view, now)
            self.moves, picture = canvas.moves, self._shifted(canvas.image, now)
        self._show(picture, now)
        led = self._colour_of(view, machine)
        self.controls.light(led)
        self.section.led = led[0] << 16 | led[1] << 8 | led[2]
        self.section.chip_bytes, self.section.chip_errors = self.counts.bytes, self.counts.errors

    def _shifted(self, image, now: int):
        if self.layout.colour:
            return image
        place = SHIFTS[now // (SHIFT_SECONDS * 1_000_000_000) % len(SHIFTS)]
        moved = self._image.new(image.mode, image.size)
        moved.paste(image, place)
        return moved

    def _show(self, picture, now: int) -> None:
        machine, light = self.machine, self.machine.light
        key = picture.tobytes() + bytes((light,)) + machine.screen.name.encode()
        if key == self.shown and not self.unsent:
            return
        share = (0.0, DIM_SHARE, 1.0)[light] * self.preferences["display.brightness"] / 100
        self.unsent = not self.display.show(picture, share)
        if key != self.shown:
            pixels = np.asarray(picture)
            self.writer.write(pixels.astype(np.uint8) * 255 if picture.mode == "1" else pixels, machine.screen.name, light, time.monotonic_ns(), machine.event_ns)
            self.shown, self.changed_ns = key, now

    def close(self) -> None:
        self.display.close()
        self.controls.close()


def run(child: Child) -> None:
    """Show until told to leave."""
    gc.enable()       # what draws makes cycles
    os.nice(NICE)
    child.rack.panel.pid = os.getpid()
    panel = Panel(child)
    try:
        while child.beat(child.rack.panel):
            panel.step()
    finally:
        panel.close()
