"""Between a document and the instrument: what it plays with now, as a document, and a document as the patch that it plays with."""

from __future__ import annotations

import math

from neurorack.inputs.sources import KINDS
from neurorack.patches import schema
from neurorack.slot import MIX
from neurorack.voice.patch import GATES, Patch, Route

OF_A_FILE = ("name", "saved_at")      # of a scene's file, not of what is heard
_ROUTE = tuple(schema.fields(schema.ROUTE))
_KNOWN = schema.fields(schema.SCHEMA)


def capture(run, models: dict, more: dict) -> dict:
    """All that a scene holds of the running ``Instrument``; a whole document. In the supervisor's loop.

    Args:
        models: of the slots, as the schema has them.
        more: what ``unknown`` found in the last document that was taken over.
    """
    patch, gain = run.patch, float(run.rack.run.monitor_gain)
    return schema.cleaned({
        "models": {**models, **more.get("models", {})}, "mix": run.slots.knob, "level_db": patch.level_db,
        "monitor_db": min(12.0, max(-90.0, 20 * math.log10(gain))) if gain > 0 else schema.OFF,
        "knobs": patch.knobs, "drives": patch.drives, "routes": [route_document(route) for route in patch.routes],
        "gates": {**patch.all_gates, **more.get("gates", {})}, "sources": _sources(run.sources.settings, more.get("sources", {})), "left_free": sorted(patch.left_free),
        **{name: value for name, value in more.items() if name not in _KNOWN}})


def route_document(route: Route) -> dict:
    return {name: getattr(route, name) for name in _ROUTE} | route.more


def _sources(settings: dict[str, dict], more: dict[str, dict]) -> dict:
    """The modulators that are on, with what was unknown of those that are still of that kind."""
    kept = {name: entry for name, entry in more.items() if settings.get(name, entry).get("kind") == entry.get("kind")}
    return {name: {**settings.get(name, {}), **kept.get(name, {})} for name in sorted(settings.keys() | kept.keys())
            if name in settings or not _known(kept[name])}


def _known(source: dict) -> bool:
    return isinstance(source.get("kind"), str) and source["kind"] in KINDS


def unknown(document: dict) -> dict:
    """What this version does not know of a document: fields at the top, slots, gates, fields of modulators and whole ones."""
    found = {name: value for name, value in document.items() if name not in _KNOWN}
    for name, known in (("models", schema.SLOTS), ("gates", GATES)):
        if more := {key: value for key, value in document[name].items() if key not in known}:
            found[name] = more
    sources = {name: {key: value for key, value in entry.items() if key == "kind" or key not in KINDS[entry["kind"]].fields} if _known(entry) else entry
               for name, entry in document["sources"].items()}
    sources = {name: entry for name, entry in sources.items() if entry.keys() != {"kind"} or not _known(entry)}
    return found | ({"sources": sources} if sources else {})


def patch_of(document: dict) -> Patch:
    """The part of a whole document that the slots' models play with."""
    routes = [Route(**{name: value for name, value in entry.items() if name in _ROUTE}, more={name: value for name, value in entry.items() if name not in _ROUTE})
              for entry in document["routes"]]
    return Patch(knobs=dict(document["knobs"]), drives=dict(document["drives"]), routes=routes, level_db=document["level_db"],
                 gates={gate: action for gate, action in document["gates"].items() if gate in GATES}, left_free=set(document["left_free"]))


def play_beside(run, document: dict) -> None:
    """The part that belongs to no slot: monitor and modulators."""
    db = document["monitor_db"]
    gain = 0.0 if db == schema.OFF else 10 ** (db / 20)
    if abs(run.rack.run.monitor_gain - gain) > 1e-6:
        run.rack.run.monitor_gain = gain
    sources = played_sources(document)
    if sources != run.sources.settings:
        run.sources.restore(sources)


def played_sources(document: dict) -> dict[str, dict]:
    """The modulators of kinds that are known here, with what is known of them."""
    return {name: {key: value for key, value in entry.items() if key == "kind" or key in KINDS[entry["kind"]].fields}
            for name, entry in document["sources"].items() if _known(entry)}


def mirrored(document: dict) -> dict:
    """What sounds the same with its models in each other's slots."""
    models = {schema.SLOTS[1 - schema.SLOTS.index(slot)] if slot in schema.SLOTS else slot: model for slot, model in document["models"].items()}
    mix = schema.rounded(1 - document["mix"], _KNOWN["mix"])
    return schema.cleaned({**document, "models": models, "mix": mix, "routes": [_mirrored(route) if route["control"] == MIX else route for route in document["routes"]]})


def _mirrored(route: dict) -> dict:
    turned = {**route, "amount_per_volt": -route["amount_per_volt"], "offset": -route["offset"]}
    return turned | ({"low": 1 - route["high"], "high": 1 - route["low"]} if "low" in route and "high" in route else {})


def heard_slot(document: dict) -> str:
    """The slot that is heard more of."""
    models = document["models"]
    first, other = schema.SLOTS if document["mix"] <= 0.5 else schema.SLOTS[::-1]
    return other if other in models and first not in models else first


def same(one: dict, other: dict) -> bool:
    """Whether they sound the same: names and times do not count, nor which slot holds which model."""
    def bare(document):
        models = {slot: model.get("name") for slot, model in document["models"].items() if isinstance(model, dict)}
        return {name: value for name, value in document.items() if name not in OF_A_FILE} | {"models": models}
    return bare(one) == bare(other) or bare(mirrored(one)) == bare(other)
