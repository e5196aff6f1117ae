"""Where values lie in memory.

A value that goes whole into a longer one (``cat``, ``pad``, ``assign``) is computed right there: its *owner* lends it a
part of its room. So a cached convolution costs no copy but that of its tail: the cache lies in front of the room that
the layer before writes to. The time axis of [batch, channels, time] is outermost in memory, as the engine's products
want it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from neurorack.engine.value import _restride
from neurorack.importer.compile.graph import VIEWS, Graph, Item
from neurorack.importer.compile.views import fresh_strides, order_of

POINTWISE = ("unary", "binary", "ternary", "where")
#: Operations that write their result wherever they are told to.
WRITERS = (*POINTWISE, "conv1d", "conv_transpose1d", "linear", "second", "matmul", "reduce", "scan", "gather", "gru",
           "cat", "pad", "assign")
#: Whose numbers, or some of them, stay where they are from block to block.
LASTING = ("state", "constant", "pad")
ROW_MAJOR = ("matmul", "gather", "random", "gru", "arg", "constant")


@dataclass(frozen=True)
class Part:
    """Of an owner's value: where it starts in each dimension, and its steps."""

    owner: Item
    start: tuple[int, ...]
    step: tuple[int, ...]


class Places:
    """For each item that lies within another's room, which part; and in which order the dimensions of any item lie."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.parts: dict[Item, Part] = {}
        self.children: dict[Item, list[Item]] = {}
        self._orders: dict[Item, tuple[int, ...]] = {}
        for item in graph.items:
            if item.op == "cat":
                self._cat(item)
            elif item.op == "pad":
                self._lend(item.inputs[0], item, item.params["before"], (1,) * len(item.shape))
            elif item.op == "assign":
                self._assign(item)

    def root(self, item: Item) -> Item:
        while item in self.parts:
            item = self.parts[item].owner
        return item

    def within(self, item: Item):
        """The item and all that lie in its room."""
        yield item
        for child in self.children.get(item, []):
            yield from self.within(child)

    def _cat(self, item: Item) -> None:
        axis, at = item.params["axis"], 0
        for source in item.inputs:
            start = tuple(at if i == axis else 0 for i in range(len(item.shape)))
            self._lend(source, item, start, (1,) * len(item.shape))
            at += source.shape[axis]

    def _lend(self, source: Item, owner: Item, start, step) -> None:
        lasting = source.op in ("state", "constant") and owner.op == "cat"
        if (source.op in WRITERS or lasting) and source not in self.parts and source not in self.graph.outputs:
            self._set(source, Part(owner, tuple(start), tuple(step)))

    def _set(self, source: Item, part: Part) -> None:
        self.parts[source] = part
        self.children.setdefault(part.owner, []).append(source)

    def _assign(self, item: Item) -> None:
        """In place, where nobody reads the old value afterwards."""
        base, value = item.inputs
        if base.op not in WRITERS or base in self.parts or any(i.op in LASTING for i in self.within(base)):
            return
        early = value.op in POINTWISE and value not in self.parts and value.at > base.at and value not in self.graph.kept and len(value.users) == 1
        limits = [value.at, item.at] if early else [item.at]
        for limit in limits:
            if self._unread_after(base, item, limit, value):
                dims = len(item.shape)
                self._set(base, Part(item, (0,) * dims, (1,) * dims))
                if limit == value.at:
                    self._set(value, Part(item, tuple(item.params["start"]), tuple(item.params["step"])))
                return

    def _unread_after(self, base: Item, assign: Item, limit: int, value: Item) -> bool:
        seen, stack = set(), [base]
        while stack:
            alias = stack.pop()
            if alias in seen:
                continue
            seen.add(alias)
            if alias in self.graph.kept:
                return False
            stack += self.children.get(alias, [])
            for user in alias.users:
                if user in (assign, value):
                    continue
                if user.op in VIEWS or user.op in ("reshape", "cast"):
                    stack.append(user)
                elif user.at >= limit:
                    return False
        return True

    # -- order in memory

    def order(self, item: Item) -> tuple[int, ...]:
        """Dimensions, outermost first."""
        stack = [item]
        while stack:        # no recursion: chains of operations are long
            top = stack[-1]
            if top in self._orders:
                stack.pop()
                continue
            first = self._model(top)
            if first is not None and first not in self._orders:
                stack.append(first)
                continue
            self._orders[top] = self._order(top, first)
            stack.pop()
        return self._orders[item]

    def _model(self, item: Item) -> Item | None:
        """The input whose order this item follows."""
        dims = len(item.shape)
        if not item.inputs or item.op in ROW_MAJOR or (dims == 3 and item.op in ("cat", "pad", "conv1d", "conv_transpose1d")):
            return None
        sources = [i for i in item.inputs if i is not None]
        if item.op in (*POINTWISE, "cat"):
            moving = [i for i in sources if not i.is_constant and (item.op != "cat" or i.op != "state")] or sources
            return max(moving, key=lambda i: (len(i.shape) == dims, i.size))
        return sources[0]

    def _order(self, item: Item, first: Item | None) -> tuple[int, ...]:
        shape = item.shape
        natural = tuple(range(len(shape)))
        if first is None:
            return (0, 2, 1) if len(shape) == 3 and item.op not in ROW_MAJOR else natural
        order = self._orders[first]
        if item.op == "permute":
            where = {axis: i for i, axis in enumerate(item.params["order"])}
            return tuple(where[a] for a in order)
        if item.op == "reshape":
            strides = _restride(first.shape, fresh_strides(first.shape, order), shape) if shape and first.shape and prod(first.shape) > 1 else None
            return order_of(shape, strides) if strides else ((0, 2, 1) if len(shape) == 3 else natural)
        if item.op == "linear":
            return (*(a for a in order if a != len(shape) - 1), len(shape) - 1)
        if len(first.shape) != len(shape):
            more = len(shape) - len(first.shape)
            return (*range(more), *(a + more for a in order)) if more > 0 else natural
        return order
