"""What a modulator may be set to, and that every place that knows its fields knows the same."""

from pathlib import Path

import pytest

from neurorack.errors import PatchError
from neurorack.inputs import sources
from neurorack.inputs.sources import KINDS, MODULATORS, Choice, Number, Volts, kinds, parse, to_struct
from neurorack.shm import table

ROOT = Path(__file__).resolve().parents[2]
SECTION = {f.name: f for f in next(s for s in table.TABLE if s.name == "sources").fields}


def test_the_shared_section_has_every_field_and_names_every_choice_in_its_place():
    assert SECTION["kind"].doc == ", ".join(f"{i} {name}" for i, name in enumerate(KINDS))
    for name, kind in KINDS.items():
        for key, field in kind.fields.items():
            assert key in SECTION, f"{name} has {key}"
            if isinstance(field, Choice) and key != "input":
                whole = next(k for k in SECTION[key].doc.split("; "))
                assert [f"{i} {choice}" for i, choice in enumerate(field.choices)] == whole.split(", "), key


def test_the_document_shows_the_fields_in_force():
    text = (ROOT / "docs" / "modulation.md").read_text()
    shown = text.split("<!-- fields -->\n")[1].split("<!-- /fields -->")[0]
    assert shown == sources.markdown(), "run: python -m neurorack.inputs.sources, and put it between the marks"


def test_what_is_told_of_the_kinds_is_enough_for_a_menu():
    told = kinds()
    assert list(told) == ["off", "lfo", "envelope", "sample_hold", "slew", "walk", "steps"]
    for kind in told.values():
        for field in kind["fields"].values():
            assert field["doc"] and ("choices" in field or field["low"] < field["high"]) and "default" in field


@pytest.mark.parametrize("kind", KINDS)
def test_the_ends_of_every_field_are_taken_and_beyond_them_nothing(kind):
    assert parse("mod1", {"kind": kind})["kind"] == kind
    for key, field in KINDS[kind].fields.items():
        good = field.choices if isinstance(field, Choice) else [[field.low], [field.high] * field.most] if isinstance(field, Volts) else [field.low, field.high]
        bad = ["no", 3, None] if isinstance(field, Choice) else [[], [field.high] * (field.most + 1), [field.high + 1], "1"] if isinstance(field, Volts) \
            else [field.low - 0.01, field.high + 0.01, float("nan"), "1", None, True]
        others = {"low_volts": -10.0} if key == "high_volts" else {"high_volts": 10.0} if key == "low_volts" else {}
        for value in good:
            if value != "mod3":
                assert parse("mod3", {"kind": kind, key: value, **others})[key] == value
        for value in bad:
            with pytest.raises(PatchError, match=f"mod1: {key}"):
                parse("mod1", {"kind": kind, key: value})


@pytest.mark.parametrize("name, entry, what", [
    ("mod9", {}, "no modulator 'mod9'; there are mod1, mod2"), ("cv1", {}, "no modulator"), ("mod1", {"kind": "chorus"}, "one of off, lfo"),
    ("mod1", {"kind": ["lfo"]}, "one of off, lfo"), ("mod1", {"kind": "lfo", "attack_ms": 3}, "lfo has no 'attack_ms'; it has shape, pace"),
    ("mod1", {"rate_hz": 1}, "off has no 'rate_hz'"), ("mod1", {"kind": "lfo", "multiply": 1.5}, "whole number"),
    ("mod1", {"kind": "walk", "low_volts": 2, "high_volts": 1}, "low_volts is 2, above high_volts, 1"),
    ("mod1", {"kind": "slew", "input": "mod1"}, "mod1 cannot listen to itself")])
def test_what_cannot_be_is_said(name, entry, what):
    with pytest.raises(PatchError, match=what):
        parse(name, entry)


def test_fields_that_are_not_named_stay_while_the_kind_does():
    first = parse("mod1", {"kind": "lfo", "rate_hz": 3, "shape": "saw_up"})
    second = parse("mod1", {"phase": 0.5}, first)
    assert second == {**first, "phase": 0.5}
    assert parse("mod1", {"kind": "walk"}, second)["rate_hz"] == KINDS["walk"].fields["rate_hz"].default


def test_all_that_is_set_travels():
    struct = to_struct({"mod2": parse("mod2", {"kind": "steps", "steps": [1, 2, 3], "direction": "random"}),
                        "mod8": parse("mod8", {"kind": "slew", "input": "mod2", "rise_ms": 7})}, seed=11)
    assert list(struct.kind) == [0, 6, 0, 0, 0, 0, 0, 4] and struct.seed == 11
    assert struct.length[1] == 3 and list(struct.steps[16:19]) == [1, 2, 3] and struct.direction[1] == 3
    assert struct.input[7] == 9 and struct.rise_ms[7] == 7 and min(struct.divide) == 1
    assert len(MODULATORS) == table.MODULATORS and all(isinstance(f, (Number, Choice, Volts)) for k in KINDS.values() for f in k.fields.values())
