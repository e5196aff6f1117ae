"""TorchScript files against what our importer makes of them: speed, agreement, memory, time, on one core in one run.

    python benchmarks/lifted_vs_torchscript.py [--seconds 2] [--isa sse] [--full] [--families v2 v3]

The files are the tests' own (``tests/zoo``), in the shapes of released models, at capacity 16; ``--full`` adds the released
capacities. They draw their random numbers and are deaf to them, so that outputs can be compared, and both sides start with the
caches that the file brings. TorchScript plays at its native block, one thread, warmed, with optimised execution on and off, and
the better counts. All take turns in bursts of a few blocks; counted is the processor time of the thread, which on a quiet core is the
time that passes, and which neighbours on a busy one disturb least. Memory and the time to a playing list are taken in
processes of their own, ours where torch cannot be imported. Writes benchmarks/results/lifted_vs_torchscript.json (``-sse`` appended
for ``--isa sse``) and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

BURST, WARM_BLOCKS, COMPARED_BLOCKS = 8, 10, 24
SMALL = 16
RELEASED = {"v1": 64, "v2": 96, "v2_small": 48, "v3": 96, "brave": 32}
DECODE_TARGETS = dict.fromkeys(("v1", "v1_causal", "onnx", "raspberry", "v2_prior", "v2_noise", "v2_small"), 6.0)  # v1 and noise shapes
DECODE_TARGET, OTHER_TARGET, NARROW_TARGET, LEAST_DB = 8.0, 5.0, 3.0, 100.0
OTHERS = ("after", "ddsp", "nsf")  # measured without a target


def rave_families() -> list[str]:
    """All but the one whose net and methods another has (its caches hold NaN)."""
    from tests.zoo import catalogue

    return [family.name for family in catalogue.rave() if family.name != "v2_nan"]


def target(name: str, method: str, isa: str | None) -> float | None:
    """How many times faster than TorchScript; None where nothing was set."""
    if name in OTHERS or method not in ("decode", "encode", "forward"):
        return None
    if isa == "sse":
        return NARROW_TARGET
    return DECODE_TARGETS.get(name, DECODE_TARGET) if method == "decode" else OTHER_TARGET


def torch_player(file: Path, method: str, optimised: bool):
    """A callable on a list of blocks [1, channels, rows] that gives the time of each, and the last output."""
    import torch

    module = torch.jit.load(str(file)).eval()
    call = getattr(module, method)

    def play(blocks, keep=False):
        times, out = [], []
        with torch.inference_mode(), torch.jit.optimized_execution(optimised):
            for x in blocks:
                start = time.thread_time_ns()
                y = call(torch.from_numpy(x)).numpy()
                times.append(time.thread_time_ns() - start)
                if keep:
                    out.append(y[0].T.copy())
        return times, out

    return play


def lifted_player(program):
    from neurorack.engine import native

    advance, handle = native.functions().run, program.handle

    def play(blocks, keep=False):
        times, out = [], []
        for x in blocks:
            start = time.thread_time_ns()
            program.input[:] = x[0].T
            advance(handle)
            times.append(time.thread_time_ns() - start)
            if keep:
                out.append(program.output.copy())
        return times, out

    return play


def list_player(file, method, family):
    """The recorded list in numpy, for what the compiler did not take."""
    from neurorack.importer.archive import open_archive
    from neurorack.importer.record import record
    from neurorack.importer.replay import Replay

    channels, ratio, *_ = family.methods[method]
    replay = Replay(record(open_archive(file), method, family.ratio, in_channels=channels, in_ratio=ratio))

    def play(blocks, keep=False):
        times, out = [], []
        for x in blocks:
            start = time.thread_time_ns()
            y = replay.run(x[0].T)
            times.append(time.thread_time_ns() - start)
            if keep:
                out.append(y)
        return times, out

    return play


def agreement_db(reference, other) -> float:
    reference, other = np.concatenate(reference).astype(np.float64), np.concatenate(other).astype(np.float64)
    error = np.mean((reference - other) ** 2)
    return 200.0 if error == 0 else float(10 * np.log10(np.mean(reference**2) / error))


def measure_family(name: str, capacity: int, seconds: float, isa: str | None, folder: Path) -> list[dict]:
    """A row for every method."""
    from neurorack.engine import Model
    from neurorack.importer.lift import lift
    from tests import zoo

    family, file = zoo.FAMILIES[name], zoo.path(name, capacity, quiet=True)
    out = folder / f"{name}-{capacity}.safetensors"
    lifted = lift(file, blocks=[family.ratio], into=out)
    model = Model.load(out) if lifted.path else None
    rows = []
    for method in family.methods:
        report = lifted.reports[method][family.ratio]
        row = {"family": name, "capacity": capacity, "method": method, "block_frames": family.ratio, "path": report.path,
               "operations": report.operations, "reason": report.reason, "file_megabytes": round(file.stat().st_size / 1e6, 1),
               "target": target(name, method, isa)}
        if report.path == "lifted":
            ours = lifted_player(model.program(method, family.ratio))
        elif report.path == "list":
            ours = list_player(file, method, family)
        else:
            rows.append(row)
            continue
        rows.append(row | compare(file, method, family, ours, seconds))
    return rows


def compare(file, method, family, ours, seconds: float) -> dict:
    signal = family.feed(method, COMPARED_BLOCKS * family.ratio, seed=1)
    blocks = [np.ascontiguousarray(part)[None] for part in np.split(signal, COMPARED_BLOCKS, axis=1)]
    players = {"torch": torch_player(file, method, True), "torch_plain": torch_player(file, method, False), "ours": ours}
    first = {who: play(blocks, keep=True)[1] for who, play in players.items()}
    times = {who: [] for who in players}
    for play in players.values():
        play(blocks[:WARM_BLOCKS])
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["ours"]) < 3 * BURST:
        for who, play in players.items():
            times[who] += play(blocks[:BURST])[0]
    micro = {who: float(np.median(t)) / 1000 for who, t in times.items()}
    best = min(micro["torch"], micro["torch_plain"])
    rate = family.sample_rate
    return {
        "microseconds": {who: round(t, 1) for who, t in micro.items()},
        "faster": round(best / micro["ours"], 2),
        "snr_db": round(agreement_db(first["torch_plain"], first["ours"]), 1),
        "torch_against_itself_db": round(agreement_db(first["torch_plain"], first["torch"]), 1),
        "share_of_real_time": round(micro["ours"] * 1e-6 * rate / family.ratio, 4),
    }


PRELUDE = """
import json, os, sys, time
import numpy as np
def memory(key):
    return next(int(l.split()[1]) / 1024 for l in open("/proc/self/status") if l.startswith(key))
file, method, block, channels, rows = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
x = np.random.default_rng(0).standard_normal((rows, channels)).astype(np.float32)
"""
PLAY_OURS = PRELUDE + """
sys.modules["torch"] = None
from neurorack.engine import Model
program = Model.load(file).program(method, block)
for _ in range(50):
    program.run(x)
print(json.dumps({"megabytes": memory("VmRSS"), "peak_megabytes": memory("VmHWM")}))
"""
PLAY_TORCH = PRELUDE + """
import torch
torch.set_num_threads(1)
module = torch.jit.load(file).eval()
with torch.inference_mode():
    for _ in range(50):
        getattr(module, method)(torch.from_numpy(x.T[None].copy()))
print(json.dumps({"megabytes": memory("VmRSS"), "peak_megabytes": memory("VmHWM")}))
"""
TO_LIST = PRELUDE + """
sys.modules["torch"] = None
from neurorack.importer.archive import open_archive
from neurorack.importer.probe import probe
from neurorack.importer.record import record
from neurorack.importer.replay import Replay
before, start = memory("VmRSS"), time.perf_counter()
archive = open_archive(file)
spec = probe(archive).methods[method]
Replay(record(archive, method, block, in_channels=spec.in_channels, in_ratio=spec.in_ratio)).run(x)
print(json.dumps({"list_seconds": time.perf_counter() - start, "list_megabytes": memory("VmHWM") - before}))
"""
TO_LIFTED = PRELUDE + """
sys.modules["torch"] = None
from neurorack.importer.lift import lift
before, start = memory("VmRSS"), time.perf_counter()
lift(file, blocks=[block], into=file + ".lifted")
print(json.dumps({"lift_seconds": time.perf_counter() - start, "lift_megabytes": memory("VmHWM") - before, "file_megabytes": os.path.getsize(file) / 1e6}))
"""


def child(code: str, *arguments) -> dict:
    env = {**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=600)
    if run.returncode:
        raise SystemExit(run.stderr)
    return json.loads(run.stdout.strip().splitlines()[-1])


def measure_processes(capacity: int, folder: Path) -> dict:
    """v2's decode: resident set while it plays, time and memory from file to list, and from file to lifted file (medians of 3)."""
    from neurorack.importer.lift import lift
    from tests import zoo

    family = zoo.FAMILIES["v2"]
    file = zoo.path("v2", capacity, folder=folder)
    channels, ratio, *_ = family.methods["decode"]
    shape = ("decode", family.ratio, channels, family.ratio // ratio)
    lifted = folder / f"v2-{capacity}.safetensors"
    lift(file, blocks=[family.ratio], into=lifted)
    ours, theirs = child(PLAY_OURS, lifted, *shape), child(PLAY_TORCH, file, *shape)
    middle = {key: sorted(run[key] for run in runs)[1] for runs in ([child(code, file, *shape) for _ in range(3)] for code in (TO_LIST, TO_LIFTED))
              for key in runs[0]}
    return {
        "capacity": capacity,
        "playing_megabytes": {"ours": round(ours["megabytes"], 1), "torch": round(theirs["megabytes"], 1)},
        "memory_ratio": round(ours["megabytes"] / theirs["megabytes"], 3),
        **{key: round(value, 2) for key, value in middle.items()},
    }


def missed(rows) -> list[str]:
    """What does not reach its target, in words."""
    out = []
    for r in rows:
        name = f"{r['family']} {r['method']} at capacity {r['capacity']}"
        if "faster" not in r:
            out.append(f"{name}: not played ({r['reason']})")
            continue
        if r["target"] and r["faster"] < r["target"]:
            out.append(f"{name}: {r['faster']:.1f} of {r['target']:.0f} times")
        if r["snr_db"] < LEAST_DB:
            out.append(f"{name}: {r['snr_db']:.0f} of {LEAST_DB:.0f} dB")
    return out


def table(rows, processes) -> str:
    lines = ["| file | capacity | method | block | TorchScript, µs | ours, µs | × faster | wanted | agreement, dB | way |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for r in rows:
        start = f"| {r['family']} | {r['capacity']} | {r['method']} | {r['block_frames']} |"
        wanted = f"{r['target']:.0f}" if r["target"] else "–"
        if "faster" not in r:
            lines.append(f"{start} | | | {wanted} | | {r['path']}: {r['reason']} |")
            continue
        us = r["microseconds"]
        best = min(us["torch"], us["torch_plain"])
        lines.append(f"{start} {best:.0f} | {us['ours']:.0f} | {r['faster']:.1f} | {wanted} | {r['snr_db']:.0f} | {r['path']} |")
    lines += ["", "| v2, decode | ours, MB | torch and the file, MB | share | to a playing list | all methods lifted | "
              "peak over the start, MB | file, MB |",
              "|---|---|---|---|---|---|---|---|"]
    for p in processes:
        mb = p["playing_megabytes"]
        lines.append(f"| capacity {p['capacity']} | {mb['ours']:.0f} | {mb['torch']:.0f} | {p['memory_ratio']:.2f} | {p['list_seconds']:.2f} s | "
                     f"{p['lift_seconds']:.1f} s | {p['lift_megabytes']:.0f} | {p['file_megabytes']:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each method (default 2)")
    parser.add_argument("--isa", help="limit the engine's kernels: sse, avx2, avx512, neon")
    parser.add_argument("--full", action="store_true", help="also at the released capacities (files up to 150 MB)")
    parser.add_argument("--families", nargs="*", help="only these")
    parser.add_argument("--capacity", type=int, default=SMALL, help=f"default {SMALL}")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if args.isa:
        os.environ["NEURORACK_ISA"] = args.isa
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import warnings

    import torch
    from engine_vs_torch import cpu_name

    from neurorack.engine import denormals_off, isa

    warnings.filterwarnings("ignore", category=DeprecationWarning)
    torch.set_num_threads(1)
    denormals_off()
    cases = [(name, args.capacity) for name in args.families or [*rave_families(), *OTHERS]]
    if args.full:
        cases += [(name, capacity) for name, capacity in RELEASED.items() if not args.families or name in args.families]
    rows, processes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, capacity in cases:
            rows += measure_family(name, capacity, args.seconds, args.isa, Path(folder))
            these = [r for r in rows if (r["family"], r["capacity"]) == (name, capacity)]
            said = ", ".join(f"{r['method']} {r.get('faster', r['path'])}" for r in these)
            print(f"{name}, capacity {capacity}: {said}", file=sys.stderr, flush=True)
        if not args.families:
            capacities = [args.capacity, RELEASED["v2"]] if args.full else [args.capacity]
            processes = [measure_processes(capacity, Path(folder)) for capacity in capacities]
    summary = {"isa": isa(), "cpu": cpu_name(), "torch": torch.__version__, "methods": rows, "processes": processes}
    if not args.families:
        out = HERE / "results" / f"lifted_vs_torchscript{'-' + args.isa if args.isa else ''}.json"
        out.write_text(json.dumps(summary, indent=1) + "\n")
    print(f"{isa()} kernels, {summary['cpu']}, torch {torch.__version__}\n")
    print(table(rows, processes))
    print("\nMissed: " + ("; ".join(missed(rows)) or "nothing"))


if __name__ == "__main__":
    main()
