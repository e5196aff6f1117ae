"""The criterion of what a unit puts out: activation. Units are heard where they are read, behind the nonlinearity and norm."""

import numpy as np
import torch

from .context import Scores, TrimError
from .layers import Watch


def heard(context, note):
    """One forward pass for each of the context's batches, with `note(call, result)` for every layer; gives (rows, target) after each."""
    def handle(call):
        result = call.run()
        note(call, result)
        return result

    for k in range(context.count):
        rows, target = context.batches()
        with context.steady(k), torch.no_grad(), Watch(context.tensors, handle):
            context.run(rows)
        yield rows, target


def readers(group):
    """(tensor, axis) → (units [n], places on the axis [n]) of what reads the units of a group."""
    places = {}
    for k, unit in enumerate(group.units):
        for member in unit.members:
            if member.role == "in":
                places.setdefault((member.tensor, member.axis), []).append((k, member.index))
    return {where: np.transpose(pairs) for where, pairs in places.items()}


def unheard(group):
    """The error for a group whose readers never ran."""
    return TrimError(f"no layer that reads {group.name} was seen to run (convolutions, linear and GRU layers are): take a criterion of "
                     "weights or gradients")


def activation(context):
    """Mean absolute output of a unit, over its readers, batches and frames (Hu et al., "Network Trimming", 2016; Esling et al., 2020)."""
    total, count = {}, {}

    def note(call, result):
        for where, x in call.reads(result).items():
            total[where] = total.get(where, 0) + x.abs().double().sum((0, 2)).cpu().numpy()
            count[where] = count.get(where, 0) + x.shape[0] * x.shape[2]

    for _ in heard(context, note):
        pass
    scores = Scores()
    for group in context.groups:
        found = {where: places for where, places in readers(group).items() if where in total}
        if not found:
            raise unheard(group)
        values, seen = np.zeros(len(group.units)), np.zeros(len(group.units))
        for where, (who, at) in found.items():
            np.add.at(values, who, total[where][at] / count[where])
            np.add.at(seen, who, 1)
        scores[group.name] = values / np.maximum(seen, 1)
    return scores
