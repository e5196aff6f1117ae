"""The encoder and its button as events with times, whatever they are wired to.

``open_controls(settings)`` gives an object with ``fd`` (readable when there may be something, for a select), ``poll_ms``
(how often ``read`` must be called even when it is not), ``read() -> list[Event]`` and ``close()``. Errors are ``OSError``;
wrap it in a ``Part`` where nothing may stop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from neurorack.drivers.gpio import open_lines

BUTTON_QUIET_NS = 5_000_000       # a contact that moves sooner after its last edge bounces
REST = 0b11                       # both contacts open: the detent
#: (state before, state after) -> quarter turn; both contacts at once cannot be told
QUARTERS = {(3, 1): 1, (1, 0): 1, (0, 2): 1, (2, 3): 1, (1, 3): -1, (0, 1): -1, (2, 0): -1, (3, 2): -1}


@dataclass(frozen=True)
class Event:
    """``kind``: "turn" (``steps`` detents, right positive), "press" or "release"; ``ns``: CLOCK_MONOTONIC."""

    ns: int
    kind: str
    steps: int = 0


class Quadrature:
    """Detents from the edges of two contacts. Bounce moves a quarter forth and back and so cancels itself."""

    def __init__(self, first: bool = True, second: bool = True):
        self._state, self._quarters = first << 1 | second, 0

    def feed(self, contact: int, level: bool) -> int:
        """A contact (0 or 1) moved: +1 or -1 when that ended a detent, else 0."""
        mask = 2 >> contact
        state = self._state | mask if level else self._state & ~mask
        self._quarters += QUARTERS.get((self._state, state), 0)
        self._state = state
        if state != REST:
            return 0
        quarters, self._quarters = self._quarters, 0
        return (quarters >= 2) - (quarters <= -2)


class Button:
    """Presses and releases without bounce; the first edge counts, its time too."""

    def __init__(self, down: bool = False):
        self.down = self._raw = down
        self._raw_ns = self._quiet_until = 0

    def feed(self, ns: int, down: bool) -> list[Event]:
        events = self.due(ns)
        self._raw, self._raw_ns = down, ns
        if ns >= self._quiet_until and down != self.down:
            events.append(self._change(ns))
        return events

    def due(self, now_ns: int) -> list[Event]:
        """Where the contact stands once it has come to rest."""
        return [self._change(self._raw_ns)] if now_ns >= self._quiet_until and self._raw != self.down else []

    def _change(self, ns: int) -> Event:
        self.down, self._quiet_until = self._raw, ns + BUTTON_QUIET_NS
        return Event(ns, "press" if self.down else "release")


class GpioControls:
    """Encoder and button on GPIO lines, each contact pulled up and switched to ground."""

    poll_ms = 5

    def __init__(self, settings: dict):
        controls = settings["controls"]
        self._lines = open_lines(settings["gpio"], [controls["a"], controls["b"], controls["button"]])
        self.fd = self._lines.fd
        first, second, open_ = self._lines.levels()
        self._encoder, self._button = Quadrature(first, second), Button(not open_)

    def read(self) -> list[Event]:
        events = []
        for ns, index, level in self._lines.read_edges():
            if index == 2:
                events += self._button.feed(ns, not level)
            elif steps := self._encoder.feed(index, level):
                events.append(Event(ns, "turn", steps))
        return events + self._button.due(time.monotonic_ns())

    def close(self) -> None:
        self._lines.close()


class ExpanderControls:
    """The encoder at an IO expander, asked at each ``read``; the button on a GPIO line."""

    poll_ms = 10

    def __init__(self, settings: dict):
        from neurorack.drivers.ioexpander import IoExpander

        controls = settings["controls"]
        self.expander = IoExpander(controls["i2c"], controls["expander"])
        try:
            self._lines = open_lines(settings["gpio"], [controls["button"]])
        except OSError:
            self.expander.close()
            raise
        self.fd = self._lines.fd
        self._button = Button(not self._lines.levels()[0])

    def read(self) -> list[Event]:
        events = []
        for ns, _, level in self._lines.read_edges():
            events += self._button.feed(ns, not level)
        now = time.monotonic_ns()
        if steps := self.expander.turned():
            events.append(Event(now, "turn", steps))
        return events + self._button.due(now)

    def close(self) -> None:
        self._lines.close()
        self.expander.close()


def open_controls(settings: dict) -> GpioControls | ExpanderControls:
    """The controls of a board file; raises ``OSError`` when their chip or lines are not there."""
    return (ExpanderControls if "expander" in settings["controls"] else GpioControls)(settings)
