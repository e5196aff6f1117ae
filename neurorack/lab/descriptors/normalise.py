"""Normalisers: the four spectral descriptors from their physical units to [-1, 1] and back.

All are differentiable, have `forward`, `inverse` and `to_card`, and come back from a card's inputs by `from_card`.
"""

import numpy as np
import torch

from ...errors import ModelError
from .tables import CENTROID, REACH, SHARPNESS, SPECTRAL_NAMES

KNOTS = 33
GIVEN_STEPS = 17          # places of the centroid at which sharpness' usual value and spread are told


def _segment(values, sources, goals):
    """Piecewise-linear map through (sources, goals), going on with the end segments' slopes beyond."""
    index = (torch.searchsorted(sources, values.detach().contiguous()) - 1).clamp(0, sources.shape[0] - 2)
    x0, x1, y0, y1 = sources[index], sources[index + 1], goals[index], goals[index + 1]
    return y0 + (values - x0) * (y1 - y0) / (x1 - x0)


class QuantileMap:
    """Piecewise-linear map of a value to [-1, 1] such that its distribution becomes uniform; invertible, differentiable.

    knots: [channels, 33] increasing values at the quantiles 0, 1/32 … 1. Beyond the ends it goes on with the slope of
    the end segments, up to ±1.5.
    """

    def __init__(self, knots):
        self.knots = torch.as_tensor(knots, dtype=torch.float32).contiguous()
        self.targets = torch.linspace(-1, 1, self.knots.shape[1], device=self.knots.device)

    @classmethod
    def fit(cls, values, knots=KNOTS):
        """values: [n, channels], n ≥ knots."""
        table = np.quantile(np.asarray(values, np.float64), np.linspace(0.002, 0.998, knots), axis=0).T
        least = np.maximum(1e-6, 0.02 * (table[:, -1:] - table[:, :1]) / knots)
        for k in range(1, knots):     # strictly increasing: every slope stays finite
            table[:, k] = np.maximum(table[:, k], table[:, k - 1] + least[:, 0])
        return cls(table)

    def to(self, device):
        """The same map on another device."""
        return self if self.knots.device == torch.device(device) else QuantileMap(self.knots.to(device))

    def forward(self, values):
        """values [..., channels] in physical units → [-1.5, 1.5]."""
        return torch.stack([_segment(values[..., c], self.knots[c], self.targets)
                            for c in range(self.knots.shape[0])], -1).clamp(-REACH, REACH)

    def inverse(self, unit):
        """unit [..., channels] in [-1.5, 1.5] → physical units."""
        return torch.stack([_segment(unit[..., c], self.targets, self.knots[c])
                            for c in range(self.knots.shape[0])], -1)

    def to_card(self):
        """What a card's inputs say of it: {descriptor: {"knots": [physical values at even steps from -1 to 1]}}."""
        return {name: {"knots": _rounded(row)} for name, row in zip(SPECTRAL_NAMES, self.knots)}


class MinMax(QuantileMap):
    """A straight line from the least to the greatest value met, as the baselines C-RAVE and F-RAVE have it."""

    @classmethod
    def fit(cls, values, knots=2):
        """values: [n, channels]."""
        values = np.asarray(values, np.float64)
        low = values.min(0)
        return cls(np.stack((low, np.maximum(values.max(0), low + 1e-6)), 1))


class GivenCentroid(QuantileMap):
    """A quantile map whose sharpness is told apart from the centroid: by how much, in usual spreads, it is more than usual.

    In nature sharpness follows the centroid (rank correlation 0.95 to 0.98), so that a knob for each fights the other.
    Here sharpness s at normalised centroid u becomes (s - centre(u)) / spread(u), which the quantile map brings to
    [-1, 1]. centre, spread: [17] at even steps of u from -1 to 1; beyond, the end's values.
    """

    def __init__(self, knots, centre, spread):
        super().__init__(knots)
        like = {"dtype": torch.float32, "device": self.knots.device}
        self.centre, self.spread = torch.as_tensor(centre, **like), torch.as_tensor(spread, **like)

    @classmethod
    def fit(cls, values, knots=KNOTS):
        """values: [n, 4] in physical units. Centre and spread are the median and 1.48 median deviations near each step."""
        values = np.asarray(values, np.float64)
        plain = QuantileMap.fit(values, knots)
        unit = plain.forward(torch.as_tensor(values, dtype=torch.float32))[:, CENTROID].numpy()
        sharp, steps = values[:, SHARPNESS], np.linspace(-1, 1, GIVEN_STEPS)
        centre, spread = np.empty(GIVEN_STEPS), np.empty(GIVEN_STEPS)
        for k, step in enumerate(steps):
            near = np.argsort(np.abs(unit - step), kind="stable")[:max(8, len(unit) // GIVEN_STEPS)]
            centre[k] = np.median(sharp[near])
            spread[k] = 1.48 * np.median(np.abs(sharp[near] - centre[k]))
        spread = np.maximum(spread, max(1e-3, 0.1 * np.median(spread)))
        told = values.copy()
        told[:, SHARPNESS] = (sharp - np.interp(unit, steps, centre)) / np.interp(unit, steps, spread)
        return cls(QuantileMap.fit(told, knots).knots, centre, spread)

    def to(self, device):
        """The same map on another device."""
        return GivenCentroid(self.knots.to(device), self.centre.to(device), self.spread.to(device))

    def _usual(self, unit):
        """Centre and spread of sharpness at normalised centroids."""
        steps = torch.linspace(-1, 1, len(self.centre), device=unit.device)
        return _segment(unit.clamp(-1, 1), steps, self.centre), _segment(unit.clamp(-1, 1), steps, self.spread)

    def forward(self, values):
        """values [..., 4] in physical units → [-1.5, 1.5]."""
        plain = list(values.unbind(-1))
        unit = _segment(plain[CENTROID], self.knots[CENTROID], self.targets).clamp(-REACH, REACH)
        centre, spread = self._usual(unit)
        plain[SHARPNESS] = (plain[SHARPNESS] - centre) / spread
        return super().forward(torch.stack(plain, -1))

    def inverse(self, unit):
        """unit [..., 4] in [-1.5, 1.5] → physical units."""
        plain = list(super().inverse(unit).unbind(-1))
        centre, spread = self._usual(unit[..., CENTROID])
        plain[SHARPNESS] = centre + spread * plain[SHARPNESS]
        return torch.stack(plain, -1)

    def to_card(self):
        """As `QuantileMap.to_card`; sharpness has "given", "centre" and "spread" too, and its knots are in spreads."""
        card = super().to_card()
        card["sharpness"] |= {"given": "centroid", "centre": _rounded(self.centre), "spread": _rounded(self.spread)}
        return card


def _rounded(row):
    return [round(float(value), 5) for value in row]


def fit_normaliser(values, normalise="quantile", sharpness="plain"):
    """The normaliser of a recipe's settings, fitted to values [n, 4] in physical units.

    normalise: "quantile" or "min-max"; sharpness: "plain" or "given-centroid" (with quantiles only).
    """
    if normalise == "min-max":
        return MinMax.fit(values)
    return (GivenCentroid if sharpness == "given-centroid" else QuantileMap).fit(values)


def from_card(inputs):
    """The normaliser that a card's list of inputs tells of (its entries with the four names and their knots). ModelError without."""
    try:
        entries = {entry["name"]: entry for entry in inputs}
        knots = [entries[name]["knots"] for name in SPECTRAL_NAMES]
        sharp = entries["sharpness"]
        return GivenCentroid(knots, sharp["centre"], sharp["spread"]) if "given" in sharp else QuantileMap(knots)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(f"the card's inputs do not tell how {', '.join(SPECTRAL_NAMES)} are scaled ({error}); export the model again") from None
