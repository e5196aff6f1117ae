"""A musician's folder: what is read, what is skipped and why, how it is cut, chosen and split."""

import struct
import tracemalloc

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab import data
from neurorack.lab.data import folder, preparing, reading, split
from tests.lab.test_descriptors import noise_hit

RATE = 48000


def recipe_of(path, **more):
    return {"name": "mine", "seed": 3, "data": {"seconds": 0.5, "gesture_seconds": 0.5, "sources": [{"kind": "folder", "path": str(path)}]} | more}


def prepared(path, tmp_path, **more):
    """(what was said, {side: Clips}) of a folder."""
    said, home = [], tmp_path / "home"
    home.mkdir(exist_ok=True)
    cache = data.prepare(recipe_of(path, **more), home, tmp_path / "cache", said.append)
    return said, {side: data.Clips(cache, side) for side in ("train", "held-out")}


def hits(path, count, **write):
    path.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        soundfile.write(path / f"hit{k}.wav", noise_hit(k, 24000, 0.05), RATE, **write)
    return path


@pytest.mark.parametrize("name, rate, options", [
    ("a.wav", 44100, {"subtype": "PCM_24"}), ("a.flac", 96000, {}), ("a.aiff", 22050, {}), ("a.ogg", 48000, {}), ("a.mp3", 44100, {}),
    ("a.caf", 48000, {}), ("a.w64", 8000, {}), ("a.rf64", 192000, {"format": "RF64"}), ("a.AU", 11025, {"format": "AU"}),
    ("a.opus", 48000, {"format": "OGG", "subtype": "OPUS"}), ("slow.wav", 1000, {}), ("fast.wav", 768000, {}), ("odd.wav", 44101, {})])
def test_formats_and_rates_become_48_khz(tmp_path, name, rate, options):
    hertz = min(440, rate / 5)
    t = np.arange(int(rate * 0.5)) / rate
    soundfile.write(tmp_path / name, 0.5 * np.sin(2 * np.pi * hertz * t), rate, **options)
    audio = reading.whole(tmp_path / name)
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 18))
    assert audio.dtype == np.float32 and abs(len(audio) - RATE / 2) < 3000      # MP3 adds some silence
    assert abs(np.argmax(spectrum) * RATE / (1 << 18) - hertz) < 2


def test_the_loudest_of_eight_channels_is_taken(tmp_path):
    quiet, loud = 0.01 * noise_hit(1), 0.5 * noise_hit(2)
    soundfile.write(tmp_path / "eight.wav", np.stack([quiet] * 5 + [loud] + [quiet] * 2, 1), RATE, subtype="FLOAT")
    assert np.abs(reading.whole(tmp_path / "eight.wav") - loud).max() < 1e-6


def spoilt(path):
    """A folder of good hits among all that may be wrong with a file."""
    hits(path, 6)
    soundfile.write(path / "eight.wav", np.stack([noise_hit(20)] * 8, 1), RATE)
    (path / "words.wav").write_text("these are words, not sound")
    (path / "empty.wav").write_bytes(b"")
    (path / "cut.flac").write_bytes((path / "hit0.wav").read_bytes()[:900])
    soundfile.write(path / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(path / "nothing.wav", np.zeros(0), RATE)
    soundfile.write(path / "wrong.wav", np.where(np.arange(RATE) == 4800, np.nan, noise_hit(9, RATE)), RATE, subtype="FLOAT")
    soundfile.write(path / "slow.wav", noise_hit(3), 500)
    (path / "film.mp4").write_bytes(bytes(100))
    (path / "notes.txt").write_text("read me")
    (path / ".hidden.wav").write_text("")


def test_each_bad_file_is_named_once_with_its_reason_and_the_rest_is_used(tmp_path):
    spoilt(tmp_path / "sounds")
    said, clips = prepared(tmp_path / "sounds", tmp_path)
    skipped = {line.split(": ")[0].removeprefix("skipped "): line for line in said if line.startswith("skipped")}
    assert set(skipped) == {"words.wav", "empty.wav", "cut.flac", "silent.wav", "nothing.wav", "wrong.wav", "slow.wav", "film.mp4"}
    for name, reason in (("words.wav", "not readable as audio"), ("empty.wav", "empty file"), ("silent.wav", "silent"),
                         ("nothing.wav", "no samples"), ("wrong.wav", "not a finite number, at 0.100 s"), ("slow.wav", "500 Hz"),
                         ("film.mp4", "ffmpeg")):
        assert reason in skipped[name] and "\n" not in skipped[name]
    assert "passed over 1 file that is not audio" in said
    used = {row["group"] for side in clips.values() for row in side.rows}
    assert used == {f"hit{k}.wav" for k in range(6)} | {"eight.wav"}


def test_a_video_gives_its_audio_where_ffmpeg_is_at_hand(tmp_path, monkeypatch):
    sounds, tools = hits(tmp_path / "sounds", 3), tmp_path / "bin"
    (sounds / "film.mp4").write_bytes(bytes(100))
    tools.mkdir()
    noise_hit(7, 24000, 0.05).astype("<f4").tofile(tmp_path / "track")
    (tools / "ffmpeg").write_text(f"#!/bin/sh\ncat '{tmp_path / 'track'}'\n")
    (tools / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    said, clips = prepared(sounds, tmp_path)
    assert "film.mp4 is a video: its first audio track is used" in said
    assert any(row["group"] == "film.mp4" for side in clips.values() for row in side.rows)


def test_too_little_sound_ends_in_one_line_with_the_limit(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(data.RecipeError, match="holds no audio that can be used: 0 audio files, 0 others"):
        prepared(tmp_path / "none", tmp_path)
    short = tmp_path / "short"
    short.mkdir()
    soundfile.write(short / "a.wav", noise_hit(1, 2400), RATE)        # 50 ms
    with pytest.raises(data.RecipeError, match="1 usable clips, 0.0. s; training needs at least 2 clips and 1 s"):
        prepared(short, tmp_path)
    with pytest.raises(data.RecipeError, match="missing or is no folder"):
        prepared(tmp_path / "nowhere", tmp_path)
    assert not list((tmp_path / "cache").iterdir())


def test_a_full_disk_is_one_line_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "open", lambda path, mode: open("/dev/full", mode), raising=False)
    with pytest.raises(data.RecipeError, match="No space left on device; free some space"):
        prepared(hits(tmp_path / "sounds", 6), tmp_path)
    assert not list((tmp_path / "cache").iterdir())


def test_one_file_of_hits_is_cut_at_its_onsets_and_its_end_is_held_out(tmp_path):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    strokes = [np.pad(noise_hit(k, 24000, 0.04), (0, 4800)) for k in range(12)]
    soundfile.write(sounds / "take.wav", np.concatenate(strokes), RATE)
    _, clips = prepared(sounds, tmp_path)
    places = sorted((row["place"], side) for side, part in clips.items() for row in part.rows)
    assert [round(place / 0.6) for place, _ in places][:8] == list(range(8))
    assert all(abs(place - 0.6 * round(place / 0.6)) < 0.011 for place, _ in places)
    held = [place for place, side in places if side == "held-out"]
    trained = [place for place, side in places if side == "train"]
    assert len(trained) >= 8 and len(held) >= 1 and min(held) - max(trained) > 1.1      # one stroke at the border is in neither


def test_a_lasting_sound_is_cut_into_windows(tmp_path):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    rng = np.random.default_rng(5)
    for k in range(3):
        soundfile.write(sounds / f"wind{k}.wav", 0.1 * rng.standard_normal(3 * RATE), RATE)
    _, clips = prepared(sounds, tmp_path)
    # Six pieces of every file: four train, the last is held out, the one at the border is in neither.
    assert len(clips["train"]) == 12 and len(clips["held-out"]) == 3 and all(row["lasting"] for row in clips["train"].rows)
    assert {len(clip) for clip in clips["train"].audio} == {RATE // 2}


def test_files_are_on_one_side_only(tmp_path):
    sounds = hits(tmp_path / "sounds", 20)
    _, clips = prepared(sounds, tmp_path)
    sides = [{row["group"] for row in clips[side].rows} for side in ("train", "held-out")]
    assert not sides[0] & sides[1] and 2 <= len(sides[1]) <= 6


def test_a_sample_that_trains_is_never_held_out():
    rows = [{"name": name, "zones": zones, "group": "", "place": 0.0} for name, zones in
            (("a/1", ["s:A"]), ("a/2", ["s:A", "s:B"]), ("b/1", ["s:B"]), ("b/2", ["s:C"]))]
    heads = [noise_hit(k) for k in range(4)]
    sides = split.divide(rows, [1] * 4, lambda which: [heads[k] for k in which], ["b/*"], 1, lambda line: None)
    assert sides == ["train", "train", split.SHARES_SAMPLE, "held-out"]
    sides = split.divide(rows, [1] * 4, lambda which: [heads[k] for k in which], ["s:[AB]"], 1, lambda line: None)
    assert sides == ["held-out", "held-out", "held-out", "train"]


def test_a_folder_larger_than_its_room_gives_something_of_every_file(tmp_path):
    sounds = hits(tmp_path / "sounds", 8)
    rng = np.random.default_rng(6)
    soundfile.write(sounds / "long.wav", 0.1 * rng.standard_normal(60 * RATE), RATE, subtype="PCM_16")
    said, clips = prepared(sounds, tmp_path, minutes=0.2)
    total = sum(len(clip) for side in clips.values() for clip in side.audio) / RATE
    assert total < 12.1 and any("holds 1 minutes in 9 files: 0.2 minutes of 9 files" in line for line in said)
    places = [row["place"] for side in clips.values() for row in side.rows if row["group"] == "long.wav"]
    assert len(places) > 5


def test_room_is_shared_evenly_and_by_seed():
    rng = np.random.default_rng
    assert folder.share([1, 2, 3], 10, rng(1)).tolist() == [1, 2, 3]
    assert np.allclose(folder.share([1, 50, 100], 41, rng(1)), [1, 20, 20])
    few = folder.share([60] * 100, 20, rng(1))
    assert few.sum() == 20 and (few > 0).sum() == 10
    assert (few > 0).tolist() == (folder.share([60] * 100, 20, rng(1)) > 0).tolist() != (folder.share([60] * 100, 20, rng(2)) > 0).tolist()
    pieces = folder.spans(1000.0, 60.0, rng(3))
    assert len(pieces) == 3 and pieces[0][0] < 334 and pieces[-1][0] > 666 and sum(seconds for _, seconds in pieces) == 60


def test_a_file_of_three_hours_is_not_read_whole(tmp_path):
    sounds, seconds = tmp_path / "sounds", 3 * 3600
    sounds.mkdir()
    size = seconds * RATE * 2
    burst = (8000 * np.random.default_rng(7).standard_normal(4096)).astype("<i2").tobytes()
    with open(sounds / "night.wav", "wb") as file:      # sparse: a burst of noise every three seconds
        file.write(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16))
        file.write(b"data" + struct.pack("<I", size))
        for second in range(0, seconds, 3):
            file.seek(44 + second * RATE * 2)
            file.write(burst)
        file.truncate(44 + size)
    tracemalloc.start()
    said, clips = prepared(sounds, tmp_path, minutes=1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6 and len(clips["train"]) > 10
    assert any("holds 180 minutes in 1 files: 1.0 minutes" in line for line in said)


def test_pitched_clips_have_curves_that_augmentation_moves_along(tmp_path):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    t = np.arange(RATE // 2) / RATE
    for k in range(6):
        wave = sum(np.sin(2 * np.pi * 110 * 2 ** (k / 4) * h * t) / h for h in range(1, 12)) * np.exp(-3 * t)
        soundfile.write(sounds / f"note{k}.wav", 0.3 * wave, RATE)
    _, clips = prepared(sounds, tmp_path, pitched=True)
    train = clips["train"]
    assert [len(p) for p in train.pitch] == [len(a) // 64 for a in train.audio] == [len(h) for h in train.harmonicity]
    batch = data.draw_batch(train, 8, 64, np.random.default_rng(1), {"semitones": 3, "silence": 0.5})
    assert batch.pitch.shape == batch.harmonicity.shape == (8, batch.audio.shape[1] // 64) and batch.pitch.dtype == np.float32
    for audio, pitch in zip(batch.audio, batch.pitch):
        heard, _ = data.track(audio[:16384])
        assert np.median(np.abs(heard - pitch[:256])[40:200]) * 1200 < 10
    ends = [int(np.nonzero(audio)[0][-1]) // 64 for audio in batch.audio]
    assert any(start > end for start, end in zip(batch.starts, ends))        # crops of silence


def test_all_passes_change_the_wave_but_neither_spectrum_nor_onset():
    hit = data.trim(np.pad(noise_hit(4, 24000, 0.05), (100, 0)), 0.5)
    same = data.augment(hit, np.random.default_rng(1), 0, 0.0, (0, 0), allpass=0.0)
    turned = data.augment(hit, np.random.default_rng(1), 0, 0.0, (0, 0), allpass=1.0)
    level = lambda audio: 20 * np.log10(np.abs(np.fft.rfft(audio, 65536)) + 1e-3)
    assert np.abs(same - turned).max() > 0.1
    shape = level(turned) - level(same)
    assert np.std(shape[200:-200]) < 1.5
    assert np.abs(turned[:20]).max() < 0.1 * np.abs(turned).max() < np.abs(turned[:600]).max()


def test_unpitched_clips_are_mixed(tmp_path):
    _, clips = prepared(hits(tmp_path / "sounds", 8), tmp_path)
    alone = data.draw_batch(clips["train"], 16, 64, np.random.default_rng(1), {"semitones": 0, "tilt_db": 0, "gain_db": [0, 0]}).audio
    mixed = data.draw_batch(clips["train"], 16, 64, np.random.default_rng(1), {"semitones": 0, "tilt_db": 0, "gain_db": [0, 0], "mix": 1.0}).audio
    near = lambda audio: max(np.dot(audio[:9000], clip[:9000]) / np.linalg.norm(audio[:9000]) / np.linalg.norm(clip[:9000])
                             for clip in (np.pad(c, (0, 9000)) for c in clips["train"].audio))
    assert np.mean([near(a) for a in alone]) > 0.99 > 0.95 > np.mean([near(a) for a in mixed])
    assert np.abs(mixed).max() < 1
