"""Trimming against masking, chance and the small net from scratch: the experiment of Esling et al. on our data (docs/trimming.md).

    python benchmarks/trimming.py [--only rave ddsp nsf] [--minutes 90] [--list]

"Diet deep generative audio models with structured lottery" (DAFx 2020) at our scale: for three architectures (benchmarks/recipes/trim-*.yaml)
the held-out error over the full net's, against the share of the parameters that is really removed. Tasks come in the order of their
weight; each row is kept in --work as soon as it is measured, and benchmarks/results/trimming.json is written anew from all of them. The same
command goes on after a stop; two at a time share the work. Processor time is counted, so what else the machine does counts for none.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

CRITERIA = ("magnitude", "taylor", "gradient", "activation", "norm-scale", "synflow", "snip", "grasp", "mutual-information")
FIRST, MAIN = ("taylor", "random", "magnitude"), "taylor"
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Task:
    """One chain of trainings. method: full, full-long, full-fast, scratch, scratch-long, mask or trim; criterion, scope and start are of
    trim alone; rate: learning rate over the recipe's."""

    architecture: str
    method: str
    seed: int = 1
    criterion: str = ""
    scope: str = ""
    start: str = ""
    rate: float = 1.0

    @property
    def name(self):
        said = [str(part) for key, part in asdict(self).items() if key != "rate" and part != ""]
        return "-".join(said + ([f"rate{self.rate:g}"] if self.rate != 1 else []))


def trims(arch, criterion, seed=1, scope="auto", start="rewind", rate=1.0):
    return Task(arch, "trim", seed, criterion, scope, start, rate)


def faster(arch, seed=1):
    """The reference, the small net from scratch, and trimming, at twice the learning rate."""
    return [Task(arch, "full-fast", seed, rate=2.0), Task(arch, "scratch", seed, rate=2.0), trims(arch, MAIN, seed, rate=2.0)]


def tasks(architectures):
    """All tasks, what matters most first."""
    main = lambda arch, seed: [Task(arch, "full", seed), Task(arch, "scratch", seed), *(trims(arch, name, seed) for name in FIRST)]
    others = lambda arch, seed: [trims(arch, name, seed) for name in CRITERIA if name not in FIRST]
    scopes = lambda arch: [trims(arch, MAIN, scope=scope) for scope in ("local", "global")]
    out = [task for row in zip(*(main(arch, 1) for arch in architectures)) for task in row]
    out += [trims(arch, MAIN, start="fine-tune") for arch in architectures] + [task for arch in architectures for task in faster(arch)]
    out += [Task(arch, "mask") for arch in architectures]
    first, rest = architectures[:1], architectures[1:]
    for arch in first:
        out += [Task(arch, "scratch-long"), trims(arch, MAIN, start="reinitialise"), *others(arch, 1)]
    out += [Task(arch, "scratch-long") for arch in rest]
    for seed in SEEDS[1:]:
        for arch in architectures:
            out += [*main(arch, seed)[:-1], trims(arch, MAIN, seed, start="fine-tune"), *(scopes(arch) if seed == 2 and arch in first else [])]
        out += [main(arch, seed)[-1] for arch in architectures] + [Task(arch, "full-long") for arch in first if seed == 2]
    for arch in rest:
        out += [trims(arch, MAIN, start="reinitialise"), *others(arch, 1), *scopes(arch), Task(arch, "full-long")]
    return out + [task for seed in SEEDS[1:] for arch in architectures for task in [Task(arch, "scratch-long", seed), Task(arch, "mask", seed), *others(arch, seed)]]


def rows_of(task, bench, done):
    """The rows of a task that are not done yet, one after the other."""
    import trimming_methods as methods

    if task.method == "trim":
        return methods.trimmed(bench, task.seed, done, task.criterion, task.scope, task.start, task.rate)
    if task.method in ("scratch", "scratch-long"):
        return methods.scratch(bench, task.seed, done, task.method == "scratch-long", task.rate)
    if task.method == "full-fast":
        return methods.full_fast(bench, task.seed, done, task.rate)
    return {"full": methods.full_rows, "full-long": methods.full_long, "mask": methods.masked}[task.method](bench, task.seed, done)


LEVELS_OF = {"full": 1, "full-fast": 1, "full-long": 2, "scratch-long": 3}


class Kept:
    """Rows measured so far, in a file that several processes append to."""

    def __init__(self, work, results):
        self.path, self.results = work / "rows.jsonl", results

    def rows(self):
        """All rows; of the same task, settings and level the last."""
        found = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            row = json.loads(line)
            found[row["task"], row["setup"], row["level"]] = row
        return list(found.values())

    def done(self, task, arch):
        """The levels of a task that are there."""
        return {row["level"] for row in self.rows() if row["task"] == task.name and row["setup"] == arch.mark}

    def add(self, task, arch, row):
        """Append a row and write the results anew."""
        line = json.dumps({"task": task.name, **asdict(task), "setup": arch.mark, "budget_steps": arch.steps, **row}) + "\n"
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(line)
        self.write()

    def write(self):
        """benchmarks/results/trimming.json of all rows, a line each."""
        text = "[\n" + ",\n".join(json.dumps(row) for row in self.rows()) + "\n]\n"
        partial = self.results.with_suffix(f".part-{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, self.results)


def work_on(task, benches, kept, options):
    """Do what is left of a task, unless another process is at it; True where it was finished or given up."""
    import trimming_methods as methods
    import trimming_nets as nets

    if task.architecture not in benches:
        benches[task.architecture] = methods.Bench(nets.architecture(task.architecture), options.cache, options.work)
    bench = benches[task.architecture]
    done = kept.done(task, bench.arch)
    if len(done) >= LEVELS_OF.get(task.method, len(methods.LEVELS)):
        return
    with open(options.work / f"{task.name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        for row in rows_of(task, bench, done):
            kept.add(task, bench.arch, row)
            print(f"{task.name}: {row['level']:.0%} removed, error {row['error']}, {row['seconds']:.0f} s", flush=True)
            if time.monotonic() > options.until:
                return


def main():
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=["rave", "ddsp", "nsf"], help="architectures")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no training after so long")
    parser.add_argument("--list", action="store_true", help="only list the tasks in their order")
    parser.add_argument("--work", type=Path, default=Path(".out/trimming"), help="folder of what is kept in between (default .out/trimming)")
    parser.add_argument("--cache", type=Path, default=Path(".data"), help="folder of prepared data (default .data)")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "trimming.json", help="file of the results")
    options = parser.parse_args()
    if options.list:
        print("\n".join(task.name for task in tasks(options.only)))
        return 0
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    options.until = time.monotonic() + 60 * options.minutes
    options.work.mkdir(parents=True, exist_ok=True)
    kept, benches, failed = Kept(options.work, options.results), {}, []
    for task in tasks(options.only):
        if time.monotonic() > options.until:
            break
        try:
            work_on(task, benches, kept, options)
        except Exception as error:                      # one that fails must not keep the others from being done
            failed.append(task.name)
            print(f"failed: {task.name}: {type(error).__name__}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
