"""Criteria of the loss's gradient on batches: gradient, Taylor, SNIP, GraSP.

Removing a unit is the same as shutting a gate between it and all that reads it. With a gate of 1 in place, the derivative of the loss
with respect to it is the sum of gradient times weight over the readers' slices (`context.gates`), whatever lies between
the unit's own layers and its readers: so no gate has to be built into the net.
"""

import contextlib

import numpy as np
import torch

from .context import TrimError, gates, scored, sums

STEP = 5e-4                 # of GraSP's finite difference: the way along the gradient over the length of all weights
REPEATED = 1e-4             # relative difference between two losses of the same batch and random numbers


def derivatives(context, batch, seed):
    """Name → derivative of the loss on a batch, for all parameters (zeros where it has none), and the loss's value."""
    with context.steady(seed):
        parameters = context.parameters
        loss = context.loss(*batch)
        found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(parameters.items(), found)}, float(loss.detach())


def _over_batches(context, of_group, slopes_of=lambda *of: derivatives(*of)[0]):
    """Mean of `of_group(group, slopes)` over the context's batches; `slopes_of(context, batch, seed)`: name → tensor."""
    total = {group.name: np.zeros(len(group.units)) for group in context.groups}
    for k in range(context.count):
        slopes = slopes_of(context, context.batches(), k)
        for group in context.groups:
            total[group.name] += of_group(group, slopes) / context.count
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


def snip(context):
    """Sum of |gradient · weight| over what makes a unit, mean over batches (Lee et al., "SNIP", 2019; one batch there)."""
    return _over_batches(context, lambda group, slopes: sums(group, {n: p.abs() for n, p in _products(context, slopes).items()}, ("out",)))


def grasp(context):
    """How much of the gradient's squared length, over two, is lost without a unit, to first order, mean over batches.

    After Wang et al., "Picking Winning Tickets Before Training by Preserving Gradient Flow" (2020): θ·Hg, their -θ·Hg with the other
    sign, because there the highest go. Below 0: without the unit the gradient would be longer.
    """
    return _over_batches(context, lambda group, curved: gates(group, _products(context, curved)), curvature)


@contextlib.contextmanager
def _moved(parameters, way, length):
    """Inside, parameters are `length` · `way` further on; behind, what they were."""
    before = {name: p.detach().clone() for name, p in parameters.items()}
    with torch.no_grad():
        for name, p in parameters.items():
            p.add_(way[name], alpha=length)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(before[name])


def curvature(context, batch, seed):
    """Hessian of the loss times its gradient, name → tensor, by the gradient's central difference along itself.

    No second derivative is taken, because losses and engines that work out their first by hand have none. TrimError for a loss
    that is not the same twice.
    """
    parameters = context.parameters
    slopes, value = derivatives(context, batch, seed)
    long = lambda tensors: float(torch.sqrt(sum(t.detach().double().square().sum() for t in tensors.values())))
    step = STEP * long(parameters) / (long(slopes) or 1.0)
    with context.steady(seed), torch.no_grad():
        again = float(context.loss(*batch))
    if abs(again - value) > REPEATED * abs(value):
        raise TrimError(f"the loss is {value:.6g} and then {again:.6g} on the same batch: draw what is random in it from the context's rng or "
                        "torch's generator, or take another criterion than grasp")
    with _moved(parameters, slopes, step):
        ahead, _ = derivatives(context, batch, seed)
    with _moved(parameters, slopes, -step):
        behind, _ = derivatives(context, batch, seed)
    return {name: (ahead[name] - behind[name]) / (2 * step) for name in parameters}
