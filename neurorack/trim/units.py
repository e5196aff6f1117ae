"""Units: what can be taken out of a net whole, one channel through everything that holds, makes or reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from . import cut
from .labels import FIXED, NONE, Labels, TrimError


class Member(NamedTuple):
    """A slice of a stored tensor that goes with its unit.

    role: "out" what makes the unit (rows of a weight, their bias), "in" what reads it, "own" a number for it (of a norm, a scale).
    """

    tensor: str
    axis: int
    index: int
    role: str


@dataclass(frozen=True)
class Unit:
    """One channel, through everything that must lose it together."""

    members: tuple[Member, ...]


@dataclass(frozen=True)
class Group:
    """Units made by the same layers; ``name`` is that of the first.

    mixed: channels that something folds into one number, as a norm does; without one of them the others come out differently.
    """

    name: str
    units: tuple[Unit, ...]
    mixed: bool = False


def find(listing, shapes, fixed=()) -> list[Group]:
    """The groups of a program (a ``Listing``, or several that share their tensors), in the order of its calls.

    shapes: tensor name to shape; fixed: tensors that must stay as they are. What reaches inputs, outputs or sources of sound, what
    has only one unit, and what cannot be cut out of the program's memory is not listed.
    """
    return found(Labels(listing if isinstance(listing, (list, tuple)) else [listing], shapes, fixed))


def found(labels: Labels) -> list[Group]:
    """`find` for labels that are there already."""
    groups, random = groups_of(labels), np.random.default_rng(0)
    middle = [[group.units[len(group.units) // 2]] for group in groups]
    draws = [[group.units[k] for k in random.permutation(len(group.units))[1:1 + len(group.units) // 2]] for group in groups]
    tries = [sum(middle[::2], []), sum(middle[1::2], []), sum(draws, [])]          # neighbours apart: one may hide the hole of the other
    if all(cut.fits(labels, units) for units in tries):
        return groups
    return [group for group, *tries in zip(groups, middle, draws) if all(cut.fits(labels, units) for units in tries)]


def groups_of(labels: Labels) -> list[Group]:
    """The groups of settled labels, whether or not the program's memory can be cut."""
    members: dict[int, list[Member]] = {}
    mixed = set(labels.root(np.array(sorted(labels.mixed), np.int64)).tolist()) - {NONE, FIXED}
    for tensor, axes in labels.axes.items():
        for axis, table in enumerate(axes):
            role = labels.roles.get((tensor, axis))
            classes = labels.root(table).tolist()
            for index, one in enumerate(classes):
                if one != FIXED:
                    members.setdefault(one, []).append(Member(tensor, axis, index, role))
    found: dict[tuple, list[Unit]] = {}
    for one, unit in members.items():
        if all(m.role for m in unit) and any(m.role == "out" for m in unit):
            found.setdefault((one in mixed, *sorted({(m.tensor, m.axis, m.role) for m in unit})), []).append(Unit(tuple(unit)))
    order = {tensor: k for k, tensor in enumerate(labels.axes)}
    named = []
    for (one_mixed, *_), units in found.items():
        if len(units) > 1 and not any(_is_all(labels, unit) for unit in units):
            units.sort(key=lambda unit: [(order[m.tensor], m.axis, m.index) for m in unit.members])
            first = min((m.tensor for m in units[0].members if m.role == "out"), key=order.get)
            named.append((order[first], _layer(first), tuple(units), one_mixed))
    named.sort(key=lambda entry: entry[0])
    names = [name for _, name, *_ in named]
    apart = lambda k, name: name if names.count(name) == 1 else f"{name}#{names[:k].count(name) + 1}"
    return [Group(apart(k, name), *rest) for k, (_, name, *rest) in enumerate(named)]


def _layer(tensor: str) -> str:
    """The name of the layer that a tensor belongs to."""
    layer, _, last = tensor.rpartition(".")
    return layer if last.startswith(("weight", "bias")) and layer else tensor


def _is_all(labels, unit) -> bool:
    """Would taking this unit leave nothing of a tensor?"""
    count: dict[tuple, int] = {}
    for m in unit.members:
        count[m.tensor, m.axis] = count.get((m.tensor, m.axis), 0) + 1
    return any(n == labels.shapes[tensor][axis] for (tensor, axis), n in count.items())


def removed_indices(removed) -> dict[tuple[str, int], np.ndarray]:
    """(tensor, axis) to the sorted indices that go with some units."""
    found: dict[tuple[str, int], set] = {}
    for unit in removed:
        for m in unit.members:
            found.setdefault((m.tensor, m.axis), set()).add(m.index)
    return {key: np.array(sorted(indices)) for key, indices in found.items()}


def cut_shapes(shapes, removed) -> dict[str, tuple[int, ...]]:
    """The shapes that are left without some units. TrimError where nothing of a tensor would be."""
    left = {name: list(shape) for name, shape in shapes.items()}
    for (name, axis), indices in removed_indices(removed).items():
        if name in left:
            left[name][axis] -= len(indices)
            if left[name][axis] < 1:
                raise TrimError(f"all {len(indices)} of {name!r} along axis {axis} would go; leave one unit at least")
    return {name: tuple(shape) for name, shape in left.items()}


def cut_tensors(tensors: dict[str, np.ndarray], removed) -> dict[str, np.ndarray]:
    """The tensors without some units; those they do not touch are passed on as they are."""
    cut_shapes({name: array.shape for name, array in tensors.items()}, removed)
    left = dict(tensors)
    for (name, axis), indices in removed_indices(removed).items():
        if name in left:
            left[name] = np.ascontiguousarray(np.delete(left[name], indices, axis))
    return left


def masked_tensors(tensors: dict[str, np.ndarray], removed, roles=("out", "in", "own")) -> dict[str, np.ndarray]:
    """The tensors with zeros where units would be cut out; ``roles`` says in which of their slices."""
    masked = dict(tensors)
    for unit in removed:
        for m in unit.members:
            if m.role in roles and m.tensor in masked:
                if masked[m.tensor] is tensors[m.tensor]:
                    masked[m.tensor] = np.array(tensors[m.tensor])
                masked[m.tensor][(slice(None),) * m.axis + (m.index,)] = 0
    return masked
