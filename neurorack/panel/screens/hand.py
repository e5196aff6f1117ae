"""What a hand does on Home: turning moves what was chosen, holding for 1 s does what was chosen. Assign chooses both; they are preferences."""

from __future__ import annotations

from neurorack.panel.screens.controls import OWN, own_value, percent
from neurorack.panel.view import View

FRESH_SECONDS = 1.0           # a value that was not turned for so long is looked up again
KNOB_STEP, LEVEL_STEP_DB = 0.01, 0.5
SCOPE, LEVEL = "scope", "level"
#: What holding can do -> (in words, the request).
ACTIONS = {
    "save": ("save scene", None), "scene": ("next scene", {"do": "scene_next"}), "undo": ("undo", {"do": "undo"}), "next": ("next model", {"do": "next"}),
    "gate1": ("hit gate 1", {"do": "hit", "gate": "gate1"}), "gate2": ("gate 2 on/off", {"do": "hit", "gate": "gate2", "hold": True}),
    "record": ("record", {"do": "record"}), "tap": ("tap tempo", {"do": "tap"}),
}


def turned(view: View) -> str:
    """What turning moves: ``scope``, ``level``, ``mix``, ``morph`` or a control's name."""
    return str(view.preferences.get("home.turn", SCOPE))


def held(view: View) -> str:
    """What holding does: a key of ``ACTIONS``."""
    return str(view.preferences.get("home.hold", "save"))


class Hand:
    """Of one Home."""

    def __init__(self):
        self._value, self._name, self._until = 0.0, "", 0.0

    def turn(self, panel, steps: int, fine: bool) -> bool:
        """Move what was chosen; False where that is the scope."""
        view = panel.view
        name = turned(view)
        if name == SCOPE:
            return False
        if name != self._name or view.now > self._until:
            present = self._present(view, name)
            if present is None:
                panel.toast(f"there is no {name} now")
                return True
            self._value, self._name = present, name
        self._until = view.now + FRESH_SECONDS
        steps = steps * 0.1 if fine else steps
        if name == LEVEL:
            self._value = min(12.0, max(-60.0, self._value + steps * LEVEL_STEP_DB))
            panel.ask({"do": "level", "db": self._value}, key=LEVEL)
        else:
            self._value = min(1.0, max(0.0, self._value + steps * KNOB_STEP))
            panel.ask({"do": "morph", "value": self._value} if name == "morph" else {"do": "set", "control": name, "value": self._value}, key=f"set {name}")
        panel.toast(f"{name} {self._value:+.1f} dB" if name == LEVEL else f"{name} {percent(self._value)}")
        return True

    @staticmethod
    def _present(view: View, name: str) -> float | None:
        if name == LEVEL:
            return view.level_db
        if name in OWN:
            return own_value(view, name)
        control = view.slot.control(name)
        return control and control.knob

    @staticmethod
    def hold(panel) -> bool:
        """Do what was chosen; False where that is saving a scene."""
        words, request = ACTIONS.get(held(panel.view), ACTIONS["save"])
        if request:
            panel.ask(request, lambda answer: panel.toast(words))
        return request is not None
