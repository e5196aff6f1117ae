"""Models: the two slots, the blend between them, the library with its verdicts; a model's menu, its audition and its measurement."""

from __future__ import annotations

import re
from collections.abc import Mapping

from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.screens import lighter
from neurorack.panel.screens.gestures import Gestures
from neurorack.panel.screens.pictures import meter, spectrum
from neurorack.panel.view import Slot, View
from neurorack.panel.widgets import Item, ListScreen, Menu, Text, Value


def verdict(row: Mapping) -> tuple[str, str]:
    """A model's verdict as a short text and a colour: its share of a core, ✗, or ? where it was not checked here."""
    line = row.get("line") or ""
    if row.get("verdict") not in (None, "plays"):
        return "✗", "dim"
    if found := re.search(r"(less than )?(\d+(?:\.\d+)?) ?% of one core", line):
        return f"{'<' if found[1] else ''}{found[2]}%", "fg"
    return ("✓", "fg") if row.get("verdict") else ("?", "dim")


def other(view: View) -> Slot:
    """The slot that is heard less, or not at all."""
    return view.slots[1 - view.heard]


class Models(ListScreen):
    name, title = "models", "Models"
    needs = ("status", "models", "lighter")

    def right(self, view: View) -> str:
        job = view.answer("status").get("job")
        return f"{job['model']}: {job['phase']}" if job else lighter.going(view)

    def items(self, view: View) -> list[Item]:
        a, b = view.slots
        items = [Item(slot.model or "empty", f"{100 * slot.load:.0f}%" if slot.playing else "", ("slot", slot.name), slot.name,
                      "fg" if not slot.model else slot.name.lower()) for slot in (a, b)]
        if a.playing and b.playing:
            items += [Item("Blend A × B", f"{100 * view.mix:.0f}%", self._blend), Item("Swap A and B", "→ " + "BA"[view.heard], self._swap)]
        told = view.answer("models")
        playing = {slot.model: slot.name for slot in view.slots if slot.model}
        for row in told.get("models", []):
            value, colour = verdict(row)
            items.append(Item(row["name"], value, ("model", row["name"]), "♪" if row["name"] in playing else "○" if lighter.known(view, row["name"]) else "·", colour))
        if not told:
            items.append(Item("reading the library…"))
        if told.get("error"):
            items.append(Item(told["error"], colour="bad"))
        return items

    def chosen(self, item: Item) -> None:
        if not isinstance(item.what, tuple):
            super().chosen(item)
        elif item.what[0] == "slot":
            slot = self.panel.view.slots["AB".index(item.what[1])]
            if slot.model:
                self.panel.push(SlotMenu(slot.name))
            else:
                self.panel.notice(f"slot {slot.name} is empty", "choose a model below, then: load beside")
        else:
            rows = self.panel.view.answer("models").get("models", [])
            row = next((row for row in rows if row["name"] == item.what[1]), None)
            if row:
                self.panel.push(ModelMenu(row))

    def _blend(self) -> None:
        self.panel.push(blend())

    def _swap(self) -> None:
        target = 1 - self.panel.view.heard
        self.panel.ask({"do": "mix", "value": float(target)}, lambda answer: self.panel.toast(f"slot {'AB'[target]} plays"))


def blend() -> Value:
    """The crossfade by hand."""
    screen = Value("Blend A × B", lambda view: view.mix, lambda value: screen.panel.ask({"do": "mix", "value": value}, key="mix"), step=0.02,
                   show=lambda value: f"{100 - round(100 * value)} : {round(100 * value)}", live=lambda view: view.mix, default=0.5, name="blend",
                   doc="0 is slot A alone, 1 slot B")
    return screen


class SlotMenu(Menu):
    """What can be done with a model that is in a slot."""

    def __init__(self, slot: str):
        super().__init__(f"Slot {slot}", self._items_of, "slot")
        self.slot = slot

    def _items_of(self, view: View) -> list[Item]:
        slot = view.slots["AB".index(self.slot)]
        items = [Item("Info", what=lambda: show_info(self.panel, slot.model)),
                 Item("Gestures", str(len(slot.card.get("gestures", ())) or ""), lambda: self.panel.push(Gestures(slot.name))),
                 Item("Measure", what=lambda: self.panel.push(Measure(slot.card.get("file") or slot.model, slot.model))),
                 Item("Reload", what=lambda: play(self.panel, slot.card.get("file") or slot.model, slot.model))] if slot.model else []
        if slot.playing and other(view).playing:
            items += [Item("Blend A × B", what=lambda: self.panel.push(blend())), Item("Unload", what=lambda: self._unload(slot.name))]
        return items

    def right(self, view: View) -> str:
        return view.slots["AB".index(self.slot)].model

    def _unload(self, slot: str) -> None:
        self.panel.ask({"do": "unload", "slot": slot}, lambda answer: self.panel.toast(f"slot {slot} is empty"))
        self.panel.back()


class ModelMenu(Menu):
    """What can be done with a model of the library. ``row``: as ``neurorack models list`` has it."""

    needs = ("lighter",)

    def __init__(self, row: Mapping):
        super().__init__(row["name"], self._items_of, "model")
        self.row = row

    def right(self, view: View) -> str:
        return verdict(self.row)[0]

    def _items_of(self, view: View) -> list[Item]:
        name, slot = self.row["name"], other(view).name
        items = [Item("Why not", what=lambda: self.panel.push(Text(name, self.row["line"] or "", "why")))] if self.row["verdict"] not in (None, "plays") else []
        return items + [
            Item("Play", what=lambda: play(self.panel, name, name)),
            Item("Audition", what=lambda: self.panel.push(Audition(name))),
            Item("Load beside", f"→ {slot}", lambda: load(self.panel, slot, name)),
            Item("Info", what=lambda: show_info(self.panel, name)),
            Item("Measure", what=lambda: self.panel.push(Measure(name, name))),
            *lighter.entry(self.panel, view, self.row)]


def play(panel, model: str, title: str) -> None:
    """Change to it; the old one plays until the new one has proven itself."""
    panel.toast(f"loading {title}…")
    panel.ask({"do": "swap", "model": model}, lambda answer: panel.toast(f"{title} plays"))
    panel.home()


def load(panel, slot: str, model: str) -> None:
    """Into the other slot, beside what plays; then they can be blended."""
    def loaded(answer: dict) -> None:
        panel.toast(f"{model} is in slot {slot}")
        panel.push(blend())

    panel.toast(f"loading {model}…")
    panel.ask({"do": "load", "slot": slot, "model": model}, loaded)
    panel.back()


def show_info(panel, model: str) -> None:
    """The card of a model, once it was read."""
    panel.ask({"do": "model", "model": model}, lambda answer: panel.push(Text(model, info_text(answer["model"]), "info")))


def info_text(told: Mapping) -> str:
    """What is known of a model, to read."""
    check = told.get("check") or {}
    parts = [("", told.get("notes") or ""), ("Verdict here", told.get("line") or "not checked on this board"),
             ("Notes", "\n".join(check.get("notes") or [])),
             ("By", told.get("author") or "not stated"), ("Licence", told.get("licence") or "not stated"),
             ("Sound", f"{told['sample_rate_hz']} Hz, hop {told['hop_frames']}" if told.get("sample_rate_hz") else ""),
             ("File", f"{told['source_file']}, {told['bytes'] / 1e6:.1f} MB"),
             ("Controls", ", ".join(control["name"] for control in told.get("controls", []))), ("Gestures", ", ".join(told.get("gestures", [])))]
    return "\n".join((f"# {head}\n" if head else "") + text for head, text in parts if text)


class Audition(Screen):
    """A model on trial: a press keeps it, going back brings the one before it again."""

    name = "audition"
    holds = ("go back", "", "home")

    def __init__(self, model: str):
        self.model, self.before, self.kept, self.plays = model, "", False, False

    def shown(self) -> None:
        if not self.before:
            slot = self.panel.view.slot
            self.before = slot.card.get("file") or slot.model
            self.panel.ask({"do": "swap", "model": self.model}, self._came, failed=self._failed)

    def _came(self, answer: dict) -> None:
        self.plays = True
        if self.panel.screen is not self and not self.kept:      # left while it was loaded
            self._return()

    def _failed(self, text: str) -> None:
        self.kept = True
        self.panel.notice(text)
        if self.panel.screen is self:
            self.panel.back()

    def left(self) -> None:
        if self.plays and not self.kept:
            self._return()

    def _return(self) -> None:
        self.kept = True
        if self.before:
            self.panel.ask({"do": "swap", "model": self.before})

    def press(self) -> None:
        if self.plays:
            self.kept = True
            self.panel.toast(f"{self.model} stays")
            self.panel.back()

    def draw(self, canvas: Canvas, view: View) -> None:
        lay = canvas.layout
        y = canvas.title(self.model, "" if self.plays else "loading…") + lay.gap
        height, meters = canvas.height - y - lay.row - lay.gap, 8 if not lay.colour else 22
        side = lay.margin * lay.colour
        spectrum(canvas, view, side, y, canvas.width - meters - lay.gap - 2 * side, height, "accent")
        meter(canvas, view, canvas.width - meters - side, y, meters, height)
        bottom = canvas.height - lay.row
        if self.plays:
            canvas.fill(0, bottom, canvas.width, lay.row, "accent")
            canvas.text(lay.margin, canvas.middle(bottom, lay.row), "press: keep · hold: go back", colour="bg", width=canvas.width - 2 * lay.margin, align="centre")
        else:
            canvas.text(lay.margin, canvas.middle(bottom, lay.row), "hold: go back", colour="dim", width=canvas.width - 2 * lay.margin, align="centre")


class Measure(Screen):
    """How fast this board plays a model: blocks, their times, the share of a core."""

    name = "measure"

    def __init__(self, model: str, title: str):
        self.model, self.title, self.rows, self.error = model, title, None, ""

    def shown(self) -> None:
        if self.rows is None and not self.error:
            self.panel.ask({"do": "bench", "model": self.model}, self._measured, failed=self._failed)

    def _measured(self, answer: dict) -> None:
        self.rows = answer["bench"]["blocks"]

    def _failed(self, text: str) -> None:
        self.error = text

    def press(self) -> None:
        self.panel.back()

    def draw(self, canvas: Canvas, view: View) -> None:
        lay = canvas.layout
        y = canvas.title(f"Measure {self.title}")
        if self.error:
            canvas.lines(lay.margin, y + lay.gap, self.error, colour="bad")
        elif self.rows is None:
            canvas.moves = True
            canvas.lines(lay.margin, y + lay.gap, "measuring, while it plays on" + "." * (1 + int(view.now * 2) % 3), colour="dim")
        else:
            places = (0.22, 0.6, 0.98)
            for number, words in enumerate((("block", "time", "of a core"), *((str(row["block_frames"]), f"{row['median_us']:.0f} µs", f"{100 * row['load_p99']:.1f}%")
                                            for row in self.rows[: lay.rows - 1]))):
                right = 0
                for word, share in zip(words, places):
                    at = round(canvas.width * share)
                    canvas.text(right, y + number * lay.row + lay.line, word, "regular" if number else "tiny", "fg" if number else "dim", at - right, "right")
                    right = at
