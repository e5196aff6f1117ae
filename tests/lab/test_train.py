"""A tiny run from a folder of sounds to a file that plays, by the same commands as a real one."""

import numpy as np
import pytest
import soundfile
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.engine import Model
from neurorack.lab import data, evaluate, export, train
from neurorack.lab.descriptors import crop_curves, curves
from tests.lab.test_descriptors import noise_hit


TINY = {"steps": 6, "batch": 2, "cycle_batch": 2, "frames": 48, "cycle_frames": 48, "width": 16, "checkpoint_every": 3}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe with eight made-up hits of a fictitious licence."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "sounds").mkdir()
    for k in range(8):
        hit = noise_hit(k, 14400, 0.03 + 0.01 * k, -1 + 0.25 * k)
        soundfile.write(folder / "sounds" / f"hit{k}.wav", hit, 48000)
    source = {"name": "made", "kind": "files", "package": "none", "path": str(folder / "sounds"), "files": ["*.wav"],
              "licence": "CC0", "licences": ["CC0"]}
    text = {"name": "tiny", "card": {"author": "Tests", "licence": "CC0", "version": "1", "description": "", "data": ""},
            "train": TINY, "data": {"seconds": 0.3, "gesture_seconds": 0.3, "sources": [source],
                                    "held_out": ["made/hit[67]"], "gestures": {"low": "made/hit0", "high": "made/hit5"}}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(text))
    return folder / "recipe.yaml"


def run(recipe, *more):
    folder = recipe.parent
    return train.main([str(recipe), "--work", str(folder / "work"), "--cache", str(folder / "cache"), "--curves", "8", *more])


@pytest.fixture(scope="module")
def trained(recipe):
    """The recipe, after one run."""
    assert run(recipe) == 0
    return recipe


def test_a_tiny_recipe_ends_in_a_model_that_plays(trained):
    model = Model.load(trained.parent / "tiny.safetensors")
    assert [g["name"] for g in model.card["gestures"]] == ["low", "high"]
    gesture = np.array(model.tensor(model.card["gestures"][0]["tensor"]))
    audio = model.program("decode", block_frames=64).stream(gesture)
    assert np.isfinite(audio).all() and 0.001 < np.abs(audio[:4800]).max() < 4
    assert min(export.agreement_db(model).values()) > 90
    assert model.card["measured"]["control"]["all_five"]["loudness"] > 0.85      # by construction, trained or not
    assert "CC0: 8 recordings" in (trained.parent / "LICENCES.md").read_text()


def test_a_finished_run_is_not_trained_again(trained, capsys):
    assert run(trained, "--out", str(trained.parent / "again.safetensors")) == 0
    said = capsys.readouterr().out
    assert "resumed at step 6" in said and "step 3:" not in said
    once, again = (Model.load(trained.parent / f"{n}.safetensors") for n in ("tiny", "again"))
    assert once.card["measured"] == again.card["measured"]


def test_resuming_continues_the_very_same_run(recipe, tmp_path):
    settings = train.read_recipe(recipe)
    cache = data.prepare(settings, recipe.parent, recipe.parent / "cache", lambda line: None)
    whole = train.Trainer(settings, cache, tmp_path / "whole")
    whole.run(lambda line: None)
    first = train.Trainer(settings, cache, tmp_path / "parts")
    for _ in range(3):
        first.train_step()
    first.save()
    second = train.Trainer(settings, cache, tmp_path / "parts")
    second.resume(lambda line: None)
    second.run(lambda line: None)
    for a, b in zip(whole.decoder.parameters(), second.decoder.parameters()):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_evaluate_prints_what_the_card_says(trained, capsys, tmp_path):
    out = tmp_path / "figures.json"
    code = evaluate.main([str(trained.parent / "tiny.safetensors"), "--cache", str(trained.parent / "cache"), "--curves", "8",
                          "--json", str(out)])
    figures = yaml.safe_load(out.read_text())
    card = Model.load(trained.parent / "tiny.safetensors").card["measured"]
    assert code == 0 and figures == {key: card[key] for key in figures}
    assert "| all five at once |" in capsys.readouterr().out


@pytest.mark.parametrize("change, word", [({"train": {"stpes": 3}}, "stpes"), ({"data": None, "name": None}, "name"),
                                          ({"train": {"frames": 32, "cycle_frames": 64}}, "cycle_frames"),
                                          ({"train": TINY | {"steps": 7}}, "other settings")])
def test_a_wrong_recipe_ends_in_one_line(trained, capsys, change, word):
    text = yaml.safe_load(trained.read_text()) | change
    wrong = trained.parent / "wrong.yaml"
    wrong.write_text(yaml.safe_dump({key: value for key, value in text.items() if value is not None}))
    assert run(wrong) == 2
    said = capsys.readouterr().err
    assert word in said and said.count("\n") == 1


def test_crops_are_measured_as_whole_clips_are(recipe):
    settings = train.read_recipe(recipe)
    clips = data.Clips(data.prepare(settings, recipe.parent, recipe.parent / "cache", lambda line: None), "train")
    quantiles = train.fit_quantiles(clips, np.random.default_rng(0))
    audio = torch.from_numpy(np.stack([clips.padded(k, 64 * 300) for k in range(4)]))
    whole, starts = curves(audio, quantiles), np.array([0, 10, 40, 50])
    crops = crop_curves(audio, quantiles, starts, 64, 32)
    for row, crop, start in zip(whole, crops, starts):
        inside = range(max(0, 32 - start), 96, 2)
        torch.testing.assert_close(crop[inside], row[[start - 32 + i for i in inside]], rtol=0, atol=1e-4)
        assert (crop[:max(0, 32 - start), 0] == -1.5).all() and (crop[:max(0, 32 - start), 1:] == 0).all()
