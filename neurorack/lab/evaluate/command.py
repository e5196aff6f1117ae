"""``neurorack evaluate MODEL``: measures a model file against the held-out clips of its recipe."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from ...engine import Model
from ...errors import NeurorackError
from .. import data
from .figures import evaluate, table
from .opened import bench_of, cost, is_plain


def arguments(parser):
    """Declare the options of the command on an argparse parser."""
    parser.add_argument("model", type=Path, help="model file of the lab")
    parser.add_argument("--recipe", type=Path, help="its recipe (default: recipe.yaml beside it)")
    parser.add_argument("--cache", type=Path, default=Path(".data"), help="folder of prepared data (default .data)")
    parser.add_argument("--curves", type=int, default=512, help="curves per protocol and draw (default 512; 64 for a quick look)")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the curves (default 3)")
    parser.add_argument("--json", type=Path, help="write the figures there too")


def run(options):
    """The command: prints the table; returns the exit code."""
    from ..recipe import read_recipe

    torch.set_num_threads(1)
    recipe = read_recipe(options.recipe or options.model.parent / "recipe.yaml")
    cache = data.prepare(recipe, options.model.parent, options.cache)
    model = Model.load(options.model)
    bench = bench_of(model, data.Clips(cache, "held-out"))
    figures = evaluate(bench, options.curves, options.seeds) | cost(model)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(table(figures))
    return 0


def main(argv=None):
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="neurorack evaluate", description=__doc__.split("\n")[0])
    arguments(parser)
    options = parser.parse_args(argv)
    try:
        return run(options)
    except NeurorackError as error:
        print(f"neurorack: {error}", file=sys.stderr)
        return 2
