"""Scenes and takes on the display, on a real instrument: each entry turned to, pressed, and its effect asked for."""

import pytest

from tests.panel.face import face, instrument, patch, route, seat  # noqa: F401
from tests.play.runs import until


def test_scenes_from_the_first_to_the_morph(face, instrument):
    def scenes():
        return instrument.ask("scenes")
    face.menu("Scenes", "save as new")
    assert face.screen.name == "letters"
    face.press()          # one more letter
    face.turn(2)
    face.hold(2)          # keep
    face.settled()
    assert [one["name"] for one in scenes()["scenes"]] == ["Scene 1B"]
    instrument.ask("set", control="centroid", value=0.9)
    until(lambda: scenes()["undo"] == "set centroid", 5, "the edit")
    face.until(lambda: face.find("undo") is not None and face.value("undo") == "set centroid", "its row")
    face.choose("undo")
    face.settled()
    until(lambda: patch(instrument)["knobs"].get("centroid", 0.5) == pytest.approx(0.5, abs=0.01), 10, "the knob of before")
    face.until(lambda: face.find("redo") is not None, "the way forth")
    face.choose("redo")
    face.settled()
    until(lambda: patch(instrument)["knobs"]["centroid"] == pytest.approx(0.9), 10, "the knob of after")
    face.choose("save as new")
    face.hold(2)
    face.settled()
    assert [one["number"] for one in scenes()["scenes"]] == [1, 2] and scenes()["current"] == 2
    face.choose("1 Scene 1B")
    face.settled()
    until(lambda: scenes()["current"] == 1, 20, "the recall")

    face.until(lambda: face.find("2 Scene 2") is not None, "its row")
    face.select("2 Scene 2")
    face.hold(2)
    assert face.screen.name == "scene"
    face.choose("rename")
    face.hold(1)          # the 2 goes
    face.turn(-1)
    face.hold(2)
    face.settled()
    renamed = scenes()["scenes"][1]["name"]
    assert renamed.startswith("Scene") and renamed != "Scene 2"
    face.choose("copy")
    face.press()          # the first free one is chosen already
    face.settled()
    assert [one["number"] for one in scenes()["scenes"]] == [1, 2, 3]
    face.choose("save into it")
    face.yes()
    face.settled()
    until(lambda: scenes()["current"] == 2, 5, "the save")
    face.menu("Scenes")
    face.select(f"3 {renamed}")
    face.hold(2)
    face.choose("delete")
    face.press()          # no
    assert len(scenes()["scenes"]) == 3
    face.choose("delete")
    face.yes()
    face.settled()
    assert [one["number"] for one in scenes()["scenes"]] == [1, 2] and face.screen.name == "scenes"
    face.choose("2 " + renamed)
    face.settled()
    face.choose("save into 2")
    face.settled()

    face.choose("morph", "begin: from", "1 Scene 1B", "2 " + renamed)
    face.settled()
    until(lambda: (now := scenes()["morph"]) and (now["from"], now["to"]) == (1, 2), 10, "the morph")
    face.until(lambda: face.find("by hand") is not None, "its rows")
    face.choose("by hand")
    face.turn(30)
    face.press()
    face.settled()
    until(lambda: scenes()["morph"]["value"] == pytest.approx(0.3, abs=0.02), 5, "its value")
    face.choose("add a jack", "cv1")
    face.settled()
    assert route(instrument, "cv1", "morph")
    face.choose("remove")
    face.settled()
    face.choose("by the clock", "4")
    face.settled()
    assert not face.asker.refused or "tempo" in face.asker.refused[0][1]
    face.choose("end")
    face.settled()
    until(lambda: scenes()["morph"] is None, 5, "its end")


def test_a_take_is_recorded_looked_at_and_deleted(face, instrument):
    face.menu("Record")
    face.until(lambda: "takes" in face.view.answer("takes"), "the takes")
    face.press()
    face.settled()
    assert instrument.ask("takes")["recording"]
    face.until(lambda: face.view.answer("takes").get("seconds", 0) > 0.2, "some sound")
    face.press()
    face.settled()
    takes = instrument.ask("takes")
    assert not takes["recording"] and len(takes["takes"]) == 1
    face.until(lambda: len(face.items()) == 2, "its row")
    face.turn(1)
    face.press()
    assert face.screen.name == "take"
    face.choose("delete")
    face.yes()
    face.settled()
    assert instrument.ask("takes")["takes"] == [] and face.screen.name == "record"
