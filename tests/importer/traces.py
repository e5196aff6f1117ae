"""Traces written by hand: each method adds one node and infers its shape with numpy."""

from __future__ import annotations

import numpy as np

from neurorack.importer.trace import Node, Trace


class TraceMaker:
    """``x = m.input(1, 4, 16)``; ``y = m.unary("tanh", x)``; ``trace = m.done(y)``. Handles are places in the trace."""

    def __init__(self, block_frames: int = 16):
        self.trace = Trace("decode", block_frames)

    def node(self, op, inputs, shape, dtype="f32", **params) -> int:
        self.trace.nodes.append(Node(op, tuple(inputs), params, tuple(int(n) for n in shape), dtype))
        return len(self.trace.nodes) - 1

    def shape(self, x):
        return self.trace.nodes[x].shape

    def dtype(self, x):
        return self.trace.nodes[x].dtype

    def input(self, *shape):
        place = self.node("input", (), shape, index=len(self.trace.inputs))
        self.trace.inputs.append(place)
        return place

    def constant(self, value):
        value = np.asarray(value)
        kind = {"f": "f32", "i": "i64", "b": "bool"}[value.dtype.kind]
        return self.node("constant", (), value.shape, kind, value=value.astype(np.float32) if kind == "f32" else value)

    def state(self, value):
        value = np.asarray(value, np.float32)
        place = self.node("state", (), value.shape, name=f"s{len(self.trace.next_state)}", value=value)
        self.trace.next_state[place] = place
        return place

    def carry(self, state, value):
        self.trace.next_state[state] = value

    def unary(self, fn, x, **more):
        return self.node("unary", (x,), self.shape(x), fn=fn, **more)

    def binary(self, fn, a, b):
        return self.node("binary", (a, b), np.broadcast_shapes(self.shape(a), self.shape(b)), fn=fn)

    def cat(self, parts, axis):
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(p)[axis] for p in parts)
        return self.node("cat", parts, shape, axis=axis)

    def slice(self, x, **axes):
        """``d2=slice(1, None, 2)`` along dimension 2."""
        full = self.shape(x)
        start, stop, step, shape = [], [], [], []
        for i, n in enumerate(full):
            a, b, c = axes.get(f"d{i}", slice(None)).indices(n)
            start.append(a)
            stop.append(None if b < 0 else b)
            step.append(c)
            shape.append(len(range(a, b, c)))
        return self.node("slice", (x,), shape, start=tuple(start), stop=tuple(stop), step=tuple(step))

    def assign(self, base, value, **axes):
        start, stop, step = [], [], []
        for i, n in enumerate(self.shape(base)):
            a, b, c = axes.get(f"d{i}", slice(None)).indices(n)
            start.append(a)
            stop.append(None if b < 0 else b)
            step.append(c)
        return self.node("assign", (base, value), self.shape(base), start=tuple(start), stop=tuple(stop), step=tuple(step))

    def permute(self, x, *order):
        return self.node("permute", (x,), [self.shape(x)[i] for i in order], order=order)

    def reshape(self, x, *shape):
        return self.node("reshape", (x,), np.empty(self.shape(x)).reshape(shape).shape)

    def conv1d(self, x, w, bias=None, stride=1, padding=(0, 0), dilation=1, groups=1):
        w = np.asarray(w, np.float32)
        n, _, t = self.shape(x)
        rows = (t + sum(padding) - dilation * (w.shape[2] - 1) - 1) // stride + 1
        inputs = [x, self.constant(w)] + ([] if bias is None else [self.constant(np.asarray(bias, np.float32))])
        return self.node("conv1d", inputs, (n, w.shape[0], rows), stride=stride, padding=padding, dilation=dilation, groups=groups)

    def conv_transpose1d(self, x, w, bias=None, stride=1, padding=(0, 0), output_padding=0, dilation=1, groups=1):
        w = np.asarray(w, np.float32)
        n, _, t = self.shape(x)
        rows = (t - 1) * stride + dilation * (w.shape[2] - 1) + 1 + output_padding - sum(padding)
        inputs = [x, self.constant(w)] + ([] if bias is None else [self.constant(np.asarray(bias, np.float32))])
        return self.node("conv_transpose1d", inputs, (n, w.shape[1] * groups, rows), stride=stride, padding=padding,
                         output_padding=output_padding, dilation=dilation, groups=groups)

    def matmul(self, a, b):
        return self.node("matmul", (a, b), np.matmul(np.empty(self.shape(a)), np.empty(self.shape(b))).shape)

    def reduce(self, fn, x, *axes, scale=1.0):
        return self.node("reduce", (x,), [1 if i in axes else n for i, n in enumerate(self.shape(x))], fn=fn, axes=axes, scale=scale)

    def scan(self, fn, x, axis):
        return self.node("scan", (x,), self.shape(x), fn=fn, axis=axis)

    def pad(self, x, before, after, value=0.0):
        return self.node("pad", (x,), [a + n + b for a, n, b in zip(before, self.shape(x), after)], before=before, after=after, value=value)

    def random(self, kind, *shape):
        count = sum(n.op == "random" for n in self.trace.nodes)
        return self.node("random", (), shape, kind=kind, stream=count)

    def done(self, *outputs) -> Trace:
        self.trace.outputs = list(outputs)
        return self.trace
