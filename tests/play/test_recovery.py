"""Whatever dies or hangs is replaced, the rest plays on, and the sound returns."""

import contextlib
import os
import signal
import time

import numpy as np
import pytest
import soundfile

from tests.conftest import no_card
from tests.play.runs import ROLES, Playing, hits, onsets, until, write_score
from tests.rig.card import FakeCard

EVERY = 0.15
BACK_SECONDS = 2.0        # the sound is back by then
SLOW_SECONDS = 1.5        # more on a machine that is busy with other things
HANG_SECONDS = 1.0        # what the supervisor waits before it calls it a hang


def started(play, card, tone, folder):
    """Hits all the while, on the card, recorded."""
    score = write_score(folder / "score.yaml", 60, hits(60, EVERY), controls={"decay": [[0, 0.5], [60, 0.5]]})
    run = play("--model", tone, "--score", score, "--record", folder / "take.wav", card=card).sounding()
    until(lambda: run.rack.synth[0].triggers >= 4, 20, "the fourth hit")
    return run


@pytest.fixture
def playing(play, card, tone, tmp_path):
    return started(play, card, tone, tmp_path)


@pytest.fixture(scope="module")
def going_on(tone, tmp_path_factory, own_run_files):
    """One run for those that need not hear it."""
    if why := no_card():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("going_on")
    with contextlib.ExitStack() as stack:
        card = stack.enter_context(FakeCard(folder))
        yield started(lambda *options, **more: stack.enter_context(Playing(folder, *options, **more)), card, tone, folder)


def hits_around(card, ns: int) -> np.ndarray:
    """Seconds from ``ns`` to each onset the card played."""
    return np.array([(card.frame_ns(int(i)) - ns) / 1e9 for i in onsets(card.played())])


def check_back(run, card, role: str, ns: int, within: float) -> None:
    """The role has a new process, hits are heard again in time and in their rhythm, controls and patch stand."""
    until(lambda: len(run.pids) == 3, 20, f"a new {role}")
    until(lambda: (hits_around(card, ns) > 0.05).sum() >= 6, 20, "six more hits", every=0.1)
    at = hits_around(card, ns)
    after = at[at > 0.05]
    assert after[0] < within + EVERY
    assert np.median(np.diff(after)) == pytest.approx(EVERY, abs=0.02)
    assert run.rack.run.restarts[{"audio": 0, "synth": 1, "inputs": 3}[role]] == 1


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_process_is_replaced_and_the_sound_returns(playing, card, tmp_path, role):
    run, rack = playing, playing.rack
    before, patch = run.pids, (list(rack.patch[0].knob), list(rack.patch[0].drive), list(rack.patch[0].route_jack), rack.patch[0].level_db)
    triggers, ns = rack.synth[0].triggers, time.monotonic_ns()
    os.kill(before[role], signal.SIGKILL)
    check_back(run, card, role, ns, BACK_SECONDS + SLOW_SECONDS)
    now = run.pids
    assert now[role] != before[role] and all(now[other] == before[other] for other in ROLES if other != role)
    assert (list(rack.patch[0].knob), list(rack.patch[0].drive), list(rack.patch[0].route_jack), rack.patch[0].level_db) == patch
    assert rack.synth[0].triggers > triggers
    levels = [np.abs(card.played()[i:i + 2000]).max() for i in onsets(card.played())[1:-1]]
    usual = np.median(levels)
    assert np.mean(np.abs(levels - usual) < 0.02 * usual) > 0.8, "as loud as before, but for a hit that the machine itself cut short"
    assert run.stop() < 1
    report = run.report
    assert report["restarts"] == {other: int(other == role) for other in ROLES}
    assert report["triggers"] >= len(levels) and f"the {role} process was killed (signal 9); starting it again" in run.said
    if role != "synth":
        assert report["underruns"]["restart"] == 0
    take = soundfile.read(tmp_path / "take.wav", dtype="float32")[0]
    if role == "audio":      # its recording broke off; the next one goes on in a file of its own
        assert soundfile.info(tmp_path / "take-002.wav").frames > 4800
        take = take[:-48000] if len(take) > 96000 else take[:0]
    steepest = 0.5 * 2 * np.pi * 1000 / 48000 + 0.5 / 64
    assert len(take) == 0 or np.abs(np.diff(take, axis=0)).max() < 1.2 * steepest, "the break was heard as a click"


@pytest.mark.parametrize("role", ["synth", "inputs"])
def test_a_process_that_hangs_is_noticed_and_replaced(playing, card, role):
    before, ns = playing.pids, time.monotonic_ns()
    os.kill(before[role], signal.SIGSTOP)
    until(lambda: playing.pids.get(role, before[role]) != before[role], 10, f"a new {role}")
    check_back(playing, card, role, ns, BACK_SECONDS + HANG_SECONDS + SLOW_SECONDS)
    assert f"the {role} process does not answer; starting it again" in playing.said


def test_audio_that_hangs_is_noticed_and_replaced(playing, card):
    before = playing.pids
    os.kill(before["audio"], signal.SIGSTOP)
    until(lambda: playing.pids.get("audio", before["audio"]) != before["audio"], 10, "a new audio")
    check_back(playing, card, "audio", time.monotonic_ns(), BACK_SECONDS + SLOW_SECONDS)


def test_when_the_whole_machine_stood_still_nobody_is_replaced(going_on):
    """The supervisor wakes first and finds everybody else's heart still."""
    playing, before, restarts = going_on, going_on.pids, list(going_on.rack.run.restarts)
    everyone = [playing.pid, *before.values()]
    for pid in everyone:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2 * HANG_SECONDS)
    for pid in everyone:
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.1)
    triggers = playing.rack.synth[0].triggers
    until(lambda: playing.rack.synth[0].triggers > triggers + 3, 10, "more hits")
    assert playing.pids == before and list(playing.rack.run.restarts) == restarts


def test_one_that_dies_again_and_again_is_given_pauses_while_the_others_go_on(going_on):
    playing, rack, deaths, restarts = going_on, going_on.rack, [], list(going_on.rack.run.restarts)
    others = {role: pid for role, pid in playing.pids.items() if role != "inputs"}
    for _ in range(5):
        pid = until(lambda: playing.pids.get("inputs"), 10, "the next one")
        os.kill(pid, signal.SIGKILL)
        until(lambda: playing.pids.get("inputs") != pid, 5, "its end")
        deaths.append(time.monotonic())
    until(lambda: playing.pids.get("inputs"), 10, "the last one")
    last = time.monotonic() - deaths[-1]
    assert last > 0.5, "the pauses grow"
    assert {role: playing.pids[role] for role in others} == others
    blocks = rack.audio.blocks
    until(lambda: rack.audio.blocks > blocks + 50 and rack.inputs.scans, 5, "more sound")
    assert rack.run.restarts[3] == restarts[3] + 5
    triggers = rack.synth[0].triggers
    until(lambda: rack.synth[0].triggers > triggers + 2, 5, "hits")


def test_hits_of_the_time_when_nobody_looked_are_not_played_later(playing, card):
    """A restart of inputs, then of audio: what happened at the jacks meanwhile is over."""
    for role in ("inputs", "audio"):
        triggers = playing.rack.synth[0].triggers
        os.kill(playing.pids[role], signal.SIGKILL)
        until(lambda: playing.rack.synth[0].triggers > triggers + 6, 20, "more hits", every=0.05)
    at = hits_around(card, 0)
    assert np.diff(at).min() > EVERY - 0.05, "two hits at once"
    gaps = np.diff(at)
    assert (gaps > 1.5 * EVERY).sum() <= 3
    playing.stop()
    assert playing.report["late_edges"] <= 2
