"""Weights that a round begins with, other than those it had: of the beginning of the run, or fresh ones.

Rewinding after Frankle et al., "Linear mode connectivity and the lottery ticket hypothesis" (2020). A finished model has another
basis of its latent than its run had, and an early encoder said other things with its latent: the early engine is given the
parent's latent through the best linear map from one to the other, over the training clips.
"""

import copy
import math

import torch

from .. import encoder as encoders
from .. import engines
from ..export.latents import latents_of
from ..recipe import RecipeError
from ..train import early
from . import connectivity
from .engine_units import cut_state

POINTS = 7                  # along the line between two children


def in_basis_of(parent, state, recipe, clips):
    """The engine's state dict of an early state (``train.early``), reading the latent that `parent` gives."""
    engine = engines.make(parent.engine.settings, parent.engine.layout)
    engine.load_state_dict(state["engine"])
    then = encoders.make(parent.encoder.settings)
    then.load_state_dict(state["encoder"])
    new, old = (latents_of(net.eval(), clips, recipe["data"]["seconds"]).double() for net in (parent.encoder, then))
    table = torch.cat((new, torch.ones(len(new), 1, dtype=torch.float64)), 1)
    found = torch.linalg.lstsq(table, old).solution.float()
    engine.change_latents(found[:-1], found[-1])
    return engine.state_dict()


def kept_of(folder):
    """The early states of a run (``train.early``), first to last. RecipeError where there are none. folder: of the run, or None."""
    found = early.read(folder) if folder else []
    if not found:
        what = f"{folder} has none: its run is of before they were kept" if folder else "a model file has none"
        raise RecipeError(f"start rewind needs the weights of the run's beginning, and {what}; give the work folder of a run trained anew "
                          "(neurorack train, .out/NAME), or take --start fine-tune")
    return found


def states_of(parent, folder, recipe, clips):
    """The early states of a run as engines' state dicts for `parent`, first to last: dicts with part, step, engine."""
    return [{"part": state["part"], "step": state["step"], "engine": in_basis_of(parent, state, recipe, clips)} for state in kept_of(folder)]


def part_of(text):
    """What rewind_to says: "auto", or a part of the run from 0 to 1. RecipeError for anything else."""
    if text == "auto":
        return text
    try:
        part = float(text)
    except (TypeError, ValueError):
        part = math.nan
    if not 0 < part < 1:
        raise RecipeError(f"trim.rewind_to is {text!r}; it must be auto or a part of the run between 0 and 1, as 0.1")
    return part


def chosen(states, part, train, error, say):
    """(The early state to rewind to, what is kept of how it was chosen.) part: of `part_of`.

    auto: the first whose two children, of short trainings with other random numbers, have no barrier between them; the last where all
    have one. train(state dict, place, seed) → state dict; error(state dict) → float.
    """
    if part != "auto":
        found = min(states, key=lambda state: abs(state["part"] - part))
        return found, {"part": found["part"], "step": found["step"]}
    place, lines = connectivity.earliest(list(range(len(states))), lambda place, seed: train(states[place]["engine"], place, seed), error,
                                         points=POINTS)
    found = states[-1 if place is None else place]
    say(f"rewinding to step {found['step']}, {found['part']:.0%} of the run; barriers between two runs from "
        + ", ".join(f"{state['part']:.0%}: {one.relative:.1%}" for state, one in zip(states, lines))
        + ("" if place is not None else f"; all above {connectivity.LOW:.0%}, so from the last that was kept"))
    return found, {"part": found["part"], "step": found["step"], "barriers": [round(one.relative, 5) for one in lines]}


def fresh(parent, removed, seed):
    """A state dict of fresh weights without the units of `removed` (a list of lists, round by round), as large as such layers begin.

    RecipeError where the parent has been trimmed itself: its settings make a larger net.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        whole = engines.make(parent.engine.settings, parent.engine.layout).state_dict()
    own = parent.engine.state_dict()
    if any(whole[name].shape != own[name].shape for name in own):
        raise RecipeError(f"{parent.path} has been trimmed itself: fresh weights need the whole model, trim that one")
    state = copy.deepcopy(whole)
    for units in removed:
        state = cut_state(state, units)
    return {name: value * _gain(whole[name], value) for name, value in state.items()}


def _gain(whole, part):
    """How much larger weights of fewer inputs begin: by the root of the ratio of what each output sums over."""
    if whole.dim() < 2 or not whole.dtype.is_floating_point:
        return 1
    return math.sqrt((whole.numel() / len(whole)) / (part.numel() / len(part)))
