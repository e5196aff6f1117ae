"""Engine time of the nets that benchmarks/trimming.py trimmed, against their multiply-adds.

    python benchmarks/trimming_time.py [--rounds 15]

Each net (seed 1, the main criterion) is written as a model file with its decode program alone and played by the compiled engine on one
core: four seconds of sound at blocks of 256 frames, all nets in turns, the least processor time of all rounds. Operations are those of
`neurorack complexity`. Writes benchmarks/results/trimming-time.json: architecture → rows, the full net first.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import trimming  # noqa: E402

BLOCK, SECONDS, RATE_HZ = 256, 4.0, 48000


def written(engine, path):
    """The engine as a model file with its decode program alone."""
    from neurorack.engine import Model, ModelWriter

    writer = ModelWriter({"name": path.stem, "sample_rate_hz": RATE_HZ, "hop_frames": engine.hop, "channels": 1})
    for name, value in engine.state_dict().items():
        writer.weights.add(value.numpy(), name)
    writer.method("decode", engine.decode_method(), blocks=[BLOCK], in_channels=engine.layout.width, in_ratio=engine.hop)
    writer.save(path)
    return Model.load(path)


def nets_of(arch_name, options):
    """[(share, model file, parameters), …] of an architecture, as far as they have been trained; the full one first."""
    import torch
    import trimming_methods as methods
    import trimming_nets as nets

    from neurorack.lab import engines

    arch = nets.architecture(arch_name)
    kept = lambda *words: options.work / ("-".join([arch.name, arch.mark, *map(str, words)]) + ".pt")
    states = [(0.0, kept("full", 1))] + [(level, kept("net", trimming.MAIN, "auto", "rewind", 1, level)) for level in methods.LEVELS]
    found = []
    for level, path in states:
        if path.exists():
            state = torch.load(path, weights_only=False)
            engine = nets.fresh(arch, 1)
            engines.fit(engine, state if level else state["engine"])
            found.append((level, written(engine.eval(), options.work / f"{arch.name}-{level:g}.safetensors"), nets.parameters_of(engine)))
    return found


def timed(models, rounds):
    """Least processor time of a second of sound for each model, seconds; all in turns."""
    programs = [model.program("decode", block_frames=BLOCK) for model in models]
    rng, least = np.random.default_rng(0), [np.inf] * len(models)
    rows = [rng.uniform(-0.9, 0.9, (round(SECONDS * RATE_HZ / BLOCK) * p.in_shape[0], p.in_shape[1])).astype(np.float32) for p in programs]
    for _ in range(rounds):
        for k, program in enumerate(programs):
            program.reset()
            began = time.thread_time()
            program.stream(rows[k])
            least[k] = min(least[k], (time.thread_time() - began) / SECONDS)
    return least


def main():
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=["rave", "ddsp", "nsf"], help="architectures")
    parser.add_argument("--rounds", type=int, default=15, help="times each net plays (default 15)")
    parser.add_argument("--work", type=Path, default=Path(".out/trimming"), help="folder of benchmarks/trimming.py (default .out/trimming)")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "trimming-time.json", help="file of the results")
    options = parser.parse_args()
    from neurorack import complexity

    out = {}
    for name in options.only:
        found = nets_of(name, options)
        if len(found) < 2:
            continue
        times = timed([model for _, model, _ in found], options.rounds)
        counts = [complexity.count(model, "decode", BLOCK) for _, model, _ in found]
        out[name] = [{"level": level, "parameters": size, "time": round(seconds, 6), "macs": round(count.macs), "macs_done": round(count.macs_done),
                      "file_bytes": model.path.stat().st_size, "memory_bytes": count.memory_bytes}
                     for (level, model, size), seconds, count in zip(found, times, counts)]
        for row in out[name]:
            print(name, row)
    options.results.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
