"""Criteria: how much each unit of a net matters, by ten measures under one name each.

    context = Context(engine, groups, batches, rng=numpy.random.default_rng(1))
    scores = score("taylor", context)           # group name → float64 array, one number a unit; the larger the more it matters

A unit (``neurorack.trim.units``) is one channel with all slices of tensors that go with it: what makes it ("out"), what reads it ("in")
and its own numbers ("own"). Nothing else is known of the engine: names are those of its `state_dict`. Every criterion leaves weights,
gradients and random numbers as they were ("random" draws from `rng`), and gives the same scores again for the same `rng` and batches.
"""

import importlib

from ..select import one_of
from .context import Context, Scores

__all__ = ("NAMES", "Context", "Scores", "normalisation", "score")

_HOMES = {"magnitude": "weights", "norm-scale": "weights", "gradient": "gradients", "taylor": "gradients", "snip": "gradients",
          "grasp": "gradients", "activation": "activations", "synflow": "synflow", "mutual-information": "information",
          "random": "random_units"}
NAMES = tuple(_HOMES)


def score(name, context):
    """Scores of all groups by the criterion `name`; TrimError for an unknown one."""
    home = _HOMES[one_of(name, NAMES, "the criterion")]
    module = importlib.import_module(f".{home}", __name__)
    return getattr(module, name.replace("-", "_"))(context)


def normalisation(name):
    """How ``select`` should bring the criterion's layers to one scale: SynFlow's are comparable as they are, by its conservation law."""
    return "none" if name in ("synflow", "random") else "max"
