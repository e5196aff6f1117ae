"""The modulators: an LFO, an envelope and the others, each with its settings, its present voltage and what it moves."""

from __future__ import annotations

from functools import partial

from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.screens.fields import WholeChoice, row, words
from neurorack.panel.screens.routes import RouteScreen, Targets, amount, new_route, routes_of, volts_of
from neurorack.panel.view import View
from neurorack.panel.widgets import Item, ListScreen

OFF = "off"
STEP_VOLTS, FINE_VOLTS = 1 / 12, 0.01         # of the sequencer's: a semitone, and the hundredth of a volt


def told_of(view: View, name: str) -> dict | None:
    """A modulator's settings; None before the first answer."""
    return next((one for one in view.answer("sources").get("sources", []) if one["name"] == name), None)


def matters(fields: dict, key: str) -> bool:
    """Whether a field does anything beside the others."""
    clocked = "clock" in (fields.get("pace"), fields.get("trigger"))
    if key in ("multiply", "divide"):
        return clocked
    if key == "rate_hz":
        return not clocked
    if key == "width":
        return fields.get("shape") == "square"
    if key in ("sustain", "release_ms"):
        return fields.get("stages") != "ad"
    if fields["kind"] == "sample_hold" and key in ("low_volts", "high_volts"):
        return fields.get("input") == "noise"
    return True


class Modulator(ListScreen):
    """One of them."""

    name = "modulator"
    needs = ("sources", "status")

    def __init__(self, source: str):
        super().__init__()
        self.source = self.title = source

    def items(self, view: View) -> list[Item]:
        told, kinds = told_of(view, self.source), view.answer("sources").get("kinds", {})
        if not told or not kinds:
            return []
        items = [Item("kind", words(told["kind"]), what=partial(self._kind, list(kinds), told["kind"]))]
        for key, spec in kinds[told["kind"]]["fields"].items():
            if key in told and matters(told, key):
                items.append(row(self, key, spec, told[key], partial(self._set, key)))
        if told["kind"] != OFF:
            items += routed(self, view, self.source)
        return items

    def right(self, view: View) -> str:
        volts = volts_of(view, self.source)
        return "" if volts is None else f"{volts:+.2f} V"

    def _kind(self, kinds: list[str], present: str) -> None:
        self.panel.push(WholeChoice(f"{self.source} is", kinds, present, partial(self._set, "kind"), words))

    def _set(self, key: str, value) -> None:
        self.panel.ask({"do": "source", "source": self.source, key: value}, key=f"{self.source} {key}")


def routed(screen: Screen, view: View, jack: str) -> list[Item]:
    """Rows for what a jack or modulator moves, and for more of it."""
    items = [Item(f"→ {route['control']}", amount(route["amount_per_volt"]), what=partial(_show, screen, route)) for route in routes_of(view, jack=jack)]
    return items + [Item("move another control" if items else "move a control", "→", what=lambda: screen.panel.push(Targets(f"{jack} moves", partial(new_route, screen, jack))))]


def _show(screen: Screen, route: dict) -> None:
    screen.panel.push(RouteScreen(route["jack"], route["control"], route))


class Steps(Screen):
    """The step sequencer's voltages: turn to a step, press, turn its voltage, press."""

    name = "steps"
    holds = ("back", "shorter", "home")

    def __init__(self, title: str, spec: dict, value: list[float], take):
        self.title, self.spec, self.values, self._take = title, spec, list(value), take
        self.at, self.turning = 0, False

    @property
    def accelerates(self) -> bool:
        """Only a voltage does."""
        return self.turning

    def turn(self, steps: int, fine: bool = False) -> None:
        if not self.turning:
            self.at = max(0, min(len(self.values) - (len(self.values) == self.spec["most"]), self.at + steps))
            return
        step = FINE_VOLTS if fine else STEP_VOLTS
        volts = self.values[self.at] + steps * step
        self.values[self.at] = round(min(self.spec["high"], max(self.spec["low"], round(volts / step) * step)), 4)
        self._take(list(self.values))

    def press(self) -> None:
        if self.at == len(self.values):
            self.values.append(self.values[-1])
            self._take(list(self.values))
            self.turning = True
        else:
            self.turning = not self.turning

    def hold(self, stage: int) -> None:
        if stage == 2:
            if len(self.values) > 1:
                self.values.pop(min(self.at, len(self.values) - 1))
                self.at, self.turning = min(self.at, len(self.values) - 1), False
                self._take(list(self.values))
        elif stage == 1 and self.turning:
            self.turning = False
        else:
            super().hold(stage)

    def draw(self, canvas: Canvas, view: View) -> None:
        lay = canvas.layout
        new = self.at == len(self.values)
        y = canvas.title(f"{self.title} {self.at + 1}/{len(self.values)}" if not new else "another step", "" if new else f"{self.values[self.at]:+.2f} V")
        foot = canvas.font("tiny").height + 1
        height = canvas.height - y - foot - 2 * lay.gap
        low, high = min(0.0, *self.values), max(1.0, *self.values)
        count = len(self.values) + (len(self.values) < self.spec["most"])
        pitch = min((canvas.width - 2 * lay.margin) // count, 4 * lay.row)
        zero = y + lay.gap + round(height * high / (high - low))
        canvas.fill(lay.margin, zero, pitch * len(self.values), 1, "dim")
        for number in range(count):
            x, chosen = lay.margin + number * pitch, number == self.at
            if number == len(self.values):
                canvas.text(x, zero - canvas.font("regular").cap - 1, "+", colour="accent" if chosen else "dim", width=pitch - 1, align="centre")
            else:
                top = y + lay.gap + round(height * (high - self.values[number]) / (high - low))
                first, last = sorted((top, zero))
                draw = canvas.fill if chosen or lay.colour else canvas.frame
                draw(x, first, max(1, pitch - lay.line), max(lay.line, last - first + 1), "accent" if chosen and self.turning else "fg" if chosen or not lay.colour else "dim")
            if chosen:
                canvas.fill(x, y + height + 2 * lay.gap - lay.line, max(1, pitch - lay.line), lay.line, "accent")
        canvas.text(lay.margin, canvas.height - foot + 1, "turn: volts" if self.turning else "press: change it", "tiny", "dim", canvas.width - 2 * lay.margin)
