"""Folds what follows a convolution into it: scales and offsets into its weights, activations, a residual, a second result."""

from __future__ import annotations

import numpy as np

from neurorack.engine.opset import ACTIVATIONS
from neurorack.importer.compile.graph import Graph, Item

PRODUCTS = ("conv1d", "linear", "conv_transpose1d")


def fuse(graph: Graph) -> None:
    _snakes(graph)
    graph.refresh()
    for item in list(graph.items):
        if item.op in PRODUCTS:
            item.inputs += [None] * (4 - len(item.inputs))
            item.params.setdefault("act", ("copy", 0.0, 0.0))
            if item.inputs[1].is_constant and (item.inputs[2] is None or item.inputs[2].is_constant):
                _scale(graph, item)
                _end(graph, item)
    graph.refresh()


# -- constant factors and offsets

def _scale(graph: Graph, item: Item) -> None:
    """While the only user multiplies by or adds one number a channel, change the weights instead."""
    while (user := graph.only_user(item)) is not None and item.inputs[1].is_constant:
        change = _channel_change(item, user)
        if change is None:
            return
        scale, offset = change
        channels = item.shape[_channel_axis(item)]
        weights = item.inputs[1].value
        bias = np.zeros(channels) if item.inputs[2] is None else item.inputs[2].value.reshape(-1).astype(float)
        scale, offset = np.broadcast_to(scale, (channels,)), np.broadcast_to(offset, (channels,))
        item.inputs[1] = graph.constant((weights * _to_weights(item, scale)).astype(np.float32), item)
        item.inputs[2] = graph.constant((bias * scale + offset).astype(np.float32), item)
        graph.replace(user, item)
        item.users = [u for u in item.users if u is not user]
        user.inputs = []


def _channel_axis(item: Item) -> int:
    return len(item.shape) - 1 if item.op == "linear" else 1


def _to_weights(item: Item, scale: np.ndarray) -> np.ndarray:
    """One number a channel, shaped to multiply the weights."""
    if item.op == "linear":
        return scale[None, :]
    if item.op == "conv1d":
        return scale[:, None, None]
    groups = item.params.get("groups", 1)
    ins, outs = item.inputs[1].shape[:2]
    return np.repeat(scale.reshape(groups, outs), ins // groups, axis=0)[:, :, None]


def _channel_change(item: Item, user: Item):
    """(scale, offset) arrays of one number or one a channel, or None."""
    if user.op == "unary" and user.params["fn"] == "affine" and user.inputs[0] is item:
        return np.array([user.params["a"]]), np.array([user.params["b"]])
    if user.op != "binary" or user.params["fn"] not in ("add", "sub", "mul", "div") or user.shape != item.shape:
        return None
    a, b = user.inputs
    other, first = (b, True) if a is item else (a, False)
    if other is item or not other.is_constant or other.dtype not in ("f32", "f64"):
        return None
    axis = _channel_axis(item)
    shape = (1,) * (len(item.shape) - other.value.ndim) + other.value.shape
    if any(n != 1 for i, n in enumerate(shape) if i != axis):
        return None
    value, fn = other.value.reshape(-1).astype(float), user.params["fn"]
    if fn == "add":
        return np.ones(1), value
    if fn == "sub":
        return (np.ones(1), -value) if first else (-np.ones(1), value)
    if fn == "mul":
        return value, np.zeros(1)
    return (1.0 / value, np.zeros(1)) if first and np.all(value != 0) else None


# -- activations and residuals

def _end(graph: Graph, item: Item) -> None:
    """act(conv) + residual, or act(conv + residual), and a second activation of the result."""
    last = item
    user = graph.only_user(last)
    if item.op != "conv_transpose1d" and user is not None and _is_residual(user, last):
        last = _take_residual(graph, item, user)
    user = graph.only_user(last)
    if user is not None and _activation(user) and user.inputs[0] is last:
        item.params["act"] = _activation(user)
        item.params["residual_first"] = int(item.inputs[3] is not None)
        last = _absorb(graph, item, user)
        user = graph.only_user(last)
        if item.op != "conv_transpose1d" and item.inputs[3] is None and user is not None and _is_residual(user, last):
            last = _take_residual(graph, item, user)
    acts = [u for u in item.users if _activation(u) and u.inputs[0] is item]
    if acts and len(item.users) > 1:
        second = acts[0]
        second.op, second.params = "second", {"act": _activation(second)}
        item.params["second"] = second


def _activation(user: Item):
    if user.op == "unary" and user.params["fn"] in ACTIVATIONS and user.params["fn"] != "copy":
        return user.params["fn"], user.params.get("a", 0.0), user.params.get("b", 0.0)
    return None


def _is_residual(user: Item, last: Item) -> bool:
    if user.op != "binary" or user.params["fn"] != "add" or user.shape != last.shape:
        return False
    a, b = user.inputs
    return a is not b and a.shape == b.shape and not (b if a is last else a).is_constant


def _take_residual(graph: Graph, item: Item, user: Item) -> Item:
    """The sum becomes the convolution: its other term may come later in the order than the convolution did."""
    a, b = user.inputs
    item.inputs[3] = b if a is item else a
    return _absorb(graph, item, user)


def _absorb(graph: Graph, item: Item, user: Item) -> Item:
    """``user`` is computed by ``item`` from now on, which moves to its place in the order."""
    graph.replace(user, item)
    item.users = [u for u in item.users if u is not user]
    items = graph.items
    items.remove(item)
    items[items.index(user)] = item
    if item.inputs[3] is not None:
        item.inputs[3].users = [item if u is user else u for u in item.inputs[3].users]
    user.inputs = []
    return item


# -- Snake (Ziyin et al., 2020): x + sin(a x)^2 / a

def _snakes(graph: Graph) -> None:
    for item in list(graph.items):
        if item.op != "binary" or item.params["fn"] != "add":
            continue
        for x, term in (item.inputs, reversed(item.inputs)):
            found = _snake_term(x, term)
            if found:
                scale, inverse = found
                alpha, factor = graph.constant(scale, item), graph.constant(inverse, item)
                item.op, item.inputs, item.params = "ternary", [x, alpha, factor], {"fn": "snake"}
                break


def _snake_term(x: Item, term: Item):
    """(a, k) where ``term`` is k sin(a x)^2, else None."""
    factor = np.ones(1, np.float32)
    if term.op == "unary" and term.params["fn"] == "affine" and not term.params.get("b"):
        factor, term = np.full(1, term.params["a"], np.float32), term.inputs[0]
    elif term.op == "binary" and term.params["fn"] in ("mul", "div"):
        a, b = term.inputs
        if b.is_constant:
            factor, term = (b.value if term.params["fn"] == "mul" else 1.0 / b.value), a
        elif a.is_constant and term.params["fn"] == "mul":
            factor, term = a.value, b
        else:
            return None
    sine = _squared(term)
    if sine is None or sine.op != "unary" or sine.params["fn"] != "sin":
        return None
    inner = sine.inputs[0]
    if inner is x:
        return np.ones(1, np.float32), np.asarray(factor, np.float32)
    if inner.op == "unary" and inner.params["fn"] == "affine" and not inner.params.get("b") and inner.inputs[0] is x:
        return np.full(1, inner.params["a"], np.float32), np.asarray(factor, np.float32)
    if inner.op == "binary" and inner.params["fn"] == "mul":
        a, b = inner.inputs
        if a is x and b.is_constant:
            return b.value, np.asarray(factor, np.float32)
        if b is x and a.is_constant:
            return a.value, np.asarray(factor, np.float32)
    return None


def _squared(item: Item) -> Item | None:
    if item.op == "unary" and item.params["fn"] == "square":
        return item.inputs[0]
    if item.op == "binary" and item.params["fn"] == "mul" and item.inputs[0] is item.inputs[1]:
        return item.inputs[0]
    return None
