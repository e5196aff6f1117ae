"""The simulated board: a 12-bit converter and two gate lines that behave like real ones, noise and bounce included.

The "wires" lie in the shared block's ``desk`` section; a gate's change also travels as a datagram that carries the
time of the change, as a kernel's line event does. ``Wires`` is the hand's end, ``DeskBoard`` the chip's.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time

_EVENT = struct.Struct("<qid")   # edge_ns, gate, volts; a datagram holds one or more
_MOST_BYTES = 1 << 16


class Wires:
    """Where patch cables end: set volts on the simulated jacks. Belongs to the supervisor; any of its threads may call."""

    def __init__(self, rack, settings: dict):
        self.rack = rack
        self.bounce_us = settings["gates"].get("bounce_us", 0)
        self._near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._near.setblocking(False)
        self._lock = threading.Lock()
        self.lost = 0

    def set_cv(self, jack: int, volts: float) -> None:
        """0 = cv1; clipped to the rails."""
        self.rack.desk.cv_wire_volts[jack] = min(12.0, max(-12.0, volts))

    def set_gate(self, gate: int, volts: float) -> int:
        """0 = gate1; returns the time of the change (CLOCK_MONOTONIC ns)."""
        with self._lock:
            now = time.monotonic_ns()
            self.rack.desk.gate_wire_volts[gate] = volts
            events = [(now, gate, volts), *self._bounce(now, gate, volts)]
            try:     # in one piece: a reader must not take a pause of this thread for the contact's
                self._near.send(b"".join(_EVENT.pack(*event) for event in events))
            except BlockingIOError:
                self.lost += len(events)   # the kernel's own event buffer overflows the same way when nobody reads
            return now

    def _bounce(self, start_ns: int, gate: int, volts: float) -> list[tuple[int, int, float]]:
        """What the contact does until it rests."""
        if not self.bounce_us:
            return []
        end, at, here, events = start_ns + self.bounce_us * 1000, start_ns, False, []
        while (at := at + random.randrange(5_000, 60_000)) < end:
            events.append((at, gate, volts if here else 5.0 - min(5.0, volts)))
            here = not here
        return [*events, (end, gate, volts)]

    def pulse(self, gate: int, seconds: float = 0.01, volts: float = 5.0) -> int:
        """A trigger; returns the time of its rising edge."""
        edge_ns = self.set_gate(gate, volts)
        time.sleep(seconds)
        self.set_gate(gate, 0.0)
        return edge_ns


class DeskBoard:
    """The chips: a comparator with hysteresis at each gate, one multiplexed converter for the CVs."""

    name = "desk"

    def __init__(self, settings: dict, rack, gate_fd: int, seed: int | None = None):
        cv, gates = settings["cv"], settings["gates"]
        self.rack, self.scan_hz, self.cv_jacks = rack, cv["scan_hz"], cv["jacks"]
        low, high = cv["range_volts"]
        self._low, self._step, self._codes = low, (high - low) / (1 << cv["bits"]), (1 << cv["bits"]) - 1
        self._noise_lsb, self._error_rate = cv.get("noise_lsb", 0), cv.get("error_rate", 0)
        self._rise, self._fall = gates["rise_volts"], gates["fall_volts"]
        self._random = random.Random(seed)
        self._socket = socket.socket(fileno=gate_fd)
        self._socket.setblocking(False)
        self._forget()
        self._high = [float(volts) >= self._rise for volts in rack.desk.gate_wire_volts]

    def _forget(self) -> None:
        """Changes of before this board was opened: a kernel's line events begin with the request, too."""
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(_MOST_BYTES):
                pass

    def gate_fd(self) -> int:
        return self._socket.fileno()

    def gate_levels(self) -> list[bool]:
        return list(self._high)

    def read_edges(self) -> list[tuple[int, int, bool]]:
        edges = []
        while True:
            try:
                data = self._socket.recv(_MOST_BYTES)
            except BlockingIOError:
                return edges
            for edge_ns, gate, volts in _EVENT.iter_unpack(data):
                high = volts >= self._rise if not self._high[gate] else volts > self._fall
                if high != self._high[gate]:
                    self._high[gate] = high
                    edges.append((edge_ns, gate, high))

    def read_cv(self) -> list[float]:
        if self._error_rate and self._random.random() < self._error_rate:
            raise OSError(121, "Remote I/O error (simulated missed acknowledge)")
        wires, gauss = self.rack.desk.cv_wire_volts, self._random.gauss
        volts = []
        for jack in range(self.cv_jacks):
            code = round((float(wires[jack]) - self._low) / self._step + (gauss(0, self._noise_lsb) if self._noise_lsb else 0))
            volts.append(self._low + min(self._codes, max(0, code)) * self._step)
        return volts

    def close(self) -> None:
        self._socket.close()
