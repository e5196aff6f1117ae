"""What others ask the instrument for: requests of the control socket, keys, events of a score. ``control.py`` lists them.

``handle`` runs in the asker's thread: it finds files and waits; what changes the instrument runs in the supervisor's loop.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

from neurorack import causes, gesture_hand, library
from neurorack.errors import NeurorackError
from neurorack.slot import MIX, MORPH
from neurorack.swap import Job
from neurorack.voice.patch import parse_route

WAIT_SECONDS = 80.0
CLOCKS = ("none", "jack", "tapped", "MIDI")


def number(request: dict, key: str, low: float, high: float, default: float | None = None) -> float:
    """A number of the request within its limits."""
    value = request.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not low <= value <= high:
        raise NeurorackError(f"{key} is {value!r}; it must be a number from {low:g} to {high:g}")
    return float(value)


def text(request: dict, key: str) -> str:
    """A name in the request."""
    value = request.get(key)
    if not isinstance(value, str) or not value:
        raise NeurorackError(f"{key} is {value!r}; it must be a name")
    return value


class Wishes:
    """Carries wishes to the ``Instrument``."""

    def __init__(self, run):
        self.run = run

    def handle(self, request: dict) -> dict:
        """The answer's fields. Raises ``NeurorackError``."""
        does = {"status": self._status, "swap": self._swap, "next": self._next, "load": self._load, "unload": self._unload,
                "mix": self._mix, "set": self._set, "route": self._route, "unroute": self._unroute, "level": self._level, "tap": self._tap, "gestures": self._gestures,
                **self.run.remote.requests, **self.run.sources.requests, **self.run.scenes.requests,
                **self.run.takes.requests, **self.run.gate_actions.requests, **self.run.upkeep.requests, **self.run.web.requests, **self.run.lightening.requests,
                **self.run.panel.requests, **self.run.cable_requests.requests}
        if request["do"] not in does:
            raise NeurorackError(f"there is no request {request['do']!r}; there are {', '.join(sorted(does))}")
        return does[request["do"]](request)

    def from_a_hand(self, request: dict) -> None:
        """A wish from a key or a score, which read no answer: what fails is said."""
        try:
            self.handle({"wait": False, **request})
        except NeurorackError as error:
            self.run.say(f"warning: {error}")

    # -- models

    def _file(self, request: dict, key: str = "model") -> Path:
        score = self.run.settings.score
        return library.find(text(request, key), score.folder if score else None)

    def _name(self, request: dict) -> str:
        """How to call it: a library's name as it is, a file without its folder."""
        return Path(text(request, "model")).name.removesuffix(library.SUFFIX).removesuffix(".ts")

    def _encoder(self, request: dict) -> Path | None:
        return self._file(request, "encoder") if request.get("encoder") else None

    def _waited(self, job: Job, request: dict) -> dict:
        if request.get("wait", True):
            job.ended.wait(WAIT_SECONDS)
        if job.error:
            raise NeurorackError(f"{job.name} is not played: {job.error}")
        return {"job": job.told()}

    def _swap(self, request: dict) -> dict:
        asked, fade_ms = time.monotonic(), number(request, "fade_ms", 1, 10000, 50.0)
        path, encoder = self._file(request), self._encoder(request)
        job = self.run.call(self.run.slots.swap, self._name(request), path, fade_ms, encoder)
        job.times["asked"] = asked
        return self._waited(job, request)

    def _next(self, request: dict) -> dict:
        names, slots = sorted(library.available()), self.run.slots
        if len(names) < 2:
            raise NeurorackError("the library holds no other model; `neurorack models add FILE` brings one")
        playing = [str(path) for path in (slots.job and slots.job.path, slots.slots[slots.heard].path) if path]
        files = {str(path): name for name, path in library.available().items()}
        at = next((names.index(files[path]) for path in playing if path in files), -1)
        return self._swap({**request, "model": names[(at + 1) % len(names)]})

    def _slot(self, request: dict) -> int:
        name = request.get("slot")
        if name not in ("A", "B", "a", "b"):
            raise NeurorackError(f"slot is {name!r}; it must be A or B")
        return "AB".index(name.upper())

    def _load(self, request: dict) -> dict:
        job = self.run.call(self.run.slots.load, self._slot(request), self._name(request), self._file(request), self._encoder(request))
        return self._waited(job, request)

    def _gestures(self, request: dict) -> dict:
        """New gestures, or fewer, of the model in a slot (what is heard) or a named one; a slot that has it takes it anew."""
        slots = self.run.slots
        slot = slots.slots[self._slot(request) if "slot" in request else slots.heard]
        path = Path(text(request, "reload")) if "reload" in request else self._file(request) if "model" in request else slot.path
        if path is None:
            raise NeurorackError(f"slot {slot.name} is empty; name a model")
        told = {} if "reload" in request else gesture_hand.done_elsewhere(gesture_hand.command(request, path))
        told["reloaded"] = slot.holds and Path(slot.path) == path
        if told["reloaded"]:
            heard = slot.index == slots.heard
            self._waited(self.run.call(slots.swap, slot.title, path) if heard else self.run.call(slots.load, slot.index, slot.title, path), request)
        return {key: told[key] for key in ("gestures", "removed", "reloaded") if key in told}

    def _unload(self, request: dict) -> dict:
        self.run.call(self.run.slots.unload, self._slot(request))
        return {}

    def _mix(self, request: dict) -> dict:
        slots = self.run.slots
        value = number(request, "value", -1, 1) + slots.knob if request.get("relative") else number(request, "value", 0, 1)
        self.run.call(slots.mix, min(1.0, max(0.0, value)))
        return {"mix": slots.knob}

    # -- the patch

    def edit(self, change) -> None:
        """Change the patch and publish it; a patch that cannot be is left as it was."""
        def work():
            patch, before = self.run.patch, self.run.patch.copy()
            try:
                change(patch)
                self.run.slots.publish()
            except NeurorackError:
                patch.become(before)
                self.run.slots.publish()
                raise
        self.run.call(work)

    def _set(self, request: dict) -> dict:
        name, value = text(request, "control"), number(request, "value", 0, 1)
        if name == MIX:
            return self._mix({"value": value})
        if name == MORPH:
            return self.handle({"do": "morph", "value": value})
        drive = None if request.get("drive") is None else number(request, "drive", 0, 1)

        def change(patch):
            patch.knobs[name] = value
            if drive is not None:
                patch.drives[name] = drive
        self.edit(change)
        return {}

    def _route(self, request: dict) -> dict:
        route = parse_route(request)

        def change(patch):
            patch.routes = [r for r in patch.routes if (r.jack, r.control) != (route.jack, route.control)] + [route]
            patch.left_free -= {route.jack, route.control}
        self.edit(change)
        return {}

    def _unroute(self, request: dict) -> dict:
        jack, control = request.get("jack"), request.get("control")
        if jack is None and control is None:
            raise NeurorackError("say which jack or which control to unroute")

        def change(patch):
            patch.routes = [r for r in patch.routes if (jack is not None and r.jack != jack) or (control is not None and r.control != control)]
            patch.left_free |= {jack} if jack else {control}
        self.edit(change)
        return {}

    def _level(self, request: dict) -> dict:
        db = number(request, "db", -90, 12)
        self.edit(lambda patch: setattr(patch, "level_db", db))
        return {}

    def _tap(self, request: dict) -> dict:
        self.run.rack.run.tap_ns = time.monotonic_ns()
        return {}

    # -- status

    def _status(self, request: dict) -> dict:
        return self.run.call(status, self.run)


def status(run) -> dict:
    """All there is to know of a running instrument."""
    rack, slots = run.rack, run.slots
    return {
        "pid": rack.header.supervisor_pid, "device": rack.audio.device_name, "rate": rack.header.sample_rate_hz, "block": rack.header.block_frames,
        "blocks": rack.audio.blocks, "restarts": [int(count) for count in rack.run.restarts],
        "mix": rack.audio.mix, "heard": "AB"[slots.heard], "swaps": {"done": slots.swaps_done, "failed": slots.swaps_failed},
        "job": slots.job.told() if slots.job else None, "underruns": causes.totals(rack), "held_blocks": causes.totals(rack, "held"),
        "patch": {"knobs": run.patch.knobs, "drives": run.patch.drives, "level_db": run.patch.level_db, "gates": run.patch.all_gates,
                  "routes": [route.__dict__ for route in run.patch.routes]},
        "slots": {slot.name: slot_status(slot, rack) for slot in slots.slots},
        "inputs": inputs_status(rack), "recording": run.takes.now, "web": run.web.status(),
    }


def inputs_status(rack) -> dict:
    """The board and its clock."""
    section = rack.inputs
    return {"board": section.board_name, "scans": section.scans, "chip_errors": section.chip_errors,
            "clock": CLOCKS[min(section.clock_running, len(CLOCKS) - 1)], "tempo_bpm": round(section.tempo_bpm, 2)}


def slot_status(slot, rack) -> dict | None:
    """One slot's; None where it is empty."""
    if not slot.child:
        return None
    section, names = slot.section, [c["name"] for c in slot.card.get("controls", [])]
    return {
        "model": slot.title, "file": str(slot.path), "playing": slot.playing, "leaving": slot.leaving_at is not None, "pid": section.pid,
        "load": round(section.load, 4), "block_frames": section.block_frames, "block_us": round(section.block_us, 1),
        "block_high_us": round(section.block_high_us, 1), "lead_frames": section.lead_frames, "quick_lead_frames": section.quick_lead_frames,
        "underruns": causes.of_slot(rack, slot.index), "held_blocks": causes.of_slot(rack, slot.index, "held"),
        "controls": {name: round(float(section.control[i]), 4) for i, name in enumerate(names)},
    }
