"""What an edit is called, and which edits belong together: the difference of two documents in a musician's words."""

from __future__ import annotations

from neurorack.patches.history import change

MOST_NAMED = 2


def described(before: dict, after: dict) -> tuple[str, object]:
    """``(label, key)``: edits with the same key that follow each other closely are one. The key is None where nothing is heard of it."""
    found: dict[str, object] = {}
    for path, *_ in change(before, after):
        named = _named(path, before, after)
        if named:
            found[named] = tuple(path[:2])
    if not found:
        return "", None
    names = list(found)
    if any(name.startswith("play ") for name in names):      # a change of model moves the mix, and empties the other slot
        names = [name for name in names if name != "mix" and not name.startswith("empty ")]
    label = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    return label, tuple(sorted(found))


def _named(path: list, before: dict, after: dict) -> str | None:
    top, *rest = path
    if top in ("knobs", "drives"):
        return f"set {rest[0]}" if rest else "knobs"
    if top == "models":
        if rest[1:] and rest[1] != "name":
            return None
        model = after["models"].get(rest[0]) if rest else None
        return f"play {model['name']}" if isinstance(model, dict) and "name" in model else f"empty {rest[0]}" if rest else "models"
    if top == "routes":
        return _routed(before["routes"], after["routes"])
    if top == "gates":
        return f"{rest[0]} does {after['gates'].get(rest[0])}" if rest else "gates"
    if top == "sources":
        return rest[0] if rest else "modulators"
    return {"mix": "mix", "level_db": "level", "monitor_db": "monitor", "left_free": None}.get(top, None if top in ("format", "kind") else top)


def _routed(before: list[dict], after: list[dict]) -> str:
    """The first route that differs."""
    old, new = ({(route["jack"], route["control"]): route for route in routes} for routes in (before, after))
    for (jack, control), route in new.items():
        if old.get((jack, control)) != route:
            return f"route {jack} to {control}"
    for jack, control in old.keys() - new.keys():
        return f"unroute {jack} from {control}"
    return "order of routes"
