"""The patch in its smallest form: knob values, routes from jacks to named controls, level, what the gates do.

Panels, scenes and files of patches build on this; what travels to the synth is the ``patch`` section of the
shared table, one for each model slot.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass, field

from neurorack.core import quick
from neurorack.errors import PatchError
from neurorack.inputs import quantise
from neurorack.shm import table
from neurorack.shm.structs import structure

#: What a gate does: the first three are the voice's (``next``: a hit with the next gesture), the others ``gate_actions.py``'s.
GATE_ACTIONS = ("freeze", "next", "trigger", "none", "scene", "record", "tap")
GATES = {"gate1": "trigger", "gate2": "freeze"}     # until it is patched otherwise
CV_JACKS = tuple(f"cv{i + 1}" for i in range(table.CV_JACKS))
MODULATORS = tuple(f"mod{i + 1}" for i in range(table.MODULATORS))
JACKS = CV_JACKS + MODULATORS      # what can be routed
MOST_STEPS = 64                    # of a quantised control
#: number of a route -> (lowest, highest)
ROUTE_LIMITS = {"amount_per_volt": (-10, 10), "offset": (-10, 10), "curve": (0.25, 4), "smooth_ms": (0, 5000), "low": (0, 1), "high": (0, 1)}
ROUTE_FIELDS = ("jack", "control", *ROUTE_LIMITS, "latched", "quantise")

#: The shared section as a ctypes structure of this process.
PatchStruct = structure("patch", "PatchStruct")


@dataclass
class Route:
    """jack -> control: value += amount_per_volt * curve(volts) + offset, smoothed over ``smooth_ms``.

    ``low`` and ``high``: the control does not leave them by this route. ``quantise``: "off"; a number of values (2..64) from
    low to high; or a scale of ``inputs/quantise.py``, "minor" or "D minor" say, to whose notes the volts go (1 V an octave).
    """

    jack: str
    control: str
    amount_per_volt: float = 0.1
    offset: float = 0.0
    curve: float = 1.0
    smooth_ms: float = 5.0
    latched: bool = False   # read at each trigger only
    low: float = 0.0
    high: float = 1.0
    quantise: str | int = "off"
    more: dict = field(default_factory=dict)    # fields of a patch file that this version does not know

    def moved(self, value: float, volts: float) -> float:
        """Where these volts take a control of the instrument's own (mix, morph) that stands at ``value``, 0..1; as modulation.c
        does it for the model's, but for smoothing and latching."""
        count, scale, root = quantise_numbers(self.quantise)
        if scale:
            volts = quantise.nearest(scale, root, 12 * volts) / 12
        value += self.amount_per_volt * math.copysign(10 * (abs(volts) / 10) ** self.curve, volts) + self.offset
        if self.low > 0 or self.high < 1 or count:
            value = min(self.high, max(self.low, value))
        if not count or self.high == self.low:
            return value
        step = (self.high - self.low) / (count - 1)
        return self.low + step * round((value - self.low) / step)

    def check(self) -> None:
        """Raises ``PatchError`` for what cannot be."""
        if self.jack not in JACKS:
            raise PatchError(f"route to {self.control}: there is no jack {self.jack!r}; there are {jacks_told()}")
        if self.low > self.high:
            raise PatchError(f"route to {self.control}: low is {self.low:g}, above high, {self.high:g}; for the other way round take a negative amount")
        quantise_named(self.quantise)


def parse_route(entry: dict) -> Route:
    """A route from plain data: a request, a score. Raises ``PatchError`` for the first thing that is wrong."""
    for key in ("jack", "control"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise PatchError(f"{key} is {entry.get(key)!r}; it must be a name")
    route = Route(entry["jack"], entry["control"], latched=bool(entry.get("latched", False)))
    for key, (low, high) in ROUTE_LIMITS.items():
        value = entry.get(key, getattr(route, key))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not low <= value <= high:
            raise PatchError(f"{key} is {value!r}; it must be a number from {low:g} to {high:g}")
        setattr(route, key, float(value))
    route.quantise = quantise_named(entry.get("quantise", route.quantise))
    route.check()
    return route


def followed(value: float, routes: list[Route], rack) -> float:
    """A control of the instrument's own that stands at ``value`` and follows these routes, 0..1. ``rack``: the shared block."""
    for route in routes:
        value = route.moved(value, rack.volts(route.jack))
    return min(1.0, max(0.0, value))


def jacks_told() -> str:
    """What can be routed, for messages."""
    return f"{CV_JACKS[0]} to {CV_JACKS[-1]}, {MODULATORS[0]} to {MODULATORS[-1]}"


def quantise_named(value: str | int) -> str | int:
    """A route's ``quantise`` as it is kept: a number of values is a number. Raises ``PatchError``."""
    count = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(count, int) and not isinstance(count, bool) and 2 <= count <= MOST_STEPS:
        return count
    note, _, scale = value.rpartition(" ") if isinstance(value, str) else ("", "", None)
    if scale not in quantise.SCALES or (note or "C") not in quantise.NOTES:
        raise PatchError(f"quantise is {value!r}; it must be off, a number of values from 2 to {MOST_STEPS}, or a scale "
                         f"(\"D minor\" say): {', '.join(list(quantise.SCALES)[1:])}")
    return value


def quantise_numbers(value: str | int) -> tuple[int, int, int]:
    """``(values, mask of semitones, root)`` of a route's ``quantise``; 0 where there are none. Raises ``PatchError``."""
    value = quantise_named(value)
    if isinstance(value, int):
        return value, 0, 0
    note, _, scale = value.rpartition(" ")
    return 0, quantise.mask(scale), quantise.root(note or "C")


@dataclass
class Patch:
    knobs: dict[str, float] = field(default_factory=dict)    # control -> 0..1; others stand at their default
    drives: dict[str, float] = field(default_factory=dict)   # control -> 0..1
    routes: list[Route] = field(default_factory=list)
    level_db: float = 0.0
    gates: dict[str, str] = field(default_factory=dict)      # jack -> one of GATE_ACTIONS; GATES holds for others
    left_free: set[str] = field(default_factory=set)         # jacks and controls whose routes the musician took away
    revision: int = 0

    def become(self, other: Patch) -> None:
        """Take over all that the other one says, in place: this object is the one that everybody knows."""
        self.knobs, self.drives, self.routes = dict(other.knobs), dict(other.drives), list(other.routes)
        self.level_db, self.gates, self.left_free = other.level_db, dict(other.gates), set(other.left_free)

    def copy(self) -> Patch:
        made = Patch()
        made.become(self)
        return made

    @property
    def all_gates(self) -> dict[str, str]:
        """What each gate does. Raises ``PatchError`` for a jack or an action that there is not."""
        for gate, action in self.gates.items():
            if gate not in GATES:
                raise PatchError(f"there is no gate {gate!r}; there are {', '.join(GATES)}")
            if action not in GATE_ACTIONS:
                raise PatchError(f"{gate} is {action!r}; it must be one of {', '.join(GATE_ACTIONS)}")
        return {**GATES, **self.gates}

    def to_struct(self, controls: list[dict], places: dict[tuple[str, str], int] | None = None) -> PatchStruct:
        """For the model whose card lists these controls; names it does not have are left out, and wait for a model that does.

        ``places``: jack and control -> where the route lay when it was last asked; it stays there, so that the voice's smoothing of it goes on.
        """
        names = [c["name"] for c in controls]
        out = PatchStruct(revision=self.revision & 0xFFFFFFFF, level_db=self.level_db)
        if not -90 <= self.level_db <= 12:
            raise PatchError(f"level is {self.level_db:g} dB; it must lie from -90 to 12")
        for i, (gate, action) in enumerate(self.all_gates.items()):
            out.gate_action[i] = min(GATE_ACTIONS.index(action), GATE_ACTIONS.index("none"))
        for i, control in enumerate(controls[: table.CONTROLS]):
            out.knob[i] = min(1.0, max(0.0, self.knobs.get(control["name"], control.get("default", 0.5))))
            out.drive[i] = self.drives.get(control["name"], 0.0)
        for i in range(table.ROUTES):
            out.route_jack[i] = -1
        known = [r for r in self.routes if r.control in names]
        if len(known) > table.ROUTES:
            raise PatchError(f"{len(known)} routes; at most {table.ROUTES} fit")
        places = {} if places is None else places
        _keep_places(places, [(route.jack, route.control) for route in known])
        for route in known:
            route.check()
            i = places[route.jack, route.control]
            out.route_jack[i], out.route_control[i] = JACKS.index(route.jack), names.index(route.control)
            out.route_amount[i], out.route_offset[i], out.route_curve[i] = route.amount_per_volt, route.offset, route.curve
            out.route_smooth_ms[i], out.route_latched[i] = route.smooth_ms, int(route.latched)
            out.route_low[i], out.route_high[i] = route.low, route.high
            out.route_steps[i], out.route_scale[i], out.route_root[i] = quantise_numbers(route.quantise)
        return out

    def publish(self, section, controls: list[dict], places: dict[tuple[str, str], int] | None = None) -> None:
        """Write into a slot's shared ``patch`` section (writer: the supervisor). ``places``: as for ``to_struct``."""
        self.revision += 1
        struct = self.to_struct(controls, places)
        quick("nr_patch_write", None, ctypes.c_void_p, ctypes.c_void_p)(section.address("seq"), ctypes.byref(struct))


def _keep_places(places: dict[tuple[str, str], int], pairs: list[tuple[str, str]]) -> None:
    """Those that are gone leave, new ones take the first free places."""
    for gone in places.keys() - set(pairs):
        del places[gone]
    free = (i for i in range(table.ROUTES) if i not in set(places.values()))
    for pair in pairs:
        if pair not in places:
            places[pair] = next(free)


def default_patch(card: dict, listens: bool = False) -> Patch:
    """The card's own patch, else cv1..cv4 on the first four controls, 5 V either way for half the range.

    ``listens``: there is an audio input, and a model that can follow it does, unless the card's patch says otherwise.
    """
    given = card.get("patch") or {}
    if given.get("routes"):
        routes = [Route(**route) for route in given["routes"]]
    else:
        routes = [Route(f"cv{i + 1}", control["name"]) for i, control in enumerate(card.get("controls", [])[:4])]
    gates = {**({"gate2": given["gate2"]} if given.get("gate2") else {}), **(given.get("gates") or {})}
    heard = {c["name"]: 1.0 for c in card.get("controls", []) if listens and c.get("kind") == "audio_input"}
    return Patch(knobs={**heard, **(given.get("knobs") or {})}, routes=routes, gates=gates)
