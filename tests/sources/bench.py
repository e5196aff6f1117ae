"""A bank of modulators driven scan by scan, and what its definition says, computed by numpy alone."""

from __future__ import annotations

import numpy as np

from neurorack.inputs.clock import Clock
from neurorack.inputs.settings import GateSettings
from neurorack.inputs.sources import MODULATORS, parse
from neurorack.inputs.sources_bank import Bank, Beats

BEGIN_NS = 5_000_000_000
SCAN = 0.001
SETTLE = 0.001


def settings(**entries) -> dict[str, dict]:
    """``mod1={"kind": "lfo", ...}`` as the bank wants them."""
    return {name: parse(name, entry) for name, entry in entries.items()}


class Bench:
    """Time is in seconds from 0; ``clock`` (an ``inputs.clock.Clock``) is followed as the inputs process tells it."""

    def __init__(self, seed: int = 0, bank: Bank | None = None, **entries):
        self.bank, self.seed, self.at = bank or Bank(), seed, 0.0
        self.clock: Clock | None = None
        self.pulse = lambda ns: self.clock.pulse(ns)
        self.pulses: list[float] = []       # to come, in seconds
        self.gates: list[tuple[float, int, bool]] = []
        self.cv = lambda at: [0.0] * 8
        if entries:
            self.set(**entries)

    def set(self, **entries) -> None:
        self.bank.set(settings(**entries), self.seed)

    def clocked(self, times, pulses_per_beat: int = 1) -> None:
        """Pulses at a clock jack."""
        self.clock = self.clock or Clock(GateSettings(role="clock", pulses_per_beat=pulses_per_beat))
        self.pulses = sorted([*self.pulses, *map(float, times)])

    def gate(self, *times: float, gate: int = 0, length: float = 0.01) -> None:
        """Gates of this length, heard once they have settled."""
        for at in times:
            self.gates += [(at, gate, True), (at + length, gate, False)]
        self.gates.sort()

    def beats(self, ns: int) -> Beats | None:
        while self.pulses and BEGIN_NS + self.pulses[0] * 1e9 <= ns:
            self.pulse(round(BEGIN_NS + self.pulses.pop(0) * 1e9))
        if self.clock is None:
            return None
        self.clock.look(ns)
        self.clock.steps()
        c = self.clock
        return Beats(c.running, c.pulses, c.pulse_ns, c.period_ns, c.settings.pulses_per_beat)

    def run(self, seconds: float, every: float = SCAN) -> tuple[np.ndarray, np.ndarray]:
        """``(times, volts [n, 8])`` of the scans of so many more seconds."""
        times = self.at + every * np.arange(1, round(seconds / every) + 1)
        volts = np.zeros((len(times), len(MODULATORS)))
        for k, at in enumerate(times):
            ns = BEGIN_NS + round(at * 1e9)
            while self.gates and self.gates[0][0] + SETTLE <= at + 1e-9:
                when, gate, high = self.gates.pop(0)
                self.bank.gate(gate, high, BEGIN_NS + round(when * 1e9))
            volts[k] = self.bank.run(ns, self.cv(at), self.beats(ns))
        self.at += every * len(times)
        return times, volts


def one(seconds: float, *, every: float = SCAN, **fields) -> tuple[np.ndarray, np.ndarray]:
    """``(times, volts)`` of a single modulator from its beginning."""
    times, volts = Bench(mod1=fields).run(seconds, every)
    return times, volts[:, 0]
