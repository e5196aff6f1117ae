"""The compiled engine through ctypes: a listing is turned into the engine's records and loaded."""

from __future__ import annotations

import ctypes

import numpy as np

from .. import core
from ..errors import ModelError
from .listing import KINDS, Listing
from .opset import MAX_DIMS, MAX_VIEWS, OPS, Choice
from .stored import Stored

_VIEW = np.dtype(
    [("buffer", "<i4"), ("dims", "<i4"), ("offset", "<i8"), ("shape", "<i8", MAX_DIMS), ("stride", "<i8", MAX_DIMS)]
)
_OP = np.dtype(
    [("code", "<i4"), ("views", "<i4"), ("view", _VIEW, MAX_VIEWS), ("ints", "<i8", 8), ("floats", "<f8", 6)]
)
_BUFFER = np.dtype(
    [("kind", "<i8"), ("size", "<i8"), ("at", "<i8"), ("data", "<u8"), ("form", "<i8"), ("scale", "<u8"), ("inner", "<i8")]
    + [("channels", "<i8")]
)
_FORMS = {"BF16": 1, "I8": 2}  # as enum nr_form; anything else is given as float32
_LINE = 16  # floats in a cache line


class _Functions:
    """The engine's functions with their C types, looked up once."""

    def __init__(self):
        p = ctypes.c_void_p
        self.pool_new = core.declare("nr_pool_new", p)
        self.pool_free = core.declare("nr_pool_free", None, p)
        self.pool_bytes = core.declare("nr_pool_bytes", ctypes.c_int64, p)
        self.new = core.declare("nr_program_new", p, p, p, ctypes.c_int64, p, ctypes.c_int64, p, ctypes.c_char_p)
        self.free = core.declare("nr_program_free", None, p)
        self.run = core.declare("nr_program_run", None, p)
        self.repeat = core.declare("nr_program_repeat", None, p, ctypes.c_int64)
        self.reset = core.declare("nr_program_reset", None, p)
        self.input = core.declare("nr_program_input", p, p)
        self.output = core.declare("nr_program_output", p, p)
        self.bytes = core.declare("nr_program_bytes", ctypes.c_int64, p)
        self.ops = core.declare("nr_program_ops", ctypes.c_int64, p)
        self.isa = core.declare("nr_isa", ctypes.c_char_p)
        self.denormals_off = core.declare("nr_denormals_off", None)


_functions: _Functions | None = None


def functions() -> _Functions:
    global _functions
    if _functions is None:
        _functions = _Functions()
    return _functions


def isa() -> str:
    """The instruction set in use: sse, avx2, avx512 or neon. ``NEURORACK_ISA`` in the environment names a narrower one."""
    return functions().isa().decode()


def denormals_off() -> None:
    """Denormals count as zero in the calling thread from now on."""
    functions().denormals_off()


class Pool:
    """Packed weights, shared by the programs of one model; freed with the last of them."""

    def __init__(self):
        self.handle = functions().pool_new()
        if not self.handle:
            raise MemoryError("no memory for a model")

    def __del__(self):
        if getattr(self, "handle", None):
            functions().pool_free(self.handle)


def plan_arena(listing: Listing) -> list[int]:
    """Where each buffer lies: states first, input and output, then scratch, which shares room where lifetimes allow."""
    places, at = [0] * len(listing.buffers), 0
    for kinds in (("state",), ("input", "output")):
        for i, buffer in enumerate(listing.buffers):
            if buffer.kind in kinds:
                places[i] = at
                at += -(-buffer.size // _LINE) * _LINE
    lives: dict[int, list[int]] = {}
    for step, call in enumerate(listing.calls):
        for view in call.views:
            if view is not None and listing.buffers[view.buffer].kind == "scratch":
                lives.setdefault(view.buffer, [step, step])[1] = step
    placed: list[tuple[int, int, int, int]] = []  # first step, last step, from, to
    for index, (first, last) in sorted(lives.items(), key=lambda item: item[1]):
        size, start = -(-listing.buffers[index].size // _LINE) * _LINE, at
        for _, _, low, high in sorted((p for p in placed if p[1] >= first and p[0] <= last), key=lambda p: p[2]):
            if start + size <= low:
                break
            start = max(start, high)
        placed.append((first, last, start, start + size))
        places[index] = start
    return places


def encode(listing: Listing, data: dict[int, np.ndarray | Stored]) -> tuple[np.ndarray, np.ndarray]:
    """The engine's buffer and operation records; ``data`` holds the arrays of constants and initial states, constants also as they
    lie in a file (``Stored``)."""
    buffers = np.zeros(len(listing.buffers), _BUFFER)
    for i, (buffer, at) in enumerate(zip(listing.buffers, plan_arena(listing))):
        source, form, scale, inner, channels = data.get(i), 0, 0, 1, 1
        if isinstance(source, Stored):
            form, scale, (inner, channels) = _FORMS[source.dtype], source.scale, source.channels()
            source, scale = source.raw, 0 if scale is None else scale.ctypes.data
        where = 0 if source is None else source.ctypes.data
        buffers[i] = (KINDS.index(buffer.kind), buffer.size, at, where, form, scale, inner, channels)
    calls = np.zeros(len(listing.calls), _OP)
    for record, call in zip(calls, listing.calls):
        spec = OPS[call.op]
        record["code"], record["views"] = spec.code, len(call.views)
        for place, view in zip(record["view"], call.views):
            place["buffer"] = -1
            if view is not None:
                place["buffer"], place["dims"], place["offset"] = view.buffer, len(view.shape), view.offset
                place["shape"][: len(view.shape)] = view.shape
                place["stride"][: len(view.shape)] = view.strides
        for i, (key, kind) in enumerate(spec.ints.items()):
            value = call.params[key]
            record["ints"][i] = kind.numbers[value] if isinstance(kind, Choice) else value
        for i, key in enumerate(spec.floats):
            record["floats"][i] = call.params[key]
    return buffers, calls


def load(listing: Listing, data: dict[int, np.ndarray | Stored], pool: Pool) -> int:
    """A loaded program's handle. Raises ``ModelError`` with the engine's reason."""
    buffers, calls = encode(listing, data)
    shape = np.array([*listing.in_shape, *listing.out_shape], np.int32)
    error = ctypes.create_string_buffer(256)
    handle = functions().new(
        pool.handle, buffers.ctypes.data, len(buffers), calls.ctypes.data, len(calls), shape.ctypes.data, error
    )
    if not handle:
        raise ModelError(error.value.decode("utf-8", "replace"))
    return handle
