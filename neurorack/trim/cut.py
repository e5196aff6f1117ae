"""Programs without some of their units: smaller memory, every view laid out anew."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from ..engine.listing import Call, Listing, View, dense_strides
from ..engine.opset import OPS
from .labels import FIXED, Labels, TrimError, strided

POINTWISE = ("unary", "binary", "ternary")


def gone_classes(labels: Labels, removed) -> np.ndarray:
    """Which classes go with some units, bool [classes]. TrimError where a program needs more to go than the units say."""
    gone = np.zeros(len(labels.parent), bool)
    for unit in removed:
        for m in unit.members:
            if m.tensor in labels.axes:
                gone[labels.root(labels.axes[m.tensor][m.axis][m.index])] = True
    if gone[FIXED]:
        raise TrimError("these units hold what a program of the model must keep; find them anew in this model")
    named = {(m.tensor, m.axis, m.index) for unit in removed for m in unit.members}
    for tensor, axes in labels.axes.items():
        for axis, table in enumerate(axes):
            lost = np.flatnonzero(gone[labels.root(table)])
            if any((tensor, axis, index) not in named for index in lost.tolist()):
                raise TrimError(f"these units leave out part of {tensor!r} that goes with them; find them anew in this model")
    return gone


def cut_listing(labels: Labels, k: int, gone: np.ndarray, begun: dict[str, tuple[str, np.ndarray]]) -> Listing:
    """Listing k without the classes that are ``gone``. TrimError where what is left is no longer an even grid of memory.

    States that start from a tensor and lost some of it now start from a flat one of their own, which is put into ``begun``: its
    name to (the old one's name, which numbers of it are left, bool); see ``begin``.
    """
    listing = labels.listings[k]
    places = [_places(labels, k, i, gone) for i in range(len(listing.buffers))]
    calls = []
    for call in listing.calls:
        views = [v if v is None or places[v.buffer] is None else refit(v, places[v.buffer]) for v in call.views]
        lost = [v is not None and new is None for v, new in zip(call.views, views)]
        if not any(lost):
            views = _repeated(call, views)
            calls.append(Call(call.op, views, _params(call, views)))
        elif not _writes_nothing(call, lost):
            raise TrimError(f"{call.op} would be left without one of its operands")
    ends = {i for i, b in enumerate(listing.buffers) if b.kind in ("input", "output")}
    used = sorted({v.buffer for c in calls for v in c.views if v is not None} | ends)
    number = {old: new for new, old in enumerate(used)}
    buffers = [b if places[i] is None else _buffer(b, places[i] >= 0, begun) for i, b in enumerate(listing.buffers) if i in number]
    calls = [replace(c, views=[v and v._replace(buffer=number[v.buffer]) for v in c.views]) for c in calls]
    return Listing(listing.in_shape, listing.out_shape, buffers, calls, listing.delay_frames)


def _buffer(buffer, kept, begun):
    """A buffer of what is left. The name of a state's new tensor is that of its content, the same in all programs."""
    tensor = buffer.tensor
    if buffer.kind == "state" and tensor is not None:
        tensor = f"{buffer.tensor}.{hashlib.blake2b(np.packbits(kept).tobytes(), digest_size=4).hexdigest()}"
        begun[tensor] = (buffer.tensor, kept)
    return replace(buffer, size=int(kept.sum()), tensor=tensor)


def begin(begun, tensors) -> dict[str, np.ndarray]:
    """The tensors that cut states start from; ``tensors`` has the whole ones."""
    return {name: tensors[old].reshape(-1)[kept] for name, (old, kept) in begun.items()}


def _repeated(call, views):
    """Operands that repeat a number along an axis repeat it as often as the result is long now."""
    if call.op not in POINTWISE:
        return views
    was, now = call.views[-1].shape, views[-1].shape
    out = []
    for view in views[:-1]:
        shape = list(view.shape)
        for back in range(1, len(shape) + 1):
            if view.strides[-back] == 0 and shape[-back] == was[-back]:
                shape[-back] = now[-back]
        out.append(view._replace(shape=tuple(shape)))
    return [*out, views[-1]]


def _writes_nothing(call, lost):
    spec = OPS[call.op]
    return all(gone for i, gone in enumerate(lost) if i >= len(spec.inputs) and call.views[i] is not None)


def _places(labels, k, index, gone):
    """The new place of each number of a buffer, -1 for those that go; None where all stay."""
    buffer, memory = labels.listings[k].buffers[index], labels.memories[k][index]
    if memory is not None:
        lost = gone[labels.root(memory)]
    elif buffer.tensor is None:
        return None
    else:
        tables = [gone[labels.root(table)] for table in labels.axes[buffer.tensor]]
        if not any(table.any() for table in tables):
            return None
        lost = np.zeros(labels.shapes[buffer.tensor], bool)
        for axis, table in enumerate(tables):
            lost |= table.reshape([-1 if a == axis else 1 for a in range(lost.ndim)])
        lost = lost.reshape(-1)
    return np.where(lost, -1, np.cumsum(~lost) - 1) if lost.any() else None


def refit(view: View, places: np.ndarray) -> View | None:
    """The view in its buffer's new layout; None where nothing of it is left."""
    new = strided(places, view, writeable=False)
    kept = new >= 0
    keep = [np.flatnonzero(kept.any(tuple(a for a in range(kept.ndim) if a != d))) for d in range(kept.ndim)]
    if any(len(k) == 0 for k in keep):
        return None
    new = new[np.ix_(*keep)]
    shape, offset = new.shape, int(new.reshape(-1)[0])
    dense, origin = dense_strides(shape), [0] * len(shape)
    strides = tuple(int(new[tuple(1 if a == d else 0 for a in range(len(shape)))]) - offset if n > 1 else dense[d] for d, n in enumerate(shape))
    grid = np.full(shape, offset)
    for d, (n, stride) in enumerate(zip(shape, strides)):
        grid += (np.arange(n) * stride).reshape([-1 if a == d else 1 for a in range(len(shape))])
    if (grid != new).any():
        raise TrimError(f"a view of shape {view.shape} is no even grid of memory without these units")
    return View(view.buffer, offset, shape, strides)


def _params(call, views):
    """Parameters that count channels, for the views that are left."""
    if call.op == "conv1d":
        return {**call.params, "groups": views[0].shape[1] // views[1].shape[1]}
    if call.op == "conv_transpose1d":
        return {**call.params, "groups": views[3].shape[1] // views[1].shape[2]}
    if call.op == "reduce" and views != call.views:
        count = [int(np.prod(x.shape)) // int(np.prod(y.shape)) for x, y in (call.views, views)]
        if abs(call.params["scale"] * count[0] - 1) < 1e-6:          # a mean stays one
            return {**call.params, "scale": 1.0 / count[1]}
    return call.params


def fits(labels: Labels, units) -> bool:
    """Can some units be cut out of the programs' memory?"""
    try:
        gone = gone_classes(labels, units)
        for k in range(len(labels.listings)):
            cut_listing(labels, k, gone, {})
    except TrimError:
        return False
    return True
