"""Units of the lab's engines, found in the program that an engine exports; engines and their states without some of them."""

import copy

import numpy as np
import torch

from ...engine.builder import ProgramBuilder, Weights
from ...trim.units import cut_shapes, find, removed_indices
from .. import engines

SEED = 1


def trace(engine):
    """The engine's decode program of one row: (listing, tensors by the names of `state_dict`, names of all others).

    Of a copy with random weights: a program stores equal tensors once, and fresh norms and biases are equal.
    """
    engine = copy.deepcopy(engine).cpu()
    numbers, weights = np.random.default_rng(SEED), Weights()
    with torch.no_grad():
        for value in engine.state_dict().values():
            value.copy_(torch.from_numpy(0.1 + 0.1 * numbers.standard_normal(tuple(value.shape))))
    for name, value in engine.state_dict().items():
        weights.add(value.numpy(), name)
    layers = {array.tobytes(): name for name, array in weights.tensors.items()}
    builder = ProgramBuilder(weights, engine.hop, engine.layout.width, engine.hop)
    engine.decode_method()(builder)
    listing = builder.listing()
    for buffer in listing.buffers:                            # a matrix may stand in the program with an axis more
        if buffer.tensor is not None:
            buffer.tensor = layers.get(weights.tensors[buffer.tensor].tobytes(), buffer.tensor)
    return listing, weights.tensors, set(weights.tensors) - set(layers.values())


def of_engine(engine):
    """The groups of units of an engine, named as in its `state_dict`. What is no parameter (filter banks, tables) stays as it is."""
    listing, tensors, others = trace(engine)
    return find(listing, {name: array.shape for name, array in tensors.items()}, others)


def cut_state(state, removed):
    """A state dict (of the engine, or of an early checkpoint of it) without some units; what they do not touch is passed on."""
    cut_shapes({name: tuple(value.shape) for name, value in state.items()}, removed)
    left = dict(state)
    for (name, axis), indices in removed_indices(removed).items():
        if name in left:
            kept = np.setdiff1d(np.arange(left[name].shape[axis]), indices)
            left[name] = left[name].index_select(axis, torch.from_numpy(kept).to(left[name].device))
    return left


def kept_indices(shapes, removed):
    """(tensor, axis) to the indices that stay, int64 arrays, for every axis that loses some."""
    return {key: np.setdiff1d(np.arange(shapes[key[0]][key[1]]), indices) for key, indices in removed_indices(removed).items() if key[0] in shapes}


def cut_engine(engine, removed):
    """Take units out of an engine, in place: its parameters become smaller ones. Returns `kept_indices`. TrimError for a whole layer.

    An optimiser's moments have the shapes of its parameters: `cut_state` cuts them as well, under the parameters' names.
    """
    state = engine.state_dict()
    kept = kept_indices({name: tuple(value.shape) for name, value in state.items()}, removed)
    engines.fit(engine, cut_state(state, removed))
    return kept
