"""MIDI's clock: 24 pulses a beat, with start, continue and stop. The filter is the clock jack's; a step is a sixteenth."""

from __future__ import annotations

from neurorack.inputs.clock import SHORTEST_PERIOD_NS, Clock
from neurorack.inputs.settings import GateSettings
from neurorack.remote import wire

MIDI = 3                       # beside NO, JACK and TAPPED of ``clock.py``
PULSES_PER_BEAT, PULSES_PER_SIXTEENTH = 24, 6


class MidiClock(Clock):
    """While stopped it follows the tempo and counts nothing. A sender that never says start is taken to play."""

    def __init__(self):
        super().__init__(GateSettings(role="clock", pulses_per_beat=PULSES_PER_BEAT, divide=PULSES_PER_SIXTEENTH))
        self.playing, self._starting = True, False

    def take(self, ns: int, what: int) -> None:
        """An event of ``wire.py``."""
        if what == wire.CLOCK:
            self._pulse(ns)
        elif what in (wire.START, wire.CONTINUE):
            self.playing, self._starting = True, what == wire.START
        elif what == wire.STOP:
            self.playing = False

    def _pulse(self, ns: int) -> None:
        if not self.playing:
            self._follow(ns)
            return
        if self._starting:
            self.reset(ns)     # the first pulse after start is the beat
            self._starting = False
        elif self._last_ns is not None and ns - self._last_ns < SHORTEST_PERIOD_NS:
            self.pulses += 1       # held up on its way: it tells nothing of the tempo, but the place is counted in pulses
            return
        self.pulse(ns)
        self.steps()           # nobody plays them
