"""The recipes of the factory bank: freely licensed, with gestures from training recordings, nothing on both sides."""

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab import recipe as recipes
from neurorack.lab.data import sources, speech

MODELS = Path(__file__).parents[2] / "models"
FREE = {"CC0", "CC-BY-3.0", "CC-BY-4.0", "MIT", speech.LICENCE}


def table(folder):
    """[(recording, from, licence, copyright, side)] of a LICENCES.md."""
    lines = (folder / "LICENCES.md").read_text(encoding="utf-8").splitlines()
    return [tuple(re.split(r" \| ", line.strip("| "))) for line in lines if line.startswith("| ") and not line.startswith("| recording")]


@pytest.mark.parametrize("name", ["impacts", "strings", "voice", "skins", "texture"])
def test_a_bank_recipe_is_complete_and_free(name):
    recipe = recipes.read_recipe(MODELS / name / "recipe.yaml")
    data = recipe["data"]
    for source in data["sources"]:
        sources.check(source)
        assert set(source.get("licences", [source.get("licence", speech.LICENCE)])) <= FREE
    assert len(data["gestures"]) >= 12 and data["held_out"]
    assert recipe["card"]["author"] and recipe["card"]["licence"] and recipe["card"]["patch"]["routes"]
    pitched = recipe["engine"]["kind"] == "harmonic"
    assert data["pitched"] == pitched
    first = recipe["card"]["patch"]["routes"][0]
    assert not pitched or (first["jack"], first["control"], first["amount_per_volt"], first["smooth_ms"]) == ("cv1", "pitch", 0.1, 0)


@pytest.mark.parametrize("name", ["impacts", "strings", "voice", "skins", "texture"])
def test_its_table_of_licences_names_every_gesture_and_only_free_recordings(name):
    rows = table(MODELS / name)
    assert len({row[0] for row in rows}) == len(rows) > 100
    assert {row[2] for row in rows} <= FREE
    assert all(row[3] for row in rows if row[2] != speech.LICENCE)
    trained = {row[0].split("@")[0] for row in rows if row[-1] == "train"}
    held = {row[0].split("@")[0] for row in rows if row[-1] == "held-out"}
    assert len(trained) > 3 * len(held) / 2 and not trained & held
    gestures = recipes.read_recipe(MODELS / name / "recipe.yaml")["data"]["gestures"]
    assert set(gestures.values()) <= trained
