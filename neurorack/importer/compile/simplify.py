"""Rewrites operations into those the engine has, without a change of meaning."""

from __future__ import annotations

import numpy as np

from neurorack.importer.compile.graph import Graph, Item


PHASES = 16     # outputs of a filter computed at once


def simplify(graph: Graph) -> None:
    for item in list(graph.items):
        rewrite = RULES.get(item.op)
        if rewrite:
            rewrite(graph, item)
    graph.refresh()
    drop_zero_parts(graph)


def _conv1d(graph: Graph, item: Item) -> None:
    """Padding becomes an operation of its own, which the producer of the input can write into."""
    left, right = item.params["padding"]
    if left or right:
        x = item.inputs[0]
        shape = (*x.shape[:-1], x.shape[-1] + left + right)
        zeros = (0,) * (len(x.shape) - 1)
        item.inputs[0] = graph.insert(item, "pad", [x], {"before": (*zeros, left), "after": (*zeros, right), "value": 0.0}, shape)
        item.params["padding"] = (0, 0)
    _filter(graph, item)


def _filter(graph: Graph, item: Item) -> None:
    """One channel to one channel: ``PHASES`` neighbouring outputs are computed as channels, so that the kernel's lanes are full."""
    w, p, rows = item.inputs[1], item.params, item.shape[-1]
    if len(item.shape) != 3 or not w.is_constant or w.shape[:2] != (1, 1) or w.shape[2] < 4 or rows % PHASES or rows == PHASES:
        return
    if p["stride"] != 1 or p["dilation"] != 1 or p["groups"] != 1:
        return
    taps = w.value.reshape(-1)
    wide = np.zeros((PHASES, 1, len(taps) + PHASES - 1), np.float32)
    for phase in range(PHASES):
        wide[phase, 0, phase:phase + len(taps)] = taps
    inputs = [item.inputs[0], graph.constant(wide, item)]
    if len(item.inputs) > 2 and item.inputs[2] is not None:
        if not item.inputs[2].is_constant:
            return
        inputs.append(graph.constant(np.repeat(item.inputs[2].value.reshape(-1), PHASES), item))
    batch = item.shape[0]
    phases = graph.insert(item, "conv1d", inputs, {**p, "stride": PHASES}, (batch, PHASES, rows // PHASES))
    turned = graph.insert(item, "permute", [phases], {"order": (0, 2, 1)}, (batch, rows // PHASES, PHASES))
    graph.replace(item, graph.insert(item, "reshape", [turned], {}, item.shape))


def _matmul(graph: Graph, item: Item) -> None:
    """A product with a constant matrix is a convolution of one tap over rows."""
    a, b = item.inputs
    if b.is_constant and b.value.ndim == 2 and len(a.shape) >= 2:
        rows, weights = a, b.value
    elif a.is_constant and a.value.ndim == 2 and len(b.shape) >= 2 and all(n == 1 for n in b.shape[:-2]):
        order = (*range(len(b.shape) - 2), len(b.shape) - 1, len(b.shape) - 2)
        rows = graph.insert(item, "permute", [b], {"order": order}, tuple(b.shape[i] for i in order))
        weights = a.value.T
    else:
        return
    product = graph.insert(item, "linear", [rows, graph.constant(weights.astype(np.float32), item), None, None], {},
                           (*rows.shape[:-1], weights.shape[1]))
    if rows is not a:
        product = graph.insert(item, "permute", [product], {"order": order}, item.shape)
    graph.replace(item, product)


def drop_zero_parts(graph: Graph) -> None:
    """Numbers whose imaginary parts are constant zeros, under a matrix: the rows that meet the zeros go."""
    for item in [i for i in graph.items if i.op == "linear" and i.inputs[0].op == "reshape"]:
        pairs, weights = item.inputs[0].inputs[0], item.inputs[1]
        if pairs.op != "cat" or len(pairs.inputs) != 2 or pairs.shape[-1] != 2 or pairs.params["axis"] % len(pairs.shape) != len(pairs.shape) - 1:
            continue
        real, imaginary = pairs.inputs
        if imaginary.is_constant and not imaginary.value.any() and 2 * real.size == pairs.size and weights.shape[0] == 2 * pairs.shape[-2]:
            shape = (*item.inputs[0].shape[:-1], weights.shape[0] // 2)
            item.inputs[0] = graph.insert(item, "reshape", [real], {}, shape)
            item.inputs[1] = graph.constant(np.ascontiguousarray(weights.value[::2]), item)
    graph.refresh()


def _binary(graph: Graph, item: Item) -> None:
    fn, (a, b) = item.params["fn"], item.inputs
    if fn == "pow" and b.is_constant and b.value.size == 1:
        _power(graph, item, a, float(b.value.reshape(-1)[0]))
    elif fn in ("add", "sub", "mul", "div", "max", "min") and item.dtype in ("f32", "f64"):
        _with_number(graph, item, fn, a, b)


def _power(graph: Graph, item: Item, a: Item, exponent: float) -> None:
    if exponent == 2.0:
        _become(item, "unary", [a], fn="square")
    elif exponent == 1.0:
        _become(item, "unary", [a], fn="copy")
    elif exponent == 0.5:
        _become(item, "unary", [a], fn="sqrt")
    elif exponent == -1.0:
        _become(item, "unary", [a], fn="reciprocal")
    elif a.op == "unary" and a.params["fn"] == "sigmoid" and len(a.users) == 1:     # log(sigmoid(x)) is -softplus(-x)
        turned = graph.insert(item, "unary", [a.inputs[0]], {"fn": "affine", "a": -1.0, "b": 0.0}, item.shape)
        soft = graph.insert(item, "unary", [turned], {"fn": "softplus"}, item.shape)
        scaled = graph.insert(item, "unary", [soft], {"fn": "affine", "a": -exponent, "b": 0.0}, item.shape)
        _become(item, "unary", [scaled], fn="exp")
    elif _positive(a):      # exp(c log x) is vectorised, pow is not
        log = graph.insert(item, "unary", [a], {"fn": "log"}, item.shape)
        scaled = graph.insert(item, "unary", [log], {"fn": "affine", "a": exponent, "b": 0.0}, item.shape)
        _become(item, "unary", [scaled], fn="exp")


def _positive(item: Item) -> bool:
    return item.op == "unary" and item.params["fn"] in ("sigmoid", "exp", "softplus")


def _with_number(graph: Graph, item: Item, fn: str, a: Item, b: Item) -> None:
    """x + 3, 2 x, x / 4, 1 - x are one affine function, rounded as before: an oscillator's step may not change by one bit."""
    if b.is_constant and b.value.size == 1 and a.shape == item.shape:
        number = float(b.value.reshape(-1)[0])
        if fn == "div" and not _is_power_of_two(number):
            return
        scale, offset = {"add": (1.0, number), "sub": (1.0, -number), "mul": (number, 0.0),
                         "div": (1.0 / number if number else 0.0, 0.0)}.get(fn, (0.0, 0.0))
        if scale:
            _become(item, "unary", [a], fn="affine", a=scale, b=offset)
    elif a.is_constant and a.value.size == 1 and b.shape == item.shape and fn != "div":
        number = float(a.value.reshape(-1)[0])
        scale, offset = {"add": (1.0, number), "sub": (-1.0, number), "mul": (number, 0.0)}.get(fn, (0.0, 0.0))
        if scale:
            _become(item, "unary", [b], fn="affine", a=scale, b=offset)


def _is_power_of_two(number: float) -> bool:
    return np.isfinite(number) and number != 0.0 and abs(np.frexp(number)[0]) == 0.5


def _unary(graph: Graph, item: Item) -> None:
    """Two affine functions in a row are one, where that rounds no other way."""
    before = item.inputs[0]
    if item.params["fn"] == "affine" and before.op == "unary" and before.params["fn"] == "affine" and len(before.users) == 1:
        a, b = before.params.get("a", 0.0), before.params.get("b", 0.0)
        scale, offset = item.params["a"], item.params["b"]
        if offset == 0.0 and _is_power_of_two(scale) and (a == 1.0 or b == 0.0):
            item.params["a"], item.params["b"], item.inputs[0] = a * scale, b * scale, before.inputs[0]


def _become(item: Item, op: str, inputs: list, **params) -> None:
    item.op, item.inputs, item.params = op, inputs, params


RULES = {"conv1d": _conv1d, "matmul": _matmul, "binary": _binary, "unary": _unary}
