"""Checkpoints: everything a run needs to go on with the very next step, written in one move.

A kill at any time leaves the old checkpoint or the new one. Files are read without running anything that is in them.
"""

import contextlib
import errno
import os
import pickle
from pathlib import Path

import torch

from ..recipe import RecipeError, complete

VERSION = 1
NAME = "checkpoint.pt"
EARLY = "early.pt"                                   # weights of the run's beginning, see `early`
FREE = ("checkpoint_every", "steps", "minutes")      # of `train`: may change between two sittings
_TOLD = ("name", "card", "data", "trim")             # their changes do not touch the run; clips are compared by themselves


def write(folder, state):
    """Write the checkpoint. RecipeError where the disk is full or cannot be written: the last checkpoint stays as it was."""
    write_state(Path(folder) / NAME, state)


def write_state(path, state):
    """Write a file of tensors and plain values in one move. RecipeError where the disk is full or cannot be written."""
    folder, partial = path.parent, path.with_name(path.name + ".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            torch.save({"version": VERSION, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:         # torch says of a full disk that its writer failed
        partial.unlink(missing_ok=True)
        raise disk_error(error, folder, (folder / NAME).exists()) from None


def disk_error(error, folder, kept):
    """The one line for a disk that takes no more. kept: is there a checkpoint to go on from?"""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or isinstance(error, RuntimeError)
    reason = "the disk is full" if full else getattr(error, "strerror", None) or error
    rest = "the last checkpoint is intact: make room and give the same command again" if kept else "make room and begin again"
    return RecipeError(f"{folder} cannot be written, {reason}; {rest}")


def make_folder(folder):
    """Make a folder of results before anything long begins. RecipeError where it cannot be."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError as error:
        raise RecipeError(f"{folder} cannot be made: {error.strerror or error}; choose another folder") from None
    if not usable:
        raise RecipeError(f"{folder} cannot be written to: choose another folder")


def read(folder):
    """The state in `folder`, or None where there is none. RecipeError for one that is broken or of another version."""
    return read_state(Path(folder) / NAME)


def read_state(path):
    """What `write_state` wrote, or None where there is none. RecipeError for a file that is broken or of another version."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        raise RecipeError(f"checkpoint {path} is broken: --fresh begins again") from None
    version = state.get("version") if isinstance(state, dict) else None
    if version != VERSION:
        raise RecipeError(f"checkpoint {path} is of version {version}, this program goes on from {VERSION}: --fresh begins again, "
                          "or finish it with the program that wrote it")
    return state


def check_recipe(path, old, new, old_clips, new_clips):
    """RecipeError where the run in the checkpoint was made by other settings or with other clips."""
    with contextlib.suppress(RecipeError):           # keys that there were not yet stand at their defaults
        old = complete(old)
    for section in [name for name in (old | new) if name not in _TOLD]:
        a, b = old.get(section), new.get(section)
        if not isinstance(a, dict) or not isinstance(b, dict):
            a, b = {"": a}, {"": b}
        for key in [key for key in (a | b) if not (section == "train" and key in FREE)]:
            if a.get(key) != b.get(key):
                what = f"{section}.{key}" if key else section
                raise RecipeError(f"checkpoint {path} was made with other settings, {what} {a.get(key)} and not {b.get(key)}: "
                                  "--fresh begins again")
    if old_clips != new_clips:
        raise RecipeError(f"checkpoint {path} was made with other recordings: --fresh begins again with those there are now")


def put_aside(folder):
    """Begin again: a checkpoint there is kept as checkpoint.before.pt."""
    path = Path(folder) / NAME
    if path.exists():
        os.replace(path, path.with_name("checkpoint.before.pt"))
    path.with_name(EARLY).unlink(missing_ok=True)
