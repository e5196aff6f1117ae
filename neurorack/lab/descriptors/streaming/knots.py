"""A normaliser in the engine's operations."""

import numpy as np

from ..tables import CENTROID, REACH, SHARPNESS, SPECTRAL_NAMES


def normalised(b, values, card):
    """values [rows, 4] in physical units -> [-1.5, 1.5]; card: what the normaliser's `to_card` gives."""
    sharp = card["sharpness"]
    if "given" in sharp:
        centroid = through_knots(b, values[:, CENTROID:CENTROID + 1], [card["centroid"]["knots"]])
        usual = [line(b, centroid, sharp[key]) for key in ("centre", "spread")]
        told = (values[:, SHARPNESS:SHARPNESS + 1] - usual[0]) / usual[1]
        values = b.concat([values[:, :SHARPNESS], told, values[:, SHARPNESS + 1:]])
    return through_knots(b, values, [card[name]["knots"] for name in SPECTRAL_NAMES])


def through_knots(b, values, knots):
    """Piecewise-linear maps of the columns, column c through knots[c] at even steps from -1 to 1, ends going on to ±1.5."""
    knots = np.asarray(knots, np.float64)
    steps = knots.shape[1] - 1
    low, per_unit = knots[:, :-1], 1 / np.diff(knots, axis=1)
    places = (values[:, :, None] - low[None]) * per_unit[None]                     # [rows, columns, steps]
    within = b.reduce("add", b.clamp(places, 0.0, 1.0), axis=2)
    below = b.clamp(places[:, :, :1], -steps, 0.0)
    above = b.clamp(b.affine(places[:, :, -1:], 1.0, -1.0), 0.0, steps)
    total = b.affine(within + below + above, 2 / steps, -1.0)
    return b.clamp(total[:, :, 0], -REACH, REACH)


def line(b, unit, heights):
    """A piecewise-linear function of unit [rows, 1], its heights at even steps from -1 to 1, its ends' beyond. [rows, 1]."""
    heights = np.asarray(heights, np.float64)
    steps = len(heights) - 1
    places = b.clamp(b.affine(unit, steps / 2, steps / 2) - np.arange(steps)[None], 0.0, 1.0)
    return b.matmul(places, np.diff(heights)[:, None]) + heights[:1][None]
