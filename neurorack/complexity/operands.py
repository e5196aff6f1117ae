"""The views of an operation by what it does with them, from the table of operations (``engine/opset.py``)."""

from __future__ import annotations

from typing import NamedTuple

from ..engine.listing import Call, Listing, View
from ..engine.opset import OPS

#: Constants of which the engine keeps a packed copy only; of all others it keeps the whole tensor.
_PACKED = {"conv1d": ("w", "bias"), "conv_transpose1d": ("w", "bias"), "matmul": ("b",), "gru": ("w_x", "b_x", "w_h", "b_h")}


class Operands(NamedTuple):
    """``read`` (constants, and states that are changed, among them), ``written``, ``constant``, and of these the ``plain`` ones, which
    the engine uses as they are."""

    read: list[View]
    written: list[View]
    constant: list[View]
    plain: list[View]


def of(call: Call, listing: Listing) -> Operands:
    """What an operation reads and writes, its constants apart."""
    found, spec = Operands([], [], [], []), OPS[call.op]
    for i, (name, view) in enumerate(zip(spec.operands, call.views)):
        if view is None:
            continue
        if i < len(spec.inputs):
            found.read.append(view)
        if spec.mutable(i):
            found.written.append(view)
        if listing.buffers[view.buffer].kind == "constant":
            found.constant.append(view)
            if name.strip("=?!") not in _PACKED.get(call.op, ()):
                found.plain.append(view)
    return found
