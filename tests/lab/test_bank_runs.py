"""A tiny run of every recipe of the bank, on made-up sounds, ends in a model that plays; everything but sounds and size is the recipe's own."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.engine import Model
from neurorack.lab import data, evaluate, export
from neurorack.lab.recipe import complete, read_recipe
from neurorack.lab.train.loop import Trainer
from neurorack.voice.card import check_card
from tests.lab import runs

RECIPES = sorted((Path(__file__).parents[2] / "models").glob("*/recipe.yaml"))
SIZES = {"train": {"steps": 2, "batch": 2, "cycle_batch": 2, "frames": 48, "cycle_frames": 48}, "engine": {"width": 16}}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder of notes that die away, each with some noise."""
    folder, rng = tmp_path_factory.mktemp("notes"), np.random.default_rng(2)
    for k in range(8):
        t = np.arange(19200) / 48000
        tone = sum(np.sin(2 * np.pi * h * 180 * 2 ** (k / 5) * t) / h for h in range(1, 7)) + 0.05 * k * rng.standard_normal(len(t))
        soundfile.write(folder / f"note{k}.wav", 0.3 * tone * np.exp(-8 * t), 48000)
    return folder


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_a_tiny_run_ends_in_a_model_that_plays(path, sounds, tmp_path, monkeypatch):
    recipe = read_recipe(path)
    names = list(recipe["data"]["gestures"])
    recipe["data"] |= {"sources": [{"kind": "folder", "path": str(sounds), "cut": "whole"}], "held_out": ["note7*"], "seconds": 0.4,
                       "gestures": {name: f"note{k % 7}.wav" for k, name in enumerate(names)}}
    recipe["train"] = {key: value for key, value in recipe["train"].items() if key not in ("minutes", "steps")}
    recipe = complete(recipe | {section: recipe[section] | changed for section, changed in SIZES.items()})
    monkeypatch.setattr(export, "BLOCKS", (128,))
    monkeypatch.setattr(evaluate, "bench_of", lambda model, clips: None)
    monkeypatch.setattr(evaluate, "evaluate", lambda bench, count: {})
    monkeypatch.setattr(evaluate, "summary", lambda figures: "")
    trainer = Trainer(recipe, data.prepare(recipe, tmp_path, tmp_path / "cache", runs.quiet), tmp_path / "work")
    while not trainer.finished():
        assert all(np.isfinite(value) for value in trainer.train_step().values())
    export.export(trainer, trainer.cache, tmp_path / "made.safetensors", 8, runs.quiet)
    model = Model.load(tmp_path / "made.safetensors")
    check_card(model.card, model.path)
    assert {gesture["name"] for gesture in model.card["gestures"]} == set(names)
    assert model.card["patch"]["routes"] == recipe["card"]["patch"]["routes"]
    played = model.program("decode", block_frames=128).stream(np.asarray(model.tensor(model.card["gestures"][0]["tensor"]), np.float32)[:296])
    assert np.isfinite(played).all() and np.abs(played).max() > 0.001
