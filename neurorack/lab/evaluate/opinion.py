"""A second opinion on the five descriptors, by code that shares nothing with training's: numpy, 2048-sample windows, hertz and sones.

Loudness is the window's mean square; centroid and bandwidth are magnitude-weighted in hertz. Sharpness and booming come
from specific loudness after Zwicker and Fastl, "Psychoacoustics" (2007): Bark by their formula (6.1), excitation spread by
27 dB a Bark downwards and 10 upwards, threshold in quiet by Terhardt's formula, N' by (8.7), full scale taken as 100 dB.
Sharpness is DIN 45692's in acum; booming is the share of loudness below 280 Hz, where the booming of rooms and cars is looked for.
It is no certified loudness meter: it is there so that a model is not judged by the code that trained it alone.
"""

import numpy as np

from ..descriptors import HOP, NAMES, RATE_HZ
from .statistics import rounded, spearman

SIZE, STEP = 2048, 512
FULL_SCALE_DB, BOOM_HZ = 100.0, 280.0
BANDS_PER_BARK = 2


def zwicker_bark(hertz):
    """Critical-band rate in Bark by Zwicker and Terhardt's formula."""
    hertz = np.asarray(hertz, np.float64)
    return 13 * np.arctan(0.00076 * hertz) + 3.5 * np.arctan((hertz / 7500) ** 2)


def _bands():
    """(matrix from bins to spread excitation, excitation of the threshold in quiet, centres in Bark, Bark of 280 Hz)."""
    hertz = np.fft.rfftfreq(SIZE, 1 / RATE_HZ)
    z = zwicker_bark(hertz)
    centres = (np.arange(24 * BANDS_PER_BARK) + 0.5) / BANDS_PER_BARK
    apart = centres[None] - z[:, None]                       # how far a band lies above a bin
    spread = 10 ** (np.where(apart < 0, 27 * apart, -10 * apart) / 10)
    spread[0] = 0
    khz = np.interp(centres, z, hertz) / 1000
    quiet = 3.64 * khz ** -0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz ** 4
    return spread, 10 ** (np.minimum(quiet, 90.0) / 10), centres, float(zwicker_bark(BOOM_HZ))


def specific_loudness(power):
    """Specific loudness in sone per Bark, [n, 48] at even steps of half a Bark, of power spectra [n, 1025] (full scale sine: 0.5 in sum)."""
    spread, quiet, *_ = _bands()
    excitation = power @ spread * 10 ** (FULL_SCALE_DB / 10)
    return np.maximum(0.08 * quiet ** 0.23 * ((0.5 + 0.5 * excitation / quiet) ** 0.23 - 1), 0)


def judge(sound, centres):
    """The five descriptors of a sound [samples] in windows around `centres`: float64 [windows, 5]: mean square, Hz, Hz, acum, share."""
    hertz = np.fft.rfftfreq(SIZE, 1 / RATE_HZ)
    pieces = np.stack([sound[at - SIZE // 2:at + SIZE // 2] for at in centres]).astype(np.float64)
    window = np.hanning(SIZE)
    magnitude = np.abs(np.fft.rfft(pieces * window)) + 1e-12
    share = magnitude / magnitude.sum(1, keepdims=True)
    centroid = share @ hertz
    spread = np.sqrt((((hertz - centroid[:, None]) ** 2) * share).sum(1))
    sones = specific_loudness(2 * magnitude ** 2 / (SIZE * (window ** 2).sum()))
    *_, z, edge = _bands()
    weight = np.where(z < 15.8, 1.0, 0.15 * np.exp(0.42 * (z - 15.8)) + 0.85)
    whole = sones.sum(1) + 1e-9
    return np.stack(((pieces ** 2).mean(1), centroid, spread, 0.11 * (sones * weight * z).sum(1) / whole, sones[:, z < edge].sum(1) / whole), 1)


def second_opinion(asked, audio, quiet=-0.8):
    """Spearman of the five descriptors with what was asked, by this code.

    asked: [n, frames, 5] normalised, one per 64 samples; audio: [n, samples]; numpy arrays. Frames asked to be quieter than `quiet`
    count for loudness only. Returns {name: rho}.
    """
    centres = np.arange(SIZE // 2, audio.shape[1] - SIZE // 2, STEP)
    got = np.concatenate([judge(sound, centres) for sound in audio])
    want = np.concatenate([each[centres // HOP - 1] for each in asked])
    heard = want[:, 0] > quiet
    part = lambda table, d: table[heard if d else slice(None), d]
    return {name: rounded(spearman(part(got, d), part(want, d))) for d, name in enumerate(NAMES)}
