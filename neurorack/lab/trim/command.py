"""`neurorack trim MODEL|CHECKPOINT`: a family of smaller models, and the right one of them in the library."""

import contextlib
import copy
import dataclasses
import os
import shlex
from pathlib import Path

import torch

from ... import library
from ...engine import Model
from ...errors import ModelError, NeurorackError
from ...library import files, names
from ...trim.weights import with_weights
from .. import data, engines, export
from ..recipe import KEYS, RecipeError, complete, layout_of, nearest, read_recipe, recipe_beside, write_recipe
from ..train import checkpoint, made
from ..train.command import STOPPED, again, device_of, signals, threads_of
from ..train.loop import Trainer
from . import criteria, kept, rewind, rounds, table, targets
from .tuning import Parent

LIGHT = "-light"
CURVES, FULL_CURVES = 512, 8
_SETTINGS = ("target", "criterion", "scope", "start", "rewind_to", "rounds", "minutes", "steps", "rate", "least", "multiple", "weights", "early_bird")


def arguments(parser):
    """Declare the options of the command on an argparse parser."""
    keys = {name: dataclasses.replace(key, doc=key.doc.replace("%", "%%")) for name, key in KEYS["trim"].items()}
    parser.add_argument("source", metavar="MODEL|CHECKPOINT",
                        help="a model of the library, a .safetensors file of the lab, or the work folder of a run")
    parser.add_argument("--recipe", type=Path, help="its recipe (default: MODEL.recipe.yaml, else recipe.yaml, beside it)")
    parser.add_argument("--target", help=f"{keys['target'].doc} (default {keys['target'].default}, or what the recipe says, as for all of these)")
    parser.add_argument("--criterion", help=f"{keys['criterion'].doc}: {', '.join(criteria.NAMES)} (default {keys['criterion'].default})")
    for name in ("scope", "start", "weights"):
        parser.add_argument(f"--{name}", choices=keys[name].choices, help=f"{keys[name].doc} (default {keys[name].default})")
    parser.add_argument("--rewind-to", metavar="PART", help=f"{keys['rewind_to'].doc} (default auto)")
    parser.add_argument("--rounds", type=int, help=keys["rounds"].doc)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help=keys["minutes"].doc)
    length.add_argument("--steps", type=int, help=keys["steps"].doc)
    parser.add_argument("--rate", type=float, help=keys["rate"].doc)
    for name in ("least", "multiple"):
        parser.add_argument(f"--{name}", type=int, help=f"{keys[name].doc} (default {keys[name].default})")
    parser.add_argument("--early-bird", action="store_true", default=None, help=keys["early_bird"].doc)
    parser.add_argument("--name", help=f"of the new model (default: the model's, with {LIGHT} behind it)")
    parser.add_argument("--seed", type=int, help="of crops and random curves (default: the recipe's)")
    parser.add_argument("--threads", type=int, help="threads (default: all cores)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to train (default auto: cuda where there is one)")
    parser.add_argument("--work", type=Path, default=Path(".out"), metavar="DIR", help="folder of the family, checkpoints and logs (default .out)")
    parser.add_argument("--cache", type=Path, default=Path(".data"), metavar="DIR", help="folder of prepared recordings (default .data)")
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="the new model (default: beside a model that was given by its file, else in the work folder)")
    parser.add_argument("--curves", type=int, default=CURVES, help=f"curves a protocol when the result is measured (default {CURVES})")
    parser.add_argument("--fresh", action="store_true", help="begin again")
    parser.add_argument("--no-add", action="store_true", help="leave the library as it is")


def run(options):
    """Carry out the command; returns the exit code."""
    device = device_of(options.device)
    torch.set_num_threads(threads_of(options.threads))
    say = lambda line: print(line, flush=True)
    try:
        with signals() as stop:
            return _trim(options, device, say, stop)
    except KeyboardInterrupt:
        say("stopped: the same command goes on")
        return STOPPED


class Source:
    """What the command line names: path of a model file, or folder of a run; recipe, complete; home, the folder that the recipe lies in;
    file, the recipe's of a model, else None."""

    def __init__(self, options):
        path, self.folder, self.path, self.by_name, self.file = Path(options.source), None, None, False, None
        if path.is_dir() or path.suffix == ".pt":
            self.folder = path if path.is_dir() else path.parent
            state = checkpoint.read(self.folder)
            if state is None or path.suffix == ".pt" and path.name != checkpoint.NAME:
                raise RecipeError(f"{path} is no run: give the work folder of one, with {checkpoint.NAME} in it, or a model")
            self.recipe, self.home = complete(state["recipe"]), self.folder
            if options.recipe:
                self.recipe["trim"], self.home = read_recipe(options.recipe)["trim"], options.recipe.parent
        elif path.suffix.lower() in (".yaml", ".yml"):
            raise RecipeError(f"{path} is a recipe: give the model that was made by it, and this with --recipe")
        else:
            self.by_name = not path.is_file()
            self.path = Path(library.find(options.source))
            layout, kind = _of_the_lab(self.path)
            found = self.file = recipe_beside(self.path, options.recipe)
            self.recipe, self.home = read_recipe(found), found.parent
            if layout != layout_of(self.recipe) or kind != self.recipe["engine"]["kind"]:
                raise ModelError(f"{self.path} is no model of the recipe {found}: give its own with --recipe")

    @property
    def name(self):
        """What the model is called."""
        return self.recipe["name"] if self.folder else names.tidy(self.path.stem)

    def serves(self, out):
        """Is the recipe found by a model file at `out` as it lies there?"""
        return self.file is not None and self.file.resolve() == out.with_name(made.RECIPE).resolve()


def _of_the_lab(path):
    """(layout of its rows, kind of its engine) of a model file. ModelError for one that was not made here."""
    model = Model.load(path)
    try:
        return engines.layout_of(model), engines.settings_of(model)["kind"]
    except (ModelError, *engines.UNFIT):
        raise ModelError(f"{path} is no model of the lab, which alone can be trained on; neurorack models lighter makes others smaller "
                         "without recordings") from None


def settings(recipe, options):
    """The recipe with what the command line says otherwise, checked."""
    recipe = copy.deepcopy(recipe)
    for key, other in (("minutes", "steps"), ("steps", "minutes")):
        if getattr(options, key) is not None:
            recipe["trim"].pop(other, None)
    recipe["trim"] |= {key: value for key in _SETTINGS if (value := getattr(options, key)) is not None}
    if options.seed is not None:
        recipe["seed"] = options.seed
    recipe = complete(recipe)
    if recipe["trim"]["criterion"] not in criteria.NAMES:
        raise RecipeError(f"the criterion is {recipe['trim']['criterion']!r}: {nearest(recipe['trim']['criterion'], criteria.NAMES)}")
    targets.read(recipe["trim"]["target"])
    rewind.part_of(recipe["trim"]["rewind_to"])
    return recipe


def _out(options, source, name, work):
    """Where the new model goes. RecipeError where it would take the place of a model that is no trimmed one."""
    beside = source.path.parent if source.path and not source.by_name else None
    if not beside or files.inside(beside, files.own()) or not os.access(beside, os.W_OK):
        beside = work
    out = made.checked_out(options.out or beside / f"{name}.safetensors")
    if source.path and out.resolve() == source.path.resolve():
        raise RecipeError(f"{out} is the model itself: give the new one another name with --name, or another file with --out")
    with contextlib.suppress(ModelError):            # what is no model may be of a trim that was broken off
        if out.is_file() and "trim" not in Model.load(out).card:
            raise RecipeError(f"{out} is another model, and no trimmed one: give the new one another name with --name, or another file with --out")
    return out


def _whole(source, cache, work, device, curves, say):
    """The model that is trimmed, as a file: the one that was given, or that of the run, exported."""
    if source.path:
        return source.path
    path = work / kept.FULL
    if not path.exists():
        say("writing the model of the run")
        trainer = Trainer(source.recipe, cache, source.folder, device)
        try:
            trainer.resume(lambda line: None)
        except RuntimeError:                         # torch's word for other shapes
            raise RecipeError(f"{source.folder} holds a net of other shapes than its recipe's, as a round of a trim does: give the model of it, "
                              f"as .out/NAME-light/{kept.FAMILY}/NAME-light-01.safetensors, with --recipe") from None
        partial = path.with_name(path.stem + ".part" + path.suffix)
        try:
            export.export(trainer, cache, partial, curves, lambda line: None)
            os.replace(partial, path)
        except OSError as error:
            raise checkpoint.disk_error(error, work, True) from None
    return path


def _trim(options, device, say, stop):
    if options.curves < 1:
        raise RecipeError(f"--curves is {options.curves}; it must be at least 1")
    source = Source(options)
    recipe = settings(source.recipe, options)
    name = names.check(options.name or source.name + LIGHT)
    work = options.work / name
    out = _out(options, source, name, work)
    if recipe["trim"]["start"] == "rewind":
        rewind.kept_of(source.folder)                # before anything long
    add = not options.no_add and made.may_be_added(name, out, (work / kept.NAME).exists())
    for folder in (work, out.parent):
        checkpoint.make_folder(folder)
    if options.fresh:
        kept.put_aside(work)
    cache = data.prepare(source.recipe, source.home, options.cache, say)
    parent = Parent(_whole(source, cache, work, device, min(options.curves, FULL_CURVES), say))
    bar = table.Bar(say)
    trim = rounds.Run(parent, recipe, cache, work, name, device, source.folder, bar)
    trim.stop = stop
    went_on = trim.load()
    try:
        if not went_on:
            say(f"measuring {parent.card['name']}, planning the rounds")
            trim.begin()
        say(trim.words() + (f"; goes on after round {len(trim.state['removed'])}" if went_on else ""))
        say(table.head(trim.board))
        for row in trim.state["rows"]:
            say(table.line(row, trim.board))
        trim.run()
    except rounds.Stopped:
        say(f"stopped, and saved; to go on: {again()}")
        return STOPPED
    except NeurorackError:                           # some of them are OSErrors too
        raise
    except OSError as error:
        raise checkpoint.disk_error(error, work, True) from None
    return _finish(options, source, trim, out, add, say)


def _finish(options, source, trim, out, add, say):
    """Write the model that suits the target, with everything measured; into the library."""
    row, file = trim.picked()
    model, kind = Model.load(file), trim.trim["weights"]
    narrow = None if kind == "float32" else lambda path: with_weights(path, path, kind)
    say(f"round {row['round']} suits {trim.target}: {row['params']} of {trim.state['rows'][0]['params']} parameters, "
        f"error {row['multiplier']:.3f} times the whole model's")
    try:
        export.finish(out, model.card, export.read(model), trim.parent.tensors, trim.cache, options.curves, say, narrow)
        if narrow:
            say(f"weights as {kind}: error {trim.noted(out)['error_multiplier']:.3f} times the whole model's")
    except OSError as error:
        raise checkpoint.disk_error(error, out.parent, True) from None
    if not source.serves(out):
        write_recipe(trim.recipe | {"seed": source.recipe["seed"]}, out.with_suffix(".recipe.yaml"))
    if not add:
        say(f"play it: neurorack play --model {shlex.quote(str(out))}")
        return 0
    name, line = made.add(out, trim.name)
    say(line)
    if name is None:
        return 1
    say(f"play it: neurorack play --model {shlex.quote(name)}")
    return 0
