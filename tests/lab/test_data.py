"""From recordings to clips: trimming, licences, the split, augmentation, crops."""

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab import data
from neurorack.lab.data import reading, soundfont, sources
from tests.lab.test_descriptors import noise_hit


RATE = 48000


def test_trim_begins_at_the_onset_and_ends_when_it_has_died_away():
    hit = noise_hit(1, 48000, 0.05)
    audio = np.concatenate((np.zeros(5000), hit, np.zeros(9000))) * 0.3
    clip = data.trim(audio, 1.5)
    assert abs(np.abs(clip).max() - 0.7) < 1e-6
    assert 0.25 * RATE < len(clip) < 0.6 * RATE
    assert np.abs(clip[:96]).max() > 0.2 and clip[0] == 0 and abs(clip[-1]) < 1e-6


def test_trim_fades_what_it_must_cut():
    clip = data.trim(np.sin(np.arange(4 * RATE) * 0.05), 1.0)
    assert len(clip) == RATE
    assert np.abs(clip[-200:]).max() < 0.01


@pytest.mark.parametrize("audio", [np.zeros(48000), np.full(100, 0.5), np.full(48000, 1e-4), np.full(4800, np.nan)])
def test_trim_refuses_what_holds_no_hit(audio):
    assert data.trim(audio, 1.5) is None


COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2016 Someone <s@example.org>
License: MIT

Files: samples/a_*.wav
 samples/c.wav
Copyright: 2010 Another
License: CC0
"""


def folder_source(tmp_path, **more):
    (tmp_path / "copyright").write_text(COPYRIGHT)
    (tmp_path / "sounds").mkdir(exist_ok=True)
    for k, name in enumerate(("a_1", "a_2", "b", "c")):
        soundfile.write(tmp_path / "sounds" / f"{name}.wav", noise_hit(k), RATE)
    return {"name": "kit", "kind": "files", "package": "pack", "path": str(tmp_path / "sounds"), "files": ["*.wav"],
            "copyright": str(tmp_path / "copyright"), "listed_in": "samples", "licences": ["CC0"]} | more


def test_every_file_is_judged_by_its_own_stanza(tmp_path):
    said = []
    recipe = {"data": {"sources": [folder_source(tmp_path)]}}
    names = [r.name for r in sources.collect(recipe, said.append)]
    assert names == ["kit/a_1", "kit/a_2", "kit/c"]
    assert said == ["skipped kit/b: licence 'MIT' is not among CC0"]


def test_a_file_that_is_no_audio_is_named_and_skipped(tmp_path):
    source = folder_source(tmp_path)
    (tmp_path / "sounds" / "a_3.wav").write_text("not a sound")
    said = []
    assert len(list(sources.collect({"data": {"sources": [source]}}, said.append))) == 3
    assert any("kit/a_3" in line for line in said)


def test_missing_folder_names_the_package():
    source = {"name": "kit", "kind": "files", "package": "some-pack", "path": "/nowhere", "files": ["*"],
              "licences": []}
    with pytest.raises(sources.RecipeError, match="some-pack"):
        list(sources.collect({"data": {"sources": [source]}}))


def recipe_of(source, **more):
    return {"name": "tiny", "data": {"seconds": 0.5, "gesture_seconds": 0.5, "sources": [source],
                                     "held_out": ["kit/c"], "gestures": {"hit": "kit/a_1"}} | more}


def test_prepare_splits_and_lists_licences(tmp_path):
    path = data.prepare(recipe_of(folder_source(tmp_path)), tmp_path, tmp_path / "cache", lambda line: None)
    assert [row["name"] for row in data.Clips(path, "train").rows] == ["kit/a_1", "kit/a_2"]
    assert [row["name"] for row in data.Clips(path, "held-out").rows] == ["kit/c"]
    assert [row["name"] for row in data.Clips(path, "gesture").rows] == ["kit/a_1"]
    table = (tmp_path / "LICENCES.md").read_text()
    assert "* CC0: 3 recordings" in table and "| kit/c | pack: c.wav | CC0 | 2010 Another | held-out |" in table


def test_a_held_out_copy_of_a_training_clip_is_left_out(tmp_path):
    source = folder_source(tmp_path)
    soundfile.write(tmp_path / "sounds" / "a_9.wav", 0.4 * np.concatenate((np.zeros(300), noise_hit(0))), RATE)
    recipe = recipe_of(source)
    recipe["data"]["held_out"] = ["kit/c", "kit/a_9"]
    path = data.prepare(recipe, tmp_path, tmp_path / "cache", lambda line: None)
    assert [row["name"] for row in data.Clips(path, "held-out").rows] == ["kit/c"]


def test_an_unknown_gesture_recording_is_named(tmp_path):
    recipe = recipe_of(folder_source(tmp_path))
    recipe["data"]["gestures"] = {"hit": "kit/zzz"}
    with pytest.raises(sources.RecipeError, match="kit/zzz.*nearest is 'kit/"):
        data.prepare(recipe, tmp_path, tmp_path / "cache")


def test_augmentation_moves_pitch_by_whole_semitones():
    rng = np.random.default_rng(0)
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
    seen = set()
    for _ in range(40):
        varied = data.augment(tone, rng)
        assert np.isfinite(varied).all() and np.abs(varied).max() < 1
        spectrum = np.abs(np.fft.rfft(varied * np.hanning(len(varied)), 1 << 19))
        semitones = 12 * np.log2(np.argmax(spectrum) * RATE / (1 << 19) / 440)
        assert abs(semitones - round(semitones)) < 0.02
        seen.add(round(semitones))
    assert seen == {-2, -1, 0, 1, 2}


def test_crops_lie_where_they_say(tmp_path):
    path = data.prepare(recipe_of(folder_source(tmp_path)), tmp_path, tmp_path / "cache", lambda line: None)
    batch = data.draw_batch(data.Clips(path, "train"), 16, 64, np.random.default_rng(3), onset_share=0.3)
    audio, starts = batch.audio, batch.starts
    assert audio.shape[1] % 64 == 0 and audio.dtype == np.float32
    assert (starts * 64 + 64 * 64 <= audio.shape[1]).all() and starts.max() > 0
    assert (np.abs(audio[:, :128]).max(1) > 0.01).all()


def test_midi_file_holds_every_note_once():
    body = soundfont.midi_file([(60, 100), (62, 50)], 12, drums=False)
    assert body[:4] == b"MThd" and body.count(bytes((0x90, 60, 100))) == 1 and body.count(bytes((0x90, 62, 50))) == 1
    length = int.from_bytes(body[18:22], "big")
    assert len(body) == 22 + length and body.endswith(b"\xff\x2f\x00")
