"""Which units can go: the error that taking a unit out leaves when the others make up for it as well as they can, and what it saves.

Units go one after the other. What unit j costs a layer that reads it is |w_j|^2 / [C^-1]_jj, C the covariance of the layer's inputs:
the least squares error that is left once the other weights have moved (the optimal brain surgeon of Hassibi and Stork, 1993, applied
to whole channels); C^-1 and w then lose the unit by elimination. Error is counted relative to the power of each layer that reads the
unit, times how much of an error there is heard (``hearing.py``), and summed over those layers: squared dB at the output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import readers as rd
from .compensate import Seen

RIDGE = 1e-4                     # of the mean variance of a layer's inputs
STEPS = 128                      # eliminations of a group at most; a large one loses several units at a time
LEAST_UNITS, LEAST_SHARE = 2, 1 / 32
MULTIPLE = 4                     # kept units of a group of 16 or more: the narrowest vectors of the engine's kernels
EDGE = 1e-9


@dataclass(frozen=True)
class Course:
    """In which order the units of a group go. ``errors[n]``: the error once the first ``n`` in ``order`` are gone; ``least``:
    how many stay at least."""

    order: np.ndarray
    errors: np.ndarray
    least: int

    def gone(self, price: float) -> int:
        """How many go when a unit's saving is worth ``price``: least of error minus price times units gone."""
        allowed = self.allowed()
        return int(allowed[np.argmin(self.errors[allowed] - price * allowed)])

    def allowed(self) -> np.ndarray:
        """How many may go, ascending from 0."""
        count = len(self.order)
        allowed = np.arange(count - self.least + 1)
        return allowed[(count - allowed) % MULTIPLE == 0] if count >= 4 * MULTIPLE and count % MULTIPLE == 0 else allowed


class _Layer:
    """A reader while units go: ``channels[u]``: those of unit u; inverse covariance and weights of the channels that are left."""

    def __init__(self, seen: Seen, channels: list[np.ndarray], heard: float):
        reader, self.channels = seen.reader, channels
        power = seen.power - np.outer(seen.mean, seen.mean) if reader.bias is not None else seen.power
        power = power + RIDGE * max(np.trace(power) / len(power), 1e-20) * np.eye(len(power))
        rows = seen.right.reshape(-1, reader.ins, seen.right.shape[1])
        self.weights = np.ascontiguousarray(rows.transpose(1, 0, 2).reshape(reader.ins, -1), np.float64)
        self.whole = max(float((self.weights * (power @ self.weights)).sum()), 1e-20) / heard
        self.inverse = np.linalg.inv(power)

    def costs(self, units: np.ndarray) -> np.ndarray:
        each = (self.weights**2).sum(1) / np.maximum(np.diag(self.inverse), EDGE * np.diag(self.inverse).max())
        return np.array([each[self.channels[u]].sum() for u in units]) / self.whole

    def take(self, units) -> float:
        """Eliminate units; the error that it adds."""
        out = np.concatenate([self.channels[u] for u in units]).astype(int)
        if not len(out):
            return 0.0
        solved = np.linalg.solve(self.inverse[np.ix_(out, out)], np.concatenate([self.weights[out], self.inverse[out]], axis=1))
        wide = self.weights.shape[1]
        error = float((self.weights[out] * solved[:, :wide]).sum()) / self.whole
        beside = self.inverse[:, out].copy()
        self.weights -= beside @ solved[:, :wide]
        self.inverse -= beside @ solved[:, wide:]
        self.weights[out] = 0
        self.inverse[out] = 0
        self.inverse[:, out] = 0
        self.inverse[out, out] = 1.0
        return max(error, 0.0)


def course(group, seen: dict[str, Seen], shapes, heard: dict[str, float]) -> Course | None:
    """The order of a group's units; None where nothing that reads them could be observed. ``heard``: of each layer, ``hearing.audibility``."""
    read: dict[str, list[list[int]]] = {}
    sides: dict[tuple[str, int], tuple[str, np.ndarray] | None] = {}
    for u, unit in enumerate(group.units):
        for member in unit.members:
            if member.tensor not in seen:
                continue
            key = member.tensor, member.axis
            if key not in sides:
                sides[key] = rd.along(seen[member.tensor].reader, shapes[member.tensor], member.axis)
            if sides[key] is not None and sides[key][0] == "in":
                channels = read.setdefault(member.tensor, [[] for _ in group.units])
                channels[u] += np.flatnonzero(sides[key][1] == member.index).tolist()
    layers = [_Layer(seen[name], [np.array(c, int) for c in channels], heard[name]) for name, channels in read.items()]
    return _eliminated(layers, len(group.units)) if layers else None


def _eliminated(layers: list[_Layer], count: int) -> Course:
    least = min(count, max(LEAST_UNITS, round(LEAST_SHARE * count)))
    alive, order, errors, at_once = np.arange(count), [], [0.0], max(1, count // STEPS)
    while len(alive) > least:
        costs = sum(layer.costs(alive) for layer in layers)
        taken = alive[np.argsort(costs)[: min(at_once, len(alive) - least)]]
        added = sum(layer.take(taken) for layer in layers)
        errors += list(errors[-1] + added * np.arange(1, len(taken) + 1) / len(taken))
        order += taken.tolist()
        alive = np.setdiff1d(alive, taken)
    return Course(np.array(order + alive.tolist()), np.array(errors + [np.inf] * len(alive)), least)


class Costs:
    """Multiplications a block of a listing, as units go. ``whole``: with all of them."""

    def __init__(self, listing, groups, shapes):
        self.terms, self.whole = [], 0.0
        for reader in rd.products(listing):
            taps = reader.taps * (listing.calls[reader.call].views[0].shape[0] if reader.op == "conv_transpose1d" else reader.rows)
            sides = {axis: rd.along(reader, shapes[reader.weight], axis) for axis in range(len(shapes[reader.weight]))}
            gone = {"in": np.zeros(len(groups)), "out": np.zeros(len(groups))}
            for g, group in enumerate(groups):
                for member in group.units[0].members:
                    side = sides.get(member.axis) if member.tensor == reader.weight else None
                    if side is not None:
                        gone[side[0]][g] += (side[1] == member.index).sum()
            self.terms.append((taps, reader.ins, reader.outs, gone["in"], gone["out"]))
            self.whole += taps * reader.ins * reader.outs

    def left(self, counts) -> float:
        """With so many units of each group gone."""
        counts = np.asarray(counts, float)
        return float(sum(taps * (ins - a @ counts) * (outs - b @ counts) for taps, ins, outs, a, b in self.terms))

    def of_unit(self) -> np.ndarray:
        """What one unit of each group saves while all others are there."""
        return np.array([self.whole - self.left(row) for row in np.eye(len(self.terms[0][3]) if self.terms else 0)])


def counts_for(courses: list[Course | None], costs: Costs, keep: float) -> list[int]:
    """How many units of each group go so that at most ``keep`` of the multiplications is left: least error for what is saved.

    Where even the most that may go does not reach that, it is what goes.
    """
    saving = costs.of_unit() / max(costs.whole, 1.0)

    def at(price):
        return [0 if c is None else c.gone(price * s) for c, s in zip(courses, saving)]

    low, high = -14.0, 12.0
    for _ in range(48):
        middle = (low + high) / 2
        low, high = (low, middle) if costs.left(at(10.0**middle)) <= keep * costs.whole else (middle, high)
    return _given_back(at(10.0**high), at(10.0**low), courses, costs, keep * costs.whole)


def _given_back(counts: list[int], fewer: list[int], courses, costs: Costs, most: float) -> list[int]:
    """A price may take many units of a group at once: as many of those go back as may, where an error is most dear first."""
    counts = list(counts)
    dear = [0.0 if c is None or n == m else (c.errors[n] - c.errors[m]) / (n - m) for c, n, m in zip(courses, counts, fewer)]
    for g in sorted(range(len(counts)), key=lambda g: -dear[g]):
        for less in [] if courses[g] is None else courses[g].allowed()[::-1]:
            if fewer[g] <= less < counts[g]:
                if costs.left([*counts[:g], int(less), *counts[g + 1:]]) > most:
                    break
                counts[g] = int(less)
    return counts
