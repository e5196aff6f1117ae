"""Home: what sounds, what moves it, and how the instrument is doing."""

from __future__ import annotations

from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.screens import MainMenu
from neurorack.panel.view import View


class Home(Screen):
    name = "home"
    holds = ("", "", "menu")

    def press(self) -> None:
        self.panel.push(MainMenu())

    def hold(self, stage: int) -> None:
        self.panel.push(MainMenu())

    def draw(self, canvas: Canvas, view: View) -> None:
        canvas.title(view.slot.model or "…")
