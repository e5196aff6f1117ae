"""What operations come to when they are written down: ``RULES[op](recorder, inputs, params, shape, dtype)`` -> node or None."""

from __future__ import annotations

import math

import numpy as np

RULES: dict = {}
UNIFORM = 1 << 20  # elements of the largest constant that is searched for being one number


def _rule(*names):
    def enter(function):
        for name in names:
            RULES[name] = function
        return function

    return enter


@_rule("reshape")
def _reshape(r, inputs, params, shape, dtype):
    node = r.nodes[inputs[0]]
    if node.shape == shape:
        return inputs[0]
    if node.op == "reshape":
        return r.add("reshape", node.inputs, {}, shape, dtype)
    if node.op == "expand" and _whole(shape) == _whole(node.shape) and _whole(r.nodes[node.inputs[0]].shape) == _whole(node.shape):
        return r.add("reshape", node.inputs, {}, shape, dtype)
    return None


def _whole(shape):
    """A shape without its ones."""
    return tuple(n for n in shape if n != 1)


@_rule("permute")
def _permute(r, inputs, params, shape, dtype):
    node, order = r.nodes[inputs[0]], params["order"]
    if order == tuple(range(len(order))):
        return inputs[0]
    long = [i for i in order if node.shape[i] != 1]
    if long == sorted(long):
        return r.add("reshape", inputs, {}, shape, dtype)
    if node.op == "permute":
        inner = node.params["order"]
        return r.add("permute", node.inputs, {"order": tuple(inner[i] for i in order)}, shape, dtype)
    return None


@_rule("slice")
def _slice(r, inputs, params, shape, dtype):
    node = r.nodes[inputs[0]]
    if node.shape == shape and all(c > 0 for c in params["step"]):
        return inputs[0]
    if min(params["step"]) < 1 or 0 in shape:
        return None
    start, step = params["start"], params["step"]
    last = tuple(a + (n - 1) * c for a, n, c in zip(start, shape, step))  # the last element, in every dimension
    if node.op == "slice" and min(node.params["step"]) > 0:
        a, c = node.params["start"], node.params["step"]
        inner, steps = tuple(x + y * z for x, y, z in zip(a, start, c)), tuple(x * y for x, y in zip(c, step))
        return _cut(r, node.inputs[0], inner, steps, shape, dtype)
    if node.op == "cat":
        axis, at = node.params["axis"], 0
        for i in node.inputs:
            n = r.nodes[i].shape[axis]
            if at <= start[axis] and last[axis] < at + n:
                return _cut(r, i, tuple(a - at * (d == axis) for d, a in enumerate(start)), step, shape, dtype)
            at += n
    if node.op == "pad":
        before, inner = node.params["before"], r.nodes[node.inputs[0]].shape
        if all(a >= b and z < b + n for a, z, b, n in zip(start, last, before, inner)):
            return _cut(r, node.inputs[0], tuple(a - b for a, b in zip(start, before)), step, shape, dtype)
    if node.op == "assign" and set(node.params["step"]) == {1}:
        low, high = node.params["start"], node.params["stop"]
        if all(a >= b and z < e for a, z, b, e in zip(start, last, low, high)):
            return _cut(r, node.inputs[1], tuple(a - b for a, b in zip(start, low)), step, shape, dtype)
        if any(z < b or a >= e for a, z, b, e in zip(start, last, low, high)):
            return _cut(r, node.inputs[0], start, step, shape, dtype)
    return None


def _cut(r, source, start, step, shape, dtype):
    """A slice with its stops in the form that equal slices share."""
    stop = tuple(a + (n - 1) * c + 1 for a, n, c in zip(start, shape, step))
    return r.add("slice", (source,), {"start": start, "stop": stop, "step": step}, shape, dtype)


@_rule("cat")
def _cat(r, inputs, params, shape, dtype):
    axis, parts = params["axis"], []
    for i in inputs:
        node = r.nodes[i]
        if node.shape[axis] == 0:
            continue
        for j in node.inputs if node.op == "cat" and node.params["axis"] == axis else (i,):
            joined = _joined(r, parts[-1], j, axis, dtype) if parts else None
            if joined is None:
                parts.append(j)
            else:
                parts[-1] = joined
    if len(parts) == 1:
        return parts[0]
    if tuple(parts) != tuple(inputs) and parts:
        return r.add("cat", tuple(parts), params, shape, dtype)
    return None


def _joined(r, i, j, axis, dtype):
    """Two slices of one source that lie side by side, as one."""
    a, b = r.nodes[i], r.nodes[j]
    if a.op != "slice" or b.op != "slice" or a.inputs != b.inputs or set(a.params["step"] + b.params["step"]) != {1}:
        return None
    if any(d != axis and (a.params[k][d] != b.params[k][d]) for d in range(len(a.shape)) for k in ("start", "stop")):
        return None
    if a.params["stop"][axis] != b.params["start"][axis]:
        return None
    shape = tuple(n + (b.shape[axis] if d == axis else 0) for d, n in enumerate(a.shape))
    return _cut(r, a.inputs[0], a.params["start"], a.params["step"], shape, dtype)


@_rule("pad")
def _pad(r, inputs, params, shape, dtype):
    return None if any(params["before"]) or any(params["after"]) else inputs[0]


@_rule("expand")
def _expand(r, inputs, params, shape, dtype):
    node = r.nodes[inputs[0]]
    if node.shape == shape:
        return inputs[0]
    return r.add("expand", node.inputs, {}, shape, dtype) if node.op == "expand" else None


@_rule("cast")
def _cast(r, inputs, params, shape, dtype):
    return inputs[0] if r.nodes[inputs[0]].dtype == dtype else None


@_rule("assign")
def _assign(r, inputs, params, shape, dtype):
    base, value = (r.nodes[i] for i in inputs)
    if value.shape == shape:
        return inputs[1]
    if 0 in value.shape:
        return inputs[0]
    if base.op == "assign" and base.params == params:
        return r.add("assign", (base.inputs[0], inputs[1]), params, shape, dtype)
    if value.op == "slice" and value.inputs[0] == inputs[0] and value.params == params:
        return inputs[0]
    return None


@_rule("reduce")
def _reduce(r, inputs, params, shape, dtype):
    return inputs[0] if r.nodes[inputs[0]].shape == shape and params["scale"] == 1 else None


@_rule("unary")
def _unary(r, inputs, params, shape, dtype):
    fn, a, b = params["fn"], params["a"], params["b"]
    idle = fn == "copy" or (fn, a, b) in (("affine", 1.0, 0.0), ("clamp", -math.inf, math.inf))
    return inputs[0] if idle else None


def _plain(r, inputs, shape):
    """Operands without expansions that the operation does by itself, and constants of one number without dimensions."""
    inputs = list(inputs)
    for k, i in enumerate(inputs):
        node = r.nodes[i]
        others = [r.nodes[j].shape for n, j in enumerate(inputs) if n != k]
        if node.op == "expand":
            inner = node.inputs[0]
        elif node.op == "constant" and 1 <= node.params["value"].size <= UNIFORM and node.shape != () and _one(node.params["value"]):
            inner = r.number(node.params["value"].flat[0], node.dtype)
        else:
            continue
        if np.broadcast_shapes(r.nodes[inner].shape, *others) == shape:
            inputs[k] = inner
    return tuple(inputs)


def _one(array) -> bool:
    first = array.flat[0]
    return array.flat[-1] == first and bool((array == first).all())


@_rule("binary")
def _binary(r, inputs, params, shape, dtype):
    simpler = _plain(r, inputs, shape)
    if simpler != inputs:
        return r.add("binary", simpler, params, shape, dtype)
    fn, (a, b) = params["fn"], (r.nodes[i] for i in inputs)
    if dtype in ("f32", "f64") and fn in ("add", "sub", "mul"):
        for x, other, place, first in ((a, b, inputs[0], True), (b, a, inputs[1], False)):
            if other.op == "constant" and other.shape == () and x.shape == shape and math.isfinite(other.params["value"]):
                c = float(other.params["value"])
                factor, offset = {"add": (1.0, c), "mul": (c, 0.0), "sub": (1.0, -c) if first else (-1.0, c)}[fn]
                return r.add("unary", (place,), {"fn": "affine", "a": factor, "b": offset}, shape, dtype)
    return None


@_rule("where")
def _where(r, inputs, params, shape, dtype):
    condition = r.nodes[inputs[0]]
    if condition.op == "constant" and condition.params["value"].size and _one(condition.params["value"]):
        return r.add("expand", (inputs[1 if condition.params["value"].flat[0] else 2],), {}, shape, dtype)
    simpler = _plain(r, inputs, shape)
    return r.add("where", simpler, params, shape, dtype) if simpler != inputs else None
