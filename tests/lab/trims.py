"""A tiny trained model for the tests of trimming: its file, the folder of its run with early weights, its prepared data."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from neurorack.lab import data, evaluate, export
from neurorack.lab.recipe import read_recipe
from neurorack.lab.train.loop import Trainer
from neurorack.lab.trim import family
from tests.lab import runs


@dataclass
class Made:
    """folder: with recipe.yaml and tiny.safetensors; run: of the training; recipe: complete; cache: the prepared clips."""

    folder: Path
    run: Path
    recipe: dict
    cache: Path


def made(folder, **changed):
    """Trained for 6 steps, exported without being measured."""
    recipe = read_recipe(runs.recipe_file(folder, **changed))
    cache = data.prepare(recipe, folder, folder / "cache", runs.quiet)
    trainer = Trainer(recipe, cache, folder / "run")
    for _ in range(6):
        trainer.train_step()
        trainer.early.keep()
    trainer.save()
    with pytest.MonkeyPatch.context() as patch:
        unmeasured(patch)
        export.export(trainer, cache, folder / "tiny.safetensors", 8, runs.quiet)
    return Made(folder, folder / "run", recipe, cache)


def quick(patch):
    """Files have two block lengths instead of five: that halves what writing and reading them takes."""
    patch.setattr(export, "blocks_of", lambda hop: [hop, 2 * hop])


def unjudged(patch):
    """Members of a family are written and checked, but neither timed nor judged on clips."""
    quick(patch)
    patch.setattr(family, "times_of", lambda path: {"rtf": 0.1, "macs": 1000, "bytes": 1000, "boards": {}})
    patch.setattr(family, "Judge", lambda cache, path: lambda path: {"error": 2.0, "control": 0.5})


def unmeasured(patch):
    """Finished files are not measured by all protocols: that takes longest."""
    quick(patch)
    patch.setattr(evaluate, "evaluate", lambda bench, count: {"curves": count})
    patch.setattr(evaluate, "summary", lambda figures: "not measured")
