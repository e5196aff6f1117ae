"""Cables into the simulated jacks, for whoever plays without a module: the page, the keyboard, and the patch it starts with.

One thread moves the wires (``drivers/desk.py``, ``simbus/wires.py``) by what ``virtual.py`` computes. A cable stays until it is taken out;
a knob's voltage takes it out. The built-in patch is nothing but the set of cables at the start.
"""

from __future__ import annotations

import math
import threading
import time

from neurorack.desk.hands import TICK_SECONDS, Hand
from neurorack.desk.virtual import GATE_VOLTS, Source, checked, told
from neurorack.errors import NeurorackError

REST_SECONDS = 0.05            # between two looks while nothing moves
LEAST_GATE_SECONDS = 0.002     # a gate set by hand stands so long: less would be contact bounce
LIMIT_VOLTS = 10.0
LOWEST_NOTE, HIGHEST_NOTE = 0, 127


def built_in() -> dict[str, dict]:
    """The cables that make music untouched: a clock with a sparse rhythm, and four slow LFOs."""
    found = {"gate1": {"kind": "clock", "vary": "on"}}
    for jack, period in enumerate((11.0, 17.0, 23.0, 5.3)):
        found[f"cv{jack + 1}"] = {"kind": "lfo", "rate_hz": 1 / period, "phase": jack / (2 * math.pi)}
    return found


class Cables(Hand):
    """Every simulated jack and what is in it. Any thread may call; ``wires`` carry the volts."""

    def __init__(self, wires, cv_jacks: int = 4, gate_jacks: int = 2, seed: int = 0):
        super().__init__("cables")
        self.wires, self.seed = wires, seed
        self.jacks = [f"cv{i + 1}" for i in range(cv_jacks)] + [f"gate{i + 1}" for i in range(gate_jacks)]
        self.sources: dict[str, Source] = {}
        self.volts = {jack: 0.0 for jack in self.jacks if jack.startswith("cv")}       # by hand, where no cable is
        self.first: set[str] = set()         # jacks whose cable is still the built-in patch's
        self.notes: list[int] = []
        self.last_note = 60
        self.clock_began = time.monotonic()
        self._lock = threading.RLock()
        self._gates: dict[str, tuple[float, float]] = {}     # jack -> (volts, since when) as last set
        self._due: dict[str, list[tuple[float, float]]] = {}  # jack -> (time, volts) of the step at hand
        self._steps: dict[str, int] = {}

    # -- plugging

    def _known(self, jack, kind: str = "") -> str:
        if not isinstance(jack, str) or jack not in self.jacks or not jack.startswith(kind):
            raise NeurorackError(f"there is no jack {str(jack)[:40]!r}; there are {', '.join(name for name in self.jacks if name.startswith(kind))}")
        return jack

    def plug(self, jack: str, source: dict | None) -> None:
        """Put a cable in, in place of what is there, or (None) take it out. Raises ``NeurorackError``."""
        self._known(jack)
        fields = checked(source) if source is not None else None
        with self._lock:
            before = self._pull(jack)
            if fields is None:
                if before:
                    self._rest(jack)
                return
            new = Source(fields, seed=self.seed * 16 + self.jacks.index(jack))
            if before and before.kind == new.kind == "lfo":        # its rate is being turned: the phase goes on
                now = self._now()
                new.began = now - ((before.phase(now) - fields["phase"]) % 1.0) / fields["rate_hz"]
            self.sources[jack] = new

    def _pull(self, jack: str) -> Source | None:
        """Take the cable out and leave the wire as it is; what was in it."""
        self.first.discard(jack)
        self._due.pop(jack, None)
        self._steps.pop(jack, None)
        return self.sources.pop(jack, None)

    def _rest(self, jack: str) -> None:
        """A jack without a cable."""
        if jack.startswith("gate"):
            self._set_gate(jack, 0.0)
        else:
            self.volts[jack] = 0.0
            self._set_cv(jack, 0.0)

    def turn(self, jack: str, volts: float) -> None:
        """A knob's voltage; takes the cable out. Raises ``NeurorackError``."""
        self._known(jack, "cv")
        with self._lock:
            self._pull(jack)
            self.volts[jack] = min(LIMIT_VOLTS, max(-LIMIT_VOLTS, volts))
            self._set_cv(jack, self.volts[jack])

    def gate(self, jack: str, high: bool) -> None:
        """By hand, beside the cable: its next edge counts again. Raises ``NeurorackError``."""
        self._known(jack, "gate")
        volts, since = self._gates.get(jack, (0.0, 0.0))
        time.sleep(max(0.0, since + LEAST_GATE_SECONDS - time.monotonic()) if volts != GATE_VOLTS * high else 0.0)
        with self._lock:
            self._set_gate(jack, GATE_VOLTS * high)

    def key(self, note: int, high: bool) -> None:
        """A key of the keyboard goes down or up; the last one down counts."""
        with self._lock:
            self.notes = [other for other in self.notes if other != note] + ([note] if high else [])
            if self.notes:
                self.last_note = self.notes[-1]

    def play_built_in(self, on: bool) -> None:
        """Put the built-in patch's cables in, or take out those of them that are still there."""
        with self._lock:
            for jack, source in built_in().items():
                if jack in self.jacks and (on or jack in self.first):
                    self.plug(jack, source if on else None)
            self.first = {jack for jack in built_in() if jack in self.jacks} if on else set()

    def let_go(self, jack: str) -> None:
        """Somebody plays this jack from afar: the built-in patch leaves it, the player's own cables stay."""
        with self._lock:
            if jack in self.first:
                self.plug(jack, None)

    def told(self) -> dict:
        """For a reader of the control socket."""
        with self._lock:
            return {"simulated": True, "kinds": told(), "built_in": sorted(self.first), "notes": list(self.notes), "jacks": {
                jack: {"from": dict(self.sources[jack].fields) if jack in self.sources else None, "volts": self.volts.get(jack, 0.0)} for jack in self.jacks}}

    # -- moving

    def _now(self) -> float:
        return time.monotonic() - self.clock_began

    def _set_cv(self, jack: str, volts: float) -> None:
        self.wires.set_cv(int(jack[2:]) - 1, volts)

    def _set_gate(self, jack: str, volts: float) -> None:
        if self._gates.get(jack, (0.0, 0.0))[0] != volts:
            self._gates[jack] = volts, time.monotonic()
            self.wires.set_gate(int(jack[4:]) - 1, volts)

    def play(self) -> None:
        """Ticks for what glides, steps at their times."""
        while True:
            now = self._now()
            with self._lock:
                at = min((self._move(jack, source, now) for jack, source in self.sources.items()), default=now + REST_SECONDS)
            if not self.wait_until(self.clock_began + min(at, now + REST_SECONDS)):
                return

    def _move(self, jack: str, source: Source, now: float) -> float:
        """Set what is due at this jack; when to come again."""
        if jack.startswith("cv"):
            self._set_cv(jack, source.volts(now, self.notes, self.last_note))
            if source.step_seconds and source.kind != "clock":
                return min(now + REST_SECONDS, source.began + (int((now - source.began) / source.step_seconds + 1e-9) + 1) * source.step_seconds)
            return now + (REST_SECONDS if source.kind == "voltage" else TICK_SECONDS)
        if not source.step_seconds:
            self._set_gate(jack, source.gate_level(now, self.notes))
            return now + (REST_SECONDS if source.kind == "voltage" else TICK_SECONDS)
        due = self._due.setdefault(jack, [])
        while due and due[0][0] <= now:
            self._set_gate(jack, due.pop(0)[1])
        if not due:
            self._plan(jack, source, now, due)
        return due[0][0]

    def _plan(self, jack: str, source: Source, now: float, due: list[tuple[float, float]]) -> None:
        """The next step with a gate."""
        step = max(self._steps.get(jack, -1) + 1, math.ceil((now - source.began) / source.step_seconds - 1e-9))
        self._steps[jack] = step
        begins, (up, seconds) = source.began + step * source.step_seconds, source.gate(step)
        due += [(begins, GATE_VOLTS), (begins + seconds, 0.0)] if up else [(begins, 0.0)]


class CableRequests:
    """What the control socket can ask of one run's jacks. Refused where they are real, or a score plays them."""

    def __init__(self, run):
        self.run = run
        self.requests = {"cables": self._cables, "cable": self._cable, "volts": self._volts, "gate": self._gate, "key": self._key}

    def _why_not(self) -> str | None:
        if self.run.wires is None:
            return f"the jacks of board {self.run.board['name']} are real: patch them with real cables"
        return "a score plays the jacks; start without --score" if self.run.settings.score else None

    def _ours(self) -> Cables:
        if why := self._why_not():
            raise NeurorackError(why)
        if self.run.cables is None:
            raise NeurorackError("the instrument is still starting; try again")
        return self.run.cables

    def _cables(self, request: dict) -> dict:
        if self._why_not() or self.run.cables is None:
            return {"simulated": False, "why": self._why_not() or "the instrument is still starting", "jacks": {}, "kinds": {}}
        return self.run.cables.told()

    def _cable(self, request: dict) -> dict:
        if "from" not in request:
            raise NeurorackError("from is missing: say where the cable comes from, or null to take it out")
        self._ours().plug(request.get("jack"), request["from"])
        return {}

    def _volts(self, request: dict) -> dict:
        from neurorack.wishes import number

        self._ours().turn(request.get("jack"), number(request, "volts", -LIMIT_VOLTS, LIMIT_VOLTS))
        return {}

    def _gate(self, request: dict) -> dict:
        self._ours().gate(request.get("jack"), _truth(request, "high"))
        return {}

    def _key(self, request: dict) -> dict:
        from neurorack.wishes import number

        self._ours().key(int(number(request, "note", LOWEST_NOTE, HIGHEST_NOTE)), _truth(request, "high"))
        return {}


def _truth(request: dict, key: str) -> bool:
    if not isinstance(request.get(key), bool):
        raise NeurorackError(f"{key} is {str(request.get(key))[:40]!r}; it must be true or false")
    return request[key]
