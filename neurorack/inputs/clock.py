"""A clock jack: its tempo without its jitter, its phase between pulses, its steps multiplied or divided.

The filter follows a straight line through the pulses' times: a growing-memory (least squares) filter for the first pulses,
then one of fixed memory; both are the same alpha-beta filter with other gains (E. Brookner, Tracking and Kalman Filtering
Made Easy, 1998, chapter 1; F. Adriaensen, Using a DLL to filter time, 2005, does it for sound cards).
"""

from __future__ import annotations

from neurorack.inputs.settings import GateSettings

MEMORY_PULSES = 8              # of the filter
STRAY_SHARE = 0.25             # a pulse further from its place than this share of a period is no jitter
AGREE_SHARE = 0.15             # two strays in a row that agree so well are a new tempo
STOPPED_PERIODS = 2.5          # without a pulse for so long, the clock has stopped
LONGEST_PERIOD_NS, SHORTEST_PERIOD_NS = 8_000_000_000, 2_000_000
RESET_WINDOW_NS = 8_000_000    # a pulse so soon after a reset belongs to it
NO, JACK, TAPPED = 0, 1, 2     # ``running``


class Clock:
    """One clock; times are CLOCK_MONOTONIC nanoseconds.

    ``running``, ``pulse_ns`` and ``period_ns`` (filtered: the last pulse, the time to the next) and ``pulses`` (since the
    reset, the first included) say where it stands.
    """

    def __init__(self, settings: GateSettings = GateSettings(role="clock")):
        self.settings = settings
        self.running, self.pulses = NO, 0
        self.pulse_ns = self.period_ns = 0.0
        self._last_ns = self._reset_ns = self._stray_ns = None
        self._counted = 0          # pulses the filter has seen in a row
        self._tap_ns = None
        self._emitted = -1         # index of the last step told, counted in pulses x multiply
        self._due: list[int] = []

    # -- what comes in

    def pulse(self, ns: int) -> bool:
        """A pulse at the jack; False when it is not counted, because a reset has just been there."""
        if self._last_ns is not None and ns - self._last_ns < SHORTEST_PERIOD_NS:
            return False
        self._follow(ns)
        after_reset = self._reset_ns is not None and ns - self._reset_ns < RESET_WINDOW_NS
        self._reset_ns = None
        if not after_reset:
            self.pulses += 1
            self._emit(0, ns)
        return not after_reset

    def reset(self, ns: int) -> None:
        """Back to the first step, which begins now."""
        self.pulses, self._reset_ns = 1, ns
        self._emitted = -1
        self._emit(0, ns)

    def tap(self, ns: int) -> None:
        """A beat by hand. Two make a tempo, which then runs by itself until a clock comes."""
        before, self._tap_ns = self._tap_ns, ns
        if self.running == JACK or before is None or not SHORTEST_PERIOD_NS < ns - before < 2_000_000_000:
            return
        if self.running == NO:
            self.pulses, self._counted, self._emitted = 1, 1, -1
            self.pulse_ns, self._stray_ns = float(before), None
            self.running = TAPPED
        else:      # the hand says where the beat is, the count which one
            beats = (self.pulses - 1 + (ns - self.pulse_ns) / self.period_ns) / self.settings.pulses_per_beat
            self.pulses = round(beats) * self.settings.pulses_per_beat + 1
            self._emitted = max(self._emitted, (self.pulses - 1) * self.settings.multiply)     # nobody plays a step by hand
        beat = (ns - before) / self.settings.pulses_per_beat
        self.period_ns = beat if self._counted < 2 else self.period_ns + 0.5 * (beat - self.period_ns)
        self._counted, self.pulse_ns = self._counted + 1, float(ns)

    def look(self, now: int) -> None:
        """Let time pass: a clock without pulses stops, a tapped one goes on, steps between pulses fall due."""
        if self.running == JACK and now - self._last_ns > STOPPED_PERIODS * self.period_ns:
            self.running, self._counted = NO, 0
        while self.running == TAPPED and now >= self.pulse_ns + self.period_ns:
            self._between(now)
            self.pulse_ns += self.period_ns
            self.pulses += 1
            self._emit(0, int(self.pulse_ns))
        if self.running:
            self._between(now)

    # -- what comes out

    @property
    def tempo_bpm(self) -> float:
        return 60e9 / (self.period_ns * self.settings.pulses_per_beat) if self.period_ns else 0.0

    @property
    def steps_per_pulse(self) -> float:
        return self.settings.multiply / self.settings.divide

    def step(self, now: int) -> float:
        """The step now, with its phase as the fraction; 0 at the first pulse."""
        phase = min(1.0, max(0.0, (now - self.pulse_ns) / self.period_ns)) if self.running else 0.0
        return (self.pulses - 1 + phase) * self.steps_per_pulse

    def steps(self) -> list[int]:
        """Times of the steps that have begun since the last call."""
        due, self._due = self._due, []
        return due

    @property
    def next_step_ns(self) -> int | None:
        """When ``look`` will find the next step between two pulses, or a tapped pulse."""
        if not self.running:
            return None
        following = self._part() + 1
        if following >= self.settings.multiply and self.running == JACK:
            return None            # the next one is the jack's
        return int(self.pulse_ns + self.period_ns * following / self.settings.multiply)

    # -- within

    def _part(self) -> int:
        """Which part of the pulse was told last, 0 .. multiply - 1."""
        return max(0, self._emitted - (self.pulses - 1) * self.settings.multiply)

    def _emit(self, part: int, ns: int) -> None:
        index = (self.pulses - 1) * self.settings.multiply + part
        if index > self._emitted:
            self._emitted = index
            if index % self.settings.divide == 0:
                self._due.append(ns)

    def _between(self, now: int) -> None:
        while (at := self.next_step_ns) is not None and at <= now and self._part() + 1 < self.settings.multiply:
            self._emit(self._part() + 1, at)

    def _follow(self, ns: int) -> None:
        """Put this pulse into the filter."""
        last, self._last_ns = self._last_ns, ns
        if last is None or self.running == TAPPED or self._counted == 0 or ns - last > LONGEST_PERIOD_NS:
            self._begin(ns)
            return
        interval = ns - last
        if self._counted == 1:
            self.period_ns, self.pulse_ns, self._counted, self.running = float(interval), float(ns), 2, JACK
            return
        error = ns - (self.pulse_ns + self.period_ns)
        if abs(error) > STRAY_SHARE * self.period_ns:
            self._stray(ns, interval)
            return
        self._stray_ns, self.running = None, JACK
        n = self._counted = min(self._counted + 1, MEMORY_PULSES)
        self.pulse_ns += self.period_ns + error * 2 * (2 * n - 1) / (n * (n + 1))
        self.period_ns += error * 6 / (n * (n + 1))

    def _begin(self, ns: int) -> None:
        self._counted, self.pulse_ns, self._stray_ns, self.running = 1, float(ns), None, NO

    def _stray(self, ns: int, interval: int) -> None:
        """Missed, doubled or a new tempo: the phase begins anew; the tempo when a second one agrees with the first."""
        if self._stray_ns is not None and abs(interval - self._stray_ns) < AGREE_SHARE * self._stray_ns:
            self.period_ns, self._counted, self._stray_ns = (interval + self._stray_ns) / 2, 3, None
        else:
            self._stray_ns = interval
        self.pulse_ns = float(ns)
