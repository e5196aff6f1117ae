"""The four spectral descriptors of the last 1024 samples, once a hop."""

import numpy as np

from ..tables import BAND_FLOOR, BAND_POWER, BIN_FLOOR, RATE_HZ, SILENT_POWER, WINDOW, band_weights, bark_bands
from .level import windows

SIDE = 32                  # 1024 = 32 · 32: a transform of transforms costs a tenth of a matrix product
HALF = SIDE // 2 + 1


def bins():
    """Which bin each place of `powers` holds, [544], and which places count: not 0 Hz, and no bin twice."""
    number = (np.arange(HALF)[:, None] + SIDE * np.arange(SIDE)[None]).reshape(-1)
    number = np.minimum(number, WINDOW - number)
    first = np.zeros(len(number), bool)
    first[np.unique(number, return_index=True)[1]] = True
    return number, first & (number > 0)


def powers(b, audio):
    """Power spectra [rows, 544] of each hop's last 1024 samples under a Hann window; `bins` tells their order.

    Cooley and Tukey (1965): with n = 32 n1 + n2 and k = k1 + 32 k2 the transform over n1, a turn by n2·k1 / 1024, and the
    transform over n2. As the sound is real, k1 = 0 to 16 is enough.
    """
    frames = windows(b, audio, WINDOW)
    rows = frames.rows
    view = frames.reshape(rows, SIDE, SIDE).transposed(0, 2, 1)                           # [rows, n2, n1]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).reshape(SIDE, SIDE).T
    sound = b.binary("mul", view, hann[None]).reshape(rows * SIDE, SIDE)
    turn = 2 * np.pi * np.outer(np.arange(SIDE), np.arange(HALF))
    inner = b.matmul(sound, np.concatenate((np.cos(turn / SIDE), -np.sin(turn / SIDE)), 1)).reshape(rows, SIDE, 2 * HALF)
    real, imaginary = (inner[:, :, part].transposed(0, 2, 1) for part in (slice(HALF), slice(HALF, 2 * HALF)))
    c, s = np.cos(turn.T / WINDOW)[None], np.sin(turn.T / WINDOW)[None]                   # [1, k1, n2]
    turned = b.new(rows, HALF, 2 * SIDE)
    for part, (one, other) in enumerate(((c, s), (-s, c))):
        b.call("ternary", [real, b.value(one), b.binary("mul", imaginary, other)],
               [turned[:, :, part * SIDE:(part + 1) * SIDE]], fn="multiply_add")
    turn = 2 * np.pi * np.outer(np.arange(SIDE), np.arange(SIDE)) / SIDE
    outer = np.block([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    spectrum = b.unary("square", b.matmul(turned.reshape(rows * HALF, 2 * SIDE), outer))
    return (spectrum[:, :SIDE] + spectrum[:, SIDE:]).reshape(rows, HALF * SIDE)


def spectral(b, power):
    """Centroid and bandwidth (log2 Hz), sharpness and booming of what `powers` gives, in physical units: [rows, 4]."""
    number, counts = bins()
    power = b.binary("mul", power, counts[None].astype(float))
    total = b.sum(power)
    floor = b.affine(total, BIN_FLOOR / (WINDOW // 2 + 1), SILENT_POWER)
    power = b.binary("mul", power + floor, counts[None].astype(float))
    hertz = number * (RATE_HZ / WINDOW)
    magnitude = b.unary("sqrt", power)
    weight = b.sum(magnitude)
    centroid = b.matmul(magnitude, hertz[:, None]) / weight
    away = b.unary("square", b.binary("sub", hertz[None], centroid))
    spread = b.sum(magnitude * away) / weight
    bands, centres = bark_bands()
    sharp, boom = band_weights(centres)
    excitation = b.matmul(power, bands[number] * counts[:, None]) + b.affine(b.sum(power), BAND_FLOOR)
    specific = b.exp(b.affine(b.log(excitation), BAND_POWER))
    sums = b.matmul(specific, np.stack((sharp, boom, np.ones(len(boom))), 1))
    octaves = b.affine(b.log(b.concat([_least(b, centroid), b.unary("sqrt", _least(b, spread))])), 1 / np.log(2))
    return b.concat([octaves, sums[:, :2] / sums[:, 2:]])


def _least(b, x):
    return b.binary("max", x, 1.0)
