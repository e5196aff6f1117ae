"""Record: start and stop, how long, what room is left; the takes."""

from __future__ import annotations

from functools import partial

from neurorack.panel.canvas import Canvas
from neurorack.panel.view import View
from neurorack.panel.widgets import Confirm, Item, ListScreen


def length(seconds: float) -> str:
    """As a clock shows it: 1:02, 1:02:03."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def room(seconds: float) -> str:
    """What fits on the disk, in words."""
    hours = seconds / 3600
    return f"{hours:.0f} h left" if hours >= 10 else f"{hours:.1f} h left" if hours >= 1 else f"{seconds / 60:.0f} min left" if seconds >= 60 else f"{seconds:.0f} s left"


def short(name: str) -> str:
    """A take's name without what every one has: 11-20 003."""
    return name.removesuffix(".wav").removeprefix("take-").partition("-")[2].replace("-", " ").replace(" ", "-", 1)


class Record(ListScreen):
    """The button that records, large, and below it the takes."""

    name, title = "record", "Record"
    needs = ("takes",)

    def __init__(self):
        super().__init__()
        self._began: tuple[float, float] | None = None      # a view's time, and the take's length then

    def items(self, view: View) -> list[Item]:
        told = view.answer("takes")
        takes = [one for one in told.get("takes", []) if one["name"] != told.get("take")]
        return [Item("", what=self._toggle)] + [Item(short(one["name"]), length(one["seconds"]), what=partial(self._open, one)) for one in takes]

    def right(self, view: View) -> str:
        told = view.answer("takes")
        return room(told["free_seconds"]) if "free_seconds" in told else told.get("error", "")

    def _toggle(self) -> None:
        on = not self.panel.view.answer("takes").get("recording", False)
        self.panel.ask({"do": "record", "on": on}, lambda answer: self.panel.toast("recording" if on else f"kept {length(answer.get('seconds', 0))}"))

    def _open(self, take: dict) -> None:
        self.panel.push(Take(take))

    def draw(self, canvas: Canvas, view: View) -> None:
        lay, told, items = canvas.layout, view.answer("takes"), self.items(view)
        y = canvas.title(self.title, self.right(view))
        self.index = max(0, min(self.index, len(items) - 1))
        high = canvas.font("big").cap + 4 * lay.gap
        self._button(canvas, view, told, y, high)
        y += high + lay.gap
        rows = (canvas.height - y) // lay.row
        takes = items[1:]
        chosen = self.index - 1
        self.top = max(0, min(self.top, max(0, chosen), len(takes) - rows))
        self.top = max(self.top, chosen - rows + 1)
        if not takes:
            canvas.text(lay.margin, y + lay.gap, "no takes yet", colour="dim")
        for number, item in enumerate(takes[self.top: self.top + rows]):
            canvas.row(y + number * lay.row, item.label, item.value, self.top + number == chosen, width=canvas.width - (lay.line + 1 if len(takes) > rows else 0))
        canvas.scroll_bar(y, rows * lay.row, self.top, rows, len(takes))

    def _button(self, canvas: Canvas, view: View, told: dict, y: int, high: int) -> None:
        lay, on = canvas.layout, told.get("recording", False)
        seconds = self._seconds(view, told)
        if self.index == 0:
            canvas.fill(0, y, canvas.width, high, "accent" if lay.colour else "fg")
        ink = "bg" if self.index == 0 else "fg"
        radius, middle = high // 2 - 2 * lay.gap, y + high // 2
        x = 2 * lay.margin + radius
        if not on:
            canvas.dot(x, middle, radius, "bad" if lay.colour else ink)
        elif view.now % 1.0 < 0.6:
            canvas.fill(x - radius, middle - radius, 2 * radius, 2 * radius, "bad" if lay.colour else ink)
        left = x + radius + 3 * lay.margin
        text = length(seconds) if on else "record"
        canvas.text(left, middle - canvas.font("big").cap // 2, text, "big", ink, width=canvas.width - left - lay.margin)
        if on:
            wide = canvas.width - left - 2 * lay.margin
            canvas.fill(left, y + high - lay.bar, round(wide * min(1.0, max(view.meter))), lay.bar - lay.line, ink)

    def _seconds(self, view: View, told: dict) -> float:
        """Of the take that goes on, smooth between two answers."""
        if not told.get("recording"):
            self._began = None
            return 0.0
        if self._began is None or abs(view.now - self._began[0] + self._began[1] - told["seconds"]) > 1.0:
            self._began = (view.now, told["seconds"])
        return max(0.0, self._began[1] + view.now - self._began[0])


class Take(ListScreen):
    """One take."""

    name = "take"

    def __init__(self, take: dict):
        super().__init__()
        self.take, self.title = take, short(take["name"])

    def items(self, view: View) -> list[Item]:
        one = self.take
        return [Item("delete", "→", what=self._delete), Item("length", length(one["seconds"])), Item("size", f"{one['bytes'] / 1e6:.1f} MB"),
                Item("at", one["at"].replace("T", " ")), Item("of", one.get("about") or "—"), Item("file", one["name"])]

    def _delete(self) -> None:
        def gone(answer: dict) -> None:
            self.panel.toast("deleted")
            if self.panel.screen is self:
                self.panel.back()
        name = self.take["name"]
        self.panel.push(Confirm("delete this take?", lambda: self.panel.ask({"do": "take_delete", "take": name}, gone), f"{name}, {length(self.take['seconds'])}"))
