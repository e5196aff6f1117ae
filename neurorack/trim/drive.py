"""Inputs made up for a model: what hands, cables and encoders may send it, so that its layers show what they do without any recording.

Each stretch is one kind of movement; the kinds come in turns. Two seeds share nothing: what is measured with one was not fitted with
the other.
"""

from __future__ import annotations

import numpy as np

from ..engine import Model
from ..errors import ModelError
from ..importer import signals

STRETCH_SECONDS, SHORT_SECONDS = 0.5, 0.2        # to be judged by; to be fitted with
#: Seconds in which a random walk forgets where it was.
WALKS = {"slow walk": 2.0, "walk": 0.3, "quick walk": 0.05}
KINDS = ("walk", "held", "quick walk", "steps", "slow walk", "mixed", "gesture", "rest")
STEP_SECONDS = 0.12
SOUND_SECONDS = 0.25


class Drive:
    """Makes inputs of a model's method. ``stretch_rows``: rows of one stretch.

    What the inputs are used to is read from the model's card (``importer.signals.Inputs``): ranges of its controls, its gestures,
    latents of N(0, 1), or sound where there is a row for every sample.
    """

    def __init__(self, model: Model, method: str, stretch_seconds: float = STRETCH_SECONDS):
        spec = model.methods.get(method)
        if spec is None:
            raise ModelError(f"{model.path}: has no method {method!r}; it has {', '.join(model.methods)}")
        self.rate_hz = model.card.get("sample_rate_hz") or 48000
        own = len(model.card.get("inputs", [])) == spec.in_channels
        self.inputs = signals.Inputs.of(spec.in_channels, spec.in_ratio, model.card if own else None)
        self.rows_a_second = self.rate_hz / spec.in_ratio
        self.stretch_rows = max(2, round(stretch_seconds * self.rows_a_second))
        self.gestures = _gestures(model) if own else []

    def stretches(self, count: int, seed: int) -> np.ndarray:
        """``count`` stretches one after the other, float32 [count * stretch_rows, channels]."""
        random = np.random.default_rng([seed, 7])
        order = [KINDS[i % len(KINDS)] for i in range(count)]
        random.shuffle(order)
        return np.concatenate([self._stretch(kind, random) for kind in order]).astype(np.float32)

    def _stretch(self, kind: str, random) -> np.ndarray:
        rows, put = self.stretch_rows, self.inputs
        if kind == "rest":
            return np.tile(put.rest, (rows, 1))
        if put.audio:
            return _sound(rows, len(put.centre), self.rows_a_second, random)
        if kind == "gesture" and self.gestures:
            return self._gesture(random)
        moved = self._movement("mixed" if kind == "gesture" else kind, rows, len(put.centre), random)
        return np.clip(put.centre + put.spread * moved, put.low, put.high)

    def _movement(self, kind: str, rows: int, channels: int, random) -> np.ndarray:
        """In standard deviations, [rows, channels]."""
        if kind in WALKS:
            return signals.walk(rows, channels, self.rows_a_second, random, WALKS[kind])
        if kind == "held":
            return np.tile(random.standard_normal(channels), (rows, 1))
        if kind == "steps":
            held = max(1, round(STEP_SECONDS * self.rows_a_second))
            return np.repeat(1.2 * random.standard_normal((-(-rows // held), channels)), held, axis=0)[:rows]
        each = [self._movement(str(random.choice(["walk", "held", "quick walk", "steps", "slow walk"])), rows, 1, random) for _ in range(channels)]
        return np.concatenate(each, axis=1)

    def _gesture(self, random) -> np.ndarray:
        """A piece of one of the model's gestures, its values moved a little."""
        curve = self.gestures[random.integers(len(self.gestures))]
        start = random.integers(max(1, len(curve) - self.stretch_rows + 1))
        piece = curve[start:start + self.stretch_rows].astype(float)
        piece = np.concatenate([piece, np.tile(piece[-1], (self.stretch_rows - len(piece), 1))])
        return piece + 0.25 * self.inputs.spread * random.standard_normal(piece.shape[1])


def _gestures(model: Model) -> list[np.ndarray]:
    from ..gesture import file_gestures

    return file_gestures(model) if model.card.get("gestures") else []


def _sound(rows: int, channels: int, rate_hz: float, random) -> np.ndarray:
    """A rising or falling tone of some harmonics over noise, in bursts."""
    time = np.arange(rows)[:, None] / rate_hz
    start, end = 2.0 ** random.uniform(5.5, 10.5, 2)
    turns = start * time + (end - start) / (2 * STRETCH_SECONDS) * time**2
    tone = sum(np.sin(2 * np.pi * k * turns) / k for k in range(1, 1 + random.integers(1, 8)))
    burst = np.exp(-(time % SOUND_SECONDS) * random.uniform(0, 30))
    level = 10 ** (random.uniform(-30, -6) / 20)
    return level * (burst * tone + random.uniform(0, 0.5) * random.standard_normal((rows, channels)))
