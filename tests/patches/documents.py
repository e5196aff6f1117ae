"""Random patches for the property tests: good ones, and ones that are nearly good."""

from __future__ import annotations

from hypothesis import strategies as st

from neurorack.inputs.sources import KINDS, Choice, Volts
from neurorack.inputs.sources import MODULATORS as MODS
from neurorack.patches import schema

NAMES = st.text("aZ0_-:#'\"{}[],&*!|>%@é日🎛 ", min_size=1, max_size=8).filter(lambda name: name == name.strip())
PLAIN = st.recursive(st.none() | st.booleans() | st.integers(-10**9, 10**9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=4)
UNKNOWN = st.just({}) | st.dictionaries(NAMES.map(lambda name: f"later {name}"), PLAIN, max_size=2)


def numbers(field: schema.Field):
    return st.floats(field.low, field.high).map(lambda value: schema.rounded(value, field)).filter(lambda value: field.low <= value <= field.high)


def value(field: schema.Field):
    """A good value of this field."""
    kinds = {"switch": st.booleans, "text": lambda: NAMES, "quantise": lambda: st.sampled_from([schema.OFF, "minor", "D minor", 2, 7, 64]),
             "choice": lambda: st.sampled_from(field.choices), "number": lambda: st.one_of(numbers(field), *([st.sampled_from(field.choices)] if field.choices else [])),
             "group": lambda: group(field.of), "map": lambda: sources() if field.name == "sources" else st.dictionaries(NAMES, value(field.of), max_size=4),
             "list": lambda: st.lists(value(field.of), max_size=4, unique_by=(lambda entry: (entry["jack"], entry["control"])) if field.name == "routes" else None)}
    return kinds[field.kind]()


@st.composite
def group(draw, of: tuple[schema.Field, ...]):
    given = {field.name: draw(value(field)) for field in of if field.needed or draw(st.booleans())}
    if {"low", "high"} <= given.keys():
        given["low"], given["high"] = sorted((given["low"], given["high"]))
    elif of is schema.ROUTE:
        given.pop("low", None), given.pop("high", None)
    return given | draw(UNKNOWN)


@st.composite
def sources(draw):
    made = {}
    for name in draw(st.lists(st.sampled_from(MODS), unique=True, max_size=3)):
        kind = draw(st.sampled_from([*KINDS, "of a later version"]))
        fields = KINDS[kind].fields if kind in KINDS else {}
        entry = {"kind": kind}
        for key, one in fields.items():
            if key in ("input", "low_volts", "high_volts") or not draw(st.booleans()):
                continue
            if isinstance(one, Choice):
                entry[key] = draw(st.sampled_from(one.choices))
            elif isinstance(one, Volts):
                entry[key] = [round(volts, 4) for volts in draw(st.lists(st.floats(one.low, one.high), min_size=1, max_size=one.most))]
            else:
                number = draw(st.floats(one.low, one.high))
                entry[key] = int(number) if one.whole else min(one.high, max(one.low, round(number, 4)))
        made[name] = entry | draw(UNKNOWN)
    return made


#: Good documents, with some fields left out and some unknown ones.
DOCUMENTS = group(schema.SCHEMA).map(lambda given: {**given, "kind": schema.KIND, "format": schema.FORMAT})


@st.composite
def nearly_good(draw):
    """A good document with something put in the wrong place."""
    document = draw(DOCUMENTS)
    for _ in range(draw(st.integers(1, 3))):
        at, path = document, draw(st.sampled_from([*schema.fields(schema.SCHEMA)]))
        while isinstance(at.get(path), dict) and at[path] and draw(st.booleans()):
            at, path = at[path], draw(st.sampled_from([*at[path]]))
        at[path] = draw(PLAIN)
    return document
