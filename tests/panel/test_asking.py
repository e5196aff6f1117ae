"""What the panel asks in threads: drawing never waits, the latest value wins, answers come back in order; and places kept on disk."""

import threading
import time

import pytest

from neurorack.errors import NeurorackError
from neurorack.panel import asking, waypoints
from tests.play.runs import until


@pytest.fixture
def asker(monkeypatch):
    monkeypatch.setattr(asking, "ALWAYS", {})
    done, free = [], threading.Event()

    def work(request):
        free.wait(10)
        done.append(request["value"])
        if request["value"] == "bad":
            raise NeurorackError("no such thing")
        return {"value": request["value"]}

    one = asking.Asker(0, {"work": work, "list": lambda request: {"count": len(done)}})
    one.done, one.free = done, free
    yield one
    free.set()


def test_a_value_that_is_turned_quickly_is_told_once_it_can_be(asker):
    answers = []
    asker.ask({"do": "work", "value": "first"}, lambda answer: answers.append(answer["value"]), key="x")
    until(lambda: not asker._quick, 5, "the first is taken")
    began = time.monotonic()
    for value in range(100):
        asker.ask({"do": "work", "value": value}, lambda answer: answers.append(answer["value"]), key="x")
    asker.ask({"do": "work", "value": "other"}, lambda answer: answers.append(answer["value"]), key="y")
    assert time.monotonic() - began < 1.0, "nobody waited"
    asker.free.set()
    until(lambda: asker.results() or len(answers) == 3, 5, "three answers")
    assert asker.done == answers == ["first", 99, "other"]


def test_what_fails_is_told_and_the_next_goes_on(asker):
    said, answers = [], []
    asker.free.set()
    asker.ask({"do": "work", "value": "bad"}, answers.append, said.append)
    asker.ask({"do": "work", "value": 1}, answers.append, said.append)
    until(lambda: asker.results() or answers, 5, "an answer")
    assert said == ["no such thing"] and answers == [{"value": 1}]


def test_what_a_screen_needs_is_kept_fresh_and_what_fails_says_so(asker):
    asker.want(("list", ("mine", {"do": "list"}), "unknown"))
    until(lambda: {"list", "mine", "unknown"} <= set(asker.answers), 5, "the answers")
    assert asker.answers["list"] == {"count": 0} and "error" in asker.answers["unknown"]
    asker.free.set()
    asker.ask({"do": "work", "value": 5})
    until(lambda: asker.answers["list"] == {"count": 1}, 5, "the new count")


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return tmp_path


ASKED = {"model": "birds", "plane": ["pitch", "colour"]}


def test_places_are_kept_by_model_and_plane(state):
    assert waypoints.waypoints(ASKED) == {"points": []}
    waypoints.waypoint({**ASKED, "at": [0.25, 0.75]})
    assert waypoints.waypoint({**ASKED, "at": [2.0, -1.0]}) == {"points": [[0.25, 0.75], [1.0, 0.0]]}
    assert waypoints.waypoints({**ASKED, "plane": ["pitch", "noise"]}) == {"points": []}
    assert waypoints.waypoints({**ASKED, "model": "water"}) == {"points": []}
    assert waypoints.waypoint({**ASKED, "delete": 0}) == {"points": [[1.0, 0.0]]} == waypoints.waypoints(ASKED)


def test_a_map_keeps_so_many_places_and_says_so(state):
    for number in range(waypoints.MOST):
        waypoints.waypoint({**ASKED, "at": [number / 20, 0.5]})
    with pytest.raises(NeurorackError, match="12 places; delete one"):
        waypoints.waypoint({**ASKED, "at": [0.1, 0.1]})


@pytest.mark.parametrize("text", [
    "", "x: [", "kind: waypoints\nformat: 1\nmodels: {birds: {plane: [pitch, colour], points: [[a, b]]}}", "kind: waypoints\nformat: 9\nmodels: {}", "- 1\n"])
def test_a_spoilt_file_counts_as_none(state, text):
    (state / "waypoints.yaml").write_text(text)
    assert waypoints.waypoints(ASKED) == {"points": []}
    assert waypoints.waypoint({**ASKED, "at": [0.5, 0.5]}) == {"points": [[0.5, 0.5]]} == waypoints.waypoints(ASKED)
