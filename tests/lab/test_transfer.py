"""Sound in, another model's sound out: at the audio input of a render, and by `neurorack transfer`."""

import argparse

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

from neurorack.engine import Model
from neurorack.errors import NeurorackError
from neurorack.lab import descriptors as d
from neurorack.lab import encoder, engines, export, transfer
from neurorack.lab.data.f0 import track
from neurorack.lab.export import card as cards
from neurorack.lab.layout import Layout
from neurorack.library import find
from neurorack.render import render
from neurorack.score import Score

RATE = 48000
SECONDS = 2.0


def written(path, engine, ears, normaliser, card):
    """A model file, and its card brought up to date with what export writes."""
    return export.write(path, card, engine, ears, normaliser, {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("transfer")


@pytest.fixture(scope="module")
def pitched(folder):
    """A harmonic model that was never trained: loudness and pitch follow their inputs by construction."""
    torch.manual_seed(3)
    layout = Layout(True, 4)
    engine, ears = engines.make({"kind": "harmonic", "width": 16}, layout), encoder.make({"per": "clip", "size": 4})
    normaliser = d.fit_normaliser(d.spectral(0.1 * torch.randn(1, RATE), 740)[0].numpy())
    card = {"name": "tones", "sample_rate_hz": RATE, "hop_frames": 64, "inputs": cards.inputs(normaliser, layout, layout.rest),
            "controls": cards.controls(layout), "gestures": [], "engine": engine.settings, "encoder": ears.settings}
    return written(folder / "tones.safetensors", engine, ears, normaliser, card)


@pytest.fixture(scope="module")
def impacts(folder):
    """The factory model, with the method `encode` whether its file has it or not."""
    model = Model.load(find("impacts"))
    return written(folder / "impacts.safetensors", *export.read(model), {**model.card, "gestures": []})


def melody():
    """Four swelling notes with a few partials, float32 [frames]."""
    time = np.arange(int(SECONDS * RATE)) / RATE
    keys = np.array([57, 64, 60, 67])[np.minimum((time * 2).astype(int), 3)]
    phase = np.cumsum(440 * 2 ** ((keys - 69) / 12)) / RATE * 2 * np.pi
    swell = 0.02 + 0.3 * np.sin(np.pi * (time * 2 % 1)) ** 2
    return (swell * sum(np.sin(k * phase) / k for k in range(1, 8))).astype(np.float32)


def sweep():
    """Noise whose middle rises from 200 Hz to 8 kHz, with its loudness going up and down, float32 [frames]."""
    rng, frames = np.random.default_rng(8), int(SECONDS * RATE)
    noise, hertz = rng.standard_normal(frames), np.fft.rfftfreq(1024, 1 / RATE)
    out, window = np.zeros(frames + 1024), np.hanning(1024)
    for start in range(0, frames - 1024, 256):
        part = start / frames
        shape = np.exp(-0.5 * (np.log2(np.maximum(hertz, 10) / (200 * 40 ** part)) / 0.5) ** 2)
        piece = np.fft.irfft(np.fft.rfft(noise[start:start + 1024] * window) * shape)
        out[start:start + 1024] += piece / (np.std(piece) + 1e-9) * window * 0.1 * 10 ** (np.sin(12 * part) / 2)
    return out[:frames].astype(np.float32) * 0.5


@pytest.fixture(scope="module")
def sounds(folder):
    """Paths of the melody and the sweep, the one in stereo, the other at another rate."""
    tune, rising = folder / "tune.wav", folder / "rising.flac"
    soundfile.write(tune, np.repeat(melody()[:, None], 2, 1), RATE)
    spectrum = np.fft.rfft(sweep())
    soundfile.write(rising, np.fft.irfft(spectrum[:int(SECONDS * 22050)], int(SECONDS * 44100)) * 44.1 / 48, 44100)
    return tune, rising


def levels(audio):
    return np.maximum(d.loudness_db(torch.from_numpy(np.ascontiguousarray(audio, np.float32))).numpy(), -66.0)


def test_a_rendered_input_keeps_loudness_and_pitch(pitched, sounds):
    audio = render(Score(seconds=SECONDS), model=str(pitched.path), input_path=sounds[0], block_frames=128)[0][:, 0]
    late = 4                                   # rows of 64: the level's window, and the way through the voice
    told, heard = levels(melody()), levels(audio)
    assert np.corrcoef(told[:-late], heard[late:len(told)])[0, 1] > 0.95
    wanted, sure = track(melody())
    got, also = track(audio)
    late = 20
    both = (sure[:-late] & also[late:len(sure)])[40:]
    cents = 1200 * np.abs(got[late:len(sure)] - wanted[:-late])[40:][both]
    assert both.mean() > 0.6 and np.median(cents) < 10 and np.mean(cents < 50) > 0.8


def test_a_model_that_plays_hits_sounds_by_its_input_alone_and_is_silent_without(impacts, sounds):
    audio = render(Score(seconds=SECONDS), model=str(impacts.path), input_path=sounds[1])[0]
    assert np.corrcoef(levels(sweep())[:-4], levels(audio[:, 0])[4:1500])[0, 1] > 0.9
    assert not render(Score(seconds=0.2), model=str(impacts.path))[0].any()


def asked(out, **more):
    parser = argparse.ArgumentParser()
    transfer.arguments(parser)
    words = [str(out)]
    for name, value in more.items():
        words += [f"--{name}", str(value)]
    return transfer.run(parser.parse_args(words))


def test_a_sweep_keeps_its_descriptors(impacts, sounds, folder):
    assert asked(folder / "out.wav", descriptors=sounds[1], latent=sounds[0], model=impacts.path) == 0
    audio, rate = soundfile.read(folder / "out.wav", dtype="float32")
    assert rate == RATE and len(audio) >= SECONDS * RATE
    normaliser = d.from_card(impacts.card["inputs"])
    rows = [d.measure(torch.from_numpy(sound)[None], normaliser, 1480)[0].numpy() for sound in (sweep(), audio)]
    inside = slice(20, 1450)
    follows = [np.corrcoef(rows[0][inside, c], rows[1][inside, c])[0, 1] for c in range(5)]
    assert follows[0] > 0.95 and min(follows[1:]) > 0.7, follows


def test_transfer_takes_the_pitch_along_and_transposes(pitched, sounds, folder):
    assert asked(folder / "up.flac", descriptors=sounds[0], model=pitched.path, semitones=7) == 0
    audio, _ = soundfile.read(folder / "up.flac", dtype="float32")
    wanted, sure = track(melody())
    got, also = track(audio)
    both = sure & also[:len(sure)]
    assert abs(np.median(1200 * (got[:len(sure)] - wanted)[both]) - 700) < 8


def test_the_latent_is_the_other_sounds(pitched, sounds):
    curves = [transfer.encoded(pitched, soundfile.read(path, always_2d=True, dtype="float32")[0].repeat(2, 1)[:, :2], rate, path)
              for path, rate in zip(sounds, (RATE, 44100))]
    latent = transfer.latent_of(pitched, curves[1], sounds[1])
    rows = transfer.rows_of(pitched, curves[0], latent)
    assert (rows[:, :7] == curves[0][:, :7]).all() and (rows[:, 7:] == latent).all()


@pytest.mark.parametrize("wrong", ["silent", "empty", "text", "missing", "model", "ending", "semitones", "folder", "broken"])
def test_bad_input_is_one_line(wrong, pitched, sounds, folder, tmp_path):
    given = {"out": tmp_path / "out.wav", "descriptors": sounds[0], "model": pitched.path}
    tones = {"silent": np.zeros(RATE), "empty": np.zeros(0), "broken": np.full(RATE, np.nan)}
    if wrong in tones:
        given["descriptors"] = tmp_path / "sound.wav"
        soundfile.write(given["descriptors"], tones[wrong], RATE, subtype="FLOAT")
    given |= {"text": {"descriptors": __file__}, "missing": {"latent": tmp_path / "none.wav"}, "model": {"model": __file__},
              "ending": {"out": tmp_path / "out.txt"},
              "semitones": {"semitones": 1000}, "folder": {"out": tmp_path / "no" / "out.wav"}}.get(wrong, {})
    with pytest.raises(NeurorackError) as caught:
        asked(given.pop("out"), **given)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert not (tmp_path / "out.wav").exists()
