"""A model file with its weights kept as bfloat16 or int8: smaller, and faster where fetching weights is what takes the time.

bfloat16 keeps 8 bits of each number (relative error at most 2^-9), int8 whole multiples of 1/127 of the largest weight of the same
output (Krishnamoorthi, 2018: symmetric, per channel). The kernels compute with them as they are, every sum in float32.
Kept as they were: what is no trained layer (filter banks, transforms, tables), biases, and weights of few numbers or
one channel at a time, where nothing would be gained.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..engine import Model, store, stored
from ..engine.listing import dense_strides
from ..errors import ModelError
from .drive import Drive
from .parts import Parts
from .quality import BOUND_STRETCHES, Quality, compare

KINDS = {"float32": "F32", "bf16": "BF16", "int8": "I8"}
LEAST_NUMBERS = 1024
#: Where operations have their weights [.., in, out]: operation -> operands.
WEIGHTS = {"conv1d": (1,), "conv_transpose1d": (1,), "gru": (1, 3), "matmul": (1,)}


@dataclass(frozen=True)
class Kept:
    """``weights``: how many tensors are kept as ``kind`` now; bytes of the whole file before and after."""

    kind: str
    weights: int
    bytes_before: int
    bytes_after: int


def outputs(model: Model) -> dict[str, int | None]:
    """The tensors that every program uses as weights of matrix products and as nothing else, with the axis of their outputs (None: one
    output only)."""
    axes: dict[str, set] = {}
    for name, method in model.methods.items():
        for block in method.blocks:
            one = model.listing(name, block)
            for buffer in one.buffers:
                if buffer.kind == "state" and buffer.tensor:
                    axes.setdefault(buffer.tensor, set()).add("another use")
            for call in one.calls:
                for i, view in enumerate(call.views):
                    tensor = None if view is None else one.buffers[view.buffer].tensor
                    if tensor is not None:
                        found = _axis(view, model.shapes[tensor]) if i in WEIGHTS.get(call.op, ()) and not _alone(call, view) else "another use"
                        axes.setdefault(tensor, set()).add(found)
    return {tensor: found.pop() for tensor, found in axes.items() if len(found) == 1 and "another use" not in found}


def _alone(call, view) -> bool:
    """One channel at a time, which is no matrix product."""
    return call.params.get("groups", 1) > 1 and view.shape[1] == 1


def _axis(view, shape):
    """The axis of the tensor along which the view's columns lie."""
    if view.shape[-1] == 1:
        return None
    found = [a for a, (n, step) in enumerate(zip(shape, dense_strides(shape))) if n > 1 and step == view.strides[-1]]
    return found[0] if len(found) == 1 else "another use"


def with_weights(path_in, path_out, kind: str, told: dict | None = None) -> Kept:
    """Write the model file ``path_in`` to ``path_out`` with its weights kept as ``kind``: "bf16", "int8" or "float32".

    Going on to a wider kind brings nothing back. The card gets ``weights``: the kind and what ``told`` adds. Raises ``ModelError``
    for what is no model file, or weights that int8 cannot hold.
    """
    if kind not in KINDS:
        raise ModelError(f"weights as {kind[:20]!r}: there are {', '.join(KINDS)}")
    model, file = Model.load(path_in), store.Store(path_in)
    axes, fixed = outputs(model), Parts(path_in).fixed()
    tensors, count = {}, 0
    for name in file.shapes:
        tensors[name] = kept = file.stored(name)
        if kind == "float32" and (kept.dtype == "BF16" or kept.scale is not None):
            tensors[name] = file.array(name)
        elif kind != "float32" and name in axes and name not in fixed and kept.dtype != KINDS[kind] and kept.raw.size >= LEAST_NUMBERS:
            tensors[name] = _narrow(file.array(name), kind, axes[name], name)
        count += tensors[name] is not kept
    data = json.loads(file.metadata["neurorack"])
    data["card"] = {**data["card"], "weights": {"kind": kind, **(told or {})}}
    store.write(path_out, tensors, {**file.metadata, "neurorack": json.dumps(data, separators=(",", ":"), allow_nan=False)})
    Model.load(path_out)
    return Kept(kind, count, Path(path_in).stat().st_size, Path(path_out).stat().st_size)


def _narrow(array: np.ndarray, kind: str, axis: int | None, name: str) -> stored.Stored:
    try:
        return stored.bf16(array) if kind == "bf16" else stored.int8(array, axis)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None


def cost(parent: Model, other: Model, method: str, stretches: int = BOUND_STRETCHES, seed: int = 1) -> Quality:
    """How far ``other`` sounds from ``parent``, both driven alike by half seconds of inputs as ``Drive`` makes them up."""
    drive = Drive(parent, method)
    block = max(parent.methods[method].blocks)
    rows = block // parent.methods[method].in_ratio
    drive.stretch_rows = -(-drive.stretch_rows // rows) * rows
    inputs = drive.stretches(stretches, seed)
    sounds = [model.program(method, block).stream(inputs) for model in (parent, other)]
    return compare(*sounds, drive.rate_hz, stretches)
