"""How a learned controller takes its control over when the two do not stand at the same place.

They part when something else moves the control: a recalled scene, the page, the panel, a morph, another controller. A fader
cannot follow, so its next movement would make the control jump. Three modes (``takeover`` of the voice's settings):

    pickup   the control stays until the controller reaches or passes it
    scale    the control moves the same way at once, by as much of its way to the end as the controller goes of its own
    jump     the control jumps to the controller's place

Once they have met, the control follows the controller until something else moves it again.
"""

from __future__ import annotations

from collections.abc import Callable

MODES = ("pickup", "scale", "jump")
NEAR = 1.5 / 127              # share of the controller's range: its own steps are 1/127
SAME = 1e-6


class Takeover:
    """All learned controllers, by their control's name. Values are the control's, 0..1. ``now``: where a control stands, None if unknown."""

    def __init__(self, now: Callable[[str], float | None]):
        self._now = now
        self._at: dict[str, float] = {}        # where the controller was last
        self._left: dict[str, float] = {}      # where a controller left the control that follows it

    def take(self, name: str) -> None:
        """From its next movement on the controller is followed: it was learned by moving it."""
        if (now := self._now(name)) is not None:
            self._left[name] = now

    def moved(self, name: str, at: float, low: float, high: float, mode: str) -> float | None:
        """The controller has come to ``at``, of its range ``low`` to ``high``: where the control goes, None if it stays."""
        before, self._at[name] = self._at.get(name), at
        now, (low, high) = self._now(name), sorted((low, high))
        if mode == "jump" or now is None or self._follows(name, now):
            return self._met(name, at)
        inside, near = min(high, max(low, now)), NEAR * (high - low)      # a control beyond the range is met at its end
        passed = before is not None and (abs(before - inside) <= near or (before - inside) * (at - inside) < 0)
        if passed or abs(at - inside) <= near:
            return self._met(name, at)
        if mode == "pickup" or before is None or at == before:
            return None
        end = high if at > before else low
        return self._met(name, at) if at == end else now + (end - now) * (at - before) / (end - before)

    def waits(self, name: str) -> tuple[float, float] | None:
        """Where the controller and the control stand while they are apart."""
        at, now = self._at.get(name), self._now(name)
        return None if at is None or now is None or self._follows(name, now) else (at, now)

    def forget(self, name: str) -> None:
        self._at.pop(name, None)
        self._left.pop(name, None)

    def _follows(self, name: str, now: float) -> bool:
        return name in self._left and abs(self._left[name] - now) <= SAME

    def _met(self, name: str, at: float) -> float:
        self._left[name] = at
        return at
