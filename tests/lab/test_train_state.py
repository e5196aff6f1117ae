"""Checkpoints: going on as if nothing had happened, whatever happened; and several processes that stay one."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab import data
from neurorack.lab.recipe import RecipeError, read_recipe
from neurorack.lab.train import checkpoint
from neurorack.lab.train.loop import Trainer
from neurorack.lab.train.schedule import Budget, rate_factor
from tests.lab import runs

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
COMMAND = "import sys; from neurorack.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(recipe, prepared data, the folder of both)."""
    folder = tmp_path_factory.mktemp("state")
    recipe = read_recipe(runs.recipe_file(folder, latent={"adversary": 0.5}))
    return recipe, data.prepare(recipe, folder, folder / "cache", runs.quiet), folder


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    """A run from its first step to its last."""
    trainer = Trainer(*made[:2], tmp_path_factory.mktemp("whole"))
    assert trainer.run(runs.quiet)
    return trainer


def stopped(made, folder, steps):
    """A trainer that did so many steps and saved."""
    trainer = Trainer(*made[:2], folder)
    for _ in range(steps):
        trainer.train_step()
    trainer.save()
    return trainer


def resumed(made, folder, recipe=None):
    """A new trainer that goes on from what lies in the folder."""
    trainer = Trainer(recipe or made[0], made[1], folder)
    trainer.resume(runs.quiet)
    return trainer


def test_going_on_is_the_very_same_run(made, whole, tmp_path):
    first = stopped(made, tmp_path, 3)
    first.train_step()                        # lost, as by a kill between two checkpoints
    second = resumed(made, tmp_path)
    assert second.step == 3 and second.run(runs.quiet) and second.step == 6
    assert runs.same_weights(second, whole)
    assert all(bool((a == b).all()) for a, b in zip(second.adversaries.parameters, whole.adversaries.parameters))


@pytest.mark.soak
def test_a_killed_command_goes_on_from_its_last_step(made, tmp_path):
    """SIGKILL in the middle of the run; checkpoints at every step."""
    long = tmp_path / "long.yaml"
    long.write_text(yaml.safe_dump(made[0] | {"train": made[0]["train"] | {"steps": 100000}}))
    command = [sys.executable, "-c", COMMAND, "train", str(long), "--work", str(tmp_path), "--cache", str(made[2] / "cache"), "--threads", "1"]
    child = subprocess.Popen(command, env={**ENVIRONMENT, "XDG_DATA_HOME": str(tmp_path)}, stdout=subprocess.DEVNULL)
    path, until = tmp_path / "tiny" / checkpoint.NAME, time.monotonic() + 60
    while not path.exists() and time.monotonic() < until and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    killed = resumed(made, tmp_path / "tiny", read_recipe(long))
    reached = killed.step
    assert reached >= 1
    killed.train_step()
    same = Trainer(read_recipe(long), made[1], tmp_path / "same")
    while same.step < reached + 1:
        same.train_step()
    assert runs.same_weights(killed, same)


def test_a_longer_budget_goes_on(made, tmp_path):
    stopped(made, tmp_path, 2)
    recipe = made[0] | {"train": {**made[0]["train"], "steps": 4}}
    trainer = resumed(made, tmp_path, recipe)
    assert trainer.run(runs.quiet) and trainer.step == 4


def test_other_settings_are_named(made, tmp_path):
    stopped(made, tmp_path, 1)
    for section, key, value, words in (("train", "batch", 3, "train.batch 2 and not 3"), ("engine", "width", 24, "engine.width 16 and not 24"),
                                       ("augment", "tilt_db", 1.0, "augment.tilt_db 6.0 and not 1.0")):
        recipe = made[0] | {section: {**made[0][section], key: value}}
        with pytest.raises(RecipeError, match=words):
            resumed(made, tmp_path, recipe)
    with pytest.raises(RecipeError, match="other recordings"):
        checkpoint.check_recipe("x", made[0], made[0], "a", "b")


@pytest.mark.parametrize("spoil, words", [
    (lambda path: path.write_bytes(path.read_bytes()[:5000]), "broken"), (lambda path: path.write_bytes(b"what"), "broken"),
    (lambda path: path.write_bytes(b""), "broken"), (lambda path: torch.save({"version": 99}, path), "version 99"),
    (lambda path: torch.save([1, 2], path), "version None"),
])
def test_a_checkpoint_that_is_none_is_one_line(made, tmp_path, spoil, words):
    stopped(made, tmp_path, 1)
    spoil(tmp_path / checkpoint.NAME)
    with pytest.raises(RecipeError, match=words) as error:
        resumed(made, tmp_path)
    assert "--fresh" in str(error.value) and "\n" not in str(error.value)


def test_a_checkpoint_runs_nothing_that_is_in_it(made, tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"version": checkpoint.VERSION, "recipe": Trap()}, tmp_path / checkpoint.NAME)
    with pytest.raises(RecipeError, match="broken"):
        checkpoint.read(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_leaves_the_last_checkpoint(made, tmp_path, monkeypatch):
    trainer = stopped(made, tmp_path, 2)
    trainer.train_step()

    def full(state, file):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RecipeError, match="full; the last checkpoint is intact") as error:
        trainer.save()
    assert "\n" not in str(error.value)
    assert resumed(made, tmp_path).step == 2
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.NAME]


def test_beginning_again_keeps_what_was_there(made, tmp_path):
    stopped(made, tmp_path, 1)
    checkpoint.put_aside(tmp_path)
    assert checkpoint.read(tmp_path) is None and (tmp_path / "checkpoint.before.pt").exists()


def test_minutes_follow_the_clock_and_steps_do_not():
    minutes, steps = Budget(minutes=2), Budget(steps=200)
    assert [minutes.part(step, seconds) for step, seconds in ((5, 0), (5, 60), (5000, 60), (5, 300))] == [0, 0.5, 0.5, 1]
    assert [steps.part(step, seconds) for step, seconds in ((0, 99), (100, 99), (200, 0))] == [0, 0.5, 1]
    assert minutes.left(3, 30) == 90 and steps.left(50, 10) == 30 and steps.left(0, 0) is None
    assert rate_factor(0.0, 0) < rate_factor(0.001, 50) < rate_factor(0.001, 99) == rate_factor(0.02, 5) == rate_factor(0.5, 999) == 1
    falling = [rate_factor(part, 999) for part in (0.5, 0.6, 0.75, 0.9, 1.0)]
    assert falling == sorted(falling, reverse=True) and falling[-1] == pytest.approx(0.01)


def test_a_run_of_minutes_ends_on_time_and_goes_on_with_what_was_left(made, tmp_path):
    recipe = made[0] | {"train": {key: value for key, value in made[0]["train"].items() if key != "steps"} | {"minutes": 0.02}}
    trainer = Trainer(recipe, made[1], tmp_path)
    trainer.seconds = 1.0
    assert trainer.run(runs.quiet) and trainer.seconds >= 1.2 and trainer.step >= 1
    state = checkpoint.read(tmp_path)
    assert state["seconds"] == trainer.seconds and state["step"] == trainer.step
    assert list((tmp_path / "previews").glob(f"rebuilt-*{trainer.step}.flac"))       # also of a run that is too short for others


TWO = """
import sys, torch
from neurorack.cli import main
from neurorack.lab import evaluate
from neurorack.lab.train import loop
evaluate.bench_of, evaluate.evaluate, evaluate.summary = (lambda *_: None), (lambda *_: {}), (lambda *_: "")
step = loop.Trainer.train_step
def watched(trainer):
    told = step(trainer)
    sums = trainer.team.gather([float(p.detach().double().sum()) for p in trainer.parameters])
    drawn = trainer.team.gather(int(trainer.rng.bit_generator.state["state"]["state"]))
    assert sums[0] == sums[1], "parameters differ"
    assert drawn[0] != drawn[1], "both draw the same"
    return told
loop.Trainer.train_step = watched
sys.exit(main(sys.argv[1:]))
"""


def test_two_processes_train_one_model(made, tmp_path):
    """By the same command line, with torchrun's environment: parameters stay equal, the first writes, a second sitting goes on."""
    def together(steps):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-c", TWO, "train", str(made[2] / "recipe.yaml"), "--work", str(tmp_path), "--cache", str(made[2] / "cache"),
                   "--out", str(tmp_path / "two.safetensors"), "--curves", "8", "--no-add", "--steps", str(steps)]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={
            **ENVIRONMENT, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}) for rank in range(2)]
        said = [child.communicate(timeout=240)[0] for child in both]
        assert [child.returncode for child in both] == [0, 0], said
        return said

    first, second = together(2)
    assert "2 processes" in first and "spectral" not in second and (tmp_path / "two.safetensors").exists()
    state = checkpoint.read(tmp_path / "tiny")
    assert state["step"] == 2 and len(state["numbers"]) == 2
    alone = resumed(made, tmp_path / "tiny")           # fewer processes may go on too
    assert alone.step == 2 and alone.train_step()["spectral"] > 0
