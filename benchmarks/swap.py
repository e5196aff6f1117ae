"""Swaps under load, on the paced fake card: how long they take, and whether they are heard.

``python benchmarks/swap.py [--minutes 10] [--every 5] [--block 128] [--models NAME ...]`` as root or with real-time rights.

* The instrument plays at the given block while a full load keeps the other core busy; a new model comes every few seconds.
* **Latency**: from the request to the crossfade's start, and to the time at which nothing of the old model is left.
* **Underruns** of what was heard, by cause (``neurorack/causes.py``); *swap* is the one that counts here.
* **Sound**: without ``--models`` two steady tones of equal loudness take turns, so that every jump and step of level is known:
  the steepest sample-to-sample step against the tones' own, the level of every 20 ms against the steady one. Where the machine
  stood still, the underrun's own fade is in these figures; windows around such times are left out and counted.
* **Memory**: private megabytes of all processes before the first swap and after the last.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.realtime import playing, private_megabytes  # noqa: E402
from neurorack import control  # noqa: E402
from neurorack.errors import NeurorackError  # noqa: E402
from tests.models import steady  # noqa: E402
from tests.rig.burn import core_load  # noqa: E402
from tests.rig.card import FakeCard  # noqa: E402
from tests.rig.stalls import StallLog  # noqa: E402

TONES_HZ, LEVEL = (430.0, 730.0), 0.3
WINDOW_SECONDS = 0.02
TARGETS = {"swap_underruns": 0, "request_to_fade_ms": 200, "level_step_db": 1.0, "steepest_against_own": 1.0}


def all_private_megabytes(pid: int) -> float:
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    return round(sum(private_megabytes(p) for p in pids), 1)


def settled(pid: int, seconds: float = 10.0) -> None:
    """Until nothing of an old model is left and the spare is there again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        told = control.request({"do": "status"}, pid)
        if told["job"] is None and sum(slot is not None for slot in told["slots"].values()) == 1:
            break
        time.sleep(0.1)
    time.sleep(1.0)


def swaps(pid: int, names: list[str], minutes: float, every: float) -> list[dict]:
    """One swap after the other; milliseconds from the request, or why there was none."""
    done, end, next_at, count = [], time.monotonic() + 60 * minutes, time.monotonic(), 0
    while (next_at := next_at + every) < end:
        time.sleep(max(0.0, next_at - time.monotonic()))
        count += 1
        began = time.monotonic_ns()
        try:
            job = control.request({"do": "swap", "model": names[count % len(names)]}, pid)["job"]
            done.append({"model": job["model"], "at_ns": began, "error": None, **{name: job["ms"].get(name) for name in ("fading", "holding", "done")}})
        except NeurorackError as error:
            done.append({"model": names[count % len(names)], "at_ns": began, "error": str(error)})
    return done


def sound(audio: np.ndarray, level: float, tones_hz, rate: int = 48000) -> dict:
    """Steps and levels of a recording of steady tones that took turns; the fades at its ends and after gaps left out."""
    window = round(WINDOW_SECONDS * rate)
    audio = audio[rate // 2:len(audio) - rate // 2, 0].astype(np.float64)
    rms = np.sqrt((audio[:len(audio) // window * window].reshape(-1, window) ** 2).mean(1))
    usual = np.median(rms)
    away_db = np.abs(20 * np.log10(np.maximum(rms, 1e-9) / usual))
    own = level * 2 * np.pi / rate * float(np.hypot(*tones_hz))      # the two together, at the most, in an equal-power crossfade
    return {"windows": len(rms), "windows_more_than_1_db_away": int((away_db > 1).sum()), "farthest_db": round(float(away_db.max()), 3),
            "p999_db": round(float(np.percentile(away_db, 99.9)), 3), "steepest_against_own": round(float(np.abs(np.diff(audio)).max() / own), 4)}


def measure(models: list[str], minutes: float, every: float, block: int) -> dict:
    """One run of swaps under load."""
    with tempfile.TemporaryDirectory() as name, StallLog(500) as log:
        folder, take = Path(name), Path(name) / "take.wav"
        os.environ["XDG_RUNTIME_DIR"] = str(folder / "runtime")
        (folder / "runtime").mkdir()
        tones = [folder / f"tone{i}.safetensors" for i in range(len(TONES_HZ))]
        for path, hertz in zip(tones, TONES_HZ):
            steady(path, hertz=hertz, level=LEVEL)
        names = models or [str(path) for path in tones]
        options = ["--block", block, "--model", names[0]] + ([] if models else ["--record", take])
        with FakeCard(folder) as card:
            with playing(folder, card, *options) as (process, _), core_load([max(os.sched_getaffinity(0))]):
                time.sleep(2)
                before = all_private_megabytes(process.pid)
                done = swaps(process.pid, names, minutes, every)
                settled(process.pid)
                after = all_private_megabytes(process.pid)
            report = json.loads((folder / "report.json").read_text())
            heard = None if models else sound(soundfile.read(take, dtype="float32")[0], LEVEL, TONES_HZ)
    times = [swap["fading"] for swap in done if swap.get("fading")]
    return {
        "block": block, "minutes": minutes, "every_seconds": every, "models": models or list(TONES_HZ), "swaps": len(done),
        "failed": [swap for swap in done if swap["error"]], "request_to_fade_ms": spread(times),
        "request_to_done_ms": spread([swap["done"] for swap in done if swap.get("done")]), "causes": report["causes"], "held_blocks": report["held_blocks"],
        "underruns": report["underruns"], "sound": heard, "private_megabytes": {"before": before, "after": after}, "targets": TARGETS,
        "stalls_longer_than_a_block": sum(stall.us > 1e6 * block / 48000 for stall in log.stalls()),
    }


def spread(values: list[float]) -> dict | None:
    if not values:
        return None
    return {"median": round(float(np.median(values)), 1), "p90": round(float(np.percentile(values, 90)), 1), "most": round(max(values), 1)}


def main() -> None:
    """Run, print, write results/swap.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--every", type=float, default=5, help="seconds between swaps (default 5)")
    parser.add_argument("--block", type=int, default=128)
    parser.add_argument("--models", nargs="*", default=[], help="names or files that take turns (default: two tones)")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "swap.json")
    options = parser.parse_args()
    figures = measure(options.models, options.minutes, options.every, options.block)
    options.out.parent.mkdir(exist_ok=True)
    kept = json.loads(options.out.read_text()) if options.out.exists() else {}
    kept["models" if options.models else "tones"] = figures
    options.out.write_text(json.dumps(kept, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
