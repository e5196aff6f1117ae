"""One control through the shared block and through a ``multiprocessing.Manager`` dict, side by side in one run.

``python benchmarks/shared_memory.py``; the target is at most a hundredth of the dict's time.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
ROUNDS, TARGET = 15, 0.01


def microseconds(call, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - began) / count * 1e6


def main() -> None:
    """Interleaved rounds, medians, ratios; writes results/shared_memory.json."""
    from neurorack.shm.rack import Rack

    rack = Rack.create(sample_rate_hz=48000, block_frames=64)
    with multiprocessing.get_context("spawn").Manager() as manager:
        shared = manager.dict()
        shared["cv1"] = 1.0
        volts, frames = [1.0] * 8, np.zeros((64, 2), np.float32)
        ring = rack.rings[0]

        def through_ring():
            ring.push(frames)
            ring.pull(64)

        calls = {
            "Manager dict, read": (lambda: shared["cv1"], 500),
            "Manager dict, write": (lambda: shared.__setitem__("cv1", 2.0), 500),
            "one control, read": (lambda: rack.get_cv(0), 20000),
            "one control, write": (lambda: rack.set_cv(0, 2.0), 20000),
            "all controls, whole snapshot": (rack.read_controls, 5000),
            "all controls, written together": (lambda: rack.write_controls(volts, 1, 5), 5000),
            "gate edge, published": (lambda: rack.publish_edge(0, True, 5, volts), 5000),
            "64 frames, pushed and pulled": (through_ring, 2000),
        }
        times = {name: [] for name in calls}
        for _ in range(ROUNDS):
            for name, (call, count) in calls.items():
                times[name].append(microseconds(call, count))
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = {kind: medians[f"one control, {kind}"] / medians[f"Manager dict, {kind}"] for kind in ("read", "write")}
    figures = {"microseconds": {name: round(value, 4) for name, value in medians.items()},
               "ratio_to_manager": {kind: round(value, 5) for kind, value in ratios.items()}, "target": TARGET}
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "shared_memory.json").write_text(json.dumps(figures, indent=1) + "\n")
    print("| one operation from Python | µs |\n|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {value:.2f} |")
    print(f"\na control against the dict: read 1/{1 / ratios['read']:.0f}, write 1/{1 / ratios['write']:.0f} (target 1/100)")


if __name__ == "__main__":
    main()
