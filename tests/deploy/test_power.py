"""Shutdown, reboot and another release: what is asked for without rights, and what root makes of it."""

import os
import subprocess
import threading
import time

import pytest

from neurorack import power
from neurorack.errors import NeurorackError
from tests.deploy.board import ROOT
from tests.play.runs import until

SCRIPT = ROOT / "tools" / "deploy" / "power.sh"


@pytest.fixture
def base(tmp_path):
    """An installed instrument's folder with two whole releases and one that is not."""
    for name in ("1-old", "2-new", "3-half"):
        (tmp_path / "base" / "releases" / name).mkdir(parents=True)
    for name in ("1-old", "2-new"):
        (tmp_path / "base" / "releases" / name / ".complete").touch()
    (tmp_path / "base" / "current").symlink_to("releases/2-new")
    return tmp_path / "base"


def acted(base, request_file):
    """power.sh with a systemctl that only writes down what it is told; its exit code and those words."""
    tools = base.parent / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {tools}/told\n')
    (tools / "systemctl").chmod(0o755)
    done = subprocess.run(["sh", str(SCRIPT), str(base), str(request_file)], env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}, capture_output=True, text=True)
    told = tools / "told"
    words = told.read_text() if told.exists() else ""
    told.unlink(missing_ok=True)
    return done.returncode, words.strip()


@pytest.mark.parametrize("request_text, words", [("shutdown\n", "--no-block poweroff"), ("reboot\n", "--no-block reboot")])
def test_root_does_what_was_asked_for_once(base, request_text, words):
    file = base.parent / "power-request"
    file.write_text(request_text)
    assert acted(base, file) == (0, words)
    assert not file.exists() and acted(base, file) == (0, "")


@pytest.mark.parametrize("request_text", ["", "halt\n", "shutdown; reboot\n", "release ../../etc\n", "release 3-half\n", "release .complete\n", "release \n", "x" * 5000])
def test_root_does_nothing_else(base, request_text):
    file = base.parent / "power-request"
    file.write_text(request_text)
    code, words = acted(base, file)
    assert code == 2 and not words and not file.exists() and os.readlink(base / "current") == "releases/2-new"


def test_a_link_is_not_followed(base):
    target = base.parent / "elsewhere"
    target.write_text("shutdown\n")
    (base.parent / "power-request").symlink_to(target)
    assert acted(base, base.parent / "power-request") == (0, "") and target.exists()


def test_another_release_is_on_trial(base):
    file = base.parent / "power-request"
    file.write_text("release 1-old\n")
    assert acted(base, file) == (0, "--no-block restart neurorack.service")
    assert os.readlink(base / "current") == "releases/1-old" and (base / "trial").read_text() == "new=1-old\nold=2-new\n"


def test_asking_waits_until_it_is_taken(base, monkeypatch):
    file = base.parent / "power-request"
    monkeypatch.setenv("NEURORACK_POWER", str(file))
    found = []
    unit = threading.Thread(target=lambda: (until(file.exists, 5, "the request"), found.append(acted(base, file))))
    unit.start()
    power.ask("reboot")
    unit.join()
    assert found == [(0, "--no-block reboot")]


def test_nobody_takes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURORACK_POWER", str(tmp_path / "power-request"))
    monkeypatch.setattr(power, "TAKEN_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(NeurorackError, match="systemctl status neurorack-power.path"):
        power.ask("shutdown")
    assert time.monotonic() - began < 5 and not list(tmp_path.iterdir())


def test_a_computer_is_left_alone(monkeypatch):
    monkeypatch.delenv("NEURORACK_POWER", raising=False)
    with pytest.raises(NeurorackError, match="not a module of ours"):
        power.ask("shutdown")
    with pytest.raises(NeurorackError, match="no releases"):
        power.change("1-old")
    with pytest.raises(NeurorackError, match="shutdown or reboot"):
        power.ask("explode")
