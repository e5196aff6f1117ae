"""Controllers: pairs of 14 bits, NRPN, learning by moving, and the file that keeps it."""

import math

import pytest

mido = pytest.importorskip("mido")

from neurorack.errors import PatchError  # noqa: E402
from neurorack.inputs import store  # noqa: E402
from neurorack.remote import settings  # noqa: E402
from neurorack.remote.midi import LISTEN_NS, Midi  # noqa: E402
from neurorack.remote.settings import Kept, parse_voice  # noqa: E402
from tests.midi import Heard  # noqa: E402


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


class Desk:
    """A controller, and an instrument that learns from it."""

    def __init__(self):
        self.heard = Heard()
        self.midi = Midi(self.heard, Kept.load())
        self.ns, self.answers = 0, []

    def move(self, *changes, channel=0):
        for control, value in changes:
            self.ns += 1_000_000
            self.midi.handle("desk", mido.Message("control_change", channel=channel, control=control, value=value), self.ns)

    def learn(self, control, *changes, low=0.0, high=1.0, channel=0):
        self.midi.learn(control, low, high, self.ns + 10**10, lambda **answer: self.answers.append(answer))
        self.move(*changes, channel=channel)
        self.ns += LISTEN_NS
        self.midi.look(self.ns)
        return self.answers[-1]


def test_a_moved_controller_is_learned_with_its_range():
    desk = Desk()
    answer = desk.learn("brightness", (21, 3), (21, 4), low=0.25, high=0.75)
    assert "brightness follows controller 21 on channel 1" in answer["text"]
    for value, expected in ((0, 0.25), (127, 0.75)):
        desk.move((21, value))
        assert desk.heard.controls["brightness"] == expected
    desk.move((22, 9))
    desk.move((21, 0), channel=4)
    assert desk.heard.controls == {"brightness": 0.75}


def test_inverted_and_one_knob_for_two_controls():
    desk = Desk()
    desk.learn("width", (7, 1), low=1.0, high=0.0)
    desk.learn("boom", (7, 1), low=0.0, high=0.5)
    desk.move((7, 127))
    assert desk.heard.controls == {"width": 0.0, "boom": 0.5}
    desk.midi.unlearn("width", lambda **answer: desk.answers.append(answer))
    desk.move((7, 0))
    assert desk.heard.controls == {"width": 0.0, "boom": 0.0} and "no controller" in desk.answers[-1]["text"]


def test_the_one_that_moves_most_is_meant():
    desk = Desk()
    answer = desk.learn("width", (9, 64), *[(10, value) for value in range(20)])
    assert "controller 10 " in answer["text"]


def test_fourteen_bits_are_learned_and_read_whole():
    desk = Desk()
    answer = desk.learn("width", *[change for v in range(5) for change in ((16, 40), (48, v * 20))])
    assert "16 and 48 (14 bits)" in answer["text"]
    desk.move((16, 127), (48, 127))
    assert desk.heard.controls["width"] == 1.0
    values = set()
    for value in range(0, 16384, 97):
        desk.move((16, value >> 7), (48, value & 127))
        assert desk.heard.controls["width"] == pytest.approx(value / 16383, abs=1e-6)
        values.add(desk.heard.controls["width"])
    assert len(values) == math.ceil(16384 / 97)
    desk.move((16, 64))
    assert desk.heard.controls["width"] == pytest.approx(64 * 128 / 16383, abs=1e-6), "a coarse half begins anew"


def test_nrpn_is_learned_and_is_no_plain_controller():
    desk = Desk()
    select = ((99, 9), (98, 82))
    answer = desk.learn("boom", *select, (6, 1), (38, 5), (6, 2), (38, 7))
    assert "NRPN 1234" in answer["text"]
    desk.move((6, 127), (38, 127))
    assert desk.heard.controls["boom"] == 1.0
    desk.move((99, 9), (98, 83), (6, 0))
    assert desk.heard.controls["boom"] == 1.0, "another number"
    desk.learn("width", (99, 127), (98, 127), (6, 5))
    desk.move((6, 127))
    assert desk.heard.controls["width"] == 1.0, "with nothing selected it is controller 6"


def test_a_learned_wheel_is_no_wheel():
    desk = Desk()
    desk.learn("width", (1, 5))
    desk.move((1, 127))
    assert desk.heard.controls["width"] == 1.0 and "wheel" not in desk.heard.jacks


def test_a_button_for_the_next_model():
    desk = Desk()
    desk.learn("next", (30, 127))
    desk.move((30, 127), (30, 0), (30, 127), (30, 127))
    assert desk.heard.wishes == [{"do": "next"}] * 2


def test_nobody_moved_anything():
    desk = Desk()
    desk.midi.learn("width", 0, 1, 500, lambda **answer: desk.answers.append(answer))
    desk.midi.look(499)
    assert not desk.answers
    desk.midi.look(500)
    assert "no controller was moved" in desk.answers[0]["error"] and not desk.midi.kept.controls
    desk.midi.unlearn("width", lambda **answer: desk.answers.append(answer))
    assert "has learned no controller" in desk.answers[1]["error"]


def test_a_new_wish_to_learn_ends_the_old_one():
    desk = Desk()
    desk.midi.learn("boom", 0, 1, 10**12, lambda **answer: desk.answers.append(answer))
    desk.learn("width", (11, 1))
    assert "error" in desk.answers[0] and list(desk.midi.kept.controls) == ["width"]


# ---- the file


def test_what_was_learned_is_there_again(state):
    desk = Desk()
    desk.learn("colour 1", (21, 3), low=1.0, high=0.5)
    desk.learn("width", (16, 1), (48, 2))
    desk.midi.change({"mode": "legato", "pitch": "cv5"}, lambda **answer: desk.answers.append(answer))
    again = Kept.load()
    assert again.controls == desk.midi.kept.controls and again.voice == parse_voice({"mode": "legato", "pitch": "cv5"}) and not again.problems
    assert [path.name for path in state.iterdir()] == ["midi.yaml"]


@pytest.mark.parametrize("text", ["", "[1, 2", "kind: midi\nformat: 9", "kind: jacks\nformat: 1", "\0\xff", "- a", "x" * (settings.MOST_BYTES + 1)])
def test_a_broken_file_is_named_ignored_and_kept_aside(state, text):
    state.mkdir()
    (state / "midi.yaml").write_text(text)
    kept = Kept.load()
    assert len(kept.problems) == 1 and str(state / "midi.yaml") in kept.problems[0] and "ignored" in kept.problems[0] and "\n" not in kept.problems[0]
    assert kept.controls == {} and kept.voice == settings.VoiceSettings()
    kept.save()
    assert (state / "midi.yaml.broken").read_text() == text and not Kept.load().problems


def test_a_broken_entry_costs_that_entry_alone(state):
    state.mkdir()
    entries = {"good": "{source: cc, channel: 1, number: 5}", "bad channel": "{source: cc, channel: 17, number: 5}", "bad kind": "{source: knob}",
               "bad range": "{source: cc, channel: 1, number: 5, high: .nan}", "list": "[1]"}
    text = "kind: midi\nformat: 1\nvoice: {mode: poly}\ncontrols:\n" + "".join(f"  {name}: {entry}\n" for name, entry in entries.items())
    (state / "midi.yaml").write_text(text)
    kept = Kept.load()
    assert list(kept.controls) == ["good"] and len(kept.problems) == 5 and "mode is 'poly'" in kept.problems[0]


def test_off_by_hand_is_off(state):
    state.mkdir()
    (state / "midi.yaml").write_text("kind: midi\nformat: 1\nvoice: {pedal: off, pitch: off}")
    kept = Kept.load()
    assert (kept.voice.pedal, kept.voice.pitch) == ("off", "off") and not kept.problems


def test_a_folder_that_cannot_be_written_is_told(state, tmp_path):
    desk = Desk()
    (tmp_path / "file").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATE_DIRECTORY", str(tmp_path / "file"))
        answer = desk.learn("width", (5, 1))
        assert store.folder() == tmp_path / "file"
    assert "cannot write" in answer["error"] and "until the instrument ends" in answer["error"]
    desk.move((5, 127))
    assert desk.heard.controls["width"] == 1.0


@pytest.mark.parametrize("change", [{"mode": "poly"}, {"channel": 0}, {"channel": True}, {"bend_semitones": 97}, {"bend_semitones": True}, {"pitch": "cv9"},
                                    {"mpe_members": 16}, {"tune": 1}, {"pedal": [1]}])
def test_settings_have_limits(change):
    with pytest.raises(PatchError, match=next(iter(change))):
        parse_voice(change)
