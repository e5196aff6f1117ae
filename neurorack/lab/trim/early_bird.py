"""Early-bird detection: what would be removed settles long before a training ends; from then on more of it changes nothing.

After You et al., "Drawing Early-Bird Tickets" (2020): keeps, one an epoch, lie in a queue of five; the ticket is drawn when the newest is
nearly the same as all others. They call 0.1 of all units near, keeping half. Two keeps of 5 % by chance differ in less than that; so
distances are taken over what chance gives, where their 0.1 is 0.2.
"""

from collections import deque

import numpy as np

LENGTH, NEAR = 5, 0.2


def keep(groups, removed):
    """Which units stay, bool [all units of the groups in their order]."""
    gone = set(removed)
    return np.array([unit not in gone for group in groups for unit in group.units])


def distance(one, other):
    """Share of units that two keeps disagree on (the normalised Hamming distance), 0 to 1."""
    one, other = np.asarray(one, bool), np.asarray(other, bool)
    return float(np.mean(one != other)) if len(one) else 0.0


def chance(one, other):
    """The distance of two keeps of these sizes by chance."""
    a, b = np.mean(one), np.mean(other)
    return float(a * (1 - b) + b * (1 - a))


class EarlyBird:
    """Takes one keep after another and says when they have settled. length: of the queue; near: distance over that of chance."""

    def __init__(self, length=LENGTH, near=NEAR):
        self.near, self.keeps = near, deque(maxlen=length)

    @property
    def farthest(self):
        """The largest distance of the newest keep to the others in the queue, over that of chance; infinity while it is not full."""
        if len(self.keeps) < self.keeps.maxlen:
            return float("inf")
        newest, pairs = self.keeps[-1], list(self.keeps)[:-1]
        return max((distance(newest, one) / max(chance(newest, one), 1e-12) for one in pairs), default=0.0)

    def add(self, kept):
        """Note a keep (bool, one a unit); True where it is near all others of a full queue."""
        self.keeps.append(np.asarray(kept, bool))
        return self.farthest < self.near
