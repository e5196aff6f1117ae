"""How small a trimmed model is to be: a share removed, a number of parameters, a time on this machine, or a board that it plays on."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from ... import complexity
from ...complexity import boards
from ...engine import Model
from ..evaluate.opened import cost
from ..recipe import RecipeError, nearest

LOAD = 0.5                  # of a core's time, at most, that playing may take on a board: the rest is inputs, effects and luck
HALVINGS = 7                # of the search for the share that meets a time
_WORDS = {"removed": "a share from 0.01 to 0.999, as removed:0.9", "params": "a whole number from 1, as params:20000",
          "rtf": "a real-time factor above 0, as rtf:0.5", "board": "the name of a board, as board:pi4"}


@dataclass(frozen=True)
class Target:
    """kind: "removed" (share of parameters), "params", "rtf" (measured here) or "board" (predicted at worst, at most `LOAD` of a core)."""

    kind: str
    value: float | str

    def __str__(self):
        return f"{self.kind}:{self.value if isinstance(self.value, str) else format(self.value, '.10g')}"

    @property
    def times(self):
        """Is it a time, which only a file can tell?"""
        return self.kind in ("rtf", "board")

    def told(self, row):
        """What a row of the family (``family.py``) has of what the target is about."""
        return row["boards"][self.value][-1] if self.kind == "board" else row["removed_parameters" if self.kind == "removed" else self.kind]

    def met(self, row):
        """Does a row of the family meet it?"""
        told = self.told(row)
        if self.kind == "removed":
            return told >= self.value - 1e-9
        return told <= (LOAD if self.kind == "board" else self.value)

    def shown(self, value):
        """A value of what the target is about, in words."""
        return {"removed": f"{value:.1%} removed", "params": f"{value} parameters", "rtf": f"a real-time factor of {value:.4f}",
                "board": f"{value:.1%} of a core of {self.value}, and it may take {LOAD:.0%}"}[self.kind]


def read(text):
    """A `Target` from its words. RecipeError: one line about what is wrong."""
    kind, _, value = str(text).partition(":")
    if kind not in _WORDS:
        raise RecipeError(f"the target is {text!r}: {nearest(kind, _WORDS)} (one of {', '.join(f'{k}:…' for k in _WORDS)})")
    if kind == "board":
        return Target(kind, _board(value))
    try:
        number = float(value)
        fits = {"removed": 0.01 <= number <= 0.999, "params": number >= 1 and number == int(number), "rtf": 0 < number < 1e3}[kind]
    except (ValueError, OverflowError):
        fits = False
    if not fits:
        raise RecipeError(f"the target {kind} is {value!r}; it must be {_WORDS[kind]}")
    return Target(kind, int(number) if kind == "params" else number)


def _board(name):
    """The name of a board that there is a calibration of."""
    known = boards.names()
    if name not in known:
        raise RecipeError(f"the board is {name!r}: {nearest(name, known)}")
    if boards.load(name).middle is None:
        raise RecipeError(f"the engine does not run on {name}, so no time can be told; take another board or another target")
    return name


def times_of(path):
    """The part of a row that only a file tells: {"rtf", "macs", "bytes", "boards": {name: shares of a core at best, in the middle, at worst}}."""
    model = Model.load(path)
    told = cost(model)
    count = complexity.count(model, block_frames=told["cost_block_frames"])
    return {"rtf": told["real_time_factor"], "macs": round(count.macs), "bytes": path.stat().st_size,
            "boards": {board.name: [round(share, 5) for share in complexity.predict(count, board)] for board in _boards()}}


@functools.cache
def _boards():
    """Those of which times can be told."""
    return [board for board in map(boards.load, boards.names()) if board.middle]


def shares(target, full, most, row_at, rounds=None):
    """The shares of parameters that are gone after each round, ascending, the last meets the target.

    full: the row of the whole model; most: the largest share that can be removed; row_at(share): the row of an untrained cut with that
    share removed. rounds: how many; left out, about 30 % of what is left goes in each. RecipeError where the target is met already or
    is out of reach.
    """
    if target.met(full):
        raise RecipeError(f"the target {target} is met already, the model has {target.shown(target.told(full))}: ask for less, as removed:0.9")
    last = {"removed": lambda: target.value, "params": lambda: 1 - target.value / full["params"]}.get(target.kind, lambda: most)()
    smallest = row_at(most)
    if last > most + 1e-9 or not target.met(smallest):
        raise RecipeError(f"the target {target} cannot be reached: the smallest cut has {target.shown(target.told(smallest))}, "
                          f"{smallest['removed_parameters']:.1%} removed; ask for no more than that, or lower trim.least")
    if target.times:
        last = _searched(target, most, row_at)
    count = rounds or max(1, round(_rounds_to(last)))
    return [1 - (1 - last) ** ((k + 1) / count) for k in range(count)]


def _rounds_to(share, a_round=0.7):
    """Rounds of 30 % each until a share is gone."""
    return math.log(1 - share) / math.log(a_round)


def _searched(target, most, row_at):
    """The smallest share, as near as some halvings find it, whose cut meets a time; `most` meets it."""
    low, high = 0.0, most
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if target.met(row_at(middle)) else (middle, high)
    return high


def picked(target, family):
    """The row of the family that suits the target: the first, and so the largest, that meets it. None where none does."""
    return next((row for row in family if target.met(row)), None)
