"""A trace: what one method did with one block, as a flat list of pure operations.

The interpreter records it (``record.py``), ``replay.py`` runs it in numpy (that is the definition of every operation),
``compile.py`` turns it into a program of the engine. Values are never changed in place: the recorder turns every in-place
write of the source into a new value (``assign``), and whatever lasts from block to block into a state with a next value.

Every node makes one value and is named by its place in ``Trace.nodes``. Shapes are concrete. Types: ``f32``, ``f64``,
``i64``, ``bool``. Complex numbers are pairs in a last dimension of 2, and complex arithmetic is spelled out. Batches,
channels and time keep the order of the source (torch's [batch, channels, time]).

=============  =============  =====================================================================================
operation      inputs         parameters and meaning
=============  =============  =====================================================================================
input          -              ``index``: an argument of the method
constant       -              ``value``: ndarray
state          -              ``name``, ``value``: ndarray, its value before the first block
random         -              ``kind`` "uniform" (0..1) or "normal", ``stream``: k for the k-th random call of a block
reshape        x              row-major, as ``shape`` of the node
permute        x              ``order``
slice          x              ``start``, ``stop``, ``step``: tuples, one entry a dimension; step may be negative; as numpy's
                              basic slicing with ``None`` for a stop before the first element
expand         x              broadcast to the node's shape (numpy rules; no new numbers)
cat            x, y, ...      ``axis``
pad            x              ``before``, ``after``: tuples (>= 0), ``value``
assign         base, value    ``start``, ``stop``, ``step`` as in slice: base with that part replaced
cast           x              to the node's type; to i64 truncates towards zero
unary          x              ``fn`` of ``engine.opset.UNARY`` (with ``a``, ``b`` where that function has them)
binary         a, b           ``fn`` of ``engine.opset.BINARY``; numpy broadcasting
where          c, a, b        c != 0 ? a : b; numpy broadcasting
conv1d         x, w(, bias)   x [n, c, t], w [out, c/groups, taps]; ``stride``, ``padding`` (left, right) with zeros,
                              ``dilation``, ``groups``; w may be any node
conv_transpose1d  x, w(, bias)  w [c, out/groups, taps]; ``stride``, ``padding`` (cropped at both ends), ``output_padding``,
                              ``dilation``, ``groups``
matmul         a, b           numpy's ``matmul``
reduce         x              ``fn`` add, mul, max, min over ``axes`` (tuple), which stay with length 1; times ``scale``
arg            x              ``fn`` max or min along ``axis``, which stays with length 1; first of equals; i64
scan           x              ``fn`` add or mul along ``axis``; kept in double inside
sort           x              ``axis``, ``descending``: sorted values (no program of the engine has it)
gather         table, index   rows of ``table`` (axis 0) by an i64 ``index`` of any shape: shape index.shape + table.shape[1:]
take           x, index       along ``axis``: numpy's ``take_along_axis``
gru            x, w_ih, w_hh, b_ih, b_hh, h   x [t, n, in] -> [t, n, hidden]; h [n, hidden] before the first step; torch's gates
=============  =============  =====================================================================================

Multiplication counts, memory and speed are not the trace's business; the meaning of a number is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64, "i64": np.int64, "bool": np.bool_}
LEAVES = ("input", "constant", "state", "random")


@dataclass
class Node:
    """One operation: ``inputs`` are places in ``Trace.nodes``, all before this one."""

    op: str
    inputs: tuple[int, ...]
    params: dict
    shape: tuple[int, ...]
    dtype: str


@dataclass
class Trace:
    """One method at one block length.

    ``inputs`` and ``outputs`` are node places in the order of the arguments and results; ``next_state`` maps the place of a
    state node to the place of the value it has in the next block (its own place where it does not change). ``seed`` is
    what the streams of ``random`` nodes are numbered from (see ``random_stream``).
    """

    method: str
    block_frames: int
    nodes: list[Node] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    next_state: dict[int, int] = field(default_factory=dict)
    seed: int = 0

    def operations(self) -> int:
        """Nodes that compute something."""
        return sum(node.op not in LEAVES for node in self.nodes)


def random_stream(seed: int, stream: int) -> int:
    """The 32-bit seed of the ``stream``-th random call of a block, for the engine's ``random`` operation.

    Element i of a stream is element i of the engine's sequence of that seed, counted on from block to block, so the
    interpreter, the replay and the compiled program draw the same numbers.
    """
    return ((stream + 1) * 0x9E3779B9 + seed * 0x85EBCA6B) & 0xFFFFFFFF
