"""What the encoder's light means. ``docs/panel.md`` lists the same."""

from __future__ import annotations

from neurorack.panel.machine import BLANK, DIM
from neurorack.panel.view import View

#: What is going on -> red, green, blue, the first that holds. The light of a dim or dark display is dim.
COLOURS = (
    ("underrun", (255, 0, 0), "the sound had a gap in the last half second"),
    ("held", (255, 255, 255), "the button is down"),
    ("notice", (255, 96, 0), "there is something to read"),
    ("busy", (255, 160, 0), "a model is being loaded"),
    ("frozen", (0, 96, 255), "the sound is frozen"),
    ("hit", (0, 255, 64), "gate 1 is high"),
    ("recording", (120, 0, 24), "a take is being recorded"),
    ("value", (160, 0, 255), "turning changes a value"),
    ("silent", (24, 24, 24), "no model plays yet"),
    ("playing", (0, 40, 72), "all is well"),
)
UNDERRUN_SECONDS = 0.5


def meaning(view: View, machine) -> str:
    """The name of what the light says now."""
    job = view.answer("status").get("job")
    holds = {"underrun": view.underrun_age < UNDERRUN_SECONDS, "held": machine.held, "notice": bool(machine.notices), "busy": bool(job),
             "frozen": view.slot.frozen, "hit": bool(view.gates_high & 1), "recording": view.recording, "value": machine.screen.accelerates,
             "silent": not any(slot.playing for slot in view.slots), "playing": True}
    return next(name for name, _, _ in COLOURS if holds[name])


def colour(view: View, machine) -> tuple[int, int, int]:
    """Red, green, blue, 0..255 each."""
    red, green, blue = next(rgb for name, rgb, _ in COLOURS if name == meaning(view, machine))
    share = {BLANK: 0.06, DIM: 0.25}.get(machine.light, 1.0)
    return round(red * share), round(green * share), round(blue * share)
