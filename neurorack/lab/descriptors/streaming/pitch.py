"""Pitch and harmonicity of a sound as it comes in.

The normalised autocorrelation of McLeod and Wyvill ("A smarter way to find pitch", ICMC 2005) at 12 kHz over the last
32 ms, from sums over hops that are kept; its first high peak, found between samples by sinc interpolation, is the
period. What repeats after a period is harmonic, the rest is not (Boersma, "Accurate short-term analysis of the fundamental
frequency and the harmonics-to-noise ratio", 1993).
"""

from dataclasses import replace

import numpy as np

from ...layout import C4_HERTZ, HARMONICITY_DB_PER_UNIT, HARMONICITY_ZERO_DB, PITCH_LIMITS_OCTAVES
from ..tables import HOP, RATE_HZ
from .level import SLOW_TAPS, SLOWED, moving_mean

RATE = RATE_HZ / SLOWED
PER_HOP = HOP // SLOWED
LAGS = 304                 # 12 kHz / 300: 40 Hz
LEAST_LAG = 4              # 3 kHz
WINDOW_HOPS = 24
NEAR_BEST = 0.88           # the first peak at least so high, against the highest, is the period's
VOICED = 0.5               # a correlation below this, 0 dB of harmonicity, is no pitch
AROUND, FINER = 8, 16      # samples to either side of a peak that its interpolation takes; places between two samples
LOWEST, HIGHEST = 0.0099, 0.9990    # -20 dB and 30 dB
QUIETEST = 1e-8            # mean square of what is searched for a pitch
DELAY = WINDOW_HOPS * HOP // 2 + SLOW_TAPS // 2


def _lagged(values, past_rows):
    """View [rows, 16, lags] of [rows, 16] kept for `past_rows` rows: for each sample those up to 303 before it, oldest first."""
    long = values.past(past_rows)
    start = replace(long, offset=long.offset + past_rows * PER_HOP - (LAGS - 1))
    return replace(start, shape=(values.rows, PER_HOP, LAGS), strides=(PER_HOP, 1, 1))


def _windowed(b, values):
    """Sums over the last 24 rows of [rows, lags]."""
    long = values.past(WINDOW_HOPS - 1)
    rows, width = values.shape
    return b.reduce("add", replace(long, shape=(rows, WINDOW_HOPS, width), strides=(width, width, 1)), axis=1)[:, 0]


def correlation(b, slow):
    """Normalised autocorrelation [rows, 304] at lags 0 to 303 of the signal [rows, 16] at 12 kHz; 0 in silence."""
    past_rows = -(-(LAGS - 1) // PER_HOP)
    sound = slow - moving_mean(b, b.mean(slow), 2 * PER_HOP)
    products = b.matmul(sound[:, None, :], _lagged(sound, past_rows)).reshape(slow.rows, LAGS)
    squares = b.reduce("add", _lagged(b.unary("square", sound), past_rows), axis=1).reshape(slow.rows, LAGS)
    products, squares = _windowed(b, products), _windowed(b, squares)
    whole = b.affine(squares + squares[:, LAGS - 1:], 0.5, QUIETEST * WINDOW_HOPS * PER_HOP)
    return (products / whole)[:, ::-1]


def first_high_peak(b, correlated):
    """Lag of the first peak beyond the first dip below zero that is nearly as high as the highest, [rows, 1].

    How high a peak is between the samples is told by the parabola through its three: a short period falls between them.
    """
    fell = b.scan("add", b.binary("lt", correlated, 0.0), axis=1)[:, LEAST_LAG:-1]
    left, middle, right = correlated[:, LEAST_LAG - 1:-2], correlated[:, LEAST_LAG:-1], correlated[:, LEAST_LAG + 1:]
    peak = b.binary("and", b.binary("ge", middle, left), b.binary("gt", middle, right))
    bend = b.binary("max", b.affine(middle, 2.0) - (left + right), 1e-6)
    height = middle + b.affine(b.unary("square", left - right), 1 / 8) / bend
    score = b.binary("mul", b.binary("max", b.binary("min", height, 1.0), 0.0), b.binary("and", peak, b.binary("gt", fell, 0.0)))
    enough = b.affine(b.reduce("max", score), NEAR_BEST, 1e-6)
    return b.affine(b.arg("max", b.binary("ge", score, enough)), 1.0, LEAST_LAG)[:, None]


def _sinc():
    """Matrix [16, 35] from the samples -7 … 8 around a place to the values at -17/16 … 17/16 of a sample from it."""
    at = np.arange(-FINER - 1, FINER + 2) / FINER
    away = at[None] - np.arange(1 - AROUND, AROUND + 1)[:, None]
    kernel = np.sinc(away) * np.cos(np.pi * np.clip(away / (AROUND + 1.5), -1, 1) / 2) ** 2
    return kernel / kernel.sum(0)


def _picked(b, table, index, count):
    """table[r, index[r] … + count - 1] for each row, [rows, count]; index [rows, 1]."""
    rows, width = table.shape
    places = index + (np.arange(rows)[:, None] * width + np.arange(count)[None])
    return b.gather(table.reshape(rows * width, 1), places.reshape(rows * count)).reshape(rows, count)


def between(b, correlated, lag):
    """The peak's true lag and height near the whole lag [rows, 1], each [rows, 1]."""
    mirrored = b.concat([correlated[:, AROUND:0:-1], correlated, b.constant(np.zeros((1, AROUND))).expand(correlated.rows, AROUND)])
    fine = b.matmul(_picked(b, mirrored, b.affine(lag, 1.0, 1), 2 * AROUND), _sinc())
    top = b.arg("max", fine[:, 1:-1])[:, None]
    three = _picked(b, b.copy(fine), top, 3)
    left, middle, right = (three[:, k:k + 1] for k in range(3))
    bent = b.binary("min", left - b.affine(middle, 2.0) + right, -1e-9)
    step = b.clamp(b.affine((left - right) / bent, 0.5), -0.5, 0.5)
    return lag + b.affine(top + step, 1 / FINER, -1.0), b.binary("max", middle, three[:, :1])


def pitched(b, slow):
    """Harmonicity (-1 to 1), pitch (octaves above C4) and whether there is one, each [rows, 1], of [rows, 16] at 12 kHz."""
    correlated = correlation(b, slow)
    lag, height = between(b, correlated, first_high_peak(b, correlated))
    pitch = b.affine(b.log(b.binary("max", lag, 1.0)), -1 / np.log(2), np.log2(RATE / C4_HERTZ))
    share = b.clamp(height, LOWEST, HIGHEST)
    level = b.affine(b.log(share / b.affine(share, -1.0, 1.0)), 10 / np.log(10) / HARMONICITY_DB_PER_UNIT,
                     -HARMONICITY_ZERO_DB / HARMONICITY_DB_PER_UNIT)
    return b.clamp(level, -1.0, 1.0), b.clamp(pitch, *PITCH_LIMITS_OCTAVES), b.binary("gt", height, VOICED)
