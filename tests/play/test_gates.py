"""Triggers from the jack to the sound: none lost, none doubled, whatever the contacts and the machine do."""

import os

import numpy as np
import pytest

from tests.models import tone as write_tone
from tests.play.offline import Watch
from tests.play.runs import until, write_score
from tests.rig.burn import burning_env, core_load

TRIGGERS = 500


@pytest.fixture(scope="session")
def blip(tmp_path_factory):
    """A model whose hits last 4 ms, so that many fit into a second."""
    path = tmp_path_factory.mktemp("blip") / "blip.safetensors"
    write_tone(path, hertz=3000.0, hit_seconds=0.004)
    return path


def pulses(count: int, seed: int, length: float = 0.001) -> tuple[list[dict], float]:
    """Triggers of a millisecond at random times, a hundred a second; and when they are over."""
    at = 0.2 + np.cumsum(0.0075 + np.random.default_rng(seed).exponential(0.0025, count))
    events = [e for t in at for e in ({"at": round(float(t), 6), "jack": "gate1", "volts": 5}, {"at": round(float(t) + length, 6), "jack": "gate1", "volts": 0})]
    return events, float(at[-1])


def test_none_of_500_one_millisecond_triggers_is_lost_or_doubled(play, card, blip, tmp_path):
    events, end = pulses(TRIGGERS, 1)
    run = play("--model", blip, "--score", write_score(tmp_path / "score.yaml", end + 0.3, events), "--block", 64, card=card)
    watch = Watch(run.attach())
    report = run.finish()
    watch.finish()
    assert report["triggers"] == TRIGGERS and report["lost_edges"] == 0, (report, run.said)
    assert len(watch.hits_ns) == TRIGGERS or watch.reader.lost, (report, run.said)      # the watch may be held up; the instrument may not
    assert report["late_edges"] <= TRIGGERS // 50, "what is late is played at once; more than a stall or two it must not be"
    assert run.rack.inputs.edges == 2 * TRIGGERS

    # by ear: from one hit's silence to the next one's first frame
    played = np.abs(card.played()).max(axis=1)
    loud = np.flatnonzero(played > 1e-3)
    starts = loud[np.concatenate([[True], np.diff(loud) > 60])]
    heard_ns = np.array([card.frame_ns(int(i)) for i in starts])
    offsets_ms = []
    for edge in watch.hits_ns:
        after = heard_ns[(heard_ns > edge) & (heard_ns < edge + 12e6)]
        offsets_ms += [(after[0] - edge) / 1e6] if len(after) else []
    assert len(offsets_ms) > 0.8 * TRIGGERS and len(starts) < 1.1 * TRIGGERS, "where the card ran dry some are cut"
    assert np.percentile(offsets_ms, 75) - np.percentile(offsets_ms, 25) < 1.0


def test_bouncing_contacts_are_single_hits(play, blip, tmp_path, board_file):
    events, end = pulses(100, 2, length=0.003)
    run = play("--model", blip, "--score", write_score(tmp_path / "score.yaml", end + 0.3, events), "--board", board_file(gates={"bounce_us": 380}))
    rack = run.attach()
    report = run.finish()
    assert report["triggers"] == 100 and report["board"] == "own"
    assert rack.inputs.edges == 200 and rack.inputs.bounces > 200, "the contacts did bounce"


def test_a_converter_that_fails_now_and_then_costs_no_hit(play, blip, tmp_path, board_file):
    events, end = pulses(60, 3, length=0.003)
    run = play("--model", blip, "--score", write_score(tmp_path / "score.yaml", end + 0.3, events), "--board", board_file(cv={"error_rate": 0.01}))
    rack = run.attach()
    assert run.finish()["triggers"] == 60
    assert rack.inputs.chip_errors >= 3 and "ChipError" in run.said and "answers again" in run.said


def test_gate_2_freezes_what_plays(play, tone, tmp_path):
    events = [{"at": 0.2, "jack": "gate1"}, {"at": 0.21, "jack": "gate1", "volts": 0}, {"at": 0.25, "jack": "gate2"}, {"at": 1.2, "jack": "gate2", "volts": 0}]
    run = play("--model", tone, "--score", write_score(tmp_path / "score.yaml", 1.6, events)).sounding()
    until(lambda: run.rack.synth[0].frozen, 20, "the freeze")
    assert run.rack.synth[0].gesture == 0
    until(lambda: not run.rack.synth[0].frozen, 20, "its end")
    run.finish()
    assert run.rack.synth[0].gesture == -1, "a hit of 0.1 s was held for one, and has ended"


def test_cvs_and_driven_controls_arrive(play, tone, tmp_path):
    """cv1 is routed onto the level; the score drives the decay."""
    spec = {"curves": {"cv1": [[0, 2.0], [5, 2.0]]}, "controls": {"decay": [[0, 0.8], [5, 0.8]]}}
    run = play("--model", tone, "--score", write_score(tmp_path / "score.yaml", 5, **spec)).sounding()
    rack = run.rack
    until(lambda: abs(rack.synth[0].control[0] - 0.7) < 0.01, 10, "0.5 + 2 V * 0.1/V")
    until(lambda: abs(rack.synth[0].control[2] - 0.8) < 1e-6, 10, "the driven control")
    volts, _, _ = rack.read_controls()
    assert volts[0] == pytest.approx(2.0, abs=0.02)
    run.stop()


def test_under_burners_and_full_load_every_hit_is_there(play, card, blip, tmp_path):
    """Two threads burn the interpreter's lock in each of the four processes, and every core has a load beside."""
    events, end = pulses(150, 4, length=0.004)
    score = write_score(tmp_path / "score.yaml", end + 0.5, events)
    with core_load():
        run = play("--model", blip, "--score", score, "--block", 128, card=card, env=burning_env(2, only="neurorack: audio,neurorack: synth"))
        watch = Watch(run.attach())
        report = run.finish()
        watch.finish()
    assert len(watch.hits_ns) == report["triggers"] == 150
    if run.rack.audio.fifo != 1:
        return      # without real-time rights there is no promise about the rest
    late = report["underruns"]["late"] + report["underruns"]["stalled"]
    assert late <= 0.02 * report["blocks"], "the callback or the render thread waits for the interpreter"
    assert report["restarts"] == {"audio": 0, "synth": 0, "inputs": 0}, os.times()
