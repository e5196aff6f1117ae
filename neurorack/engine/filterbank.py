"""Pseudo-QMF banks: splitting a signal in equal bands at a fraction of its rate, and putting it together again."""

from __future__ import annotations

import numpy as np


def _prototype(taps: int, cutoff: float, beta: float) -> np.ndarray:
    n = np.arange(taps) - (taps - 1) / 2
    return cutoff * np.sinc(cutoff * n) * np.kaiser(taps, beta)


def _unevenness(h: np.ndarray, bands: int) -> float:
    """How far |H(f)|^2 shifted by each band's width is from a constant sum: its autocorrelation at multiples of 2 bands."""
    spectrum = np.abs(np.fft.rfft(h, 4 * len(h))) ** 2
    correlation = np.fft.irfft(spectrum)[: len(h)]
    return float(np.abs(correlation[2 * bands :: 2 * bands]).max() / correlation[0])


def pqmf_bank(bands: int, attenuation_db: float = 100.0, taps: int | None = None) -> np.ndarray:
    """A cosine-modulated bank, float32 [bands, taps], near perfect reconstruction.

    Nguyen, "Near-perfect-reconstruction pseudo-QMF banks" (1994), with a Kaiser prototype whose cutoff is searched for the flattest sum
    (Lin and Vaidyanathan, 1998). Without ``taps`` Kaiser's estimate is used, rounded up to a multiple of 2 bands, plus 1. Analysis is
    convolution with a row; synthesis with the rows reversed; together they delay by taps - 1 samples.
    """
    width = np.pi / bands
    if taps is None:
        estimate = (attenuation_db - 7.95) / (2.285 * width)
        taps = int(-(-estimate // (2 * bands)) * 2 * bands) + 1
    beta = (
        0.1102 * (attenuation_db - 8.7)
        if attenuation_db > 50
        else 0.5842 * (attenuation_db - 21) ** 0.4 + 0.07886 * (attenuation_db - 21)
    )
    low, high, golden = 0.5 / bands, 1.0 / bands, (np.sqrt(5) - 1) / 2
    for _ in range(60):
        a, b = high - golden * (high - low), low + golden * (high - low)
        if _unevenness(_prototype(taps, a, beta), bands) < _unevenness(_prototype(taps, b, beta), bands):
            high = b
        else:
            low = a
    h = _prototype(taps, (low + high) / 2, beta)
    h /= np.sqrt((h**2).sum() * 2 * bands)  # unit gain through analysis and synthesis
    k, n = np.arange(bands)[:, None], np.arange(taps)[None]
    phase = (2 * k + 1) * np.pi / (2 * bands) * (n - (taps - 1) / 2) + (-1.0) ** k * np.pi / 4
    return (2 * h * np.cos(phase)).astype(np.float32)


def analysis_weights(bank: np.ndarray) -> np.ndarray:
    """``Conv1d`` weights [bands, 1, taps] (torch's correlation) for use with a stride of ``bands``."""
    return np.ascontiguousarray(bank[:, None, ::-1])


def synthesis_weights(bank: np.ndarray) -> np.ndarray:
    """``ConvTranspose1d`` weights [bands, 1, taps] for use with a stride of ``bands``; the gain of the missing samples is in them."""
    return np.ascontiguousarray(bank[:, None, ::-1] * len(bank))
