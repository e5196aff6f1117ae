"""The control of all criteria: chance."""

from .context import scored


def random(context):
    """Numbers from 0 to 1 of the context's `rng`; the next call gives others."""
    return scored(context, lambda group: context.rng.random(len(group.units)))
