"""Single shots of the ADS1015 and ADS1115 chips that share an I2C bus: one thread, which asks one while the others convert.

Each chip is given the longest time a conversion may take, then its result is taken and its next input named in one
transfer. At 400 kHz a transfer is 0.2 ms and an ADS1015's conversion at most 0.36 ms, so two of them keep each other's
time: neither waits for the other, and both together wake this thread three times for two conversions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from itertools import cycle
from operator import attrgetter

from neurorack.drivers.part import Part

SHORT_SECONDS = 0.01          # a longer pause can be broken off


class Turn:
    """One chip: whose turn it is at ``ready_ns``, and the jack whose conversion will have ended then (None: none was begun)."""

    __slots__ = ("part", "inputs", "jack", "ready_ns")

    def __init__(self, part: Part, order: Iterable[tuple[str, int]]):
        self.part, self.inputs, self.jack, self.ready_ns = part, cycle(list(order)), None, 0

    def take(self, publish: Callable[[str, float, int], None], now=time.monotonic_ns) -> bool:
        """The conversion that has ended, and the start of the next. Whether there was one. Thousands of times a second: no detours."""
        part = self.part
        chip = part.get()
        if chip is None:
            self.jack, self.ready_ns = None, max(round(1e9 * part.again_at), now() + 1_000_000)
            return False
        following, mux = next(self.inputs)
        ended = now()
        try:
            if self.jack is None:
                chip.start(mux)
            else:
                volts = chip.exchange(mux)
        except OSError as error:
            part.missed(error)
            self.jack, self.ready_ns = None, now() + chip.conversion_ns
            return False
        self.ready_ns = now() + chip.conversion_ns
        jack, self.jack = self.jack, following
        if jack is None:
            return False
        part.worked()
        publish(jack, volts, ended)
        return True


class AdsShots(threading.Thread):
    """``publish(jack, volts, ns)`` is called for every conversion: volts at the pins, the time at which its result was taken.

    ``chips``: each chip's ``Part`` and ``(jack, mux)`` in the order of conversion.
    """

    def __init__(self, chips: list[tuple[Part, Iterable[tuple[str, int]]]], publish: Callable[[str, float, int], None]):
        super().__init__(name=" and ".join(part.name for part, _ in chips), daemon=True)
        self.turns, self.publish = [Turn(part, order) for part, order in chips], publish
        self.stopping = threading.Event()
        self.conversions = 0

    def run(self) -> None:
        turns, publish, stopping, ready, now = self.turns, self.publish, self.stopping, attrgetter("ready_ns"), time.monotonic_ns
        stopped = stopping.is_set
        while not stopped():
            turn = min(turns, key=ready)
            pause = (turn.ready_ns - now()) * 1e-9
            if pause > SHORT_SECONDS:
                stopping.wait(pause)
                continue
            if pause > 0:
                time.sleep(pause)
            self.conversions += turn.take(publish)
        for turn in turns:
            turn.part.close()

    def close(self) -> None:
        self.stopping.set()
        self.join(1)
