"""Engines: how rows of descriptors, pitch and latent become sound.

`make` builds one from its settings (a recipe's ``engine`` section, or a card's), `of_model` one with a file's weights.
"""

import numpy as np
import torch
from torch import nn

from ...errors import ModelError
from ..layout import DESCRIPTORS, Layout
from ..recipe import ENGINES, RecipeError

DECODER = "decoder."        # prefix of the engine's tensors in a model file
UNFIT = (AttributeError, KeyError, TypeError, ValueError, RuntimeError, StopIteration)      # what a card or tensors of a broken file bring about


def _class_of(kind):
    if kind == "noise-band":
        from .noise_band import NoiseBandEngine as found
    elif kind == "harmonic":
        from .harmonic import HarmonicEngine as found
    elif kind == "convolution":
        from .convolution import ConvolutionEngine as found
    elif kind == "source-filter":
        from .source_filter import SourceFilterEngine as found
    else:
        raise RecipeError(f"engine.kind is {kind!r}; one of {', '.join(ENGINES)} belongs there")
    return found


def make(settings, layout):
    """An engine with fresh weights. settings: dict with `kind` and the engine's own keys. RecipeError for an unknown kind or key."""
    own = {key: value for key, value in settings.items() if key != "kind"}
    found = _class_of(settings.get("kind", "noise-band"))
    try:
        return found(layout, **own)
    except TypeError as error:
        raise RecipeError(f"engine {found.kind}: {error}; check the recipe's section engine") from None


def layout_of(model):
    """The layout of a model file's rows. ModelError for one whose inputs are not those of the lab."""
    names = [entry.get("name") for entry in model.card.get("inputs", [])]
    layout = Layout("pitch" in names, sum(name not in (*DESCRIPTORS, "harmonicity", "pitch") for name in names))
    if tuple(names) != layout.names:
        raise ModelError(f"{model.path}: its inputs are not {', '.join(layout.names[:6])} …; only models of the lab can be opened here")
    return layout


def settings_of(model):
    """The engine's settings from a model file's card; for files without, from the shapes of its tensors."""
    if "engine" in model.card:
        return model.card["engine"]
    bands = next(iter(model.generators.values()))["bands"]
    width, outputs = model.tensor(DECODER + "entry.weight").shape[0], model.tensor(DECODER + "head.weight").shape[0]
    return {"kind": "noise-band", "width": width, "bands": bands, "sines": outputs - bands, "first_key": model.card["first_key"]}


def fit(engine, state):
    """Give an engine's parameters the shapes of a state dict (name → tensor), smaller ones where units were taken out, and load it.

    ValueError for a tensor that is too large, or where the layers do not fit each other any more.
    """
    smaller = False
    for name, value in engine.state_dict().items():
        shape = tuple(state[name].shape)
        if len(shape) != value.dim() or any(not 0 < n <= most for n, most in zip(shape, value.shape)):
            raise ValueError(f"{name} is {shape}; {tuple(value.shape)} or less belongs there")
        if shape != tuple(value.shape):
            _replace(engine.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], value.new_empty(shape))
            smaller = True
    engine.load_state_dict(state)
    if smaller:
        for module in engine.modules():
            if hasattr(module, "follow"):
                module.follow()
        with torch.no_grad():
            engine.render(next(engine.parameters()).new_zeros(1, 1, engine.layout.width))
    return engine


def _replace(module, name, value):
    """Another tensor in a module; its counts of channels and features follow."""
    if name not in module._parameters:
        setattr(module, name, value)
        return
    setattr(module, name, nn.Parameter(value, requires_grad=module._parameters[name].requires_grad))
    if name != "weight":
        return
    if isinstance(module, nn.Conv1d):
        if module.groups > 1 and value.shape[1] == 1:        # depthwise: its groups go with its channels
            module.groups = value.shape[0] * module.groups // module.out_channels
        module.out_channels, module.in_channels = value.shape[0], value.shape[1] * module.groups
    elif isinstance(module, nn.ConvTranspose1d):
        module.in_channels, module.out_channels = value.shape[0], value.shape[1] * module.groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = value.shape


def of_model(model):
    """The engine of a model file (``neurorack.engine.Model``) with its weights, ready to play. ModelError where it cannot be built."""
    layout = layout_of(model)
    try:
        engine = make(settings_of(model), layout)
        old = "engine" not in model.card             # files from before engines had settings keep the trunk beside the head
        name_of = lambda name: DECODER + (name.removeprefix("net.") if old else name)
        fit(engine, {name: torch.from_numpy(np.array(model.tensor(name_of(name)))) for name in engine.state_dict()})
    except UNFIT as error:
        raise ModelError(f"{model.path}: its decoder cannot be built ({' '.join(str(error).split())[:120]}); export it again") from None
    return engine.eval()
