"""Criteria of the weights: magnitude, norm scale."""

import numpy as np

from .activations import heard
from .context import Scores, scored, sums

SHIFTS = ("bias", "shift", "beta")      # a unit's own numbers that are added, not multiplied


def magnitude(context):
    """Sum of the absolute weights and biases that make a unit (Li et al., "Pruning Filters for Efficient ConvNets", 2017)."""
    sizes = {name: tensor.detach().abs() for name, tensor in context.tensors.items() if tensor.is_floating_point()}
    return scored(context, lambda group: sums(group, sizes, ("out",)))


def norm_scale(context):
    """Size of the gain that a norm or FiLM gives a unit (Liu et al., "Network Slimming", 2017), mean over all that it passes.

    A norm's gain is the unit's own vector that is multiplied. FiLM's depends on the rows: its mean over batches. FiLM is known by a
    layer that makes two rows of every unit, scale before shift. Where a group has neither, `magnitude` over its mean stands in;
    `notes` says which it was.
    """
    films = {group.name: _film_rows(group) for group in context.groups}
    means = _mean_outputs(context, {tensor for rows in films.values() for tensor in rows})
    sizes, scores = magnitude(context), Scores()
    for group in context.groups:
        gains = _norm_gains(context, group)
        for tensor, rows in films[group.name].items():
            if tensor in means:
                gains.append(_scale(context.tensors, tensor, means[tensor], rows))
        own = sizes[group.name]
        scores[group.name] = np.mean(np.abs(gains), 0) if gains else own / (own.mean() or 1.0)
        scores.notes[group.name] = "gain" if gains else "magnitude"
    return scores


def _norm_gains(context, group):
    """For each vector of the group's own numbers that multiplies: its values by unit."""
    gains = {}
    for k, unit in enumerate(group.units):
        for member in unit.members:
            tensor = context.tensors[member.tensor]
            if member.role == "own" and tensor.is_floating_point() and member.tensor.rpartition(".")[2] not in SHIFTS:
                gains.setdefault(member.tensor, np.zeros(len(group.units)))[k] = float(tensor.detach().select(member.axis, member.index).mean())
    return list(gains.values())


def _film_rows(group):
    """Weight of a FiLM layer → rows [units] of the scales: a layer that makes exactly two rows of every unit."""
    rows = {}
    for k, unit in enumerate(group.units):
        for member in unit.members:
            if member.role == "out" and not member.tensor.endswith("bias"):
                rows.setdefault((member.tensor, member.axis), {}).setdefault(k, []).append(member.index)
    return {tensor: np.array([min(made[k]) for k in range(len(group.units))]) for (tensor, axis), made in rows.items()
            if len(made) == len(group.units) and all(len(places) == 2 for places in made.values())}


def _mean_outputs(context, wanted):
    """Weight of a layer → mean of what it puts out over the context's batches, float64 [channels]."""
    total, count = {}, {}

    def note(call, result):
        name = call.names[0]
        if name in wanted and call.kind != "recurrent":
            value = result.detach().double()
            value = value.mean((0, 2)) if call.kind != "linear" else value.flatten(0, -2).mean(0)
            total[name], count[name] = total.get(name, 0) + value.cpu().numpy(), count.get(name, 0) + 1

    for _ in heard(context, note) if wanted else ():
        pass
    return {name: total[name] / count[name] for name in total}


def _scale(tensors, tensor, means, rows):
    """FiLM's mean scales. A layer that gives the difference from 1 has biases about 0, one that gives the scale itself about 1."""
    bias = tensors.get(tensor.removesuffix("weight") + "bias")
    middle = 0.0 if bias is None else float(bias.detach()[rows.tolist()].median())
    return means[rows] + (abs(middle) < abs(middle - 1))
