"""How the units of an engine are judged in a round: fixed batches of the training side, the training's own loss, a criterion."""

import copy

import numpy as np
import torch

from ..train import losses
from .criteria import Context, normalisation, score
from .engine_units import of_engine
from .select import select
from .tuning import RoundTrainer, recipe_of_round

BATCHES = 8                 # that units are judged by
OTHER_NUMBERS = 500         # rounds away: batches that no round trains on in the same order


def drawn_batches(trainer, count):
    """Batches as the trainer's next steps would hear them: a list of (rows with latents, target audio)."""
    drawn = []
    for _ in range(count):
        batch, target, rows = trainer.draw()
        drawn.append((trainer.with_latent(rows, trainer.drawn(batch)[0], batch.starts), target))
    return drawn


def error_of(trainer, drawn, seed=5):
    """Mean spectral distance of a trainer's engine on batches, always with the same noise."""
    rng = np.random.default_rng(seed)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        return float(np.mean([float(losses.spectral_loss(trainer.engine.play(rows, rng), target)) for rows, target in drawn]))


class Scorer:
    """Scores of an engine's units in round `number`, and the units that go by them. trim: the recipe's section.

    Everything is drawn from the recipe's seed and the round's number, so that it can be done again.
    """

    def __init__(self, recipe, cache, folder, device, parent, engine, number, batches=BATCHES):
        self.recipe, self.trim = recipe, recipe["trim"]
        self.trainer = RoundTrainer(recipe_of_round(recipe, OTHER_NUMBERS + number, self.trim["start"], ("steps", 1)), cache, folder, device,
                                    parent, copy.deepcopy(engine))
        self.engine = self.trainer.engine
        self.groups = of_engine(self.engine)
        self.scores = score(self.trim["criterion"], self._context(batches))

    def _context(self, batches):
        trainer, drawn, at = self.trainer, drawn_batches(self.trainer, batches), iter(range(10 ** 9))
        context = Context(self.engine, self.groups, lambda: drawn[next(at) % batches], rng=np.random.default_rng([self.recipe["seed"], 77]),
                          count=batches)
        weight, history, conditions = trainer.settings["cycle_weight"], self.engine.history, len(trainer.layout.conditions)

        def loss(rows, target):
            audio = context.run(rows)
            asked = rows[:, history:, :conditions]
            return losses.spectral_loss(audio, target) + weight * losses.cycle_loss(audio, asked, trainer.normaliser, self.engine.hop,
                                                                                    self.engine.loudness_weight)

        context.loss = loss
        return context

    def selected(self, share, full):
        """The units to go until `share` of the `full` parameters is gone."""
        sizes = {name: tuple(p.shape) for name, p in self.engine.named_parameters()}
        return select(self.scores, self.groups, sizes, share, self.trim["scope"], normalisation(self.trim["criterion"]), original=full,
                      least=self.trim["least"], multiple=self.trim["multiple"])
