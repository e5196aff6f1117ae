"""Changes of model while the sound plays: unheard but for the change itself, and without harm when they fail."""

import os
import random
import signal
import time

import numpy as np
import pytest
import soundfile

from neurorack import control
from neurorack.errors import NeurorackError
from tests.models import RATE, steady
from tests.play.runs import Playing, until, write_score
from tests.play.test_governor import of_cost
from tests.rig.burn import core_load

TONES_HZ, LEVEL = {"low": 430.0, "high": 730.0}, 0.3


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two steady tones of equal loudness, one too slow for any machine, and what is no model."""
    folder = tmp_path_factory.mktemp("swap")
    for name, hertz in TONES_HZ.items():
        steady(folder / f"{name}.safetensors", hertz=hertz, level=LEVEL, name=name)
    (folder / "broken.safetensors").write_bytes(b"<html>not found</html>" * 10)
    return folder


class Swapping(Playing):
    """A run that is asked for models and listened to."""

    def __init__(self, folder, models, *options):
        self.models, self.take = models, folder / "take.wav"
        super().__init__(folder, "--model", models / "low.safetensors", "--score", write_score(folder / "score.yaml", 900), "--record", self.take, *options)

    def ask(self, do: str, **more) -> dict:
        return control.request({"do": do, **more}, self.pid)

    def swap(self, name: str, **more) -> dict:
        path = self.models / name
        return self.ask("swap", model=str(path if path.suffix else self.models / f"{name}.safetensors"), **more)["job"]

    def settled(self, seconds: float = 20) -> str:
        """The slot that plays, once it does so alone and the spare is ready."""
        def alone():
            told = self.ask("status")
            left = [name for name, slot in told["slots"].items() if slot]
            return left[0] if told["job"] is None and len(left) == 1 and told["slots"][left[0]]["playing"] else None
        return until(alone, seconds, "one slot", every=0.02)

    def playing_model(self) -> str:
        return self.ask("status")["slots"][self.settled()]["model"]

    def heard(self) -> np.ndarray:
        """The recording from a while after its first sound to a while before its last, float64 [frames]."""
        audio = soundfile.read(self.take, dtype="float64")[0][:, 0]
        loud = np.flatnonzero(np.abs(audio) > LEVEL / 2)
        return audio[loud[0] + RATE // 4:loud[-1] - RATE // 4]


@pytest.fixture(scope="module")
def run(models, tmp_path_factory, own_run_files):
    """One run for all that leaves it as it was."""
    with Swapping(tmp_path_factory.mktemp("run"), models) as run:
        run.sounding()
        yield run


@pytest.fixture
def idle(run):
    """The run, with the low tone playing alone, a spare ready, and what it said and counted so far."""
    run.settled()
    if run.playing_model() != "low":
        run.swap("low")
        run.settled()
    until(lambda: "spare" in titles(run.pid), 20, "the spare")
    run.said_before, run.swaps_before = len(run.said), run.ask("status")["swaps"]
    return run


def news(run) -> tuple[str, int, int]:
    """What it said since the test began; swaps done and failed."""
    now = run.ask("status")["swaps"]
    return run.said[run.said_before:], now["done"] - run.swaps_before["done"], now["failed"] - run.swaps_before["failed"]


def titles(pid: int) -> list[str]:
    found = []
    for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
        try:
            found.append(open(f"/proc/{child}/cmdline").read().split("\0")[0].removeprefix("neurorack: "))
        except OSError:
            continue
    return found


def check_unheard(audio: np.ndarray, *, most_db: float = 1.0) -> None:
    """No step steeper than the two tones' own, no window of 20 ms louder or softer than usual."""
    own = LEVEL * 2 * np.pi / RATE * np.hypot(*TONES_HZ.values())
    assert np.abs(np.diff(audio)).max() < 1.03 * own, "a jump"
    rms = np.sqrt((audio[:len(audio) // 960 * 960].reshape(-1, 960) ** 2).mean(1))
    away_db = 20 * np.log10(np.maximum(rms, 1e-9) / np.median(rms))
    assert np.abs(away_db).max() < most_db, "a step of level"


def whole(report: dict) -> bool:
    """The machine did not stand still for longer than the ring is deep."""
    return report["causes"]["stall"] == report["held_blocks"]["stall"] == 0


def test_swaps_under_load_are_not_heard(models, tmp_path, own_run_files):
    """A new model every two seconds, the other core busy: the short form of the soak."""
    with core_load([max(os.sched_getaffinity(0))]), Swapping(tmp_path, models, "--block", 128) as run:
        run.sounding()
        time.sleep(1.5)
        jobs, at = [], time.monotonic()
        for i in range(5):
            time.sleep(max(0, at + 2 * i - time.monotonic()))
            jobs.append(run.swap("low" if i % 2 else "high"))
        run.settled()
        run.stop()
        report = run.report
        assert report["swaps"] == {"done": 5, "failed": 0} and report["causes"]["swap"] == report["held_blocks"]["swap"] == 0
        assert np.median([job["ms"]["fading"] for job in jobs]) < 400, "ready models come at once, even on a busy machine"
        assert all(job["ms"]["holding"] - job["ms"]["fading"] >= 45 for job in jobs), "the crossfade takes its time"
        assert report["restarts"] == {"audio": 0, "synth": 0, "inputs": 0}
        if whole(report):
            check_unheard(run.heard())


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_ten_minutes_of_swaps(models, tmp_path, own_run_files):
    with core_load([max(os.sched_getaffinity(0))]), Swapping(tmp_path, models, "--block", 128) as run:
        run.sounding()
        before, at = memory_mb(run.pid), time.monotonic() + 2
        for i in range(120):
            time.sleep(max(0, at + 5 * i - time.monotonic()))
            run.swap("low" if i % 2 else "high")
        run.settled()
        time.sleep(2)
        after = memory_mb(run.pid)
        run.stop()
        report = run.report
        print(report["causes"], report["held_blocks"], before, after)
        assert report["swaps"]["done"] == 120 and report["causes"]["swap"] == 0 and after < before + 10
        if whole(report):
            check_unheard(run.heard())


def memory_mb(pid: int) -> float:
    pids = [str(pid), *open(f"/proc/{pid}/task/{pid}/children").read().split()]
    lines = [line for p in pids for line in open(f"/proc/{p}/smaps_rollup") if line.startswith("Private_")]
    return sum(int(line.split()[1]) for line in lines) / 1024


# ---- what does not come to play


@pytest.mark.parametrize("name, why", [("broken.safetensors", "model file"), ("absent.safetensors", "there is no model")])
def test_what_cannot_be_loaded_is_refused_and_the_sound_goes_on(idle, name, why):
    with pytest.raises(NeurorackError, match=why):
        idle.swap(name)
    assert idle.playing_model() == "low" and idle.rack.audio.mix == idle.rack.run.mix_target


def test_one_too_slow_never_reaches_the_jack(idle, tmp_path):
    slow, mix = of_cost(tmp_path, 2.0), idle.rack.audio.mix
    with pytest.raises(NeurorackError, match="times too slow for this machine"):
        idle.ask("swap", model=str(slow))
    assert idle.rack.audio.mix == mix and idle.playing_model() == "low" and idle.ask("status")["underruns"]["slow"] == 0


def test_one_that_stops_while_the_old_is_kept_is_turned_back_from(idle):
    new = idle.rack.synth["BA".index(idle.settled())]
    idle.swap("high", wait=False)
    until(lambda: (idle.ask("status")["job"] or {}).get("phase") == "holding", 20, "the new model")
    os.kill(new.pid, signal.SIGSTOP)
    assert idle.playing_model() == "low"
    said, done, failed = news(idle)
    assert "high is not played: it did not keep its deadline" in said and (done, failed) == (0, 1)


def test_a_second_wish_takes_the_place_of_the_first(idle):
    first, second = idle.swap("high", wait=False), idle.swap("low")
    assert first["phase"] in ("loading", "waiting") and second["phase"] == "done"
    assert "high is not played: another model was asked for" in news(idle)[0] and idle.playing_model() == "low"


def test_a_wish_while_the_old_one_is_kept_waits_its_turn(idle):
    idle.swap("high", wait=False)
    until(lambda: (idle.ask("status")["job"] or {}).get("phase") == "holding", 20, "the first")
    assert idle.swap("low")["phase"] == "done"
    assert news(idle)[1:] == (2, 0) and idle.playing_model() == "low"


def test_a_model_whose_file_is_deleted_plays_on_and_its_successor_is_the_last_good_one(idle):
    gone, rack = idle.models / "gone.safetensors", idle.rack
    steady(gone, hertz=600.0, name="gone")
    idle.swap("gone")
    slot = "AB".index(idle.settled())
    gone.unlink()
    blocks = rack.synth[slot].blocks
    until(lambda: rack.synth[slot].blocks > blocks + 50, 10, "more of it")
    os.kill(rack.synth[slot].pid, signal.SIGKILL)
    until(lambda: idle.ask("status")["slots"]["AB"[slot]]["model"] == "low" and rack.synth[slot].playing == 1, 20, "the model before it")
    assert "gone.safetensors cannot be loaded again; low plays instead" in news(idle)[0]


def test_the_death_of_one_slot_never_touches_the_other(idle):
    rack, first = idle.rack, "AB".index(idle.settled())
    idle.ask("load", slot="BA"[first], model=str(idle.models / "high.safetensors"))
    idle.ask("mix", value=0.5)
    until(lambda: rack.audio.mix == 0.5, 5, "the middle")
    for slot in (1 - first, first):
        other = rack.synth[1 - slot]
        pid, blocks, late = other.pid, other.blocks, int(rack.audio.late_blocks[1 - slot])
        victim, restarts = rack.synth[slot].pid, rack.run.restarts[1 + slot]
        os.kill(victim, signal.SIGKILL)
        until(lambda: rack.synth[slot].pid != victim and rack.synth[slot].playing == 1, 20, "its successor")
        assert other.pid == pid and other.blocks > blocks and rack.run.restarts[1 + slot] == restarts + 1
        assert int(rack.audio.late_blocks[1 - slot]) - late <= 4, "a stall of the machine, at most"
    idle.ask("unload", slot="BA"[first])


def test_killing_the_new_one_at_any_moment_leaves_the_old_one_playing(models, tmp_path, own_run_files):
    """From the first moment of a swap to after its end: one of the two plays, and it plays on."""
    chance, moments = random.Random(7), []
    phases = ("loading", "filling", "proving", "fading", "holding")
    with Swapping(tmp_path, models) as run:
        run.sounding()
        for wanted in ("loading", "filling", "proving", "fading", "holding", "holding"):
            playing = run.settled()
            other, old = run.rack.synth["BA".index(playing)], run.rack.synth["AB".index(playing)].pid
            before = other.pid
            run.swap("high" if run.playing_model() == "low" else "low", wait=False)
            until(lambda: phase(run) in (*phases[phases.index(wanted):], "returning", "done", None), 10, wanted, every=0.002)
            time.sleep(0.03 * chance.random())
            moments.append(phase(run))
            victim = other.pid if other.pid != before else next(iter(spares(run.pid)), None)
            if victim and victim != old:
                os.kill(victim, signal.SIGKILL)
            left = run.rack.synth["AB".index(run.settled())]
            blocks = left.blocks
            until(lambda: left.playing == 1 and left.blocks > blocks + 5, 5, "more sound")
        run.stop()
        report, audio = run.report, run.heard()
    assert {"proving", "fading", "holding"} & set(moments) and report["restarts"]["audio"] == 0, moments
    assert report["causes"]["swap"] == 0, report["causes"]
    own = LEVEL * 2 * np.pi / RATE * np.hypot(*TONES_HZ.values())
    assert np.abs(np.diff(audio)).max() < 2 * own + LEVEL / 64, "a click"


def phase(run) -> str | None:
    return (run.ask("status")["job"] or {}).get("phase")


def spares(pid: int) -> list[int]:
    return [int(child) for child in open(f"/proc/{pid}/task/{pid}/children").read().split() if "spare" in open(f"/proc/{child}/cmdline").read()]
