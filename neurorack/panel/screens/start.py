"""The start: a hit is struck, rings out, and leaves the name. Any control ends it."""

from __future__ import annotations

import math

from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.view import View

SECONDS, WRITING = 1.8, 0.9      # of the whole; until the name is complete
NAME = "NEURORACK"


class Start(Screen):
    """``now``: when it began, in a view's seconds."""

    name = "start"
    holds = ("", "", "")

    def __init__(self, now: float):
        self.began = now

    def turn(self, steps: int, fine: bool = False) -> None:
        self.panel.back()

    press = lambda self: self.panel.back()      # noqa: E731

    def hold(self, stage: int) -> None:
        self.panel.back()

    def draw(self, canvas: Canvas, view: View) -> None:
        at, lay = view.now - self.began, canvas.layout
        if at >= SECONDS and self.panel.screen is self:
            self.panel.back()
        middle, reach = canvas.height * 3 // 5, canvas.height * 0.34
        shown = min(1.0, at / WRITING)
        points = []
        for x in range(0, max(2, round(canvas.width * shown)), lay.line):
            t = x / canvas.width
            points.append((x, middle - reach * math.exp(-4.5 * t) * math.sin(2 * math.pi * 11 * t ** 0.8) * min(1.0, t * 30)))
        canvas.line(points, "accent", lay.line)
        letters = NAME[: round(len(NAME) * shown)]
        face = canvas.font("big")
        font = "big" if face.width(NAME) <= canvas.width - 2 * lay.margin else "title"
        canvas.text((canvas.width - canvas.text_width(NAME, font)) // 2, lay.margin + 2, letters, font)
        if at > WRITING:
            canvas.text(0, canvas.height - canvas.font("tiny").cap - lay.margin, view.slot.model or "…", "tiny", "dim", align="centre")
