"""The schema and its text: what is good goes through unchanged, what is wrong is told and put right, what is unknown stays."""

import math
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurorack.errors import PatchError
from neurorack.patches import schema, text
from neurorack.patches.present import patch_of, same
from neurorack.voice.patch import Route
from tests.patches.documents import DOCUMENTS, PLAIN, nearly_good

OFTEN = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def unknown_of(value, field=schema.SCHEMA) -> list:
    """Every path to a field that the schema does not know, with its value."""
    found = []
    known = schema.fields(field)
    for name, entry in value.items():
        one = known.get(name)
        if one is None:
            found.append(((name,), entry))
        elif one.kind == "group" and isinstance(entry, dict):
            found += [((name, *path), what) for path, what in unknown_of(entry, one.of)]
        elif one.kind == "list" and one.of.kind == "group":
            found += [((name, i, *path), what) for i, route in enumerate(entry) for path, what in unknown_of(route, one.of.of)]
    return found


def at(value, path):
    for name in path:
        value = value[name]
    return value


@OFTEN
@given(DOCUMENTS)
def test_a_good_document_is_kept_to_the_letter_and_its_text_gives_it_back(document):
    problems: list[str] = []
    whole = schema.cleaned(document, problems)
    assert not problems
    assert schema.cleaned(whole) == whole
    for path, value in unknown_of(document):
        assert at(whole, path) == value
    for name in ("mix", "level_db", "monitor_db"):
        if name in document:
            assert whole[name] == document[name]
    written = text.dumps(whole)
    assert text.loads(written) == whole
    assert yaml.safe_load(written)["format"] == schema.FORMAT
    assert len(written.splitlines()) <= 2 + sum(1 + len(value) if isinstance(value, (dict, list)) else 1 for value in whole.values()), "a line each"


@OFTEN
@given(nearly_good())
def test_a_wrong_value_is_told_and_put_right_and_spoils_nothing_else(document):
    problems: list[str] = []
    try:
        whole = schema.cleaned(document, problems)
    except PatchError as error:
        assert "\n" not in str(error)
        return
    assert not (again := []) and schema.cleaned(whole, again) == whole and not again
    assert all("\n" not in line and len(line) < 2000 for line in problems)
    patch_of(whole)


@OFTEN
@given(st.one_of(st.text(max_size=300), st.binary(max_size=300).map(lambda data: data.decode("latin-1")), PLAIN.map(lambda value: yaml.safe_dump(value))))
def test_no_text_does_worse_than_being_refused(content):
    try:
        whole = text.loads(content, problems=[])
    except PatchError as error:
        assert "\n" not in str(error)
    else:
        assert text.loads(text.dumps(whole)) == whole


def test_a_few_lines_that_stand_for_billions_of_values_are_refused():
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"] + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(PatchError, match="more than 20000 values"):
        text.loads("\n".join(lines))
    with pytest.raises(PatchError, match="more than 256 kB"):
        text.loads("x" * (1 << 19))


def test_every_fault_is_a_line_with_the_value_the_limit_and_what_happens():
    problems: list[str] = []
    whole = schema.cleaned({"mix": 2, "level_db": math.nan, "knobs": {"a": "x", "b": 0.5}, "gates": {"gate1": "explode"},
                            "routes": [{"jack": "cv9", "control": "a"}, {"jack": "cv1", "control": "a", "low": 0.9, "high": 0.1, "quantise": "H minor"}],
                            "sources": {"mod1": {"kind": "lfo", "rate_hz": 1e6}, "mod2": {"kind": "lfo", "rate_hz": 2}}}, problems)
    assert problems[0] == "mix is 2; it must be a number from 0 to 1 (0.0 instead)"
    assert len(problems) == 9 and any("mod1: rate_hz is 1000000.0" in line for line in problems), problems
    assert whole["knobs"] == {"b": 0.5} and list(whole["sources"]) == ["mod2"] and whole["gates"] == {"gate1": "trigger", "gate2": "freeze"}
    assert whole["routes"][0]["low"] == 0.0 and whole["routes"][0]["quantise"] == "off" and len(whole["routes"]) == 1


def test_words_that_yaml_takes_for_switches_are_words():
    whole = text.loads("monitor_db: off\nroutes:\n- {jack: mod1, control: x, quantise: off}\nsources:\n  mod1: {kind: lfo, reset: off}\n")
    assert whole["monitor_db"] == "off" and whole["routes"][0]["quantise"] == "off" and whole["sources"]["mod1"]["reset"] == "off"
    assert text.loads("saved_at: 2026-11-20T12:00:00Z\nname: 2026-11-20\n")["name"] == "2026-11-20"


def test_what_a_deployment_noted_before_there_was_a_format_is_brought_up_to_date():
    old = {"patch": {"knobs": {"boom": 0.25}, "drives": {}, "level_db": -6, "gate2": "next", "routes": [{"jack": "cv2", "control": "boom", "amount_per_volt": 0.2}]},
           "mix": 0.5, "heard": "A", "models": {"A": "impacts", "B": "birds"}, "later": [1]}
    problems: list[str] = []
    whole = schema.cleaned(old, problems)
    assert not problems and whole["format"] == schema.FORMAT and whole["later"] == [1]
    assert whole["models"] == {"A": {"name": "impacts"}, "B": {"name": "birds"}} and whole["gates"]["gate2"] == "next" and whole["level_db"] == -6


def test_a_later_format_is_refused_with_what_to_do():
    with pytest.raises(PatchError, match=f"format is {schema.FORMAT + 1}, of a newer instrument.*update it"):
        schema.cleaned({"format": schema.FORMAT + 1})
    with pytest.raises(PatchError, match="kind is 'calibration'"):
        schema.cleaned({"kind": "calibration"})


def test_every_field_of_a_route_is_declared():
    own = set(Route("cv1", "x").__dict__) - {"more"}
    assert own == set(schema.fields(schema.ROUTE))
    route = schema.cleaned({"routes": [{"jack": "cv1", "control": "x"}]})["routes"][0]
    assert all(getattr(Route("cv1", "x"), name) == value for name, value in route.items()), "with the same defaults"


def test_one_change_is_one_line_of_the_text():
    one = schema.cleaned({"knobs": {"a": 0.1, "b": 0.2}, "routes": [{"jack": "cv1", "control": "a"}, {"jack": "cv2", "control": "b"}]})
    other = schema.cleaned({**one, "knobs": {"b": 0.3, "a": 0.1}})
    lines = [set(text.dumps(document).splitlines()) for document in (one, other)]
    assert len(lines[0] - lines[1]) == len(lines[1] - lines[0]) == 1


@OFTEN
@given(DOCUMENTS)
def test_mirrored_twice_is_as_it_was_and_mirrored_once_sounds_the_same(document):
    from neurorack.patches.present import mirrored

    whole = schema.cleaned({**document, "models": {}})
    assert same(whole, mirrored(whole))
    back = mirrored(mirrored(whole))
    assert back["mix"] == pytest.approx(whole["mix"], abs=1e-4) and back["knobs"] == whole["knobs"] and len(back["routes"]) == len(whole["routes"])


def test_the_table_in_the_documents_is_the_one_in_force():
    shown = (Path(__file__).parents[2] / "docs" / "patches.md").read_text().split("<!-- table -->\n")[1].split("\n<!-- /table -->")[0]
    assert shown == schema.markdown(), "run: python -m neurorack.patches.schema, and put it between the marks"
