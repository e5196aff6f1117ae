"""The folders of releases: nothing half counts, the switch is one step, three are kept; what is asked of pip."""

import os
import sys

import pytest

from tests.deploy.board import ROOT

sys.path.insert(0, str(ROOT / "tools" / "deploy"))
import deploy  # noqa: E402
import packages  # noqa: E402
from releases import Base, Refused, verify  # noqa: E402


@pytest.fixture
def base(tmp_path):
    made = Base(tmp_path)
    for number in range(6):
        release = made.release(f"2026-{number}")
        release.mkdir(parents=True)
        environment = made.environments / f"e{number // 2}"
        environment.mkdir(parents=True, exist_ok=True)
        (environment / ".complete").touch()
        (release / ".venv").symlink_to(f"../../environments/e{number // 2}")
        if number < 5:
            (release / ".complete").touch()
    return made


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_release_that_is_not_whole_is_never_current(base):
    base.switch("2026-4")
    with pytest.raises(Refused):
        base.switch("2026-5")
    assert base.current() == "2026-4" and os.readlink(base.folder / "current") == "releases/2026-4"
    base.clean()
    assert "2026-5" not in names(base.releases)


def test_three_are_kept_among_them_what_matters(base):
    base.clean()
    base.switch("2026-0")
    base.begin_trial("2026-0", "2026-1")
    assert base.prune({"2026-0"}) == ["2026-2", "2026-3"]
    assert names(base.releases) == ["2026-0", "2026-1", "2026-4"] and names(base.environments) == ["e0", "e2"]


def test_the_way_back_leads_past_a_release_on_trial(base, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    base.switch("2026-4")
    base.begin_trial("2026-4", "2026-3")
    assert base.proven(state) == "2026-3"
    (state / "good-release").write_text("2026-4\n")
    assert base.proven(state) == "2026-4"
    (base.release("2026-4") / ".complete").unlink()
    assert base.current() is None


def test_what_did_not_arrive_whole_is_named(tmp_path):
    (tmp_path / "a").write_text("whole")
    sums = deploy.sums({"a": tmp_path / "a"})
    verify(tmp_path, sums)
    (tmp_path / "a").write_text("who")
    with pytest.raises(Refused, match="a did not arrive whole"):
        verify(tmp_path, sums)
    with pytest.raises(Refused, match="b did not arrive"):
        verify(tmp_path, {"b": "0"})
    with pytest.raises(Refused, match="outside"):
        verify(tmp_path, {"../etc": "0"})


def test_playing_asks_for_no_torch():
    wanted = packages.requirements(ROOT / "setup.py")
    plain = {part: [packages.bare(name) for name in names] for part, names in wanted.items()}
    assert {"numpy", "sounddevice"} <= set(plain["play"]) and "spidev" in plain["board"] and "mido" in plain["midi"]
    assert not {"torch", "scipy"} & {name for names in plain.values() for name in names}
    assert packages.environment_id(wanted, "a") != packages.environment_id(wanted, "b") == packages.environment_id(dict(wanted), "b")


FACTS = {"machine": "aarch64", "system": "Debian 13", "model": "Raspberry Pi 5", "home": "/home/pi", "root": "sudo", "python": "/usr/bin/python3",
         "systemd": "yes", "free_mb": "9000"}


def test_what_is_asked_of_the_board_follows_from_its_facts():
    args = deploy.parse(["--board", "pi", "--options", "--rate 96000", "pi@host"])
    asked = deploy.make_request(args, FACTS, {})
    assert asked["base"] == "/opt/neurorack" and asked["service"] == "system" and asked["has_panel"] and asked["options"] == "--board pi --rate 96000"
    asked = deploy.make_request(deploy.parse(["--user", "pi@host"]), {**FACTS, "user_manager": "yes"}, {})
    assert asked["base"] == "/home/pi/.local/opt/neurorack" and asked["service"] == "user" and asked["options"] is None
    assert not deploy.make_request(deploy.parse(["--board", "desk", "pi@host"]), FACTS, {})["has_panel"]


@pytest.mark.parametrize("change, says", [({"machine": "armv7l"}, "64-bit"), ({"python": None}, "--python FILE"), ({"free_mb": "100"}, "100 MB free")])
def test_a_machine_that_cannot_be_a_board_is_refused_with_the_remedy(change, says):
    facts = {name: value for name, value in {**FACTS, **change}.items() if value is not None}
    with pytest.raises(deploy.Failed, match=says):
        deploy.make_request(deploy.parse(["pi@host"]), facts, {})


@pytest.mark.parametrize("arguments, says", [(["--model", "/nowhere.ts", "pi@host"], "no file"), (["--board", "toaster", "pi@host"], "the boards are"),
                                             (["--watch", "0", "pi@host"], "--watch"), ([], "which board")])
def test_bad_arguments_are_one_line(arguments, says):
    with pytest.raises(deploy.Failed, match=says):
        deploy.parse(arguments)


def test_files_then_target_as_one_would_type_it(tmp_path):
    for name in ("a.ts", "b.ts"):
        (tmp_path / name).touch()
    args = deploy.parse(["--model", str(tmp_path / "a.ts"), str(tmp_path / "b.ts"), "pi@host"])
    assert args.target == "pi@host" and len(args.model) == 2 and not args.firmware
    assert deploy.parse(["pi@host"]).firmware
