"""The instrument speaks systemd's protocol to a real datagram socket."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neurorack.notify import Notifier

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """Stands where systemd does; returns ``hear(seconds) -> dict | None``."""
    monkeypatch.chdir(tmp_path)       # a short name: the pytest folder's may be longer than a socket's address
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind("notify")

    def hear(seconds=10.0):
        listening.settimeout(seconds)
        try:
            return dict(line.split("=", 1) for line in listening.recv(4096).decode().splitlines())
        except TimeoutError:
            return None
    yield hear
    listening.close()


def test_messages_are_lines_and_the_variables_are_not_handed_down(manager):
    environment = {"NOTIFY_SOCKET": "notify", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier(environment)
    assert not environment and notifier.patience_seconds == 3 and notifier.pause_seconds == 1
    notifier.send(READY=1, STATUS="plays = well")
    assert manager() == {"READY": "1", "STATUS": "plays = well"}


def test_an_abstract_address_is_understood():
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(f"\0neurorack-test-{os.getpid()}")
    Notifier({"NOTIFY_SOCKET": f"@neurorack-test-{os.getpid()}"}).send(READY=1)
    assert listening.recv(100) == b"READY=1"


def test_nobody_there_or_a_watchdog_of_another_process_is_no_error():
    Notifier({}).send(READY=1)
    Notifier({"NOTIFY_SOCKET": "/nowhere/notify"}).send(READY=1)
    assert Notifier({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).patience_seconds == 0


def test_ready_when_it_sounds_then_watchdog_then_stopping(manager, tone):
    environment = {**os.environ, "NOTIFY_SOCKET": str(os.path.abspath("notify")), "WATCHDOG_USEC": "1500000", "NEURORACK_NOTICE": "safe mode"}
    playing = subprocess.Popen([sys.executable, "-m", "neurorack", "play", "--device", "null", "--board", "desk", "--model", str(tone)],
                               env={**environment, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        heard, deadline = [], time.monotonic() + 60
        while time.monotonic() < deadline and sum("WATCHDOG" in words for words in heard) < 3:
            if words := manager(1.0):
                heard.append(words)
        first_ready = next(i for i, words in enumerate(heard) if "READY" in words)
        assert sum("READY" in words for words in heard) == 1
        assert not any("WATCHDOG" in words for words in heard[:first_ready])
        assert "plays on" in heard[first_ready]["STATUS"] and heard[0]["STATUS"].startswith("safe mode; ")
        playing.send_signal(signal.SIGTERM)
        while (words := manager(10)) and "STOPPING" not in words:
            pass
        assert words["STOPPING"] == "1" and playing.wait(20) == 0
    finally:
        playing.kill()
        playing.wait()


def test_a_supervisor_that_stands_still_is_silent(manager, tone):
    """What the watchdog is for: no message while the loop does not turn, though the children play on."""
    environment = {**os.environ, "NOTIFY_SOCKET": str(os.path.abspath("notify")), "WATCHDOG_USEC": "600000", "PYTHONPATH": str(ROOT)}
    playing = subprocess.Popen([sys.executable, "-m", "neurorack", "play", "--device", "null", "--board", "desk", "--model", str(tone)],
                               env=environment, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while "WATCHDOG" not in (manager(5) or {}) and time.monotonic() < deadline:
            pass
        playing.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        while manager(0.05):      # what was under way
            pass
        assert manager(1.5) is None
        playing.send_signal(signal.SIGCONT)
        assert manager(10) is not None
    finally:
        playing.kill()
        playing.wait()
