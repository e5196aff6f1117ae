"""The whole way as on a board: root over ssh, a systemd that is process 1, the hardened unit in /opt and /var/lib."""

import json
import shutil

import pytest

from tests import models
from tests.deploy import board as boards
from tests.deploy import system_manager
from tests.deploy.board import ROOT
from tests.deploy.test_deploy import outcome, tree_copy
from tests.play.runs import until

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def board():
    if why := boards.unavailable() or system_manager.unavailable():
        pytest.skip(why)
    board = boards.make()
    board.system = system_manager.System(board.folder)
    try:
        if why := board.system.start():
            pytest.skip(why)
        board.start(wrap=board.system.enter, account="root", home="/root")
        first = board.deploy("--watch", "3", "--options", "--device null", "--board", "desk", "--tune")
        board.first_words = outcome(first)
        assert first.returncode == 0, board.first_words
        yield board
    finally:
        board.stop()
        board.system.stop()
        shutil.rmtree(board.folder, ignore_errors=True)


def well(board):
    def look():
        done = board.system.run("neurorack", "ctl", "status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None
    return until(look, 60, "a well instrument", every=0.3)


def property_of(board, name, unit="neurorack.service"):
    return board.system.run("systemctl", "show", unit, "-p", name, "--value").stdout.strip()


def test_the_unit_is_ready_enabled_and_hardened(board):
    assert "systemd, as the account neurorack" in board.first_words and "step: tuning" in board.first_words
    assert well(board)["slots"]["A"]["playing"] and property_of(board, "ActiveState") == "active"
    assert "plays on null" in property_of(board, "StatusText")
    assert board.system.run("systemctl", "is-enabled", "neurorack.service").stdout.strip() == "enabled"
    assert property_of(board, "ActiveState", "neurorack-tune.service") == "active"
    assert board.system.run("test", "-s", "/var/lib/neurorack/first-boot.json").returncode == 0
    pid = property_of(board, "MainPID")
    status = board.system.run("cat", f"/proc/{pid}/status").stdout
    assert "NoNewPrivs:\t1" in status and "CapBnd:\t0000000000000000" in status
    mounts = board.system.run("cat", f"/proc/{pid}/mountinfo").stdout.splitlines()
    options = {line.split()[4]: line.split()[5].split(",") for line in mounts}
    assert "ro" in options["/"] and "rw" in options["/var/lib/neurorack"] and "rw" in options["/run/neurorack"]


def test_a_broken_release_gives_way_and_the_patch_is_kept(board, tmp_path):
    well(board)
    assert board.system.run("neurorack", "ctl", "level", "--", "-9").returncode == 0
    broken = tree_copy(tmp_path)
    (broken / "neurorack" / "instrument.py").write_text((ROOT / "neurorack" / "instrument.py").read_text() + '\nraise RuntimeError("broken on purpose")\n')
    run = board.deploy("--watch", "2", tree=broken)
    words = outcome(run)
    assert run.returncode == 1 and "plays again" in words and "broken on purpose" in words, words
    assert well(board)["patch"]["level_db"] == -9


def test_a_model_is_taken_in_by_the_services_account(board, tmp_path):
    models.tone(tmp_path / "tone.safetensors")
    run = board.deploy("--model", str(tmp_path / "tone.safetensors"))
    assert "end: done" in outcome(run)
    assert board.system.run("stat", "-c", "%U", "/var/lib/neurorack/models/tone.safetensors").stdout.strip() == "neurorack"
    assert board.system.run("neurorack", "ctl", "swap", "tone").returncode == 0


def test_the_panel_changes_the_release(board):
    """The way of shutdown and reboot too: a file, the path unit, power.sh as root."""
    def current():
        return board.system.run("readlink", "/opt/neurorack/current").stdout.strip().removeprefix("releases/")

    def statistics():
        return json.loads(board.system.run("neurorack", "ctl", "statistics", "--json").stdout or "{}")
    well(board)
    before, other = current(), "00000000-copy"
    assert board.system.run("cp", "-a", f"/opt/neurorack/releases/{before}", f"/opt/neurorack/releases/{other}").returncode == 0
    told = statistics()
    assert {"name": before, "runs": True} in told["releases"] and {"name": other, "runs": False} in told["releases"] and not told["power"]
    done = board.system.run("neurorack", "ctl", "release", other, "--yes")
    assert done.returncode == 0, done.stderr
    until(lambda: current() == other, 20, "the change")
    assert board.system.run("cat", "/opt/neurorack/trial").stdout.split() == [f"new={other}", f"old={before}"]
    until(lambda: statistics().get("versions", {}).get("release") == other, 60, "the other", every=0.3)
    until(lambda: well(board)["slots"]["A"]["playing"], 30, "its sound", every=0.3)
    until(lambda: board.system.run("cat", "/var/lib/neurorack/good-release").stdout.strip() == other, 60, "a release that held", every=0.5)


def test_a_restart_of_the_board_plays(board):
    board.system.run("systemctl", "isolate", "rescue.target")
    until(lambda: property_of(board, "ActiveState") != "active", 30, "the stop")
    board.system.run("systemctl", "start", "multi-user.target", "--no-block")
    until(lambda: well(board)["slots"]["A"]["playing"], 60, "its sound", every=0.3)
