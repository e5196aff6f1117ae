"""Writes the program: each item in order, into the memory that ``place.py`` chose for it."""

from __future__ import annotations

import numpy as np

from neurorack.engine.listing import dense_strides
from neurorack.engine.value import Value
from neurorack.importer.compile import lookups, products
from neurorack.importer.compile.graph import Graph, Item
from neurorack.importer.compile.place import LASTING, Places
from neurorack.importer.compile.views import EXACT_INTEGER, at, broadcast, common_shape, fresh_strides, restrided, together
from neurorack.importer.errors import UnsupportedError
from neurorack.importer.trace import random_stream

FLOAT_LIMIT = 3e38
WRITTEN_ELSEWHERE = {**products.OPERATIONS, **lookups.OPERATIONS}


def emit(graph: Graph, builder) -> None:
    """Append everything to the builder, name its output, carry the states over."""
    if len(graph.outputs) != 1:
        raise UnsupportedError(f"{graph.method} gives {len(graph.outputs)} results; one can be played")
    emitter = Emitter(graph, builder)
    emitter.run()


class Emitter:
    """``values``: the memory of each item emitted or allocated so far, in the shape the trace gives it."""

    def __init__(self, graph: Graph, builder):
        self.graph, self.b = graph, builder
        self.places = Places(graph)
        self.values: dict[Item, Value] = {}
        self.whole_output: Value | None = None     # where the result is computed in place

    def run(self) -> None:
        for item in self.graph.items:
            if hasattr(self, f"_{item.op}"):
                getattr(self, f"_{item.op}")(item)
            elif item.op in WRITTEN_ELSEWHERE:
                WRITTEN_ELSEWHERE[item.op](self, item)
            else:
                raise UnsupportedError(f"operation {item.op} has no counterpart in the engine")
        self._output()
        self._carry_states()

    # -- memory

    def value(self, item: Item) -> Value:
        return self.values[item]

    def room(self, item: Item) -> Value:
        """The memory this item's result belongs into."""
        if item not in self.values:
            part = self.places.parts.get(item)
            if part:
                whole = self.room(part.owner)
                offset = sum(s * stride for s, stride in zip(part.start, whole.strides))
                self.values[item] = at(whole, item.shape, [a * b for a, b in zip(part.step, whole.strides)], offset)
            else:
                self.values[item] = self._new_room(item)
        return self.values[item]

    def _new_room(self, item: Item) -> Value:
        lasting = [i for i in self.places.within(item) if i.op in LASTING]
        if item in self.graph.outputs and not lasting:
            return self._output_room(item)
        strides = fresh_strides(item.shape, self.places.order(item))
        if not lasting:
            return at(self.b.new(max(item.size, 1)), item.shape, strides)
        return at(self.b.state(max(item.size, 1), initial=self._initial(item, strides, lasting)), item.shape, strides)

    def _initial(self, item: Item, strides, lasting) -> np.ndarray | None:
        memory = np.zeros(max(item.size, 1), np.float32)
        whole = np.lib.stride_tricks.as_strided(memory, item.shape, [4 * s for s in strides])
        for one in lasting:
            fill = one.params["value"]
            region = self._region(whole, one, item)
            region[...] = np.asarray(fill, np.float32)
        return memory if memory.any() else None

    def _region(self, whole: np.ndarray, inner: Item, root: Item) -> np.ndarray:
        chain = []
        while inner is not root:
            part = self.places.parts[inner]
            chain.append((part, inner.shape))
            inner = part.owner
        for part, shape in reversed(chain):
            whole = whole[tuple(slice(a, a + s * n if a + s * n >= 0 else None, s) for a, s, n in zip(part.start, part.step, shape))]
        return whole

    def _output_room(self, item: Item) -> Value:
        rows, channels = self.b.out_shape
        out = self.b.new(rows, channels)
        self.whole_output = out
        return at(out, item.shape, self._channel_strides(item, channels))

    def _channel_strides(self, item: Item, channels: int) -> tuple[int, ...]:
        if len(item.shape) < 2 or item.shape[-1] * channels != item.size or item.shape[-2] != channels:
            raise UnsupportedError(f"{self.graph.method} gives {item.shape}; {self.b.out_shape[::-1]} was declared")
        return (*(0,) * (len(item.shape) - 2), 1, channels)

    def temporary(self, shape) -> Value:
        return self.b.new(*shape) if shape else at(self.b.new(1), (), ())

    def copied(self, value: Value, shape) -> Value:
        """A dense copy in another shape."""
        dense = self.temporary(value.shape)
        self.copy(value, dense)
        return at(dense, shape, dense_strides(shape) if shape else ())

    def shaped(self, value: Value, shape) -> Value:
        """``value`` in another shape, copied only if it must be."""
        view = restrided(value, shape)
        return self.copied(value, shape) if view is None else view

    # -- pointwise

    def copy(self, source: Value, to: Value) -> None:
        self.pointwise("unary", [source], to, fn="copy")

    def pointwise(self, op: str, sources: list[Value], to: Value, **params) -> None:
        views = [to, *(broadcast(s, to.shape) for s in sources)]
        for y, *xs in together(views):
            self.b.call(op, xs, [y], **params)

    def _apply(self, item: Item, op: str, **params) -> None:
        self.pointwise(op, [self.value(i) for i in item.inputs], self.room(item), **params)

    def _unary(self, item: Item) -> None:
        limits = {k: float(np.clip(item.params.get(k, 0.0), -FLOAT_LIMIT, FLOAT_LIMIT)) for k in ("a", "b")}
        self._apply(item, "unary", fn=item.params["fn"], **limits)

    def _binary(self, item: Item) -> None:
        self._apply(item, "binary", fn=item.params["fn"])

    def _ternary(self, item: Item) -> None:
        self._apply(item, "ternary", fn=item.params["fn"])

    def _where(self, item: Item) -> None:
        self._apply(item, "ternary", fn="where")

    def _cast(self, item: Item) -> None:
        source = item.inputs[0]
        if item.dtype == "i64" and source.dtype in ("f32", "f64"):
            self._apply(item, "unary", fn="trunc")
        elif item.dtype == "bool" and source.dtype != "bool":
            self.pointwise("binary", [self.value(source), self.b.constant(np.zeros(1))], self.room(item), fn="ne")
        else:
            self.values[item] = self.value(source)

    def _second(self, item: Item) -> None:
        """Written by the convolution before it."""

    # -- leaves

    def _input(self, item: Item) -> None:
        rows, channels = self.b.in_shape
        if len(item.shape) < 2 or item.size != rows * channels or item.shape[-2:] != (channels, rows):
            raise UnsupportedError(f"{self.graph.method} takes {item.shape}; {(channels, rows)} was declared")
        self.values[item] = at(self.b.input(), item.shape, (*(0,) * (len(item.shape) - 2), 1, channels))

    def _constant(self, item: Item) -> None:
        value = item.value
        if item in self.places.parts:
            self.room(item)
            return
        if value.dtype.kind in "iu" and value.size and np.abs(value).max() > EXACT_INTEGER:
            raise UnsupportedError(f"a whole number of {int(np.abs(value).max())} is beyond what float32 holds exactly")
        array = np.asarray(value, np.float32)
        self.values[item] = at(self.b.constant(array.reshape(-1) if array.size else np.zeros(1)), array.shape, dense_strides(array.shape) if array.ndim else ())

    def _state(self, item: Item) -> None:
        if item in self.places.parts:
            self.room(item)
            return
        order = self.places.order(item)
        initial = np.ascontiguousarray(np.transpose(np.asarray(item.value, np.float32), order)) if item.shape else np.asarray(item.value, np.float32)
        memory = self.b.state(max(item.size, 1), initial=initial.reshape(-1) if initial.any() else None)
        self.values[item] = at(memory, item.shape, fresh_strides(item.shape, order))

    def _random(self, item: Item) -> None:
        numbers = self.b.new(item.size)
        self.b.call("random", [self.b.state(2)], [numbers], normal=int(item.params["kind"] == "normal"),
                    seed=random_stream(self.graph.seed, item.params["stream"]))
        self.values[item] = at(numbers, item.shape, dense_strides(item.shape) if item.shape else ())

    # -- other looks at the same memory

    def _permute(self, item: Item) -> None:
        v = self.value(item.inputs[0])
        self.values[item] = at(v, item.shape, [v.strides[a] for a in item.params["order"]])

    def _slice(self, item: Item) -> None:
        v = self.value(item.inputs[0])
        start, step = item.params["start"], item.params["step"]
        start = [s + n if s < 0 else s for s, n in zip(start, v.shape)]
        self.values[item] = at(v, item.shape, [a * b for a, b in zip(v.strides, step)], sum(a * b for a, b in zip(start, v.strides)))

    def _expand(self, item: Item) -> None:
        self.values[item] = broadcast(self.value(item.inputs[0]), item.shape)

    def _reshape(self, item: Item) -> None:
        source = self.value(item.inputs[0])
        view = restrided(source, item.shape)
        if view is not None:
            self.values[item] = view
            return
        shared, to = common_shape(source.shape, item.shape), self.room(item)
        one, two = (restrided(source, shared), restrided(to, shared)) if shared else (None, None)
        if one is not None and two is not None:
            self.copy(one, two)
        else:
            self.copy(self.copied(source, item.shape), to)

    # -- put together

    def _cat(self, item: Item) -> None:
        whole, start, axis = self.room(item), 0, item.params["axis"]
        for source in item.inputs:
            place = self.places.parts.get(source)
            if not (place and place.owner is item and place.start[axis] == start):
                self.copy(self.value(source), at(whole, source.shape, whole.strides, start * whole.strides[axis]))
            start += source.shape[axis]

    def _pad(self, item: Item) -> None:
        source = item.inputs[0]
        whole, place = self.room(item), self.places.parts.get(source)
        if not (place and place.owner is item):
            offset = sum(a * b for a, b in zip(item.params["before"], whole.strides))
            self.copy(self.value(source), at(whole, source.shape, whole.strides, offset))

    def _assign(self, item: Item) -> None:
        base, value = item.inputs
        whole = self.room(item)
        mine = [self.places.parts.get(i) for i in (base, value)]
        if not (mine[0] and mine[0].owner is item):
            self.copy(self.value(base), whole)
        if not (mine[1] and mine[1].owner is item):
            start, step = item.params["start"], item.params["step"]
            start = [s + n if s < 0 else s for s, n in zip(start, item.shape)]
            offset = sum(a * b for a, b in zip(start, whole.strides))
            shape = [len(range(n)[slice(a, b, s)]) for n, a, b, s in zip(item.shape, item.params["start"], item.params["stop"], step)]
            self.copy(self.value(value), at(whole, shape, [a * b for a, b in zip(whole.strides, step)], offset))

    # -- the end of the list

    def _output(self) -> None:
        item = self.graph.outputs[0]
        rows, channels = self.b.out_shape
        whole = self.whole_output
        if whole is None:
            whole = self.b.new(rows, channels)
            self.copy(self.value(item), at(whole, item.shape, self._channel_strides(item, channels)))
        self.b.output(whole)

    def _carry_states(self) -> None:
        """Old values are read before any is overwritten: what another state's memory holds is put aside first."""
        moves = [(self.value(new), self.value(state)) for state, new in self.graph.next_state.items() if new is not state]
        rooms = {to.room.index for _, to in moves}
        settled = []
        for source, to in moves:
            if source.room.index in rooms and source.room.index != to.room.index:
                aside = self.temporary(source.shape)
                self.copy(source, aside)
                source = aside
            settled.append((source, to))
        for source, to in settled:
            self.copy(source, to)
