"""What the engine makes of one operation: its kernel calls with their sizes, as ``engine/load_*.c`` lays them out.

``of(call, listing)`` gives a list of ``Work``; the cost of each depends on the machine (``cost.py``). Sizes are of one run. ``forms``: the
tensors that are kept narrower than float32, by name.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from ..engine.listing import Call, Listing, View, dense_strides
from ..engine.stored import Stored
from . import functions


class Product(NamedTuple):
    """``rows`` x ``depth`` by ``depth`` x ``cols``; ``ends``: functions its sums end with; ``weights``: names what is packed, None where it
    changes; ``taps``: parts of the depth that are packed apart; ``form``: how weights are kept, F32, BF16 or I8."""

    rows: int
    depth: int
    cols: int
    ends: tuple[str, ...] = ("copy",)
    residual: bool = False
    weights: tuple | None = None
    times: int = 1
    taps: int = 1
    form: str = "F32"


class Depthwise(NamedTuple):
    rows: int
    taps: int
    cols: int
    ends: tuple[str, ...]
    weights: tuple


class Loop(NamedTuple):
    """``runs`` runs of ``n`` numbers through a function of ``kind`` (``functions.CLASSES``, or "fold"); ``stepped``: gathered first."""

    kind: str
    runs: int
    n: int
    stepped: bool = False


class Elements(NamedTuple):
    """Number by number: "scan", "arg", "gather", "pack"."""

    kind: str
    n: int


class Gates(NamedTuple):
    rows: int
    hidden: int


class Sines(NamedTuple):
    rows: int
    hop: int
    count: int
    varying: bool


class Bands(NamedTuple):
    """``length``: numbers of each band's loop."""

    rows: int
    hop: int
    count: int
    length: int


class Random(NamedTuple):
    n: int
    normal: bool


class Filter(NamedTuple):
    rows: int
    hop: int
    taps: int


Work = Product | Depthwise | Loop | Elements | Gates | Sines | Bands | Random | Filter


def of(call: Call, listing: Listing, forms: dict[str, Stored] | None = None) -> list[Work]:
    """The kernel calls of one operation. Raises ``KeyError`` for an operation that is not known here."""
    works = _OF[call.op](call, listing)
    if not forms:
        return works
    return [work._replace(form=_form(forms.get(work.weights[0]), *work.weights[1:4])) if isinstance(work, Product) and work.weights else work
            for work in works]


def _form(kept: Stored | None, offset: int, shape, strides) -> str:
    """How panels keep weights [(taps,) in, out]: as the file does, but I8 only where all weights of an output share a scale (``panel_form``)."""
    if kept is None or kept.dtype not in ("BF16", "I8"):
        return "F32"
    inner, channels = kept.channels()
    if kept.dtype == "BF16" or channels == 1:
        return kept.dtype
    within = offset % inner
    if shape[-1] > 1 and strides[-1] % inner:
        return "F32"
    for n, step in zip(shape[:-1], strides[:-1]):
        if n > 1 and step % (inner * channels):
            within += (n - 1) * step if step > 0 else inner
    return "I8" if within < inner else "F32"


def name(listing: Listing, view: View) -> tuple:
    """The same for views that the engine packs once."""
    buffer = listing.buffers[view.buffer]
    return buffer.tensor or buffer.generator or view.buffer, view.offset, view.shape, view.strides


# pointwise loops

def loop(kind: str, result: View, operands: list[View], fold: bool = False) -> Loop:
    """The loop over a result and operands that align at the last dimension: dimensions of one left out, the smallest step
    innermost, neighbours that are one run of memory merged (``simplify`` of load_pointwise.c)."""
    full = operands[0] if fold else result
    sides = [_steps(view, full.shape) for view in (result, *operands)]
    dims = [(n, *(side[d] for side in sides)) for d, n in enumerate(full.shape) if n > 1]
    for a in range(1, len(dims)):
        for b in range(a, 0, -1):
            by = 2 if fold and not (dims[b - 1][1] and dims[b][1]) else 1
            if abs(dims[b - 1][by]) >= abs(dims[b][by]):
                break
            dims[b - 1], dims[b] = dims[b], dims[b - 1]
    for d in range(len(dims) - 2, -1, -1):
        inner = dims[d + 1]
        if all(step == within * inner[0] for step, within in zip(dims[d][1:], inner[1:])):
            dims[d:d + 2] = [(dims[d][0] * inner[0], *inner[1:])]
    if not dims:
        return Loop(kind, 1, 1)
    n, to, *steps = dims[-1]
    kind = "plain" if fold and to else kind          # many rows onto one, each number by itself
    return Loop(kind, prod(dim[0] for dim in dims[:-1]), n, any(step not in (0, 1) for step in steps) or to != 1 and not (fold and to == 0))


def _steps(view: View, shape) -> list[int]:
    shift = len(shape) - len(view.shape)
    return [0] * shift + [0 if n == 1 else step for n, step in zip(view.shape, view.strides)]


def copy(shape, to: View | None = None, source: View | None = None) -> Loop:
    """A copy of a shape, between views or something dense."""
    dense = View(0, 0, tuple(shape), dense_strides(shape))
    return loop("copy", to or dense, [source or dense])


def _pointwise(table):
    def works(call, listing):
        *operands, result = call.views
        kind = table[call.params["fn"]][0]
        if call.params["fn"] in ("fmod", "remainder") and not any(operands[1].strides[i] and n > 1 for i, n in enumerate(operands[1].shape)):
            kind = "plain"               # phases wrapped by 1 have a way of their own
        return [loop(kind, result, operands)]

    return works


def _reduce(call, listing):
    x, y = call.views
    works = [copy(y.shape, y), loop("fold", y, [x], fold=True)]
    return works + [loop("plain", y, [y])] * (call.params["scale"] != 1.0)


# products

def _beside(view: View | None) -> bool:
    """Channels lie side by side, so that the kernels can take the rows where they are."""
    return view is None or view.strides[1] == 1 or view.shape[1] == 1


def _ends(call) -> tuple[str, ...]:
    second = call.views[-1] is not None
    return (call.params["act"], call.params["act2"]) if second else (call.params["act"],)


def _conv1d(call, listing):
    x, w, _, residual, y, y2 = call.views
    taps, depth, outs = w.shape
    groups, rows, ends = call.params["groups"], y.shape[0], _ends(call)
    works = [copy(v.shape, source=v) for v in (x, residual) if not _beside(v)]
    if groups > 1 and depth == 1 and outs == groups:
        works.append(Depthwise(rows, taps, outs, ends, name(listing, w)))
    else:
        wide = outs // groups
        for g in range(groups):
            works.append(Product(rows, taps * depth, wide, ends, residual is not None, (*name(listing, w), g), taps=taps))
    return works + [copy(v.shape, to=v) for v in (y, y2) if not _beside(v)]


def _conv_transpose1d(call, listing):
    x, w, _, y, y2 = call.views
    stride, groups, crop = call.params["stride"], call.params["groups"], call.params["crop"]
    taps, depth, cols = w.shape[0], w.shape[1] // groups, w.shape[2]
    phases = -(-taps // stride)
    first, last = crop // stride, -(-(crop + y.shape[0]) // stride)
    works = []
    if first < phases - 1 or last > x.shape[0] or not _beside(x):
        padded = (x.shape[0] + 2 * (phases - 1), x.shape[1])
        works += [copy(padded), copy(x.shape, source=x)]
    dense = all(v is None or v.strides[0] == cols and (v.strides[1] == 1 or cols == 1) for v in (y, y2))
    direct = groups == 1 and dense and crop % stride == 0 and y.shape[0] % stride == 0
    for g in range(groups):
        works.append(Product(last - first, phases * depth, stride * cols, _ends(call) if direct else ("copy",), False,
                             (*name(listing, w), g, "phases"), taps=phases))
        works += [] if direct else [copy((y.shape[0], cols))]
    if not direct:
        works += [loop(functions.UNARY[act][0], v, [y]) for act, v in zip(_ends(call), (y, y2)) if act != "copy" or v is y2]
    return works


def _matmul(call, listing):
    a, b, y = call.views
    (m, k), n, batches = a.shape[-2:], b.shape[-1], y.shape[0] if len(y.shape) == 3 else 1
    if listing.buffers[b.buffer].kind == "constant":
        return [Product(m, k, n, weights=(*name(listing, b), i)) for i in range(batches)]
    return [Elements("pack", batches * k * n), Product(m, k, n, times=batches)]


def _gru(call, listing):
    x, w_x, _, w_h, *_, y = call.views
    rows, hidden = y.shape
    return [Product(rows, x.shape[1], 3 * hidden, weights=name(listing, w_x)), Product(1, hidden, 3 * hidden, weights=name(listing, w_h), times=rows),
            Gates(rows, hidden)]


# sources, and what goes number by number

def _oscillators(call, listing):
    amplitudes, _, frequencies, *_ = call.views
    return [Sines(amplitudes.shape[0], call.params["hop"], amplitudes.shape[1], frequencies is not None)]


_OF = {
    "conv1d": _conv1d, "conv_transpose1d": _conv_transpose1d, "matmul": _matmul, "gru": _gru,
    "unary": _pointwise(functions.UNARY), "binary": _pointwise(functions.BINARY), "ternary": _pointwise(functions.TERNARY), "reduce": _reduce,
    "arg": lambda call, _: [Elements("arg", prod(call.views[0].shape))],
    "scan": lambda call, _: [Elements("scan", prod(call.views[0].shape))],
    "gather": lambda call, _: [Elements("gather", prod(call.views[2].shape))],
    "oscillators": _oscillators,
    "noise_bands": lambda call, _: [Bands(call.views[0].shape[0], call.params["hop"], *call.views[1].shape)],
    "random": lambda call, _: [Random(prod(call.views[1].shape), bool(call.params["normal"]))],
    "filter_frames": lambda call, _: [Filter(call.views[1].shape[0], call.params["hop"], call.views[1].shape[1])],
}
