"""Keeps an ADS1015 or ADS1115 converting without a pause: a thread of the inputs process for each chip whose ALERT/RDY pin is wired.

The chip runs continuously: at the pin's edge after conversion k the thread takes
its result and names the input of conversion k + 2, because k + 1 runs already. That reaches the chip's full rate. An
edge answered too late to be sure which settings conversion k + 2 began with, or one that is missing, is answered by
starting over.

Without that wire, or on a bus too slow for it, ``ads_shots`` makes single shots: sure, but about half as fast.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import cycle

from neurorack.drivers.ads1x15 import Ads1x15
from neurorack.drivers.part import Part

IN_TIME = 0.9                 # share of a conversion after its end within which new settings surely come in time
MISSED = 1.5                  # conversions between two edges of the pin: one was not seen
READY_TIMEOUT_SECONDS = 0.1
LATE_ERROR = "its ALERT/RDY pin does not move"


class AdsScan(threading.Thread):
    """``publish(jack, volts, ns)`` is called for every conversion: volts at the pins, the time of its end.

    ``order``: ``(jack, mux)`` in the order of conversion; ``open_ready`` gives the ``Lines`` of the ALERT/RDY pin.
    """

    def __init__(self, part: Part, order: Iterable[tuple[str, int]], publish: Callable[[str, float, int], None],
                 open_ready: Callable):
        super().__init__(name=part.name, daemon=True)
        self.part, self.order, self.publish, self._open_ready = part, list(order), publish, open_ready
        self.stopping = threading.Event()
        self.conversions = self.late = 0     # results published; times the pipeline was started over

    def run(self) -> None:
        while not self.stopping.is_set():
            chip = self.part.get()
            if chip is None:
                self.stopping.wait(max(0.001, self.part.again_at - time.monotonic()))
                continue
            try:
                self._continuous(chip)
            except OSError as error:
                if not self.part.missed(error):
                    time.sleep(chip.conversion_seconds)
        self.part.close()

    def close(self) -> None:
        self.stopping.set()
        self.join(1)

    def _took(self, jack: str, volts: float, ns: int) -> None:
        self.part.worked()
        self.conversions += 1
        self.publish(jack, volts, ns)

    def _continuous(self, chip: Ads1x15) -> None:
        lines = self._open_ready()
        try:
            while not self.stopping.is_set():
                self._pipeline(chip, lines)
        finally:
            lines.close()

    def _pipeline(self, chip: Ads1x15, lines) -> None:
        """Conversions in a row until one is answered too late."""
        inputs = cycle(self.order)
        in_time_ns, missed_ns = int(IN_TIME * 1e9 / chip.rate_hz), int(MISSED * 1e9 / chip.rate_hz)
        first, second = next(inputs), next(inputs)
        chip.start(first[1])
        written_ns, ends = time.monotonic_ns(), 0
        while ends < 2:                     # whatever ran before has ended, and one with these settings is running
            ready_ns = self._next_ready(lines)
            ends += ready_ns > written_ns
        chip.start(second[1])               # for the conversion after this one
        running: deque[str] = deque((first[0], second[0]))
        while time.monotonic_ns() - ready_ns < in_time_ns:
            if self.stopping.is_set():
                return
            before_ns, ready_ns = ready_ns, self._next_ready(lines)
            if ready_ns - before_ns > missed_ns:
                break
            jack, mux = next(inputs)
            volts = chip.exchange(mux)
            running.append(jack)
            jack = running.popleft()
            if time.monotonic_ns() - ready_ns < in_time_ns:
                self._took(jack, volts, ready_ns)
        self.late += 1

    def _next_ready(self, lines) -> int:
        """The time of the pin's next edge, the oldest that waits; raises ``OSError`` when none comes."""
        ns = lines.next_edge(READY_TIMEOUT_SECONDS)
        if ns is None:
            raise OSError(LATE_ERROR)
        return ns
