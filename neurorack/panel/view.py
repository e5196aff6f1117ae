"""What the screens see: a ``View`` is one moment of the instrument, immutable, with everything a screen may show.

The same view gives the same pixels. ``looking.py`` makes views from the shared block and from what the supervisor answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

SCOPE_FRAMES = 2048
NOTHING: Mapping = MappingProxyType({})


@dataclass(frozen=True)
class Control:
    """A named control of a slot's model. Values 0..1."""

    name: str
    value: float = 0.5        # as it stands, CVs included
    knob: float = 0.5         # where its knob stands
    drive: float = 0.0
    default: float = 0.5
    unit: str = ""
    doc: str = ""
    kind: str = "input"
    label: str = ""


@dataclass(frozen=True)
class Route:
    """A jack, or a modulator, and the control it moves in this slot."""

    jack: str
    control: str
    amount_per_volt: float = 0.1
    offset: float = 0.0
    curve: float = 1.0
    smooth_ms: float = 5.0
    latched: bool = False


@dataclass(frozen=True)
class Slot:
    """One of the two. ``model`` is empty while nothing is in it."""

    name: str = "A"
    model: str = ""
    playing: bool = False
    load: float = 0.0         # of one core
    load_max: float = 0.0
    block_frames: int = 0
    block_us: float = 0.0
    lead_frames: int = 0
    frozen: bool = False
    gesture: int = -1
    controls: tuple[Control, ...] = ()
    routes: tuple[Route, ...] = ()
    plane: tuple[str, str] | None = None      # names of the controls that span its map
    card: Mapping = field(default_factory=lambda: NOTHING)                   # as ``{"do": "card"}`` answers

    def control(self, name: str) -> Control | None:
        return next((control for control in self.controls if control.name == name), None)


@dataclass(frozen=True)
class View:
    """Times in seconds of CLOCK_MONOTONIC, volts, peaks of full scale = 1."""

    now: float = 0.0
    slots: tuple[Slot, Slot] = (Slot("A"), Slot("B"))
    mix: float = 0.0          # where the crossfade stands: 0 slot A, 1 slot B
    cv_volts: tuple[float, ...] = (0.0,) * 8
    cv_jacks: int = 4         # how many this board has
    unpatched: int = 0        # bit i: cv i+1 has no cable
    gates_high: int = 0       # bit i: gate i+1 is high
    clock: str = "none"       # none, jack, tapped, MIDI
    bpm: float = 0.0
    beat: float = 0.0         # 0..1 from pulse to pulse
    scope: np.ndarray = field(default_factory=lambda: np.zeros((SCOPE_FRAMES, 2), np.float32))    # what the jack played last, float32 [n, 2]
    meter: tuple[float, float] = (0.0, 0.0)        # peaks, falling slowly
    meter_hold: tuple[float, float] = (0.0, 0.0)   # highest of the last second
    audio_load: float = 0.0   # of the callback
    underruns: int = 0        # since start
    underrun_age: float = 1e9           # seconds since the last one
    recording: bool = False
    rate_hz: int = 48000
    block_frames: int = 128
    device: str = ""
    device_state: int = 1     # as in the shared block
    board: str = "desk"
    chip_errors: int = 0
    level_db: float = 0.0
    trail: tuple[tuple[tuple[float, float], ...], ...] = ((), ())    # of each slot's plane: where its point was, the oldest first
    answers: Mapping[str, dict] = field(default_factory=lambda: NOTHING)      # what was asked for (``Screen.needs``), by name; one that failed has "error"

    preferences: Mapping[str, object] = field(default_factory=lambda: NOTHING)     # by name, as ``neurorack/preferences.py`` declares them

    @property
    def heard(self) -> int:
        """The louder slot: 0 or 1."""
        return int(self.mix > 0.5)

    @property
    def slot(self) -> Slot:
        """What is heard most."""
        return self.slots[self.heard]

    def answer(self, name: str) -> dict:
        """The latest answer, {} before the first."""
        return self.answers.get(name, {})

    @property
    def load(self) -> float:
        """Of the playing slots together, in cores."""
        return sum(slot.load for slot in self.slots if slot.playing)
