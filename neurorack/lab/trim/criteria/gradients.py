"""Criteria of the loss's gradient on batches: gradient, Taylor.

Removing a unit is the same as shutting a gate between it and all that reads it. With a gate of 1 in place, the derivative of the loss
with respect to it is the sum of gradient times weight over the readers' slices (`context.gates`), whatever lies between
the unit's own layers and its readers: so no gate has to be built into the net.
"""

import numpy as np
import torch

from .context import scored, gates, sums


def derivatives(context, batch, seed):
    """Name → derivative of the loss on a batch, for all parameters (zeros where it has none), and the loss's value."""
    with context.steady(seed):
        parameters = context.parameters
        loss = context.loss(*batch)
        found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(parameters.items(), found)}, float(loss.detach())


def _over_batches(context, of_batch):
    """Mean of `of_batch(derivatives)`, group name → array, over the context's batches."""
    total = {group.name: np.zeros(len(group.units)) for group in context.groups}
    for k in range(context.count):
        slopes, _ = derivatives(context, context.batches(), k)
        for group in context.groups:
            total[group.name] += of_batch(group, slopes) / context.count
    return scored(context, lambda group: total[group.name])


def _products(context, slopes):
    return {name: slope * context.tensors[name].detach() for name, slope in slopes.items()}


def gradient(context):
    """Sum of the absolute gradients of what makes a unit, mean over batches (Esling et al., 2020)."""
    return _over_batches(context, lambda group, slopes: sums(group, {name: slope.abs() for name, slope in slopes.items()}, ("out",)))


def taylor(context):
    """Square of the loss's first-order change without the unit, mean over batches (Molchanov et al., "Importance Estimation for Neural
    Network Pruning", 2019, their gate form)."""
    return _over_batches(context, lambda group, slopes: gates(group, _products(context, slopes)) ** 2)
