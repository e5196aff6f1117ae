"""What a steady sound is like, in four numbers and a spectrum: plain measures for naming a model's knobs. numpy only.

Brightness is the spectral centroid and noisiness the spectral flatness (Peeters et al., "The Timbre Toolbox", JASA 2011), both of
the mean power spectrum. Pitch is the first strong peak of the normalised square difference function (McLeod and Wyvill,
"A smarter way to find pitch", ICMC 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WINDOW = 2048
SILENT_DB = -70.0
LOWEST_HZ, HIGHEST_HZ = 40.0, 16000.0
BANDS = 32
PITCH_HZ = (50.0, 2000.0)
TONAL = 0.8               # of the difference function's peak: above, there is a pitch
FLOOR_DB = -80.0          # of a band


@dataclass(frozen=True)
class Sound:
    """``loudness`` dB (mean square from 40 Hz up, full scale 1), ``brightness`` log2 Hz, ``noisiness`` dB (0 = white), ``pitch``
    log2 Hz; NaN where there is none. ``bands``: dB in each of 32 bands, evenly spaced in pitch. ``peak``: largest magnitude."""

    loudness: float
    brightness: float
    noisiness: float
    pitch: float
    bands: np.ndarray
    peak: float


def measure(audio: np.ndarray, sample_rate_hz: int) -> Sound | None:
    """Of float [frames, channels], at least 2048 frames, by the power of all channels; None where a number is not finite."""
    audio = np.asarray(audio, np.float64)
    if not np.isfinite(audio).all():
        return None
    audio = audio - audio.mean(axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(audio, WINDOW, axis=0)[:: WINDOW // 2]     # [windows, channels, WINDOW]
    power = (np.abs(np.fft.rfft(windows * np.hanning(WINDOW))) ** 2).mean(axis=(0, 1)) / (WINDOW * WINDOW / 4)
    hertz = np.fft.rfftfreq(WINDOW, 1 / sample_rate_hz)
    loudness = 10 * np.log10(power[hertz >= LOWEST_HZ].sum() * 4 / 3 + 1e-20)      # the window's own power is 3/8
    heard = (hertz >= LOWEST_HZ) & (hertz <= min(HIGHEST_HZ, 0.45 * sample_rate_hz))
    power, hertz = power[heard], hertz[heard]
    edges = np.geomspace(hertz[0], hertz[-1] + 1, BANDS + 1)
    band = np.clip(np.searchsorted(edges, hertz, side="right") - 1, 0, BANDS - 1)
    bands = 10 * np.log10(np.bincount(band, power, BANDS) + 10 ** (FLOOR_DB / 10))
    peak = float(np.abs(audio).max())
    if loudness < SILENT_DB:
        return Sound(max(loudness, SILENT_DB), np.nan, np.nan, np.nan, bands, peak)
    centroid = (power * hertz).sum() / power.sum()        # by power: a little noise under a tone does not make it bright
    floored = power + 1e-5 * power.mean()
    flatness = 10 * (np.log10(floored).mean() - np.log10(floored.mean()))
    return Sound(float(loudness), float(np.log2(centroid)), float(flatness), pitch(audio, sample_rate_hz), bands, peak)


def pitch(audio: np.ndarray, sample_rate_hz: int) -> float:
    """log2 Hz of the loudest channel of a steady sound; NaN where it has none. The median over its windows."""
    channel = audio[:, np.argmax((audio**2).sum(axis=0))]
    longest = int(sample_rate_hz / PITCH_HZ[0])
    size = min(len(channel), 4 * longest)
    found = [_window_pitch(channel[at: at + size], longest, sample_rate_hz) for at in range(0, len(channel) - size + 1, max(1, size // 2))]
    tonal = [p for p in found if np.isfinite(p)]
    return float(np.median(tonal)) if 2 * len(tonal) > len(found) else np.nan


def _window_pitch(x: np.ndarray, longest: int, sample_rate_hz: int) -> float:
    spectrum = np.fft.rfft(x, 2 * len(x))
    same = np.fft.irfft(np.abs(spectrum) ** 2)[: longest + 2]
    squares = np.concatenate([[0.0], np.cumsum(x**2)])
    lags = np.arange(len(same))
    power = squares[len(x) - lags] + squares[-1] - squares[lags]
    close = 2 * same / (power + 1e-20)                                    # 1: repeats itself exactly after this lag
    first = int(sample_rate_hz / PITCH_HZ[1])
    below = np.flatnonzero(close < 0)
    if not len(below):
        return np.nan
    first = max(first, below[0])
    middle = close[first:-1]
    peaks = first + np.flatnonzero((middle >= close[first - 1:-2]) & (middle > close[first + 1:]))
    peaks = peaks[close[peaks] > TONAL]
    if not len(peaks):
        return np.nan
    lag = peaks[np.argmax(close[peaks] >= 0.93 * close[peaks].max())]
    a, b, c = close[lag - 1: lag + 2]
    bend = a - 2 * b + c
    return float(np.log2(sample_rate_hz / (lag + (0.5 * (a - c) / bend if bend else 0.0))))


def difference_db(a: Sound, b: Sound) -> float:
    """How far two sounds are apart: RMS over the bands of their levels' differences, each band no deeper than 60 dB below
    the strongest of both."""
    floor = max(a.bands.max(), b.bands.max()) - 60
    return float(np.sqrt(((np.maximum(a.bands, floor) - np.maximum(b.bands, floor)) ** 2).mean()))
