"""How far a synth works ahead, what happens when that is not enough, and why sound was missing."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from neurorack import causes
from neurorack.engine import Model
from neurorack.errors import NeurorackError
from neurorack.governor import MOST_LEAD_FRAMES, block_seconds, first_leads
from neurorack.shm import table
from neurorack.shm.rack import Rack
from neurorack.voice.voice import Voice
from tests.models import RATE, steady
from tests.play.runs import hits, second_difference, write_score

BLOCK = 2048


def of_cost(folder, share: float, layers: int = 8):
    """A model whose block takes so much of its own duration, as far as this machine is steady."""
    path = folder / "costly.safetensors"
    steady(path, work=layers, blocks=(BLOCK,))
    voice = Voice(Model.load(path), 128, RATE)
    seconds = float(np.median([block_seconds(voice) for _ in range(3)]))
    voice.close()
    steady(path, work=max(1, round(layers * share * BLOCK / RATE / seconds)), blocks=(BLOCK,), name="costly")
    return path


@given(block=st.integers(32, 4096), cost=st.floats(0, 4096), rate=st.sampled_from([44100, 48000, 96000]), saves=st.booleans())
def test_the_look_ahead_leaves_time_for_what_a_block_costs(block, cost, rate, saves):
    leads = first_leads(None, block, cost, rate, saves)
    assert leads.quick <= leads.lead <= MOST_LEAD_FRAMES and leads.lead >= 0.01 * rate
    if leads.lead < MOST_LEAD_FRAMES:
        assert leads.quick >= cost and (not saves or leads.lead >= leads.quick + block)


def test_a_light_model_has_the_shortest_way_to_the_sound():
    assert first_leads(None, 128, 2.0, 48000, True).quick == 64 and first_leads(1024, 128, 2.0, 48000, True).lead == 1024
    with pytest.raises(NeurorackError, match="lead is 5 frames; it must lie from 16 to"):
        first_leads(5, 128, 2.0, 48000, True)


def test_measuring_leaves_the_voice_as_it_was(tone):
    heard = []
    for measure in (False, True):
        voice = Voice(Model.load(tone), 128, RATE)
        if measure:
            assert 0 < block_seconds(voice) < 0.1
        voice.add_edge(100, 0, True, [0.0] * 8)
        heard.append(np.concatenate([voice.render().copy() for _ in range(20)]))
        voice.close()
    assert np.array_equal(*heard) and np.abs(heard[0]).max() > 0


def test_a_long_block_is_taken_back_for_a_hit_and_the_way_to_the_sound_is_constant(play, tmp_path):
    path = of_cost(tmp_path, 0.12)
    run = play("--model", path, "--score", write_score(tmp_path / "score.yaml", 2.5, hits(2.5, 0.17)))
    report = run.finish()
    assert report["takebacks"] >= 10 and report["lead_frames"] >= BLOCK, report
    assert report["gate_to_sound_ms"] < 1e3 * (BLOCK + BLOCK / 2) / RATE, "the block, and time to make it anew; not two blocks"
    if report["late_edges"] == 0:
        assert report["gate_to_sound_jitter_ms"] < 1.5


def test_a_model_that_is_too_slow_goes_on_sounding_and_is_named(play, tmp_path):
    """Before silence comes repetition; and no underrun is without its cause."""
    path = of_cost(tmp_path, 1.4)
    score = write_score(tmp_path / "score.yaml", 2.5)
    run = play("--model", path, "--score", score, "--record", tmp_path / "take.wav")
    report = run.finish()
    held, late = report["held_blocks"], report["causes"]
    assert held["slow"] > 5 and sum(held.values()) == held["slow"] + held["stall"]
    assert sum(late.values()) <= 60, "it fell silent again and again"
    heard, _ = soundfile.read(tmp_path / "take.wav", dtype="float32")
    loud = np.flatnonzero(np.abs(heard).max(1) > 0.05)
    heard = heard[loud[0] + 9600:loud[-1] - 4800, 0]
    pieces = np.abs(heard[:len(heard) // 480 * 480].reshape(-1, 480)).max(1)
    assert np.mean(pieces < 0.01) < 0.05, "silence in the middle"
    assert np.median(pieces) == pytest.approx(0.3, rel=0.1)
    own = 0.3 * 2 * np.pi * 300 / RATE
    assert np.abs(np.diff(heard)).max() < 2.5 * own and second_difference(heard[:, None]).max() < 2.5 * own, "a held block begins with a jump"


# ---- causes


class Watched:
    """A slot's counts, set by hand."""

    def __init__(self, throttle=None):
        self.rack = Rack.create(sample_rate_hz=48000, block_frames=128)
        self.watch = causes.Watch(self.rack, 0, throttle or causes.Throttle("/nowhere"))

    def late(self, count: int = 1, **more) -> dict:
        self.rack.audio.late_blocks[0] += count
        return self.watch.look(**{"alive": True, "swapping": False, "heard": True, **more})


def test_every_underrun_has_a_cause():
    seen = Watched()
    assert seen.late(2) == {"stall": 2}, "nothing else explains it"
    assert seen.late(3, swapping=True) == {"swap": 3}
    seen.watch.flush()
    assert seen.late(1, alive=False) == {"died": 1}
    seen.rack.audio.stalled_blocks[0] += 1
    assert seen.late(1, swapping=True) == {"stall": 1}, "the callback itself was late"
    seen.rack.synth[0].gone_blocks += 1
    assert seen.late(1, swapping=True) == {"stall": 1}, "the machine did not let the thread run"
    seen.rack.synth[0].slow_blocks += 1
    assert seen.late(4) == {"slow": 4}
    seen.rack.synth[0].held_blocks += 2
    assert seen.late(0) == {"slow": 2}
    assert seen.late(0) == {}
    seen.watch.flush()
    assert causes.totals(seen.rack) == {"slow": 4, "stall": 4, "throttled": 0, "swap": 3, "died": 1}
    assert causes.totals(seen.rack, "held")["slow"] == 2 and set(table.CAUSES) == set(causes.totals(seen.rack))


def test_a_death_that_is_seen_late_explains_what_came_before():
    seen = Watched()
    assert seen.late(3, swapping=True) == {"swap": 3}
    assert sum(causes.totals(seen.rack).values()) == 0, "not yet: it may be dying"
    assert seen.late(0, alive=False) == {} and causes.totals(seen.rack)["died"] == 3


def test_what_nobody_could_hear_is_not_counted():
    seen = Watched()
    assert seen.late(5, heard=False) == {"stall": 5}
    seen.watch.flush()
    assert sum(causes.totals(seen.rack).values()) == 0


def sysfs(folder, **files):
    """A tree as the kernel's, with these files."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return folder


@pytest.mark.parametrize("evidence", [
    {"devices__system__cpu__cpu0__cpufreq__scaling_cur_freq": 600000, "devices__system__cpu__cpu0__cpufreq__cpuinfo_max_freq": 1800000},
    {"devices__platform__soc__soc:firmware__get_throttled": "50005"}])
def test_a_processor_that_is_held_back_is_told_from_a_model_too_slow(tmp_path, evidence):
    seen = Watched(causes.Throttle(sysfs(tmp_path, **evidence)))
    section = seen.rack.synth[0]
    section.block_us = 1000.0
    assert seen.late(0) == {}
    section.slow_blocks += 1
    assert seen.late(1) == {"slow": 1}, "it takes no longer than it always took"
    section.block_us, section.slow_blocks = 1500.0, section.slow_blocks + 1
    assert seen.late(1) == {"throttled": 1}


def test_a_cool_processor_is_not_held_back(tmp_path):
    cool = {"devices__system__cpu__cpu0__cpufreq__scaling_cur_freq": 1800000, "devices__system__cpu__cpu0__cpufreq__cpuinfo_max_freq": 1800000,
            "devices__system__cpu__cpu0__thermal_throttle__core_throttle_count": 7, "devices__platform__soc__soc:firmware__get_throttled": "50000"}
    throttle = causes.Throttle(sysfs(tmp_path, **cool))
    assert not throttle.now()
    sysfs(tmp_path, devices__system__cpu__cpu0__thermal_throttle__core_throttle_count=8)
    throttle.looked_at = 0.0
    assert throttle.now(), "it was, since the last look"
