"""What a trim keeps in its work folder: `run.json`, in which everything lies that is decided, beside the rounds and the family."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from ...trim.units import Member, Unit
from ..recipe import RecipeError
from . import family

NAME, FAMILY, FULL, VERSION = "run.json", "family", "full.safetensors", 1


def read(work, fixed):
    """The state in a work folder, or None where there is none. RecipeError where it is broken or of a trim with another `fixed`."""
    path = Path(work) / NAME
    if not path.exists():
        return None
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        version, theirs = state["version"], dict(state["fixed"])
    except (OSError, ValueError, KeyError, TypeError):
        raise RecipeError(f"{path} is broken: --fresh begins again") from None
    if version != VERSION:
        raise RecipeError(f"{path} is of version {version}, this program goes on from {VERSION}: --fresh begins again")
    for key, value in fixed.items():
        if theirs.get(key) != value:
            raise RecipeError(f"{path} is of another trim, {key} {theirs.get(key)} and not {value}: --fresh begins again, "
                              "--name gives this one another place")
    return state


def write(work, state):
    """Keep the state, in one move."""
    family.write_json(Path(work) / NAME, state)


def put_aside(work):
    """Begin again: all that an earlier trim left in its work folder goes into `before`, in place of what was there.

    RecipeError where it cannot be moved.
    """
    work = Path(work)
    first = [work / name for name in (NAME, family.NAME, FULL, FAMILY)]      # without its state, what is left of a trim is of none
    left = [path for path in [*first, *work.glob("round-*"), *work.glob("child-*")] if path.exists()]
    if not left:
        return
    before = work / "before"
    try:
        shutil.rmtree(before, ignore_errors=True)
        before.mkdir(exist_ok=True)
        for path in left:
            os.replace(path, before / path.name)
    except OSError as error:
        raise RecipeError(f"{before} cannot be written, {error.strerror or error}: take what is in {work} away yourself, or choose another "
                          "--name") from None


def sha256_of(path):
    """Of a file, as text."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def told(units):
    """Units as JSON: tensor → axis → indices."""
    out = {}
    for unit in units:
        for member in unit.members:
            out.setdefault(member.tensor, {}).setdefault(str(member.axis), set()).add(member.index)
    return {tensor: {axis: sorted(indices) for axis, indices in axes.items()} for tensor, axes in out.items()}


def untold(removed):
    """What `told` gave, as one unit that holds them all: for cutting."""
    return [Unit(tuple(Member(tensor, int(axis), index, "out") for tensor, axes in removed.items() for axis, indices in axes.items()
                       for index in indices))]
