"""Board ``classic``: the original module. Its gates share two ADS1015 with the CVs, so they are looked at, not told.

What that can do, at 400 kHz and without the ALERT/RDY pins wired: a conversion takes at most 0.36 ms, its transfer
0.2 ms, so each chip converts about 1700 times a second. In the order gate 1, gate 2, gate 1, gate 2, cv1 a gate is
looked at every 1.2 ms, or 1.7 ms around the CV's turn. So a trigger of 2.5 ms and more is never lost (measured on simulated
chips on a busy machine; 1.8 ms: 96 %, 1 ms: 69 %), and an edge is timed 0.9 ms late on average, 2.2 ms at most. The
comparator would watch one input only, and keep the others waiting.
"""

from __future__ import annotations

import math
import threading
from collections import deque

from neurorack.drivers.converters import Converters, oldest
from neurorack.drivers.part import ErrorCount
from neurorack.drivers.wakeup import Wakeup


class ClassicBoard:
    """See ``board.Board``; it never raises."""

    def __init__(self, settings: dict, note, count: ErrorCount):
        gates = settings["gates"]
        self.name, self.scan_hz = settings["name"], settings["cv"]["scan_hz"]
        self._rise, self._fall = gates["rise_volts"], gates["fall_volts"]
        self._high = [False] * gates["jacks"]
        self._volts = [math.nan] * settings["cv"]["jacks"]
        self._at_ns = [0] * len(self._volts)
        self._cv = {f"cv{i + 1}": i for i in range(len(self._volts))}
        self._gate = {f"gate{i + 1}": i for i in range(len(self._high))}
        self._edges: deque[tuple[int, int, bool]] = deque()
        self._lock, self._wakeup = threading.Lock(), Wakeup()
        self._converters = Converters(settings, note, count, self._converted)

    def _converted(self, jack: str, volts: float, ns: int) -> None:
        """From the chips' threads."""
        if jack in self._cv:
            self._volts[self._cv[jack]], self._at_ns[self._cv[jack]] = volts, ns
            return
        number = self._gate[jack]
        high = volts > self._fall if self._high[number] else volts >= self._rise
        if high != self._high[number]:
            self._high[number] = high
            with self._lock:
                self._edges.append((ns, number, high))
            self._wakeup.ring()

    def gate_fd(self) -> int:
        return self._wakeup.fd

    def gate_levels(self) -> list[bool]:
        return list(self._high)

    def read_edges(self) -> list[tuple[int, int, bool]]:
        if not self._edges:
            return []
        self._wakeup.quiet()
        with self._lock:
            edges = sorted(self._edges)
            self._edges.clear()
        return edges

    def read_cv(self) -> list[float]:
        """Volts at the jacks as last converted, NaN where one never was."""
        return list(self._volts)

    def oldest_cv_ns(self, now_ns: int) -> int:
        """When the jack that waits longest was converted."""
        return oldest(self._at_ns, now_ns)

    def errors(self) -> dict[str, str]:
        return {part.name: part.failing for part in self._converters.parts if part.failing}

    def close(self) -> None:
        self._converters.close()
        self._wakeup.close()
