"""The panel's own hardware: display, encoder, button and light of a board. Each may be missing, fail, or come late; the panel goes on."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass

from neurorack.drivers.controls import Event, open_controls
from neurorack.drivers.part import Part
from neurorack.panel.canvas import LARGE, SMALL, Layout
from neurorack.panel.chips import open_chip

LED_SECONDS = 0.1             # at least, between two changes of the encoder's light: it is on the converters' bus
SIZES = {"ssd1306": SMALL, "sh1106": SMALL, "st7789": LARGE}
WANTED = {"128": SMALL, "240": LARGE}


@dataclass
class Counts:
    """Of the hardware's transfers."""

    errors: int = 0
    bytes: int = 0

    def error(self) -> None:
        self.errors += 1


def layout_of(board: dict, wanted: str | None) -> Layout:
    """The display's layout: its chip's, or on a board without one as wanted (default 128x64)."""
    display = board.get("display")
    return SIZES[display["chip"]] if display else WANTED[wanted or "128"]


class Display:
    """The board's display chip, if it has one."""

    def __init__(self, board: dict, note, counts: Counts):
        self._counts = counts
        chip = board.get("display")
        self._part = Part(f"display {chip['chip'].upper()}", lambda: open_chip(board), note, counts.error, "the panel is on the page and in `neurorack panel`") if chip else None
        self._opened = None

    def show(self, image, share: float) -> bool:
        """Send what changed of ``image``; ``share``: its brightness, 0..1. False: it is not shown yet, try again."""
        if self._part is None:
            return True
        driver = self._part.get()
        if driver is None:
            return False
        try:
            driver.light(share)
            self._counts.bytes += driver.show(image)
            self._part.worked()
            return True
        except OSError as error:
            self._part.missed(error)
            return False

    def close(self) -> None:
        if self._part:
            self._part.close()


class Controls:
    """Encoder, button and light of the board, if it has them; and what comes from elsewhere as datagrams ``{"turn" or "press", "ns"}``."""

    def __init__(self, board: dict, note, counts: Counts, events_fd: int):
        self.socket = socket.socket(fileno=events_fd)
        self.socket.setblocking(False)
        has = "controls" in board
        self._part = Part("encoder", lambda: open_controls(board), note, counts.error, "turn and press it on the page or in `neurorack panel`") if has else None
        self._led, self._led_at = None, 0.0

    @property
    def fds(self) -> list[int]:
        driver = self._part.get() if self._part else None
        return [self.socket.fileno()] + ([driver.fd] if driver else [])

    @property
    def poll_seconds(self) -> float:
        """How often ``read`` must be called even when nothing is readable."""
        driver = self._part.get() if self._part else None
        return driver.poll_ms / 1000 if driver else 1.0

    def read(self, direction: int = 1) -> list[Event]:
        """Everything that came since the last call, in order of time. ``direction``: -1 where the encoder itself is the other way round."""
        events = []
        while True:
            try:
                told = json.loads(self.socket.recv(4096))
            except (BlockingIOError, ValueError):
                break
            events.append(Event(told["ns"], "turn", told["turn"]) if "turn" in told else Event(told["ns"], "press" if told["press"] else "release"))
        driver = self._part.get() if self._part else None
        if driver:
            try:
                events += [Event(event.ns, event.kind, direction * event.steps) for event in driver.read()]
                self._part.worked()
            except OSError as error:
                self._part.missed(error)
        return sorted(events, key=lambda event: event.ns)

    def light(self, led: tuple[int, int, int]) -> None:
        """The encoder's light, where it has one."""
        driver = self._part.get() if self._part else None
        expander, now = getattr(driver, "expander", None), time.monotonic()
        if expander is None:
            self._led = None
        elif led != self._led and now - self._led_at >= LED_SECONDS:
            self._led_at = now
            try:
                expander.light(*led)
                self._led = led
            except OSError as error:
                self._part.missed(error)

    def close(self) -> None:
        if self._part:
            self._part.close()


