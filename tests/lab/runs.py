"""Tiny training runs for the tests: made-up hits, a recipe, a trainer."""

import soundfile
import yaml

from tests.lab.test_descriptors import noise_hit

TINY = {"steps": 6, "batch": 2, "cycle_batch": 2, "frames": 48, "cycle_frames": 48, "checkpoint_every": 0}


def quiet(line):
    """A log that nobody reads."""


def sounds(folder, count=8):
    """A folder of made-up hits, dark to bright."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        soundfile.write(folder / f"hit{k}.wav", noise_hit(k, 14400, 0.03 + 0.01 * k, -1 + 0.25 * k), 48000)
    return folder


def recipe_file(folder, **changed):
    """A recipe file over such a folder; `changed` replaces sections or parts of them."""
    source = {"name": "made", "kind": "files", "package": "none", "path": str(sounds(folder / "sounds")), "files": ["*.wav"],
              "licence": "CC0", "licences": ["CC0"]}
    recipe = {"name": "tiny", "card": {"author": "Tests", "licence": "CC0"}, "engine": {"width": 16}, "train": dict(TINY),
              "data": {"seconds": 0.3, "gesture_seconds": 0.3, "sources": [source], "held_out": ["made/hit[67]"],
                       "gestures": {"low": "made/hit0", "high": "made/hit5"}}}
    for key, value in changed.items():
        recipe[key] = {**recipe.get(key, {}), **value} if isinstance(value, dict) else value
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"


def same_weights(one, other):
    """Do two trainers' nets hold the very same numbers?"""
    pairs = zip((*one.engine.parameters(), *one.encoder.parameters()), (*other.engine.parameters(), *other.encoder.parameters()))
    return all(bool((a == b).all()) for a, b in pairs)
