"""Weights as bfloat16 and int8 beside float32: time of a block, memory, file size, and what it costs in sound.

    python benchmarks/quantisation.py [--seconds 3] [--isa avx512 avx2 sse]

The three take turns in one thread. "in cache": a model's blocks follow one another, as when nothing else runs; "after a neighbour":
64 MB of other memory are read and written before each block, so that every weight comes from memory, as where other work of an
instrument shares the caches. Times are lower quartiles of the thread's own time. Nets: the decoders of engine_nets.py
(random weights; a block of 128 with ratio 128, of 2048 with ratio 2048) and the factory bank. Sound: the bank's models play their own
gestures, the nets normal latents. Writes benchmarks/results/quantisation.json and prints its tables.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

KINDS = ("float32", "bf16", "int8")
NETS = [(capacity, strides, block) for strides, block in (((2, 2, 2), 128), ((2, 4, 4, 4), 2048)) for capacity in (16, 32, 48, 96)]
BANK = [("impacts", 128), ("impacts", 1024), ("strings", 128), ("strings", 1024)]
ALL_OF_BANK = ("impacts", "skins", "strings", "texture", "voice")
LATENTS, BURST, NEIGHBOUR_BYTES, LEAST_ROUNDS = 128, 6, 64 << 20, 12
GESTURE_SECONDS, MOST_GESTURES, STRETCH_SECONDS = 2.0, 10, 0.5


def net_file(folder: Path, capacity: int, strides, block: int) -> Path:
    import engine_nets

    from neurorack.engine import ModelWriter

    path = folder / f"{capacity}-{block}.safetensors"
    net = engine_nets.decoder(capacity, strides, LATENTS)
    writer = ModelWriter({"name": "benchmark", "sample_rate_hz": 48000})
    writer.method("decode", engine_nets.build(net), blocks=[block], in_channels=LATENTS, in_ratio=net.ratio)
    writer.save(path)
    return path


def kinds_of(path: Path, folder: Path) -> dict:
    """Models by kind."""
    from neurorack.engine import Model
    from neurorack.trim.weights import with_weights

    models = {"float32": Model.load(path)}
    for kind in KINDS[1:]:
        made = folder / f"{path.stem}-{kind}.safetensors"
        with_weights(path, made, kind)
        models[kind] = Model.load(made)
    return models


def timed(models: dict, block: int, seconds: float) -> dict:
    """Microseconds of a block by kind, in cache and after a neighbour."""
    from neurorack.engine import native

    programs = {kind: model.program("decode", block) for kind, model in models.items()}
    rng = np.random.default_rng(1)
    for program in programs.values():
        program.run(rng.standard_normal(program.in_shape).astype(np.float32))
    run, neighbour = native.functions().run, np.zeros(NEIGHBOUR_BYTES, np.uint8)
    times = {kind: ([], []) for kind in programs}

    def once(kind, where):
        began = time.thread_time_ns()
        run(programs[kind].handle)
        times[kind][where].append((time.thread_time_ns() - began) / 1000)

    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["float32"][1]) < LEAST_ROUNDS:
        for kind, program in programs.items():
            run(program.handle)
            for _ in range(BURST):
                once(kind, 0)
        for kind in programs:
            np.add(neighbour, 1, out=neighbour)
            once(kind, 1)
    return {kind: {name: round(float(np.percentile(t, 25)), 2) for name, t in zip(("in_cache_us", "after_neighbour_us"), both)}
            for kind, both in times.items()}


def timing_row(name: str, path: Path, block: int, seconds: float, folder: Path) -> dict:
    models = kinds_of(path, folder)
    found = timed(models, block, seconds)
    for kind, model in models.items():
        found[kind] |= {"weights_mb": round(model.weight_bytes / 1e6, 3), "file_mb": round(model.path.stat().st_size / 1e6, 3)}
    for kind in KINDS[1:]:
        for key in ("in_cache", "after_neighbour"):
            found[kind][f"{key}_times_faster"] = round(found["float32"][f"{key}_us"] / found[kind][f"{key}_us"], 2)
    return {"case": name, "block_frames": block, **found}


def timings(seconds: float) -> dict:
    """All timings with the kernels in use."""
    from neurorack import library
    from neurorack.engine import denormals_off, isa

    denormals_off()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for capacity, strides, block in NETS:
            rows.append(timing_row(f"RAVE-like, capacity {capacity}", net_file(folder, capacity, strides, block), block, seconds, folder))
        for model, block in BANK:
            rows.append(timing_row(f"bank: {model}", library.FACTORY / model / f"{model}.safetensors", block, seconds, folder))
    return {"isa": isa(), "rows": rows}


def bank_sound(model) -> tuple[np.ndarray, int]:
    """The model's own gestures one after the other, [frames, channels], and their stretches of half a second."""
    from neurorack.gesture import file_gestures

    method = model.methods["decode"]
    block = max(method.blocks)
    rows_a_second = model.card["sample_rate_hz"] / method.in_ratio
    stretch = int(STRETCH_SECONDS * rows_a_second) // (block // method.in_ratio) * (block // method.in_ratio)
    each = int(GESTURE_SECONDS / STRETCH_SECONDS) * stretch
    rest = np.array([entry["rest"] for entry in model.card["inputs"]], np.float32)
    curves = [np.concatenate([curve[:each], np.tile(rest, (max(0, each - len(curve)), 1))])
              for curve in file_gestures(model)[:MOST_GESTURES]]
    return model.program("decode", block).stream(np.concatenate(curves)), len(curves) * each // stretch


def sound_rows() -> list[dict]:
    from neurorack import library
    from neurorack.trim.quality import compare

    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in ALL_OF_BANK:
            models = kinds_of(library.FACTORY / model / f"{model}.safetensors", folder)
            (full, stretches), row = bank_sound(models["float32"]), {"case": f"bank: {model}"}
            for kind in KINDS[1:]:
                row[kind] = compare(full, bank_sound(models[kind])[0], 48000, stretches).to_json()
            rows.append(row)
        for capacity, strides, block in NETS:
            models = kinds_of(net_file(folder, capacity, strides, block), folder)
            row, rng = {"case": f"RAVE-like, capacity {capacity}, block {block}"}, np.random.default_rng(2)
            program = models["float32"].program("decode", block)
            z = rng.standard_normal((96000 // block * program.in_shape[0], LATENTS)).astype(np.float32)
            full = program.stream(z)
            for kind in KINDS[1:]:
                row[kind] = compare(full, models[kind].program("decode", block).stream(z), 48000, 4).to_json()
            rows.append(row)
    return rows


def tables(found: dict) -> str:
    lines = []
    for one in found["timings"]:
        lines += [f"\n{one['isa']} kernels. µs a block in cache / after a neighbour (times faster); MB of packed weights",
                  "\n| model | block | float32 | bf16 | int8 | MB float32 / bf16 / int8 |", "|---|---|---|---|---|---|"]
        for row in one["rows"]:
            cells = [f"{row['float32']['in_cache_us']:.0f} / {row['float32']['after_neighbour_us']:.0f}"]
            for kind in KINDS[1:]:
                k = row[kind]
                cells.append(" / ".join(f"{k[f'{key}_us']:.0f} ({k[f'{key}_times_faster']:.2f})" for key in ("in_cache", "after_neighbour")))
            sizes = " / ".join(format(row[k]["weights_mb"], ".1f") for k in KINDS)
            lines.append(f"| {row['case']} | {row['block_frames']} | {' | '.join(cells)} | {sizes} |")
    lines += ["\n| model | bf16 SNR, dB | distance, dB | int8 SNR, dB | distance, dB |", "|---|---|---|---|---|"]
    for row in found["sound"]:
        lines.append(f"| {row['case']} | " + " | ".join(f"{row[k]['snr_db']:.1f} | {row[k]['distance_db']:.3f}" for k in KINDS[1:]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each timing")
    parser.add_argument("--isa", nargs="*", default=["avx512", "avx2", "sse"])
    parser.add_argument("--timings", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "quantisation.json")
    args = parser.parse_args()
    if args.timings:
        print(json.dumps(timings(args.seconds)))
        return
    found = {"machine": platform.machine(), "processor": _processor(), "timings": [], "sound": sound_rows()}
    for isa in args.isa:
        done = subprocess.run([sys.executable, __file__, "--timings", "--seconds", str(args.seconds)], env={**os.environ, "NEURORACK_ISA": isa},
                              stdout=subprocess.PIPE, text=True, check=True)
        one = json.loads(done.stdout.splitlines()[-1])
        if one["isa"] == isa:
            found["timings"].append(one)
    args.out.write_text(json.dumps(found, indent=1) + "\n")
    print(tables(found))


def _processor() -> str:
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
