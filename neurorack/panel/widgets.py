"""Screens that others are made of: lists, choices, values, questions, long texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.view import View


@dataclass(frozen=True)
class Item:
    """A row: ``label``, ``value`` on the right, ``mark`` (a sign) before it. ``what`` is for whoever made it: a press calls it if it can be called."""

    label: str
    value: str = ""
    what: object = None
    mark: str = ""
    colour: str = "fg"


class ListScreen(Screen):
    """A title and rows to choose from. Subclasses give ``items(view)`` and ``chosen(item)``."""

    title = ""
    empty = "nothing here yet"

    def __init__(self):
        self.index = self.top = 0
        self.shown_items: list[Item] = []

    def items(self, view: View) -> list[Item]:
        raise NotImplementedError

    def right(self, view: View) -> str:
        """A short text at the right of the title."""
        return ""

    def chosen(self, item: Item) -> None:
        """A press on a row."""
        if callable(item.what):
            item.what()

    @property
    def item(self) -> Item | None:
        """The selected row, as it was last seen."""
        items = self.items(self.panel.view)
        return items[min(self.index, len(items) - 1)] if items else None

    def select(self, what) -> None:
        """Select the row whose ``what`` is this."""
        found = [i for i, item in enumerate(self.items(self.panel.view)) if item.what == what]
        self.index = found[0] if found else self.index

    def turn(self, steps: int, fine: bool = False) -> None:
        count = len(self.items(self.panel.view))
        self.index = max(0, min(count - 1, self.index + steps))

    def press(self) -> None:
        if item := self.item:
            self.chosen(item)

    def draw(self, canvas: Canvas, view: View) -> None:
        lay, items = canvas.layout, self.items(view)
        y = canvas.title(self.title, self.right(view))
        self.index = max(0, min(self.index, len(items) - 1))
        rows = lay.rows
        self.top = max(0, min(self.top, self.index, len(items) - rows))
        self.top = max(self.top, self.index - rows + 1)
        if not items:
            canvas.lines(lay.margin, y + lay.gap, self.empty, colour="dim")
        for number, item in enumerate(items[self.top: self.top + rows]):
            canvas.row(y + number * lay.row, item.label, item.value, self.top + number == self.index, item.mark, item.colour,
                       canvas.width - (lay.line + 1 if len(items) > rows else 0))
        canvas.scroll_bar(y, rows * lay.row, self.top, rows, len(items))


class Menu(ListScreen):
    """A list of other screens or actions: ``Item(label, what=call)``."""

    def __init__(self, title: str, items: list[Item] | Callable[[View], list[Item]], name: str = "menu"):
        super().__init__()
        self.title, self.name, self._items = title, name, items

    def items(self, view: View) -> list[Item]:
        return self._items(view) if callable(self._items) else self._items


class Choice(ListScreen):
    """One out of several: the present one is marked; a press takes and goes back."""

    def __init__(self, title: str, choices: list[tuple[str, object]], present, take: Callable[[object], None], name: str = "choice"):
        super().__init__()
        self.title, self.name, self._choices, self._present, self._take = title, name, choices, present, take
        self.index = next((i for i, (_, what) in enumerate(choices) if what == present), 0)

    def items(self, view: View) -> list[Item]:
        return [Item(label, what=what, mark="●" if what == self._present else "○") for label, what in self._choices]

    def chosen(self, item: Item) -> None:
        self.panel.back()
        self._take(item.what)


def buttons(canvas: Canvas, y: int, words: tuple[str, ...], index: int) -> None:
    """At most two answers beside each other, in a row at ``y``; the second one takes something away."""
    lay, wide = canvas.layout, canvas.width // max(1, len(words))
    for number, word in enumerate(words):
        x, selected = number * wide, number == index
        if selected:
            canvas.fill(x + 1, y, wide - 2, lay.row, ("accent", "bad")[number])
        else:
            canvas.frame(x + 1, y, wide - 2, lay.row, "dim")
        canvas.text(x + 1, canvas.middle(y, lay.row), word, colour="bg" if selected else "fg", width=wide - 2, align="centre")


class Confirm(Screen):
    """A question before something that cannot be undone. It begins at "no"; a press on "yes" does it."""

    name = "confirm"

    def __init__(self, question: str, yes: Callable[[], None], detail: str = "", words: tuple[str, str] = ("No", "Yes")):
        self.question, self.detail, self._yes, self.words, self.index = question, detail, yes, words, 0

    def turn(self, steps: int, fine: bool = False) -> None:
        self.index = max(0, min(1, self.index + steps))

    def press(self) -> None:
        self.panel.back()
        if self.index:
            self._yes()

    def draw(self, canvas: Canvas, view: View) -> None:
        lay = canvas.layout
        y = canvas.title(self.question)
        bottom = canvas.height - lay.row
        face = canvas.font("regular")
        room = max(1, (bottom - y - lay.gap) // (face.height + 2))
        canvas.lines(lay.margin, y + lay.gap, self.detail, colour="dim", most=room)
        buttons(canvas, bottom, self.words, self.index)


class Value(Screen):
    """A number to turn. It begins at the present value, so nothing jumps; each turn is told at once; a press keeps, back restores nothing.

    Args:
        get: the present value, from a view (taken once, when it is first drawn or turned); None: not known yet.
        tell: called with each new value.
        step: of one detent; turning with the button down is a tenth of it.
        show: text of a value.
        live: a second value from a view, 0..1 of the range, drawn as a mark (what CVs make of it).
        default: a press of 1 s goes there.
    """

    accelerates = True
    holds = ("back", "default", "home")

    def __init__(self, title: str, get: Callable[[View], float | None], tell: Callable[[float], None], *, low: float = 0.0, high: float = 1.0, step: float = 0.01,
                 show: Callable[[float], str] = "{:.2f}".format, live: Callable[[View], float | None] | None = None, default: float | None = None,
                 doc: str = "", name: str = "value", origin: float | None = None):
        self.title, self._get, self._tell, self.low, self.high, self.step = title, get, tell, low, high, step
        self._show, self._live, self.default, self.doc, self.name = show, live, default, doc, name
        self.origin = max(low, min(high, 0.0)) if origin is None else origin
        self.value: float | None = None
        if default is None:
            self.holds = ("back", "", "home")

    def _begin(self, view: View) -> None:
        if self.value is None:
            self.value = self._get(view)

    def turn(self, steps: int, fine: bool = False) -> None:
        self._begin(self.panel.view)
        if self.value is not None:
            self.set(self.value + steps * self.step * (0.1 if fine else 1.0))

    def set(self, value: float) -> None:
        """Go there, within the limits, and tell."""
        grid = self.step / 10
        value = min(self.high, max(self.low, round(value / grid) * grid))
        if value != self.value:
            self.value = value
            self._tell(value)

    def press(self) -> None:
        self.panel.back()

    def hold(self, stage: int) -> None:
        if stage == 2 and self.default is not None:
            self.set(self.default)
        else:
            super().hold(stage)

    def _share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def draw(self, canvas: Canvas, view: View) -> None:
        lay = canvas.layout
        self._begin(view)
        y = canvas.title(self.title)
        text = "…" if self.value is None else self._show(self.value)
        big = "big" if canvas.text_width(text, "big") <= canvas.width - 2 * lay.margin else "regular"
        space = canvas.height - y
        at = y + (space - canvas.font(big).cap - 3 * lay.bar - 4 * lay.gap - canvas.font("tiny").cap) // 2
        canvas.text(lay.margin, at, text, big, width=canvas.width - 2 * lay.margin, align="centre")
        at += canvas.font(big).cap + 2 * lay.gap
        if self.value is not None:
            mark = self._live(view) if self._live else None
            canvas.bar(lay.margin, at, canvas.width - 2 * lay.margin, 2 * lay.bar, self._share(self.value), "accent", self._share(self.origin), mark)
        at += 2 * lay.bar + 2 * lay.gap
        if self.doc:
            canvas.text(lay.margin, canvas.height - canvas.font("tiny").height - 1, self.doc, "tiny", "dim", canvas.width - 2 * lay.margin, scroll=True)


class Text(Screen):
    """A long text to scroll through. Lines that begin with "# " are headings."""

    def __init__(self, title: str, text: str | Callable[[View], str], name: str = "text"):
        self.title, self._text, self.name, self.top = title, text, name, 0
        self._count = 0

    def turn(self, steps: int, fine: bool = False) -> None:
        self.top = max(0, self.top + steps)

    def press(self) -> None:
        self.panel.back()

    def draw(self, canvas: Canvas, view: View) -> None:
        lay, text = canvas.layout, self._text(view) if callable(self._text) else self._text
        y = canvas.title(self.title)
        face = canvas.font("regular")
        pitch = face.height + (4 if lay.colour else 1)
        width = canvas.width - 2 * lay.margin - lay.line - 1
        lines = []
        for paragraph in text.split("\n"):
            heading = paragraph.startswith("# ")
            lines += [(line, "accent" if heading else "fg") for line in face.wrap(paragraph.removeprefix("# "), width)]
        rows = (canvas.height - y - 1) // pitch
        self.top = max(0, min(self.top, len(lines) - rows))
        for number, (line, colour) in enumerate(lines[self.top: self.top + rows]):
            taken = canvas.text(lay.margin, y + 1 + number * pitch, line, colour=colour, width=width)
            if colour == "accent" and not lay.colour:
                canvas.dotted(lay.margin, y + 1 + number * pitch + face.height - 1, taken, 2)
        canvas.scroll_bar(y, rows * pitch, self.top, rows, len(lines))
