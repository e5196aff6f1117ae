"""Boards ``pi`` and ``pi-ads1115``: a Raspberry Pi with gates on GPIO edges and CVs behind an MCP3208 or an ADS1115.

Gates: a transistor before each line, the kernel's time on every edge, so nothing is lost between two scans. CVs: the
MCP3208 is read as a whole at each scan; an ADS1115 converts by itself and a scan is what it last said.
"""

from __future__ import annotations

import math

from neurorack.drivers.converters import Converters, oldest
from neurorack.drivers.gpio import open_lines
from neurorack.drivers.part import ErrorCount, Part
from neurorack.drivers.wakeup import Wakeup


class PiBoard:
    """See ``board.Board``. Chips that are missing or fail are told of, counted and tried again; it never raises."""

    def __init__(self, settings: dict, note, count: ErrorCount):
        self.name, self.scan_hz = settings["name"], settings["cv"]["scan_hz"]
        gates = settings["gates"]
        self._levels = [False] * gates["jacks"]
        self._wakeup = Wakeup()
        self._lines = Part("the gates' GPIO", lambda: self._open_lines(settings["gpio"], gates), note, count)
        self._volts = [math.nan] * settings["cv"]["jacks"]
        self._at_ns = [0] * len(self._volts)
        self._jack = {f"cv{i + 1}": i for i in range(len(self._volts))}
        self._converters = Converters(settings, note, count, self._cv)
        self._lines.get()

    def _open_lines(self, labels: list[str], gates: dict):
        lines = open_lines(labels, gates["lines"], active_low=gates.get("active_low", False))
        self._levels = lines.levels()
        self._wakeup.also(lines.fd)
        return lines

    def _cv(self, jack: str, volts: float, ns: int) -> None:
        self._volts[self._jack[jack]], self._at_ns[self._jack[jack]] = volts, ns

    def gate_fd(self) -> int:
        return self._wakeup.fd

    def gate_levels(self) -> list[bool]:
        return list(self._levels)

    def read_edges(self) -> list[tuple[int, int, bool]]:
        lines = self._lines.get()
        if lines is None:
            return []
        try:
            edges = lines.read_edges()
        except OSError as error:
            self._lines.missed(error)
            return []
        self._lines.worked()
        for _, gate, high in edges:
            self._levels[gate] = high
        return edges

    def read_cv(self) -> list[float]:
        """Volts at the jacks as converted now (MCP3208) or last (ADS1115); a chip that does not answer leaves its last ones,
        NaN where it never did."""
        self._converters.read()
        return list(self._volts)

    def oldest_cv_ns(self, now_ns: int) -> int:
        """When the jack that waits longest was converted."""
        return oldest(self._at_ns, now_ns)

    def errors(self) -> dict[str, str]:
        """Parts that fail now, and why."""
        return {part.name: part.failing for part in (self._lines, *self._converters.parts) if part.failing}

    def close(self) -> None:
        self._converters.close()
        self._lines.close()
        self._wakeup.close()
