"""Assign: what each jack, modulator, gate and the encoder does."""

from __future__ import annotations

from functools import partial

from neurorack.panel.screens.fields import WholeChoice, shown, words
from neurorack.panel.screens.hand import ACTIONS as HELD, held, turned
from neurorack.panel.screens.jacks import JackScreen
from neurorack.panel.screens.modulators import OFF, Modulator, routed, told_of
from neurorack.panel.screens.routes import routes_of, volts_of
from neurorack.panel.view import View
from neurorack.panel.widgets import Choice, Item, ListScreen
from neurorack.preferences import TABLE
from neurorack.voice.patch import GATE_ACTIONS, MODULATORS

GATES = ("gate1", "gate2")
ACTIONS = {"trigger": "a hit", "freeze": "freeze", "next": "next gesture", "scene": "next scene", "record": "record", "tap": "tap tempo", "none": "nothing"}


def moved(view: View, jack: str) -> str:
    """What a jack moves, in a few letters."""
    names = [route["control"] for route in routes_of(view, jack=jack)]
    return "—" if not names else names[0] if len(names) == 1 else f"{names[0]} +{len(names) - 1}"


class Assign(ListScreen):
    """Everything that can be patched."""

    name, title = "assign", "Assign"
    needs = ("status", "sources")

    def items(self, view: View) -> list[Item]:
        gates = view.answer("status").get("patch", {}).get("gates", {})
        items = [Item(jack, moved(view, jack), what=partial(self._jack, jack)) for jack in (f"cv{i + 1}" for i in range(view.cv_jacks))]
        items += [Item(gate, ACTIONS.get(gates[gate], gates[gate]) if gate in gates else "…", what=partial(self._gate, gate)) for gate in GATES]
        for name in MODULATORS:
            told = told_of(view, name)
            kind = words(told["kind"]) if told else "…"
            items.append(Item(name, kind if not told or told["kind"] == OFF else f"{kind} → {moved(view, name)}", what=partial(self._modulator, name)))
        return [*items, Item("turn on Home", words(turned(view)), what=self._turn), Item("hold on Home", HELD[held(view)][0], what=self._hold)]

    def _turn(self) -> None:
        names = [*TABLE["home.turn"].choices, *(one.name for one in self.panel.view.slot.controls)]
        self.panel.push(Choice("turning on Home", [(words(name), name) for name in dict.fromkeys(names)], turned(self.panel.view), partial(self._prefer, "home.turn")))

    def _hold(self) -> None:
        self.panel.push(Choice("1 s on Home", [(label, name) for name, (label, _) in HELD.items()], held(self.panel.view), partial(self._prefer, "home.hold")))

    def _prefer(self, name: str, value: str) -> None:
        self.panel.ask({"do": "preference", "name": name, "value": value}, lambda answer: self.panel.toast("kept"))

    def _jack(self, jack: str) -> None:
        self.panel.push(Patched(jack))

    def _modulator(self, name: str) -> None:
        self.panel.push(Modulator(name))

    def _gate(self, gate: str) -> None:
        self.panel.push(Gate(gate))


class Patched(ListScreen):
    """One CV jack: what it moves, and what it is."""

    name = "jack-routes"
    needs = ("status", "sources")

    def __init__(self, jack: str):
        super().__init__()
        self.jack = self.title = jack

    def items(self, view: View) -> list[Item]:
        return [*routed(self, view, self.jack), Item("settings of the jack", "→", what=lambda: self.panel.push(JackScreen(self.jack)))]

    def right(self, view: View) -> str:
        volts = volts_of(view, self.jack)
        return "" if volts is None else f"{volts:+.2f} V"


class Gate(ListScreen):
    """One gate: what it does, and whether it is a clock."""

    name = "gate"
    needs = ("status", "jacks")

    def __init__(self, gate: str):
        super().__init__()
        self.gate = self.title = gate

    def items(self, view: View) -> list[Item]:
        action = view.answer("status").get("patch", {}).get("gates", {}).get(self.gate)
        role = view.answer("jacks").get("jacks", {}).get(self.gate, {}).get("role")
        items = [Item("does", ACTIONS.get(action, action or "…"), what=partial(self._does, action))] if role in (None, "gate") else []
        return [*items, Item("is a", shown(role) if role else "…", what=lambda: self.panel.push(JackScreen(self.gate)))]

    def right(self, view: View) -> str:
        return "high" if view.gates_high >> (int(self.gate[-1]) - 1) & 1 else "low"

    def _does(self, action: str | None) -> None:
        self.panel.push(WholeChoice(f"{self.gate} does", list(GATE_ACTIONS), action, self._take, lambda one: ACTIONS.get(one, one)))

    def _take(self, action: str) -> None:
        self.panel.ask({"do": "gate_action", "gate": self.gate, "action": action})
