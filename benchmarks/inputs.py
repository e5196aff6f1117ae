"""The inputs process on simulated boards at datasheet timing: scan rates, CV step to shared memory, processor time, calibration,
and what eight modulators add to it.

``python benchmarks/inputs.py [--seconds 5] [--steps 300]``. Targets: at least 95 % of the scans a chip can make, a step in
shared memory within 1.5 scan periods at the median, at most 15 % of one core, calibration within 2 cents over 5 octaves.
Processor time is the process's own and holds the simulation of its chips too, which runs inside it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
BOARDS = ("desk", "pi", "pi-ads1115", "classic")
TRANSFERS = 3                 # of an ADS conversion: point, read, next settings
#: What each converter can do, conversions a second: an ADS at its fastest rate; a single shot wakes for 25 us and sends
#: 8 bytes with their acknowledges before the next. An MCP3208 is asked for 2000 scans a second.
LIMIT_HZ = {"ads1115": 860.0, "ads1015 single shots": 1 / (1.1 / 3300 + 30e-6 + 87 / 400e3)}
#: How far off the chips are that are calibrated; at the pin. The classic board's pin sees a twentieth of a jack's volts.
OFF = {"pi": {"gain": 1.02, "offset_volts": 0.03}, "pi-ads1115": {"gain": 1.02, "offset_volts": 0.03}, "classic": {"gain": 1.02, "offset_volts": 0.0014}}
#: Eight modulators, every kind among them, the dear ones twice.
MODULATORS = {"mod1": {"kind": "lfo", "rate_hz": 7.0}, "mod2": {"kind": "lfo", "shape": "random", "rate_hz": 50.0}, "mod3": {"kind": "envelope", "curve": 1.0},
              "mod4": {"kind": "envelope", "trigger": "clock"}, "mod5": {"kind": "sample_hold", "trigger": "clock"}, "mod6": {"kind": "slew", "response": "exponential"},
              "mod7": {"kind": "walk", "rate_hz": 50.0}, "mod8": {"kind": "steps", "glide_ms": 50.0}}
MODULATOR_WINDOWS = 12        # with and without them, in turns
CPU_WINDOWS = 5               # processor time is the median of so many windows: this machine's other work comes and goes


class Bench:
    """One board's inputs process, from outside."""

    def __init__(self, name: str):
        from neurorack.drivers import board as boards
        from neurorack.process import spawn
        from neurorack.shm.rack import Rack

        self.settings = boards.load(name)
        self.rack = Rack.create(sample_rate_hz=48000, block_frames=128)
        self.wires = boards.wires(self.settings, self.rack, True)
        config, fds = {"board": self.settings}, ()
        if name == "desk":
            config["gate_fd"] = self.wires.far.fileno()
            fds = (config["gate_fd"],)
        else:
            config["environment"] = self.wires.environment()
        self.sim = getattr(self.wires, "sim", None)
        self.process = spawn("inputs", self.rack, config, fds)
        while self.rack.inputs.scans < 10:
            time.sleep(0.01)

    def cpu_seconds(self) -> float:
        """Processor time of all its threads so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(5)
        if self.sim:
            self.sim.close()


def rates(bench: Bench, seconds: float) -> dict:
    """Scans and conversions a second, and the share of a core they take."""
    chips = [c for c in bench.settings.get("converters", ()) if c["chip"].startswith("ads")]

    def transfers() -> list[int]:
        return [bench.sim.chip(c["chip"], sum(o["chip"] == c["chip"] for o in chips[:i])).transfers for i, c in enumerate(chips)]

    began, scans, before, shares = time.monotonic(), bench.rack.inputs.scans, transfers(), []
    for _ in range(CPU_WINDOWS):
        start, cpu = time.monotonic(), bench.cpu_seconds()
        time.sleep(seconds / CPU_WINDOWS)
        shares.append((bench.cpu_seconds() - cpu) / (time.monotonic() - start))
    lasted = time.monotonic() - began
    found = {"cpu_share": round(statistics.median(shares), 4), "cpu_share_least": round(min(shares), 4), "scans_hz": round((bench.rack.inputs.scans - scans) / lasted, 1),
             "scans_asked_hz": bench.settings["cv"]["scan_hz"]}
    for c, was, now in zip(chips, before, transfers()):
        limit = LIMIT_HZ[c["chip"] if "ready_line" in c else f"{c['chip']} single shots"]
        found[f"{c['chip']} at {c['address']:#x}"] = {"conversions_hz": round((now - was) / TRANSFERS / lasted, 1), "limit_hz": round(limit, 1)}
    return found


def jack_periods(bench: Bench, found: dict) -> dict[int, float]:
    """Seconds between two conversions of a CV jack by the limit of its chip, for the first jack of each converter."""
    periods = {}
    for c in bench.settings.get("converters", ()):
        order = list(c.get("sequence", c["inputs"]))
        jack = next(name for name in order if name.startswith("cv"))
        limit = found.get(f"{c['chip']} at {c.get('address', 0):#x}", {}).get("limit_hz")
        periods[int(jack[2:]) - 1] = len(order) / limit / order.count(jack) if limit else 1 / bench.settings["cv"]["scan_hz"]
    return periods or {0: 1 / bench.settings["cv"]["scan_hz"]}


def step_ms(bench: Bench, jack: int, steps: int, seed: int = 1) -> list[float]:
    """From a step at a jack to shared memory, each in milliseconds."""
    rng, found, get = random.Random(seed), [], bench.rack.get_cv
    for i in range(steps):
        target = -3.0 if i % 2 else 3.0
        time.sleep(rng.uniform(0.01, 0.02))
        began = time.perf_counter()
        bench.wires.set_cv(jack, target)
        while abs(get(jack) - target) > 0.5:
            if time.perf_counter() - began > 1:
                raise RuntimeError("the step never came")
        found.append(1000 * (time.perf_counter() - began))
    return found


def modulators(bench: Bench, seconds: float) -> dict:
    """Processor time of a scan without modulators and with eight of them, in turns; and of one run of them alone."""
    from types import SimpleNamespace

    from neurorack.inputs.sources import parse
    from neurorack.inputs.sources_bank import Bank
    from neurorack.inputs.sources_hand import Sources

    settings = {name: parse(name, entry) for name, entry in MODULATORS.items()}
    ours = Sources(SimpleNamespace(rack=bench.rack, settings=SimpleNamespace(seed=1, score=None)))
    found = {"without": [], "with": []}
    for i in range(MODULATOR_WINDOWS):
        ours.restore(settings if i % 2 else {})
        time.sleep(0.05)
        scans, cpu = bench.rack.inputs.scans, bench.cpu_seconds()
        time.sleep(seconds / CPU_WINDOWS)
        found["with" if i % 2 else "without"].append(1e6 * (bench.cpu_seconds() - cpu) / (bench.rack.inputs.scans - scans))
    alone, cv, at, times = Bank(), [1.0] * 8, 0, {"with": [], "without": []}
    for i in range(200):
        what = "with" if i % 2 else "without"
        alone.set(settings if i % 2 else {})
        began = time.perf_counter()
        for at in range(at + 500_000, at + 200 * 500_000, 500_000):
            alone.run(at, cv)
        times[what].append(1e6 * (time.perf_counter() - began) / 199)
    without, with_them = (statistics.median(found[name]) for name in ("without", "with"))
    return {"scan_us_without": round(without, 2), "scan_us_with_8": round(with_them, 2), "ratio": round(with_them / without, 3),
            "run_us_of_8_alone": round(statistics.median(times["with"]) - statistics.median(times["without"]), 3)}


def calibration_cents(bench: Bench) -> dict:
    """Largest error over five octaves, by what is published, before and after calibration of a chip that is off."""
    from neurorack.inputs import calibration
    from neurorack.inputs.calibrate import Session
    from neurorack.inputs.watching import Jacks

    off = OFF[bench.settings["name"]]
    for chip in bench.sim.board.chip:
        chip.gain, chip.offset_volts = off["gain"], off["offset_volts"]
    jacks = list(range(bench.settings["cv"]["jacks"]))

    def worst() -> float:
        errors = []
        for volts in np.arange(0, 5.01, 0.5):
            for jack in jacks:
                bench.wires.set_cv(jack, float(volts))
            time.sleep(0.15)
            means = np.mean([bench.rack.read_controls()[0] for _ in range(300) if time.sleep(0.001) is None], axis=0)
            errors += [1200 * abs(means[jack] - volts) for jack in jacks]
        return round(float(max(errors)), 2)

    before = worst()
    session = Session(Jacks(bench.rack, bench.settings, bench.rack.inputs.board_name, bench.wires), jacks, [0.0, 1.0, 3.0], 1.0, None, print)
    calibration.save(bench.rack.inputs.board_name, session.measure(), "benchmark")
    time.sleep(1.5)
    return {"chip": off, "worst_cents_before": before, "worst_cents_after": worst(), "jacks": len(jacks), "failed": len(session.failed)}


def main() -> None:
    """Measure every board; writes results/inputs.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    figures = {"load_average": os.getloadavg()[0], "cpus": os.cpu_count(), "boards": {}}
    with tempfile.TemporaryDirectory() as state:
        os.environ["STATE_DIRECTORY"] = state
        for name in BOARDS:
            bench = Bench(name)
            try:
                time.sleep(0.5)
                found = figures["boards"][name] = rates(bench, args.seconds)
                for jack, period in jack_periods(bench, found).items():
                    times = step_ms(bench, jack, args.steps)
                    found[f"step cv{jack + 1}"] = {"median_ms": round(statistics.median(times), 3), "p95_ms": round(float(np.percentile(times, 95)), 3),
                                                   "period_ms": round(1000 * period, 3), "periods": round(statistics.median(times) / (1000 * period), 2)}
                if name == "pi":
                    found["modulators"] = modulators(bench, args.seconds)
                if name in OFF:
                    found["calibration"] = calibration_cents(bench)
            finally:
                bench.close()
            print(name, json.dumps(found, indent=1))
    (HERE / "results" / "inputs.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
