"""What travels from the remote process to the inputs process: gate edges and clock pulses, each a datagram with its own time."""

from __future__ import annotations

import contextlib
import socket
import struct

EVENT = struct.Struct("<qBB")      # ns (CLOCK_MONOTONIC), what, high
GATES = 2
CLOCK, START, CONTINUE, STOP = 2, 3, 4, 5     # what; 0 is gate 1, 1 gate 2
_MOST_BYTES = 64


def pair() -> tuple[socket.socket, socket.socket]:
    """The sender's end and the receiver's. Neither ever waits."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    near.setblocking(False)
    far.setblocking(False)
    return near, far


class Sender:
    def __init__(self, near: socket.socket):
        self.socket, self.lost = near, 0

    def send(self, ns: int, what: int, high: bool = True) -> None:
        """An inputs process that is away for long loses events; they are counted."""
        try:
            self.socket.send(EVENT.pack(ns, what, high))
        except OSError:
            self.lost += 1


class Receiver:
    """The inputs process's end. ``high``: which gates are held from afar."""

    def __init__(self, fd: int):
        self.socket = socket.socket(fileno=fd)
        self.socket.setblocking(False)
        self.high = [False] * GATES

    def fileno(self) -> int:
        return self.socket.fileno()

    def read(self) -> list[tuple[int, int, bool]]:
        """All that has come: ``(ns, what, high)``."""
        events = []
        with contextlib.suppress(BlockingIOError):
            while True:
                data = self.socket.recv(_MOST_BYTES)
                if len(data) != EVENT.size:
                    break
                ns, what, high = EVENT.unpack(data)
                events.append((ns, what, bool(high)))
        return events
