"""The whole instrument on the paced fake card: gate to sound, underruns under load, memory, start.

``python benchmarks/realtime.py [--minutes 10]`` as root or with real-time rights, on a machine that does nothing else.

* **Gate to sound**: from a gate edge at the simulated line to the first frame of its onset at the card's jack, by the
  card's own clock. The factory model plays short hits with silence between, so an onset is the first frame that is not zero.
* **Underruns**: two threads burn the interpreter's lock in the audio and in the synth process, a full load keeps the other core busy. The
  machine's own stalls (a core that does not answer for 0.5 ms or more) are logged beside.
* **Memory** is what is private to the processes; **start** is from the command to the first callback that has sound.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from neurorack.shm.rack import Rack  # noqa: E402
from tests.rig.burn import burning_env, core_load  # noqa: E402
from tests.rig.card import FakeCard  # noqa: E402
from tests.rig.stalls import StallLog  # noqa: E402

MEDIAN_TARGET_MS = {64: 6.0, 128: 9.0}
JITTER_TARGET_MS = 1.5
HEARD = 1e-6                 # the model is exactly silent between its hits
HIT_EVERY_SECONDS = 0.41     # its wood block lasts 0.3 s
WOOD_BLOCK = 13.5 / 20       # the gesture's place on its control
MOST_MEGABYTES, MOST_START_SECONDS = 250, 3.0


def write_score(folder: Path, seconds: float) -> Path:
    """Hits at uneven distances, so that they fall on every place within a block."""
    rng = np.random.default_rng(1)
    at, events = 0.4, []
    while at < seconds - 0.5:
        events += [{"at": round(at, 6), "jack": "gate1", "volts": 5}, {"at": round(at + 0.01, 6), "jack": "gate1", "volts": 0}]
        at += HIT_EVERY_SECONDS + rng.uniform(0, 0.02)
    score = folder / "score.yaml"
    score.write_text(yaml.safe_dump({"seconds": seconds, "events": events, "controls": {"gesture": [[0, WOOD_BLOCK]]}}))
    return score


@contextlib.contextmanager
def playing(folder: Path, card: FakeCard, *options, env=None):
    """The instrument on the card; yields (process, rack) once it sounds."""
    command = [sys.executable, "-m", "neurorack", "play", "--device", "rig", "--report", str(folder / "report.json"), *map(str, options)]
    process = subprocess.Popen(command, cwd=HERE.parent, env={**os.environ, **card.env, **(env or {})}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        rack = None
        deadline = time.monotonic() + 30
        while rack is None or rack.synth[0].playing != 1 or rack.audio.frames == 0:
            with contextlib.suppress(Exception):
                rack = rack or Rack.attach_to(process.pid)
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the instrument did not start")
            time.sleep(0.01)
        yield process, rack
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(10)


def latency(block: int, seconds: float) -> dict:
    """One run of hits at this block: milliseconds from edge to jack."""
    with tempfile.TemporaryDirectory() as name, StallLog(500) as log:
        folder = Path(name)
        with FakeCard(folder) as card:
            edges = []
            with playing(folder, card, "--block", block, "--score", write_score(folder, seconds)) as (process, rack):
                reader = rack.edge_reader(from_start=True)
                while process.poll() is None:
                    while edge := reader.next():
                        if edge.jack == 0 and edge.rising:
                            edges.append(edge.edge_ns)
                    time.sleep(0.05)
            loud = np.flatnonzero(np.abs(card.played()).max(axis=1) > HEARD)
            first = loud[np.concatenate([[True], np.diff(loud) > 960])]     # 20 ms of silence before
            onsets_ns = np.array([card.frame_ns(int(i)) for i in first])
            report = json.loads((folder / "report.json").read_text())
            xruns = card.xruns
    pairs = [(edge, onsets_ns[k]) for edge in edges if (k := np.searchsorted(onsets_ns, edge)) < len(onsets_ns) and onsets_ns[k] - edge < 2e8]
    times = np.array([(onset - edge) / 1e6 for edge, onset in pairs])
    calm = np.array([not log.around(onset, before_ns=int(onset - edge)) for edge, onset in pairs])
    undisturbed = times[calm]
    return {"block": block, "edges": len(edges), "heard": len(pairs), "median_ms": round(float(np.median(times)), 3),
            "p1_ms": round(float(np.percentile(times, 1)), 3), "p99_ms": round(float(np.percentile(times, 99)), 3),
            "jitter_ms": round(float(np.percentile(undisturbed, 99) - np.percentile(undisturbed, 1)), 3),
            "jitter_with_stalls_ms": round(float(np.percentile(times, 99) - np.percentile(times, 1)), 3),
            "edges_in_stalls": int((~calm).sum()), "card_underruns": xruns, "ring_underruns": report["underruns"],
            "reported_ms": report["gate_to_sound_ms"], "median_target_ms": MEDIAN_TARGET_MS[block], "jitter_target_ms": JITTER_TARGET_MS,
            "stalls": log.report()}


def underruns(block: int, minutes: float) -> dict:
    """The built-in patch under burners in every process and a full load on the other core."""
    with tempfile.TemporaryDirectory() as name, StallLog(500) as log:
        folder = Path(name)
        with FakeCard(folder) as card, core_load([max(os.sched_getaffinity(0))]):
            with playing(folder, card, "--block", block, "--seconds", minutes * 60, env=burning_env(2, only="neurorack: audio,neurorack: synth")) as (process, rack):
                process.wait(minutes * 60 + 60)
            report = json.loads((folder / "report.json").read_text())
            xruns = card.xruns
    long_stalls = sum(stall.us > 1e6 * block / 48000 for stall in log.stalls())
    return {"block": block, "minutes": minutes, "blocks": report["blocks"], "ring_underruns": report["underruns"], "card_underruns": xruns,
            "takebacks": report["takebacks"], "block_load_median": report["block_load_median"], "block_load_p99": report["block_load_p99"],
            "stalls_longer_than_a_block": long_stalls, "stalls": log.report()}


def private_megabytes(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.M)) / 1024


def memory_and_start() -> dict:
    """Three starts, the middle one counts; memory after five seconds of play."""
    starts, megabytes = [], {}
    for _ in range(3):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with FakeCard(folder) as card:
                began = time.monotonic()
                with playing(folder, card) as (process, rack):
                    while float(max(rack.audio.peak)) < 1e-3 and time.monotonic() - began < 20:
                        time.sleep(0.002)
                    starts.append(time.monotonic() - began)
                    time.sleep(5)
                    pids = [process.pid, *map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())]
                    megabytes = {Path(f"/proc/{p}/cmdline").read_bytes().split(b"\0")[0].decode().removeprefix("neurorack: "): round(private_megabytes(p), 1) for p in pids}
                    maps = "".join(Path(f"/proc/{p}/maps").read_text() for p in pids)
    return {"start_seconds": round(statistics.median(starts), 3), "start_target_seconds": MOST_START_SECONDS, "private_megabytes": megabytes,
            "private_megabytes_together": round(sum(megabytes.values()), 1), "target_megabytes": MOST_MEGABYTES,
            "heavy_libraries_loaded": [name for name in ("torch", "numba", "scipy") if f"/{name}/" in maps]}


def table(figures: dict) -> str:
    """The figures as markdown."""
    lines = ["| gate to sound | median | p1 … p99 | jitter apart from stalls | edges (in stalls) |", "|---|---|---|---|---|"]
    for row in figures["latency"]:
        lines.append(f"| block {row['block']} | {row['median_ms']:.2f} ms | {row['p1_ms']:.2f} … {row['p99_ms']:.2f} ms | {row['jitter_ms']:.2f} ms | {row['edges']} ({row['edges_in_stalls']}) |")
    lines += ["", "| under load | ring underruns | card underruns | stalls of the machine longer than a block | longest |", "|---|---|---|---|---|"]
    for row in figures["underruns"]:
        ring = row["ring_underruns"]
        longest = max(core["longest_us"] for core in row["stalls"]["cores"]) / 1000
        lines.append(f"| block {row['block']}, {row['minutes']:g} min | {ring['late'] + ring['stalled']} | {row['card_underruns']} | {row['stalls_longer_than_a_block']} | {longest:.1f} ms |")
    rest = figures["process"]
    lines += ["", f"private memory {rest['private_megabytes_together']} MB in all ({', '.join(f'{k} {v}' for k, v in rest['private_megabytes'].items())}); "
              f"{rest['start_seconds']} s from the command to the first sound"]
    return "\n".join(lines)


def main() -> None:
    """Run everything, print the table, write results/realtime.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="of each run under load (default 10)")
    parser.add_argument("--hits-seconds", type=float, default=60, help="of each run of hits (default 60)")
    parser.add_argument("--only", choices=("process", "latency", "underruns"), help="measure one part anew, keep the others")
    options = parser.parse_args()
    results = HERE / "results" / "realtime.json"
    parts = {"process": memory_and_start, "latency": lambda: [latency(block, options.hits_seconds) for block in (64, 128)],
             "underruns": lambda: [underruns(block, options.minutes) for block in (128, 64)]}
    figures = json.loads(results.read_text()) if options.only else {}
    for part in [options.only] if options.only else parts:
        figures[part] = parts[part]()
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures))


if __name__ == "__main__":
    main()
