"""Routes: what moves a control, how far, and in which shape; choosing what to route, and learning a jack by moving it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from neurorack.inputs.quantise import NOTES, SCALES
from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.screens.fields import WholeChoice, row, shown
from neurorack.panel.view import View
from neurorack.panel.widgets import Choice, Item, ListScreen, Value
from neurorack.voice.patch import MODULATORS, MOST_STEPS, ROUTE_LIMITS

MOVED_VOLTS = 0.7             # a jack that moved so far while one is learned is the one
LEARN_SECONDS, BUSY_SECONDS, PATIENT_SECONDS = 15.0, 0.6, 3.0     # in all; a jack that moves in the first of them moves by itself; then that one, too
AMOUNT = "amount_per_volt"
#: field -> label, and the rest of its declaration; the limits are those of the request.
FIELDS = {
    AMOUNT: ("amount", {"default": 0.1, "step": 0.01, "doc": "of the control's way for each volt"}),
    "offset": ("offset", {"default": 0.0, "step": 0.01, "doc": "added, also at 0 V"}),
    "low": ("low end", {"default": 0.0, "step": 0.01, "doc": "the control does not go below it"}),
    "high": ("high end", {"default": 1.0, "step": 0.01, "doc": "the control does not go above it"}),
    "curve": ("curve", {"default": 1.0, "step": 0.05, "doc": "1 straight; above it soft around 0 V, below it quick"}),
    "smooth_ms": ("smooth", {"default": 5.0, "unit": "ms", "doc": "how long it takes to follow"}),
}
NARROWER = {AMOUNT: (-2, 2), "offset": (-1, 1)}       # what a hand wants of what may be asked for
READ = {"default": False, "choices": [False, True]}
PERCENT = {AMOUNT, "offset", "low", "high"}
KEPT = ("jack", "control", *FIELDS, "latched", "quantise")
QUANTISE = ["off", *(n for n in (2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32) if n <= MOST_STEPS), *list(SCALES)[1:]]


def amount(per_volt: float) -> str:
    """Of a route, for a row: +10 %/V."""
    return f"{100 * per_volt:+.0f} %/V"


def all_routes(view: View) -> list[dict]:
    """Every route of the patch, those to controls of other models included."""
    return view.answer("status").get("patch", {}).get("routes", [])


def routes_of(view: View, *, jack: str | None = None, control: str | None = None) -> list[dict]:
    return [route for route in all_routes(view) if jack in (None, route["jack"]) and control in (None, route["control"])]


def jacks_of(view: View) -> list[str]:
    """What can be routed here: this board's jacks and the modulators."""
    return [*(f"cv{i + 1}" for i in range(view.cv_jacks)), *MODULATORS]


def targets_of(view: View) -> list[str]:
    """What can be moved: the controls of what sounds and of what is beside it, and the instrument's own."""
    names = [one.name for slot in (view.slot, view.slots[1 - view.heard]) for one in slot.controls]
    return list(dict.fromkeys([*names, "mix", "morph"]))


def volts_of(view: View, jack: str) -> float | None:
    """What a jack or modulator carries now."""
    if jack.startswith("cv"):
        at = int(jack[2:]) - 1
        return view.cv_volts[at] if at < len(view.cv_volts) else None
    told = next((one for one in view.answer("sources").get("sources", []) if one["name"] == jack), None)
    return told and told["now_volts"]


class RouteScreen(ListScreen):
    """One route and all its fields. It keeps its own copy, so that two quick edits never undo each other."""

    name = "route"
    needs = ("status", "sources")

    def __init__(self, jack: str, control: str, fields: dict | None = None):
        super().__init__()
        self.jack, self.control, self.title = jack, control, f"{jack} → {control}"
        self.fields = {key: value for key, value in fields.items() if key in KEPT} if fields else None

    def items(self, view: View) -> list[Item]:
        if self.fields is None:
            found = routes_of(view, jack=self.jack, control=self.control)
            if not found:
                return []
            self.fields = {key: value for key, value in found[0].items() if key in KEPT}
        items = []
        for key, (label, spec) in FIELDS.items():
            low, high = NARROWER.get(key, ROUTE_LIMITS[key])
            full = {**spec, "low": low, "high": high}
            if key in PERCENT:
                item = self._percent(key, label, full)
            else:
                item = row(self, key, full, self.fields[key], partial(self._set, key), label)
            items.append(item)
        items.append(Item("quantise", shown(self.fields["quantise"]), what=self._quantise))
        items.append(row(self, "latched", READ, self.fields["latched"], partial(self._set, "latched"), "at hits only"))
        items.append(Item("other control", self.control, what=self._other))
        items.append(Item("remove", what=self._remove))
        return items

    def right(self, view: View) -> str:
        volts = volts_of(view, self.jack)
        return "" if volts is None else f"{volts:+.1f} V"

    def _percent(self, key: str, label: str, spec: dict) -> Item:
        unit = "%/V" if key == AMOUNT else "%"
        value = self.fields[key]

        def text(number: float) -> str:
            return f"{100 * number:{'.0f' if key in ('low', 'high') else '+.0f'}} {unit}"

        def edit() -> None:
            def live(view: View) -> float | None:
                control = view.slot.control(self.control)
                return control.value if control and key in ("low", "high") else None
            self.panel.push(Value(f"{self.jack} {label}", lambda view: value, partial(self._set, key), low=spec["low"], high=spec["high"], step=spec["step"], show=text,
                                  live=live, default=spec["default"], doc=spec["doc"]))
        return Item(label, text(value), what=edit)

    def _set(self, key: str, value) -> None:
        if key == "low":
            self.fields["high"] = max(self.fields["high"], value)
        if key == "high":
            self.fields["low"] = min(self.fields["low"], value)
        self.fields[key] = value
        self._tell()

    def _tell(self) -> None:
        self.panel.ask({"do": "route", **self.fields}, key=f"route {self.jack} {self.control}")

    def _quantise(self) -> None:
        def take(value) -> None:
            if value in list(SCALES)[1:]:
                self.panel.push(Choice("root", [(note, note) for note in NOTES], "C", lambda note: self._set("quantise", value if note == "C" else f"{note} {value}")))
            else:
                self._set("quantise", value)
        self.panel.push(WholeChoice("quantise", QUANTISE, self.fields["quantise"], take, lambda one: f"{one} values" if isinstance(one, int) else shown(one)))

    def _other(self) -> None:
        def take(control: str) -> None:
            self.panel.ask({"do": "unroute", "jack": self.jack, "control": self.control})
            self.control, self.title, self.fields["control"] = control, f"{self.jack} → {control}", control
            self._tell()
        self.panel.push(Targets(f"{self.jack} moves", take, self.control))

    def _remove(self) -> None:
        self.panel.ask({"do": "unroute", "jack": self.jack, "control": self.control}, lambda answer: self.panel.toast("removed"))
        self.panel.back()


def new_route(screen: Screen, jack: str, control: str) -> None:
    """Make it, with what most want, and show it."""
    known = routes_of(screen.panel.view, jack=jack, control=control)
    fields = {**{key: spec["default"] for key, (_, spec) in FIELDS.items()}, "latched": False, "quantise": "off", "jack": jack, "control": control}
    if not known:
        screen.panel.ask({"do": "route", **fields})
    screen.panel.push(RouteScreen(jack, control, known[0] if known else fields))


class Targets(Choice):
    """The controls that a jack may move."""

    def __init__(self, title: str, take: Callable[[str], None], present: str | None = None):
        super().__init__(title, [], present, take, "targets")

    def items(self, view: View) -> list[Item]:
        return [Item(name, what=name, mark="●" if name == self._present else "○") for name in targets_of(view)]


class Origins(ListScreen):
    """The jacks and modulators that may move a control, with what they carry."""

    name = "origins"
    needs = ("status", "sources")

    def __init__(self, title: str, take: Callable[[str], None]):
        super().__init__()
        self.title, self._take = title, take

    def items(self, view: View) -> list[Item]:
        found = []
        for jack in jacks_of(view):
            volts = volts_of(view, jack)
            found.append(Item(jack, "" if volts is None else f"{volts:+.2f} V", what=partial(self._choose, jack)))
        return found

    def _choose(self, jack: str) -> None:
        self.panel.back()
        self._take(jack)


class LearnJack(Screen):
    """Waits until somebody moves a jack, and takes it. A jack that moved by itself from the first, an LFO's say, gives way to one that begins to."""

    name = "learn-jack"
    holds = ("cancel", "", "home")

    def __init__(self, control: str):
        self.control = control
        self._spans: dict[str, tuple[float, float]] = {}
        self._busy: set[str] = set()
        self._until = None

    def draw(self, canvas: Canvas, view: View) -> None:
        self._look(view)
        lay = canvas.layout
        y = canvas.title(f"learn: {self.control}")
        left = 0.0 if self._until is None else max(0.0, self._until - view.now)
        y = canvas.lines(lay.margin, y + 2 * lay.gap, "Turn up what is patched: the jack that moves first is taken.", width=canvas.width - 2 * lay.margin)
        canvas.bar(lay.margin, canvas.height - 3 * lay.bar, canvas.width - 2 * lay.margin, lay.bar, left / LEARN_SECONDS, "accent")

    def _look(self, view: View) -> None:
        """Has one moved?"""
        if self._until is None:
            self._until = view.now + LEARN_SECONDS
        if view.now > self._until:
            self.panel.toast("no jack moved")
            self.panel.back()
            return
        waited = view.now - self._until + LEARN_SECONDS
        for at in range(view.cv_jacks):
            volts = view.cv_volts[at]
            low, high = self._spans.get(f"cv{at + 1}", (volts, volts))
            self._spans[f"cv{at + 1}"] = min(low, volts), max(high, volts)
        moved = {jack: high - low for jack, (low, high) in self._spans.items() if high - low > MOVED_VOLTS}
        if waited < BUSY_SECONDS:
            self._busy = set(moved)
        quiet = [jack for jack in moved if jack not in self._busy]
        if quiet or moved and waited > PATIENT_SECONDS:
            jack = max(quiet or moved, key=moved.get)
            self.panel.back()
            self.panel.toast(f"{jack} moves {self.control}")
            new_route(self.panel.screen, jack, self.control)
