"""The trace as a graph that can be rewritten: nodes know their users and may be replaced."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from neurorack.importer.trace import Trace

#: Operations whose result is another look at the memory of their operand.
VIEWS = ("permute", "slice", "expand")


@dataclass(eq=False)
class Item:
    """A node: as in ``Trace``, with the nodes themselves as inputs (None where an optional one is missing)."""

    op: str
    inputs: list
    params: dict
    shape: tuple[int, ...]
    dtype: str = "f32"
    users: list = field(default_factory=list)   # one entry a use
    at: int = -1                                # place in the order

    @property
    def is_constant(self) -> bool:
        return self.op == "constant"

    @property
    def value(self) -> np.ndarray:
        return self.params["value"]

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def __repr__(self) -> str:
        return f"<{self.at} {self.op} {self.shape}>"


class Graph:
    """``items`` in order; ``outputs`` and ``next_state`` (state item to item) hold on to what must stay."""

    def __init__(self, trace: Trace):
        self.method, self.seed = trace.method, trace.seed
        made: list[Item] = []
        for node in trace.nodes:
            made.append(Item(node.op, [made[i] for i in node.inputs], dict(node.params), tuple(node.shape), node.dtype))
        self.items = made
        self.inputs = [made[i] for i in trace.inputs]
        self.outputs = [made[i] for i in trace.outputs]
        self.next_state = {made[s]: made[n] for s, n in trace.next_state.items()}
        self.refresh()

    def refresh(self) -> None:
        """Drop what nobody uses, number the items, count uses."""
        wanted, stack = set(), [*self.outputs, *self.next_state, *self.next_state.values(), *self.inputs]
        while stack:
            item = stack.pop()
            if item not in wanted:
                wanted.add(item)
                stack += [i for i in item.inputs if i is not None]
        self.items = [item for item in self.items if item in wanted]
        for at, item in enumerate(self.items):
            item.at, item.users = at, []
        for item in self.items:
            for source in item.inputs:
                if source is not None:
                    source.users.append(item)
        self.kept = {*self.outputs, *self.next_state.values()}

    def insert(self, before: Item, op: str, inputs, params=None, shape=(), dtype="f32") -> Item:
        """A new item just before another; users are known after ``refresh``."""
        item = Item(op, list(inputs), params or {}, tuple(shape), dtype)
        self.items.insert(self.items.index(before), item)
        return item

    def constant(self, value, before: Item) -> Item:
        value = np.asarray(value)
        return self.insert(before, "constant", [], {"value": value}, value.shape)

    def replace(self, old: Item, new: Item) -> None:
        """Every use of ``old`` becomes one of ``new``."""
        for user in old.users:
            user.inputs = [new if i is old else i for i in user.inputs]
            new.users.append(user)
        old.users = []
        self.outputs = [new if o is old else o for o in self.outputs]
        self.next_state = {s: new if n is old else n for s, n in self.next_state.items()}
        if old in self.kept:
            self.kept.discard(old)
            self.kept.add(new)

    def only_user(self, item: Item) -> Item | None:
        """The one item that uses this one, if it is used once and not kept."""
        return item.users[0] if len(item.users) == 1 and item not in self.kept else None
