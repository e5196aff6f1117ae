"""Scores: what a file may say, what the jacks make of it, and what is refused, by name and in one line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack import score as scores
from neurorack.errors import ScoreError
from neurorack.score import GateEdge, parse

WHOLE = """
seconds: 4
model: impacts
seed: 7
events:
  - {at: 0.5, jack: gate1, volts: 5}
  - {at: 0.6, jack: gate1, volts: 0}
  - {at: 1, jack: cv3, volts: -2.5}
curves:
  cv1: [[0, -5], [4, 5]]
controls:
  centroid: [[0, 0.2], [4, 0.9]]
"""


def test_a_whole_score(tmp_path):
    path = tmp_path / "score.yaml"
    path.write_text(WHOLE)
    score = scores.load(path)
    assert (score.seconds, score.model, score.seed, score.folder) == (4.0, "impacts", 7, tmp_path)
    assert score.events == [(0.5, "gate1", 5.0), (0.6, "gate1", 0.0), (1.0, "cv3", -2.5)]
    assert score.gate_edges() == [GateEdge(0.5, 0, True), GateEdge(0.6, 0, False)]
    volts = score.cv_volts(np.array([0.0, 0.99, 1.0, 2.0, 4.0]))
    assert volts.shape == (5, 4)
    assert list(volts[:, 0]) == pytest.approx([-5, -2.525, -2.5, 0, 5]) and list(volts[:, 2]) == [0, 0, -2.5, -2.5, -2.5]
    assert score.control_values("centroid", np.array([-1.0, 0, 2, 4, 9])) == pytest.approx([0.2, 0.2, 0.55, 0.9, 0.9])


def test_what_may_be_left_out():
    score = parse({"seconds": 1})
    assert (score.model, score.seed, score.events, score.curves, score.controls) == (None, 0, [], {}, {})
    assert parse({"seconds": 1, "events": [{"at": 0, "jack": "gate2"}]}).events == [(0.0, "gate2", 5.0)], "5 V where none are said"
    assert parse({"seconds": 1, "events": None, "curves": None, "controls": None}).events == []


def test_every_step_up_is_a_hit():
    score = parse({"seconds": 1, "events": [{"at": t, "jack": "gate1"} for t in (0.0, 0.2, 0.4)] + [{"at": 0.5, "jack": "gate2"}]})
    rising = [edge for edge in score.gate_edges() if edge.rising]
    assert [(edge.at_seconds, edge.jack) for edge in rising] == [(0.0, 0), (0.2, 0), (0.4, 0), (0.5, 1)]
    falling = [edge.at_seconds for edge in score.gate_edges() if not edge.rising]
    assert falling == pytest.approx([0.199, 0.399])


def test_the_thresholds_have_hysteresis():
    volts = [1.5, 1.6, 1.2, 1.0, 1.5, 12]
    score = parse({"seconds": 1, "events": [{"at": i / 10, "jack": "gate1", "volts": v} for i, v in enumerate(volts)]})
    assert score.gate_edges() == [GateEdge(0.1, 0, True), GateEdge(0.3, 0, False), GateEdge(0.5, 0, True)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 10), st.sampled_from(["gate1", "gate2"]), st.floats(-12, 12)), max_size=40))
def test_edges_of_each_gate_alternate_in_order_of_time(steps):
    score = parse({"seconds": 10, "events": [{"at": t, "jack": jack, "volts": v} for t, jack, v in sorted(steps, key=lambda s: s[0])]})
    edges = score.gate_edges()
    assert [e.at_seconds for e in edges] == sorted(e.at_seconds for e in edges)
    for jack in (0, 1):
        assert [e.rising for e in edges if e.jack == jack] == [i % 2 == 0 for i in range(sum(e.jack == jack for e in edges))]


BAD = {
    "[1, 2]": "a score is a mapping", "": "a score is a mapping", "7": "a score is a mapping", "seconds: [": "is not YAML",
    "a: b: c": "is not YAML", "\x00": "is not YAML", "tempo: 120\nseconds: 1": "unknown key 'tempo'; the keys are seconds, model",
    "model: x": "seconds is missing", "seconds: 0": "seconds is 0; it must lie from 0.01 to 3600", "seconds: 99999": "seconds is 99999",
    "seconds: long": "seconds is 'long'; it must be a number", "seconds: .nan": "seconds is nan", "seconds: .inf": "seconds is inf",
    "seconds: true": "seconds is True", f"seconds: {'9' * 400}": "seconds is far too much", f"seconds: {'9' * 9000}": "is not YAML",
    "{seconds: 1, model: 5}": "model is 5; it must be a model's name", "{seconds: 1, seed: -1}": "seed is -1",
    "{seconds: 1, events: {}}": None, "{seconds: 1, events: 5}": "events must be a list", "{seconds: 1, events: [5]}": "event 1 is 5",
    "{seconds: 1, events: [{at: 0, jack: gate3}]}": "event 1: there is no jack 'gate3'; the jacks are gate1, gate2, cv1",
    "{seconds: 1, events: [{at: 0, jack: [gate1]}]}": "there is no jack ['gate1']",
    "{seconds: 1, events: [{at: 0, jack: gate1}, {at: -1, jack: gate1}]}": "event 2, at is -1; it must lie from 0",
    "{seconds: 1, events: [{at: 2, jack: gate1}, {at: 1, jack: gate1}]}": "event 2: time 1 s comes after 2 s; put the events in order",
    "{seconds: 1, events: [{at: 0, jack: cv1, volts: 13}]}": "event 1, volts is 13; it must lie from -12 to 12",
    "{seconds: 1, events: [{at: 0, jack: cv1, volts: loud}]}": "volts is 'loud'", "{seconds: 1, events: [{jack: cv1}]}": "event 1 is",
    "{seconds: 1, events: [{at: 0, jack: cv1, volt: 1}]}": "event 1 is", "{seconds: 1, curves: 3}": "curves must be a mapping",
    "{seconds: 1, curves: {cv9: [[0, 1]]}}": "curves: there is no CV jack 'cv9'; the CV jacks are cv1", "{seconds: 1, curves: {gate1: [[0, 1]]}}": "no CV jack 'gate1'",
    "{seconds: 1, curves: {cv1: []}}": "curves, cv1 must be a list", "{seconds: 1, curves: {cv1: [[0]]}}": "point 1 is [0]; it must be [seconds, value]",
    "{seconds: 1, curves: {cv1: [[1, 0], [0, 0]]}}": "point 2: time 0 s comes after 1 s", "{seconds: 1, curves: {cv1: [[0, 99]]}}": "value of point 1 is 99; it must lie from -12 to 12",
    "{seconds: 1, controls: {x: [[0, 1.5]]}}": "value of point 1 is 1.5; it must lie from 0 to 1", "[" * 3000: "is not YAML",
}


@pytest.mark.parametrize("text, what", BAD.items(), ids=[text[:40] for text in BAD])
def test_what_is_wrong_is_named_in_one_line(tmp_path, text, what):
    path = tmp_path / "score.yaml"
    path.write_text(text)
    if what is None:
        assert scores.load(path).events == []
        return
    with pytest.raises(ScoreError) as caught:
        scores.load(path)
    assert what in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ScoreError, match="No such file"):
        scores.load(tmp_path / "none.yaml")
    with pytest.raises(ScoreError, match="Is a directory"):
        scores.load(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(ScoreError, match="is not YAML"):
        scores.load(tmp_path / "bytes.yaml")


@settings(max_examples=150, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["gate1", "cv1"]),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["seconds", "events", "curves", "controls", "at", "jack", "volts", "cv1", "seed", "model"]), inner, max_size=5),
                    max_leaves=20))
def test_whatever_the_file_holds_it_is_a_score_or_a_line(raw):
    try:
        score = parse(raw)
    except ScoreError as error:
        assert "\n" not in str(error)
    else:
        assert 0.01 <= score.seconds <= 3600
        score.gate_edges(), score.cv_volts(np.linspace(0, score.seconds, 5))
