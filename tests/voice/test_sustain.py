"""Gestures that are held while their gate is high, and pitch: 1 V an octave, for every gesture."""

import numpy as np
import pytest

from neurorack.engine import Model
from neurorack.errors import ModelError
from neurorack.gesture import Gestures, load_gestures, save_gestures
from neurorack.render import render
from neurorack.score import parse
from neurorack.voice.patch import Patch, Route
from tests.voice.drive import GLIDE_FRAMES, HOP, Driven
from tests.voice.models import held, pitched

ROWS, FROM, TO = 400, 60, 260
START = 120                   # row of the first hit: the output level has come up
DC_BLOCKER_GAIN = 2 / (1 + np.exp(-2 * np.pi * 10 / 48000))      # at half the sample rate, where the model's carrier is
LET_GO_ROWS = 0.03 * 48000 / HOP


def curve(rows=ROWS, first=FROM, last=TO, level=0.6):
    """Up to the held stretch, where the level waves, then down in a straight line; all values told apart."""
    table = np.zeros((rows, 2), np.float32)
    n = np.arange(rows)
    table[:, 0] = np.interp(n, [0, first, last, rows - 1], [0.1, level, level, 0.0]) + 0.05 * np.sin(n / 9) * ((n > first) & (n < last))
    table[:, 1] = 0.3 * np.sin(n / 13) * np.clip((rows - 1 - n) / 20, 0, 1)
    return table


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = pitched(tmp_path_factory.mktemp("pitched") / "pitched.safetensors", sustain=((FROM, TO), None, (30, 60)),
                   gestures=[curve(), curve(100, 20, 60), curve(120, 30, 60, 0.4)]).path
    return Model.load(path)


@pytest.fixture
def play(model):
    def made(block_frames=64, **knobs):
        return Driven(model, block_frames=block_frames, patch=Patch(knobs=knobs, routes=[Route("cv1", "pitch", smooth_ms=0.0)]))
    return made


def rows_of(audio):
    """The inputs row by row from row START on: loudness and pitch."""
    rows = held(audio, GLIDE_FRAMES)[START:] / DC_BLOCKER_GAIN
    return np.stack([rows[:, 0], (rows[:, 1] - 0.4) / 0.1], 1)


def note(driven, rows_high, rows, start=START):
    """A hit whose gate is high for so many rows."""
    driven.hit(start * HOP + GLIDE_FRAMES)
    driven.hit((start + rows_high) * HOP + GLIDE_FRAMES, rising=False)
    return rows_of(driven.run((rows + start) * HOP))


def assert_ends(told, end):
    """Is this the end of a gesture, from its first rows on, once what was different has faded?"""
    later = round(LET_GO_ROWS) + 2
    starts = [k for k in range(0, 60) if np.abs(told[later:later + 40] - end[k + later:k + later + 40]).max() < 3e-3]
    assert starts and np.abs(told[len(end) - starts[0] + 1:]).max() < 2e-3                   # and then it rests


def fastest(table):
    """The fastest that the inputs of a table change, per row."""
    return np.abs(np.diff(table, axis=0)).max(0)


@pytest.mark.parametrize("rows_high", [300, 700, 1501])
def test_a_high_gate_holds_it_and_a_falling_one_ends_it_at_once(play, rows_high):
    told, want = note(play(), rows_high, rows_high + ROWS), curve()
    assert told[:TO] == pytest.approx(want[:TO], abs=2e-3)
    back = min(150, rows_high - TO - 1)
    assert told[TO:TO + back] == pytest.approx(want[TO:TO - back:-1], abs=2e-3)
    assert_ends(told[rows_high:, 0], want[TO:, 0])


@pytest.mark.parametrize("rows_high", [2, 30, 61, 100, 333, 777])
@pytest.mark.parametrize("speed", [0.0, 0.5, 0.9])
def test_no_input_leaps_when_it_is_held_and_let_go(play, rows_high, speed):
    told, want = note(play(speed=speed), rows_high, 5 * ROWS), curve()
    pace = 4 ** (2 * speed - 1)
    away = np.abs(want[FROM:TO + 1] - want[TO]).max(0)
    assert (np.abs(np.diff(told[1:4 * ROWS], axis=0)).max(0) < pace * fastest(want) + away / LET_GO_ROWS + 3e-3).all()


def test_a_short_trigger_plays_the_way_in_and_the_end(play):
    told, want = note(play(), 2, 600), curve()
    assert told[:FROM] == pytest.approx(want[:FROM], abs=2e-3)
    assert np.abs(told[FROM + ROWS - TO + 2:]).max() < 2e-3


@pytest.mark.parametrize("rows_high", [100, 200, 400])
def test_a_note_shorter_than_a_slow_beginning_ends_from_the_level_it_has(tmp_path, rows_high):
    slow = curve(900, 500, 700)
    driven = Driven(pitched(tmp_path / "slow.safetensors", gestures=[slow], sustain=((500, 700),)), patch=Patch(routes=[]))
    told = note(driven, rows_high, 900)
    peak = int(told[:, 0].argmax())
    assert abs(peak - rows_high) < 12 and told[peak, 0] == pytest.approx(slow[rows_high, 0], abs=0.02)
    fallen = slice(rows_high + 30, None)                                                    # what faded is gone
    assert (np.diff(told[fallen, 0]) < 1e-3).all() and told[rows_high + 210:, 0].max() < 2e-3


def test_without_a_stretch_it_plays_through_and_looped_it_goes_round(play):
    assert note(play(which=0.5), 500, 500)[:100] == pytest.approx(curve(100, 20, 60), abs=2e-3)
    round_ = note(play(loop=1.0), 5, 2 * ROWS)
    assert round_[ROWS + 1:2 * ROWS - 1] == pytest.approx(curve()[1:-1], abs=2e-3)


def test_a_new_hit_while_it_is_held_begins_anew_and_the_second_gate_counts_too(play):
    driven = play()
    driven.set_patch(Patch(gates={"gate2": "trigger"}, routes=[]))
    for row, jack, rising in ((0, 0, True), (400, 1, True), (500, 0, False), (900, 1, False)):
        driven.hit((START + row) * HOP + GLIDE_FRAMES, jack, rising)
    told, want = rows_of(driven.run(1500 * HOP)), curve()
    assert told[400:400 + TO] == pytest.approx(want[:TO], abs=2e-3)
    assert told[880:899, 0].min() > 0.5 and np.abs(told[900 + ROWS - TO + 30:]).max() < 2e-3


def test_frozen_it_stands_and_is_let_go_afterwards(play):
    driven = play()
    for row, jack, rising in ((0, 0, True), (300, 1, True), (350, 0, False), (600, 1, False)):
        driven.hit((START + row) * HOP + GLIDE_FRAMES, jack, rising)
    told = rows_of(driven.run(1200 * HOP))
    assert told[305:599, 0].min() > 0.5 and np.abs(told[600 + ROWS - TO + 30:]).max() < 2e-3
    assert (np.abs(np.diff(told[1:], axis=0)).max(0) < fastest(curve()) + 0.7 / LET_GO_ROWS + 3e-3).all()


def test_two_that_are_mixed_are_held_together(model):
    driven = Driven(model, patch=Patch(knobs={"which": 0.99, "morph": 0.5}, routes=[]))      # the third and, mixed in, the first
    told = note(driven, 900, 1400)
    assert told[200:899, 0].min() > 0.4 and told[200:899, 0].max() < 0.6                      # neither has ended
    assert np.abs(told[900 + ROWS - TO + 30:]).max() < 2e-3


@pytest.mark.parametrize("volts", [-2.0, -1 / 12, 0.0, 1.0, 3.5])
def test_a_volt_is_an_octave_from_the_first_row_to_the_last_and_after_it(play, volts):
    driven = play()
    driven.cv[0] = volts
    told, want = note(driven, 300, 700), curve()
    assert told[:TO, 1] == pytest.approx(want[:TO, 1] + volts, abs=2e-3)
    assert_ends(told[300:, 1] - volts, want[TO:, 1])                                        # what rings out does not slide
    assert told[-50:, 1] == pytest.approx(np.full(50, volts), abs=2e-3)
    driven.set_patch(Patch(drives={"pitch": 1.0}, routes=[Route("cv1", "pitch", smooth_ms=0.0)]))
    assert rows_of(driven.run(150 * HOP))[:, 1] == pytest.approx(np.full(29, volts), abs=2e-3)


def test_glide_is_the_route_s(play):
    driven = play()
    driven.set_patch(Patch(routes=[Route("cv1", "pitch", smooth_ms=50.0)]))
    driven.run(300 * HOP)
    driven.cv[0] = 1.0
    told = (held(driven.run(200 * HOP), GLIDE_FRAMES)[:, 1] - 0.4) / 0.1
    rows = 0.05 * 48000 / HOP
    assert told == pytest.approx(1 - np.exp(-(np.arange(len(told)) + 1) / rows), abs=0.03)


def test_scores_play_it_and_no_block_size_changes_that(model):
    score = parse({"seconds": 1.6, "events": [{"at": 0.1, "jack": "cv1", "volts": 1}, {"at": 0.103, "jack": "gate1", "volts": 5}, {"at": 0.9, "jack": "gate1", "volts": 0}],
                   "controls": {"loudness": [[0, 0.5], [1.6, 0.5]]}})
    score.controls.clear()
    small, _ = render(score, model=model.path, block_frames=64)
    for size in (32, 256, 1024):
        other, _ = render(score, model=model.path, block_frames=size)
        n = min(len(small), len(other))
        assert np.abs(small[:n].astype(np.float64) - other[:n]).max() < 1e-5, size
    told = rows_of(np.roll(small, -int(0.103 * 48000) + START * HOP + 16, axis=0))
    assert told[100:400, 1].max() <= 1.31 and told[100:400, 1].min() >= 0.69


@pytest.mark.parametrize("rows", [[5, 5], [-1, 4], [0, 400], [1.0, 2.0], "all", [1, 2, 3]])
def test_a_stretch_that_cannot_be_is_refused(tmp_path, rows):
    made = pitched(tmp_path / "m.safetensors", gestures=[curve()], sustain=((FROM, TO),))
    made.card["gestures"][0]["sustain"] = rows
    with pytest.raises(ModelError, match="held"):
        Driven(made)


@pytest.mark.parametrize("table", [np.zeros((8, 1)), np.zeros((8, 3)), np.zeros((0, 2)), np.zeros(16), np.full((8, 2), np.nan)])
def test_a_gesture_that_does_not_fit_its_model_is_refused(tmp_path, table):
    made = pitched(tmp_path / "m.safetensors", gestures=[curve(), table], sustain=(None, None))
    with pytest.raises(ModelError, match="gesture 'g1'"):
        Driven(Model.load(made.path))


def test_gestures_beside_the_model_can_be_held_too(tmp_path):
    made = pitched(tmp_path / "m.safetensors", gestures=[])
    save_gestures(made.path, Gestures({"one": curve(), "two": curve()}, {"one": [FROM, TO]}))
    driven = Driven(Model.load(made.path))
    assert driven.voice.gestures == ["one", "two"] and driven.voice.sustain == [[FROM, TO], None]
    assert note(driven, 900, 1300)[700:899, 0].min() > 0.5
    save_gestures(made.path, Gestures({"one": curve()}, {"one": [FROM, 4000]}))
    found, problem = load_gestures(made.path, 2)
    assert not found and "held" in problem
