"""The map of a model's clips and its gestures, as the panel and the supervisor tell them."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import pytest

from neurorack import gesture_hand
from neurorack.errors import NeurorackError
from neurorack.panel.canvas import SMALL
from neurorack.panel.hand import map_of, plane_of
from neurorack.panel.screens.clips import clips_on_map, nearest
from neurorack.wishes import Wishes
from tools.draw import panel_script, screens
from tools.draw.panel_view import MAPPED, VIEW, Slot

CONTROLS = [{"name": "centroid", "links": [{}]}, {"name": "width", "links": [{}]}, {"name": "t1", "links": [{}]}, {"name": "t2", "links": [{}]}]
DRAWN = {"x": "t1", "y": "t2", "points": [[0.1, 0.9, "bell"]], "gestures": [[0.4, 0.5]]}


def test_a_card_that_draws_a_map_has_its_plane():
    assert map_of({"controls": CONTROLS, "map": DRAWN}) == DRAWN and plane_of({"controls": CONTROLS, "map": DRAWN}) == ["t1", "t2"]
    assert plane_of({"controls": CONTROLS, "map": DRAWN, "plane": ["centroid", "t1"]}) == ["centroid", "t1"]
    for wrong in (None, [], {**DRAWN, "x": "gone"}, {**DRAWN, "points": [[1, 2]]}, {**DRAWN, "points": [["a", 2, "b"]]}, {"x": "t1", "y": "t2"},
                  {**DRAWN, "points": [[float("nan"), 0.5, "b"]]}, {**DRAWN, "gestures": [[0.5, float("inf")]]}, {**DRAWN, "points": {"a": 1}}):
        assert map_of({"controls": CONTROLS, "map": wrong}) is None and plane_of({"controls": CONTROLS, "map": wrong}) == ["centroid", "width"]


def with_map(gestures, drive=0.0, **more) -> Slot:
    drawn = {"x": "brightness", "y": "bandwidth", "points": [[0.3, 0.6, "drum"], [0.9, 0.1, "bell"]], "gestures": gestures}
    controls = tuple(replace(control, drive=drive) for control in MAPPED.controls)
    return replace(MAPPED, controls=controls, card=MappingProxyType({**MAPPED.card, "map": drawn, **more}))


def test_clips_lie_where_the_controls_would_make_the_chosen_gesture_like_them():
    assert clips_on_map(with_map([[0.5, 0.5]] * 3)) == [(0.3, 0.6, "drum"), (0.9, 0.1, "bell")]
    second = with_map([[0.0, 0.0], [0.7, 0.4], [0.0, 0.0]])            # its knob, at 0.45 of four gestures, chooses the second
    assert clips_on_map(second) == [(pytest.approx(0.1), pytest.approx(0.7), "drum"), (pytest.approx(0.7), pytest.approx(0.2), "bell")]
    assert clips_on_map(with_map([[0.0, 0.0], [0.7, 0.4]], drive=1.0))[0] == (0.3, 0.6, "drum")
    assert clips_on_map(with_map([[0.0, 0.0], [0.9, 0.5]])) == [(pytest.approx(0.5), 0.1, "bell")]      # the other is out of reach
    assert clips_on_map(replace(second, plane=("brightness", "decay"))) == clips_on_map(VIEW.slot) == []


def test_the_nearest_has_its_name():
    points = clips_on_map(with_map([[0.5, 0.5]] * 3))
    assert nearest(points, (0.35, 0.5))[2] == "drum" and nearest(points, (1.0, 0.0))[2] == "bell" and nearest([], (0.5, 0.5)) is None


def play(script: str, slot=MAPPED, **answers):
    player = panel_script.Player(SMALL, replace(VIEW, slots=(slot, Slot("B"))), {**screens.ANSWERS, **answers})
    player.play(script)
    return player


def test_the_panel_asks_for_gestures_and_removes_what_was_kept():
    asked = lambda script: [request for request in play(f"p 1 p p 1 p {script}", gestures={"gestures": ["new 1"] * 4}).asker.asked if request["do"] == "gestures"]
    assert asked("p") == [{"do": "gestures", "slot": "A", "generate": 4}]
    assert asked("1 p") == [{"do": "gestures", "slot": "A", "generate": 4, "like": "tabla low", "distance": 0.3}]
    assert asked("6 p 1 p") == [{"do": "gestures", "slot": "A", "remove": "new 1"}]
    assert asked("5 p 1 p") == asked("6 p p") == []                    # one of its own; and the question answered with no


class Slots:
    """Two slots, the first of which is heard."""

    heard, index = 0, 0

    def __init__(self, path):
        self.did = []
        self.slots = [SimpleNamespace(name="A", index=0, path=path, title="impacts", holds=True), SimpleNamespace(name="B", index=1, path=None, title="", holds=False)]

    def swap(self, *what):
        self.did.append(("swap", *what))
        return SimpleNamespace(ended=SimpleNamespace(wait=lambda seconds: True), error=None, told=dict)


def test_the_supervisor_has_them_made_elsewhere_and_takes_the_model_anew(monkeypatch):
    slots, words = Slots(Path("/models/impacts.safetensors")), []
    wishes = Wishes(SimpleNamespace(slots=slots, settings=SimpleNamespace(score=None), call=lambda work, *args: work(*args)))
    monkeypatch.setattr(gesture_hand, "done_elsewhere", lambda line: words.append(line) or {"model": "m", "gestures": ["new 1"]})
    assert wishes._gestures({"do": "gestures", "generate": 1, "like": "bell", "seed": 3, "distance": 1}) == {"gestures": ["new 1"], "reloaded": True}
    assert words == [["models", "gesture", "/models/impacts.safetensors", "--json", "--no-reload", "--generate=1", "--seed=3", "--distance=1", "--like=bell"]]
    assert slots.did == [("swap", "impacts", Path("/models/impacts.safetensors"))]
    assert wishes._gestures({"do": "gestures", "reload": "/models/other.safetensors"}) == {"reloaded": False} and len(words) == len(slots.did) == 1
    for wrong in ({"generate": "4"}, {"generate": True}, {"like": 7}, {"slot": "B"}, {"slot": "C"}):
        with pytest.raises(NeurorackError):
            wishes._gestures({"do": "gestures", **wrong})
    assert len(words) == 1


def test_what_another_process_refuses_is_said_in_its_line():
    with pytest.raises(NeurorackError, match="no such file|there is no model"):
        gesture_hand.done_elsewhere(gesture_hand.command({"generate": 1}, Path("/nowhere/none.safetensors")))
