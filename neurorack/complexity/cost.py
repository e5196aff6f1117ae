"""A model of what the engine's kernels cost: the time of a run as a sum of quantities, each with its price in nanoseconds.

The quantities follow the kernels' inner loops (``engine/*_simd.c``), not the mathematics: vectors multiplied, weights fetched for each
tile, numbers broadcast, tiles and calls begun, vectors that are not full. Prices are fitted to the kernels themselves
(``calibrate.py``). Fetching from beyond the first cache is priced apart, by a curve of nanoseconds a byte over the bytes that
are in use: no size of a cache has to be known.
"""

from __future__ import annotations

import math
from functools import singledispatch

from . import functions, kernels
from .isa import Isa

CHUNK = 64                   # samples that sources sum at a time
GATHER = 256                 # numbers that a stepped loop gathers at a time
NEAR_BYTES, FAR_BYTES = 64 * 1024, 16 * 1024 * 1024      # a table that costs no fetching to speak of, and the one that is measured

#: What has a price, in ns each. Of a program and each of its calls; of products; of what is done to their sums; of loops; of sources.
PRICES = ("run", "product", "tile", "mac_vector", "weight_vector", "bf16_vector", "i8_vector", "broadcast", "sum_vector", "sum_exp_vector", "part_vector",
          "depthwise_vector", "loop", "loop_run", "loop_rest", "copy_vector", "plain_vector", "root_vector", "exp_vector", "trig_vector", "long_vector", "step_number",
          "library_number", "fold_vector", "fold_number", "stepped_number", "scan_number", "arg_number", "gather_number", "pack_number", "gates_vector",
          "sine_vector", "sine_start", "sine_turn", "band_vector", "band_start", "band_byte", "uniform_vector", "normal_vector", "filter_vector",
          "filter_number")


def quantities(work, isa: Isa) -> dict[str, float]:
    """How much there is of each of ``PRICES`` in one kernel call, "run" apart."""
    return _of(work, isa)


@singledispatch
def _of(work, isa: Isa) -> dict[str, float]:
    raise KeyError(type(work).__name__)


def _ends(found: dict, ends, vectors: int) -> None:
    for end in ends:
        kind = functions.UNARY[end][0]
        if kind in ("exp", "long"):
            found["sum_exp_vector"] = found.get("sum_exp_vector", 0) + vectors * (1 + (kind == "long"))


@_of.register
def _(work: kernels.Product, isa):
    vectors, panels, tiles = isa.vectors(work.cols), isa.panels(work.cols), -(-work.rows // isa.rows)
    stores = len(work.ends) + work.residual
    found = {"product": 1, "tile": tiles * panels, "mac_vector": work.rows * work.depth * vectors, "weight_vector": tiles * work.depth * vectors,
             "broadcast": work.rows * work.depth * panels, "sum_vector": work.rows * vectors * stores}
    if work.form != "F32":
        found[f"{work.form.lower()}_vector"] = found["weight_vector"]
    if work.cols % isa.lanes:
        found["part_vector"] = work.rows * stores
    _ends(found, work.ends, work.rows * vectors)
    return {name: work.times * amount for name, amount in found.items()}


@_of.register
def _(work: kernels.Depthwise, isa):
    vectors = work.rows * isa.vectors(work.cols)
    found = {"product": 1, "depthwise_vector": vectors * work.taps, "sum_vector": vectors * len(work.ends)}
    _ends(found, work.ends, vectors)
    return found


@_of.register
def _(work: kernels.Loop, isa):
    kind, numbers, vectors = work.kind, work.runs * work.n, work.runs * isa.vectors(work.n)
    found = {"loop": 1, "loop_run": work.runs * (-(-work.n // GATHER) if work.stepped else 1)}
    if kind in ("step", "library"):
        found[f"{kind}_number"] = numbers
    else:
        found[f"{kind}_vector"] = vectors
    if kind == "fold":                   # what is left in one vector is folded number by number
        found["fold_number"] = work.runs * (work.n % isa.lanes + (isa.lanes if work.n >= isa.lanes else 0))
    elif work.n % isa.lanes:
        found["loop_rest"] = work.runs
    if work.stepped:
        found["stepped_number"] = numbers
    return found


@_of.register
def _(work: kernels.Elements, isa):
    return {"loop": 1, f"{work.kind}_number": work.n}


@_of.register
def _(work: kernels.Gates, isa):
    return {"gates_vector": work.rows * isa.vectors(work.hidden)}


def _chunks(hop: int, isa: Isa) -> tuple[int, int]:
    """Chunks of a frame, and vectors in all of them."""
    whole, rest = divmod(hop, CHUNK)
    return whole + (rest > 0), whole * isa.vectors(CHUNK) + isa.vectors(rest)


@_of.register
def _(work: kernels.Sines, isa):
    chunks, vectors = _chunks(work.hop, isa)
    each = work.rows * work.count
    return {"loop": 1, "sine_vector": each * vectors, "sine_start": each * chunks, **({"sine_turn": each * (chunks + 1)} if work.varying else {})}


@_of.register
def _(work: kernels.Bands, isa):
    chunks, vectors = _chunks(work.hop, isa)
    each = work.rows * work.count
    table = 4 * work.count * work.length
    far = min(1.0, max(0.0, math.log(table / NEAR_BYTES) / math.log(FAR_BYTES / NEAR_BYTES)))
    return {"loop": 1, "band_vector": each * vectors, "band_start": each * chunks, "band_byte": far * each * work.hop * 4}


@_of.register
def _(work: kernels.Random, isa):
    return {"loop": 1, "normal_vector" if work.normal else "uniform_vector": isa.vectors(work.n)}


@_of.register
def _(work: kernels.Filter, isa):
    each = work.rows * work.hop
    return {"loop": 1, "filter_vector": each * (work.taps // isa.lanes), "filter_number": each * (1 + work.taps % isa.lanes)}


# memory

def fetched(curve, size: float) -> float:
    """Nanoseconds a byte of fetching weights when ``size`` bytes are in use; ``curve``: [bytes, ns] pairs, by size.

    Between two sizes on a line over the logarithm.
    """
    if size <= curve[0][0]:
        return curve[0][1]
    for (low, a), (high, b) in zip(curve, curve[1:]):
        if size <= high:
            return a + (b - a) * math.log(size / low) / math.log(high / low)
    return curve[-1][1]


def priced(work, isa: Isa, prices: dict, curve, used: float) -> float:
    """Nanoseconds of one kernel call in a program that uses ``used`` bytes a run.

    A product takes as long as its arithmetic or as the fetching of its weights, whichever is longer: at first from wherever all that is
    in use has its place, then, panel by panel, from where a panel has.
    """
    nanoseconds = sum(prices.get(name, 0.0) * amount for name, amount in quantities(work, isa).items())
    if not isinstance(work, kernels.Product) or not curve:
        return nanoseconds
    whole = isa.packed_bytes(work.depth, work.cols, work.taps, work.form)
    passes = -(-work.rows // isa.rows) * work.times
    panel = whole if work.times > 1 else whole / isa.panels(work.cols)
    each = nanoseconds / passes
    return max(each, whole * fetched(curve, used)) + (passes - 1) * max(each, whole * fetched(curve, panel))
