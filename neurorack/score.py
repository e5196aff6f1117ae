"""Scores: a small YAML file that says what arrives at the jacks, and when.

::

    seconds: 4
    model: impacts                 # optional: a model's name or file
    seed: 1                        # optional
    events:                        # steps, in order of time
      - {at: 0.5, jack: gate1, volts: 5}
      - {at: 0.6, jack: gate1, volts: 0}
      - {at: 2, swap: other}       # in real time: change to another model (with fade_ms: 50), or
      - {at: 3, mix: 0.5}          # the mix of slots A (0) and B (1)
    curves:                        # straight lines between points
      cv1: [[0, -5], [4, 5]]
    controls:                      # drive one of the model's named controls directly, 0..1
      centroid: [[0, 0.2], [4, 0.9]]
    sources:                       # the modulators (docs/modulation.md), and what they move
      mod1: {kind: lfo, pace: clock, divide: 4}
    routes:
      - {jack: mod1, control: centroid, amount_per_volt: 0.05}
    tempo_bpm: 120                 # of the clock, which begins with the score

A gate that is stepped up while it is high already falls for 1 ms first, so that every step up is a hit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from neurorack.errors import PatchError, ScoreError
from neurorack.inputs import sources
from neurorack.voice.patch import ROUTE_FIELDS, Patch, Route, parse_route

GATE_JACKS = ("gate1", "gate2")
CV_JACKS = ("cv1", "cv2", "cv3", "cv4")
JACKS = GATE_JACKS + CV_JACKS
VOLTS_LIMIT = 12.0          # the rails of a Eurorack case
SECONDS_LIMIT = 3600.0
GATE_THRESHOLD_VOLTS = 1.6  # rising; falls below 1.0 V
GATE_RELEASE_VOLTS = 1.0
RETRIGGER_GAP_SECONDS = 0.001
KEYS = ("seconds", "model", "seed", "events", "curves", "controls", "sources", "routes", "tempo_bpm")
TEMPO_BPM = (40.0, 300.0)
EVENTS = (("jack", "volts"), ("swap", "fade_ms"), ("mix",))      # what an event may be: its first key, and the others it may have


@dataclass(frozen=True)
class GateEdge:
    at_seconds: float
    jack: int            # 0 = gate1
    rising: bool


@dataclass
class Score:
    seconds: float
    model: str | None = None
    seed: int = 0
    events: list[tuple[float, str, float]] = field(default_factory=list)          # (seconds, jack, volts)
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)    # jack -> (seconds, volts)
    controls: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # control -> (seconds, 0..1)
    folder: Path = Path(".")
    wishes: list[tuple[float, dict]] = field(default_factory=list)                # (seconds, request of control.py)
    sources: dict[str, dict] = field(default_factory=dict)                        # modulator -> as inputs/sources.py parses it
    routes: list[Route] = field(default_factory=list)
    tempo_bpm: float | None = None

    def patched(self, patch: Patch) -> Patch:
        """This patch with the score's routes in it."""
        ours = {(route.jack, route.control) for route in self.routes}
        patch.routes = [route for route in patch.routes if (route.jack, route.control) not in ours] + self.routes
        return patch

    def gate_steps(self) -> list[tuple[float, int, float]]:
        """Steps of the gate jacks ``(seconds, gate index, volts)``, with the gap before a step up from high."""
        steps, volts = [], [0.0, 0.0]
        for at, jack, value in self.events:
            if jack not in GATE_JACKS:
                continue
            gate = GATE_JACKS.index(jack)
            if value >= GATE_THRESHOLD_VOLTS and volts[gate] >= GATE_THRESHOLD_VOLTS:
                steps.append((max(0.0, at - RETRIGGER_GAP_SECONDS), gate, 0.0))
            steps.append((at, gate, value))
            volts[gate] = value
        return sorted(steps, key=lambda step: step[0])

    def gate_edges(self) -> list[GateEdge]:
        """What a comparator with hysteresis makes of the gate jacks, in order of time."""
        edges, high = [], [False, False]
        for at, gate, value in self.gate_steps():
            now = value >= GATE_THRESHOLD_VOLTS if not high[gate] else value > GATE_RELEASE_VOLTS
            if now != high[gate]:
                edges.append(GateEdge(at, gate, now))
                high[gate] = now
        return edges

    def cv_volts(self, seconds: np.ndarray) -> np.ndarray:
        """Volts of cv1..cv4 at the given times, float64 [len(seconds), 4]."""
        volts = np.zeros((len(seconds), len(CV_JACKS)))
        for column, jack in enumerate(CV_JACKS):
            if jack in self.curves:
                points = np.array(self.curves[jack])
                volts[:, column] = np.interp(seconds, points[:, 0], points[:, 1])
            for at, name, value in self.events:
                if name == jack:
                    volts[seconds >= at, column] = value
        return volts

    def control_values(self, name: str, seconds: np.ndarray) -> np.ndarray:
        """Driven values of one control at the given times, 0..1."""
        points = np.array(self.controls[name])
        return np.interp(seconds, points[:, 0], points[:, 1])


def _number(value, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        raise ScoreError(f"{what} is {value!r}; it must be a number from {low:g} to {high:g}")
    if not low <= value <= high:
        shown = f"{value:g}" if abs(value) < 1e300 else "far too much"
        raise ScoreError(f"{what} is {shown}; it must lie from {low:g} to {high:g}")
    return float(value)


def _points(raw, what: str, low: float, high: float, seconds: float) -> list[tuple[float, float]]:
    if not isinstance(raw, list) or not raw:
        raise ScoreError(f"{what} must be a list of [seconds, value] pairs")
    points, last = [], 0.0
    for number, pair in enumerate(raw, 1):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise ScoreError(f"{what}, point {number} is {pair!r}; it must be [seconds, value]")
        at = _number(pair[0], f"{what}, time of point {number}", 0, SECONDS_LIMIT)
        if at < last:
            raise ScoreError(f"{what}, point {number}: time {at:g} s comes after {last:g} s; put the points in order of time")
        points.append((at, _number(pair[1], f"{what}, value of point {number}", low, high)))
        last = at
    return points


def _events(raw) -> tuple[list[tuple[float, str, float]], list[tuple[float, dict]]]:
    """Steps at the jacks, and wishes to the instrument."""
    if not isinstance(raw, list):
        raise ScoreError("events must be a list of {at, jack, volts}")
    events, wishes, last = [], [], 0.0
    for number, entry in enumerate(raw, 1):
        keys = next((keys for keys in EVENTS if isinstance(entry, dict) and keys[0] in entry and set(entry) <= {"at", *keys}), None)
        if keys is None or "at" not in entry:
            raise ScoreError(f"event {number} is {entry!r}; it must be {{at: seconds, jack: name, volts: number}}, or have swap or mix instead of a jack")
        at = _number(entry["at"], f"event {number}, at", 0, SECONDS_LIMIT)
        if at < last:
            raise ScoreError(f"event {number}: time {at:g} s comes after {last:g} s; put the events in order of time")
        last = at
        if keys[0] == "swap":
            if not isinstance(entry["swap"], str):
                raise ScoreError(f"event {number}, swap is {entry['swap']!r}; it must be a model's name or file")
            wishes.append((at, {"do": "swap", "model": entry["swap"], "fade_ms": _number(entry.get("fade_ms", 50), f"event {number}, fade_ms", 1, 10000)}))
            continue
        if keys[0] == "mix":
            wishes.append((at, {"do": "mix", "value": _number(entry["mix"], f"event {number}, mix", 0, 1)}))
            continue
        if entry["jack"] not in JACKS:
            raise ScoreError(f"event {number}: there is no jack {entry['jack']!r}; the jacks are {', '.join(JACKS)}")
        volts = _number(entry.get("volts", 5), f"event {number}, volts", -VOLTS_LIMIT, VOLTS_LIMIT)
        events.append((at, entry["jack"], volts))
    return events, wishes


def _sources(raw) -> dict[str, dict]:
    if not isinstance(raw, dict) or not all(isinstance(entry, dict) for entry in raw.values()):
        raise ScoreError("sources must be a mapping from mod1 .. mod8 to their settings")
    try:
        return {str(name): sources.parse(name, entry) for name, entry in raw.items()}
    except PatchError as error:
        raise ScoreError(f"sources: {error}") from None


def _routes(raw) -> list[Route]:
    if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        raise ScoreError("routes must be a list of {jack, control, amount_per_volt}")
    routes = []
    for number, entry in enumerate(raw, 1):
        if unknown := sorted(set(map(str, entry)) - set(ROUTE_FIELDS)):
            raise ScoreError(f"route {number} has no {unknown[0]!r}; it has {', '.join(ROUTE_FIELDS)}")
        try:
            routes.append(parse_route(entry))
        except PatchError as error:
            raise ScoreError(f"route {number}: {error}") from None
    return routes


def parse(raw, folder: Path = Path(".")) -> Score:
    """A score from its YAML data; raises ``ScoreError`` naming the first thing that is wrong."""
    if not isinstance(raw, dict):
        raise ScoreError(f"a score is a mapping with the keys {', '.join(KEYS)}")
    unknown = set(raw) - set(KEYS)
    if unknown:
        raise ScoreError(f"unknown key {sorted(map(str, unknown))[0]!r}; the keys are {', '.join(KEYS)}")
    if "seconds" not in raw:
        raise ScoreError("seconds is missing: say how long the score lasts")
    seconds = _number(raw["seconds"], "seconds", 0.01, SECONDS_LIMIT)
    model = raw.get("model")
    if model is not None and not isinstance(model, str):
        raise ScoreError(f"model is {model!r}; it must be a model's name or file")
    seed = _number(raw.get("seed", 0), "seed", 0, 2**31 - 1)
    events, wishes = _events(raw.get("events") or [])
    tempo = raw.get("tempo_bpm")
    score = Score(seconds, model, int(seed), events, folder=folder, wishes=wishes, sources=_sources(raw.get("sources") or {}),
                  routes=_routes(raw.get("routes") or []), tempo_bpm=None if tempo is None else _number(tempo, "tempo_bpm", *TEMPO_BPM))
    for key, limits in (("curves", (-VOLTS_LIMIT, VOLTS_LIMIT)), ("controls", (0.0, 1.0))):
        table = raw.get(key) or {}
        if not isinstance(table, dict):
            raise ScoreError(f"{key} must be a mapping from a name to a list of [seconds, value] pairs")
        for name, points in table.items():
            if key == "curves" and name not in CV_JACKS:
                raise ScoreError(f"curves: there is no CV jack {name!r}; the CV jacks are {', '.join(CV_JACKS)}")
            getattr(score, key)[str(name)] = _points(points, f"{key}, {name}", *limits, seconds)
    return score


def load(path: str | Path) -> Score:
    """A score from a file."""
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ScoreError(f"score {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:    # ValueError: no text, or a number of thousands of digits
        raise ScoreError(f"score {path} is not YAML: {' '.join(str(error).split())}") from None
    try:
        return parse(raw, path.parent)
    except ScoreError as error:
        raise ScoreError(f"score {path}: {error}") from None
