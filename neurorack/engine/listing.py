"""A program as the file states it: buffers, views on them, and a flat list of operations. Parsing checks every field.

What can be said of one operation by itself is checked here (known names, whole numbers, views inside their buffers,
nothing written to constants); what its shapes must be to each other, the engine checks when it loads the program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..errors import ModelError
from .opset import ACTIVATIONS, MAX_DIMS, OPS, Choice

KINDS = ("input", "output", "state", "scratch", "constant")
MOST_FLOATS = 1 << 29
MOST_ITEMS = 100_000


class View(NamedTuple):
    """``shape`` numbers of buffer ``buffer`` from ``offset`` on; ``strides`` in numbers, 0 and negative ones allowed."""

    buffer: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def json(self):
        if self.strides == dense_strides(self.shape):
            return [self.buffer, self.offset, list(self.shape)]
        return [self.buffer, self.offset, list(self.shape), list(self.strides)]


@dataclass
class Buffer:
    """``size`` numbers. Constants are named by ``tensor`` or ``generator``; a state may start from a ``tensor``."""

    kind: str
    size: int
    tensor: str | None = None
    generator: str | None = None

    def json(self):
        return {k: v for k, v in vars(self).items() if v is not None}


@dataclass
class Call:
    """One operation: ``views`` in the order of its ``opset`` entry (None: not given), ``params`` complete."""

    op: str
    views: list[View | None]
    params: dict

    def json(self):
        spec = OPS[self.op]
        split = len(spec.inputs)
        given = {k: v for k, v in self.params.items() if v != default_of(spec, k)}
        return {"op": self.op, "in": [v and v.json() for v in self.views[:split]],
                "out": [v and v.json() for v in self.views[split:]], **given}


@dataclass
class Listing:
    """A whole program. ``in_shape`` and ``out_shape`` are [rows, channels] of its input and output buffers."""

    in_shape: tuple[int, int]
    out_shape: tuple[int, int]
    buffers: list[Buffer]
    calls: list[Call]
    delay_frames: int = 0

    def json(self):
        return {"in": list(self.in_shape), "out": list(self.out_shape), "delay_frames": self.delay_frames,
                "buffers": [b.json() for b in self.buffers], "ops": [c.json() for c in self.calls]}


def default_of(spec, name):
    value = spec.ints[name] if name in spec.ints else spec.floats[name]
    return value.default if isinstance(value, Choice) else value


def dense_strides(shape) -> tuple[int, ...]:
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def reach(view: View) -> tuple[int, int]:
    """Lowest and highest place a view touches."""
    ends = [(n - 1) * s for n, s in zip(view.shape, view.strides)]
    return view.offset + sum(e for e in ends if e < 0), view.offset + sum(e for e in ends if e > 0)


def _whole(value, low, high, what):
    if type(value) is not int or not low <= value <= high:
        raise ModelError(f"{what} is {str(value)[:40]}; a whole number from {low} to {high} belongs there")
    return value


def _list(value, what):
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise ModelError(f"{what} is not a list")
    return value


def parse(data, tensors: dict[str, tuple], generators: dict[str, tuple]) -> Listing:
    """A program from its JSON; ``tensors`` and ``generators`` map names to shapes. Raises ``ModelError``."""
    if not isinstance(data, dict):
        raise ModelError("a program is not an object")
    shapes = []
    for key in ("in", "out"):
        shape = _list(data.get(key), f"{key!r} of the program")
        if len(shape) != 2:
            raise ModelError(f"{key!r} of the program is not [rows, channels]")
        shapes.append(tuple(_whole(n, 1, MOST_FLOATS, f"{key!r} of the program") for n in shape))
    buffers = [_buffer(b, i, tensors, generators) for i, b in enumerate(_list(data.get("buffers"), "'buffers'"))]
    for key, (rows, channels) in zip(("input", "output"), shapes):
        sizes = [b.size for b in buffers if b.kind == key]
        if sizes != [rows * channels]:
            raise ModelError(f"{key} is {rows} x {channels}, but its buffers have {sizes} numbers")
    calls = [_call(c, i, buffers) for i, c in enumerate(_list(data.get("ops"), "'ops'"))]
    delay = _whole(data.get("delay_frames", 0), 0, MOST_FLOATS, "'delay_frames'")
    return Listing(*shapes, buffers, calls, delay)


def _buffer(data, index, tensors, generators) -> Buffer:
    what = f"buffer {index}"
    if not isinstance(data, dict) or data.get("kind") not in KINDS:
        raise ModelError(f"{what} is of no known kind ({', '.join(KINDS)})")
    size = _whole(data.get("size"), 1, MOST_FLOATS, f"size of {what}")
    buffer = Buffer(data["kind"], size, data.get("tensor"), data.get("generator"))
    for key, known in (("tensor", tensors), ("generator", generators)):
        name = getattr(buffer, key)
        if name is None:
            continue
        if not isinstance(name, str) or name not in known:
            raise ModelError(f"{what}: the file has no {key} {str(name)[:60]!r}")
        count = 1
        for n in known[name]:
            count *= n
        if count != size:
            raise ModelError(f"{what}: {key} {name!r} has {count} numbers, not {size}")
    named = (buffer.tensor is not None) + (buffer.generator is not None)
    if (buffer.kind == "constant") != (named == 1) and not (buffer.kind == "state" and buffer.tensor and named == 1):
        raise ModelError(f"{what}: a {buffer.kind} that names {named} sources")
    return buffer


def _view(data, buffers, what) -> View:
    parts = _list(data, what)
    if not 3 <= len(parts) <= 4:
        raise ModelError(f"{what} is not [buffer, offset, shape, strides]")
    index = _whole(parts[0], 0, len(buffers) - 1, f"buffer of {what}")
    offset = _whole(parts[1], 0, MOST_FLOATS, f"offset of {what}")
    shape = tuple(_whole(n, 1, MOST_FLOATS, f"shape of {what}") for n in _list(parts[2], f"shape of {what}"))
    strides = dense_strides(shape)
    if len(parts) == 4:
        strides = tuple(_whole(n, -MOST_FLOATS, MOST_FLOATS, f"stride of {what}") for n in _list(parts[3], f"strides of {what}"))
    if len(shape) > MAX_DIMS or len(strides) != len(shape):
        raise ModelError(f"{what} has {len(shape)} dimensions and {len(strides)} strides (at most {MAX_DIMS})")
    count = 1
    for n in shape:
        count *= n
    if count > MOST_FLOATS:
        raise ModelError(f"{what} has {count} numbers (at most {MOST_FLOATS})")
    view = View(index, offset, shape, strides)
    low, high = reach(view)
    if low < 0 or high >= buffers[index].size:
        raise ModelError(f"{what} reaches from {low} to {high} in a buffer of {buffers[index].size}")
    return view


def _call(data, index, buffers) -> Call:
    what = f"operation {index}"
    name = data.get("op") if isinstance(data, dict) else None
    if not isinstance(name, str) or name not in OPS:
        raise ModelError(f"{what} is unknown: {str(name)[:40]!r}; a newer version of the instrument may know it")
    spec, what, views = OPS[name], f"operation {index} ({name})", []
    for key, names in (("in", spec.inputs), ("out", spec.outputs)):
        given = _list(data.get(key), f"{key!r} of {what}")
        if len(given) > len(names):
            raise ModelError(f"{what} takes {len(names)} {key}, not {len(given)}")
        for operand, item in zip(names, given + [None] * (len(names) - len(given))):
            if item is None and "?" not in operand:
                raise ModelError(f"{what} lacks {operand.strip('=!?')}")
            views.append(None if item is None else _view(item, buffers, f"{operand.strip('=!?')} of {what}"))
    check_access(spec, views, buffers, what)
    extra = set(data) - {"op", "in", "out"} - set(spec.ints) - set(spec.floats)
    if extra:
        raise ModelError(f"{what} has no parameter {sorted(extra)[0][:40]!r}")
    return Call(name, views, {key: _param(spec, key, data, what) for key in (*spec.ints, *spec.floats)})


def check_access(spec, views, buffers, what) -> None:
    """Constants where they must be, nothing written where it may not be, no result that overlaps itself by stride 0."""
    for i, (operand, view) in enumerate(zip(spec.operands, views)):
        if view is None:
            continue
        kind = buffers[view.buffer].kind
        if "=" in operand and kind != "constant":
            raise ModelError(f"{what}: {operand.strip('=!?')} must be a constant")
        if spec.mutable(i):
            if kind in ("constant", "input"):
                raise ModelError(f"{what} writes to its {kind}")
            if any(n > 1 and s == 0 for n, s in zip(view.shape, view.strides)):
                raise ModelError(f"{what} writes many numbers to one place")


def _param(spec, key, data, what):
    if key not in data and default_of(spec, key) is None:
        raise ModelError(f"{what} lacks its {key!r}")
    value = data.get(key, default_of(spec, key))
    kind = spec.ints.get(key)
    if isinstance(kind, Choice):
        if not isinstance(value, str) or value not in kind.numbers:
            raise ModelError(f"{what}: {key} {str(value)[:40]!r} is unknown")
        return value
    if key in spec.ints:
        return _whole(value, 0, (1 << 32) - 1, f"{key!r} of {what}")
    if type(value) not in (int, float) or abs(value) > 3e38:
        raise ModelError(f"{key!r} of {what} is no number")
    return float(value)


__all__ = ["ACTIVATIONS", "Buffer", "Call", "Listing", "View", "parse"]
