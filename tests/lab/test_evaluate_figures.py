"""The numbers behind the figures: correlations, intervals, leakage, spectra, attacks, lines, the second opinion."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from scipy.signal import butter, sosfilt
from scipy.stats import pearsonr, spearmanr

from neurorack.lab.descriptors import NAMES
from neurorack.lab.evaluate import opinion, quality, statistics
from tests.lab.test_descriptors import noise_hit


def test_correlations_are_those_of_scipy_and_quiet_frames_count_for_loudness_only():
    rng = np.random.default_rng(1)
    asked = rng.uniform(-1, 1, (30, 20, 5))
    got = asked + 0.3 * rng.standard_normal(asked.shape)
    figures = statistics.Followed(asked, got, np.arange(30) % 6, NAMES).figures()
    heard = asked[..., 0] > -0.8
    wanted = [spearmanr(asked[..., d][heard if d else ...], got[..., d][heard if d else ...], axis=None)[0] for d in range(5)]
    np.testing.assert_allclose([figures[name] for name in NAMES], wanted, atol=6e-4)
    linear = np.mean([pearsonr(asked[..., d][heard if d else ...].ravel(), got[..., d][heard if d else ...].ravel())[0] for d in range(5)])
    assert abs(figures["pearson"] - linear) < 6e-4
    low, high = figures["interval"]["spearman"]
    assert low < figures["spearman"] < high


def test_clips_that_disagree_widen_the_interval():
    rng = np.random.default_rng(2)
    asked, noise = rng.uniform(-1, 1, (40, 50, 1)), rng.standard_normal((40, 50, 1))
    clip = np.arange(40) % 8
    width = {}
    for name, spread in (("alike", np.full(8, 0.5)), ("unlike", np.where(np.arange(8) < 4, 0.02, 3.0))):
        low, high = statistics.Followed(asked, asked + spread[clip][:, None, None] * noise, clip, ["loudness"]).figures()["interval"]["spearman"]
        width[name] = high - low
    assert width["unlike"] > 3 * width["alike"]


def test_leakage_shows_which_knob_disturbs_which_descriptor():
    asked = np.random.default_rng(3).uniform(-0.7, 1, (50, 40, 5))
    got = asked.copy()
    got[..., 3] += 0.5 * asked[..., 1]
    got[..., 2] -= 0.2 * asked[..., 4]
    got += 1e-3 * np.random.default_rng(4).standard_normal(asked.shape)
    leak = statistics.Followed(asked, got, np.zeros(50, int), NAMES).leakage()
    matrix = np.array(leak["matrix"])
    assert matrix[1, 3] > 0.99 and matrix[4, 2] < -0.99
    aside = ~np.eye(5, dtype=bool)
    aside[1, 3] = aside[4, 2] = False
    assert np.abs(matrix[aside]).max() < 0.15 and abs(leak["mean"] - np.abs(matrix[~np.eye(5, dtype=bool)]).mean()) < 1e-3


def test_log_mel_error_knows_sameness_level_and_silence():
    sound = torch.from_numpy(np.stack([noise_hit(k, 24000, 0.2, 0.0) for k in range(3)]).astype(np.float32))
    assert quality.log_mel_error_db(sound, sound) == (0.0, 0.0)
    assert 5.5 < quality.log_mel_error_db(2 * sound, sound)[1] < 6.1
    assert quality.log_mel_error_db(0 * sound, sound)[1] > 20
    sine = torch.from_numpy(np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000).astype(np.float32))[None]
    assert abs(float(quality.log_mel(sine)[0, 20:60].max())) < 2      # full scale is 0 dB


@pytest.mark.parametrize("milliseconds", [5, 40])
def test_rise_times_are_found(milliseconds):
    ramp = np.clip(np.arange(24000) / (milliseconds * 48), 0, 1) * np.sin(2 * np.pi * 2000 * np.arange(24000) / 48000)
    assert abs(quality.rise_ms(ramp[None]) - 0.8 * milliseconds) < 1


def test_buzz_is_a_line_at_the_frame_rate():
    noise = np.random.default_rng(7).standard_normal(144000)
    comb = noise * (1 + 0.3 * np.sin(2 * np.pi * 750 * np.arange(144000) / 48000))
    assert quality.buzz_db(noise, 64) < 8 and quality.buzz_db(comb, 64) > 20
    seconds = np.arange(144000) / 48000
    beating = np.sin(2 * np.pi * 164.25 * seconds) + np.sin(2 * np.pi * 587.33 * seconds) + 0.1 * noise      # sum: 751.6 Hz, not 750
    assert quality.buzz_db(beating, 64) < 12
    slow = noise * (1 + 0.3 * np.sin(2 * np.pi * 48000 / 2048 * np.arange(144000) / 48000))
    assert quality.buzz_db(noise, 2048) < 12 and quality.buzz_db(slow, 2048) > 20


def test_the_second_opinion_knows_acum_and_sone():
    """By definition noise of a critical band at 1 kHz and 60 dB has 1 acum; a tone 10 dB louder has twice the sones."""
    noise = sosfilt(butter(4, (920, 1080), "band", fs=48000, output="sos"), np.random.default_rng(0).standard_normal(48000))
    found = opinion.judge(noise * 10 ** (-40 / 20) / noise.std(), np.arange(8000, 40000, 2048)).mean(0)
    assert 0.85 < found[3] < 1.15 and 990 < found[1] < 1020
    power = np.zeros((3, 1025))
    power[:, 43] = 10.0 ** np.array([-6, -5, -4])
    sones = opinion.specific_loudness(power).sum(1)
    np.testing.assert_allclose(sones[1:] / sones[:-1], 2, rtol=0.2)
