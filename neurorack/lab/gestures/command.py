"""``neurorack gestures MODEL``: takes the gestures, the generator and the map of a model of the lab anew, without training it again."""

import json
from pathlib import Path

import numpy as np
import torch

from ...engine import Model, store
from .. import data
from ..export import found_gestures, read
from ..recipe import read_recipe, recipe_beside
from .extras import extras
from .harvest import card_entries

GESTURE = "gesture."


def arguments(parser):
    """Declare the options of the command on an argparse parser."""
    parser.add_argument("model", type=Path, help="model file of the lab; it is written anew")
    parser.add_argument("--recipe", type=Path, help="its recipe (default: MODEL.recipe.yaml, else recipe.yaml, beside it)")
    parser.add_argument("--cache", type=Path, default=Path(".data"), help="folder of prepared data (default .data)")
    parser.add_argument("--keep", action="store_true", help="keep the gestures that it has; only generator, map and names of the axes are made")
    parser.add_argument("--seed", type=int, default=1, help="of the generator's training (default 1)")


def renewed(model, recipe, cache, keep=False, seed=1):
    """The card and the tensors of a model file with gestures, generator and map taken anew from its recipe's prepared clips."""
    engine, encoder, normaliser = read(model)
    clips, card = data.Clips(cache, "train"), json.loads(json.dumps(model.card))
    rest = torch.tensor([entry["rest"] for entry in card["inputs"]])
    if keep:
        tensors = {entry["tensor"]: np.array(model.tensor(entry["tensor"])) for entry in card["gestures"]}
    else:
        card["gestures"], tensors = card_entries(found_gestures(recipe, cache, clips, encoder, normaliser, engine.layout, rest, engine.hop))
    known = list(tensors.values())
    tensors = {name: table.astype(np.float16) for name, table in tensors.items()}
    return card, tensors | extras(card, engine, encoder, normaliser, clips, rest, known, seed)


def rewrite(path, card, tensors):
    """Write a model file anew with another card, these tensors, and all others but its former gestures; whole or not at all."""
    file = store.Store(path)
    told = json.loads(file.metadata["neurorack"]) | {"card": card}
    kept = {name: file.stored(name) for name in file.shapes if not name.startswith((GESTURE, "generator."))}
    store.write(path, kept | tensors, file.metadata | {"neurorack": json.dumps(told)})


def run(options):
    """Carry out the command; returns the exit code."""
    torch.set_num_threads(1)
    model, path = Model.load(options.model), recipe_beside(options.model, options.recipe)
    recipe = read_recipe(path)
    cache = data.prepare(recipe, path.parent, options.cache, print)
    card, tensors = renewed(model, recipe, cache, options.keep, options.seed)
    rewrite(options.model, card, tensors)
    measured = card.get("generator", {}).get("measured")
    print(f"{options.model}: {len(card['gestures'])} gestures, {len(card.get('map', {}).get('points', []))} clips on its map; "
          + (f"made gestures lie {measured['distance']:.2f} from real ones (halves of these: {measured['distance_floor']:.2f})" if measured
             else "too few clips for a generator"))
    return 0
