"""Runs a trace in numpy, node by node: what plays where a trace can't be compiled."""

from __future__ import annotations

import numpy as np

from .ops.kernels import KERNELS
from .tensors import Random
from .trace import LEAVES, Trace


class Replay:
    """``run`` takes [rows, in_channels] and gives [out_rows, out_channels], float32; state is kept from block to block.

    ``random`` draws the random numbers: ``tensors.Random`` of the trace's seed by default.
    """

    def __init__(self, trace: Trace, random=None):
        self.trace, self.random = trace, random or Random(trace.seed)
        nodes = trace.nodes
        _, channels, rows = nodes[trace.inputs[0]].shape
        out = nodes[trace.outputs[0]].shape
        self.in_shape, self.out_shape = (rows, channels), (out[2], out[1])
        self._start: list = [None] * len(nodes)
        self._steps, self._draws = [], []
        last = {place: i for i, node in enumerate(nodes) for place in node.inputs}
        kept = {*trace.outputs, *trace.next_state, *trace.next_state.values()}
        for i, node in enumerate(nodes):
            if node.op in ("constant", "state"):
                self._start[i] = node.params["value"]
            elif node.op == "random":
                draw = self.random.uniform if node.params["kind"] == "uniform" else self.random.normal
                self._draws.append((i, draw, node.shape, node.params["stream"]))
            elif node.op not in LEAVES:
                drop = [p for p in set(node.inputs) if last[p] == i and nodes[p].op not in ("constant", "state") and p not in kept]
                self._steps.append((KERNELS[node.op](node.params, node.shape, node.dtype), node.inputs, i, drop))
        self.reset()

    def reset(self) -> None:
        """Back to the state before the first block."""
        self._values = list(self._start)
        self.random.reset()

    def run(self, x) -> np.ndarray:
        x = np.asarray(x, np.float32)
        if x.shape != self.in_shape:
            raise ValueError(f"a block of {x.shape} was given; {self.trace.method} takes {self.in_shape}")
        values = self._values
        values[self.trace.inputs[0]] = np.ascontiguousarray(x.T)[None]
        for i, draw, shape, stream in self._draws:
            values[i] = draw(shape, stream)
        with np.errstate(all="ignore"):
            for kernel, inputs, i, drop in self._steps:
                values[i] = kernel(*[values[p] for p in inputs])
                for p in drop:
                    values[p] = None
        y = np.array(values[self.trace.outputs[0]][0].T, np.float32)
        following = [(state, values[value]) for state, value in self.trace.next_state.items()]
        for state, value in following:
            values[state] = value
        return y
