"""From one patch to another: numbers glide, each in its own way; all that is no number changes over at half the way."""

from __future__ import annotations

from collections.abc import Callable

from neurorack.inputs.sources import KINDS, Number
from neurorack.patches import schema
from neurorack.patches.schema import Field

RATIO_UNITS = ("Hz", "ms")      # of modulators: equal factors in equal times


def between(one: dict, other: dict, x: float, defaults: dict[str, float]) -> dict:
    """The document at 0 <= ``x`` <= 1 of the way; at its ends exactly ``one`` and ``other``, but for routes that move the morph itself.

    Args:
        defaults: control to where its knob stands that is not turned.
    """
    if x <= 0 or x >= 1:
        return one if x <= 0 else other
    known, half = schema.fields(schema.SCHEMA), other if x >= 0.5 else one
    made = dict(half)
    for name in ("mix", "level_db"):
        made[name] = number(one[name], other[name], x, known[name])
    made["monitor_db"] = _monitor(one["monitor_db"], other["monitor_db"], x, known["monitor_db"])
    made["knobs"] = _map(one["knobs"], other["knobs"], x, known["knobs"].of, lambda control: defaults.get(control, 0.5))
    made["drives"] = _map(one["drives"], other["drives"], x, known["drives"].of, lambda control: 0.0)
    made["routes"] = _routes(one["routes"], other["routes"], x)
    made["sources"] = _sources(one["sources"], other["sources"], x)
    return made


def number(one: float, other: float, x: float, field: Field) -> float:
    """Between two numbers, as the schema says this one goes."""
    if field.glide == "flip" or one == other:
        return other if x >= 0.5 else one
    if field.glide == "ratio" and one > 0 and other > 0:
        return one * (other / one) ** x
    return one + x * (other - one)


def _monitor(one, other, x: float, field: Field):
    """Off is as low as it goes."""
    if one == other:
        return one
    low, high = (field.low if db == schema.OFF else db for db in (one, other))
    return number(low, high, x, field)


def _map(one: dict, other: dict, x: float, field: Field, rest: Callable[[str], float]) -> dict:
    """``rest``: where a control stands that one of them does not name."""
    return {name: number(one[name] if name in one else rest(name), other[name] if name in other else rest(name), x, field)
            for name in sorted(one.keys() | other.keys())}


_SILENT = {"amount_per_volt": 0.0, "offset": 0.0}


def _routes(one: list[dict], other: list[dict], x: float) -> list[dict]:
    """A route that only one of them has comes and goes by its amount. The order of the first is kept, so that each keeps its place in the synth."""
    firsts, others = ({(route["jack"], route["control"]): route for route in routes} for routes in (one, other))
    made = []
    for pair in [*firsts, *(pair for pair in others if pair not in firsts)]:
        first, second = firsts.get(pair), others.get(pair)
        first, second = first or {**second, **_SILENT}, second or {**first, **_SILENT}
        route = dict(second if x >= 0.5 else first)
        for field in schema.ROUTE:
            if field.kind == "number" and all(isinstance(end.get(field.name), (int, float)) for end in (first, second)):
                route[field.name] = number(first[field.name], second[field.name], x, field)
        made.append(route)
    return made


def _sources(one: dict, other: dict, x: float) -> dict:
    """Modulators of one kind glide, others change over."""
    made = {}
    for name in sorted(one.keys() | other.keys()):
        first, second = one.get(name), other.get(name)
        half = second if x >= 0.5 else first
        if first and second and first.get("kind") == second.get("kind") and first.get("kind") in KINDS:
            fields = KINDS[first["kind"]].fields
            half = {key: _glided(first[key], second[key], x, fields.get(key)) if key in first and key in second else value for key, value in half.items()}
        if half is not None:
            made[name] = half
    return made


def _glided(one, other, x: float, field):
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [first + x * (second - first) for first, second in zip(one, other, strict=True)]
    if not isinstance(field, Number) or field.whole:
        return other if x >= 0.5 else one
    if field.unit in RATIO_UNITS and one > 0 and other > 0:
        return one * (other / one) ** x
    return one + x * (other - one)
