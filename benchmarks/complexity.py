"""What `neurorack complexity` predicts against what is measured, and the factory bank on all boards.

    python benchmarks/complexity.py [--seconds 30] [--isa sse] [--no-lifted]

The machine is calibrated afresh, in memory; then every program of the bank's decoders and encoders, decoders in the shapes of
`engine_nets.py`, the same with weights in bf16, and (where torch is installed to write the files) lifted RAVE, DDSP and NSF nets of the tests' zoo are
measured at all their block lengths: the least over bursts that take turns, in processor time of one thread. Nothing of these programs was used
to fit the prices. A few programs are also played at the pace of a sound card, as their blocks are then colder than in bursts. Writes
benchmarks/results/complexity.json (-ISA appended) and prints tables.
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

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

BANK = ("impacts", "skins", "strings", "texture", "voice")
NETS = [(2, (2, 2, 2), 4, (128, 256, 512, 1024)), (32, (2, 2, 2), 128, (128, 256, 512, 1024)), (16, (2, 4, 4, 4), 128, (2048,)),
        (32, (2, 4, 4, 4), 128, (2048, 4096)), (48, (2, 4, 4, 4), 128, (2048,)), (96, (2, 4, 4, 4), 128, (2048,))]
LIFTED = [("raspberry", 16), ("v2", 16), ("v2_noise", 16), ("v2_small", 16), ("v3", 16), ("brave", 8), ("brave", 32), ("ddsp", 16), ("nsf", 16)]
PACED = (("impacts", "decode", 64), ("impacts", "decode", 256), ("voice", "decode", 128))


def bank():
    from neurorack import library
    from neurorack.engine import Model

    for name in BANK:
        model = Model.load(library.find(name))
        for method in model.methods:
            yield "bank", name, model, method


def nets(folder: Path):
    import engine_nets

    from neurorack.engine import Model, ModelWriter, stored

    for capacity, strides, latent, blocks in NETS:
        net = engine_nets.decoder(capacity, strides, latent)
        for form in ("f32", "bf16"):
            writer = ModelWriter({"name": f"net {capacity}", "sample_rate_hz": 48000})
            writer.method("decode", engine_nets.build(net), blocks=blocks, in_channels=latent, in_ratio=net.ratio)
            if form == "bf16":
                writer.weights.tensors = {name: stored.bf16(array) if array.ndim > 1 else array for name, array in writer.weights.tensors.items()}
            path = folder / f"net-{capacity}-{net.ratio}-{form}.safetensors"
            writer.save(path)
            yield f"shapes of engine_nets, {form}", path.stem, Model.load(path), "decode"


def lifted(folder: Path):
    from neurorack.engine import Model
    from neurorack.importer.lift import lift
    from tests import zoo

    for name, capacity in LIFTED:
        family = zoo.FAMILIES[name]
        path = folder / f"{name}-{capacity}.safetensors"
        blocks = [block for block in (128, 256, 512, 1024, 2048, 4096) if block % family.ratio == 0][:4]
        if lift(zoo.path(name, capacity, quiet=True), blocks=blocks, into=path).path:
            model = Model.load(path)
            for method in model.methods:
                yield "lifted", f"{name}-{capacity}", model, method


def programs(folder: Path, with_lifted: bool) -> list[dict]:
    from neurorack.complexity import count, timing

    found = []
    for kind, name, model, method in [*bank(), *nets(folder), *(lifted(folder) if with_lifted else ())]:
        for block in model.methods[method].blocks:
            found.append({"kind": kind, "name": name, "method": method, "count": count(model, method, block),
                          "program": timing.excited(model.program(method, block))})
    return found


def paced(seconds: float) -> list[dict]:
    """Median block times at the pace of a sound card, in processor time, beside the least of bursts."""
    from neurorack import library
    from neurorack.bench import apart
    from neurorack.complexity import timing
    from neurorack.engine import Model, native

    rows, run = [], native.functions().run
    for name, method, block in PACED:
        program = timing.excited(Model.load(library.find(name)).program(method, block))

        def play(program=program, block=block):
            taken, due = [], time.perf_counter()
            end = due + seconds
            while due < end:
                due += block / 48000
                time.sleep(max(0.0, due - time.perf_counter()))
                began = time.thread_time_ns()
                run(program.handle)
                taken.append(time.thread_time_ns() - began)
            return float(np.median(taken)) / 1000

        with apart() as thread:
            rows.append({"name": name, "method": method, "block_frames": block, "paced_median_us": round(thread.submit(play).result(), 1)})
        rows[-1]["least_us"] = round(timing.least_us([program])[0], 1)
    return rows


def summary(rows: list[dict]) -> dict:
    off = np.abs(np.log([row["ratio"] for row in rows]))
    return {"programs": len(rows), "median_error": round(float(np.exp(np.median(off)) - 1), 4), "p90_error": round(float(np.exp(np.quantile(off, 0.9)) - 1), 4),
            "lowest_ratio": min(row["ratio"] for row in rows), "highest_ratio": max(row["ratio"] for row in rows)}


def on_boards(found: list[dict]) -> list[dict]:
    """Predicted shares of one core for the bank's decoders on all boards, at blocks of 64 and 256."""
    from neurorack.complexity import boards, predict

    rows = []
    for row in found:
        if row["kind"] == "bank" and row["method"] == "decode" and row["count"].block_frames in (64, 256):
            for name in boards.names():
                board = boards.load(name)
                if board.middle:
                    rows.append({"name": row["name"], "block_frames": row["count"].block_frames, "board": name, "measured": board.measured,
                                 "load": [float(f"{x:.3g}") for x in predict(row["count"], board)]})
    return rows


def tables(told: dict) -> str:
    lines = ["| programs | | median error | nine of ten within | predicted / measured |", "|---|---|---|---|---|"]
    for kind, s in told["errors"].items():
        lines.append(f"| {kind} | {s['programs']} | {100 * s['median_error']:.0f} % | {100 * s['p90_error']:.0f} % | {s['lowest_ratio']:.2f} to {s['highest_ratio']:.2f} |")
    names = list(dict.fromkeys(row["board"] for row in told["boards"]))
    lines += ["", "| decoder, block | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for name in BANK:
        for block in (64, 256):
            row = {each["board"]: each for each in told["boards"] if each["name"] == name and each["block_frames"] == block}
            lines.append(f"| {name}, {block} | " + " | ".join(_share(row[board]) for board in names) + " |")
    lines += ["", "| at the pace of a sound card | median, us | least in bursts, us |", "|---|---|---|"]
    lines += [f"| {row['name']} {row['method']}, {row['block_frames']} | {row['paced_median_us']} | {row['least_us']} |" for row in told["paced"]]
    return "\n".join(lines)


def _share(row: dict) -> str:
    from neurorack.complexity.text import percent

    low, mid, high = (percent(x) for x in row["load"])
    return mid if row["measured"] else f"{mid} ({low[:-2]} to {high[:-2]})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of measuring, about (default 30)")
    parser.add_argument("--isa", help="limit the engine's kernels: sse, avx2, avx512, neon")
    parser.add_argument("--no-lifted", action="store_true", help="leave out what torch is needed for; what an earlier run found of it stays")
    args = parser.parse_args()
    if args.isa:
        os.environ["NEURORACK_ISA"] = args.isa
    from neurorack.bench import apart
    from neurorack.complexity import boards, calibrate, predict, timing

    with tempfile.TemporaryDirectory() as folder:
        found = programs(Path(folder), not args.no_lifted)
        calibration = calibrate.calibrate("here")
        rounds = max(5, round(args.seconds * 1e9 / timing.BURST_NS / len(found) / 2))
        with apart() as thread:
            least = thread.submit(timing.bursts, [row["program"] for row in found], rounds).result().min(axis=0) / 1000
    here = boards.of_data("here", calibration)
    rows = []
    for row, us in zip(found, least):
        predicted = predict(row["count"], here).mid * 1e6 / row["count"].runs
        rows.append({"kind": row["kind"], "name": row["name"], "method": row["method"], "block_frames": row["count"].block_frames,
                     "measured_us": round(float(us), 2), "predicted_us": round(predicted, 2), "ratio": round(predicted / float(us), 3)})
    out = HERE / "results" / f"complexity{'-' + args.isa if args.isa else ''}.json"
    if args.no_lifted and out.exists():
        rows += [row for row in json.loads(out.read_text())["programs"] if row["kind"] == "lifted"]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    told = {"processor": calibration["processor"], "isa": calibration["isa"], "calibration_seconds": calibration["seconds"], "rounds": rounds,
            "errors": {"all": summary(rows), **{kind: summary([row for row in rows if row["kind"] == kind]) for kind in kinds}},
            "boards": on_boards(found), "paced": paced(args.seconds / 10), "programs": rows}
    out.write_text(json.dumps(told, indent=1) + "\n")
    print(tables(told))


if __name__ == "__main__":
    main()
