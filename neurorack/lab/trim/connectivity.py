"""Linear mode connectivity: from which checkpoint on do two trainings, different in their random numbers alone, end in one valley?

After Frankle et al., "Linear Mode Connectivity and the Lottery Ticket Hypothesis" (2020): the error along the straight line between
the weights of the two children; how far its top is above the mean of its ends is the barrier. Rewinding serves from the
first checkpoint on whose children have none. Functions get what trains and judges as callbacks; a state is a dict of tensors.
"""

from dataclasses import dataclass

import numpy as np

from ...trim.labels import TrimError

POINTS = 11
LOW = 0.02                  # of the ends' mean error
SEEDS = (1, 2)


def between(one, other, part):
    """The state `part` (0 to 1) of the way from one to the other; what is no float is the first's. TrimError for states of other shapes."""
    for name in one:
        if name not in other or one[name].shape != other[name].shape:
            raise TrimError(f"no line leads from one state to the other: {name} is not of the same shape in both; take children of one checkpoint")
    return {name: value + part * (other[name] - value) if value.is_floating_point() else value for name, value in one.items()}


@dataclass(frozen=True)
class Line:
    """Errors along the line between two states, evenly spaced, ends included."""

    errors: tuple

    @property
    def ends(self):
        """Mean error of both ends."""
        return (self.errors[0] + self.errors[-1]) / 2

    @property
    def barrier(self):
        """The highest error less `ends`, in the error's unit; 0 or more."""
        return max(self.errors) - self.ends

    @property
    def relative(self):
        """The barrier over `ends`."""
        return self.barrier / max(abs(self.ends), 1e-12)


def line(one, other, error, points=POINTS):
    """`error(state)` at `points` states from one to the other."""
    return Line(tuple(float(error(between(one, other, part))) for part in np.linspace(0, 1, max(3, points))))


def of_children(checkpoint, train, error, points=POINTS, seeds=SEEDS):
    """The line between two children of a checkpoint: `train(checkpoint, seed)` gives the state that a training from there ends with."""
    one, other = (train(checkpoint, seed) for seed in seeds)
    return line(one, other, error, points)


def earliest(checkpoints, train, error, low=LOW, points=POINTS, seeds=SEEDS):
    """(place of the first of `checkpoints` whose children have a relative barrier below `low`, or None; the lines so far).

    Checkpoints are tried first to last and no further than needed: each takes two trainings.
    """
    lines = []
    for place, checkpoint in enumerate(checkpoints):
        lines.append(of_children(checkpoint, train, error, points, seeds))
        if lines[-1].relative < low:
            return place, lines
    return None, lines
