"""Controls: every named control with its knob, what the jacks add, and what comes out; turn one, route to it, teach it a controller."""

from __future__ import annotations

from functools import partial

from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.screens.routes import LearnJack, Origins, RouteScreen, amount, new_route, routes_of
from neurorack.panel.view import Control, View
from neurorack.panel.widgets import Confirm, Item, ListScreen, Value

LEARN_SECONDS = 15.0
LEVEL = "level"
#: The instrument's own controls that jacks can move, besides the model's: name -> what it is.
OWN = {"mix": "from slot A to slot B", "morph": "from one scene to the other"}


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def own_value(view: View, name: str) -> float | None:
    """Of mix or morph; None where there is nothing to mix or morph."""
    if name == "mix":
        return view.mix if view.slots[0].model and view.slots[1].model else None
    morph = view.answer("scenes").get("morph")
    return morph["value"] if morph else None


class Controls(ListScreen):
    """All of them, in the order of the model's card."""

    name, title = "controls", "Controls"
    holds = ("back", "turn it", "home")

    def items(self, view: View) -> list[Item]:
        items = [Item(one.name, what=one.name) for one in view.slot.controls]
        items += [Item(name, percent(value), what=name) for name in OWN if (value := own_value(view, name)) is not None]
        return items + [Item(LEVEL, f"{view.level_db:+.1f} dB", what=LEVEL)]

    def right(self, view: View) -> str:
        return view.slot.model

    def chosen(self, item: Item) -> None:
        self.panel.push(Level() if item.what == LEVEL else ControlScreen(item.what))

    def hold(self, stage: int) -> None:
        if stage == 2 and (item := self.item):
            self.panel.push(Level() if item.what == LEVEL else Knob(item.what))
        else:
            super().hold(stage)

    def draw(self, canvas: Canvas, view: View) -> None:
        super().draw(canvas, view)
        lay, items = canvas.layout, self.items(view)
        for number, item in enumerate(items[self.top: self.top + lay.rows]):
            if control := view.slot.control(item.what):
                draw_control(canvas, lay.title + number * lay.row, control, self.top + number == self.index, len(items) > lay.rows)


def draw_control(canvas: Canvas, y: int, control: Control, selected: bool, narrow: bool) -> None:
    """On the right half of a row: a tick where the knob stands, from there a bar to what comes out, and that as a number."""
    lay = canvas.layout
    right = canvas.width - lay.margin - (lay.line + 1 if narrow else 0)
    left, digits = canvas.width * 5 // 9, canvas.text_width("100")
    paper, ink = ("accent" if lay.colour else "fg", "bg") if selected else ("bg", "fg")
    canvas.fill(left - lay.margin, y, right + lay.margin - left, lay.row - lay.colour, paper)
    canvas.text(right - digits, canvas.middle(y, lay.row - 1), f"{100 * control.value:.0f}", colour=ink, width=digits, align="right")
    width, middle = right - digits - 2 * lay.margin - left, y + lay.row // 2 - 1
    canvas.fill(left, middle, width, 1, ink)
    knob_at, value_at = (left + round(share * (width - 1)) for share in (control.knob, control.value))
    low, high = sorted((knob_at, value_at))
    thick = lay.bar if lay.colour else 3
    canvas.fill(low, middle - thick // 2, high - low + 1, thick, ink if selected or not lay.colour else "accent")
    tall = lay.row - 8 if lay.colour else 7
    canvas.fill(knob_at, middle - tall // 2, lay.line, tall, ink)


class Knob(Value):
    """Turn a control; the mark is what the jacks make of it."""

    def __init__(self, control: str):
        super().__init__(control, self._now, self._turn_to, live=self._live, name="knob", show=percent, default=None if control in OWN else 0.5, doc=OWN.get(control, ""))
        self.control = control

    def _now(self, view: View) -> float | None:
        if self.control in OWN:
            return own_value(view, self.control)
        control = view.slot.control(self.control)
        return control and control.knob

    def _live(self, view: View) -> float | None:
        control = view.slot.control(self.control)
        return control and control.value

    def _turn_to(self, value: float) -> None:
        request = {"do": "morph", "value": value} if self.control == "morph" else {"do": "set", "control": self.control, "value": value}
        self.panel.ask(request, key=f"set {self.control}")

    def shown(self) -> None:
        if control := self.panel.view.slot.control(self.control):
            self.default, self.doc = control.default, control.doc


class Level(Value):
    """The output's."""

    def __init__(self):
        super().__init__(LEVEL, lambda view: view.level_db, lambda db: self.panel.ask({"do": "level", "db": db}, key=LEVEL), low=-60.0, high=12.0, step=0.5,
                         show=lambda db: f"{db:+.1f} dB", default=0.0, name="level", doc="of the output", origin=-60.0)


class ControlScreen(ListScreen):
    """One control: its knob, its routes, what it has learned."""

    name = "control"
    needs = ("status", "midi")

    def __init__(self, control: str):
        super().__init__()
        self.control = self.title = control

    def items(self, view: View) -> list[Item]:
        control = view.slot.control(self.control)
        value = own_value(view, self.control) if control is None else control.knob
        items = [Item("knob", "…" if value is None else percent(value), what=lambda: self.panel.push(Knob(self.control)))]
        if control:
            items.append(Item("drive", "bends" if control.drive == 0 else percent(control.drive), what=lambda: self.panel.push(self._drive(control))))
        for route in routes_of(view, control=self.control):
            items.append(Item(f"← {route['jack']}", amount(route["amount_per_volt"]), what=partial(self._route, route)))
        items += [Item("add a jack", "→", what=lambda: self.panel.push(Origins(f"{self.control}: from", lambda jack: new_route(self, jack, self.control)))),
                  Item("learn a jack", "move it", what=lambda: self.panel.push(LearnJack(self.control)))]
        told = view.answer("midi")
        learned = told.get("midi", {}).get("learned", {}).get(self.control)
        if learned:
            items.append(Item("MIDI", learned["source"], what=self._forget))
        items.append(Item("learn MIDI", "→" if "midi" in told else "no MIDI", what=self._learn_midi))
        if control:
            items.append(Item("to its default", percent(control.default), what=partial(self._default, control.default)))
        return items

    def right(self, view: View) -> str:
        control = view.slot.control(self.control)
        return percent(control.value) if control else ""

    def _route(self, route: dict) -> None:
        self.panel.push(RouteScreen(route["jack"], route["control"], route))

    def _drive(self, control: Control) -> Value:
        def tell(drive: float) -> None:
            now = self.panel.view.slot.control(self.control)
            self.panel.ask({"do": "set", "control": self.control, "value": now.knob if now else control.knob, "drive": drive}, key=f"set {self.control}")
        return Value(f"{self.control} drive", lambda view: control.drive, tell, show=percent, default=0.0, name="drive",
                     doc="0: it bends the gesture; 100: it sets the model's input itself")

    def _default(self, value: float) -> None:
        self.panel.ask({"do": "set", "control": self.control, "value": value}, lambda answer: self.panel.toast(f"{self.control} {percent(value)}"))

    def _learn_midi(self) -> None:
        self.panel.push(LearnMidi(self.control))

    def _forget(self) -> None:
        def forget() -> None:
            self.panel.ask({"do": "unlearn", "control": self.control}, lambda answer: self.panel.toast("forgotten"))
        self.panel.push(Confirm(f"forget MIDI of {self.control}?", forget))


class LearnMidi(Screen):
    """Waits until somebody moves a MIDI controller; the remote process takes it."""

    name = "learn-midi"
    holds = ("back", "", "home")

    def __init__(self, control: str):
        self.control, self._until, self._here = control, None, True

    def shown(self) -> None:
        self.panel.ask({"do": "learn", "control": self.control, "seconds": LEARN_SECONDS}, self._learned, failed=self._failed)

    def left(self) -> None:
        self._here = False

    def _learned(self, answer: dict) -> None:
        self._end()
        self.panel.toast(answer.get("text", "learned"))

    def _failed(self, text: str) -> None:
        self._end()
        self.panel.notice(text)

    def _end(self) -> None:
        if self._here:
            self.panel.back()

    def draw(self, canvas: Canvas, view: View) -> None:
        lay = canvas.layout
        self._until = self._until or view.now + LEARN_SECONDS
        y = canvas.title(f"learn: {self.control}")
        canvas.lines(lay.margin, y + 2 * lay.gap, "Move a knob or slider of your MIDI controller.", width=canvas.width - 2 * lay.margin)
        share = 1.0 if self._until is None else max(0.0, self._until - view.now) / LEARN_SECONDS
        canvas.bar(lay.margin, canvas.height - 3 * lay.bar, canvas.width - 2 * lay.margin, lay.bar, share, "accent")
