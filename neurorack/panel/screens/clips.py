"""The training clips on a model's map: where its two controls would have to stand for the sound to be like theirs."""

from __future__ import annotations

import math

from neurorack.panel.screens.gestures import chosen_gesture
from neurorack.panel.view import Slot


def clips_on_map(slot: Slot) -> list[tuple[float, float, str]]:
    """Places and names, as values of the controls of the map's plane; those outside 0 to 1 are left out.

    A control bends a gesture, so what it takes to reach a clip depends on where the chosen gesture itself lies; as far as a control is
    driven it is set without the gesture.
    """
    drawn = slot.card.get("map")
    if not drawn or slot.plane != (drawn["x"], drawn["y"]):
        return []
    at, gestures = chosen_gesture(slot), drawn["gestures"]
    own = gestures[at] if 0 <= at < len(gestures) else (0.5, 0.5)
    controls = [slot.control(name) for name in slot.plane]
    if not all(controls):
        return []
    away = [(1 - control.drive) * (place - 0.5) for control, place in zip(controls, own)]
    moved = [(x - away[0], y - away[1], name) for x, y, name in drawn["points"]]
    return [point for point in moved if 0 <= point[0] <= 1 and 0 <= point[1] <= 1]


def nearest(points: list[tuple[float, float, str]], here: tuple[float, float]) -> tuple[float, float, str] | None:
    """The clip that is nearest to where the sound is."""
    return min(points, key=lambda point: math.dist(point[:2], here), default=None)
