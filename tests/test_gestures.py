"""Gestures recorded from sound files: what the encoder hears is what the decoder is given, kept beside the model whole or not at all."""

import errno

import numpy as np
import pytest
import soundfile

from neurorack.engine import Model, store
from neurorack.errors import ModelError
from neurorack.gesture import gestures_path, load_gestures, record_gesture, resampled
from neurorack.voice.patch import Patch
from tests.voice.drive import Driven
from tests.voice.models import codec, probe
from tests.voice.test_drone import HOP, SHIFT, rows

LEVELS = np.array([0.2, 0.5, 0.8, 0.4, 0.6] * 8, np.float32)


@pytest.fixture
def model(tmp_path):
    return codec(tmp_path / "codec.safetensors")


def sound(path, levels=LEVELS, rate=48000, before=0, channels=1):
    """Square waves of these levels, a hop each at the model's rate."""
    hop = HOP * rate / 48000
    n = np.arange(round(len(levels) * hop))
    wave = levels[np.minimum((n / hop).astype(int), len(levels) - 1)] * (-1.0) ** (n // 8)
    soundfile.write(path, np.repeat(np.concatenate([np.zeros(before), wave])[:, None], channels, 1), rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("channels", [1, 2])
def test_a_sound_becomes_the_encoder_s_curve_without_the_silence_around_it(model, tmp_path, channels):
    path = record_gesture(model.path, sound(tmp_path / "s.wav", before=7777, channels=channels), "five")
    assert path == gestures_path(model.path) == tmp_path / "codec.gestures.safetensors"
    curve = load_gestures(model.path, 2)[0]["five"]
    assert curve.shape == (40, 2) and curve[:, 0] == pytest.approx(LEVELS, rel=0.02) and curve[:, 1] == pytest.approx(LEVELS / 2, rel=0.02)


def test_the_voice_plays_what_was_recorded(model, tmp_path):
    record_gesture(model.path, sound(tmp_path / "s.wav"), "five")
    play = Driven(Model.load(model.path), block_frames=HOP, patch=Patch(knobs={"wander": 0.0, "decay": 1.0}))
    assert play.voice.gestures == ["five"] and play.voice.warning is None
    play.hit(20 * HOP + SHIFT)
    assert rows(play.run(80 * HOP))[20:60, 0] == pytest.approx(LEVELS, rel=0.03)


@pytest.mark.parametrize("rate", [24000, 44100, 96000])
def test_files_of_any_rate(model, tmp_path, rate):
    record_gesture(model.path, sound(tmp_path / "s.wav", rate=rate), "five")
    curve = load_gestures(model.path, 2)[0]["five"]
    assert len(curve) in (40, 41) and curve[:40, 0] == pytest.approx(LEVELS, rel=0.15, abs=0.03)


def test_resampling_keeps_tones_and_length():
    t = np.arange(44100) / 44100
    tone = np.stack([np.sin(2 * np.pi * 997 * t), np.cos(2 * np.pi * 5000 * t)], 1)
    for rate in (48000, 22050, 96000):
        other = resampled(tone.astype(np.float32), 44100, rate)
        n = np.arange(len(other)) / rate
        assert len(other) == rate
        want = np.stack([np.sin(2 * np.pi * 997 * n), np.cos(2 * np.pi * 5000 * n)], 1)
        assert np.abs(other - want)[2000:-2000].max() < 2e-3


def test_several_are_kept_in_order_and_one_of_the_same_name_is_replaced(model, tmp_path):
    for name, levels in (("z", LEVELS), ("a", LEVELS[:10]), ("z", LEVELS[:20])):
        record_gesture(model.path, sound(tmp_path / "s.wav", levels), name)
    found, problem = load_gestures(model.path, 2)
    assert problem is None and {name: len(curve) for name, curve in found.items()} == {"z": 20, "a": 10} and list(found) == ["z", "a"]


def test_what_cannot_be_recorded_is_said_and_leaves_the_file_as_it_was(model, tmp_path, monkeypatch):
    record_gesture(model.path, sound(tmp_path / "s.wav"), "kept")
    before = gestures_path(model.path).read_bytes()
    soundfile.write(tmp_path / "silent.wav", np.zeros(48000), 48000)
    soundfile.write(tmp_path / "long.wav", np.zeros(8000 * 130, np.int16), 8000)
    (tmp_path / "text.wav").write_text("<html>")
    deaf = probe(tmp_path / "probe.safetensors")
    for wav, name, path, what in ((tmp_path / "silent.wav", "g", model.path, "silent"), (tmp_path / "long.wav", "g", model.path, "130 s; 120 s"),
                                  (tmp_path / "text.wav", "g", model.path, "cannot be read as sound"), (tmp_path / "none.wav", "g", model.path, "cannot be read"),
                                  (tmp_path, "g", model.path, "cannot be read as sound"),
                                  (tmp_path / "s.wav", "", model.path, "1 to 40"), (tmp_path / "s.wav", "x" * 41, model.path, "1 to 40"),
                                  (tmp_path / "s.wav", "g", deaf.path, "needs a method encode"), (tmp_path / "s.wav", "g", tmp_path / "no.safetensors", "no such file")):
        with pytest.raises(ModelError, match=what):
            record_gesture(path, wav, name)
    monkeypatch.setattr(store.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(ModelError, match="cannot write.*No space left"):
        record_gesture(model.path, tmp_path / "s.wav", "g")
    assert gestures_path(model.path).read_bytes() == before and not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_damaged_file_of_gestures_is_not_written_over(model, tmp_path):
    gestures_path(model.path).write_bytes(b"something else")
    with pytest.raises(ModelError, match="remove that file"):
        record_gesture(model.path, sound(tmp_path / "s.wav"), "g")
    assert gestures_path(model.path).read_bytes() == b"something else"


def test_gestures_of_a_player_file_lie_beside_it(tmp_path):
    assert gestures_path(tmp_path / "abc.player.json") == tmp_path / "abc.gestures.safetensors"
    assert gestures_path("a.b.safetensors").name == "a.b.gestures.safetensors"
