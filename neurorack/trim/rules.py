"""What each operation says of the labels of its operands; an operation without a rule keeps all that it touches as it is."""

from __future__ import annotations

import numpy as np

from ..engine.opset import OPS
from .labels import FIXED, NONE, Constant


def apply(labels, key, call, operands) -> None:
    """Carry labels through one call. operands: arrays of labels, ``Constant``s or None, in the order of ``opset.OPS``."""
    rule = RULES.get(call.op)
    if rule is None:
        for operand in operands:
            labels.fix(operand)
    else:
        rule(labels, key, call, *operands)


# -- sums over channels

def _conv1d(labels, key, call, x, w, bias, residual, y, y2):
    groups, outs = call.params["groups"], w.along(2, "out")
    if groups > 1 and w.shape[1] == 1:                       # every group is a channel: both go together
        channels = labels.own(key, groups)
        labels.join(x, channels)
        labels.unite(outs, np.repeat(channels, len(outs) // groups))
    else:
        labels.join(x, np.tile(w.along(1, "in"), groups))
        _alike(labels, outs, groups)
    _results(labels, outs, bias, y, y2)
    if residual is not None:
        _meet(labels, y, [residual])


def _conv_transpose1d(labels, key, call, x, w, bias, y, y2):
    groups, ins, outs = call.params["groups"], w.along(1, "in"), w.along(2, "out")
    labels.join(x, ins)
    if groups > 1 and len(ins) == groups:
        labels.unite(outs, FIXED)
        outs = np.repeat(ins, len(outs))
    else:
        _alike(labels, ins, groups)
        outs = np.tile(outs, groups)
    _results(labels, outs, bias, y, y2)


def _alike(labels, channels, groups):
    """Groups stay of equal size: the same channels go in all of them."""
    labels.unite(channels.reshape(groups, -1), channels.reshape(groups, -1)[:1])


def _results(labels, outs, bias, y, y2):
    if bias is not None:
        labels.unite(outs, bias.along(0, "out"))
    labels.join(y, outs)
    if y2 is not None:
        labels.pair(y, y2)


def _matmul(labels, key, call, a, b, y):
    if isinstance(b, Constant) and len(b.shape) == 2 and not isinstance(a, Constant):
        labels.join(a, b.along(0, "in"))
        labels.join(y, b.along(1, "out"))
    elif isinstance(a, Constant) and len(a.shape) == 2 and not isinstance(b, Constant):
        labels.join(b, a.along(1, "in")[:, None])
        labels.join(y, a.along(0, "out")[:, None])
    else:
        for operand in (a, b, y):
            labels.fix(operand)


def _gru(labels, key, call, x, w_x, b_x, w_h, b_h, h, y):
    hidden = w_h.along(0, "in")
    gates = np.tile(hidden, 3)
    labels.join(x, w_x.along(0, "in"))
    for vector in (w_x.along(1, "out"), w_h.along(1, "out"), *(b.along(0, "out") for b in (b_x, b_h) if b is not None)):
        labels.unite(gates, vector)
    labels.join(h, hidden)
    labels.join(y, hidden)


# -- number by number

def _pointwise(labels, key, call, *operands):
    _meet(labels, operands[-1], operands[:-1])


def _meet(labels, y, operands):
    """Operands of a pointwise operation and its result. What is repeated over numbers of several classes belongs to none of them
    and must stay; what is not, is of the class of the number it meets."""
    whole, repeated, constant = [], [], []
    for operand in operands:
        kind = constant if isinstance(operand, Constant) else repeated if _repeats(operand, y) else whole
        kind.append(operand)
    for operand in whole:
        labels.pair(operand.reshape(y.shape), y)
    for operand in sorted(repeated, key=lambda o: not (labels.root(o) > FIXED).any()):
        meet_repeated(labels, y, operand, fill=not whole or not labels.first)
    for operand in constant:
        meet_constant(labels, y, operand, fill=not (whole or repeated) or not labels.first)


def _padded(operand, y):
    return operand.reshape((1,) * (y.ndim - operand.ndim) + operand.shape)


def _repeats(operand, y):
    operand = _padded(operand, y)
    return any(n > 1 and (m == 1 or s == 0) for n, m, s in zip(y.shape, operand.shape, operand.strides))


def meet_repeated(labels, y, operand, fill):
    """An operand in memory that is read many times over. fill: give what has no label yet that of the operand."""
    operand = _padded(operand, y)
    axes = tuple(i for i, (n, m, s) in enumerate(zip(y.shape, operand.shape, operand.strides)) if n > 1 and (m == 1 or s == 0))
    one = operand[tuple(slice(0, 1) if i in axes else slice(None) for i in range(y.ndim))]
    low, high, open_ = _range(labels, y, axes)
    settled = ~open_ | (high == NONE) | (not labels.first)
    labels.join(one, np.where((low != high) & settled, FIXED, NONE))
    same = (low == high) & settled
    labels.join(one, np.where(same, high, NONE))
    if fill:
        labels.join(y, np.broadcast_to(np.where(same | (high == NONE), labels.root(one), NONE), y.shape))


def _range(labels, y, axes):
    """Lowest and highest class along axes, of the numbers that have one, and whether some have none."""
    classes = labels.root(y)
    high = classes.max(axes, keepdims=True)
    low = np.where(classes == NONE, np.iinfo(classes.dtype).max, classes).min(axes, keepdims=True)
    return np.where(high == NONE, NONE, low), high, (classes == NONE).any(axes, keepdims=True)


def meet_constant(labels, y, constant, fill=True):
    """A constant beside memory, number by number: one of its axes may go with the memory's classes, or it must stay."""
    if constant.tensor is None or constant.moves is None:
        constant.fix()
        labels.fix(y)
        return
    if labels.first and len(np.unique(labels.root(y) == NONE)) > 1:
        return                                               # some of it is only known in the next pass
    moving = constant.moving()
    if not moving:                                           # one number for all
        for axis, table in enumerate(labels.axes[constant.tensor]):
            if len(table) > 1:
                labels.unite(table[constant.start[axis]], FIXED)
        return
    fits = [axis for axis in moving if _apart(labels, y, constant, axis)]
    if len(moving) == 1:
        _tie(labels, y, constant, moving[0], fill)
    elif len(fits) == 1:
        _tie(labels, y, constant, fits[0], False)
        for axis in moving:
            if axis != fits[0]:
                labels.unite(labels.axes[constant.tensor][axis], FIXED)
    elif (labels.root(y) > FIXED).any() or not labels.first:
        constant.fix()
        labels.fix(y)


def _by_place(labels, y, constant, axis):
    """For each index along an axis that the view shows: (index, lowest class beside it, highest)."""
    places, classes = constant.places(axis, y.shape).ravel(), labels.root(y).ravel()
    places, classes = places[classes != NONE], classes[classes != NONE]
    size = labels.shapes[constant.tensor][axis]
    low, high = np.full(size, np.iinfo(np.int64).max), np.full(size, NONE)
    np.minimum.at(low, places, classes)
    np.maximum.at(high, places, classes)
    shown = np.flatnonzero(high)
    return shown, low[shown], high[shown]


def _apart(labels, y, constant, axis):
    """Do the classes beside a constant change along this axis, and along no other?"""
    _, low, high = _by_place(labels, y, constant, axis)
    return len(low) > 0 and (low == high).all() and len(np.unique(low)) > 1


def _tie(labels, y, constant, axis, fill):
    shown, low, high = _by_place(labels, y, constant, axis)
    table = labels.axes[constant.tensor][axis]
    labels.unite(table[shown], np.where(low == high, low, FIXED))
    labels.roles.setdefault((constant.tensor, axis), "own")
    if fill:
        labels.join(y, np.where(labels.root(y) == NONE, table[constant.places(axis, y.shape)], NONE))


# -- along an axis

def _reduce(labels, key, call, x, y):
    if isinstance(x, Constant):
        x.fix()
        labels.fix(y)
        return
    axes = tuple(i for i, (n, m) in enumerate(zip(x.shape, y.shape)) if n != m)
    low, high, open_ = _range(labels, x, axes)
    settled = ~open_ | (not labels.first)
    labels.mixed.update(np.unique(np.where(low != high, labels.root(x), NONE)).tolist())
    labels.join(y, np.where(settled & (low == high), high, NONE))
    labels.join(y, np.where(settled & (low != high), FIXED, NONE))


def _scan(labels, key, call, x, y):
    if isinstance(x, Constant):
        x.fix()
        labels.fix(y)
        return
    labels.pair(x, y)
    low, high, _ = _range(labels, x, (call.params["axis"],))
    labels.join(y, np.where(low == high, high, FIXED))


def _gather(labels, key, call, x, index, y):
    labels.fix(index)
    if isinstance(x, Constant):
        columns = x.along(1, "own")
    else:
        columns = labels.own(key, x.shape[1])
        labels.join(x, columns)
    labels.join(y, columns)
    if isinstance(x, Constant):
        labels.unite(x.along(0, "own"), FIXED)


RULES = {"conv1d": _conv1d, "conv_transpose1d": _conv_transpose1d, "matmul": _matmul, "gru": _gru, "unary": _pointwise,
         "binary": _pointwise, "ternary": _pointwise, "reduce": _reduce, "scan": _scan, "gather": _gather}
assert set(RULES) <= set(OPS)
