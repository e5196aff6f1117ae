"""`neurorack train`, from sounds to a model that plays, by the same commands as a real run."""

import json
import signal

import numpy as np
import pytest
import soundfile
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack import cli
from neurorack.engine import Model
from neurorack.lab import data, evaluate, export, train
from neurorack.lab.recipe import complete, read_recipe
from neurorack.lab.train import checkpoint, loop
from neurorack.library import entries
from tests.lab import runs
from tests.lab.test_descriptors import noise_hit


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a recipe, and a library of its own."""
    folder = tmp_path_factory.mktemp("tiny")
    runs.recipe_file(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        yield folder


def run(folder, *more, source="recipe.yaml"):
    """The command, in this process; returns its exit code."""
    return cli.main(["train", str(folder / source), "--work", str(folder / "work"), "--cache", str(folder / "cache"), "--curves", "8",
                     "--threads", "1", *more])


@pytest.fixture(scope="module")
def trained(home):
    """The folder after one run."""
    assert run(home) == 0
    return home


def test_a_recipe_ends_in_a_model_that_plays(trained):
    model = Model.load(trained / "tiny.safetensors")
    assert [g["name"] for g in model.card["gestures"]] == ["low", "high"]
    gesture = np.array(model.tensor(model.card["gestures"][0]["tensor"]), np.float32)
    audio = model.program("decode", block_frames=64).stream(gesture)
    assert np.isfinite(audio).all() and 0.001 < np.abs(audio[:4800]).max() < 4
    assert min(export.agreement_db(model).values()) > 90
    assert model.card["measured"]["control"]["all_five"]["loudness"] > 0.85      # by construction, trained or not
    assert model.card["recipe"]["train"]["steps"] == 6
    assert entries.entries()["tiny"].where == entries.OWN
    assert "CC0: 8 recordings" in (trained / "LICENCES.md").read_text()


def test_what_a_run_was_like_is_kept_beside_it(trained):
    work = trained / "work" / "tiny"
    rows = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 6 and any(row.get("losses", {}).get("spectral", 0) > 0 for row in rows)
    assert -1 <= next(row for row in rows if "control" in row)["control"]["mean"] <= 1
    previews = sorted(path.name for path in (work / "previews").iterdir())
    assert previews == ["rebuilt-000006.flac", "recordings.flac", "swapped-000006.flac"]
    sounds = [soundfile.read(work / "previews" / name)[0] for name in previews]
    assert len({len(sound) for sound in sounds}) == 1 and all(np.abs(sound).max() > 0.01 for sound in sounds)


@pytest.fixture
def unmeasured(monkeypatch):
    """Results are not measured: that takes longest."""
    monkeypatch.setattr(evaluate, "bench_of", lambda model, clips: None)
    monkeypatch.setattr(evaluate, "evaluate", lambda bench, count: {"curves": count})
    monkeypatch.setattr(evaluate, "summary", lambda figures: "not measured")


def test_a_finished_run_is_not_trained_again(trained, capsys, monkeypatch):
    exported = []
    monkeypatch.setattr(export, "export", lambda trainer, cache, path, count, say: exported.append((trainer.step, path)))
    out = trained / "elsewhere" / "again.safetensors"
    assert run(trained, "--out", str(out), "--no-add") == 0
    said = capsys.readouterr().out
    assert "resumed at step 6" in said and "spectral" not in said and exported == [(6, out)]
    assert read_recipe(out.with_suffix(".recipe.yaml")) == read_recipe(trained / "recipe.yaml")


def test_a_folder_needs_nothing_else(home, capsys, unmeasured):
    """One command; then again with more time, which goes on; the model of the first time lies in the library's trash."""
    (home / "sounds" / "note.wav").write_text("not a sound")
    assert run(home, "--steps", "2", "--engine", "noise-band", source="sounds") == 0
    said = capsys.readouterr().out
    assert "skipped note.wav" in said and said.splitlines()[-1] == "play it: neurorack play --model sounds"
    kept = read_recipe(home / "work" / "sounds" / "recipe.yaml")
    assert kept["engine"]["kind"] == "noise-band" and kept["data"]["sources"][0]["path"] == str(home / "sounds")
    assert "sounds" in entries.entries()
    assert run(home, "--steps", "3", source="sounds") == 0
    said = capsys.readouterr().out
    assert "resumed at step 2" in said and "neurorack models restore sounds" in said


def test_sounds_with_a_pitch_get_harmonics(tmp_path):
    """Engine auto listens: notes are told from noises."""
    from neurorack.lab.train import made

    for kind in ("notes", "noises"):
        (tmp_path / kind).mkdir()
        for k in range(4):
            t = np.arange(24000) / 48000
            note = 0.3 * sum(np.sin(2 * np.pi * h * 220 * 2 ** (k / 12) * t) / h for h in range(1, 6)) * np.exp(-3 * t)
            soundfile.write(tmp_path / kind / f"{k}.wav", note if kind == "notes" else noise_hit(k), 48000)
        draft = complete({"name": kind, "data": {"sources": [{"kind": "folder", "path": str(tmp_path / kind)}]}})
        cache = data.prepare(draft, tmp_path, tmp_path / "cache", runs.quiet)
        assert (data.pitched_share(data.Clips(cache, "train").audio) >= made.PITCHED_SHARE) == (kind == "notes")


def test_ctrl_c_saves_and_says_how_to_go_on(home, tmp_path, capsys, monkeypatch):
    whole, before = train.Trainer.train_step, signal.getsignal(signal.SIGINT)

    def interrupted(trainer):
        if trainer.step == 3:
            signal.raise_signal(signal.SIGINT)
        return whole(trainer)

    monkeypatch.setattr(train.Trainer, "train_step", interrupted)
    monkeypatch.setattr("sys.argv", ["neurorack", "train", "my sounds", "--fresh"])
    assert run(home, "--work", str(tmp_path), "--no-add") == 130
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "stopped at step 4, which is saved; to go on: neurorack train 'my sounds'"
    assert checkpoint.read(tmp_path / "tiny")["step"] == 4
    assert signal.getsignal(signal.SIGINT) == before             # afterwards Ctrl-C is what it was


def test_looking_does_not_change_what_is_trained(home, tmp_path):
    recipe = read_recipe(home / "recipe.yaml")
    cache = data.prepare(recipe, home, home / "cache", runs.quiet)
    watched = loop.Trainer(recipe, cache, tmp_path / "watched")
    watched.run(runs.quiet)
    alone = loop.Trainer(recipe, cache, tmp_path / "alone")
    for _ in range(6):
        alone.train_step()
    assert runs.same_weights(watched, alone)


@pytest.mark.parametrize("source, more, words", [
    ("nothing", [], ["does not exist"]), ("sounds/hit0.wav", [], ["neither a folder nor a recipe"]), ("empty", [], ["empty", "no audio"]),
    ("short", [], ["at least"]), ("text", [], ["no audio"]), ("recipe.yaml", ["--engine", "harmonic"], ["--engine is for folders"]),
    ("recipe.yaml", ["--steps", "0"], ["--steps", "at least 1"]), ("recipe.yaml", ["--minutes", "-1"], ["train.minutes", "from 0.01"]),
    ("recipe.yaml", ["--name", "../x"], ["'../x'"]), ("recipe.yaml", ["--threads", "0"], ["--threads is 0"]), ("typo.yaml", [], ["train.stpes", "steps"]),
    ("slash.yaml", ["--no-add"], ["'a/b'"]), ("recipe.yaml", ["--no-add", "--out", "/dev/null/x/y.safetensors"], ["/dev/null/x cannot be made"]),
    ("recipe.yaml", ["--seed", "5", "--no-add"], ["other settings", "seed", "--fresh"]), ("recipe.yaml", ["--device", "cuda"], ["cuda"]),
])
def test_what_cannot_be_trained_ends_in_one_line(trained, capsys, source, more, words):
    if more[:1] == ["--device"] and torch.cuda.is_available():
        pytest.skip("there is such a device here")
    for name in ("empty", "short", "text"):
        (trained / name).mkdir(exist_ok=True)
    soundfile.write(trained / "short" / "tick.wav", noise_hit(0)[:2400], 48000)
    (trained / "text" / "a.wav").write_text("not a sound")
    (trained / "typo.yaml").write_text(yaml.safe_dump(yaml.safe_load((trained / "recipe.yaml").read_text()) | {"train": {"stpes": 3}}))
    (trained / "slash.yaml").write_text(yaml.safe_dump(yaml.safe_load((trained / "recipe.yaml").read_text()) | {"name": "a/b"}))
    assert run(trained, *more, source=source) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words) and said.count("\n") == 1
    assert not (trained / "work" / source / "checkpoint.pt").exists()


def test_a_name_that_is_taken_is_found_out_before_the_training(trained, tmp_path, capsys):
    assert run(trained, "--work", str(tmp_path)) == 2
    assert "there is a model 'tiny' in the library already" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_torch_one_line_names_the_remedy(capsys, monkeypatch):
    from neurorack.lab import cli as lab_cli

    monkeypatch.setattr(lab_cli, "find_spec", lambda name: None)
    assert cli.main(["train", "anything"]) == 2
    said = capsys.readouterr().err
    assert "make lab" in said and said.count("\n") == 1
