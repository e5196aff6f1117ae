"""The modulators mod1..mod8, declared once: kinds, their fields, ranges, units, defaults.

Validation, the answer of the request ``sources``, the table in ``docs/modulation.md`` (``python -m neurorack.inputs.sources``)
and the numbers that ``sources.c`` reads are all made from here. A field has the same name in the shared section ``sources``;
a choice travels as its place in the list.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from neurorack.errors import PatchError
from neurorack.shm import table
from neurorack.shm.structs import structure

CV_JACKS = tuple(f"cv{i + 1}" for i in range(table.CV_JACKS))
MODULATORS = tuple(f"mod{i + 1}" for i in range(table.MODULATORS))
NOISE = "noise"

#: The shared section ``sources``.
SourcesStruct = structure("sources", "SourcesStruct")


@dataclass(frozen=True)
class Number:
    """Within ``low`` and ``high``; ``whole``: without a fraction."""

    low: float
    high: float
    default: float
    unit: str
    doc: str
    whole: bool = False

    def check(self, what: str, value):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not self.low <= value <= self.high:
            raise PatchError(f"{what} is {value!r}; it must be a number from {self.low:g} to {self.high:g}{self.unit and ' '}{self.unit}")
        if self.whole and value != int(value):
            raise PatchError(f"{what} is {value:g}; it must be a whole number")
        return int(value) if self.whole else float(value)

    def told(self) -> dict:
        return {"default": self.default, "low": self.low, "high": self.high, "unit": self.unit, "whole": self.whole, "doc": self.doc}


@dataclass(frozen=True)
class Choice:
    """One of ``choices``, the first unless said otherwise."""

    choices: tuple[str, ...]
    doc: str

    @property
    def default(self) -> str:
        return self.choices[0]

    def check(self, what: str, value):
        if value not in self.choices:
            raise PatchError(f"{what} is {value!r}; it must be one of {', '.join(self.choices)}")
        return value

    def told(self) -> dict:
        return {"default": self.default, "choices": list(self.choices), "doc": self.doc}


@dataclass(frozen=True)
class Volts:
    """A list of 1 to ``most`` voltages."""

    most: int
    low: float
    high: float
    default: tuple[float, ...]
    doc: str
    unit: str = "V"

    def check(self, what: str, value):
        if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= self.most:
            raise PatchError(f"{what} is {value!r}; it must be a list of 1 to {self.most} voltages")
        one = Number(self.low, self.high, 0.0, self.unit, "")
        return [one.check(f"{what}, number {i}", volts) for i, volts in enumerate(value, 1)]

    def told(self) -> dict:
        return {"default": list(self.default), "low": self.low, "high": self.high, "unit": self.unit, "most": self.most, "doc": self.doc}


@dataclass(frozen=True)
class Kind:
    doc: str
    fields: dict[str, Number | Choice | Volts] = field(default_factory=dict)


TRIGGER = Choice(("gate1", "gate2", "clock"), "what triggers it")
RESET = Choice(("off", "gate1", "gate2"), "a gate whose rise begins it anew")
PACE = Choice(("free", "clock"), "at its own rate, or by the clock")
RATE = Number(0.01, 50, 1.0, "Hz", "its own rate; a clocked one's too, until a clock has run")
BY_CLOCK = {
    "multiply": Number(1, 32, 1, "", "by the clock: multiply / divide times a beat", whole=True),
    "divide": Number(1, 32, 1, "", "4 / 1 are sixteenths, 1 / 4 is a bar of four beats", whole=True),
}


def _ms(default: float, doc: str) -> Number:
    return Number(0, 20000, default, "ms", doc)


def _volts(default: float, doc: str) -> Number:
    return Number(-10, 10, default, "V", doc)


KINDS: dict[str, Kind] = {
    "off": Kind("gives 0 V"),
    "lfo": Kind("a slow oscillator", {
        "shape": Choice(("sine", "triangle", "saw_up", "saw_down", "square", "random"), "random: another voltage each cycle"),
        "pace": PACE, "rate_hz": RATE, **BY_CLOCK,
        "phase": Number(0, 1, 0.0, "cycle", "where in the cycle it stands on the beat, or at a reset"),
        "width": Number(0.05, 0.95, 0.5, "cycle", "of the square: how long it is high"),
        "polarity": Choice(("bipolar", "unipolar"), "from -level to level, or from 0 to level"),
        "level_volts": _volts(5.0, "below 0 it is turned over"),
        "reset": RESET,
    }),
    "envelope": Kind("rises and falls with a gate", {
        "stages": Choice(("adsr", "ad"), "adsr: held while the gate is high; ad: attack and decay, however short the gate"),
        "trigger": Choice(TRIGGER.choices, "the gate that opens it; the clock opens it for half of its time"), **BY_CLOCK,
        "attack_ms": _ms(10.0, "from 0 to the level"),
        "decay_ms": _ms(300.0, "from the level to the sustain, of ad to 0"),
        "sustain": Number(0, 1, 0.5, "level", "where it stays while the gate is high"),
        "release_ms": _ms(500.0, "from where it is to 0, after the gate"),
        "curve": Number(-1, 1, 0.5, "", "-1 slow at first, 0 straight, 1 quick at first, as a capacitor charges"),
        "level_volts": _volts(5.0, "its top"),
    }),
    "sample_hold": Kind("takes a voltage and keeps it until the next trigger", {
        "input": Choice((NOISE, *CV_JACKS, *MODULATORS), "what is taken; noise: any voltage between the two limits"),
        "trigger": TRIGGER, **BY_CLOCK,
        "low_volts": _volts(-5.0, "of the noise"),
        "high_volts": _volts(5.0, "of the noise"),
    }),
    "slew": Kind("follows a voltage, no faster than it may", {
        "input": Choice((*CV_JACKS, *MODULATORS), "what it follows"),
        "response": Choice(("straight", "exponential"), "straight: at one speed; exponential: quick at first"),
        "rise_ms": _ms(100.0, "straight: for 5 V up; exponential: time constant"),
        "fall_ms": _ms(100.0, "the same on the way down"),
    }),
    "walk": Kind("strays at random, a step at a time", {
        "pace": PACE, "rate_hz": Number(0.01, 50, 2.0, "Hz", "steps a second; a clocked one's too, until a clock has run"), **BY_CLOCK,
        "step_volts": Number(0, 10, 1.0, "V", "longest step"),
        "low_volts": _volts(-5.0, "it turns round here"),
        "high_volts": _volts(5.0, "and here"),
        "smooth": Number(0, 1, 1.0, "step", "share of each step spent on the way: 0 leaps, 1 never stands still"),
    }),
    "steps": Kind("a small step sequencer", {
        "steps": Volts(table.SEQUENCE_STEPS, -10, 10, (0.0, 1.0, 2.0, 3.0), "of each step"),
        "trigger": Choice(TRIGGER.choices, "what takes it to the next step"), **BY_CLOCK,
        "reset": Choice(RESET.choices, "a gate whose rise takes it to the first step"),
        "direction": Choice(("forward", "backward", "pingpong", "random"), "its way through the steps"),
        "glide_ms": Number(0, 5000, 0.0, "ms", "time from step to step"),
    }),
}
OFF = {"kind": "off"}


def parse(name: str, entry: dict, over: dict | None = None) -> dict:
    """A modulator's kind and all its fields; ``over``: what holds already. Raises ``PatchError`` for the first thing that is wrong."""
    if name not in MODULATORS:
        raise PatchError(f"there is no modulator {name!r}; there are {', '.join(MODULATORS)}")
    over = over or OFF
    kind = entry.get("kind", over["kind"])
    if kind not in tuple(KINDS):
        raise PatchError(f"{name}: kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    fields = KINDS[kind].fields
    for key in entry:
        if key != "kind" and key not in fields:
            raise PatchError(f"{name}: {kind} has no {key!r}; it has {', '.join(fields) or 'no settings'}")
    kept = over if over["kind"] == kind else {}
    made = {"kind": kind} | {key: one.check(f"{name}: {key}", entry[key]) if key in entry else kept.get(key, one.default) for key, one in fields.items()}
    made |= {key: list(made[key]) for key, one in fields.items() if isinstance(one, Volts)}
    if made.get("low_volts", 0) > made.get("high_volts", 0):
        raise PatchError(f"{name}: low_volts is {made['low_volts']:g}, above high_volts, {made['high_volts']:g}")
    if made.get("input") == name:
        raise PatchError(f"{name} cannot listen to itself; choose another input")
    return made


def kinds() -> dict:
    """What there is to set, for menus and programs."""
    return {name: {"doc": kind.doc, "fields": {key: one.told() for key, one in kind.fields.items()}} for name, kind in KINDS.items()}


def input_number(name: str) -> int:
    """As the shared section counts inputs."""
    return (*CV_JACKS, *MODULATORS, NOISE).index(name)


def to_struct(sources: dict[str, dict], seed: int, revision: int = 0) -> SourcesStruct:
    """``sources``: name -> as ``parse`` gives it; those that are missing are off."""
    out = SourcesStruct(revision=revision & 0xFFFFFFFF, seed=seed)
    for i, name in enumerate(MODULATORS):
        entry = sources.get(name, OFF)
        out.kind[i] = list(KINDS).index(entry["kind"])
        out.multiply[i] = out.divide[i] = out.length[i] = 1
        for key, one in KINDS[entry["kind"]].fields.items():
            value = entry[key]
            if isinstance(one, Volts):
                out.length[i] = len(value)
                for step, volts in enumerate(value):
                    out.steps[i * table.SEQUENCE_STEPS + step] = volts
            elif key == "input":
                out.input[i] = input_number(value)
            else:
                getattr(out, key)[i] = one.choices.index(value) if isinstance(one, Choice) else value
    return out


def markdown() -> str:
    """The fields of every kind, as they stand in ``docs/modulation.md``."""
    lines = []
    for name, kind in KINDS.items():
        lines += [f"**{name}**: {kind.doc}.", ""]
        if kind.fields:
            lines += ["| field | values | unless said | what |", "|---|---|---|---|"]
        for key, one in kind.fields.items():
            if isinstance(one, Choice):
                values, default = ", ".join(one.choices).replace(", ".join(CV_JACKS), "cv1 … cv8").replace(", ".join(MODULATORS), "mod1 … mod8"), one.default
            else:
                unit = f" {one.unit}" if one.unit else ""
                values = f"{one.low:g} … {one.high:g}{unit}" + (f", 1 to {one.most} of them" if isinstance(one, Volts) else "")
                default = ", ".join(f"{volts:g}" for volts in one.default) if isinstance(one, Volts) else f"{one.default:g}"
            lines.append(f"| `{key}` | {values} | {default} | {one.doc} |")
        lines += [""] if kind.fields else []
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
