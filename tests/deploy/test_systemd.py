"""Under a real systemd, as its user's manager: ready when it sounds, started again, the watchdog, safe mode, going back."""

import json
import os
import shutil
import signal
import time

import pytest

from tests.deploy import board as boards
from tests.deploy import user_manager
from tests.deploy.board import ROOT
from tests.deploy.test_deploy import outcome, tree_copy
from tests.play.runs import until

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def board():
    if why := boards.unavailable() or user_manager.unavailable():
        pytest.skip(why)
    board = boards.make()
    board.manager = user_manager.Manager(board.folder)
    try:
        if why := board.manager.start():
            pytest.skip(why)
        board.start(wrap=board.manager.enter)
        board.prepare()
        first = board.deploy("--watch", "3", "--options", "--device null --board desk")
        words = outcome(first)
        assert first.returncode == 0, words
        assert "systemd of the user" in words
        yield board
    finally:
        board.stop()
        board.manager.stop()
        shutil.rmtree(board.folder, ignore_errors=True)


def shown(board, *names):
    told = board.manager.systemctl("show", "neurorack.service", "-p", ",".join(names)).stdout
    return dict(line.split("=", 1) for line in told.splitlines())


def well(board):
    """The status of an instrument that systemd holds for started, once there is one."""
    def look():
        if shown(board, "ActiveState")["ActiveState"] != "active":
            return None
        done = board.neurorack("ctl", "status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None
    return until(look, 90, "a well instrument", every=0.3)


def test_it_is_active_once_it_sounds(board):
    told = well(board)
    assert told["slots"]["A"]["playing"]
    unit = shown(board, "Type", "MainPID", "StatusText", "NRestarts", "WatchdogUSec")
    assert unit["Type"] == "notify" and int(unit["MainPID"]) == told["pid"] and unit["NRestarts"] == "0"
    assert "impacts plays on null" in unit["StatusText"] and unit["WatchdogUSec"] == "30s"


def test_it_is_started_again_when_it_was_killed(board):
    pid = well(board)["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: well(board)["pid"] != pid, 60, "another instrument")


def test_one_that_stands_still_is_started_again(board):
    dropin = board.home / ".config/systemd/user/neurorack.service.d"
    board.run("mkdir", "-p", str(dropin))
    board.write(dropin / "quick.conf", "[Service]\nWatchdogSec=3\n")
    board.manager.systemctl("daemon-reload")
    board.manager.systemctl("restart", "neurorack.service")
    pid = well(board)["pid"]
    time.sleep(5)
    assert well(board)["pid"] == pid, "while it beats the watchdog is content"
    os.kill(pid, signal.SIGSTOP)
    until(lambda: well(board)["pid"] != pid, 60, "another instrument")
    board.run("rm", "-r", str(dropin))
    board.manager.systemctl("daemon-reload")


def test_options_that_cannot_play_end_in_safe_mode_and_the_way_back(board):
    options = board.base.folder / "var" / "neurorack" / "options"
    board.write(options, "--device null --board desk --model /nowhere/gone.safetensors\n")
    board.manager.systemctl("restart", "--no-block", "neurorack.service")
    until(lambda: "safe mode (3 starts in a row did not hold)" in shown(board, "StatusText")["StatusText"], 90, "safe mode", every=0.3)
    assert well(board)["slots"]["A"]["model"] == "impacts"
    board.write(options, "--device null --board desk\n")
    starts = board.base.folder / "var" / "neurorack" / "starts.json"
    until(lambda: json.loads(starts.read_text())["failed"] == 0, 60, "a calm run", every=0.3)
    board.manager.systemctl("restart", "neurorack.service")
    assert "safe mode" not in shown(board, "StatusText")["StatusText"]


def test_a_release_that_does_not_start_gives_way(board, tmp_path):
    before = board.base.current()
    broken = tree_copy(tmp_path)
    (broken / "neurorack" / "instrument.py").write_text((ROOT / "neurorack" / "instrument.py").read_text() + '\nraise RuntimeError("broken on purpose")\n')
    run = board.deploy("--watch", "2", tree=broken)
    words = outcome(run)
    assert run.returncode == 1 and f"{before} plays again" in words, words
    assert board.base.current() == before and well(board)["slots"]["A"]["playing"]


def test_the_guard_goes_back_when_nobody_watches(board, tmp_path):
    """The power went right after the switch: the release on trial gets two starts, then the old one is back."""
    before = board.base.current()
    broken = board.base.release("99999999-broken")
    board.run("cp", "-a", str(board.base.release(before)), str(broken))
    board.write(broken / "neurorack" / "service.py", 'raise RuntimeError("broken on purpose")\n')
    board.write(board.base.folder / "trial", f"new={broken.name}\nold={before}\n")
    board.run("ln", "-sfn", f"releases/{broken.name}", str(board.base.folder / "current"))
    board.manager.systemctl("restart", "--no-block", "neurorack.service")
    until(lambda: board.base.current() == before, 60, "the old release", every=0.3)
    assert well(board)["slots"]["A"]["playing"] and not board.base.trial()
