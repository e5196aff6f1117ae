"""SynFlow: what each unit carries of a flow through the net's absolute weights, without data.

After Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow" (2020). The flow R is the
sum of what comes out of a net that is linear, whose weights are their sizes and into which ones go; a unit's score is R's
derivative with respect to a gate on the unit. What is taken as the linear form of any engine:

* a layer (convolution, linear, GRU) has the absolute weights and biases in float64, so that products of many layers keep their digits;
* what comes from outside (rows, noise, excitation), which is what no parameter has touched, is ones;
* tanh and softplus pass what they get; a sigmoid, being a gate, is half open; a norm is its gain, without centre and spread; so a GRU is
  h ← (Wx + b + (Uh + c)/2)/2 + h/2 of its candidate;
* R sums the results of all layers that read units and make none: heads before softmax, clamps and oscillators. What follows sees ones.
"""

import numpy as np
import torch
from torch.nn import functional as F

from .context import Scores, TrimError, gates
from .layers import Watch

ROUNDS = 25
LEFT = 0.01                 # share of the units that the last round ranks
FRAMES = 4                  # of rows behind the engine's past
IDENTITIES = {torch.tanh, torch.Tensor.tanh, F.tanh, F.softplus, F.relu, torch.relu, F.leaky_relu, F.elu, F.gelu, F.silu}
HALVES = {torch.sigmoid, torch.Tensor.sigmoid, F.sigmoid}
CENTRES = {torch.mean, torch.Tensor.mean}
SPREADS = {torch.rsqrt, torch.Tensor.rsqrt}
NORMS = {F.layer_norm: 2, F.group_norm: 2}      # place of the gain among the arguments


def _linear(function, args, kwargs, sizes):
    """What is no layer, in its linear form. sizes: id of a parameter → its absolute values."""
    if function in IDENTITIES:
        return args[0]
    if function in HALVES:
        return torch.full_like(args[0], 0.5)
    if function in CENTRES and kwargs.get("keepdim"):
        return torch.zeros_like(function(*args, **kwargs))
    if function in SPREADS:
        return torch.ones_like(args[0])
    args = tuple(sizes.get(id(one), one) for one in args)
    if function in NORMS:
        gain = args[NORMS[function]] if len(args) > NORMS[function] else kwargs.get("weight")
        gain = sizes.get(id(gain), gain)
        shape = (-1,) if function is F.layer_norm else (-1, *[1] * (args[0].dim() - 2))
        return args[0] if gain is None else args[0] * gain.reshape(shape)
    return function(*args, **kwargs)


def _recurrent(x, weights, biased, layers, batch_first):
    """A GRU's linear form: (all states, the last of each layer)."""
    x, per, ends = x if batch_first else x.transpose(0, 1), 4 if biased else 2, []
    for layer in range(layers):
        own = weights[per * layer:per * (layer + 1)]
        n = own[1].shape[1]
        w, u, b, c = (*(one[-n:] for one in own), *[None] * (4 - per))      # the candidate's rows are the last third
        came, h, states = F.linear(x, w, b), x.new_zeros(x.shape[0], n), []
        for k in range(x.shape[1]):
            h = 0.5 * (came[:, k] + 0.5 * F.linear(h, u, c)) + 0.5 * h
            states.append(h)
        x = torch.stack(states, 1)
        ends.append(h)
    return (x if batch_first else x.transpose(0, 1)), torch.stack(ends)


class Flow:
    """The linear form of a context's engine; `through(absent)` gives R's derivative times weight, name → tensor."""

    def __init__(self, context):
        self.context = context
        self.sizes = {name: p.detach().double().abs() for name, p in context.parameters.items()}
        self.made = {member.tensor for group in context.groups for unit in group.units for member in unit.members if member.role == "out"}
        first = next(iter(context.parameters.values()))
        self.dtype = first.dtype
        self.rows = torch.zeros(1, context.engine.history + FRAMES, context.engine.layout.width, device=first.device)

    def through(self, absent):
        """absent: units that are there no more."""
        leaves = {name: size.clone() for name, size in self.sizes.items()}
        for unit in absent:
            for member in unit.members:
                if member.tensor in leaves:
                    leaves[member.tensor].select(member.axis, member.index).zero_()
        for leaf in leaves.values():
            leaf.requires_grad_(True)
        sizes = {id(p): leaves[name] for name, p in self.context.parameters.items()}
        ends = []

        def handle(call):
            x = call.x.double()
            x = x.abs() if call.x.requires_grad else torch.ones_like(x)
            place = lambda one: [place(w) for w in one] if isinstance(one, (list, tuple)) else sizes.get(id(one), one)
            if call.kind == "recurrent":
                return _recurrent(x, place(call.args[2]), *call.args[3:5], call.args[8])
            result = call.function(x, *map(place, call.args[1:]), **{k: place(v) for k, v in call.kwargs.items() if k != "input"})
            if call.x.requires_grad and not any(name in self.made for name in call.names):
                ends.append(result.sum())
                return torch.ones_like(result, dtype=self.dtype)
            return result

        with self.context.steady(), Watch(self.context.parameters, handle, lambda *of: _linear(*of, sizes)):
            self.context.run(self.rows)
        if not ends:
            raise TrimError("no layer was seen that reads units and makes none, so nothing flows out: take another criterion than synflow")
        slopes = torch.autograd.grad(sum(ends), list(leaves.values()), allow_unused=True)
        return {name: torch.zeros_like(leaf) if g is None else g * leaf.detach() for (name, leaf), g in zip(leaves.items(), slopes)}


def synflow(context):
    """A unit's place in the order in which rounds of SynFlow remove them, 0 to 1: 25 rounds, each over what is left, down to one in a hundred.

    Places of all layers are comparable (``select`` with normalise="none"): the flow is the same through every layer, so the widest lose first.
    """
    flow, units = Flow(context), [(g, k) for g, group in enumerate(context.groups) for k in range(len(group.units))]
    present, order = set(units), []
    for turn in range(1, ROUNDS + 1):
        absent = [context.groups[g].units[k] for g, k in order]
        products = flow.through(absent)
        values = [gates(group, products) for group in context.groups]
        ranked = sorted(present, key=lambda unit: (values[unit[0]][unit[1]], unit))
        left = max(len(context.groups), round(len(units) * LEFT ** (turn / ROUNDS)))
        best = {max((unit for unit in ranked if unit[0] == g), key=lambda unit: values[unit[0]][unit[1]]) for g in {unit[0] for unit in ranked}}
        gone = [unit for unit in ranked if unit not in best][:max(0, len(present) - left)]
        order += gone
        present -= set(gone)
    order += [unit for unit in ranked if unit in present]
    scores = Scores({group.name: np.zeros(len(group.units)) for group in context.groups}, {"rounds": ROUNDS})
    for place, (g, k) in enumerate(order, 1):
        scores[context.groups[g].name][k] = place / len(order)
    return scores
