"""`neurorack trim` as a user gives it: from a model to a lighter one in the library, and one line for all that can be wrong."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack import cli, library
from neurorack.engine import Model, store
from neurorack.lab import export, recipe as recipes
from neurorack.lab.train import checkpoint
from neurorack.lab.trim import command, family, kept, tuning
from neurorack.library import entries
from tests.lab import trims


@pytest.fixture(scope="module")
def home(tiny_model, tmp_path_factory):
    """A trained model, and a library of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield tiny_model


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch):
    trims.unmeasured(monkeypatch)


def run(home, *more, source="tiny.safetensors"):
    """The command, in this process; returns its exit code."""
    return cli.main(["trim", str(home.folder / source), "--work", str(home.folder / "work"), "--cache", str(home.folder / "cache"), "--curves", "8",
                     "--threads", "1", "--steps", "4", "--rounds", "2", "--multiple", "1", *more])


def test_a_model_gets_a_lighter_one_that_takes_its_place(home, capsys, monkeypatch):
    monkeypatch.setattr(family, "CURVES", 16)
    assert run(home, "--target", "params:4000") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "play it: neurorack play --model tiny-light" and entries.entries()["tiny-light"].where == entries.OWN
    full, light = (Model.load(home.folder / f"{name}.safetensors") for name in ("tiny", "tiny-light"))
    told, trim = json.loads((home.folder / "work" / "tiny-light" / "family.json").read_text()), light.card["trim"]
    picked = told["rows"][told["picked"]]
    assert picked["params"] <= 4000 < told["rows"][1]["params"] and trim["rounds"] == 2 == told["picked"]
    assert trim["parent_sha256"] == entries.Entry("tiny", "", home.folder / "tiny.safetensors").sha256() and trim["parent"] == "tiny"
    assert trim["error_multiplier"] == picked["multiplier"] > 0 and 0 < trim["removed_parameters"] < 1 and 0 < trim["removed_units"] < 1
    assert picked["bytes"] < told["rows"][0]["bytes"] and 0 < picked["removed_macs"] < 1 and len(picked["boards"]["pi4"]) == 3
    assert any(line.split()[:2] == ["2", f"{picked['removed_parameters']:.1%}"] for line in said)
    for key in ("inputs", "controls", "gestures", "patch", "encoder", "generator"):
        assert light.card.get(key) == full.card.get(key), key
    assert light.card["measured"]["curves"] == 8 and light.card["engine"] == full.card["engine"]
    for name in ("gesture.0", "encoder.out.weight"):
        pair = [np.array(store.Store(model.path).array(name)) for model in (full, light) if name in store.Store(model.path).shapes]
        assert len(pair) != 1 and all(np.array_equal(a, pair[0]) for a in pair)
    engine = export.read(light)[0]
    assert sum(p.numel() for p in engine.parameters()) == picked["params"]
    assert min(export.agreement_db(light, blocks=[64]).values()) > 90


def test_a_finished_trim_is_not_trained_again_and_another_needs_to_be_fresh(home, capsys):
    assert run(home, "--target", "params:4000", "--no-add") == 0
    said = capsys.readouterr().out
    assert "goes on after round 2" in said and "measuring tiny" not in said
    assert run(home, "--target", "params:3000") == 2
    assert "target params:4000 and not params:3000: --fresh" in capsys.readouterr().err


@pytest.mark.soak
def test_ctrl_c_saves_and_the_same_command_goes_on(home, capsys, monkeypatch):
    """In the middle of the second round's training, of a run's folder instead of a model."""
    trims.unjudged(monkeypatch)
    genuine = tuning.RoundTrainer.train_step

    def stopping(trainer):
        told = genuine(trainer)
        if trainer.folder.name == "round-02" and trainer.step == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return told

    monkeypatch.setattr(tuning.RoundTrainer, "train_step", stopping)
    again = ("--target", "removed:0.5", "--name", "stopped", "--no-add", "--criterion", "magnitude", "--weights", "bf16")
    assert run(home, *again, source="run") == 130
    said = capsys.readouterr().out
    assert "stopped, and saved; to go on: neurorack" in said and "  1 " in said and "  2 " not in said
    monkeypatch.setattr(tuning.RoundTrainer, "train_step", genuine)
    assert run(home, *again, source="run") == 0
    said = capsys.readouterr().out
    assert "goes on after round 1" in said
    made = home.folder / "work" / "stopped" / "stopped.safetensors"
    assert Model.load(made).card["trim"]["criterion"] == "magnitude"
    assert "weights as bf16: error 1.000" in said and Model.load(made).card["weights"] == {"kind": "bf16", "error_multiplier": 1.0}
    assert "BF16" in store.Store(made).dtypes.values()
    assert recipes.read_recipe(made.with_suffix(".recipe.yaml"))["trim"]["criterion"] == "magnitude"


@pytest.mark.parametrize("more, words", [
    (("--target", "board:pi44"), "did you mean 'pi4'"), (("--target", "params:7281"), "is met already"),
    (("--target", "params:3"), "the smallest cut has"),
    (("--criterion", "tailor"), "did you mean 'taylor'"), (("--rounds", "0"), "trim.rounds is 0"), (("--rate", "9"), "trim.rate is 9"),
    (("--rewind-to", "2"), "between 0 and 1"), (("--start", "rewind"), "a model file has none"), (("--recipe", "nowhere.yaml"), "there is no recipe"),
    (("--curves", "0"), "--curves is 0"), (("--name", "tiny"), "is the model itself"), (("--name", "a/b"), "cannot be called"),
    (("--threads", "0"), "--threads is 0"), (("--out", "."), "is a folder"), (("--out", "light.ts"), "ends in .safetensors"),
    (("--name", "taken"), "is another model, and no trimmed one"),
])
def test_what_is_wrong_is_said_in_one_line(home, capsys, more, words):
    if "taken" in more:
        (home.folder / "taken.safetensors").write_bytes((home.folder / "tiny.safetensors").read_bytes())
    assert run(home, "--fresh", "--no-add", *(() if "--name" in more else ("--name", "wrong")), *more) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_sources_that_are_none(home, capsys, tmp_path):
    for source, words in (("recipe.yaml", "is a recipe: give the model"), ("sounds", "is no run"), ("gone", "no model"),
                          ("run/early.pt", "is no run")):
        assert run(home, source=source) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1
    other = home.folder / "other.yaml"
    other.write_text(yaml.safe_dump(home.recipe | {"latent": {"size": 3}}))
    assert run(home, "--recipe", str(other), "--name", "other") == 2
    assert "is no model of the recipe" in capsys.readouterr().err
    cut = checkpoint.read(home.run)
    cut["engine"] = {name: value[:-1] for name, value in cut["engine"].items()}
    checkpoint.write(tmp_path, cut)
    assert cli.main(["trim", str(tmp_path), "--cache", str(home.folder / "cache"), "--work", str(tmp_path), "--threads", "1", "--no-add"]) == 2
    assert "as a round of a trim does" in capsys.readouterr().err
    foreign, card = tmp_path / "foreign.safetensors", Model.load(home.folder / "tiny.safetensors").card
    foreign.write_bytes((home.folder / "tiny.safetensors").read_bytes())
    family.note(foreign, card | {"inputs": card["inputs"][1:]})
    assert cli.main(["trim", str(foreign)]) == 2
    assert "neurorack models lighter" in capsys.readouterr().err


def test_a_recipe_of_one_model_alone_is_written_for_the_new_one_too(home):
    """recipe.yaml serves all models beside it, MODEL.recipe.yaml its own."""
    given = lambda recipe: argparse.Namespace(source=str(home.folder / "tiny.safetensors"), recipe=recipe)
    own = home.folder / "given.yaml"
    own.write_bytes((home.folder / "recipe.yaml").read_bytes())
    for recipe, out, serves in ((None, home.folder, True), (None, home.folder / "work", False), (own, home.folder, False)):
        assert command.Source(given(recipe)).serves(out / "light.safetensors") == serves


def test_the_factory_bank_lists_more_than_one_model_of_a_folder(tmp_path, monkeypatch):
    (tmp_path / "strings").mkdir()
    for name in ("strings", "strings-light"):
        (tmp_path / "strings" / f"{name}.safetensors").write_bytes(b"")
    monkeypatch.setattr(library, "FACTORY", tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    assert sorted(entries.entries()) == ["strings", "strings-light"] and entries.hidden() == []


@pytest.mark.soak
def test_a_killed_trim_goes_on_and_ends_as_if_nothing_had_been(home, tmp_path):
    """SIGKILL at a time of its own, three times; the family is the same as without."""
    code = ("import sys\nfrom neurorack.lab import evaluate\nfrom neurorack.cli import main\n"
            "evaluate.evaluate, evaluate.summary = (lambda *_: {}), (lambda *_: '')\nsys.exit(main(sys.argv[1:]))")

    def words(name):
        return [sys.executable, "-c", code, "trim", str(home.folder / "tiny.safetensors"), "--work", str(tmp_path),
                "--cache", str(home.folder / "cache"), "--curves", "8", "--threads", "1", "--steps", "40", "--rounds", "2", "--multiple", "1",
                "--target", "removed:0.6", "--name", name, "--no-add", "--out", str(tmp_path / f"{name}.safetensors")]

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_DATA_HOME": str(tmp_path)}
    assert subprocess.run(words("whole"), env=environment, stdout=subprocess.DEVNULL).returncode == 0
    for place in ("run.json", "round-01/checkpoint.pt", "round-02/checkpoint.pt"):
        child = subprocess.Popen(words("killed"), env=environment, stdout=subprocess.DEVNULL)
        path, until = tmp_path / "killed" / place, time.monotonic() + 120
        while not path.exists() and time.monotonic() < until and child.poll() is None:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert subprocess.run(words("killed"), env=environment, stdout=subprocess.DEVNULL).returncode == 0
    one, other = (export.read(Model.load(tmp_path / f"{name}.safetensors"))[0].state_dict() for name in ("whole", "killed"))
    assert all(torch.equal(one[name], other[name]) for name in one | other)
    assert kept.read(tmp_path / "killed", {})["current"] is None
