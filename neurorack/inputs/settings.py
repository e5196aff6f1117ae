"""What a jack is told to be: the board file's ``jacks`` section, and over it the person's own in the state folder.

::

    jacks:
      cv1: {role: pitch, range: 0..5, smooth_ms: 10, deadzone_volts: 0, scale: minor, root: D}
      gate2: {role: clock, pulses_per_beat: 4, multiply: 2, hits: true}
      gate1: {role: reset}
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from neurorack.errors import PatchError
from neurorack.inputs import quantise, store

#: name -> (lowest, highest volt); "board" is what the board's converter reaches
RANGES = {"board": None, "-10..10": (-10.0, 10.0), "-5..5": (-5.0, 5.0), "0..5": (0.0, 5.0), "0..8": (0.0, 8.0), "0..10": (0.0, 10.0)}
CV_ROLES = ("modulation", "pitch", "gate", "trigger", "clock", "audio", "unpatched")
GATE_ROLES = ("gate", "clock", "reset")


@dataclass(frozen=True)
class CvSettings:
    role: str = "modulation"          # what is patched: told by the detective, for people and panels
    range: str = "board"
    smooth_ms: float = 3.0            # time constant of a held voltage's filter, 0..5000
    deadzone_volts: float = 0.005     # 0..0.5; ends are four times as wide
    scale: str = "off"                # quantiser
    root: str = "C"
    volts_per_octave: float = 1.0     # 1 or 1.2; given out is 1
    normal_volts: float = 0.0         # while no cable is in, on a board that can tell
    detect_unpatched: bool = False


@dataclass(frozen=True)
class GateSettings:
    role: str = "gate"
    pulses_per_beat: int = 4          # of a clock: 1..96
    multiply: int = 1                 # steps = pulses x multiply / divide, 1..32 each
    divide: int = 1
    hits: bool = False                # each step is a hit as if it came to gate 1


_NUMBERS = {"smooth_ms": (0, 5000), "deadzone_volts": (0, 0.5), "normal_volts": (-10, 10), "volts_per_octave": (1.0, 1.2),
            "pulses_per_beat": (1, 96), "multiply": (1, 32), "divide": (1, 32)}
_CHOICES = {"range": tuple(RANGES), "scale": tuple(quantise.SCALES), "root": quantise.NOTES}


def fields() -> dict[str, dict[str, dict]]:
    """For menus: "cv" and "gate" -> setting -> its default, and its ``choices`` or ``low`` and ``high``."""
    found = {}
    for kind, made, roles in (("cv", CvSettings(), CV_ROLES), ("gate", GateSettings(), GATE_ROLES)):
        found[kind] = {}
        for field in dataclasses.fields(made):
            default = getattr(made, field.name)
            choices = roles if field.name == "role" else (1.0, 1.2) if field.name == "volts_per_octave" else _CHOICES.get(field.name)
            limits = {"choices": list(choices)} if choices else {"choices": [False, True]} if isinstance(default, bool) else \
                dict(zip(("low", "high"), _NUMBERS[field.name]))
            found[kind][field.name] = {"default": default, **limits}
    return found


def parse(jack: str, entry: dict, over: CvSettings | GateSettings | None = None) -> CvSettings | GateSettings:
    """A jack's settings, ``over`` what holds already. Raises ``PatchError`` naming the first thing that is wrong."""
    made = over or (CvSettings() if jack.startswith("cv") else GateSettings())
    known = {field.name: field.type for field in dataclasses.fields(made)}
    for key, value in entry.items():
        if key not in known:
            raise PatchError(f"{jack}: there is no setting {key!r}; there are {', '.join(known)}")
        made = dataclasses.replace(made, **{key: _checked(jack, key, value, known[key])})
    return made


def _checked(jack: str, key: str, value, kind: str):
    if key == "role":
        choices = CV_ROLES if jack.startswith("cv") else GATE_ROLES
    else:
        choices = _CHOICES.get(key)
    if choices:
        if value not in choices:
            raise PatchError(f"{jack}: {key} is {value!r}; it must be one of {', '.join(choices)}")
        return value
    if kind == "bool":
        if not isinstance(value, bool):
            raise PatchError(f"{jack}: {key} is {value!r}; it must be true or false")
        return value
    low, high = _NUMBERS[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not low <= value <= high:
        raise PatchError(f"{jack}: {key} is {value!r}; it must be a number from {low:g} to {high:g}")
    if key == "volts_per_octave" and value not in (1.0, 1.2):
        raise PatchError(f"{jack}: volts_per_octave is {value:g}; it must be 1 or 1.2")
    if kind == "int" and value != int(value):
        raise PatchError(f"{jack}: {key} is {value:g}; it must be a whole number")
    return int(value) if kind == "int" else float(value)


def jacks_of(board: dict) -> list[str]:
    """cv1, cv2 ... gate1 ... of a board file."""
    return [f"{kind}{i + 1}" for kind, section in (("cv", "cv"), ("gate", "gates")) for i in range(board[section]["jacks"])]


def load(board: dict, name: str) -> tuple[dict[str, CvSettings | GateSettings], list[str]]:
    """Settings of every jack of a board file, and a line for each entry that cannot be used: what stood below it holds then.

    ``name``: under which the person's own are kept."""
    own, problem = store.read("jacks", name)
    problems = [problem] if problem else []
    layers = (("the board file", board.get("jacks") or {}), (str(store.path("jacks", name)), own))
    found: dict[str, CvSettings | GateSettings] = {jack: parse(jack, {}) for jack in jacks_of(board)}
    for source, entries in layers:
        for jack, entry in entries.items() if isinstance(entries, dict) else [("jacks", entries)]:
            try:
                if jack not in found or not isinstance(entry, dict):
                    raise PatchError(f"{jack}: there is no such jack; the board has {', '.join(found)}")
                found[jack] = parse(jack, entry, found[jack])
            except PatchError as error:
                problems.append(f"{source}: {error}; it is ignored")
    return found, problems
