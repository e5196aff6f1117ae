"""The long run: ten minutes under everything at once. ``make soak``."""

import json
import os

import numpy as np
import pytest

from tests.play.offline import Watch
from tests.play.runs import until, write_score
from tests.play.test_run import private_mb
from tests.rig.burn import burning_env, core_load
from tests.rig.stalls import StallLog

MINUTES = 10


@pytest.mark.soak
@pytest.mark.parametrize("block", [128, 64])
def test_ten_minutes_under_burners_and_full_load(play, card, tone, tmp_path, block):
    """No underrun of the ring at block 128; at 64 no more than the machine's own stalls explain. Memory stands still.

    Two threads burn the interpreter's lock in the audio and the synth process, a full load keeps another core busy, hits and
    moving CVs all the while.
    """
    seconds = MINUTES * 60
    times = 0.5 + np.cumsum(np.random.default_rng(9).uniform(0.12, 0.3, int(seconds / 0.21) + 50))
    events = [e for t in times[times < seconds - 1] for e in ({"at": round(float(t), 4), "jack": "gate1"}, {"at": round(float(t) + 0.005, 4), "jack": "gate1", "volts": 0})]
    curves = {f"cv{i}": [[float(t), float(v)] for t, v in zip(np.arange(0, seconds, 2.0), np.random.default_rng(i).uniform(-5, 5, 400))] for i in (1, 2, 3)}
    score = write_score(tmp_path / "score.yaml", seconds, events, curves=curves)
    with StallLog(500) as stalls, core_load([max(os.sched_getaffinity(0))]):
        run = play("--model", tone, "--score", score, "--block", block, card=card, env=burning_env(2, only="neurorack: audio,neurorack: synth"))
        watch = Watch(run.attach())
        run.sounding()
        until(lambda: run.rack.audio.blocks * block > 20 * 48000, 60, "the first 20 seconds", every=0.5)
        early = {role: private_mb(pid) for role, pid in run.pids.items()}
        until(lambda: run.rack.audio.blocks * block > (seconds - 15) * 48000, seconds + 60, "the last seconds", every=1)
        late_mb = {role: private_mb(pid) for role, pid in run.pids.items()}
        last_late_ns = run.rack.audio.last_late_ns
        report = run.finish(120)
        watch.finish()
    longest = max((core["longest_us"] for core in stalls.report()["cores"]), default=0) / 1e3
    long_ones = sum(stall.us > 1e6 * block / 48000 for stall in stalls.stalls())
    told = json.dumps({"underruns": report["underruns"], "late_edges": report["late_edges"], "stalls of a block or more": long_ones, "longest ms": longest,
                       "last": [s for s in stalls.around(last_late_ns, 50_000_000)][:5] if last_late_ns else []})
    print(told)
    assert len(watch.hits_ns) == report["triggers"] == len(events) // 2, told
    assert report["restarts"] == {"audio": 0, "synth": 0, "inputs": 0} and report["lost_edges"] == 0
    assert all(late_mb[role] < early[role] + 4 for role in early), (early, late_mb)
    if run.rack.audio.fifo == 1 and run.rack.synth[0].fifo == 1:
        ring = report["underruns"]["late"] + report["underruns"]["stalled"]
        assert ring == 0 if block == 128 else ring <= long_ones, told
