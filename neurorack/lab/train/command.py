"""`neurorack train FOLDER|RECIPE`: recordings, training, export and the library, one after the other."""

import contextlib
import os
import shlex
import signal
import sys

import torch

from ... import library
from ...errors import NeurorackError
from ...library import files
from .. import data
from ..recipe import RecipeError, read_recipe, write_recipe
from . import checkpoint, made
from .distributed import Team
from .loop import Trainer

FOLDER_CURVES, RECIPE_CURVES = 96, 512
STOPPED = 130


def run(options):
    """The command; returns the exit code. NeurorackError: one line."""
    device = device_of(options.device)
    team = Team.join(device)
    torch.set_num_threads(threads_of(options.threads))
    say = (lambda line: print(line, flush=True)) if team.first else (lambda line: None)
    try:
        with signals() as stop:
            return _train(options, device, team, say, stop)
    except KeyboardInterrupt:
        say("stopped: the same command goes on")
        return STOPPED
    except NeurorackError:
        if team.first:
            raise
        return 2                              # one line is enough
    finally:
        team.leave()


def device_of(asked):
    """"cpu" or "cuda". RecipeError where cuda is asked for and not there."""
    if asked == "cuda" and not torch.cuda.is_available():
        raise RecipeError("--device cuda: torch finds no such device here; use --device cpu")
    return "cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu"


def threads_of(asked):
    """Threads of this process: the cores there are, shared with the others of this machine, unless asked otherwise."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if asked is not None and not 1 <= asked <= 1024:
        raise RecipeError(f"--threads is {asked}; it must lie from 1 to 1024")
    return asked or max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


class Stop:
    """Ctrl-C and SIGTERM: `wanted` becomes true; a second time they interrupt at once. `trainer` hears of it between two steps."""

    def __init__(self):
        self.wanted, self.trainer = False, None

    def __call__(self, *_):
        if self.wanted or self.trainer is None:
            raise KeyboardInterrupt
        self.wanted = self.trainer.stop_wanted = True


@contextlib.contextmanager
def signals():
    """A `Stop` in place of the usual handlers, where this is the main thread."""
    stop, before = Stop(), {}
    with contextlib.suppress(ValueError):
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, stop)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _recipe(options, say):
    """(recipe, the folder it lives in, the model file) of what the command line names."""
    source = options.source
    if source.is_dir():
        recipe, home = made.from_folder(options, say)
    elif source.is_file() and source.suffix.lower() in (".yaml", ".yml"):
        if options.engine != "auto":
            raise RecipeError(f"--engine is for folders; in {source} the key engine.kind says it")
        recipe, home = made.changed(read_recipe(source), options), source.parent
    elif source.exists():
        raise RecipeError(f"{source} is neither a folder nor a recipe: give the folder that holds it, or a .yaml file")
    else:
        raise RecipeError(f"{source} does not exist: give a folder of audio files or a recipe")
    return recipe, home, made.checked_out(options.out or home / f"{recipe['name']}.safetensors")


def _train(options, device, team, say, stop):
    for name in ("curves", "steps"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise RecipeError(f"--{name} is {getattr(options, name)}; it must be at least 1")
    recipe, home, out = team.from_first(lambda: _recipe(options, say))
    work = options.work / recipe["name"]
    factory = files.inside(home, library.FACTORY)
    add = team.first and not options.no_add and not factory and made.may_be_added(recipe["name"], out, (work / checkpoint.NAME).exists())
    team.from_first(lambda: checkpoint.make_folder(out.parent))
    if team.first and options.fresh:
        checkpoint.put_aside(work)
    cache = team.from_first(lambda: data.prepare(recipe, home, options.cache, say))
    trainer = Trainer(recipe, cache, work, device, team)
    stop.trainer = trainer
    trainer.resume(say)
    threads, processes = torch.get_num_threads(), f", {team.size} processes" if team.size > 1 else ""
    say(f"training {recipe['name']}: {recipe['engine']['kind']}, {trainer.budget}, {len(trainer.clips)} clips, {device}, "
        f"{threads} thread{'s' if threads > 1 else ''}{processes}; previews in {work / 'previews'}")
    if not trainer.run(say):
        say(f"stopped at step {trainer.step}, which is saved; to go on: {again()}")
        return STOPPED
    stop.trainer = None
    if not team.first:
        return 0
    return _finish(options, trainer, cache, home, out, add, say)


def _finish(options, trainer, cache, home, out, add, say):
    """Export, keep the recipe with the model, add it to the library, say how to play it."""
    from ..export import export              # only now: it needs the engine's compiled core

    curves = options.curves or (FOLDER_CURVES if options.source.is_dir() else RECIPE_CURVES)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        export(trainer, cache, out, curves, say)
    except OSError as error:
        raise checkpoint.disk_error(error, out.parent, True) from None
    if out.parent.resolve() != home.resolve():
        write_recipe(trainer.recipe, out.with_suffix(".recipe.yaml"))
    if not add:
        say(f"play it: neurorack play --model {shlex.quote(str(out))}")
        return 0
    name, line = made.add(out, trainer.recipe["name"])
    say(line)
    if name is None:
        return 1
    say(f"play it: neurorack play --model {shlex.quote(name)}")
    return 0


def again():
    """The command line, to be given again."""
    return " ".join(["neurorack", *map(shlex.quote, [word for word in sys.argv[1:] if word != "--fresh"])])
