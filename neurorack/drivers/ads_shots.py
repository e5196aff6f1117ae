"""Single shots of the ADS1015 and ADS1115 chips that share an I2C bus: one thread, which asks one while the others convert.

Each chip is given the longest time a conversion may take, then its result is taken and its next input named in one
transfer. At 400 kHz a transfer is 0.2 ms and an ADS1015's conversion at most 0.36 ms, so two of them keep each other's
time. A round over all chips is one call of ``shots.c``.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from array import array
from collections.abc import Callable, Iterable
from itertools import cycle

from neurorack.core import declare
from neurorack.drivers.part import Part

READY, WAIT, ENDED, TRANSFER, FD, ERROR, FIELDS = range(7)      # of one chip, as struct shot has it
IDLE_SECONDS = 0.01           # between two looks while no chip answers


class Turn:
    """One chip of a round. ``jack``: whose conversion will have ended when its turn comes; None: none was begun."""

    __slots__ = ("part", "inputs", "shots", "at", "chip", "jack", "following")

    def __init__(self, part: Part, order: Iterable[tuple[str, int]], shots: array, at: int):
        self.part, self.inputs, self.shots, self.at, self.chip, self.jack, self.following = part, cycle(list(order)), shots, at, None, None, ""

    def prepare(self) -> None:
        """What its transfer will be: the start of a first conversion, or the exchange of a result for the next one's start."""
        shots, at = self.shots, self.at
        chip = self.part.get()
        if chip is not self.chip:
            self.chip, self.jack, shots[at + TRANSFER] = chip, None, 0
            if chip is not None:
                shots[at + FD], shots[at + WAIT], shots[at + READY] = chip.fd, chip.conversion_ns, 0
        if chip is not None:
            self.following, mux = next(self.inputs)
            shots[at + TRANSFER] = chip.start_at(mux) if self.jack is None else chip.exchange_at(mux)

    def finish(self, publish: Callable[[str, float, int], None]) -> bool:
        """After the transfer. Whether a conversion has ended."""
        shots, at = self.shots, self.at
        if not shots[at + TRANSFER]:
            return False
        if error := shots[at + ERROR]:
            self.jack = None
            self.part.missed(OSError(error, os.strerror(error)))
            return False
        jack, self.jack = self.jack, self.following
        if jack is None:
            return False
        self.part.worked()
        publish(jack, self.chip.volts(), shots[at + ENDED])
        return True


class AdsShots(threading.Thread):
    """``publish(jack, volts, ns)`` is called for every conversion: volts at the pins, the time at which its result was taken.

    ``chips``: each chip's ``Part`` and ``(jack, mux)`` in the order of conversion.
    """

    def __init__(self, chips: list[tuple[Part, Iterable[tuple[str, int]]]], publish: Callable[[str, float, int], None]):
        super().__init__(name=" and ".join(part.name for part, _ in chips), daemon=True)
        self.shots = array("q", bytes(8 * FIELDS * len(chips)))
        self.turns = [Turn(part, order, self.shots, i * FIELDS) for i, (part, order) in enumerate(chips)]
        self.publish, self.stopping, self.conversions = publish, threading.Event(), 0

    def run(self) -> None:
        turns, publish, stopped = self.turns, self.publish, self.stopping.is_set
        around = declare("nr_shots", None, ctypes.c_void_p, ctypes.c_int32)
        address, count = ctypes.c_void_p(self.shots.buffer_info()[0]), ctypes.c_int32(len(turns))
        while not stopped():
            for turn in turns:
                turn.prepare()
            around(address, count)
            for turn in turns:
                self.conversions += turn.finish(publish)
            if all(turn.chip is None for turn in turns):
                time.sleep(IDLE_SECONDS)
        for turn in turns:
            turn.part.close()

    def close(self) -> None:
        self.stopping.set()
        self.join(1)
