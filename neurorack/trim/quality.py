"""How far one sound is from another, in dB, and how far the next one will be.

The distance is that of levels in bands a third of an octave wide, over frames of several lengths: 1 dB is about the smallest change
of level that is heard (Zwicker and Fastl, 2007), and an average spectral distance of 1 dB is taken as inaudible in speech coding
(Paliwal and Atal, 1993). Bands 60 dB below the loudest of the sound do not count.

The bound needs no assumption about the distribution (Wilks, 1941): the worst of 59 independent stretches is, with 95 % confidence, above
what 95 % of all stretches have. It holds for sounds driven as the measured ones were, and for no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..voice.loudness import lufs

WINDOWS = (4096, 1024, 256)       # frames at 48 kHz
FLOOR_DB = 60.0
LOWEST_HZ = 50.0
BANDS_AN_OCTAVE = 3
BOUND_SHARE, BOUND_CONFIDENCE = 0.95, 0.95
BOUND_STRETCHES = 59              # the least n with 1 - 0.95**n >= 0.95
MOST_DB = 120.0


@dataclass(frozen=True)
class Quality:
    """``distance_db``: mean over all; ``bound_db``: 95 % of such stretches are nearer than this, with 95 % confidence (None with fewer
    than 59 of them); ``snr_db``: of the samples themselves, at most 120; ``loudness_db``: how much louder the other one is."""

    distance_db: float
    bound_db: float | None
    snr_db: float
    loudness_db: float

    def to_json(self) -> dict:
        return {key: None if value is None else round(value, 3) for key, value in vars(self).items()}


@lru_cache(maxsize=16)
def _bands(window: int, rate_hz: int) -> np.ndarray:
    """Which bins belong to which band, float64 [bins, bands]; every band has at least one bin."""
    top = rate_hz / 2
    edges = LOWEST_HZ * 2.0 ** (np.arange(int(np.log2(top / LOWEST_HZ) * BANDS_AN_OCTAVE) + 2) / BANDS_AN_OCTAVE)
    band = np.searchsorted(edges, np.fft.rfftfreq(window, 1 / rate_hz), side="right")
    kept = np.unique(band[1:])
    return (band[:, None] == kept).astype(float)


def _levels(sound: np.ndarray, window: int, rate_hz: int) -> np.ndarray:
    """Power of the bands, [frames, bands], of a sound [samples]."""
    hop = window // 2
    count = max(1, (len(sound) - window) // hop + 1)
    sound = np.pad(sound, (0, max(0, window - len(sound))))
    frames = np.lib.stride_tricks.as_strided(sound, (count, window), (hop * sound.strides[0], sound.strides[0]))
    shape = np.hanning(window + 1)[:window]
    return (np.abs(np.fft.rfft(frames * shape, axis=1)) ** 2) @ _bands(window, rate_hz) / (shape**2).sum()


def distances(reference: np.ndarray, other: np.ndarray, rate_hz: int, stretches: int) -> np.ndarray:
    """Distance in dB of each of ``stretches`` equal pieces; sounds [samples, channels]. NaN where both are silent."""
    found = np.zeros(stretches)
    for window in WINDOWS:
        window = 1 << round(np.log2(max(64, window * rate_hz / 48000)))
        of_window = np.zeros(stretches)
        for channel in range(reference.shape[1]):
            a, b = (x[: len(x) // stretches * stretches, channel].astype(float).reshape(stretches, -1) for x in (reference, other))
            powers = [[_levels(piece, window, rate_hz) for piece in x] for x in (a, b)]
            floor = max(piece.max() for piece in powers[0]) * 10 ** (-FLOOR_DB / 10) + 1e-20
            of_window += [_frames_apart(one, two, floor) for one, two in zip(*powers)]
        found += of_window / reference.shape[1]
    return found / len(WINDOWS)


def _frames_apart(one: np.ndarray, two: np.ndarray, floor: float) -> float:
    """The mean, over frames in which something is heard, of the root mean square difference of levels."""
    heard = (one > floor) | (two > floor)
    there = heard.any(1)
    if not there.any():
        return np.nan
    moved = 10 * np.log10((one[there] + floor) / (two[there] + floor))
    return float(np.sqrt((moved**2 * heard[there]).sum(1) / heard[there].sum(1)).mean())


def compare(reference: np.ndarray, other: np.ndarray, rate_hz: int, stretches: int) -> Quality:
    """``other`` beside ``reference``, both [samples, channels], of ``stretches`` equal parts each driven by itself."""
    if not np.isfinite(other).all():
        return Quality(np.inf, None, -np.inf, np.inf)
    each = distances(reference, other, rate_hz, stretches)
    error, power = float(((reference - other).astype(float) ** 2).sum()), float((reference.astype(float) ** 2).sum())
    snr = MOST_DB if error == 0 else min(MOST_DB, 10 * np.log10(max(power, 1e-30) / error))
    loud = [lufs(x, rate_hz) for x in (reference, other)]
    moved = 0.0 if None in loud else loud[1] - loud[0]
    each = each[np.isfinite(each)]
    mean, most = (float(each.mean()), float(each.max())) if len(each) else (0.0, 0.0)
    return Quality(mean, most if len(each) >= BOUND_STRETCHES else None, float(snr), float(moved))
