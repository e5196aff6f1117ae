"""Which numbers of a program belong together: labels that spread through its operations as data would.

Every index along every axis of a stored tensor starts with a label of its own. Labels pass through views and operations into
the program's memory; where two meet that must come and go together (both terms of a sum, the channel of a convolution's
input and the column of its weights), they become one. What is left are classes: the channels of a net, each with
everything that holds, makes or reads it (the dependency graph of Fang et al., "DepGraph: Towards Any Structural Pruning",
2023, found here by execution instead of from a list of layers). ``FIXED`` is the class of what must stay: inputs, outputs,
sources of sound, and all that an operation touches whose meaning depends on how many numbers it sees.
"""

from __future__ import annotations

import numpy as np

from ..engine.listing import Listing, View, dense_strides
from ..errors import NeurorackError

NONE, FIXED = 0, 1
MOST_PASSES = 24


class TrimError(NeurorackError):
    """A model or a choice of units that cannot be trimmed."""


class Labels:
    """Labels of one or more listings that share their constants.

    shapes: tensor name to shape; fixed: names of tensors that must keep their shape. ``axes[name]`` has an array of labels for
    each axis of a tensor, ``memories[k][buffer]`` those of the memory of listing k; both are told apart by ``root``. ``mixed``:
    labels of numbers that are folded into one with those of other classes, as a norm over channels does.
    """

    def __init__(self, listings, shapes: dict[str, tuple[int, ...]], fixed=()):
        self.listings: list[Listing] = list(listings)
        self.shapes = shapes
        self.parent = np.arange(2)
        self.roles: dict[tuple[str, int], str] = {}
        self.axes: dict[str, list[np.ndarray]] = {}
        for name in dict.fromkeys(b.tensor for one in self.listings for b in one.buffers if b.kind == "constant" and b.tensor is not None):
            free = name not in set(fixed)
            self.axes[name] = [self.fresh(n) if free and n > 1 else np.full(n, FIXED) for n in shapes[name]]
        self.memories = [[self._memory(b) for b in one.buffers] for one in self.listings]
        self.mixed: set[int] = set()
        self._own: dict[tuple, np.ndarray] = {}
        self.first, self.changed, passes = True, True, 0
        while self.changed:
            self.changed, passes = False, passes + 1
            if passes > MOST_PASSES:
                raise TrimError(f"the units of this program are not settled after {MOST_PASSES} passes; it cannot be trimmed")
            self._pass()
            self.changed, self.first = self.changed or self.first, False

    def _memory(self, buffer):
        if buffer.kind == "constant":
            return None
        return np.full(buffer.size, FIXED if buffer.kind in ("input", "output") else NONE)

    def _pass(self):
        from . import rules

        for k, listing in enumerate(self.listings):
            for number, call in enumerate(listing.calls):
                operands = [None if v is None else self.operand(k, v) for v in call.views]
                rules.apply(self, (k, number), call, operands)

    # -- classes

    def fresh(self, count: int) -> np.ndarray:
        """``count`` new labels."""
        made = np.arange(len(self.parent), len(self.parent) + count)
        self.parent = np.concatenate((self.parent, made))
        return made

    def own(self, key, count: int) -> np.ndarray:
        """Labels of an operation's own, the same ones in every pass."""
        if key not in self._own:
            self._own[key] = self.fresh(count)
        return self._own[key]

    def root(self, labels):
        """The class of each label."""
        return self.parent[labels]

    def unite(self, a, b) -> None:
        """The classes of labels a and b (arrays that broadcast; NONE joins nothing) become one; FIXED swallows all."""
        a, b = np.broadcast_arrays(self.root(a), self.root(b))
        apart = (a != b) & (a != NONE) & (b != NONE)
        if not apart.any():
            return
        parent = self.parent
        for x, y in np.unique(np.stack((a[apart], b[apart]), 1), axis=0).tolist():
            while parent[x] != x:
                x = parent[x]
            while parent[y] != y:
                y = parent[y]
            parent[max(x, y)] = min(x, y)
        while (parent[parent] != parent).any():
            parent = parent[parent]
        self.parent, self.changed = parent, True

    def join(self, memory: np.ndarray, labels) -> None:
        """Each number of a view of memory is in the class of the label beside it; numbers without one take it."""
        labels = np.broadcast_to(labels, memory.shape)
        while True:                                          # a view may show one number twice: until all have been heard
            self.unite(memory, labels)
            want = self.root(np.where(memory == NONE, labels, memory))
            if ((memory == NONE) & (want != NONE)).any():
                self.changed = True
            memory[...] = want
            if (self.root(memory) == self.root(want)).all():
                return

    def pair(self, a: np.ndarray, b: np.ndarray) -> None:
        """Two views of memory, number by number in one class."""
        self.join(a, b)
        self.join(b, a)

    # -- operands

    def operand(self, k: int, view: View):
        """A view as its labels in memory (an array to read and to write), or as a ``Constant``."""
        buffer = self.listings[k].buffers[view.buffer]
        if buffer.kind == "constant":
            return Constant(self, buffer.tensor, view)
        return strided(self.memories[k][view.buffer], view)

    def fix(self, operand) -> None:
        """All that an operand shows must stay."""
        if isinstance(operand, Constant):
            operand.fix()
        elif operand is not None:
            self.join(operand, FIXED)


class Constant:
    """A view on a stored tensor, told apart by its axes; on a generated table where ``tensor`` is None."""

    def __init__(self, labels: Labels, tensor: str | None, view: View):
        self.labels, self.tensor, self.shape = labels, tensor, view.shape
        self.moves: list[list[np.ndarray]] | None = None      # [axis][dimension]: steps along the axis, or None
        if tensor is not None:
            self._take_apart(view)

    def _take_apart(self, view):
        shape = self.labels.shapes[self.tensor]
        strides = dense_strides(shape)
        at = lambda place: [place // s % n for s, n in zip(strides, shape)]
        self.start = at(view.offset)
        steps = [[c - s for c, s in zip(at(view.offset + np.arange(n) * stride), self.start)] for n, stride in zip(view.shape, view.strides)]
        self.moves = [[step[axis] for step in steps] for axis in range(len(shape))]
        for axis, size in enumerate(shape):
            low, high = (self.start[axis] + sum(end(m) for m in self.moves[axis]) for end in (np.min, np.max))
            if low < 0 or high >= size:
                self.moves = None                             # runs over the end of an axis into the next
                return

    def moving(self) -> list[int]:
        """The tensor's axes along which the view goes."""
        return [a for a, moves in enumerate(self.moves) if any(m.any() for m in moves)]

    def places(self, axis: int, shape) -> np.ndarray:
        """The index along an axis of each number of the view, broadcast to a shape."""
        grid = np.full((1,) * len(self.shape), self.start[axis])
        for d, steps in enumerate(self.moves[axis]):
            grid = grid + steps.reshape([-1 if i == d else 1 for i in range(len(self.shape))])
        return np.broadcast_to(grid, shape)

    def along(self, dimension: int, role: str) -> np.ndarray:
        """The labels along a dimension of the view, which must be along one axis of the tensor; else all is fixed."""
        count = self.shape[dimension]
        if self.moves is not None:
            found = [a for a, moves in enumerate(self.moves) if moves[dimension].any()]
            if len(found) == 1 and not any(m.any() for d, m in enumerate(self.moves[found[0]]) if d != dimension):
                axis = found[0]
                self.labels.roles.setdefault((self.tensor, axis), role)
                return self.labels.axes[self.tensor][axis][self.start[axis] + self.moves[axis][dimension]]
        if count > 1:
            self.fix()
        return np.full(count, FIXED)

    def fix(self) -> None:
        if self.tensor is not None:
            for axis in self.labels.axes[self.tensor]:
                self.labels.unite(axis, FIXED)


def strided(memory: np.ndarray, view: View, writeable=True) -> np.ndarray:
    """A view's numbers in a flat array."""
    strides = [memory.itemsize * s for s in view.strides]
    return np.lib.stride_tricks.as_strided(memory[view.offset:], view.shape, strides, writeable=writeable)
