"""Recipes: small YAML files that say what a model is made of and how it is trained.

Every key is declared here once, with its type, range and default (`KEYS`; an engine's own keys in `ENGINES`). What a
recipe leaves out is filled in, what it should not hold is named in one line with the nearest known key. No torch.
"""

from __future__ import annotations

import contextlib
import difflib
import math
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from ..errors import NeurorackError
from .layout import Layout


class RecipeError(NeurorackError, ValueError):
    """A recipe, its data or its run that cannot be used."""


@dataclass(frozen=True)
class Key:
    """One setting. kind: "number", "whole", "text", "yes", "choice", "range" (two numbers), "map", "list" or "any".

    low, high: limits of a number (of both numbers of a range); choices: what a choice may be; default None: left out.
    """

    kind: str
    default: object = None
    low: float = 0.0
    high: float = 1e9
    choices: tuple[str, ...] = ()
    doc: str = ""

    def limits(self) -> str:
        """What may stand here, in words."""
        if self.kind in ("number", "whole", "range"):
            word = {"number": "a number", "whole": "a whole number", "range": "two numbers"}[self.kind]
            return f"{word} from {self.low:.10g} to {self.high:.10g}"
        return {"choice": f"one of {', '.join(self.choices)}", "yes": "true or false", "text": "text", "map": "keys with values",
                "list": "a list", "any": "as it says"}[self.kind]

    def check(self, where: str, value):
        """The value as its type. RecipeError with the limits."""
        fits = {"number": _is_number(value), "whole": _is_number(value) and value == int(value), "text": isinstance(value, str),
                "yes": isinstance(value, bool), "choice": value in self.choices, "map": isinstance(value, dict),
                "list": isinstance(value, list), "any": True,
                "range": isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))}[self.kind]
        numbers = value if self.kind == "range" else [value] if self.kind in ("number", "whole") else []
        if not fits or not all(self.low <= n <= self.high for n in numbers) or (self.kind == "range" and value[0] > value[1]):
            raise RecipeError(f"{where} is {_shown(value)}; it must be {self.limits()}")
        return {"number": float, "whole": int}.get(self.kind, lambda v: v)(value)


def _shown(value) -> str:
    """A wrong value in a line of an error, however long it is and whatever is in it."""
    return " ".join(str(value).split())[:60] or repr(value)


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and (isinstance(value, int) or math.isfinite(value))


_TRUNK = Key("choice", "convolution", choices=("convolution", "recurrent"), doc="the net that reads the rows: of causal convolutions, or with a GRU")

#: What an engine has of its own, below `engine`.
ENGINES = {
    "noise-band": {
        "width": Key("whole", 104, 4, 1024, doc="channels of the trunk"),
        "bands": Key("whole", 64, 8, 128, doc="noise bands"),
        "sines": Key("whole", 96, 0, 256, doc="fixed sines, a semitone apart"),
        "first_key": Key("whole", 28, 0, 100, doc="MIDI key of the lowest sine"),
        "trunk": _TRUNK,
    },
    "harmonic": {
        "width": Key("whole", 104, 4, 1024, doc="channels of the trunk"),
        "bands": Key("whole", 64, 8, 128, doc="noise bands"),
        "harmonics": Key("whole", 80, 4, 256, doc="harmonics of the fundamental"),
        "trunk": _TRUNK,
    },
    "convolution": {
        "width": Key("whole", 24, 4, 512, doc="channels of the last stage; twice as many at every stage before it"),
        "ratio": Key("whole", 256, 128, 2048, doc="samples a row: 128, 256, 512, 1024 or 2048"),
        "noise": Key("choice", "every", choices=("every", "last", "none"), doc="where noise comes in: at every stage, in the bands alone, nowhere"),
        "loudness": Key("choice", "gain", choices=("gain", "gate"), doc="a gain behind the net, or the net's own level with a gate at rest"),
        "attenuation_db": Key("number", 60.0, 40, 120, doc="of the filter bank"),
        "harmonics": Key("whole", 40, 4, 128, doc="of the excitation of pitched sounds"),
    },
    "source-filter": {
        "width": Key("whole", 16, 4, 256, doc="channels at the sample rate; four times as many at the hop rate"),
        "layers": Key("whole", 8, 1, 10, doc="dilated layers of a block: 1, 2, 4 … samples apart"),
        "blocks": Key("whole", 2, 1, 8, doc="blocks, one behind the other"),
        "harmonics": Key("whole", 40, 4, 128, doc="of the excitation of pitched sounds"),
        "trunk": _TRUNK,
    },
}

#: Everything else: section → key → declaration; section "" is the top of the file.
KEYS = {
    "": {
        "name": Key("text", doc="name of the model"),
        "seed": Key("whole", 1, 0, 1e9, doc="of weights, crops and random curves"),
        "conditioning": Key("choice", "concatenate", choices=("concatenate", "film"), doc="how controls enter the net: at its first layer or at every one"),
    },
    "card": {
        "version": Key("text", "1", doc="version of the model"),
        "author": Key("text", "", doc="who made it"),
        "licence": Key("text", "", doc="of the model"),
        "description": Key("text", "", doc="one line for people who choose among models"),
        "data": Key("text", "", doc="one line about the recordings"),
        "plays": Key("choice", "hits", choices=("hits", "drone"), doc="what it does at first: a gesture for each gate, or sound all the time"),
        "patch": Key("map", None, doc="what the jacks do at first"),
    },
    "latent": {
        "per": Key("choice", "clip", choices=("clip", "frame"), doc="one latent for a whole clip, or one every few frames"),
        "size": Key("whole", 8, 1, 64, doc="numbers in a latent"),
        "adversary": Key("number", 0.0, 0, 100, doc="weight of a discriminator that keeps the descriptors out of the latent; 0 for none"),
    },
    "descriptors": {
        "normalise": Key("choice", "quantile", choices=("quantile", "min-max"), doc="how descriptors come to -1 … 1"),
        "sharpness": Key("choice", "plain", choices=("plain", "given-centroid"), doc="sharpness itself, or what it is beyond the centroid's"),
    },
    "train": {
        "steps": Key("whole", None, 1, 1e8, doc="length of the run in steps"),
        "minutes": Key("number", None, 0.01, 1e5, doc="length of the run in minutes, whatever the machine (10 where neither is given)"),
        "batch": Key("whole", 8, 1, 1024, doc="crops a step (of each process)"),
        "cycle_batch": Key("whole", 6, 0, 1024, doc="sounds a step of swapped and random curves"),
        "frames": Key("whole", 384, 16, 8192, doc="length of a crop, in hops of 64 samples"),
        "cycle_frames": Key("whole", 256, 16, 8192, doc="length of a sound of the cycle; at most frames"),
        "rate": Key("number", 2e-3, 1e-6, 0.1, doc="learning rate: constant for half of the run, then a cosine down to 1 %"),
        "cycle_weight": Key("number", 5.0, 0, 1000, doc="weight of the descriptor cycle; 0 for none"),
        "kl_weight": Key("number", 0.02, 0, 100, doc="weight that keeps latents near a normal distribution"),
        "waveform_adversary": Key("number", 0.0, 0, 1000, doc="weight of the waveform discriminators; 0 for none"),
        "waveform_adversary_from": Key("number", 0.5, 0, 1, doc="part of the run after which they take part"),
        "checkpoint_every": Key("number", 30.0, 0, 1e5, doc="seconds between checkpoints; 0 for every step"),
    },
    "trim": {
        "target": Key("text", "removed:0.9", doc="how small: removed:SHARE, params:COUNT, rtf:FACTOR (of this machine) or board:NAME"),
        "criterion": Key("text", "taylor", doc="what a unit's worth is measured by"),
        "scope": Key("choice", "auto", choices=("auto", "global", "local"), doc="units compared over all layers or in each; auto: local beyond 90 %"),
        "start": Key("choice", "fine-tune", choices=("fine-tune", "rewind", "reinitialise"), doc="weights that each round's training begins with"),
        "rewind_to": Key("text", "auto", doc="part of the run whose weights rewind begins with, as 0.1; auto: by the barrier between two runs from there"),
        "rounds": Key("whole", None, 1, 50, doc="rounds down to the target (about 30 % of what is left each where left out)"),
        "minutes": Key("number", None, 0.01, 1e5, doc="length of all rounds in minutes (40 where neither is given)"),
        "steps": Key("whole", None, 1, 1e8, doc="length of all rounds in steps"),
        "rate": Key("number", None, 1e-6, 0.1, doc="learning rate of a round (a third of the training's for fine-tune, else the training's)"),
        "least": Key("whole", 4, 1, 1024, doc="units that every layer keeps"),
        "multiple": Key("whole", 8, 1, 64, doc="layers keep a multiple of so many units, as the engine's vectors are long, unless they keep fewer"),
        "weights": Key("choice", "float32", choices=("float32", "bf16", "int8"), doc="how the new model's file and the engine keep its weights"),
        "early_bird": Key("yes", False, doc="a round's training ends when what it would remove next has settled"),
    },
    "augment": {
        "semitones": Key("whole", 2, 0, 12, doc="greatest change of pitch by resampling, in whole semitones"),
        "tilt_db": Key("number", 6.0, 0, 24, doc="greatest spectral tilt over five octaves about 1 kHz"),
        "gain_db": Key("range", [-15.0, 2.0], -60, 12, doc="level against a peak of 0.7"),
        "mix": Key("number", 0.0, 0, 1, doc="share of crops with a second clip mixed in"),
        "allpass": Key("number", 0.0, 0, 1, doc="share of crops with their phases turned by all-passes"),
        "silence": Key("number", 0.0, 0, 1, doc="share of crops that are silence"),
    },
    "data": {
        "seconds": Key("number", 1.5, 0.05, 60, doc="longest clip kept of a recording"),
        "minutes": Key("number", 60.0, 0.02, 1e5, doc="most sound kept of all recordings; the rest is left out by name"),
        "pitched": Key("yes", False, doc="clips have a pitch, and the model a pitch input"),
        "gesture_seconds": Key("number", 3.0, 0.05, 60, doc="longest gesture"),
        "gestures": Key("any", "auto", doc="name: recording for each gesture, their number, or auto"),
        "sources": Key("list", None, doc="where recordings come from"),
        "held_out": Key("list", [], doc="patterns of names that training never hears"),
    },
}
_REQUIRED = (("", "name"), ("data", "sources"))
DEFAULT_MINUTES = 10.0


def engine_keys(kind: str) -> dict[str, Key]:
    """All keys below `engine` for an engine of this kind."""
    return {"kind": Key("choice", "noise-band", choices=tuple(ENGINES), doc="how sound is made")} | ENGINES[kind]


def nearest(word: str, known) -> str:
    """A hint for an unknown key: the nearest known one, else all of them."""
    close = difflib.get_close_matches(str(word), list(known), 1, 0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def _section(name: str, given, keys: dict[str, Key]) -> dict:
    """One section with all its keys, in the order of their declaration."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise RecipeError(f"{name} is {_shown(given)}; it must be keys with values")
    dot = f"{name}." if name else ""
    for key in given:
        if key not in keys:
            raise RecipeError(f"unknown key {dot}{_shown(key)}: {nearest(key, keys)}")
    full = {}
    for key, declared in keys.items():
        value = given.get(key)
        if value is None and (name, key) in _REQUIRED:
            raise RecipeError(f"the key {dot}{key} is missing: it must be {declared.limits()}")
        if value is not None:
            full[key] = declared.check(f"{dot}{key}", value)
        elif declared.default is not None:
            full[key] = declared.default
    return full


def complete(given) -> dict:
    """A recipe with every key present that has a default, checked. RecipeError: one line about the first thing wrong."""
    if not isinstance(given, dict):
        raise RecipeError("it holds no keys: a recipe needs at least name and data.sources")
    sections = [name for name in KEYS if name] + ["engine"]
    for key in given:
        if key not in sections and key not in KEYS[""]:
            raise RecipeError(f"unknown key {_shown(key)}: {nearest(key, [*KEYS[''], *sections])}")
    recipe = _section("", {key: value for key, value in given.items() if key not in sections}, KEYS[""])
    engine = given.get("engine") or {}
    kind = engine.get("kind", "noise-band") if isinstance(engine, dict) else None
    if not isinstance(kind, str) or kind not in ENGINES:
        raise RecipeError(f"engine.kind is {_shown(kind)}; it must be one of {', '.join(ENGINES)}")
    recipe["engine"] = _section("engine", {"kind": kind} | engine, engine_keys(kind))
    for name in sections[:-1]:
        recipe[name] = _section(name, given.get(name), KEYS[name])
    _check_together(recipe)
    return recipe


def _check_together(recipe: dict) -> None:
    """What one key demands of another."""
    train = recipe["train"]
    for name in ("train", "trim"):
        if "steps" in recipe[name] and "minutes" in recipe[name]:
            raise RecipeError(f"{name} has steps and minutes: a run is as long as one of them says, leave the other out")
    if "steps" not in train and "minutes" not in train:
        train["minutes"] = DEFAULT_MINUTES
    if train["cycle_frames"] > train["frames"]:
        raise RecipeError(f"train.cycle_frames is {train['cycle_frames']}; at most train.frames, {train['frames']}, can be cut from a crop")
    if recipe["engine"]["kind"] == "harmonic" and not recipe["data"]["pitched"]:
        raise RecipeError("engine.kind is harmonic and data.pitched is false: the harmonic engine needs pitches, set data.pitched to true")
    gestures = recipe["data"]["gestures"]
    count = isinstance(gestures, int) and not isinstance(gestures, bool) and 1 <= gestures <= 64
    named = isinstance(gestures, dict) and all(isinstance(word, str) and word.strip() for pair in gestures.items() for word in pair)
    if not (gestures == "auto" or count or named):
        raise RecipeError(f"data.gestures is {_shown(gestures)}; it must be auto, a number from 1 to 64, or name: recording for each")
    if not all(isinstance(pattern, str) for pattern in recipe["data"]["held_out"]):
        raise RecipeError(f"data.held_out is {_shown(recipe['data']['held_out'])}; it must be a list of patterns of names, each text")


def read_recipe(path) -> dict:
    """A recipe file, complete and checked. RecipeError names the file and what is wrong."""
    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {' '.join(str(error).split())}") from None
    try:
        return complete(given)
    except RecipeError as error:
        raise RecipeError(f"recipe {path}: {error}") from None


def recipe_beside(model, given=None) -> Path:
    """Where a model file's recipe is: `given`, else MODEL.recipe.yaml or recipe.yaml beside it. RecipeError where there is none."""
    model = Path(model)
    places = [Path(given)] if given else [model.with_suffix(".recipe.yaml"), model.with_name("recipe.yaml")]
    found = next((path for path in places if path.exists()), None)
    if found is None:
        raise RecipeError(f"there is no recipe {' or '.join(map(str, places))}: say which with --recipe")
    return found


def as_text(recipe: dict) -> str:
    """The recipe as YAML, complete, in the order of the declarations."""
    return yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=150)


def write_recipe(recipe: dict, path) -> None:
    """Write a recipe in one move. RecipeError where it cannot be written."""
    path = Path(path)
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(as_text(recipe), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise RecipeError(f"recipe {path} cannot be written: {error.strerror}") from None


def layout_of(recipe: dict) -> Layout:
    """The layout of the rows of a recipe's model."""
    return Layout(pitched=recipe["data"]["pitched"], latents=recipe["latent"]["size"])
