"""Pitch, voicing and harmonicity of made tones, against what they were made of."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab.data import f0
from neurorack.lab.layout import C4_HERTZ

RATE, HOP = 48000, 64
INSIDE = slice(32, -32)          # frames whose window lies inside the tone


def tone(hertz, seconds=0.6, vibrato_cents=0.0, noise_db=None, seed=0):
    """(audio, its pitch at every hop's end in octaves above C4) of a tone with harmonics falling as 1/k."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    f = hertz * 2 ** (vibrato_cents / 1200 * np.sin(2 * np.pi * 5.5 * t))
    phase = 2 * np.pi * np.cumsum(f) / RATE
    audio = sum(np.sin(k * phase + 6 * rng.random()) / k for k in range(1, 31) if k * f.max() < 20000)
    audio = audio / np.sqrt(np.mean(audio ** 2))
    if noise_db is not None:
        audio = audio + rng.standard_normal(len(t)) * 10 ** (noise_db / 20)
    return (0.1 * audio).astype(np.float32), np.log2(f[HOP - 1::HOP] / C4_HERTZ)


@pytest.mark.parametrize("hertz", [55, 110, 261.6, 523, 1046, 1900])
@pytest.mark.parametrize("vibrato, noise_db, cents", [(0, None, 1), (50, None, 6), (50, -20, 6), (0, -6, 8)])
def test_pitch_is_right_to_some_cents_and_never_an_octave_off(hertz, vibrato, noise_db, cents):
    audio, truth = tone(hertz, vibrato_cents=vibrato, noise_db=noise_db)
    pitch, voiced = f0.track(audio)
    error = 1200 * np.abs(pitch - truth[:len(pitch)])[INSIDE]
    assert len(pitch) == len(audio) // HOP and pitch.dtype == np.float32
    assert voiced[INSIDE].mean() > 0.95
    assert np.quantile(error, 0.9) < cents and error.max() < 300


def test_a_known_note_is_found_in_as_much_noise_as_tone():
    audio, truth = tone(196, noise_db=0, vibrato_cents=30)
    pitch, _ = f0.track(audio, hint=np.log2(200 / C4_HERTZ))
    assert np.quantile(1200 * np.abs(pitch - truth[:len(pitch)])[INSIDE], 0.9) < 20


def test_noise_and_silence_are_unvoiced_and_have_finite_curves():
    noise = (0.1 * np.random.default_rng(1).standard_normal(RATE // 2)).astype(np.float32)
    for audio in (noise, np.zeros(RATE // 4, np.float32)):
        pitch, voiced = f0.track(audio)
        assert voiced.mean() < 0.05 and np.isfinite(pitch).all()
        assert (f0.harmonicity(audio, pitch) < -5).all()


def test_pitch_goes_straight_through_a_gap():
    low, _ = tone(200, 0.3)
    high, _ = tone(220, 0.3)
    pitch, voiced = f0.track(np.concatenate((low, np.zeros(RATE // 5, np.float32), high)))
    gap = slice(260, 340)
    assert voiced[40:180].all() and voiced[420:560].all() and not voiced[gap].any()
    assert np.abs(np.diff(pitch)).max() < 0.05 and np.log2(200 / C4_HERTZ) < pitch[300] < np.log2(220 / C4_HERTZ)


@pytest.mark.parametrize("hertz", [60, 130, 440, 1200])
@pytest.mark.parametrize("noise_db", [-20, -10, 0, 10])
def test_harmonicity_is_the_ratio_that_was_mixed(hertz, noise_db):
    audio, truth = tone(hertz, noise_db=noise_db)
    measured = f0.harmonicity(audio, truth[:len(audio) // HOP].astype(np.float32))
    assert abs(np.median(measured[INSIDE]) + noise_db) < 1.5


def test_the_share_of_pitched_sound_tells_tones_from_noise():
    rng = np.random.default_rng(2)
    noises = [(0.1 * rng.standard_normal(RATE // 2)).astype(np.float32) for _ in range(4)]
    tones = [tone(hertz, 0.5)[0] for hertz in (100, 220, 400, 700)]
    assert f0.pitched_share(noises) < 0.1 < 0.9 < f0.pitched_share(tones)
    assert 0.3 < f0.pitched_share(noises + tones) < 0.7
