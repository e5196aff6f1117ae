"""What the command makes by itself: a recipe for a folder of sounds, and the model's place in the library."""

import copy

from ... import library
from ...library import changes, entries, files, names
from .. import data
from ..recipe import RecipeError, complete, read_recipe, write_recipe
from . import checkpoint

RECIPE = "recipe.yaml"
PITCHED_SHARE = 0.5         # of the sounding time, from which on the harmonic engine suits


def changed(recipe, options):
    """The recipe with what the command line says otherwise: name, seed, length."""
    recipe = copy.deepcopy(recipe)
    if options.name:
        recipe["name"] = options.name
    names.check(recipe["name"])          # files and folders are called by it
    if options.seed is not None:
        recipe["seed"] = options.seed
    for key, other in (("minutes", "steps"), ("steps", "minutes")):
        if getattr(options, key) is not None:
            recipe["train"].pop(other, None)
            recipe["train"][key] = getattr(options, key)
    return complete(recipe)


def from_folder(options, say):
    """(recipe, its folder) for a folder of sounds; kept in the work folder, so that the same command finds the same recipe."""
    source = options.source.resolve()
    name = names.check(options.name) if options.name else names.tidy(source.name)
    home = options.work / name
    kept = home / RECIPE
    if kept.exists() and not options.fresh:
        recipe = read_recipe(kept)
        if recipe["data"]["sources"][0].get("path") != str(source):
            raise RecipeError(f"{kept} is of another folder, {recipe['data']['sources'][0].get('path')}: give this one another name with "
                              "--name, or begin again with --fresh")
        if options.engine not in ("auto", recipe["engine"]["kind"]):
            raise RecipeError(f"{kept} says engine.kind {recipe['engine']['kind']}: --fresh begins again with {options.engine}")
    else:
        recipe = _drafted(name, source, options, home, say)
    recipe = changed(recipe, options)
    write_recipe(recipe, kept)
    return recipe, home


def _drafted(name, source, options, home, say):
    """A recipe for a folder; with engine auto its sounds are prepared first, to hear whether they have a pitch."""
    draft = {"name": name, "card": {"description": f"From the folder {source.name}.", "data": f"recordings in {source.name}"},
             "augment": {"silence": 0.03}, "data": {"sources": [{"kind": "folder", "path": str(source)}]}}
    draft["seed"] = 1 if options.seed is None else options.seed
    kind = options.engine
    if kind == "auto":
        checkpoint.make_folder(home)
        cache = data.prepare(complete(draft), home, options.cache, say)
        share = data.pitched_share(data.Clips(cache, "train").audio)
        kind = "harmonic" if share >= PITCHED_SHARE else "noise-band"
        say(f"{share:.0%} of the sounding time has a clear pitch: engine {kind}")
    draft["engine"] = {"kind": kind}
    draft["data"]["pitched"] = kind == "harmonic"
    return complete(draft)


def checked_out(path):
    """The path of a model to be written. RecipeError for a folder, or a name that is no model file's."""
    if path.is_dir():
        raise RecipeError(f"{path} is a folder: give --out a file in it, as {path / 'NAME.safetensors'}")
    if path.suffix != ".safetensors":
        raise RecipeError(f"--out is {path}; the name of a model file ends in .safetensors")
    return path


def may_be_added(name, out, began):
    """Is the model to go into the library? Not where it lies there already, nor where it is of the factory bank.

    RecipeError where another model has its name and this run has not begun: this is found out before the training, not after.
    """
    if files.inside(out.parent, library.FACTORY) or files.inside(out.parent, files.own()):
        return False
    taken = entries.entries().get(names.check(name))
    if taken and taken.where == entries.OWN and not began:
        raise RecipeError(f"there is a model {name!r} in the library already: give this one another name with --name, rename that one, "
                          "or leave the library as it is with --no-add")
    return True


def add(out, name):
    """Put the model into the library, in place of an earlier one of this run; returns (its name or None, what to say)."""
    had = name in entries.entries() and entries.entries()[name].where == entries.OWN
    done = changes.add(out, name=name, replace=True)
    if done["name"] is None:
        return None, f"{out} was not added to the library; {done['verdict']['line']}"
    line = f"added {done['name']} to the library; {done['verdict']['line']}"
    return done["name"], line + (f"; the one before is in its trash: neurorack models restore {done['name']}" if had else "")
