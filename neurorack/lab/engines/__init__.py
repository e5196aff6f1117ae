"""Engines: how rows of descriptors, pitch and latent become sound.

`make` builds one from its settings (a recipe's ``engine`` section, or a card's), `of_model` one with a file's weights.
"""

import numpy as np
import torch

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


def of_model(model):
    """The engine of a model file (``neurorack.engine.Model``) with its weights, ready to play. ModelError where it cannot be built."""
    layout = layout_of(model)
    try:
        engine = make(settings_of(model), layout)
        old = "engine" not in model.card             # files from before engines had settings keep the trunk beside the head
        name_of = lambda name: DECODER + (name.removeprefix("net.") if old else name)
        engine.load_state_dict({name: torch.from_numpy(np.array(model.tensor(name_of(name)))) for name in engine.state_dict()})
    except UNFIT as error:
        raise ModelError(f"{model.path}: its decoder cannot be built ({' '.join(str(error).split())[:120]}); export it again") from None
    return engine.eval()
