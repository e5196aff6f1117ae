"""Why the kernels are C: the same matrix products in numba and in C, in one run, with what each costs to have.

    python benchmarks/kernel_choice.py [--seconds 6]

Numba gets the convolutions of the capacity-48 decoder alone, with packed weights, compiled once, in one call; the engine runs the
whole decoder (convolutions, activations, caches, filter bank). Both in turn on one core; medians. Import time and resident memory
are of a fresh process each, ready to run. Writes benchmarks/results/kernel_choice.json.
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
PANEL, TILE = 64, 4  # columns and rows of a numba tile: the fastest of those tried (16 to 128, 1 to 8)
BLOCK = 2048


def layers(net, frames):
    """(rows, depth, cols, packed weights) of each convolution at one block, taps folded into depth."""
    found, rows = [], frames

    def add(weight):  # [cols, depth]
        cols, depth = weight.shape
        padded = np.zeros((-(-cols // PANEL) * PANEL, depth), np.float32)
        padded[:cols] = weight
        found.append((rows, depth, len(padded), padded.reshape(-1, PANEL, depth).transpose(0, 2, 1).copy()))

    def conv(w):
        add(w.transpose(0, 2, 1).reshape(len(w), -1))

    conv(net.first[0])
    for (w, _, stride), units in zip(net.ups, net.units):
        ins, outs, taps = w.shape
        add(w.reshape(ins, outs, taps // stride, stride).transpose(3, 1, 2, 0).reshape(stride * outs, -1))
        rows *= stride
        for w3, _, _, w1, _ in units:
            conv(w3)
            conv(w1)
    conv(net.last[0])
    return found


def numba_runner(net, frames):
    import numba

    @numba.njit(fastmath=True, boundscheck=False, cache=False)
    def product(x, w, y, rows, depth, cols):
        acc = np.empty((TILE, PANEL), np.float32)
        for panel in range(cols // PANEL):
            for row in range(0, rows, TILE):
                count = min(TILE, rows - row)
                acc[:] = 0
                for k in range(depth):
                    for r in range(count):
                        a = x[(row + r) * depth + k]
                        for j in range(PANEL):
                            acc[r, j] += a * w[(panel * depth + k) * PANEL + j]
                for r in range(count):
                    for j in range(PANEL):
                        y[(row + r) * cols + panel * PANEL + j] = acc[r, j]

    @numba.njit(boundscheck=False)
    def run(table, x, w, y):
        for i in range(len(table)):
            rows, depth, cols, at = table[i]
            product(x, w[at:], y, rows, depth, cols)

    table, packs, at = [], [], 0
    for rows, depth, cols, packed in layers(net, frames):
        table.append((rows, depth, cols, at))
        packs.append(packed.reshape(-1))
        at += packed.size
    table, w = np.array(table, np.int64), np.concatenate(packs)
    x = np.random.default_rng(0).standard_normal(max(r * d for r, d, *_ in table)).astype(np.float32)
    y = np.empty(max(r * c for r, _, c, _ in table), np.float32)
    run(table, x, w, y)
    rows, depth, cols, _ = table[-1]
    want = x[: rows * depth].reshape(rows, depth) @ packs[-1].reshape(-1, depth, PANEL).transpose(1, 0, 2).reshape(
        depth, cols
    )
    assert np.allclose(y[: rows * cols].reshape(rows, cols), want, atol=1e-3)
    return lambda: run(table, x, w, y), sum(int(r) * int(d) * int(c) for r, d, c, _ in table)


def engine_runner(net):
    import engine_nets

    from neurorack.engine import ModelWriter

    writer = ModelWriter({"name": "benchmark"})
    writer.method("decode", engine_nets.build(net), blocks=[BLOCK], in_channels=net.latent, in_ratio=net.ratio)
    with tempfile.TemporaryDirectory() as folder:
        program = writer.save(Path(folder) / "net.safetensors").program("decode", BLOCK)
    program.run(np.random.default_rng(0).standard_normal(program.in_shape))
    run, handle = program._functions.run, program.handle
    return lambda keep=program: run(handle)


READY = """
import os, sys, time
start = time.perf_counter()
sys.path[:0] = {path!r}
{body}
rss = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
print(time.perf_counter() - start, rss)
"""
BODIES = {
    "numba": "import numba, numpy as np\n@numba.njit(fastmath=True)\ndef f(x, y):\n    for i in range(len(x)):\n        y[i] += x[i] * 2\n"
    "x = np.zeros(64, np.float32); f(x, x)",
    "engine": "import neurorack.engine as e\nfrom neurorack.engine.builder import ProgramBuilder\ne.isa()",
}


def cost(name):
    """Seconds from the interpreter's first line until ready, and resident bytes then; best of three fresh processes."""
    code = READY.format(path=sys.path[:2], body=BODIES[name])
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(3)
    ]
    return min(float(r[0]) for r in runs), min(int(r[1]) for r in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import engine_nets

    from neurorack.engine import denormals_off, isa

    denormals_off()
    net = engine_nets.decoder(48, (2, 4, 4, 4))
    by_numba, _ = numba_runner(net, BLOCK // net.ratio)
    runners = {"numba": by_numba, "engine": engine_runner(net)}
    times = {name: [] for name in runners}
    end = time.perf_counter() + args.seconds
    while time.perf_counter() < end:
        for name, run in runners.items():
            start = time.perf_counter_ns()
            run()
            times[name].append(time.perf_counter_ns() - start)
    result = {"isa": isa(), "case": f"capacity 48, block {BLOCK}", "rounds": len(times["engine"])}
    print(f"| | {result['case']}, µs | import, s | resident, MB |\n|---|---|---|---|")
    for name, label in (("numba", "numba (convolutions only)"), ("engine", "C engine (whole decoder)")):
        seconds, rss = cost(name)
        result[name] = {
            "microseconds": round(float(np.median(times[name])) / 1000, 1),
            "import_seconds": round(seconds, 3),
            "resident_mb": round(rss / 1e6, 1),
        }
        print(f"| {label} | {result[name]['microseconds']:.0f} | {seconds:.2f} | {rss / 1e6:.0f} |")
    result["engine_is_faster"] = round(result["numba"]["microseconds"] / result["engine"]["microseconds"], 2)
    print(f"\nC is {result['engine_is_faster']:.1f} times as fast ({isa()}).")
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "kernel_choice.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
