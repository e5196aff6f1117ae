"""GPIO lines with the kernel's time on every edge, through libgpiod (its Python binding ``gpiod``, version 2).

RPi.GPIO and its substitutes call back without a time; the kernel's line events carry CLOCK_MONOTONIC, taken in the
interrupt. One and the same code runs on a Raspberry Pi 4 and 5 and every kernel from 5.10 on (for older ones, as on a
Jetson Nano, see ``gpio_old.py``); the chip is found by its label, because its number changed between kernels.
"""

from __future__ import annotations

import errno

CHIPS = 16                    # /dev/gpiochip0 .. 15 are looked at
BUFFER_EVENTS = 1024          # asked of the kernel, whose own default is 16 a line


def find_chip(labels: list[str]) -> str:
    """Path of the first GPIO chip with one of these labels; raises ``OSError``."""
    import gpiod

    seen = []
    for path in (f"/dev/gpiochip{number}" for number in range(CHIPS)):
        if not gpiod.is_gpiochip_device(path):
            continue
        with gpiod.Chip(path) as chip:
            label = chip.get_info().label
        if label in labels:
            return path
        seen.append(label)
    there = f"here are {', '.join(seen)}" if seen else "there is no GPIO chip"
    raise OSError(errno.ENODEV, f"no GPIO chip is named {' or '.join(labels)}: {there}")


def open_lines(labels: list[str], lines: list[int], **options):
    """``Lines``, or on a kernel before 5.10 ``OldLines``, which are the same to their user."""
    try:
        return Lines(labels, lines, **options)
    except (OSError, ValueError) as error:     # the binding makes a ValueError of "invalid argument"
        if error.args[0] not in (errno.EINVAL, errno.ENOTTY):
            raise
        from neurorack.drivers.gpio_old import OldLines

        return OldLines(find_chip(labels), lines, **options)


class Lines:
    """Some lines of one chip as inputs; ``active_low``: a line that is down counts as high."""

    def __init__(self, labels: list[str], lines: list[int], active_low: bool = False, pull_up: bool = True, falling_only: bool = False):
        import gpiod
        from gpiod.line import Bias, Clock, Direction, Edge

        self.lines = list(lines)
        self._index = {line: i for i, line in enumerate(lines)}
        self._rising = gpiod.EdgeEvent.Type.RISING_EDGE
        self._active = gpiod.line.Value.ACTIVE
        setting = gpiod.LineSettings(direction=Direction.INPUT, active_low=active_low,
                                     edge_detection=Edge.FALLING if falling_only else Edge.BOTH,
                                     bias=Bias.PULL_UP if pull_up else Bias.AS_IS, event_clock=Clock.MONOTONIC)
        self._request = gpiod.request_lines(find_chip(labels), consumer="neurorack", config={tuple(lines): setting},
                                            event_buffer_size=BUFFER_EVENTS)
        self.fd = self._request.fd

    def levels(self) -> list[bool]:
        return [value is self._active for value in self._request.get_values()]

    def read_edges(self) -> list[tuple[int, int, bool]]:
        """``(ns, index, high)`` of every edge waiting; never waits."""
        edges = []
        while self._request.wait_edge_events(0):
            edges += [(event.timestamp_ns, self._index[event.line_offset], event.event_type is self._rising)
                      for event in self._request.read_edge_events()]
        return edges

    def next_edge(self, seconds: float) -> int | None:
        """The time of the oldest edge waiting, or of the next one within ``seconds``; None when there is none."""
        if not self._request.wait_edge_events(seconds):
            return None
        return self._request.read_edge_events(1)[0].timestamp_ns

    def close(self) -> None:
        self._request.release()
