"""C-RAVE, F-RAVE and ours are recipes of one code base: a tiny run of each ends in a model that plays, and the comparison is fair."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab import data, export
from neurorack.lab.export import card as cards
from neurorack.lab.frame_encoder import FrameEncoder
from neurorack.lab.recipe import complete, read_recipe
from neurorack.lab.train import Trainer
from tests.lab import runs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def control():
    """benchmarks/control.py as a module."""
    spec = importlib.util.spec_from_file_location("control_benchmark", ROOT / "benchmarks" / "control.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A recipe with a folder of made-up hits, and its prepared clips."""
    folder = tmp_path_factory.mktemp("baselines")
    recipe = yaml.safe_load(runs.recipe_file(folder).read_text())
    return folder, recipe, data.prepare(read_recipe(folder / "recipe.yaml"), folder, folder / "cache", runs.quiet)


@pytest.mark.parametrize("data_set", ["impacts", "strings"])
def test_methods_differ_from_ours_by_their_switches_alone(control, data_set):
    ours = control.recipe_of(data_set, "ours", 3, 2)
    bank = read_recipe(ROOT / "models" / data_set / "recipe.yaml")
    assert ours["engine"] == bank["engine"] and ours["train"]["minutes"] == 3 and "steps" not in ours["train"]
    for method, changes in control.switches().items():
        recipe = control.recipe_of(data_set, method, 3, 2)
        assert recipe["data"] == bank["data"] and recipe["name"] == bank["name"] and recipe["augment"] == bank["augment"]
        for section in recipe:
            if section == "train":
                assert {key for key in recipe["train"] if recipe["train"][key] != ours["train"][key]} <= set(changes.get("train", {}))
            elif section not in changes:
                assert recipe[section] == ours[section], section
    crave, frave = (control.recipe_of(data_set, name, 3, 2) for name in ("c-rave", "f-rave"))
    assert frave.pop("latent") == crave.pop("latent") | {"adversary": frave_weight(control)} and crave == frave


def frave_weight(control):
    return control.switches()["f-rave"]["latent"]["adversary"]


def tiny(control, home, method, **train):
    """A method's recipe on the made-up hits, with small nets."""
    _, recipe, _ = home
    changes = control.switches()[method]
    engine = {**changes["engine"], "width": 4} if "engine" in changes else recipe["engine"]
    return complete({**recipe, **changes, "engine": engine,
                     "train": {**recipe["train"], **changes.get("train", {}), "steps": 2, "frames": 64, "cycle_frames": 64, **train}})


@pytest.mark.parametrize("method", ["c-rave", "f-rave", "c-rave-quantile", "convolution", "recurrent", "source-filter"])
def test_a_tiny_run_ends_in_a_model_that_plays(control, home, tmp_path, method):
    trainer = Trainer(tiny(control, home, method), home[2], tmp_path)
    told = [trainer.train_step() for _ in range(2)]
    assert all(np.isfinite(list(losses.values())).all() for losses in told)
    assert ("latent adversary" in told[0]) == (method == "f-rave") and ("cycle" in told[0]) == ("rave" not in method)
    assert isinstance(trainer.encoder, FrameEncoder) == ("rave" in method)
    model = control.written(trainer, tmp_path / "x.safetensors")
    assert min(export.agreement_db(model, blocks=[256, 1024]).values()) > 90
    again = export.read(model)[1]
    audio = torch.randn(1, 4096)
    with torch.no_grad():
        assert torch.equal(again(audio)[0], trainer.encoder(audio)[0])
    assert cards.inputs(trainer.normaliser, trainer.layout, trainer.layout.rest) == model.card["inputs"]


def test_adversaries_go_on_from_a_checkpoint_to_the_step(control, home, tmp_path):
    recipe = tiny(control, home, "f-rave", waveform_adversary=0.1, waveform_adversary_from=0.0)
    whole = Trainer(recipe, home[2], tmp_path / "whole")
    steps = [whole.train_step() for _ in range(2)]
    stopped = Trainer(recipe, home[2], tmp_path / "stopped")
    stopped.train_step()
    stopped.save()
    resumed = Trainer(recipe, home[2], tmp_path / "stopped")
    resumed.resume(runs.quiet)
    assert resumed.train_step() == pytest.approx(steps[1], rel=1e-6)
    assert {"waveform adversary", "waveform guess", "latent guess"} <= set(steps[1])
    assert runs.same_weights(whole, resumed)
