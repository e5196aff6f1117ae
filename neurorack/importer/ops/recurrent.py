"""Recurrent layers as torch writes them: all layers and directions in one call."""

from __future__ import annotations

import numpy as np

from ..errors import UnsupportedError
from ..tensors import Tensor, Value
from . import views
from .table import operator

MOST_STEPS = 256  # of an LSTM or plain RNN in one block: each becomes operations of its own


def _layers(params, has_biases: bool, bidirectional: bool, num_layers: int):
    """Weights of each layer and direction: [w_ih, w_hh, b_ih or None, b_hh or None]."""
    each = 4 if has_biases else 2
    count = num_layers * (2 if bidirectional else 1)
    if len(params) != each * count:
        raise UnsupportedError("a recurrent layer with a projection is not known here")
    return [[*params[i * each:(i + 1) * each], *([None, None] if not has_biases else [])] for i in range(count)]


def _run(ops, x, states, params, has_biases, num_layers, train, bidirectional, batch_first, step):
    """``step(value [t, n, in], weights, states of one layer) -> (value [t, n, hidden], its last states)``."""
    alone = x.ndim == 2
    if alone:
        x = views.unsqueeze(ops, x, 1)
        states = [views.unsqueeze(ops, s, 1) for s in states]
        batch_first = False
    value = ops.read(x)
    value = ops.permute(value, (1, 0, 2)) if batch_first else value
    ends: list[list[Value]] = []
    directions = 2 if bidirectional else 1
    weights = _layers(params, has_biases, bidirectional, num_layers)
    for layer in range(num_layers):
        sides = []
        for side in range(directions):
            k = layer * directions + side
            start = [ops.reshape(ops.cut(ops.read(s), 0, k, k + 1), s.shape[1:]) for s in states]
            way = _turned(ops, value) if side else value
            y, end = step(ops, way, [None if w is None else ops.read(w) for w in weights[k]], start)
            sides.append(_turned(ops, y) if side else y)
            ends.append(end)
        value = ops.cat(sides, 2)
    value = ops.permute(value, (1, 0, 2)) if batch_first else value
    last = [ops.fresh(ops.cat([ops.reshape(e[i], (1, *e[i].array.shape)) for e in ends], 0)) for i in range(len(states))]
    y = ops.fresh(value)
    return (views.squeeze(ops, y, 1), *(views.squeeze(ops, s, 1) for s in last)) if alone else (y, *last)


def _turned(ops, v: Value) -> Value:
    return ops.cut(v, 0, v.array.shape[0] - 1, None, -1) if v.array.shape[0] > 1 else v


def _gru_step(ops, x, weights, start):
    w_ih, w_hh, b_ih, b_hh = weights
    none = Value(np.zeros(w_ih.array.shape[0], w_ih.array.dtype))
    y = ops.run("gru", [x, w_ih, w_hh, b_ih or none, b_hh or none, start[0]])
    t = y.array.shape[0]
    return y, [ops.reshape(ops.cut(y, 0, t - 1, t), y.array.shape[1:])]


def _sums(ops, x, weights):
    """What the input gives to the gates of all steps, [t, n, gates]."""
    w_ih, _, b_ih, b_hh = weights
    gates = ops.run("matmul", [x, ops.permute(w_ih, (1, 0))])
    for bias in (b_ih, b_hh):
        gates = gates if bias is None else ops.binary("add", gates, bias)
    if x.array.shape[0] > MOST_STEPS:
        raise UnsupportedError(f"{x.array.shape[0]} steps of a recurrent layer in one block are not followed here (at most {MOST_STEPS})")
    return gates


def _stacked(ops, rows):
    return ops.cat([ops.reshape(r, (1, *r.array.shape)) for r in rows], 0)


def _lstm_step(ops, x, weights, start):
    gates, (h, c), back = _sums(ops, x, weights), start, ops.permute(weights[1], (1, 0))
    hidden, rows = h.array.shape[1], []
    for t in range(x.array.shape[0]):
        now = ops.reshape(ops.cut(gates, 0, t, t + 1), gates.array.shape[1:])
        now = ops.binary("add", now, ops.run("matmul", [h, back]))
        take, keep, fresh, show = (ops.cut(now, 1, k * hidden, (k + 1) * hidden) for k in range(4))
        new = ops.binary("mul", ops.unary("sigmoid", take), ops.unary("tanh", fresh))
        c = ops.binary("add", ops.binary("mul", ops.unary("sigmoid", keep), c), new)
        h = ops.binary("mul", ops.unary("sigmoid", show), ops.unary("tanh", c))
        rows.append(h)
    return _stacked(ops, rows), [h, c]


def _plain_step(fn):
    def step(ops, x, weights, start):
        gates, (h,), back, rows = _sums(ops, x, weights), start, ops.permute(weights[1], (1, 0)), []
        for t in range(x.array.shape[0]):
            now = ops.reshape(ops.cut(gates, 0, t, t + 1), gates.array.shape[1:])
            h = ops.unary(fn, ops.binary("add", now, ops.run("matmul", [h, back])))
            rows.append(h)
        return _stacked(ops, rows), [h]

    return step


def _layered(step, pair_of_states=False):
    def run(ops, input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first):
        if not isinstance(hx, (list, tuple) if pair_of_states else Tensor) or not isinstance(params, (list, tuple)):
            raise UnsupportedError("a recurrent layer over packed sequences is not known here")
        states = list(hx) if pair_of_states else [hx]
        return _run(ops, input, states, params, has_biases, num_layers, train, bidirectional, batch_first, step)

    return run


operator("gru")(_layered(_gru_step))
operator("lstm")(_layered(_lstm_step, True))
operator("rnn_tanh")(_layered(_plain_step("tanh")))
operator("rnn_relu")(_layered(_plain_step("relu")))


def _cell(step, pair_of_states=False):
    def run(ops, input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
        states = [ops.read(s) for s in (hx if pair_of_states else [hx])]
        x = ops.read(input)
        alone = input.ndim == 1
        if alone:
            x, states = ops.reshape(x, (1, input.shape[0])), [ops.reshape(s, (1, *s.array.shape)) for s in states]
        weights = [None if w is None else ops.read(w) for w in (w_ih, w_hh, b_ih, b_hh)]
        _, ends = step(ops, ops.reshape(x, (1, *x.array.shape)), weights, states)
        found = [ops.fresh(ops.reshape(e, e.array.shape[1:]) if alone else e) for e in ends]
        return tuple(found) if pair_of_states else found[0]

    return run


operator("gru_cell")(_cell(_gru_step))
operator("lstm_cell")(_cell(_lstm_step, True))
operator("rnn_tanh_cell")(_cell(_plain_step("tanh")))
operator("rnn_relu_cell")(_cell(_plain_step("relu")))
