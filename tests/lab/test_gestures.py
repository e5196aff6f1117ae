"""Gestures taken from recordings: which, how they end, where they stay, and that their note is taken out."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.errors import NeurorackError      # noqa: E402
from neurorack.gesture_shape import TAIL_SECONDS, end_softly, finished, sustain_region      # noqa: E402
from neurorack.lab.descriptors import HOP, RATE_HZ, QuantileMap      # noqa: E402
from neurorack.lab.gestures import card_entries, diverse, harvest      # noqa: E402
from neurorack.lab.gestures.harvest import short_name      # noqa: E402
from neurorack.lab.layout import Layout      # noqa: E402
from neurorack.lab.recipe import RecipeError      # noqa: E402

HOP_SECONDS = HOP / RATE_HZ
TAIL_ROWS = round(TAIL_SECONDS / HOP_SECONDS)
NORMALISER = QuantileMap(torch.tensor([[5.0, 14.0], [4.0, 13.0], [0.0, 3.0], [0.0, 1.0]]).repeat_interleave(1, 0))


def falling(rows, first, last):
    table = np.zeros((rows, 13), np.float32)
    table[:, 0] = np.linspace(first, last, rows)
    table[:, 1] = np.arange(rows) / rows
    return table


def test_a_gesture_that_breaks_off_is_led_to_silence():
    table = falling(400, 0.8, 0.3)
    table[-10:, 1] = 9.0                                    # the break itself is bright
    soft = end_softly(table, -1.5, 5, HOP_SECONDS)
    assert soft[-1, 0] == -1.5 and len(soft) == 401
    steps = soft[1:-1, 0] - soft[:-2, 0]
    assert steps.min() > -2 * 1.4 / TAIL_ROWS and soft[-2, 0] < -0.9
    assert soft[:, 1].max() < 1
    assert np.array_equal(soft[:300], table[:300])


def test_a_gesture_that_dies_by_itself_keeps_its_shape():
    table = falling(400, 0.8, -0.99)
    soft = end_softly(table, -1.5, 5, HOP_SECONDS)
    assert soft[:-1, 0] == pytest.approx(table[:, 0], abs=0.02)


def test_a_very_short_gesture_still_ends_at_rest():
    assert end_softly(falling(3, 0.5, 0.4), -1.5, 5, HOP_SECONDS)[-1, 0] == -1.5


def note(seconds, hertz, attack=0.05, release=0.2, decay_db=0.0, vibrato=0.0):
    """A tone with overtones, and its true pitch and harmonicity curves."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    bend = vibrato / 12 * np.sin(2 * np.pi * 5.5 * t)
    phase = 2 * np.pi * np.cumsum(hertz * 2 ** bend) / RATE_HZ
    level = np.minimum(t / attack, 1) * np.clip((seconds - t) / release, 0, 1) * 10 ** (-decay_db * t / 20)
    audio = 0.4 * level * sum(np.sin(k * phase) / k for k in range(1, 9)) / 1.5
    at = (np.arange(len(t) // HOP) + 1) * HOP - 1
    return audio.astype(np.float32), (np.log2(hertz / 261.6256) + bend)[at].astype(np.float32), np.full(len(at), 20.0, np.float32)


def clips_of(*sounds, names=None):
    rows = [{"name": names[k] if names else f"set/sound {'abcdefgh'[k]}", "licence": "CC0", "origin": f"origin {k}"} for k in range(len(sounds))]
    return SimpleNamespace(audio=[s[0] for s in sounds], pitch=[s[1] for s in sounds], harmonicity=[s[2] for s in sounds], rows=rows)


def encoder(audio):
    """A latent that knows the clip's length."""
    return torch.full((len(audio), 8), audio.shape[1] / RATE_HZ), torch.zeros(len(audio), 8)


PITCHED = Layout(pitched=True)


def test_a_held_note_stays_where_it_is_stable_and_sounds_at_c4():
    clips = clips_of(note(1.5, 660.0, vibrato=0.4), note(1.5, 220.0, decay_db=20.0))
    held, dying = harvest(clips, encoder, NORMALISER, PITCHED, PITCHED.rest, {"one": "set/sound a", "two": "set/sound b"})[::-1]
    assert held[0] == "one" and held[2].shape[1] == PITCHED.width and dying[1].get("sustain") is None
    first, last = held[1]["sustain"]
    assert 0.02 < first * HOP / RATE_HZ < 0.15 and 1.1 < last * HOP / RATE_HZ < 1.45 and last < len(held[2]) - TAIL_ROWS
    pitch = held[2][first:last, PITCHED.column("pitch")]
    assert abs(np.median(pitch)) < 0.1 / 12 and np.abs(pitch).max() == pytest.approx(0.4 / 12, abs=0.1 / 12)
    assert held[1]["octaves"] == pytest.approx(np.log2(660 / 261.6256), abs=0.2 / 12)
    assert held[2][-1, 0] == PITCHED.rest[0] and np.isfinite(held[2]).all()


def test_what_falls_steadily_or_wanders_or_is_noise_cannot_stay():
    rows = np.arange(1500)
    flat, steady = np.zeros(1500), np.full(1500, 20.0)
    assert sustain_region(flat, flat, steady, HOP_SECONDS) == [0, 1499]
    assert sustain_region(-rows * 0.02, flat, steady, HOP_SECONDS) is None                        # 15 dB a second
    assert sustain_region(flat, flat, flat - 10, HOP_SECONDS) is None
    assert sustain_region(flat, rows / 750, steady, HOP_SECONDS) is None                          # an octave a second
    first, last = sustain_region(np.where(rows < 700, -30.0, 0.0), flat, steady, HOP_SECONDS)     # the loud half
    assert abs(first - 700) < 30 and last == 1499


def test_what_an_encoder_heard_becomes_a_gesture_too():
    heard = np.zeros((900, PITCHED.width), np.float32)
    heard[:, 0] = np.interp(np.arange(900), [0, 20, 700, 899], [-1, 0.5, 0.5, 0.2])
    heard[:, 5], heard[:, 6] = 0.8, 1.25 + 0.01 * np.sin(np.arange(900) / 20)
    inputs = [{"name": name, "rest": rest, "knots": {"loudness": [-66, -6], "harmonicity": [-20, 30]}.get(name)} for name, rest in zip(PITCHED.names, PITCHED.rest)]
    card = {"inputs": inputs, "hop_frames": 64, "sample_rate_hz": 48000}
    table, held = finished(heard, card)
    assert len(table) == 901 and table[-1, 0] == -1.5 and abs(np.median(table[:, 6])) < 0.005 and held[0] < 60 and 680 < held[1] < 810
    assert finished(heard, {**card, "inputs": [{"name": f"latent {k}"} for k in range(15)]}) == (pytest.approx(heard), None)


def test_gestures_chosen_by_themselves_differ_and_have_the_names_of_their_files():
    tones = [note(0.4, hertz, decay_db=30.0) for hertz in (100.0, 101.0, 102.0, 800.0, 805.0, 3000.0)]
    names = ["low/bass_drum.wav", "low/bass_drum.flac", "low/c.wav", "mid/60/100", "mid/61/100", "bright-one.wav"]
    clips, layout = clips_of(*tones, names=names), Layout()
    made = harvest(clips, encoder, NORMALISER, layout, layout.rest, 3)
    assert len(made) == 3 and [table[:, 1].mean() for _, _, table in made] == sorted(table[:, 1].mean() for _, _, table in made)
    assert {row["name"].split("/")[0] for _, row, _ in made} == {"low", "mid", "bright-one.wav"} and made[-1][0] == "bright one"
    assert len(harvest(clips, encoder, NORMALISER, layout, layout.rest, 99)) == 6
    entries, tensors = card_entries(made)
    assert [entry["frames"] for entry in entries] == [len(tensors[entry["tensor"]]) for entry in entries]
    with pytest.raises(RecipeError, match="'nothing'"):
        harvest(clips, encoder, NORMALISER, layout, layout.rest, {"x": "nothing"})


def test_names():
    assert short_name("fluid/marimba/57/70") == "marimba 57 70" and short_name("a/b/Kick_01.wav") == "Kick 01"
    assert short_name("a/b/Kick_01.wav", {"Kick 01"}) == "Kick 01 2" and len(short_name("x" * 99)) <= 40 and short_name("///") == "clip"


def test_diverse_ones_stand_for_their_groups():
    rng = np.random.default_rng(5)
    groups = np.repeat(np.array([[0, 0], [9, 0], [0, 9], [9, 9]]), [400, 30, 5, 3], axis=0)
    chosen = diverse(groups + rng.normal(0, 0.3, groups.shape), 4)
    assert sorted(map(tuple, groups[chosen])) == [(0, 0), (0, 9), (9, 0), (9, 9)]
    assert list(diverse(np.zeros((3, 2)), 8)) == [0, 1, 2]


def test_a_finished_model_s_gestures_are_taken_anew(tmp_path, monkeypatch):
    from neurorack.engine import Model
    from neurorack.lab import data, encoder as encoders, engines, export
    from neurorack.lab.export import card as cards
    from neurorack.lab.gestures import command

    layout, path = Layout(), tmp_path / "made.safetensors"
    made = engines.make({"kind": "noise-band", "width": 16}, layout).eval()
    heard = encoders.ClipEncoder(8).eval()
    card = {"name": "made", "sample_rate_hz": RATE_HZ, "hop_frames": HOP, "inputs": cards.inputs(NORMALISER, layout, layout.rest), "controls": cards.controls(layout),
            "gestures": [{"name": "old", "tensor": "gesture.old", "frames": 9}], "engine": made.settings, "encoder": heard.settings}
    export.write(path, card, made, heard, NORMALISER, {"gesture.old": np.full((9, layout.width), -1.5, np.float32)})
    sounds = clips_of(*[note(0.15 + 0.02 * k, 100.0 * 1.3 ** k, decay_db=20.0) for k in range(8)])
    monkeypatch.setattr(data, "Clips", lambda cache, side: sounds)
    monkeypatch.setattr(data, "prepare", lambda *given: tmp_path)
    (tmp_path / "recipe.yaml").write_text("name: made\ndata: {gestures: {deep: set/sound a, high: set/sound h}, sources: [{name: s, kind: folder, path: .}]}\n")
    options = SimpleNamespace(model=path, recipe=None, cache=tmp_path, keep=False, seed=1)
    assert command.run(options) == 0
    model = Model.load(path)
    assert [entry["name"] for entry in model.card["gestures"]] == ["deep", "high"] and len(model.card["map"]["points"]) == 8
    assert "generator" not in model.card and "gesture.old" not in model._store.shapes          # eight clips are too few for one
    assert model.tensor("gesture.deep").shape[1] == layout.width and model.card["controls"][-1]["doc"].startswith("latent axis 2")
    rows = np.tile(np.float32(layout.rest), (2, 1))
    assert np.isfinite(model.program("decode", 128).run(rows)).all()
    alone = tmp_path / "elsewhere" / "m.safetensors"
    alone.parent.mkdir()
    alone.write_bytes(path.read_bytes())
    with pytest.raises(NeurorackError, match="--recipe"):
        command.run(SimpleNamespace(**{**vars(options), "model": alone}))
