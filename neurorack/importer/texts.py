"""TorchScript's operators on texts (str). Formats are filled in here, so that no format of Python's own reaches into objects."""

from __future__ import annotations

import re
from collections.abc import Callable

from .scalars import MAX_ITEMS, Raised

_PERCENT = re.compile(r"%([-+ 0]*)(\d{0,3})(?:\.(\d{1,2}))?([diufFeEgGxXosrc%])")


def fill(template: str, *values) -> str:
    """``template`` with each ``{}`` replaced by the next value."""
    parts = template.split("{}")
    if len(parts) - 1 > len(values):
        raise Raised("the model fills more gaps of a text than it has values")
    return "".join(part + (to_text(values[i]) if i < len(parts) - 1 else "") for i, part in enumerate(parts))


def percent(template: str, values) -> str:
    """``template % values`` for numbers and texts."""
    left = list(values) if isinstance(values, tuple) else [values]

    def one(match: re.Match) -> str:
        flags, width, digits, kind = match.groups()
        if kind == "%":
            return "%"
        if not left:
            raise Raised("the model fills more gaps of a text than it has values")
        value = left.pop(0)
        return f"%{flags}{width}{'.' + digits if digits else ''}{kind}" % (to_text(value) if kind in "sr" else value)

    return _PERCENT.sub(one, template)


def to_text(value, depth: int = 0) -> str:
    """What ``str`` gives in TorchScript, for plain values; tensors, objects and what lies deep or far are only named."""
    if value is None or type(value) in (bool, int, float, complex, str):
        return str(value)
    if isinstance(value, (list, tuple)) and depth < 3:
        inner = ", ".join(repr(item) if type(item) is str else to_text(item, depth + 1) for item in value[:100])
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return f"<{type(value).__name__}>"


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    places = text.count(old) if count < 0 else min(count, text.count(old))
    _short(len(text) + places * len(new))
    return text.replace(old, new, count)


def _short(length: int) -> None:
    if length > MAX_ITEMS:
        raise Raised(f"the model makes a text of {length} letters, more than {MAX_ITEMS}")


def _padded(name: str) -> Callable:
    def run(text: str, width: int, *fill_with: str) -> str:
        _short(width)
        return getattr(str, name)(text, width, *fill_with)

    return run


def _join(between: str, parts: list) -> str:
    _short(len(between) * len(parts) + sum(map(len, parts)))
    return between.join(parts)


def _find(text: str, part: str, start: int = 0, end: int = -1) -> int:
    return text.find(part, start, len(text) if end == -1 else end)


def _rfind(text: str, part: str, start: int = 0, end: int = -1) -> int:
    return text.rfind(part, start, len(text) if end == -1 else end)


def _found(find: Callable) -> Callable:
    def run(*arguments) -> int:
        place = find(*arguments)
        if place < 0:
            raise Raised("the model looks for a text that is not there")
        return place

    return run


_SAME = ("upper", "lower", "swapcase", "capitalize", "title", "casefold", "isidentifier", "isprintable", "isalpha", "isdecimal",
         "isdigit", "isspace", "isalnum", "isnumeric", "islower", "isupper", "istitle", "isascii", "strip", "lstrip", "rstrip",
         "startswith", "endswith", "split", "rsplit", "splitlines", "partition", "rpartition", "removeprefix", "removesuffix")

TEXTS: dict[str, Callable] = {
    **{name: getattr(str, name) for name in _SAME},
    **{name: _padded(name) for name in ("center", "ljust", "rjust", "zfill")},
    "format": fill, "percentFormat": percent, "replace": _replace, "join": _join, "find": _find, "rfind": _rfind,
    "index": _found(_find), "rindex": _found(_rfind), "count": lambda text, part, *span: text.count(part, *span),
    "len": len, "slice": lambda text, start=None, stop=None, step=1: text[start:stop:step], "__getitem__": lambda text, i: text[i],
    "__contains__": lambda text, part: part in text, "list": list, "ord": ord,
    "device": lambda name, index=None: name if index is None else f"{name}:{index}", "type": lambda device: device.split(":")[0],
    "hash": lambda text: sum(text.encode()) % 2**31,
}
