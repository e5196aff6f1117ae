"""What the layers of a program get: a copy of its listing that hands over the inputs of chosen calls, run by the compiled engine.

The copy ends where the last of them is read, and keeps only what they depend on: the first layers of a large net cost little.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..engine import native
from ..engine.listing import Buffer, Call, Listing, View, dense_strides
from ..engine.model import Program
from ..engine.opset import OPS


@dataclass
class Body:
    """A program and its numbers, in memory: ``arrays``: buffer -> array of each constant and of each state that starts from one."""

    listing: Listing
    arrays: dict[int, np.ndarray]

    def program(self) -> Program:
        pool = native.Pool()
        return Program(native.load(self.listing, self.arrays, pool), pool, self.listing)


def tapped(body: Body, taps: list[View], before: list[int]) -> Program:
    """A program whose output is what the views ``taps`` hold just before the calls ``before``, one after the other as dense numbers.

    What a view holds *after* a call is what it holds before the next one.
    """
    old = body.listing
    kinds = [replace(b, kind="scratch" if b.kind == "output" else b.kind) for b in old.buffers]
    sizes = [int(np.prod(view.shape)) for view in taps]
    shape = (1, sum(sizes))
    made, at = len(kinds), 0
    asked: dict[int, list[Call]] = {}
    for view, call, size in zip(taps, before, sizes):
        to = View(made, at, view.shape, dense_strides(view.shape))
        asked.setdefault(call, []).append(Call("unary", [view, to], {"fn": "copy", "a": 0.0, "b": 0.0}))
        at += size
    calls: list[Call] = []
    for i, call in enumerate([*old.calls, None]):
        calls += asked.get(i, [])
        if call is not None:
            calls.append(call)
    buffers = [*kinds, Buffer("output", shape[1])]
    listing, arrays = _needed(Listing(old.in_shape, shape, buffers, calls), made, body.arrays)
    return Body(listing, arrays).program()


def _needed(listing: Listing, result: int, arrays: dict[int, np.ndarray]) -> tuple[Listing, dict[int, np.ndarray]]:
    """Only the calls that buffer ``result`` depends on, also by states from run to run, and only the buffers of those."""
    touched = [_touched(call) for call in listing.calls]
    needed, before = {result}, -1
    while len(needed) != before:
        before = len(needed)
        for reads, writes in touched:
            if writes & needed:
                needed |= reads | writes
    calls = [call for call, (_, writes) in zip(listing.calls, touched) if writes & needed]
    used = sorted({v.buffer for call in calls for v in call.views if v is not None}
                  | {i for i, b in enumerate(listing.buffers) if b.kind in ("input", "output")})
    number = {old: new for new, old in enumerate(used)}
    calls = [Call(c.op, [v and v._replace(buffer=number[v.buffer]) for v in c.views], c.params) for c in calls]
    kept = Listing(listing.in_shape, listing.out_shape, [listing.buffers[i] for i in used], calls)
    return kept, {number[i]: array for i, array in arrays.items() if i in number}


def _touched(call: Call) -> tuple[set[int], set[int]]:
    """The buffers that a call reads and those that it writes; a state that it changes is both."""
    reads, writes = set(), set()
    for i, view in enumerate(call.views):
        if view is not None:
            if OPS[call.op].mutable(i):
                writes.add(view.buffer)
            if i < len(OPS[call.op].inputs):
                reads.add(view.buffer)
    return reads, writes


def collect(body: Body, taps: list[View], before: list[int], signal: np.ndarray, chunk: int):
    """What the taps hold in every block of ``signal`` [blocks * rows, channels], ``chunk`` blocks at a time: lists of float32
    [blocks, *shape], one for each tap."""
    program = tapped(body, taps, before)
    rows = program.in_shape[0]
    sizes = np.cumsum([int(np.prod(view.shape)) for view in taps])[:-1]
    blocks = len(signal) // rows
    for start in range(0, blocks, chunk):
        taken = [program.run(signal[i * rows:(i + 1) * rows])[0] for i in range(start, min(start + chunk, blocks))]
        parts = np.split(np.stack(taken), sizes, axis=1)
        yield [part.reshape(len(taken), *view.shape) for part, view in zip(parts, taps)]
