"""Plays the panel from a script of turns and presses, on a moment that stands still: for pictures and tests.

A script is words: a number turns (3, -1), ``p`` presses, ``b`` holds for half a second (back), ``s`` for 1.3 s, ``h`` for 2.2 s (home),
``d`` presses down and stays down for 0.7 s, ``w2`` waits 2 s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from PIL import Image

from neurorack.panel.canvas import Canvas, Layout
from neurorack.panel.machine import SECOND, Machine
from neurorack.panel.screens import home
from neurorack.panel.view import View

HOLDS = {"p": 0.08, "b": 0.5, "s": 1.3, "h": 2.2}
STEP_NS = 40_000_000
START_NS = 100 * SECOND


class Canned:
    """In the place of the panel's ``Asker``: answers at once, at the next step. ``answers``: of ``do``, a dict, a text (it fails so) or a function of the request."""

    def __init__(self, answers: Mapping[str, dict | str | Callable[[dict], dict]] = MappingProxyType({})):
        self.canned = dict(answers)
        self.asked: list[dict] = []
        self._waiting: list[tuple] = []

    def ask(self, request: dict, then=None, failed=None, key: str | None = None) -> None:
        self.asked.append(request)
        self._waiting.append((request, then, failed))

    def deliver(self) -> None:
        """Call back for all that was asked."""
        waiting, self._waiting = self._waiting, []
        for request, then, failed in waiting:
            answer = self.canned.get(request["do"], {})
            answer = answer(request) if callable(answer) else answer
            if isinstance(answer, str):
                if failed:
                    failed(answer)
            elif then:
                then(answer)


class Player:
    """A machine with its hands. ``view``: as it stays but for its time."""

    def __init__(self, layout: Layout, view: View, answers: Mapping = MappingProxyType({})):
        self.asker, self.view, self.ns = Canned(answers), view, START_NS
        self.machine = Machine(layout, home(), self.asker, now_ns=START_NS)
        self.step()

    def step(self, ns: int = STEP_NS) -> Canvas:
        """Some time goes on, and the panel is drawn."""
        self.ns += ns
        self.asker.deliver()
        return self.machine.draw(replace(self.view, now=self.view.now + (self.ns - START_NS) / SECOND), self.ns)

    def play(self, script: str) -> Canvas:
        """Do what the script says; the picture at its end."""
        canvas = self.step()
        for word in script.split():
            if word in HOLDS:
                self.hold(HOLDS[word])
            elif word == "d":
                self.machine.press(self.ns)
                for _ in range(17):
                    self.step()
            elif word.startswith("w"):
                self.step(round(float(word[1:]) * SECOND))
            else:
                self.machine.turn(int(word), self.ns)
            self.step()
            canvas = self.step()
        return canvas

    def hold(self, seconds: float) -> None:
        """Press for so long, drawn meanwhile."""
        self.machine.press(self.ns)
        until = self.ns + round(seconds * SECOND)
        while self.ns < until:
            self.step(min(STEP_NS * 2, until - self.ns))
        self.machine.release(self.ns)


def shot(layout: Layout, script: str, view: View, answers: Mapping = MappingProxyType({})) -> Image.Image:
    """The picture after a script."""
    return Player(layout, view, answers).play(script).image
