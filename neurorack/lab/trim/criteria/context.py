"""What criteria work on: a net, its units, batches and a loss; and sums over the slices of units."""

import contextlib
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch

from ...train import losses
from ..select import TrimError

BATCHES = 4


class Scores(dict):
    """Group name → float64 array, one number a unit. `notes`: what else the criterion has to tell, numbers by name."""

    def __init__(self, scores=(), notes=None):
        super().__init__(scores)
        self.notes = notes or {}


@dataclass
class Context:
    """engine: a module whose parameters the units name. groups: of `engine_units.of_engine`. batches: gives (rows, target audio) at each
    call. loss(rows, target): a scalar, by default the spectral distance of what the engine plays; what is random in it must come from `rng`
    or torch's generator, so that it can be repeated. count: batches that a criterion with data takes. run(rows): the forward pass alone.
    """

    engine: torch.nn.Module
    groups: list
    batches: object = None
    loss: object = None
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))
    count: int = BATCHES
    run: object = None

    def __post_init__(self):
        self.run = self.run or (lambda rows: self.engine.play(rows, self.rng))
        self.loss = self.loss or (lambda rows, target: losses.spectral_loss(self.run(rows), target))
        self.tensors = self.engine.state_dict(keep_vars=True)
        for group in self.groups:
            for tensor in {member.tensor for unit in group.units for member in unit.members} - set(self.tensors):
                raise TrimError(f"{group.name} names {tensor}, which this engine has not: find the units of this engine")

    @property
    def parameters(self):
        """Name → parameter of all tensors that are trained."""
        return {name: tensor for name, tensor in self.tensors.items() if isinstance(tensor, torch.nn.Parameter)}

    @contextlib.contextmanager
    def steady(self, seed=0):
        """Inside, parameters have gradients and random numbers are those of `seed`; behind, all is as it was."""
        parameters, state = self.parameters.values(), self.rng.bit_generator.state
        wanted = [p.requires_grad for p in parameters]
        devices = sorted({p.device.index for p in parameters if p.device.type == "cuda"})
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            for p in parameters:
                p.requires_grad_(True)
            try:
                yield
            finally:
                for p, want in zip(parameters, wanted):
                    p.requires_grad_(want)
                self.rng.bit_generator.state = state


def sums(group, values, roles):
    """For each unit of the group the sum of `values` (name → tensor) over its slices of the given roles, float64 [units]."""
    places, total = defaultdict(list), np.zeros(len(group.units))
    for k, unit in enumerate(group.units):
        for member in unit.members:
            if member.role in roles and values.get(member.tensor) is not None:
                places[member.tensor, member.axis].append((k, member.index))
    for (tensor, axis), pairs in places.items():
        value = values[tensor].detach().double()
        along = value.sum([d for d in range(value.dim()) if d != axis]) if value.dim() > 1 else value
        who, where = np.transpose(pairs)
        np.add.at(total, who, along.cpu().numpy()[where])
    return total


def gates(group, products):
    """For each unit the sum of `products` (name → weight times its derivative) over what reads it: the derivative with respect to
    a gate that the unit passes before all its readers. A unit that no tensor reads is gated where it is made.
    """
    read = np.array([any(member.role == "in" for member in unit.members) for unit in group.units])
    return np.where(read, sums(group, products, ("in",)), sums(group, products, ("out",)))


def scored(context, values):
    """Scores from a function of a group."""
    return Scores({group.name: values(group) for group in context.groups})
