"""Our engine against TorchScript and ONNX Runtime: the same decoder, the same weights, one core, in one run.

    python benchmarks/engine_vs_torch.py [--seconds 6] [--isa sse]

The three take turns in bursts of a few blocks, so that what else the machine does hits all of them, while each finds its own
weights in the cache as it would when it plays alone; medians are compared, and the outputs first. Writes
benchmarks/results/engine.json (engine-sse.json for --isa sse) and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

BURST = 8  # blocks in a row

#: name, capacity, strides, latent, block; targets against TorchScript and ONNX Runtime
CASES = [
    ("capacity 48, block 2048", 48, (2, 4, 4, 4), 128, 2048, 8.0, 2.0),
    ("capacity 32, block 2048", 32, (2, 4, 4, 4), 128, 2048, None, None),
    ("capacity 32, ratio and block 128", 32, (2, 2, 2), 128, 128, 15.0, 4.0),
    ("framework floor (capacity 2, latent 4), block 128", 2, (2, 2, 2), 4, 128, 30.0, None),
]


def runners(case):
    """Three callables that take a latent block [frames, latent] and return audio [frames * ratio]; and the block's shape."""
    import engine_nets
    import onnxruntime
    import torch

    from neurorack.engine import ModelWriter, native

    _, capacity, strides, latent, block, *_ = case
    net = engine_nets.decoder(capacity, strides, latent)
    frames = block // net.ratio

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.ts"
        engine_nets.script(net).save(str(path))
        module = torch.jit.load(str(path)).eval()
        writer = ModelWriter({"name": "benchmark"})
        writer.method("decode", engine_nets.build(net), blocks=[block], in_channels=latent, in_ratio=net.ratio)
        program = writer.save(Path(folder) / "net.safetensors").program("decode", block)

    data, states = engine_nets.onnx_model(net, frames)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = ["audio"] + [name + "_next" for name in states]

    def by_torch(z):
        with torch.inference_mode():
            return module.decode(torch.from_numpy(z.T[None])).numpy().reshape(-1)

    def by_onnx(z):
        audio, *after = session.run(names, {"z": z.T[None], **states})
        states.update(zip(states, after))
        return audio.reshape(-1)

    advance, handle = native.functions().run, program.handle

    def by_engine(z):  # as torch and ONNX Runtime do, without a copy of the result
        program.input[:] = z
        advance(handle)
        return program.output.reshape(-1)

    return {"torchscript": by_torch, "onnxruntime": by_onnx, "engine": by_engine}, (frames, latent)


def agreement_db(reference, other) -> float:
    """Level of the difference below the signal, in dB."""
    error = np.mean((reference - other) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(np.mean(reference**2) / error))


def measure(case, seconds: float) -> dict:
    run, shape = runners(case)
    rng = np.random.default_rng(1)
    blocks = [np.ascontiguousarray(rng.standard_normal(shape), np.float32) for _ in range(24)]
    audio = {name: np.concatenate([f(z).copy() for z in blocks]) for name, f in run.items()}
    times = {name: [] for name in run}
    end, i = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        i += 1
        for name, f in run.items():
            for z in blocks[:BURST]:
                start = time.perf_counter_ns()
                f(z)
                times[name].append(time.perf_counter_ns() - start)
    median = {name: float(np.median(t)) / 1000 for name, t in times.items()}
    name, _, _, _, block, torch_target, onnx_target = case
    return {
        "case": name,
        "block_frames": block,
        "rounds": i,
        "microseconds": {k: round(v, 2) for k, v in median.items()},
        "faster_than_torchscript": round(median["torchscript"] / median["engine"], 2),
        "faster_than_onnxruntime": round(median["onnxruntime"] / median["engine"], 2),
        "target_torchscript": torch_target,
        "target_onnxruntime": onnx_target,
        "rtf_at_48k": round(block / 48000 / (median["engine"] * 1e-6), 1),
        "engine_vs_torchscript_db": round(agreement_db(audio["torchscript"], audio["engine"]), 1),
        "onnxruntime_vs_torchscript_db": round(agreement_db(audio["torchscript"], audio["onnxruntime"]), 1),
    }


def table(results) -> str:
    lines = [
        "| decoder | TorchScript, µs | ONNX Runtime, µs | engine, µs | × TorchScript | × ONNX Runtime | agreement, dB |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in results:
        us = r["microseconds"]
        lines.append(
            f"| {r['case']} | {us['torchscript']:.0f} | {us['onnxruntime']:.0f} | {us['engine']:.1f} | {r['faster_than_torchscript']:.1f} | "
            f"{r['faster_than_onnxruntime']:.1f} | {r['engine_vs_torchscript_db']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="for each case (default 6)")
    parser.add_argument("--isa", help="limit the engine's kernels: sse, avx2, avx512, neon")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if args.isa:
        os.environ["NEURORACK_ISA"] = args.isa
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import torch

    torch.set_num_threads(1)

    from neurorack.engine import denormals_off, isa

    denormals_off()
    results = [measure(case, args.seconds) for case in CASES]
    import onnxruntime

    summary = {
        "isa": isa(),
        "cpu": cpu_name(),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "cases": results,
    }
    out = HERE / "results" / ("engine.json" if not args.isa else f"engine-{args.isa}.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(summary, indent=1) + "\n")
    print(f"{isa()} kernels, {summary['cpu']}, torch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}\n")
    print(table(results))


def cpu_name() -> str:
    try:
        names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
