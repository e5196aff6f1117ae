"""What is kept of MIDI: how notes become volts, and what controllers have learned. ``midi.yaml`` in the state folder.

::

    kind: midi
    format: 1
    voice: {channel: all, mode: retrigger, bend_semitones: 2, mpe_members: 0, pitch: cv1, velocity: cv2, pressure: cv3, wheel: cv4, pedal: gate2,
            takeover: pickup}
    controls:
      brightness: {source: cc, channel: 1, number: 21, low: 0, high: 1}
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from neurorack.errors import PatchError
from neurorack.inputs import store
from neurorack.remote.controllers import KINDS, Source
from neurorack.remote.takeover import MODES
from neurorack.shm import table

FORMAT = 1
MOST_BYTES = 1 << 18
OFF = "off"
JACKS = tuple(f"cv{i + 1}" for i in range(table.CV_JACKS))


@dataclass(frozen=True)
class VoiceSettings:
    channel: str | int = "all"        # 1..16: notes of this channel alone
    mode: str = "retrigger"           # a key struck while another is held: a hit, or (legato) only its pitch
    bend_semitones: float = 2.0       # of the wheel; a sender may set it (RPN 0)
    mpe_members: int = 0              # 0: no MPE until a sender asks for it (RPN 6); 1..15: member channels of the lower zone
    pitch: str = "cv1"                # the jack each of these is added to
    velocity: str = "cv2"
    pressure: str = "cv3"
    wheel: str = "cv4"
    pedal: str = "gate2"
    takeover: str = "pickup"          # of learned controllers that do not stand where their control stands


@dataclass(frozen=True)
class Learned:
    """One control's controller. ``low`` above ``high`` is inverted."""

    source: Source
    low: float = 0.0
    high: float = 1.0

    def value(self, moved: float) -> float:
        return (1 - moved) * self.low + moved * self.high      # the ends exactly


_CHOICES = {"channel": ("all", *range(1, 17)), "mode": ("retrigger", "legato"), "pedal": ("gate1", "gate2", OFF), "takeover": MODES,
            **dict.fromkeys(("pitch", "velocity", "pressure", "wheel"), (*JACKS, OFF))}
_NUMBERS = {"bend_semitones": (0, 96), "mpe_members": (0, 15)}


def path() -> Path:
    return store.folder() / "midi.yaml"


def parse_voice(entries: dict, over: VoiceSettings | None = None) -> VoiceSettings:
    """Settings over others. Raises ``PatchError`` naming the first thing that is wrong."""
    made = over or VoiceSettings()
    names = [field.name for field in dataclasses.fields(made)]
    for key, value in entries.items():
        if key not in names:
            raise PatchError(f"MIDI has no setting {key!r}; it has {', '.join(names)}")
        value = OFF if value is False else value      # as YAML reads it
        if key in _CHOICES and (isinstance(value, bool) or value not in _CHOICES[key]):
            raise PatchError(f"{key} is {value!r}; it must be one of {', '.join(map(str, _CHOICES[key]))}")
        if key in _NUMBERS:
            value = int(_number(key, value, *_NUMBERS[key])) if key == "mpe_members" else _number(key, value, *_NUMBERS[key])
        made = dataclasses.replace(made, **{key: value})
    return made


def _number(key: str, value, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not low <= value <= high:
        raise PatchError(f"{key} is {value!r}; it must be a number from {low:g} to {high:g}")
    return float(value)


def parse_learned(entry) -> Learned:
    """One entry of ``controls``. Raises ``PatchError``."""
    if not isinstance(entry, dict) or entry.get("source") not in KINDS:
        raise PatchError(f"a learned control says its source: {', '.join(KINDS)}")
    source = entry["source"], int(_number("channel", entry.get("channel"), 1, 16)), int(_number("number", entry.get("number"), 0, KINDS[entry["source"]]))
    return Learned(source, _number("low", entry.get("low", 0), 0, 1), _number("high", entry.get("high", 1), 0, 1))


@dataclass
class Kept:
    """All of it, in memory and in its file."""

    voice: VoiceSettings = dataclasses.field(default_factory=VoiceSettings)
    controls: dict[str, Learned] = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)

    @classmethod
    def load(cls) -> Kept:
        """What the file says; ``problems`` has a line for all that cannot be used and is ignored."""
        kept, where = cls(), path()
        try:
            with open(where, "rb") as file:
                data = file.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES} bytes")
            content = yaml.safe_load(data.decode())
            if not isinstance(content, dict) or content.get("kind") != "midi" or content.get("format") != FORMAT:
                raise ValueError(f"no midi file of format {FORMAT}")
        except FileNotFoundError:
            return kept
        except OSError as error:
            kept.problems.append(f"{where} cannot be read ({error.strerror}); it is ignored")
            return kept
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            kept.problems.append(f"{where} is ignored: {' '.join(str(error).split())}")
            return kept
        kept._take(where, content)
        return kept

    def _take(self, where: Path, content: dict) -> None:
        voice, controls = content.get("voice") or {}, content.get("controls") or {}
        try:
            self.voice = parse_voice(voice if isinstance(voice, dict) else {"voice": voice})
        except PatchError as error:
            self.problems.append(f"{where}: {error}; the voice's settings are ignored")
        for name, entry in controls.items() if isinstance(controls, dict) else [("controls", None)]:
            try:
                self.controls[str(name)] = parse_learned(entry)
            except PatchError as error:
                self.problems.append(f"{where}: {name}: {error}; it is ignored")

    def save(self) -> None:
        """Replace the file, in one step. One that could not be read is kept beside it. Raises ``NeurorackError``."""
        where = path()
        if self.problems:
            with contextlib.suppress(OSError):
                os.replace(where, where.with_suffix(".yaml.broken"))
            self.problems = []
        controls = {name: {"source": one.source[0], "channel": one.source[1], "number": one.source[2], "low": one.low, "high": one.high}
                    for name, one in sorted(self.controls.items())}
        content = {"kind": "midi", "format": FORMAT, "voice": dataclasses.asdict(self.voice), "controls": controls}
        text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=140)
        store.replace(where, f"# Neurorack: how MIDI is played; see docs/midi.md\n{text}")
