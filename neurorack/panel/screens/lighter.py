"""A lighter model of one of the library: being made beside the sound, then kept or discarded with its figure before one's eyes."""

from __future__ import annotations

from collections.abc import Mapping

from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.view import View
from neurorack.panel.widgets import Item, buttons

KINDS = ("native", "lifted")       # what the engine plays
WORDS = {"working": ("Cancel",), "made": ("Keep", "Discard"), "failed": ("OK",), "keeping": (), "": ()}


def known(view: View, name: str) -> Mapping:
    """What the instrument tells of the lighter one of a model; nothing where there is none."""
    return view.answer("lighter").get("lighter", {}).get(name, {})


def going(view: View) -> str:
    """What is being made, in a few words; "" for nothing."""
    return next((f"{name} lighter: {one['share']:.0%}" for name, one in view.answer("lighter").get("lighter", {}).items() if one["phase"] == "working"), "")


def entry(panel, view: View, row: Mapping) -> list[Item]:
    """The row of a model's menu, where the engine plays the model. A press begins, or shows what is known."""
    if row.get("kind") not in KINDS or row["verdict"] not in (None, "plays"):
        return []
    told = known(view, row["name"])
    words = {"working": f"{told.get('share', 0):.0%}", "made": "keep?", "failed": "✗"}.get(told.get("phase"), "")
    return [Item("Lighter", words, lambda: panel.push(Lighter(row["name"], begin=not told)))]


class Lighter(Screen):
    """Of the model ``name``. With ``begin`` it is begun as the screen comes up."""

    name, needs = "lighter", ("lighter",)

    def __init__(self, name: str, begin: bool):
        self.model, self.begin = name, begin
        self.phase, self.index, self.keeping, self.seen = "", 0, False, False

    def shown(self) -> None:
        if self.begin:
            self.begin = False
            self.panel.ask({"do": "lighter_make", "model": self.model}, failed=self._refused)

    def _refused(self, text: str) -> None:
        self.panel.notice(text)
        if self.panel.screen is self:
            self.panel.back()

    def turn(self, steps: int, fine: bool = False) -> None:
        self.index = max(0, min(len(WORDS[self.phase]) - 1, self.index + steps))

    def press(self) -> None:
        word = (WORDS[self.phase] or ("",))[self.index]
        if word == "Keep":
            self.keeping = True
            self.panel.ask({"do": "lighter_keep", "model": self.model}, self._kept, failed=self._not_kept)
        elif word:
            self.panel.ask({"do": "lighter_discard", "model": self.model})
            self.panel.toast(f"{self.model} stays as it is")
            self.panel.back()
        elif self.seen and not self.keeping:
            self.panel.back()

    def _kept(self, answer: dict) -> None:
        self.panel.toast(f"{answer['name']} is in the library")
        if self.panel.screen is self:
            self.panel.back()

    def _not_kept(self, text: str) -> None:
        self.keeping = False
        self.panel.notice(text)

    def _follow(self, told: Mapping) -> None:
        """The phase by what the instrument tells; a choice begins anew with each."""
        self.seen |= bool(told)
        phase = "keeping" if self.keeping else told.get("phase", "")
        if phase != self.phase:
            self.phase, self.index = phase, 0

    def draw(self, canvas: Canvas, view: View) -> None:
        lay, told = canvas.layout, known(view, self.model)
        self._follow(told)
        y = canvas.title(self.model, "lighter") + lay.gap
        bottom, width = canvas.height - lay.row, canvas.width - 2 * lay.margin
        if self.phase in ("made", "failed"):
            room = (bottom - y) // (canvas.font("regular").height + 2 * lay.colour)
            canvas.lines(lay.margin, y, told["line"], colour="fg" if self.phase == "made" else "dim", most=room)
        else:
            words = told["stage"] if self.phase == "working" else "checking it" if self.keeping else "kept or discarded elsewhere" if self.seen else "starting"
            canvas.text(lay.margin, y, words, colour="dim", width=width, scroll=True)
            if self.phase == "working":
                canvas.bar(lay.margin, (y + canvas.font("regular").height + bottom) // 2 - lay.bar, width, 2 * lay.bar, told["share"], "accent")
        buttons(canvas, bottom, WORDS[self.phase], self.index)
