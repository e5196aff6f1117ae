"""Recipes: what may stand in them, what is said of what may not, and that the documentation tells every key."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from neurorack.lab import recipe as recipes
from neurorack.lab.recipe import RecipeError

ROOT = Path(__file__).resolve().parents[2]
LEAST = {"name": "a", "data": {"sources": []}}


def with_keys(**sections):
    """The least recipe with more keys."""
    out = {key: dict(value) if isinstance(value, dict) else value for key, value in LEAST.items()}
    for name, value in sections.items():
        out[name] = {**out.get(name, {}), **value} if isinstance(value, dict) else value
    return out


def test_what_is_left_out_is_filled_in():
    full = recipes.complete(LEAST)
    assert full["engine"] == {"kind": "noise-band"} | {key: k.default for key, k in recipes.ENGINES["noise-band"].items()}
    assert full["train"]["minutes"] == recipes.DEFAULT_MINUTES and "steps" not in full["train"]
    assert recipes.complete(full) == full
    assert recipes.complete(with_keys(train={"steps": 5}))["train"].keys() >= {"steps", "batch"}
    assert "minutes" not in recipes.complete(with_keys(train={"steps": 5}))["train"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("models/*/recipe.yaml")), ids=lambda path: path.parent.name)
def test_the_factory_bank_s_recipes_are_read(path):
    assert recipes.read_recipe(path)["data"]["sources"]


@pytest.mark.parametrize("wrong, words", [
    ({"nmae": "x"}, ["nmae", "'name'"]),
    ({"train": {"stpes": 5}}, ["train.stpes", "'steps'"]),
    ({"engine": {"kind": "harmonic", "sines": 4}, "data": {"pitched": True}}, ["engine.sines", "known: "]),
    ({"engine": {"kind": "granular"}}, ["granular", "noise-band"]),
    ({"latent": {"per": "second"}}, ["latent.per", "second", "clip, frame"]),
    ({"train": {"batch": 0}}, ["train.batch is 0", "from 1 to"]),
    ({"train": {"batch": 2.5}}, ["train.batch is 2.5", "whole"]),
    ({"train": {"rate": "fast"}}, ["train.rate", "fast"]),
    ({"train": {"rate": True}}, ["train.rate", "number"]),
    ({"train": {"rate": float("nan")}}, ["train.rate", "number"]),
    ({"train": {"minutes": float("inf")}}, ["train.minutes is inf", "number"]),
    ({"train": {"steps": float("inf")}}, ["train.steps is inf", "whole"]),
    ({"engine": {"kind": ["harmonic"]}}, ["engine.kind", "noise-band"]),
    ({"data": {"gestures": {"kick": None}}}, ["data.gestures", "recording"]),
    ({"data": {"gestures": {7: "kit/kick"}}}, ["data.gestures", "recording"]),
    ({"data": {"held_out": [7]}}, ["data.held_out", "text"]),
    ({"train": {"steps": 5, "minutes": 2}}, ["steps and minutes"]),
    ({"train": {"frames": 32, "cycle_frames": 64}}, ["cycle_frames is 64", "32"]),
    ({"augment": {"gain_db": [3, -3]}}, ["augment.gain_db", "two numbers"]),
    ({"augment": {"gain_db": 3}}, ["augment.gain_db", "two numbers"]),
    ({"data": {"pitched": 1}}, ["data.pitched", "true or false"]),
    ({"data": {"gestures": 0}}, ["data.gestures", "auto"]),
    ({"data": {"gestures": True}}, ["data.gestures", "auto"]),
    ({"engine": {"kind": "harmonic"}}, ["data.pitched"]),
    ({"train": [1]}, ["train", "keys with values"]),
    ({"name": None}, ["name"]),
    ({"data": {"sources": None}}, ["data.sources", "missing"]),
])
def test_what_is_wrong_is_named_in_one_line(tmp_path, wrong, words):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(with_keys(**wrong)))
    with pytest.raises(RecipeError) as error:
        recipes.read_recipe(path)
    assert all(word in str(error.value) for word in [*words, str(path)]) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"- 1\n", b"a: [", b"\xff\xfe\x00", b"name: x\n  data: 1\n"])
def test_a_file_that_is_no_recipe_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match="recipe") as error:
        recipes.read_recipe(path)
    assert "\n" not in str(error.value)


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6)


@given(st.dictionaries(st.sampled_from([*recipes.KEYS[""], *recipes.KEYS, "engine"]), VALUES, max_size=5))
@settings(max_examples=60, deadline=None)
def test_whatever_a_file_holds_is_a_recipe_or_one_line(given_keys):
    try:
        full = recipes.complete({**LEAST, **given_keys})
    except RecipeError as error:
        assert "\n" not in str(error)
    else:
        assert recipes.complete(full) == full


def test_a_recipe_comes_back_as_it_was_written(tmp_path):
    full = recipes.complete(with_keys(card={"author": "Ænna"}, augment={"gain_db": [-9, 0]}, data={"gestures": {"low": "a/b"}}))
    recipes.write_recipe(full, tmp_path / "new" / "recipe.yaml")
    assert recipes.read_recipe(tmp_path / "new" / "recipe.yaml") == full
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["recipe.yaml"]


def test_the_documentation_tells_every_key_with_its_default():
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8").split("| key | default |")[1].split("\n\n")[0]
    rows = {cells[1].strip(" `"): cells[2].strip() for cells in (line.split("|") for line in text.splitlines()[2:])}
    declared = {f"{section}.{key}".lstrip("."): key_ for section, keys in recipes.KEYS.items() for key, key_ in keys.items()}
    for kind, keys in recipes.ENGINES.items():
        declared |= {f"engine.{key} ({kind})": key_ for key, key_ in keys.items()}
    for name, key in declared.items():
        told = rows[name]
        assert told == ("" if key.default in (None, "") else yaml.safe_dump(key.default, default_flow_style=True).replace("\n...", "").strip()), name
    assert rows.keys() <= declared.keys() | {"engine.kind"}
