"""``neurorack evaluate MODEL``: measures a model file against the held-out clips of its recipe."""

import json
from pathlib import Path

import numpy as np
import torch

from ...engine import Model
from ...errors import NeurorackError
from .. import data
from ..recipe import read_recipe, recipe_beside
from .figures import evaluate, table
from .opened import bench_of, cost
from .page import page


class EvaluateError(NeurorackError, ValueError):
    """Something that a measurement needs is not there."""


def arguments(parser):
    """Declare the options of the command on an argparse parser."""
    parser.add_argument("model", type=Path, help="model file of the lab")
    parser.add_argument("--recipe", type=Path, help="its recipe (default: MODEL.recipe.yaml, else recipe.yaml, beside it)")
    parser.add_argument("--cache", type=Path, default=Path(".data"), help="folder of prepared data (default .data)")
    parser.add_argument("--curves", type=int, default=512, help="curves per protocol and draw (default 512; 64 for a quick look)")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the curves (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--page", type=Path, metavar="DIR|FILE.html", help="write a page with plots and sounds")
    parser.add_argument("--baseline", type=Path, nargs="+", default=[], metavar="JSON", help="figures of other models, to stand beside these")


def read_baselines(paths):
    """{name: figures} of JSON files: those written by --json, or any that hold such figures by name. EvaluateError in one line."""
    found = {}

    def look(name, value):
        if isinstance(value, dict) and isinstance(value.get("control"), dict) and "all_five" in value["control"]:
            found[str(value.get("name", name))] = value
        elif isinstance(value, dict):
            for key, each in value.items():
                look(key, each)

    for path in paths:
        try:
            before = len(found)
            look(path.stem, json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise EvaluateError(f"baseline {path} cannot be read: {error}") from None
        if len(found) == before:
            raise EvaluateError(f"baseline {path} holds no figures; neurorack evaluate MODEL --json {path} writes such a file")
    return found


def measured(model, clips, curves, seeds):
    """(figures, bench) of a model file: those of `evaluate`, its name, what it costs, and the loudness of its gestures."""
    from ..export import demo_loudness

    bench = bench_of(model, clips)
    tables = [np.array(model.tensor(entry["tensor"])) for entry in model.card.get("gestures", []) if "tensor" in entry]
    figures = {"name": model.card.get("name", model.path.stem)} | evaluate(bench, curves, seeds) | cost(model)
    return figures | ({"loudness_lufs": demo_loudness(model, tables)} if tables else {}), bench


def run(options):
    """The command: prints the table; returns the exit code."""
    for name, least in (("curves", 8), ("seeds", 1)):
        if getattr(options, name) < least:
            raise EvaluateError(f"--{name} is {getattr(options, name)}; at least {least} are needed for a figure")
    torch.set_num_threads(1)
    baselines = read_baselines(options.baseline)
    model = Model.load(options.model)
    path = recipe_beside(options.model, options.recipe)
    clips = data.Clips(data.prepare(read_recipe(path), path.parent, options.cache), "held-out")
    figures, bench = measured(model, clips, options.curves, options.seeds)
    if options.json:
        write(options.json, json.dumps(figures, indent=1) + "\n")
    if options.page:
        into = options.page if options.page.suffix == ".html" else options.page / f"{options.model.stem}.html"
        write(into, page(figures["name"], figures, bench, model.card, baselines))
    print(table(figures))
    return 0


def write(path, text):
    """Write a file and its folder. EvaluateError where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EvaluateError(f"{path} cannot be written: {error.strerror or error}") from None
