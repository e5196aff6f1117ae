"""The supervisor's end of the panel: starts its process, hands it what is turned and pressed elsewhere, tells a model's card."""

from __future__ import annotations

import json
import math
import socket
import time

from neurorack.errors import NeurorackError
from neurorack.gesture import LONGEST_NAME, gesture_names
from neurorack.watched import Watched

INDEX = 5                      # in run.restarts
PATIENCE_SECONDS = 1.0         # for a panel that takes its events too slowly
MOST_STEPS = 1000
MOST_POINTS = 64               # of a model's map
DISPLAYS = ("128", "240", "none")


class PanelHand:
    """Of one run. The socket outlives the process, so that one started again finds it. ``requests``: of the control socket."""

    def __init__(self, run):
        self.run = run
        self._events, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._events.settimeout(PATIENCE_SECONDS)
        self.child: Watched | None = None
        self.requests = {"panel": self._panel, "card": self._card}

    def start(self) -> None:
        """The process, where a panel is wanted."""
        run = self.run
        if run.settings.display == "none":
            return
        config = {"board": run.board, "display": run.settings.display, "events_fd": self._far.fileno()}
        if run.wires and run.board["driver"] != "desk":
            config["environment"] = run.wires.environment()
        self.child = Watched("panel", INDEX, run.rack.panel, config, (config["events_fd"],), ornament=True)
        self.child.start(run.rack)
        run.others.append(self.child)
        run.note_children()
        run.say("the panel: `neurorack panel` in another terminal shows its display and turns its encoder")

    def _send(self, event: dict) -> None:
        try:
            self._events.send(json.dumps({**event, "ns": time.monotonic_ns()}).encode())
        except OSError:
            raise NeurorackError("the panel does not answer; try again") from None

    def _panel(self, request: dict) -> dict:
        """Turn, press, or ask what is shown."""
        if self.child is None:
            raise NeurorackError("there is no panel: start the instrument without --display none")
        steps, press = request.get("turn"), request.get("press")
        if steps is not None:
            if isinstance(steps, bool) or not isinstance(steps, int) or not -MOST_STEPS <= steps <= MOST_STEPS:
                raise NeurorackError(f"turn is {steps!r}; it must be a whole number of detents from {-MOST_STEPS} to {MOST_STEPS}")
            if steps:
                self._send({"turn": steps})
        if press is not None:
            if not isinstance(press, bool):
                raise NeurorackError(f"press is {press!r}; it must be true (down) or false (up)")
            self._send({"press": press})
        section = self.run.rack.panel
        led = section.led
        return {"size": [section.width, section.height], "mode": "RGB" if section.channels == 3 else "1", "screen": section.screen,
                "light": ("blank", "dim", "full")[min(2, section.light)], "led": [led >> 16 & 255, led >> 8 & 255, led & 255], "frame": section.number}

    def _card(self, request: dict) -> dict:
        """The card of a slot's model; its controls' range is 0 to 1."""
        name = request.get("slot", "A")
        if name not in ("A", "B"):
            raise NeurorackError(f"slot is {name!r}; it must be A or B")
        slot = self.run.slots.slots["AB".index(name)]
        if not slot.child:
            return {"slot": name, "model": None, "pid": 0, "controls": [], "plane": None, "gestures": [], "map": None}
        card = slot.card
        controls = [{"name": c["name"], "label": c.get("label") or c["name"], "unit": c.get("unit") or "", "doc": c.get("doc") or c.get("description") or "",
                     "kind": c.get("kind", "input"), "default": c.get("default", 0.5), "low": 0.0, "high": 1.0} for c in card.get("controls", [])]
        return {"slot": name, "model": slot.title, "name": card.get("name"), "file": str(slot.path), "pid": slot.section.pid, "plays": card.get("plays", "hits"),
                "sample_rate_hz": card.get("sample_rate_hz"), "hop_frames": card.get("hop_frames"), "author": card.get("author"), "licence": card.get("licence"),
                "description": card.get("description") or card.get("notes") or "", "controls": controls, "plane": plane_of(card),
                "gestures": gesture_names(slot.path, card), "kept": len(gesture_names(slot.path, {})), "generates": bool(card.get("generator")),
                "map": map_of(card)}


def plane_of(card: dict) -> list[str] | None:
    """Names of the two controls that span a model's map: as its card says, or draws one, else the first two beside loudness that move its inputs; None with fewer."""
    names = [c["name"] for c in card.get("controls", [])]
    said = card.get("plane")
    if isinstance(said, list) and len(said) == 2 and all(name in names for name in said):
        return said
    drawn = map_of(card)
    if drawn:
        return [drawn["x"], drawn["y"]]
    moving = [c["name"] for c in card.get("controls", []) if c.get("links")] or [c["name"] for c in card.get("controls", []) if c.get("kind", "input") == "input"]
    moving = [name for name in moving if name != "loudness"] if len(moving) > 2 else moving
    return moving[:2] if len(moving) >= 2 else None


def map_of(card: dict) -> dict | None:
    """The map of the model's training clips, `{"x", "y", "points": [[x, y, name], …], "gestures": [[x, y], …]}`, where its card draws one
    that can be used: places of the controls x and y."""
    drawn, names = card.get("map"), [c["name"] for c in card.get("controls", [])]
    try:
        if drawn["x"] not in names or drawn["y"] not in names:
            return None
        points = [[float(x), float(y), str(name)[:LONGEST_NAME]] for x, y, name in drawn["points"][:MOST_POINTS]]
        gestures = [[float(x), float(y)] for x, y in drawn.get("gestures", [])[:MOST_POINTS]]
    except (TypeError, ValueError, KeyError, OverflowError):
        return None
    finite = all(math.isfinite(place) for each in points + gestures for place in each[:2])
    return {"x": drawn["x"], "y": drawn["y"], "points": points, "gestures": gestures} if finite else None
