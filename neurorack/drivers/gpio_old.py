"""GPIO lines through the kernel's first interface (linux/gpio.h, 4.8 and later), which libgpiod 2 no longer speaks.

A Jetson Nano's stock kernel, 4.9, has no other. It knows no pull-ups (the board's own resistors have to do), gives each
line a descriptor of its own, and before 5.7 its times are CLOCK_REALTIME, which shows in how far they lie from now.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time

_GET_LINE_EVENT, _GET_VALUES = 0xC030B404, 0xC040B408
_INPUT, _ACTIVE_LOW, _RISING, _FALLING = 1, 4, 1, 2
_REQUEST, _EVENT = struct.Struct("III32si"), struct.Struct("QII")
_CLOCKS_APART_NS = 60_000_000_000


class OldLines:
    """As ``gpio.Lines``."""

    def __init__(self, chip: str, lines: list[int], active_low: bool = False, pull_up: bool = True, falling_only: bool = False):
        self.lines, self._files = list(lines), []
        flags = _INPUT | (_ACTIVE_LOW if active_low else 0)
        edges = _FALLING if falling_only else _RISING | _FALLING
        self._epoll = select.epoll()
        self.fd = self._epoll.fileno()
        chip_fd = os.open(chip, os.O_RDWR | os.O_CLOEXEC)
        try:
            for line in lines:
                asked = bytearray(_REQUEST.pack(line, flags, edges, b"neurorack", -1))
                fcntl.ioctl(chip_fd, _GET_LINE_EVENT, asked)
                self._files.append(_REQUEST.unpack(asked)[4])
                self._epoll.register(self._files[-1], select.EPOLLIN)
        except OSError:
            self.close()
            raise
        finally:
            os.close(chip_fd)

    def levels(self) -> list[bool]:
        found = []
        for file in self._files:
            values = bytearray(64)
            fcntl.ioctl(file, _GET_VALUES, values)
            found.append(bool(values[0]))
        return found

    def read_edges(self) -> list[tuple[int, int, bool]]:
        """``(ns, index, high)`` of every edge waiting, in order of time; never waits."""
        edges = []
        while ready := self._epoll.poll(0):
            for file, _ in ready:
                data = os.read(file, 16 * _EVENT.size)
                edges += [(self._monotonic(ns), self._files.index(file), kind == 1) for ns, kind, _ in _EVENT.iter_unpack(data)]
        return sorted(edges)

    @staticmethod
    def _monotonic(ns: int) -> int:
        now = time.monotonic_ns()
        return ns if abs(ns - now) < _CLOCKS_APART_NS else ns - (time.time_ns() - now)

    def next_edge(self, seconds: float) -> int | None:
        """The time of the oldest edge waiting on a single line, or of the next one within ``seconds``; None when there is none."""
        if not self._epoll.poll(seconds):
            return None
        return self._monotonic(_EVENT.unpack(os.read(self._files[0], _EVENT.size))[0])

    def close(self) -> None:
        for file in self._files:
            os.close(file)
        self._epoll.close()
