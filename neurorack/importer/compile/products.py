"""Convolutions, matrix products and GRUs."""

from __future__ import annotations

import numpy as np

from neurorack.engine.listing import dense_strides
from neurorack.importer.compile.views import at, broadcast, restrided
from neurorack.importer.errors import UnsupportedError

MOST_CALLS = 256      # that one batched operation may become


def _constant(item, index: int) -> np.ndarray | None:
    source = item.inputs[index] if len(item.inputs) > index else None
    if source is None:
        return None
    if not source.is_constant:
        raise UnsupportedError(f"{item.op} with weights that change from block to block")
    return np.asarray(source.value, np.float32)


def _endings(item) -> dict:
    (fn, a, b), second = item.params["act"], item.params.get("second")
    fn2, a2, b2 = second.params["act"] if second else ("copy", 0.0, 0.0)
    return {"act": fn, "a": float(a), "b": float(b), "act2": fn2, "a2": float(a2), "b2": float(b2)}


def _rows(value, batch: int):
    """[channels, time] of one element of the batch as [time, channels]."""
    return at(value, (value.shape[2], value.shape[1]), (value.strides[2], value.strides[1]), batch * value.strides[0])


def _batched(emitter, item):
    """The operands of each element of the batch: x, residual, y, y2 as [time, channels]."""
    if len(item.shape) != 3 or item.shape[0] > MOST_CALLS:
        raise UnsupportedError(f"{item.op} over {item.inputs[0].shape}; three dimensions and a batch up to {MOST_CALLS} are known")
    second = item.params.get("second")
    values = [emitter.value(item.inputs[0]), emitter.value(item.inputs[3]) if item.inputs[3] else None,
              emitter.room(item), emitter.room(second) if second else None]
    for n in range(item.shape[0]):
        yield [None if v is None else _rows(v, n) for v in values]


def conv1d(emitter, item) -> None:
    if not item.inputs[1].is_constant:
        _moving_conv1d(emitter, item)
        return
    weights, bias, p, b = _constant(item, 1), _constant(item, 2), item.params, emitter.b
    if len(item.shape) == 3 and item.shape[0] > 1 and weights.shape[2] == p["stride"] == p["groups"] == 1:
        _rows_of_all(emitter, item, weights[:, :, 0].T, (0, 2, 1))
        return
    w = b.constant(weights).transposed(2, 1, 0)
    offsets = None if bias is None else b.constant(bias.reshape(-1))
    for x, residual, y, y2 in _batched(emitter, item):
        b.call("conv1d", [x, w, offsets, residual], [y, y2], stride=p["stride"], dilation=p["dilation"], groups=p["groups"],
               residual_first=int(p.get("residual_first", 0)), **_endings(item))


def _moving_conv1d(emitter, item) -> None:
    """Weights that are computed anew in every block: a matrix product over windows of the input."""
    p, b = item.params, emitter.b
    w = emitter.value(item.inputs[1])
    outs, depth, taps = w.shape[0] // p["groups"], w.shape[1], w.shape[2]
    rows = item.shape[2]
    for x, _, y, _ in _batched(emitter, item):
        for g in range(p["groups"]):
            row, channel = x.strides
            windows = at(x, (rows, taps, depth), (row * p["stride"], row * p["dilation"], channel), g * depth * channel)
            part = at(w, (taps, depth, outs), (w.strides[2], w.strides[1], w.strides[0]), g * outs * w.strides[0])
            to = at(y, (rows, outs), y.strides, g * outs * y.strides[1])
            b.call("matmul", [emitter.shaped(windows, (rows, taps * depth)), emitter.shaped(part, (taps * depth, outs))], [to])
    if item.inputs[2] is not None:
        bias, y = emitter.value(item.inputs[2]), emitter.room(item)
        emitter.pointwise("binary", [y, at(bias, (1, item.shape[1], 1), (0, bias.strides[-1], 0))], y, fn="add")


def conv_transpose1d(emitter, item) -> None:
    weights, bias, p, b = _constant(item, 1), _constant(item, 2), item.params, emitter.b
    if p["dilation"] > 1:
        wide = np.zeros((*weights.shape[:2], (weights.shape[2] - 1) * p["dilation"] + 1), np.float32)
        wide[:, :, ::p["dilation"]] = weights
        weights = wide
    crop = p["padding"][0]
    x_rows, taps = item.inputs[0].shape[2], weights.shape[2]
    if crop + item.shape[2] > x_rows * p["stride"] + max(taps - p["stride"], 0):
        raise UnsupportedError(f"conv_transpose1d with output_padding {p['output_padding']} beyond its taps")
    w = b.constant(weights).transposed(2, 0, 1)
    offsets = None if bias is None else b.constant(bias.reshape(-1))
    for x, _, y, y2 in _batched(emitter, item):
        b.call("conv_transpose1d", [x, w, offsets], [y, y2], stride=p["stride"], groups=p["groups"], crop=crop, **_endings(item))


def linear(emitter, item) -> None:
    """Rows times a constant matrix: x [..., k], w [k, n]."""
    _rows_of_all(emitter, item, _constant(item, 1), tuple(range(len(item.shape))))


def _rows_of_all(emitter, item, weights: np.ndarray, order: tuple[int, ...]) -> None:
    """One product with ``weights`` [k, n] over all rows there are, whose numbers lie along the last axis of ``order``."""
    bias, b = _constant(item, 2), emitter.b
    k, n = weights.shape
    rows = max(item.size // n, 1)

    def turned(value):
        return at(value, [value.shape[i] for i in order], [value.strides[i] for i in order])

    x = emitter.shaped(turned(emitter.value(item.inputs[0])), (rows, k))
    residual = emitter.shaped(turned(emitter.value(item.inputs[3])), (rows, n)) if item.inputs[3] else None
    to, late = [], []
    for target in (item, item.params.get("second")):
        if target is None:
            to.append(None)
            continue
        room = turned(emitter.room(target))
        view = restrided(room, (rows, n))
        if view is None:
            view = b.new(rows, n)
            late.append((at(view, room.shape, dense_strides(room.shape)), room))
        to.append(view)
    b.call("conv1d", [x, b.constant(weights[None]), None if bias is None else b.constant(bias.reshape(-1)), residual], to,
           residual_first=int(item.params.get("residual_first", 0)), **_endings(item))
    for source, room in late:
        emitter.copy(source, room)


def matmul(emitter, item) -> None:
    """Two moving factors; dimensions before the last two are a batch."""
    left, right = (emitter.value(i) for i in item.inputs)
    squeeze = []
    if len(left.shape) == 1:
        left = at(left, (1, *left.shape), (0, *left.strides))
        squeeze.append(-2)
    if len(right.shape) == 1:
        right = at(right, (*right.shape, 1), (*right.strides, 0))
        squeeze.append(-1)
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left, right = (broadcast(v, (*batch, *v.shape[-2:])) for v in (left, right))
    y = emitter.room(item)
    shape, strides = list(y.shape), list(y.strides)
    for axis in squeeze:
        place = len(shape) + axis + 1
        shape.insert(place, 1)
        strides.insert(place, 0)
    y = at(y, shape, strides)
    count = int(np.prod(batch, dtype=np.int64))
    if count > MOST_CALLS:
        raise UnsupportedError(f"{count} matrix products at once; {MOST_CALLS} are allowed")
    for place in np.ndindex(*batch):
        parts = [at(v, v.shape[-2:], v.strides[-2:], sum(i * s for i, s in zip(place, v.strides))) for v in (left, right, y)]
        emitter.b.call("matmul", parts[:2], parts[2:])


def gru(emitter, item) -> None:
    """x [t, n, in] -> [t, n, hidden], from h [n, hidden]."""
    b = emitter.b
    x, h, y = emitter.value(item.inputs[0]), emitter.value(item.inputs[5]), emitter.room(item)
    w_ih, w_hh, b_ih, b_hh = (_constant(item, i) for i in range(1, 5))
    weights = [b.constant(w_ih).transposed(), None if b_ih is None else b.constant(b_ih),
               b.constant(w_hh).transposed(), None if b_hh is None else b.constant(b_hh)]
    for n in range(x.shape[1]):
        rows, start, to = (at(v, (v.shape[0], v.shape[2]), (v.strides[0], v.strides[2]), n * v.strides[1]) if len(v.shape) == 3
                           else at(v, v.shape[1:], v.strides[1:], n * v.strides[0]) for v in (x, h, y))
        memory = b.new(h.shape[1])
        emitter.copy(start, memory)
        b.call("gru", [rows, *weights, memory], [to])


OPERATIONS = {"conv1d": conv1d, "conv_transpose1d": conv_transpose1d, "linear": linear, "matmul": matmul, "gru": gru}
