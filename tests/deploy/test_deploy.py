"""deploy.sh against a real sshd on loopback: this very tree, installed by an account without root into its own home."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import models
from tests.deploy import board as boards
from tests.deploy.board import ROOT
from tests.play.runs import until

SECONDS = 240


def outcome(process) -> str:
    return process.communicate(timeout=SECONDS)[0]


def tree_copy(folder):
    """The tree as another version; links, because only what a test changes must be its own."""
    for name in ("neurorack", "models", "hardware", "systemd", "tools", "docs", "setup.py", "README.md", "deploy.sh"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def reached():
    """A board that answers."""
    if why := boards.unavailable():
        pytest.skip(why)
    board = boards.make()
    try:
        board.start()
        yield board
    finally:
        board.stop()
        shutil.rmtree(board.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def board(reached):
    """With a first release that plays."""
    reached.prepare()
    first = reached.deploy("--watch", "1", "--options", "--device null --board desk")
    reached.first_words = outcome(first)
    assert first.returncode == 0, reached.first_words
    return reached


def status(board):
    done = board.neurorack("ctl", "status", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def deployments_over(board):
    """Wait for one whose connection was cut."""
    lock = board.base.folder / "deploy.lock"
    until(lambda: subprocess.run(["flock", "--nonblock", str(lock), "true"]).returncode == 0, SECONDS, "the end of the deployment")


def test_dry_run_says_each_step_and_changes_nothing(reached):
    """On a board where there is nothing yet, unless this test is run again: it comes before the first deployment."""
    before = set(reached.home.rglob("*"))
    run = reached.deploy("--dry-run", "--board", "pi", "--tune")
    words = outcome(run)
    assert run.returncode == 0, words
    for step in ("send", "lay release", "Python environment", "core", "self-test", "--board pi", "switch", "watch", "go back", "tune"):
        assert step in words, step
    assert all(line.startswith("would: ") for line in words.splitlines())
    assert set(reached.home.rglob("*")) == before


def test_the_first_one_plays_what_was_sent(board):
    current = board.base.current()
    assert current and current == json_id(board.first_words)
    told = status(board)
    assert told["device"] == "null" and told["slots"]["A"]["playing"]
    assert str(board.base.release(current)) in os.readlink(f"/proc/{told['pid']}/cwd") if os.getuid() == 0 else True
    assert not board.base.trial(), "what was watched to its end is on trial no more"
    assert (board.base.folder / "var" / "neurorack" / "options").read_text() == "--device null --board desk\n"


def json_id(words):
    return re.search(r"lay release (\S+)", words).group(1)


def test_a_release_that_does_not_start_gives_way_and_the_patch_is_kept(board, tmp_path):
    before = board.base.current()
    assert board.neurorack("ctl", "set", "centroid", "0.81").returncode == 0
    assert board.neurorack("ctl", "level", "--", "-7").returncode == 0
    broken = tree_copy(tmp_path)
    (broken / "neurorack" / "instrument.py").write_text((ROOT / "neurorack" / "instrument.py").read_text() + '\nraise RuntimeError("broken on purpose")\n')
    run = board.deploy("--watch", "1", tree=broken)
    words = outcome(run)
    assert run.returncode == 1, words
    assert "it ended by itself" in words and f"{before} plays again" in words and "broken on purpose" in words
    assert board.base.current() == before and not board.base.trial()
    assert not board.base.release(json_id(words)).exists()
    patch = status(board)["patch"]
    assert patch["knobs"]["centroid"] == 0.81 and patch["level_db"] == -7


def test_a_release_that_fails_its_self_test_never_runs(board, tmp_path):
    pid = status(board)["pid"]
    broken = tree_copy(tmp_path)
    (broken / "neurorack" / "doctor.py").write_text("this is no Python\n")
    run = board.deploy(tree=broken)
    words = outcome(run)
    assert run.returncode == 1 and "the new release does not run here: SyntaxError" in words
    assert status(board)["pid"] == pid


@pytest.mark.soak
def test_a_model_alone_is_admitted_and_taken_in(board, tmp_path):
    pid = status(board)["pid"]
    models.tone(tmp_path / "tone.safetensors")
    (tmp_path / "broken.ts").write_bytes(b"no model at all")
    run = board.deploy("--model", str(tmp_path / "tone.safetensors"))
    assert run.wait(SECONDS) == 0, outcome(run)
    assert (board.base.folder / "var" / "neurorack" / "models" / "tone.safetensors").is_file()
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "dirname", "ssh"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    (tmp_path / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    run = board.deploy("--model", str(tmp_path / "broken.ts"), PATH=str(tmp_path / "bin"))
    words = outcome(run)
    assert "with tar: there is no rsync" in words and "end: refused: broken.ts" in words and run.returncode == 1
    assert status(board)["pid"] == pid


def cut(board, after_seconds=None, after_words=None):
    """Kill ssh, rsync and deploy.sh all at once."""
    run = board.deploy("--watch", "1")
    if after_words:
        for line in run.stdout:
            if after_words in line:
                break
    else:
        time.sleep(after_seconds)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def still_well(board, before):
    deployments_over(board)
    current = board.base.current()
    assert current is not None
    assert until(lambda: board.neurorack("ctl", "status").returncode == 0, 60, "its answer")
    return current


def test_cut_while_sending_nothing_changes(board):
    before, pid = board.base.current(), status(board)["pid"]
    (board.home / ".cache/neurorack-deploy/tree/neurorack").exists() and board.run("rm", "-rf", ".cache/neurorack-deploy")
    for _ in range(3):
        cut(board, after_seconds=random.uniform(0.3, 1.2))
    deployments_over(board)
    if board.base.current() == before:
        assert status(board)["pid"] == pid


@pytest.mark.soak
def test_cut_after_that_the_board_goes_on_by_itself(board):
    before = board.base.current()
    cut(board, after_words="step: self-test")
    assert still_well(board, before) != before
    assert not board.base.trial() and (board.base.folder / "deploy.log").read_text().endswith("end: done\n")
    assert len([path for path in board.base.releases.iterdir()]) <= 3


@pytest.mark.soak
def test_everything_is_fetched_and_built_on_a_bare_board():
    """Real wheels by pip, the core compiled: minutes, and a network."""
    if why := boards.unavailable():
        pytest.skip(why)
    board = boards.make()
    try:
        board.start()
        (board.folder / "python" / "bin").mkdir(parents=True)
        (board.folder / "python" / "bin" / "python3").symlink_to(board.python)
        archive = board.folder / "python.tar.gz"
        subprocess.run(["tar", "-czf", str(archive), "-C", str(board.folder), "python"], check=True)
        run = board.deploy("--watch", "3", "--options", "--device null", "--board", "desk", "--python", str(archive))
        words = outcome(run)
        assert run.returncode == 0, words
        assert "making the Python environment" in words and status(board)["slots"]["A"]["playing"]
        assert (board.base.folder / "python" / "bin" / "python3").is_symlink()
        environment = next(board.base.environments.iterdir())
        names = {path.name for path in environment.glob("lib/python3*/site-packages/*")}
        assert "numpy" in names and "torch" not in names
    finally:
        board.stop()
        shutil.rmtree(board.folder, ignore_errors=True)


@pytest.mark.soak
def test_cut_at_any_moment(board):
    """Twenty deployments cut at random, then one that is not."""
    for _ in range(20):
        cut(board, after_seconds=random.uniform(0.1, 20))
        still_well(board, None)
    run = board.deploy("--watch", "1")
    assert outcome(run) and run.returncode == 0
    assert len([path for path in board.base.releases.iterdir()]) <= 3


@pytest.mark.soak
@pytest.mark.parametrize("step", ["what arrived", "laid beside", "Python environment", "compiled core", "self-test", "switching", "waiting", "watching"])
def test_the_boards_half_killed_at_each_step(board, step):
    """As if the plug was pulled: what `current` names is whole, and the next deployment works."""
    run = board.deploy("--watch", "1")
    for line in run.stdout:
        if f"step: {'its ' if step in ('Python environment', 'compiled core') else ''}" in line and step in line:
            break
    for worker in subprocess.run(["pgrep", "-f", "board.py install"], capture_output=True, text=True).stdout.split():
        if str(board.home) in os.readlink(f"/proc/{worker}/cwd"):
            os.kill(int(worker), signal.SIGKILL)
    run.communicate()
    assert board.base.current() is not None
    again = board.deploy("--watch", "1")
    words = outcome(again)
    assert again.returncode == 0, words
    assert status(board)["slots"]["A"]["playing"] and not board.base.trial()
