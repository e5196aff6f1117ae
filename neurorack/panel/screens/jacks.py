"""A jack's settings: role, range, smoothing, quantiser; of a gate: clock or reset, and how it divides."""

from __future__ import annotations

from functools import partial

from neurorack.panel.screens.fields import row
from neurorack.panel.view import View
from neurorack.panel.widgets import Item, ListScreen

UNITS = {"smooth_ms": "ms", "deadzone_volts": "V", "normal_volts": "V"}
DOCS = {"range": "volts beyond it are held at its end", "scale": "the quantiser", "pulses_per_beat": "of the clock that is patched in",
        "hits": "each step of the clock is a hit", "normal_volts": "what an open jack gives", "role": "what is patched in"}
#: Labels where the field's own name is too long or too short for a display.
LABELS = {"pulses_per_beat": "pulses/beat", "volts_per_octave": "V/octave", "deadzone_volts": "dead zone", "detect_unpatched": "find open jack", "normal_volts": "open gives"}
OF_A_CLOCK = ("pulses_per_beat", "multiply", "divide", "hits")


class JackScreen(ListScreen):
    """One jack, CV or gate."""

    name = "jack"
    needs = ("jacks",)

    def __init__(self, jack: str):
        super().__init__()
        self.jack = self.title = jack

    def items(self, view: View) -> list[Item]:
        told = view.answer("jacks")
        now, fields = told.get("jacks", {}).get(self.jack), told.get("fields", {}).get(self.jack[:2] if self.jack.startswith("cv") else "gate")
        if not now or not fields:
            return []
        return [row(self, key, {**spec, "unit": UNITS.get(key, ""), "doc": DOCS.get(key, "")}, now[key], partial(self._set, key), LABELS.get(key, ""))
                for key, spec in fields.items() if key not in OF_A_CLOCK or now["role"] == "clock"]

    def _set(self, key: str, value) -> None:
        self.panel.ask({"do": "jack", "jack": self.jack, key: value}, key=f"jack {self.jack} {key}")
