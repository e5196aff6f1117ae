"""Control at equal cost: our models beside C-RAVE, F-RAVE and C-RAVE with quantiles, on the same data and split.

    python benchmarks/control.py [--minutes 6] [--sets impacts strings] [--methods ours c-rave …] [--curves 512] [--seeds 3] [--repeats 1]
    python benchmarks/control.py --recipes DIR

A method is a set of switches (benchmarks/recipes/switches.yaml) in the factory recipe of the data; each trains for the same minutes of
processor time on one thread, so that what else the machine does counts for none. Each is then written to a file, played through the
engine and measured by the protocol of `neurorack evaluate` (docs/control.md) on the held-out clips: curves are drawn in one quantile
space, fitted to the training clips, and converted for the methods that have min-max. --recipes only writes the whole recipes, each for
`neurorack train`. Runs that are finished are kept in --work and not repeated; one that was stopped goes on; one that fails is named and
the others go on. Writes benchmarks/results/control-SET.json (figures by method; `neurorack evaluate --baseline` reads them) and
control.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

SAVE_SECONDS = 60
COLUMNS = ("loudness", "centroid", "bandwidth", "sharpness", "booming")
OTHERS = ("convolution", "recurrent", "source-filter")     # methods that are compared only when asked for
FIGURES = (("log-mel, dB", "log_mel_error_db"), ("silence, dBFS", "silence_dbfs"), ("buzz, dB", "buzz_db"), ("cost, %", "cost_percent"))


def switches():
    """{method: what it changes}, in the file's order."""
    return yaml.safe_load((HERE / "recipes" / "switches.yaml").read_text(encoding="utf-8"))


def recipe_of(data_set, method, minutes, seed):
    """The complete recipe of a method on the data of a factory model, for `minutes` of training."""
    from neurorack.lab.recipe import complete

    recipe = yaml.safe_load((HERE.parent / "models" / data_set / "recipe.yaml").read_text(encoding="utf-8"))
    changes = dict(switches()[method])
    if "kind" not in changes.get("engine", {"kind": None}):        # keys for the engine of the data, whichever that is
        changes["engine"] = (recipe.get("engine") or {}) | changes["engine"]
    train = {**(recipe.get("train") or {}), **changes.get("train", {}), "minutes": minutes}
    train.pop("steps", None)
    return complete({**recipe, **changes, "train": train, "seed": seed})


def write_recipes(folder, sets, methods, minutes):
    """The recipes as files for `neurorack train`."""
    from neurorack.lab.recipe import write_recipe

    for data_set in sets:
        for method in methods:
            path = folder / f"{data_set}-{method}.yaml"
            write_recipe(recipe_of(data_set, method, minutes, 1) | {"name": f"{data_set}-{method}"}, path)
            print(path)


def prepared(data_set, cache):
    """The folder of the data set's clips, made if need be."""
    from neurorack.lab import data
    from neurorack.lab.recipe import read_recipe

    folder = HERE.parent / "models" / data_set
    return data.prepare(read_recipe(folder / "recipe.yaml"), folder, cache)


def train(trainer):
    """Train until the budget is used up; it counts processor time of this process, which has one thread."""
    saved = told = time.monotonic()
    while not trainer.finished():
        began = time.process_time()
        losses = trainer.train_step()
        trainer.seconds += time.process_time() - began
        now = time.monotonic()
        if now - saved > SAVE_SECONDS or trainer.finished():
            trainer.save()
            saved = now
        if now - told > 20:
            print(f"  step {trainer.step}, {trainer.seconds:.0f} s: " + ", ".join(f"{k} {v:.3f}" for k, v in losses.items()), flush=True)
            told = now


def written(trainer, path):
    """The trained model as a file, and loaded again: what plays, its encoder and normaliser, without gestures."""
    import torch

    from neurorack.lab import export
    from neurorack.lab.export import card as cards

    engine, encoder, normaliser = trainer.engine.eval(), trainer.encoder.eval(), trainer.normaliser
    card = {"name": trainer.recipe["name"], "sample_rate_hz": 48000, "hop_frames": engine.hop, "channels": 1, "delay_frames": 0,
            "inputs": cards.inputs(normaliser, engine.layout, torch.tensor(engine.layout.rest)),
            "engine": engine.settings, "encoder": encoder.settings}
    return export.write(path, card, engine, encoder, normaliser, {})


def one(data_set, method, seed, options):
    """Train and measure one method: result.json in its folder."""
    import torch

    torch.set_num_threads(1)
    from neurorack.lab import data, evaluate
    from neurorack.lab.evaluate.opened import cost
    from neurorack.lab.train import Trainer

    folder = folder_of(data_set, method, seed, options)
    cache = prepared(data_set, options.cache)
    trainer = Trainer(recipe_of(data_set, method, options.minutes, seed), cache, folder)
    folder.mkdir(parents=True, exist_ok=True)
    trainer.resume()
    train(trainer)
    model = written(trainer, folder / "model.safetensors")
    space = evaluate.space_of(data.Clips(cache, "train"))
    figures = evaluate.evaluate(evaluate.bench_of(model, data.Clips(cache, "held-out"), space), options.curves, options.seeds) | cost(model)
    count = lambda net: sum(p.numel() for p in net.parameters())
    figures |= {"name": method, "seed": seed, "steps": trainer.step, "minutes": options.minutes, "weights": count(trainer.engine)}
    (folder / "result.part").write_text(json.dumps({"asked": asked(data_set, method, seed, options), "figures": figures}))
    os.replace(folder / "result.part", folder / "result.json")


def folder_of(data_set, method, seed, options):
    return options.work / f"{data_set}-{method}-{options.minutes:g}-{seed}"


def asked(data_set, method, seed, options):
    """What a finished run must have been asked for, to be kept."""
    return {"recipe": recipe_of(data_set, method, options.minutes, seed), "curves": options.curves, "seeds": options.seeds}


def finished(data_set, method, seed, options):
    """The figures of a finished run, or None."""
    try:
        result = json.loads((folder_of(data_set, method, seed, options) / "result.json").read_text())
    except (OSError, ValueError):
        return None
    return result["figures"] if result["asked"] == json.loads(json.dumps(asked(data_set, method, seed, options))) else None


def mean_of(runs):
    """The figures of a method: its first run's, with means and spread of the main one over repeated trainings."""
    out = dict(runs[0])
    values = [run["control"]["all_five"]["spearman"] for run in runs]
    out["trainings"] = {"all_five": values, "mean": round(float(np.mean(values)), 3)}
    return out


def table(data_set, methods, minutes):
    """Markdown lines: a row for each method, and ours against the best baseline."""
    number = lambda value, places=3: "–" if value is None else f"{value:.{places}f}"
    lines = [f"## {data_set}, {minutes:g} minutes of one core each", "",
             "| | steps | all five (95 %) | " + " | ".join(COLUMNS) + " | one at a time | swap | unseen | leakage | "
             + " | ".join(title for title, _ in FIGURES) + " |", "|---" * (8 + len(COLUMNS) + len(FIGURES)) + "|"]
    for name, figures in methods.items():
        control = figures["control"]
        five, (low, high) = control["all_five"], control["all_five"]["interval"]["spearman"]
        cells = [str(figures["steps"]), f"{number(figures['trainings']['mean'])} ({number(low)} … {number(high)})"]
        cells += [number(five.get(column), 2) for column in COLUMNS]
        cells += [number(control[key]["spearman"]) for key in ("single", "swap", "unseen")] + [number(control["leakage"]["mean"], 2)]
        cells += [number(figures.get(key), 2 if "mel" in key else 1) for _, key in FIGURES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    reach = {name: figures["trainings"]["mean"] for name, figures in methods.items()}
    others = {name: value for name, value in reach.items() if "rave" in name}
    if "ours" in reach and others:
        best = max(others, key=others.get)
        lines += ["", f"Ours over the best baseline ({best}), all five at once: {reach['ours'] - others[best]:+.3f}"]
    return lines


def main():
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=6.0, help="of processor time for each training (default 6)")
    parser.add_argument("--sets", nargs="+", default=["impacts", "strings"])
    parser.add_argument("--methods", nargs="+", choices=list(switches()), default=[name for name in switches() if name not in OTHERS])
    parser.add_argument("--curves", type=int, default=512, help="curves a protocol and draw (default 512)")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the curves (default 3)")
    parser.add_argument("--repeats", type=int, default=1, help="trainings of each method, with seeds 1, 2 … (default 1)")
    parser.add_argument("--work", type=Path, default=Path(".out/control"), help="folder of the runs (default .out/control)")
    parser.add_argument("--cache", type=Path, default=Path(".data"), help="folder of prepared data (default .data)")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the results")
    parser.add_argument("--recipes", type=Path, metavar="DIR", help="write the recipes there and end")
    parser.add_argument("--one", nargs=3, metavar=("SET", "METHOD", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.recipes:
        return write_recipes(options.recipes, options.sets, options.methods, options.minutes)
    if options.one:
        data_set, method, seed = options.one
        return one(data_set, method, int(seed), options)
    return compare(options)


def compare(options):
    """All runs, each in a process of its own, then the results; 1 where one failed."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
    failed, options.results = [], options.results.resolve()
    for seed in range(1, options.repeats + 1):
        for method in options.methods:
            for data_set in options.sets:
                if finished(data_set, method, seed, options):
                    continue
                print(f"{data_set}, {method}, seed {seed}", flush=True)
                code = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--one", data_set, method, str(seed)], env=env).returncode
                if code:
                    failed.append(f"{data_set} {method} seed {seed}")
                    print(f"failed: {failed[-1]}", flush=True)
                report(options)
    report(options)
    if failed:
        print("failed, give the same command again: " + ", ".join(failed))
    return 1 if failed else 0


def report(options):
    """Write what there is so far."""
    options.results.mkdir(parents=True, exist_ok=True)
    lines = ["# Control at equal cost", "", "Written by `python benchmarks/control.py`; plain Spearman correlations, held-out clips, "
             f"{options.curves} curves a protocol and draw, {options.seeds} draws, {options.repeats} trainings.", ""]
    for data_set in options.sets:
        runs = {method: [finished(data_set, method, seed, options) for seed in range(1, options.repeats + 1)] for method in options.methods}
        methods = {method: mean_of([run for run in found if run]) for method, found in runs.items() if any(found)}
        if methods:
            (options.results / f"control-{data_set}.json").write_text(json.dumps(methods, indent=1) + "\n", encoding="utf-8")
            lines += table(data_set, methods, options.minutes) + [""]
    (options.results / "control.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
