"""From a recipe to a folder of prepared clips: collected, cut, split, with their pitch, written while they come.

Nothing but one recording at a time and the clips' first 85 ms is held in memory.
"""

import contextlib
import difflib
import errno
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..descriptors import RATE_HZ
from ..recipe import RecipeError
from . import f0, split
from .clips import trim, window
from .folder import cut
from .licences import licence_table
from .sources import collect

VERSION = 2                  # of the prepared folder: another number prepares anew
MINUTES = 60.0               # kept of a collection unless the recipe says otherwise
TAIL = 0.02                  # of a recording's peak: a window that stays below it is left out
LEAST_SECONDS, LEAST_CLIPS = 1.0, 2


class _Store:
    """The clips as they come: audio and curves in two files, rows and first samples in memory."""

    def __init__(self, folder, pitched):
        self.audio = open(folder / "audio.f32", "wb")
        self.curves = open(folder / "curves.f32", "wb") if pitched else None
        self.rows, self.heads = [], []

    def add(self, clip, row, note):
        """Append one clip with its row; its pitch is measured here."""
        self.audio.write(clip.tobytes())      # tofile would not say that the disk is full
        if self.curves:
            pitch, voiced = f0.track(clip, note)
            self.curves.write(np.stack((pitch, f0.harmonicity(clip, pitch)), 1).astype(np.float32).tobytes())
            row = row | {"voiced": round(float(voiced.mean()) if len(voiced) else 0.0, 3)}
        self.rows.append(row | {"samples": len(clip)})
        self.heads.append(clip[:split.HEAD_SAMPLES].copy())

    def close(self):
        self.audio.close()
        if self.curves:
            self.curves.close()


def _mark(recipe):
    told = json.dumps([VERSION, recipe["data"], recipe.get("seed", 1)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _row(recording, side=split.TRAIN):
    return {"name": recording.name, "licence": recording.licence, "origin": recording.origin, "holder": recording.holder, "side": side,
            "zones": list(recording.zones), "group": recording.group, "place": recording.place, "note": recording.note,
            "lasting": recording.lasting}


def _pieces(recording, seconds):
    """The recording itself, or where it is to be cut into windows, those that hold more than its dying away."""
    if not recording.windows:
        return [recording]
    least = TAIL * np.abs(recording.audio).max(initial=0.0)
    found = [replace(recording, name=f"{recording.name}@{first / RATE_HZ:.2f}", audio=audio, lasting=True, place=first / RATE_HZ,
                     group=recording.group or recording.name) for first, audio, _ in cut(recording.audio, seconds, "windows")
             if np.abs(audio).max() > least]
    return found if len(found) > 1 else [replace(piece, name=recording.name) for piece in found]


def _clip(recording, seconds):
    """The recording as a clip of at most `seconds`, or None."""
    lasts = recording.lasting or recording.windows
    return window(recording.audio, seconds) if lasts else trim(recording.audio, seconds)


def _fill(store, recipe, log):
    """Collect every recording into the store; returns (recordings that gestures are taken from, seconds that found no room)."""
    data = recipe["data"]
    gestures = data.get("gestures", "auto")
    wanted = set(gestures.values()) if isinstance(gestures, dict) else set()
    room, left_out = data.get("minutes", MINUTES) * 60 * RATE_HZ, 0
    pieces = []      # a few, kept whole
    for recording in collect(recipe, log):
        if recording.name in wanted:
            wanted.remove(recording.name)
            pieces.append(recording)
        for piece in _pieces(recording, data["seconds"]):
            clip = _clip(piece, data["seconds"])
            if clip is None:
                log(f"skipped {piece.name}: silent or shorter than {'80' if piece.lasting else '15'} ms")
            elif room < len(clip):
                left_out += len(clip)
            else:
                room -= len(clip)
                store.add(clip, _row(piece), piece.note)
    if wanted:
        name = sorted(wanted)[0]
        near = difflib.get_close_matches(name, [row["name"] for row in store.rows], 1, 0.3) or [store.rows[0]["name"] if store.rows else "none"]
        raise RecipeError(f"gesture from {name!r}: no recording has that name; the nearest is {near[0]!r}")
    return pieces, left_out / RATE_HZ


def _check(recipe, store):
    """RecipeError where there is too little sound to train on."""
    seconds = sum(row["samples"] for row in store.rows) / RATE_HZ
    if len(store.rows) < LEAST_CLIPS or seconds < LEAST_SECONDS:
        raise RecipeError(f"recipe {recipe['name']}: {len(store.rows)} usable clips, {seconds:.2f} s; training needs at least {LEAST_CLIPS} "
                          f"clips and {LEAST_SECONDS:g} s of sound, add recordings")


def _write(recipe, partial, log):
    """Fill the folder `partial`; returns the rows."""
    data = recipe["data"]
    store = _Store(partial, data.get("pitched", False))
    try:
        gestures, left_out = _fill(store, recipe, log)
        _check(recipe, store)
        lengths = [row["samples"] for row in store.rows]
        sides = split.divide(store.rows, lengths, lambda rows: [store.heads[k] for k in rows], data.get("held_out"), recipe.get("seed", 1), log)
        for row, side in zip(store.rows, sides):
            row["side"] = side
        for recording in gestures:
            clip = _clip(recording, data["gesture_seconds"])
            if clip is None:
                raise RecipeError(f"gesture from {recording.name!r}: it is silent; choose another recording")
            store.add(clip, _row(recording, split.GESTURE), recording.note)
    finally:
        store.close()
    if not sides.count(split.TRAIN) or not sides.count(split.HELD_OUT):
        raise RecipeError(f"recipe {recipe['name']}: {sides.count(split.TRAIN)} training and {sides.count(split.HELD_OUT)} "
                          "held-out clips; both are needed, check sources and held_out")
    if left_out:
        log(f"left out {left_out / 60:.1f} minutes beyond data.minutes {data.get('minutes', MINUTES):g}")
    (partial / "rows.json").write_text(json.dumps(store.rows), encoding="utf-8")
    log(f"{sides.count(split.TRAIN)} training clips, {sides.count(split.HELD_OUT)} held out, {sum(lengths) / RATE_HZ / 60:.1f} minutes")
    return store.rows


def prepare(recipe, folder, cache, log=print):
    """Collect, cut and split the recipe's recordings; write LICENCES.md into `folder`. Returns the path of the prepared clips.

    They lie in a folder below `cache`, named after the recipe's data section and seed, made once and reused while these are
    unchanged. RecipeError: nothing usable, or no room on the disk; nothing half made stays behind.
    """
    path = Path(cache) / f"{recipe['name']}-{_mark(recipe)}"
    if path.exists():
        return path
    partial = path.with_name(f"{path.name}.part{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        rows = _write(recipe, partial, log)
        used = [row for row in rows if row["side"] != split.GESTURE]
        Path(folder, "LICENCES.md").write_text(licence_table(recipe["name"], used), encoding="utf-8")
        with contextlib.suppress(OSError) if path.exists() else contextlib.nullcontext():      # another process was faster
            os.replace(partial, path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise RecipeError(f"prepared data cannot be written to {cache}: {error.strerror or error}; "
                          f"{'free some space (11 MB a minute of sound), or choose' if full else 'choose'} another folder with --cache") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path
