"""The calls of a program that multiply channels by stored weights, each as a plain matrix product: what it gets times what it has.

conv1d: a row of the product's left side is a window of the input, tap after tap. conv_transpose1d: the input rows that reach one
result row, the latest first; its columns are the phases of a stride. gru: twice, the input's gates and those of the state before.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..engine.listing import Listing, View, dense_strides
from .activations import Body

WEIGHTS = {"conv1d": ((0, 1, 2, 3),), "conv_transpose1d": ((0, 1, 2, None),), "gru": ((0, 1, 2, None), (5, 3, 4, None))}


@dataclass(frozen=True)
class Reader:
    """``call`` of a listing; ``weight``, ``bias``: names of its tensors (bias None where there is none of its own).

    ``part``: which of its products; ``rows``: left-hand rows a block; ``linear_residual``: what is added behind it, before any bend.
    """

    call: int
    op: str
    part: int
    weight: str
    bias: str | None
    rows: int
    linear_residual: bool
    view: View

    @property
    def ins(self) -> int:
        return self.view.shape[-2]

    @property
    def outs(self) -> int:
        return self.view.shape[-1]

    @property
    def taps(self) -> int:
        return self.view.shape[0] if len(self.view.shape) == 3 else 1


def products(listing: Listing) -> list[Reader]:
    """Every product with stored weights, in the order of the program."""
    return _found(listing, lambda call, view, used: True)


def readers(listing: Listing) -> list[Reader]:
    """Those that can be fitted: weights of one call alone, no convolutions in groups, transposed ones of whole strides."""
    def ready(call, view, used):
        even = call.op != "conv_transpose1d" or call.params["crop"] % call.params["stride"] == view.shape[0] % call.params["stride"] == 0
        return used == 1 and call.params.get("groups", 1) == 1 and even and 0 not in view.strides

    return _found(listing, ready)


def _found(listing: Listing, ready) -> list[Reader]:
    used = Counter(name for call in listing.calls for name in {listing.buffers[v.buffer].tensor for v in call.views if v is not None})
    found = []
    for i, call in enumerate(listing.calls):
        for part, (_, weight, bias, residual) in enumerate(WEIGHTS.get(call.op, ())):
            view, params = call.views[weight], call.params
            name = listing.buffers[view.buffer].tensor
            if name is None or not ready(call, view, used[name]):
                continue
            offsets = call.views[bias]
            own = offsets and listing.buffers[offsets.buffer].tensor
            linear = residual is not None and call.views[residual] is not None and (params["residual_first"] or params["act"] == "copy")
            found.append(Reader(i, call.op, part, name, own if own and used[own] == 1 else None, _rows(listing, i), bool(linear), view))
    return found


def _rows(listing: Listing, index: int) -> int:
    call = listing.calls[index]
    if call.op == "conv_transpose1d":
        return call.views[0].shape[0] - call.params["crop"] // call.params["stride"]
    return call.views[4 if call.op == "conv1d" else 6].shape[0]


def wanted(listing: Listing, reader: Reader) -> tuple[list[View], list[int]]:
    """The views that ``left`` needs, and before which calls they are to be taken (``activations.collect``)."""
    call = listing.calls[reader.call]
    if reader.op == "gru" and reader.part == 1:
        return [call.views[5], call.views[6]], [reader.call, reader.call + 1]
    if reader.linear_residual:
        return [call.views[0], call.views[3]], [reader.call, reader.call]
    return [call.views[0]], [reader.call]


def past(listing: Listing, reader: Reader) -> int:
    """Rows before the chosen one that ``left`` needs."""
    return -(-reader.taps // listing.calls[reader.call].params["stride"]) - 1 if reader.op == "conv_transpose1d" else 0


def left(listing: Listing, reader: Reader, taken: list[np.ndarray], chosen: np.ndarray) -> np.ndarray:
    """Rows ``chosen`` (of blocks * reader.rows, none of the first ``past``) of the product's left side, float32 [chosen, taps * ins]."""
    call, x = listing.calls[reader.call], taken[0]
    if reader.op == "conv1d":
        block, row = np.divmod(chosen, reader.rows)
        steps = row[:, None] * call.params["stride"] + np.arange(reader.taps) * call.params["dilation"]
        return x[block[:, None], steps].reshape(len(chosen), -1)
    if reader.op == "conv_transpose1d":
        stream = x[:, x.shape[1] - reader.rows:].reshape(-1, x.shape[2])
        return np.concatenate([stream[chosen - j] for j in range(past(listing, reader) + 1)], axis=1)
    if reader.part == 1:
        before = np.concatenate([x[:, None], taken[1][:, :-1]], axis=1)
        return before.reshape(-1, x.shape[1])[chosen]
    return x.reshape(-1, x.shape[-1])[chosen]


def residual(reader: Reader, taken: list[np.ndarray], chosen: np.ndarray) -> np.ndarray | None:
    """What is added behind the product in those rows, [chosen, outs]; None where nothing is, or only after a bend."""
    return taken[1].reshape(-1, reader.outs)[chosen] if reader.linear_residual else None


def weights(reader: Reader, tensor: np.ndarray) -> np.ndarray:
    """The view [taps, ins, outs] on a tensor (of numbers, or of their places)."""
    view = reader.view
    flat = tensor.reshape(-1)[view.offset:]
    found = np.lib.stride_tricks.as_strided(flat, view.shape, [flat.itemsize * s for s in view.strides])
    return found.reshape(1, *found.shape) if found.ndim == 2 else found


def matrix(listing: Listing, reader: Reader, tensor: np.ndarray) -> np.ndarray:
    """The product's right side, [taps * ins, columns]."""
    w = weights(reader, tensor)
    if reader.op != "conv_transpose1d":
        return w.reshape(-1, reader.outs)
    stride = listing.calls[reader.call].params["stride"]
    lags = -(-reader.taps // stride)
    padded = np.zeros((lags * stride, reader.ins, reader.outs), np.float32)
    padded[:reader.taps] = w
    return padded.reshape(lags, stride, reader.ins, reader.outs).transpose(0, 2, 1, 3).reshape(lags * reader.ins, -1)


def put(listing: Listing, reader: Reader, tensor: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A copy of the tensor that holds ``right``."""
    made = np.array(tensor, np.float32)
    w = weights(reader, made)
    if reader.op != "conv_transpose1d":
        w[...] = right.reshape(w.shape)
        return made
    stride = listing.calls[reader.call].params["stride"]
    lags = -(-reader.taps // stride)
    w[...] = right.reshape(lags, reader.ins, stride, reader.outs).transpose(0, 2, 1, 3).reshape(-1, reader.ins, reader.outs)[:reader.taps]
    return made


def tensor_of(body: Body, name: str) -> np.ndarray:
    """A stored tensor by its name."""
    return next(body.arrays[i] for i, b in enumerate(body.listing.buffers) if b.tensor == name)


def along(reader: Reader, shape: tuple[int, ...], axis: int) -> tuple[str, np.ndarray] | None:
    """What an axis of the stored tensor is to the product: "in" or "out", and the place on that axis of each of those channels."""
    view = reader.view
    step, count = dense_strides(shape)[axis], shape[axis]
    sides = [("in", view.shape[-2], view.strides[-2]), ("out", view.shape[-1], view.strides[-1])]
    found = [(name, (view.offset + np.arange(n) * stride) // step % count) for name, n, stride in sides]
    moving = [(name, coordinates) for name, coordinates in found if np.ptp(coordinates) > 0]
    return moving[0] if len(moving) == 1 else None


def survivors(before: Reader, after: Reader, shape: tuple[int, ...], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which input and output channels of ``before`` are left in ``after``. ``numbers``: places in the old tensor of ``shape``, cut as it was."""
    view = weights(before, np.arange(int(np.prod(shape))))
    order = np.argsort(view, axis=None)
    found = order[np.searchsorted(view.reshape(-1)[order], weights(after, numbers))]
    _, ins, outs = np.unravel_index(found, view.shape)
    return ins[0, :, 0], outs[0, 0, :]
