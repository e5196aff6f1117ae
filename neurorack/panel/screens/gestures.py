"""Gestures of a slot's model: the generator makes new ones, like the chosen one or unlike any; what was kept beside the model can go."""

from __future__ import annotations

from functools import partial

from neurorack.panel.view import Slot, View
from neurorack.panel.widgets import Confirm, Item, Menu

AT_ONCE = 4
NEAR, FAR = 0.3, 0.7          # distance from the chosen gesture


def chosen_gesture(slot: Slot) -> int:
    """Which gesture its knob chooses; -1 where there are none."""
    names = slot.card.get("gestures", ())
    control = next((control for control in slot.controls if control.kind == "gesture"), None)
    return min(len(names) - 1, int(control.knob * len(names))) if control and names else -1


class Gestures(Menu):
    """Of the model in slot ``slot`` ("A" or "B")."""

    def __init__(self, slot: str):
        super().__init__("Gestures", self._items_of, "gestures")
        self.slot = slot

    def _of(self, view: View) -> Slot:
        return view.slots["AB".index(self.slot)]

    def right(self, view: View) -> str:
        return self._of(view).model

    def _items_of(self, view: View) -> list[Item]:
        slot, items = self._of(view), []
        names, kept = slot.card.get("gestures", ()), slot.card.get("kept", 0)
        if slot.card.get("generates"):
            items.append(Item(f"{AT_ONCE} new ones", what=partial(self._make)))
            if (at := chosen_gesture(slot)) >= 0:
                items += [Item(f"Like {names[at]}", word, partial(self._make, like=names[at], distance=distance)) for word, distance in (("near", NEAR), ("far", FAR))]
        for place, name in enumerate(names):
            own = place < len(names) - kept
            items.append(Item(name, "" if own else "kept", None if own else partial(self._remove, name), "♪" if place == slot.gesture else "·"))
        return items or [Item("it has no gestures", colour="dim")]

    def _make(self, **wish) -> None:
        self.panel.toast("making gestures…")
        self.panel.ask({"do": "gestures", "slot": self.slot, "generate": AT_ONCE, **wish}, lambda answer: self.panel.toast(f"{len(answer['gestures'])} new gestures"))

    def _remove(self, name: str) -> None:
        self.panel.push(Confirm(f"Remove {name}?", lambda: self.panel.ask({"do": "gestures", "slot": self.slot, "remove": name},
                                                                         lambda answer: self.panel.toast(f"{name} is gone")),
                                "It was kept beside the model: recorded from sound, or made anew.", ("No", "Remove")))
