"""Lighter models in the library: made, looked at, kept or not; the original stays."""

import json
import time
from types import SimpleNamespace

import pytest

from neurorack.errors import ModelError, NeurorackError
from neurorack.library import cards, changes, check, describe, entries, files, lighter, lightening
from neurorack.library.lighter_hand import Lightening
from neurorack.notices import Notices
from tests.trim.test_lighten import quick, write  # noqa: F401


@pytest.fixture
def twice(empty, quick):  # noqa: F811
    """A model in the library, half of whose channels are superfluous."""
    empty.mkdir(parents=True)
    write(empty / "twice.safetensors")
    (empty / "twice.yaml").write_text("author: A. Maker\nlicence: CC0-1.0\n")
    return entries.entry("twice")


def test_made_looked_at_and_kept(twice, monkeypatch):
    before = twice.file.read_bytes()
    made = lighter.make("twice", keep=0.8)
    assert made["line"] == f"{made['times_lighter']:.1f}x lighter, {made['distance_db']:.1f} dB" and made["distance_db"] < 0.3
    assert lighter.waiting("twice") == json.loads((files.own() / ".lighter/twice.json").read_text()) == made
    assert list(entries.entries()).count("twice-light") == 0, "nothing is kept unasked"
    done = lighter.keep("twice")
    assert done["name"] == "twice-light" and done["verdict"]["verdict"] == "plays"
    told, card = describe.info(entries.entry("twice-light")), cards.card_of(entries.entry("twice-light").file)
    assert told["author"] == "A. Maker" and told["licence"] == "CC0-1.0" and told["notes"].startswith(made["line"])
    assert card["name"] == "twice-light" and card["trim"]["parent"] == "twice" and card["trim"]["parent_sha256"] == twice.sha256()
    assert card["trim"]["method"] == "lighten" and 0 < card["trim"]["removed_macs"] < 1 and card["trim"]["distance_db"] == made["distance_db"]
    assert twice.file.read_bytes() == before and check.playable(entries.entry("twice-light"))
    assert lighter.waiting("twice") is None and not list((files.own() / ".lighter").iterdir())
    assert lighter.suggested("twice") == "twice-light2"
    changes.remove("twice-light")
    assert "twice-light" not in entries.entries()


def test_discarded_or_out_of_date_it_does_not_wait(twice):
    lighter.make("twice", keep=0.8)
    lighter.discard("twice")
    assert lighter.waiting("twice") is None
    with pytest.raises(ModelError, match="nothing was made of twice"):
        lighter.keep("twice")


def test_what_cannot_be_is_said_in_one_line(twice):
    for wrong, words in (({"keep": 2.0}, "0.02 to 0.97"), ({"quality_db": 0.0}, "0.05 to 40 dB"), ({"target": "board:moon"}, "no board 'moon'"),
                         ({"target": "rtf:0"}, "rtf:X"), ({"target": "size:3"}, "board:NAME"), ({"target": "rtf:1"}, "as it is")):
        with pytest.raises(NeurorackError, match=words) as said:
            lighter.make("twice", **wrong)
        assert "\n" not in str(said.value)
    with pytest.raises(ModelError, match="no model 'nobody'"):
        lighter.make("nobody")
    assert lighter.target_of("board:pi4") == (lighter.BOARD_SHARE, "pi4") and lighter.target_of("rtf:0.25") == (0.25, None)


def until(what, seconds=60.0):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    return what()


def test_in_the_background_with_progress_an_error_and_a_way_out(empty):
    told = []
    work = lightening.Work(told.append)
    work.start("nobody", quality=1.0)
    assert until(lambda: work.state["phase"] == "failed") and "no model 'nobody'" in work.state["line"]
    empty.mkdir(parents=True, exist_ok=True)
    write(empty / "twice.safetensors")
    work.start("twice")
    with pytest.raises(NeurorackError, match="twice is being made lighter"):
        work.start("twice")
    assert until(lambda: any(state.get("stage") == "finding its units" for state in told))
    assert work.cancel() and work.state["phase"] == "cancelled" and not work.cancel()
    assert until(lambda: work._child is None) and lighter.waiting("twice") is None


class Said(SimpleNamespace):
    """An instrument as far as the supervisor's end of lighter models needs one."""

    def __init__(self):
        super().__init__(lines=[], upkeep=SimpleNamespace(notices=Notices(None)))
        self.say = self.lines.append


def answered(hand, request):
    """As the control socket answers."""
    try:
        return {"ok": True, **hand.requests[request["do"]](request)}
    except NeurorackError as error:
        return {"ok": False, "error": str(error)}


def refused(hand, do, **fields):
    return answered(hand, {"do": do, **fields})["error"]


def test_the_instrument_tells_everybody_the_same(twice):
    hand, beside = Lightening(Said()), twice.file.read_bytes()
    assert answered(hand, {"do": "lighter"}) == {"ok": True, "lighter": {}}
    for wrong, words in (({"model": "nobody"}, "no model 'nobody'"), ({}, "model is None"), ({"model": "twice", "quality": "2"}, "from 0.05 to 40"),
                         ({"model": "twice", "keep": float("nan")}, "from 0.02"), ({"model": "twice", "keep": 0.5, "quality": 1}, "not both")):
        assert words in refused(hand, "lighter_make", **wrong)
    for wrong in ("nobody", "../twice", "twice"):
        assert "nothing waits" in refused(hand, "lighter_discard", model=wrong)
    with pytest.raises(ModelError, match="no model's name"):
        lighter.discard("../twice")
    assert twice.file.read_bytes() == beside
    lighter.make("twice", keep=0.8)                # by the command line's library, say
    assert hand.told()["twice"]["phase"] == "made"
    assert answered(hand, {"do": "lighter_discard", "model": "twice"})["ok"] and hand.told() == {} and lighter.waiting("twice") is None


def test_begun_by_one_and_cancelled_by_another(twice):
    hand = Lightening(Said())
    assert answered(hand, {"do": "lighter_make", "model": "twice", "quality": 1.0})["name"] == "twice"
    assert "twice is being made lighter" in refused(hand, "lighter_make", model="twice")
    assert until(lambda: hand.told()["twice"].get("stage") not in (None, "starting")) and hand.told()["twice"]["phase"] == "working"
    assert answered(hand, {"do": "lighter_discard", "model": "twice"})["ok"]
    assert until(lambda: hand.work._child is None) and hand.told() == {} and not hand.run.lines


def test_why_not_is_told_and_noted(twice, monkeypatch):
    hand = Lightening(Said())
    monkeypatch.setattr(lightening.subprocess, "Popen", lambda *_, **__: SimpleNamespace(stdout=['{"error": "no unit can go: it stays as it is"}\n'], wait=int, terminate=int))
    hand.requests["lighter_make"]({"model": "twice"})
    assert until(lambda: hand.told().get("twice", {}).get("phase") == "failed")
    until(lambda: hand.run.upkeep.notices.told())
    assert hand.run.lines == ["twice: no unit can go: it stays as it is"] and hand.run.upkeep.notices.told()[0]["level"] == "info"
    hand.requests["lighter_discard"]({"model": "twice"})
    assert hand.told() == {} and not hand.run.upkeep.notices.told()
