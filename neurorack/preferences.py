"""What a person prefers, apart from patches and jacks: one declared table, one file, ``preferences.yaml`` in the state folder.

::

    kind: preferences
    format: 1
    values:
      display.dim_minutes: 5

Only what differs from its default is written. Names that this version does not know stay in the file as they are, so going
back to an older release loses nothing. Who follows a preference keeps a ``Reader`` and asks it; an edited file holds within a second.
"""

from __future__ import annotations

import math
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from neurorack.errors import PatchError
from neurorack.inputs import store

FORMAT = 1
MOST_BYTES = 1 << 16
LOOK_SECONDS = 1.0
LONGEST_NAME = 63


@dataclass(frozen=True)
class Preference:
    """``kind``: "number" (whole, ``low`` to ``high`` in ``step``s), "choice" (of ``choices``) or "name" (of ``choices``, or any other, of a control say)."""

    name: str
    kind: str
    default: int | str
    doc: str
    low: int = 0
    high: int = 0
    step: int = 1
    choices: tuple[str, ...] = ()
    unit: str = ""

    def check(self, value):
        """The value as it is kept. Raises ``PatchError``."""
        if self.kind == "name":
            if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
                raise PatchError(f"{self.name} is {value!r}; it must be {', '.join(self.choices)}, or another name of at most {LONGEST_NAME} letters")
            return value
        if self.kind == "choice":
            value = "off" if value is False and "off" in self.choices else value      # as YAML reads off
            if value not in self.choices:
                raise PatchError(f"{self.name} is {value!r}; it must be one of {', '.join(self.choices)}")
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not self.low <= value <= self.high or value != int(value):
            raise PatchError(f"{self.name} is {value!r}; it must be a whole number from {self.low} to {self.high}")
        return int(value)

    def told(self, value) -> dict:
        """For a reader of the control socket."""
        limits = {"low": self.low, "high": self.high, "step": self.step} if self.kind == "number" else {"choices": list(self.choices)}
        return {"kind": self.kind, "value": value, "default": self.default, **limits, "unit": self.unit, "doc": self.doc}


_NETWORK = ("off", "local", "network")
TABLE = {one.name: one for one in (
    Preference("display.brightness", "number", 80, "of the display while somebody is there", 5, 100, 5, unit="%"),
    Preference("display.dim_minutes", "number", 5, "without a touch until the display dims; 0: never", 0, 120, unit="min"),
    Preference("display.blank_minutes", "number", 20, "without a touch until the display goes dark; 0: never", 0, 240, unit="min"),
    Preference("encoder.direction", "choice", "right", "which turn is up", choices=("right", "left")),
    Preference("home.turn", "name", "scope", "what turning on Home moves: the scope's style, level, mix, morph, or a control by its name",
               choices=("scope", "level", "mix", "morph")),
    Preference("home.hold", "choice", "save", "what holding the button for 1 s on Home does", choices=("save", "scene", "undo", "next", "gate1", "gate2", "record", "tap")),
    Preference("scope.style", "choice", "wave", "what Home draws of the sound", choices=("wave", "spectrum")),
    Preference("web.network", "choice", "local", "who may open the page: nobody, this machine, or paired browsers of the network", choices=_NETWORK),
    Preference("web.port", "number", 8042, "of the page", 1024, 65535),
    Preference("osc.network", "choice", "off", "who may send OSC: nobody, this machine, or everybody in the network", choices=_NETWORK),
    Preference("osc.port", "number", 7400, "of OSC", 1024, 65535),
    Preference("midi.ports", "choice", "all", "whether MIDI ports are opened", choices=("all", "none")),
)}


def path() -> Path:
    return store.folder() / "preferences.yaml"


def find(name: str) -> Preference:
    """Raises ``PatchError``."""
    if name not in TABLE:
        raise PatchError(f"there is no preference {name!r}; there are {', '.join(TABLE)}")
    return TABLE[name]


def read() -> tuple[dict, str]:
    """What the file holds, checked or not, and a line about a file that cannot be used, which counts as empty."""
    where = path()
    try:
        with open(where, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        content = yaml.safe_load(data.decode())
        if not isinstance(content, dict) or content.get("kind") != "preferences" or content.get("format") != FORMAT:
            raise ValueError(f"no preferences of format {FORMAT}")
        values = content.get("values") or {}
        if not isinstance(values, dict):
            raise ValueError("its values are no mapping from a name to a value")
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"{where} cannot be read ({error.strerror}); the defaults hold"
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        return {}, f"{where} is ignored: {' '.join(str(error).split())}; the defaults hold"
    return values, ""


def load() -> tuple[dict, list[str]]:
    """Every preference's value, and a line for each that cannot be used: its default holds."""
    kept, problem = read()
    found, problems = {}, [problem] if problem else []
    for name, one in TABLE.items():
        found[name] = one.default
        if name in kept:
            try:
                found[name] = one.check(kept[name])
            except PatchError as error:
                problems.append(f"{path()}: {error}; its default holds")
    return found, problems


_writing = threading.Lock()


def keep(name: str, value) -> dict:
    """Set one preference in the file; returns every value. A file that could not be used is kept beside it. Raises ``NeurorackError``."""
    value = find(name).check(value)
    with _writing:
        kept, problem = read()
        if problem:
            try:
                os.replace(path(), path().with_suffix(".yaml.broken"))
            except OSError:
                pass
        kept[name] = value
        kept = {key: one for key, one in kept.items() if key not in TABLE or one != TABLE[key].default}
        text = yaml.safe_dump({"kind": "preferences", "format": FORMAT, "values": dict(sorted(kept.items(), key=lambda item: str(item[0])))}, sort_keys=False)
        store.replace(path(), f"# Neurorack: preferences; docs/panel.md lists them\n{text}")
    return load()[0]


class Reader:
    """The values for a process that asks often: ``reader["scope.style"]``. Looks at the file once a second at most."""

    def __init__(self):
        self._stamp: object = ()
        self._at, self._values = -math.inf, {}

    def __getitem__(self, name: str):
        return self.values[name]

    @property
    def values(self) -> dict:
        now = time.monotonic()
        if now - self._at >= LOOK_SECONDS:
            self._at = now
            try:
                stat = os.stat(path())
                stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            except OSError:
                stamp = None
            if stamp != self._stamp:
                self._stamp = stamp
                self._values = load()[0]
        return self._values


def markdown() -> str:
    """The table, as it stands in ``docs/panel.md``."""
    lines = ["| preference | values | unless said | what |", "|---|---|---|---|"]
    for one in TABLE.values():
        values = f"{one.low} … {one.high} {one.unit}".rstrip() if one.kind == "number" else ", ".join(one.choices) + (", a control" if one.kind == "name" else "")
        lines.append(f"| `{one.name}` | {values} | {one.default} | {one.doc} |")
    return "\n".join(lines)


def told() -> dict:
    """All of them for the control socket."""
    values = load()[0]
    return {name: one.told(values[name]) for name, one in TABLE.items()}
