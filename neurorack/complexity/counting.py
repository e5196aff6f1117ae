"""Counting what a model's program does: parameters, multiply-accumulates, operations, memory, of every operation in it.

Everything is per second of audio, since programs of different blocks are compared; parameters and memory are as they stand.
A *MAC* is a multiplication whose result is added to a sum of a product, a source or a filter. *MACs done* are those the
kernels carry out, which work on whole vectors of outputs: a layer of 17 outputs costs 32 where vectors hold 16 numbers. *FLOPs* are
floating-point operations (``functions.py``), two of each MAC among them. *Read* and *written* are the numbers that an
operation must fetch and leave at least once a run, weights included, whatever caches make of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import prod

from ..engine.listing import Call, Listing, View
from ..engine.native import plan_arena
from ..engine.stored import Stored
from . import functions, kernels, operands
from .isa import Isa, named

FLOAT_BYTES = 4
_NAMELESS = re.compile(r"[tg]\d+_*$")        # names that the writer gave, for want of one
_LEAF = ("weight", "bias", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "scale", "shift", "alpha")


@dataclass(frozen=True)
class Row:
    """One operation of the program. ``layer``: from the names of its tensors, else the layer whose values it works on. All but
    ``params`` per second of audio; ``works`` of one run."""

    layer: str
    op: str
    params: int
    macs: float
    macs_done: float
    flops: float
    read_bytes: float
    written_bytes: float
    works: tuple = field(repr=False)


@dataclass(frozen=True)
class Count:
    """The rows of one program and what they come to. ``file_bytes`` is None where there is no file."""

    model: str
    method: str
    block_frames: int
    sample_rate_hz: int
    isa: Isa
    rows: tuple[Row, ...]
    params: int
    state_bytes: int
    scratch_bytes: int
    plain_bytes: int
    file_bytes: int | None = None

    macs = property(lambda self: sum(row.macs for row in self.rows), doc="MACs per second of audio")
    macs_done = property(lambda self: sum(row.macs_done for row in self.rows))
    flops = property(lambda self: sum(row.flops for row in self.rows))
    read_bytes = property(lambda self: sum(row.read_bytes for row in self.rows))
    written_bytes = property(lambda self: sum(row.written_bytes for row in self.rows))
    weight_bytes = property(lambda self: self.plain_bytes + self.packed_bytes(self.isa), doc="packed weights and the constants used as they are")
    memory_bytes = property(lambda self: self.state_bytes + self.scratch_bytes + self.weight_bytes, doc="all that playing holds in memory")
    runs = property(lambda self: self.sample_rate_hz / self.block_frames, doc="runs per second of audio")

    def packed_bytes(self, isa: Isa) -> int:
        """Of the packed weights, as an instruction set's kernels want them."""
        packed = {}
        for row in self.rows:
            for work in row.works:
                if getattr(work, "weights", None) is not None:
                    packed[work.weights] = FLOAT_BYTES * work.taps * work.cols if isinstance(work, kernels.Depthwise) else \
                        isa.packed_bytes(work.depth, work.cols, work.taps, work.form)
        return sum(packed.values())

    def totals(self) -> dict:
        """All but the rows, by name."""
        return {key: getattr(self, key) for key in ("params", "macs", "macs_done", "flops", "read_bytes", "written_bytes", "state_bytes",
                                                    "scratch_bytes", "weight_bytes", "memory_bytes", "file_bytes")}


def count_listing(listing: Listing, block_frames: int, sample_rate_hz: int = 48000, *, model: str = "", method: str = "decode",
                  isa: Isa | None = None, file_bytes: int | None = None, forms: dict[str, Stored] | None = None) -> Count:
    """The same of a program that is in no file. ``isa``: whose vectors count (default: the one in use here); ``forms``: tensors that are
    kept as BF16 or I8, by name."""
    isa = isa or named()
    runs, layers, counted, rows = sample_rate_hz / block_frames, _Layers(listing), set(), []
    for call in listing.calls:
        works = tuple(kernels.of(call, listing, forms))
        read, written = _traffic(call, operands.of(call, listing), listing, forms or {})
        macs, done, flops = (runs * n for n in _arithmetic(call, works, isa))
        rows.append(Row(layers.of(call), _op(call), _params(call, listing, counted), macs, done, flops, runs * read, runs * written, works))
    state = sum(buffer.size for buffer in listing.buffers if buffer.kind == "state")
    places = plan_arena(listing)
    arena = max((at + buffer.size for at, buffer in zip(places, listing.buffers) if buffer.kind != "constant"), default=0)
    return Count(model, method, block_frames, sample_rate_hz, isa, tuple(rows), sum(row.params for row in rows), FLOAT_BYTES * state,
                 FLOAT_BYTES * (arena - state), FLOAT_BYTES * _plain(listing), file_bytes)


def count(model, method: str = "decode", block_frames: int | None = None, *, isa: Isa | None = None) -> Count:
    """Of a model (an ``engine.Model``, a name of the library or a file) at a block length (default: its shortest).

    Raises ``ModelError`` where there is no such model, method or block, and where a model plays without a program.
    """
    from .models import opened

    model = opened(model)
    if block_frames is None and method in model.methods:
        block_frames = min(model.methods[method].blocks)
    listing = model.listing(method, block_frames)
    rate = int(model.card.get("sample_rate_hz") or 48000)
    return count_listing(listing, block_frames, rate, model=str(model.card.get("name") or model.path.stem), method=method, isa=isa,
                         file_bytes=model.path.stat().st_size, forms=_forms(model, listing))


def _forms(model, listing: Listing) -> dict[str, Stored]:
    """The tensors that the engine may pack narrower than float32."""
    kept = {name: model.stored(name) for name in {buffer.tensor for buffer in listing.buffers if buffer.kind == "constant" and buffer.tensor}}
    return {name: tensor for name, tensor in kept.items() if tensor.dtype == "BF16" or tensor.scale is not None}


# names

class _Layers:
    """Which layer an operation belongs to: the one its tensors are of, else the one that made what it reads."""

    def __init__(self, listing: Listing):
        self.listing, self.made = listing, {}
        for i, buffer in enumerate(listing.buffers):
            if buffer.kind == "input":
                self.made[i] = "input"

    def of(self, call: Call) -> str:
        layer = self._named(call) or next((self.made[view.buffer] for view in call.views if view and view.buffer in self.made), call.op)
        for view in operands.of(call, self.listing).written:
            self.made.setdefault(view.buffer, layer)
        return layer

    def _named(self, call: Call) -> str | None:
        if call.op in ("oscillators", "noise_bands", "random", "filter_frames"):
            return call.op
        names = [self.listing.buffers[view.buffer].tensor for view in operands.of(call, self.listing).constant]
        if not names or call.op in ("unary", "binary", "ternary", "gather", "reduce") and _NAMELESS.match(names[0] or "t0"):
            return None
        first = names[0] or call.op
        stem, _, leaf = first.rpartition(".")
        return stem if stem and leaf in _LEAF else first


def _op(call: Call) -> str:
    return call.params["fn"] if call.op in ("unary", "binary", "ternary") else call.op


# numbers

def _params(call: Call, listing: Listing, counted: set) -> int:
    """Stored numbers that the operation is the first to use."""
    found = 0
    for view in operands.of(call, listing).constant:
        tensor = listing.buffers[view.buffer].tensor
        if tensor is not None and tensor not in counted:
            counted.add(tensor)
            found += listing.buffers[view.buffer].size
    return found


def _distinct(view: View) -> int:
    return prod(n for n, step in zip(view.shape, view.strides) if step)


_BYTES = {"BF16": 2, "I8": 1}


def _traffic(call: Call, views: operands.Operands, listing: Listing, forms: dict) -> tuple[float, int]:
    """Bytes that one run must fetch and leave."""
    def width(view):
        kept = forms.get(listing.buffers[view.buffer].tensor)
        return _BYTES[kept.dtype] / FLOAT_BYTES if kept else 1

    read = sum(_distinct(view) * width(view) for view in views.read)
    if call.op == "noise_bands":                # of the table, as many numbers as there are frames
        amplitudes, table = call.views[0], call.views[1]
        read += table.shape[0] * amplitudes.shape[0] * call.params["hop"] - _distinct(table)
    elif call.op == "gather":
        read += _distinct(call.views[2]) - _distinct(call.views[0])
    return FLOAT_BYTES * read, FLOAT_BYTES * sum(_distinct(view) for view in views.written)


def _arithmetic(call: Call, works, isa: Isa) -> tuple[float, float, float]:
    """MACs asked for, MACs done, FLOPs, of one run."""
    if call.op in _PRODUCTS:
        macs, ends = _PRODUCTS[call.op](call)
        done = sum(_done(work, isa) for work in works)
        return macs, done, 2 * macs + ends
    macs, flops = _OTHERS[call.op](call)
    return macs, macs, flops


def _done(work, isa: Isa) -> int:
    if isinstance(work, kernels.Product):
        return work.times * work.rows * work.depth * isa.vectors(work.cols) * isa.lanes
    if isinstance(work, kernels.Depthwise):
        return work.rows * work.taps * isa.vectors(work.cols) * isa.lanes
    return 0


def _epilogue(call: Call) -> int:
    """Operations after the sums: biases, activations, the residual."""
    y = call.views[-2]
    residual = call.op == "conv1d" and call.views[3] is not None
    each = (call.views[2] is not None) + residual + functions.UNARY[call.params["act"]][1]
    each += functions.UNARY[call.params["act2"]][1] if call.views[-1] is not None else 0
    return prod(y.shape) * each


def _conv1d(call):
    w, y = call.views[1], call.views[4]
    return y.shape[0] * prod(w.shape), _epilogue(call)


def _conv_transpose1d(call):
    w, y = call.views[1], call.views[3]
    return y.shape[0] * prod(w.shape) / call.params["stride"], _epilogue(call)


def _matmul(call):
    a, _, y = call.views
    return prod(y.shape) * a.shape[-1], 0


def _gru(call):
    (rows, hidden), ins = call.views[-1].shape, call.views[0].shape[1]
    biases = 3 * hidden * ((call.views[2] is not None) + (call.views[4] is not None))
    return rows * 3 * hidden * (ins + hidden), rows * (biases + hidden * functions.GRU_UNIT)


def _table(table):
    def numbers(call):
        n = prod(call.views[-1].shape)
        return (n if call.params["fn"] == "multiply_add" else 0), n * table[call.params["fn"]][1]

    return numbers


def _reduce(call):
    x, y = call.views
    return 0, prod(x.shape) + (prod(y.shape) if call.params["scale"] != 1.0 else 0)


def _source(each: int):
    def numbers(call):
        rows, count = call.views[0].shape
        n = rows * count * call.params["hop"]
        return n, n * each

    return numbers


def _filter(call):
    rows, taps = call.views[1].shape
    n = rows * call.params["hop"] * taps
    return n, 2 * n


_PRODUCTS = {"conv1d": _conv1d, "conv_transpose1d": _conv_transpose1d, "matmul": _matmul, "gru": _gru}
_OTHERS = {
    "unary": _table(functions.UNARY), "binary": _table(functions.BINARY), "ternary": _table(functions.TERNARY), "reduce": _reduce,
    "arg": lambda call: (0, prod(call.views[0].shape)), "scan": lambda call: (0, prod(call.views[0].shape)), "gather": lambda call: (0, 0),
    "oscillators": _source(functions.OSCILLATOR), "noise_bands": _source(functions.NOISE_BAND), "filter_frames": _filter,
    "random": lambda call: (0, prod(call.views[1].shape) * (functions.NORMAL if call.params["normal"] else functions.UNIFORM)),
}


def _plain(listing: Listing) -> int:
    """Numbers of the constants that are used as they are, tables of sources among them."""
    plain = {}
    for call in listing.calls:
        for view in operands.of(call, listing).plain:
            buffer = listing.buffers[view.buffer]
            plain[buffer.tensor or buffer.generator] = buffer.size
    return sum(plain.values())
