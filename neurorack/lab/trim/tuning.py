"""The training of one round: a cut engine on its parent's data, with its parent's encoder, normaliser and latent."""

import math

import numpy as np
import torch

from ...engine import Model, store
from .. import export
from ..train.loop import Trainer

WARM_STEPS, WARM_PART = 30, 0.02
LAST_SHARE = 0.02
FINE_SHARE = 1 / 3          # of the training's learning rate, for weights that are good already
LEAST_DEVIATION = 0.1       # of a latent axis, over the first one's, whose spread is reckoned


class Parent:
    """The model that is trimmed: path, card, engine, encoder, normaliser, and the tensors of its gestures and their generator.

    ModelError for a file without an encoder of the lab.
    """

    def __init__(self, path):
        model = Model.load(path)
        self.path, self.card = path, model.card
        self.engine, self.encoder, self.normaliser = export.read(model)
        file = store.Store(path)
        self.tensors = {name: np.array(file.array(name)) for name in file.shapes if name.startswith(("gesture.", "generator."))}

    @property
    def rest_latent(self):
        """The latent at rest, float32 [latents]."""
        first = len(self.engine.layout.conditions)
        return torch.tensor([entry["rest"] for entry in self.card["inputs"][first:]])

    def spread(self, usual):
        """How far latents are spread in training, [latents]: `usual` for the first axis, more for those that say less, at most 1."""
        shares = torch.tensor(self.card.get("latent_shares") or [1.0])
        deviations = (shares / shares.max()).sqrt().clamp(min=LEAST_DEVIATION)
        return (usual / deviations).clamp(max=1.0)


class RoundTrainer(Trainer):
    """Trains a cut engine. watch(trainer, losses) is called after every step; whoever sets `settled` ends the training.

    The learning rate warms up for 30 steps and comes down by a cosine to 2 %.
    """

    def __init__(self, recipe, cache, folder, device, parent, engine, watch=None):
        super().__init__(recipe, cache, folder, device, engine=engine, held_encoder=parent.encoder, normaliser=parent.normaliser)
        self.rest_latent = parent.rest_latent.to(self.device)
        self.spread = parent.spread(self.spread).to(self.device)
        self.watch, self.settled = watch, False

    def rate(self, part):
        warm = min(1.0, max((self.step + 1) / WARM_STEPS, part / WARM_PART))
        return self.settings["rate"] * warm * (LAST_SHARE + (1 - LAST_SHARE) * (0.5 + 0.5 * math.cos(math.pi * part)))

    def finished(self):
        return self.settled or super().finished()

    def _tell(self, told, held_out, result):
        told.note(result)
        if self.watch:
            self.watch(self, result)


def recipe_of_round(recipe, number, start, budget):
    """The recipe of a round's training: its own random numbers, its own budget ("steps" or "minutes", how many), its rate."""
    trim, train = recipe["trim"], {key: value for key, value in recipe["train"].items() if key not in ("steps", "minutes")}
    rate = trim.get("rate") or train["rate"] * (FINE_SHARE if start == "fine-tune" else 1.0)
    return recipe | {"seed": recipe["seed"] + 1000 * number, "latent": recipe["latent"] | {"adversary": 0.0},
                     "train": train | {"rate": rate} | dict([budget])}
