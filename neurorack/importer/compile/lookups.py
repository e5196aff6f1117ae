"""Sums over axes, running sums, places of the largest, and numbers picked by place."""

from __future__ import annotations

import numpy as np

from neurorack.engine.listing import dense_strides
from neurorack.importer.compile.views import EXACT_INTEGER, at, restrided, together
from neurorack.importer.errors import UnsupportedError


def reduce(emitter, item) -> None:
    x, y = emitter.value(item.inputs[0]), emitter.room(item)
    wide = at(y, x.shape, [0 if n == 1 else s for n, s in zip(y.shape, y.strides)])
    calls = together([x, wide])
    if len(calls) > 1:
        raise UnsupportedError(f"a reduction over {x.shape} does not fit four dimensions")
    source, to = calls[0]
    kept = at(to, [1 if s == 0 else n for n, s in zip(to.shape, to.strides)], to.strides)
    emitter.b.call("reduce", [source], [kept], fn=item.params["fn"], scale=float(item.params.get("scale", 1.0)))


def scan(emitter, item) -> None:
    x, y, axis = emitter.value(item.inputs[0]), emitter.room(item), item.params["axis"] % len(item.shape)
    keep = [i for i, n in enumerate(x.shape) if n > 1 or i == axis]
    if len(keep) > 4:
        raise UnsupportedError(f"a running sum over {x.shape} does not fit four dimensions")
    x, y = (at(v, [v.shape[i] for i in keep], [v.strides[i] for i in keep]) for v in (x, y))
    emitter.b.call("scan", [x], [y], fn=item.params["fn"], axis=keep.index(axis))


def arg(emitter, item) -> None:
    x, axis = emitter.value(item.inputs[0]), item.params["axis"] % len(item.shape)
    order = [*(i for i in range(len(x.shape)) if i != axis), axis]
    moved = at(x, [x.shape[i] for i in order], [x.strides[i] for i in order])
    rows = item.size
    y = emitter.b.new(rows)
    emitter.b.call("arg", [emitter.shaped(moved, (rows, x.shape[axis]))], [y], fn=item.params["fn"])
    emitter.values[item] = at(y, item.shape, dense_strides(item.shape))


def gather(emitter, item) -> None:
    table, index = (emitter.value(i) for i in item.inputs)
    rows, columns = item.inputs[1].size, max(item.size // max(item.inputs[1].size, 1), 1)
    to = emitter.room(item)
    y = restrided(to, (rows, columns))
    written = emitter.b.new(rows, columns) if y is None else y
    emitter.b.call("gather", [emitter.shaped(table, (table.shape[0], columns)), emitter.shaped(index, (rows,))], [written])
    if y is None:
        emitter.copy(at(written, item.shape, dense_strides(item.shape)), to)


def take(emitter, item) -> None:
    """numpy's take_along_axis: rows of one number each, by their place in all of x."""
    source, index = item.inputs
    axis = item.params["axis"] % len(source.shape)
    steps = dense_strides(source.shape)
    if source.size > EXACT_INTEGER:
        raise UnsupportedError(f"numbers are picked out of {source.size}; the engine counts up to {EXACT_INTEGER} exactly")
    places = sum((np.arange(n) * (0 if i == axis else steps[i])).reshape([-1 if j == i else 1 for j in range(len(item.shape))])
                 for i, n in enumerate(item.shape))
    number = emitter.temporary(item.shape)
    emitter.pointwise("ternary", [emitter.value(index), emitter.b.constant(np.full(1, steps[axis])), emitter.b.constant(places)], number, fn="multiply_add")
    emitter.values[item] = emitter.temporary(item.shape)
    emitter.b.call("gather", [emitter.shaped(emitter.value(source), (source.size, 1)), emitter.shaped(number, (item.size,))],
                [emitter.shaped(emitter.values[item], (item.size, 1))])


OPERATIONS = {"reduce": reduce, "scan": scan, "arg": arg, "gather": gather, "take": take}
