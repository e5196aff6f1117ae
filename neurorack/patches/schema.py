"""All that a patch holds, declared once: the check of files and requests, their text, morphing and the documentation read it here.

A *document* is a patch as plain data: dicts, lists, text, numbers. ``cleaned`` makes one whole: what is wrong takes its
default and is told, what is unknown is kept as it is, older formats are brought up to date.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from neurorack.errors import PatchError
from neurorack.inputs import sources
from neurorack.voice.patch import GATE_ACTIONS, GATES, JACKS, quantise_named

KIND, FORMAT = "patch", 1
SCENES = 64                     # places of the bank
NAME_LETTERS = 40
MOST_ENTRIES = 256              # of a map or a list: no instrument has more
SLOTS = ("A", "B")
OFF = "off"


@dataclass(frozen=True)
class Field:
    """One value. ``kind``: number, switch, choice, text, quantise, source, group (``of`` its fields), map (name to ``of``), list (of ``of``).

    ``default`` None: left out where nothing is given. ``glide``: how a number goes over into another: "straight", "ratio"
    (equal factors in equal times), or "flip" (at half the way, as all that is no number).
    """

    name: str
    kind: str
    doc: str
    default: object = None
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    decimals: int = 4
    choices: tuple = ()         # of a number: words that may stand for it
    of: tuple[Field, ...] | Field | None = None
    glide: str = "straight"
    most_letters: int = 200
    needed: bool = False        # an entry without it counts for nothing


MODEL = (
    Field("name", "text", "as the library calls it", needed=True),
    Field("sha256", "text", "of its file: tells a renamed model and another one of the same name"),
    Field("file", "text", "where it lies, of a model outside the library", most_letters=4096),
    Field("encoder", "text", "the model whose encoder follows the audio input", most_letters=4096),
)
ROUTE = (
    Field("jack", "choice", "what moves it: a CV jack or a modulator", choices=JACKS, needed=True),
    Field("control", "text", "what is moved: a named control of the models, `mix` or `morph`", needed=True),
    Field("amount_per_volt", "number", "attenuverter: change of the control, which goes from 0 to 1", 0.1, "1/V", -10, 10),
    Field("offset", "number", "added to the control", 0.0, "", -10, 10),
    Field("curve", "number", "exponent of the volts; 1 is straight", 1.0, "", 0.25, 4),
    Field("smooth_ms", "number", "time constant of the smoothing", 5.0, "ms", 0, 5000, 1, glide="ratio"),
    Field("latched", "switch", "read at each hit only", False),
    Field("low", "number", "the control does not go below this by the route", 0.0, "", 0, 1),
    Field("high", "number", "nor above this", 1.0, "", 0, 1),
    Field("quantise", "quantise", "off, so many values from low to high, or a scale, `D minor` say, for the volts", OFF),
)
SCHEMA = (
    Field("kind", "choice", "what this is", KIND, choices=(KIND,)),
    Field("format", "number", "version of this table", FORMAT, "", 1, FORMAT, 0, glide="flip"),
    Field("name", "text", "of the scene", most_letters=NAME_LETTERS),
    Field("saved_at", "text", "when it was saved, as ISO 8601"),
    Field("models", "group", "what the slots hold; a slot left out is empty", {}, of=tuple(
        Field(slot, "group", f"the model of slot {slot}", of=MODEL) for slot in SLOTS)),
    Field("mix", "number", "0 is slot A alone, 1 slot B", 0.0, "", 0, 1),
    Field("level_db", "number", "output level", 0.0, "dB", -90, 12, 2),
    Field("monitor_db", "number", "the audio input in the output", OFF, "dB", -90, 12, 2, choices=(OFF,)),
    Field("knobs", "map", "control to where its knob stands; others stand as their model's card says", {},
          of=Field("knob", "number", "", None, "", 0, 1)),
    Field("drives", "map", "control to how far it sets the model's input instead of bending the gesture", {},
          of=Field("drive", "number", "", None, "", 0, 1)),
    Field("routes", "list", "what moves the controls", [], of=Field("route", "group", "", of=ROUTE)),
    Field("gates", "group", "what the gate jacks do", {}, of=tuple(
        Field(gate, "choice", f"at a rising edge of {gate}", default, choices=GATE_ACTIONS) for gate, default in GATES.items())),
    Field("sources", "map", "modulator to its kind and settings", {}, of=Field("source", "source", "")),
    Field("left_free", "list", "jacks and controls whose routes were taken away: no model's own routes go there", [],
          of=Field("name", "text", "")),
)


def fields(of: tuple[Field, ...]) -> dict[str, Field]:
    return {field.name: field for field in of}


def cleaned(document, problems: list[str] | None = None) -> dict:
    """A whole document in the present format, its keys in the schema's order, unknown ones behind them.

    ``problems`` gets a line for all that was wrong. Raises ``PatchError`` for what is no patch, or one of a later format.
    """
    problems = [] if problems is None else problems
    if not isinstance(document, dict):
        raise PatchError(f"a patch is a mapping of names to values, not {_shown(document)}")
    document = migrated(document)
    return _group(document, SCHEMA, "", problems)


def checked(document) -> dict:
    """``cleaned`` without mercy. Raises ``PatchError`` with the first thing that is wrong, and how many more there are."""
    problems: list[str] = []
    document = cleaned(document, problems)
    if problems:
        more = f" (and {len(problems) - 1} more; `neurorack patch check FILE` lists them)" if len(problems) > 1 else ""
        raise PatchError(f"{problems[0]}{more}")
    return document


def _shown(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _value(value, field: Field, path: str, problems: list[str]):
    """The value, or the default if it is wrong."""
    return _KINDS[field.kind](value, field, path, problems)


def _wrong(value, field: Field, path: str, problems: list[str], must: str):
    default = f"{field.default} instead" if field.default is not None else "it is left out"
    problems.append(f"{path} is {_shown(value)}; it must be {must} ({default})")
    return field.default


def _number(value, field: Field, path: str, problems: list[str]):
    if field.choices and (value in field.choices or value is False and OFF in field.choices):     # YAML reads off as false
        return OFF if value is False else value
    good = not isinstance(value, bool) and isinstance(value, (int, float)) and abs(value) < 1e300 and math.isfinite(value)
    if not good or not field.low <= value <= field.high:
        words = "".join(f"{word} or " for word in field.choices)
        return _wrong(value, field, path, problems, f"{words}a number from {field.low:g} to {field.high:g}")
    return rounded(value, field)


def rounded(value: float, field: Field) -> float | int:
    """As it is kept: so many decimals; whole ones without a point."""
    value = round(float(value), field.decimals)
    return int(value) if field.decimals == 0 else value + 0.0      # no -0.0


def _switch(value, field: Field, path: str, problems: list[str]):
    return value if isinstance(value, bool) else _wrong(value, field, path, problems, "true or false")


def _choice(value, field: Field, path: str, problems: list[str]):
    return value if isinstance(value, str) and value in field.choices else _wrong(value, field, path, problems, f"one of {', '.join(field.choices)}")


def _text(value, field: Field, path: str, problems: list[str]):
    good = isinstance(value, str) and 0 < len(value) <= field.most_letters and value.isprintable() and value == value.strip()
    return value if good else _wrong(value, field, path, problems, f"a text of at most {field.most_letters} letters")


def _quantise(value, field: Field, path: str, problems: list[str]):
    try:
        return quantise_named(OFF if value is False else value)
    except PatchError as error:
        return _wrong(value, field, path, problems, str(error).partition("must be ")[2] or "off, a number of values or a scale")


def _source(value, field: Field, path: str, problems: list[str]) -> dict | None:
    """A modulator's kind and all its fields, unknown ones behind them; one of a kind that is not known here stays as it is."""
    name = path.rpartition(".")[2]
    if not isinstance(value, dict):
        return _wrong(value, field, path, problems, "a mapping of names to values")
    entry = {key: OFF if one is False else one for key, one in value.items()}
    kind = sources.KINDS.get(entry.get("kind")) if isinstance(entry.get("kind"), str) else None
    if kind is None:
        return value
    known = {key: one for key, one in entry.items() if key == "kind" or key in kind.fields}
    try:
        made = sources.parse(name, known)
    except PatchError as error:
        problems.append(f"{error} (it is left out)")
        return None
    return {key: round(one, 4) if isinstance(one, float) else one for key, one in made.items()} | {key: one for key, one in value.items() if key not in known}


def _route_good(route: dict, path: str, problems: list[str]) -> dict:
    """Limits in their order."""
    if route["low"] <= route["high"]:
        return route
    problems.append(f"{path} has low {route['low']:g} above high {route['high']:g}; for the other way round take a negative amount (no limits instead)")
    return {**route, "low": 0.0, "high": 1.0}


def _good_name(name) -> bool:
    """One that stands in a line of text."""
    return isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable()


def _group(value, of, path: str, problems: list[str]) -> dict | None:
    """Known fields in their order, then the unknown ones as they are. None where a needed one is missing."""
    known, at = of if isinstance(of, tuple) else of.of, f"{path}." if path else ""
    if not isinstance(value, dict):
        _wrong(value, of, path, problems, "a mapping of names to values")
        return None if of.default is None else _group({}, of, path, problems)
    made = {}
    for field in known:
        if field.name in value:
            got = _value(value[field.name], field, f"{at}{field.name}", problems)
        else:
            got = _fresh(field)
        if got is None and field.needed:
            problems.append(f"{path} has no good {field.name}; it is left out")
            return None
        if got is not None:
            made[field.name] = got
    made = _route_good(made, path, problems) if known is ROUTE else made
    names = {field.name for field in known}
    for name, entry in value.items():
        if name not in names and _good_name(name):
            made[name] = entry
        elif name not in names:
            problems.append(f"{path or 'the patch'} has {_shown(name)} for a name; it is left out")
    return made


def _fresh(field: Field):
    """What stands where nothing was given."""
    if field.kind == "group" and field.default is not None:
        return _group({}, field, field.name, [])
    return type(field.default)(field.default) if isinstance(field.default, (dict, list)) else field.default


def _map(value, field: Field, path: str, problems: list[str]) -> dict:
    if not isinstance(value, dict) or len(value) > MOST_ENTRIES:
        return _wrong(value, field, path, problems, f"a mapping of at most {MOST_ENTRIES} names to values") or {}
    made = {}
    for name, entry in sorted(value.items(), key=lambda item: str(item[0])):
        if not _good_name(name):
            problems.append(f"{path} has {_shown(name)} for a name; it is left out")
            continue
        before = len(problems)
        got = _value(entry, field.of, f"{path}.{name}", problems)
        if len(problems) == before and got is not None:
            made[name] = got
    return made


def _list(value, field: Field, path: str, problems: list[str]) -> list:
    if not isinstance(value, list) or len(value) > MOST_ENTRIES:
        return _wrong(value, field, path, problems, f"a list of at most {MOST_ENTRIES}") or []
    got = [_value(entry, field.of, f"{path}[{i + 1}]", problems) for i, entry in enumerate(value)]
    return _routes_once([entry for entry in got if entry is not None], path, problems) if field.of.of is ROUTE else [entry for entry in got if entry is not None]


def _routes_once(routes: list[dict], path: str, problems: list[str]) -> list[dict]:
    """One route from a jack to a control; the last one said holds."""
    made = {(route["jack"], route["control"]): route for route in routes}
    if len(made) < len(routes):
        problems.append(f"{path} has more than one route from a jack to a control; the last one holds")
    return list(made.values())


_KINDS: dict[str, Callable] = {"number": _number, "switch": _switch, "choice": _choice, "text": _text, "quantise": _quantise, "source": _source, "group": _group, "map": _map, "list": _list}


# -- older formats

def _from_0(old: dict) -> dict:
    """Format 0 had no number: what a deployment noted of the running instrument, its patch in a group of its own."""
    patch = old.get("patch") if isinstance(old.get("patch"), dict) else {}
    models = old.get("models") if isinstance(old.get("models"), dict) else {}
    kept = {name: value for name, value in old.items() if name not in ("patch", "models", "heard")}
    moved = {name: value for name, value in patch.items() if name != "gate2"}
    gates = {"gates": {"gate2": patch["gate2"]}} if "gate2" in patch else {}
    return {**kept, **moved, **gates, "models": {slot: {"name": name} for slot, name in models.items()}, "kind": KIND, "format": 1}


MIGRATIONS: dict[int, Callable[[dict], dict]] = {0: _from_0}


def migrated(document: dict) -> dict:
    """In the present format. Raises ``PatchError``."""
    version = document.get("format", 0 if "patch" in document else FORMAT)
    if document.get("kind", KIND) != KIND:
        raise PatchError(f"this is no patch: kind is {_shown(document['kind'])}, not {KIND}")
    if isinstance(version, bool) or not isinstance(version, int) or version < 0:
        raise PatchError(f"format is {_shown(version)}; this instrument reads formats 0 to {FORMAT}")
    if version > FORMAT:
        raise PatchError(f"format is {version}, of a newer instrument; this one reads up to {FORMAT}: update it, or save the scene there again")
    while version < FORMAT:
        document = MIGRATIONS[version](document)
        version += 1
    return {**document, "format": FORMAT}


# -- documentation

def markdown() -> str:
    """The table of docs/patches.md."""
    lines = ["| field | unit | range | default | |", "|---|---|---|---|---|"]

    def add(of: tuple[Field, ...], before: str) -> None:
        for field in of:
            path = f"{before}{field.name}"
            lines.append(f"| `{path}` | {field.unit} | {_range(field)} | {_default(field)} | {field.doc} |")
            if field.kind == "group":
                add(field.of, f"{path}.")
            elif field.kind == "list" and field.of.kind == "group":
                add(field.of.of, f"{path}[]. ".rstrip())
    add(SCHEMA, "")
    return "\n".join(lines)


def _range(field: Field) -> str:
    inner = field.of if field.kind in ("map", "list") else field
    if inner.kind == "number":
        return f"{inner.low:g} … {inner.high:g}" + "".join(f" or {word}" for word in inner.choices)
    if inner.kind == "choice":
        return "cv1 … cv8, mod1 … mod8" if inner.choices == JACKS else ", ".join(inner.choices)
    return {"switch": "true, false", "text": f"at most {inner.most_letters} letters", "source": "docs/modulation.md"}.get(inner.kind, "")


def _default(field: Field) -> str:
    return "" if field.default is None or isinstance(field.default, (dict, list)) else str(field.default).lower()


if __name__ == "__main__":
    print(markdown())
