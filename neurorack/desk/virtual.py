"""Virtual sources for the simulated jacks: what a cable can bring. Declared in one table, computed as functions of time.

Every source runs on one clock, that of the ``Cables``: two cables from sequencers of one tempo are in step, and so are the gate and the
volts of the same sequencer.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from neurorack.errors import PatchError
from neurorack.score import GATE_THRESHOLD_VOLTS

GATE_VOLTS = 5.0
SHAPES = ("sine", "triangle", "saw", "square")
PATTERN_STEPS, VARY_STEPS, FEWEST_HITS, MOST_HITS = 16, 64, 5, 9


@dataclass(frozen=True)
class Field:
    """A number from ``low`` to ``high``; one of ``choices``; or, with ``most`` above 0, a list of 1 to ``most`` such numbers."""

    default: object
    doc: str
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    choices: tuple[str, ...] = ()
    most: int = 0

    def check(self, name: str, value):
        """The value as it is kept. Raises ``PatchError``."""
        if self.choices:
            if value not in self.choices:
                raise PatchError(f"{name} is {str(value)[:40]!r}; it must be one of {', '.join(self.choices)}")
            return value
        if self.most:
            if not isinstance(value, list) or not 1 <= len(value) <= self.most:
                raise PatchError(f"{name} is {str(value)[:40]!r}; it must be a list of 1 to {self.most} numbers")
            return [self._number(name, one) for one in value]
        return self._number(name, value)

    def _number(self, name: str, value) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not self.low <= value <= self.high:
            raise PatchError(f"{name} is {str(value)[:40]!r}; it must be a number from {self.low:g} to {self.high:g}")
        return float(value)

    def told(self) -> dict:
        limits = {"choices": list(self.choices)} if self.choices else {"low": self.low, "high": self.high, "unit": self.unit}
        return {"default": self.default, **limits, **({"most": self.most} if self.most else {}), "doc": self.doc}


@dataclass(frozen=True)
class Kind:
    doc: str
    fields: dict[str, Field]


_BPM = Field(112.0, "tempo", 20, 300, "BPM")
_PER_BEAT = Field(4.0, "steps in a beat", 1, 8)
_RATE = Field(0.1, "cycles in a second", 0.01, 50, "Hz")
_VOLTS = Field(4.0, "to both sides of zero", 0, 10, "V")
KINDS = {
    "lfo": Kind("a slow oscillator; into a gate, high while it is above the threshold", {
        "shape": Field("sine", "of its cycle", choices=SHAPES), "rate_hz": _RATE, "volts": _VOLTS,
        "offset": Field(0.0, "added", -10, 10, "V"), "phase": Field(0.0, "where its cycle begins", 0, 1)}),
    "clock": Kind("triggers at a tempo, all of them or a spread rhythm", {
        "bpm": _BPM, "per_beat": _PER_BEAT,
        "hits": Field(16.0, "of sixteen steps, spread evenly (G. Toussaint, 2005)", 1, PATTERN_STEPS),
        "vary": Field("off", "on: five to nine hits, others every four bars", choices=("off", "on")),
        "gate_ms": Field(10.0, "length of a trigger", 1, 500, "ms")}),
    "keyboard": Kind("the keys of the page: volts of the last key (1 V an octave, 0 V at note 60); into a gate, high while one is held", {}),
    "sequencer": Kind("steps at a tempo: their volts, or into a gate their gates", {
        "bpm": _BPM, "per_beat": _PER_BEAT, "volts": Field([0.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0], "of each step", -10, 10, "V", most=16),
        "gates": Field([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0], "1: the step has a gate", 0, 1, most=16),
        "gate_part": Field(0.5, "of a step that its gate lasts", 0.05, 0.95)}),
    "random": Kind("another voltage, or a gate by chance, at each step", {
        "rate_hz": Field(2.0, "steps in a second", 0.05, 50, "Hz"), "volts": _VOLTS, "chance": Field(0.5, "of a gate at a step", 0, 1)}),
    "voltage": Kind("a voltage that stands still", {"volts": Field(0.0, "", -10, 10, "V")}),
}


def checked(source) -> dict:
    """A source with every field of its kind. Raises ``PatchError``."""
    if not isinstance(source, dict) or source.get("kind") not in KINDS:
        kind = source.get("kind") if isinstance(source, dict) else source
        raise PatchError(f"there is no source {str(kind)[:40]!r}; a cable comes from {', '.join(KINDS)}")
    fields = KINDS[source["kind"]].fields
    for name in source:
        if name != "kind" and name not in fields:
            raise PatchError(f"{source['kind']} has no {str(name)[:40]!r}; it has {', '.join(fields) or 'nothing to set'}")
    return {"kind": source["kind"], **{name: field.check(name, source.get(name, field.default)) for name, field in fields.items()}}


def told() -> dict:
    """The kinds for a reader of the control socket."""
    return {name: {"doc": kind.doc, "fields": {field: one.told() for field, one in kind.fields.items()}} for name, kind in KINDS.items()}


def rhythm(hits: int, turn: int = 0) -> list[bool]:
    """So many hits spread over sixteen steps, turned: a Euclidean rhythm (G. Toussaint, 2005)."""
    return [((step + turn) * hits) % PATTERN_STEPS < hits for step in range(PATTERN_STEPS)]


class Source:
    """The end of one cable: a declared source, its seed, and since when it runs (seconds of the cables' clock).

    ``volts(at)`` is what it carries; a source with steps also tells the time of each (``step_seconds``) and its gate (``gate(step)``).
    """

    def __init__(self, fields: dict, seed: int = 0, began: float = 0.0):
        self.fields, self.kind, self.seed, self.began = fields, fields["kind"], seed, began
        self.step_seconds = {"clock": self._tempo, "sequencer": self._tempo, "random": self._rate}.get(self.kind, lambda: 0.0)()
        self._pattern: tuple[int, list[bool]] = (-1, [])

    def _tempo(self) -> float:
        return 60.0 / self.fields["bpm"] / self.fields["per_beat"]

    def _rate(self) -> float:
        return 1.0 / self.fields["rate_hz"]

    def _random(self, step: int) -> random.Random:
        return random.Random(self.seed * 1_000_003 + step)

    def phase(self, at: float) -> float:
        """Of an LFO, 0..1."""
        return ((at - self.began) * self.fields["rate_hz"] + self.fields["phase"]) % 1.0

    def volts(self, at: float, notes: list[int] | tuple = (), last_note: int = 60) -> float:
        """Into a CV jack."""
        fields, step = self.fields, int((at - self.began) / self.step_seconds + 1e-9) if self.step_seconds else 0
        if self.kind == "lfo":
            return fields["offset"] + fields["volts"] * _shape(fields["shape"], self.phase(at))
        if self.kind == "voltage":
            return fields["volts"]
        if self.kind == "keyboard":
            return (last_note - 60) / 12
        if self.kind == "sequencer":
            return fields["volts"][step % len(fields["volts"])]
        if self.kind == "random":
            return self._random(step).uniform(-1, 1) * fields["volts"]
        up, seconds = self.gate(step)
        return GATE_VOLTS if up and at - self.began - step * self.step_seconds < seconds else 0.0

    def gate(self, step: int) -> tuple[bool, float]:
        """Whether a step has a gate, and for how many seconds."""
        fields = self.fields
        if self.kind == "clock":
            return self._hits(step)[step % PATTERN_STEPS], min(fields["gate_ms"] / 1000, 0.9 * self.step_seconds)
        if self.kind == "sequencer":
            return fields["gates"][step % len(fields["gates"])] >= 0.5, fields["gate_part"] * self.step_seconds
        return self._random(step).random() < fields["chance"], 0.5 * self.step_seconds

    def _hits(self, step: int) -> list[bool]:
        """The rhythm at this step."""
        part = step // VARY_STEPS if self.fields["vary"] == "on" else 0
        if self._pattern[0] != part:
            chosen = self._random(part)
            hits = chosen.randint(FEWEST_HITS, MOST_HITS) if self.fields["vary"] == "on" else round(self.fields["hits"])
            self._pattern = part, rhythm(hits, chosen.randrange(PATTERN_STEPS) if self.fields["vary"] == "on" else 0)
        return self._pattern[1]

    def gate_level(self, at: float, notes) -> float:
        """Into a gate jack, for sources without steps."""
        return GATE_VOLTS * (bool(notes) if self.kind == "keyboard" else self.volts(at) >= GATE_THRESHOLD_VOLTS)


def _shape(shape: str, phase: float) -> float:
    if shape == "sine":
        return math.sin(2 * math.pi * phase)
    if shape == "triangle":
        return 1 - 4 * abs((phase + 0.25) % 1.0 - 0.5)
    return 2 * phase - 1 if shape == "saw" else 1.0 if phase < 0.5 else -1.0
