"""What a model is fed while it is checked: everything hands, cables and encoders may do to it, and worse.

A ``Feed`` names its parts, so that a fault is reported with the input that caused it. Only ``natural`` is judged for level.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

NATURAL, SILENCE, NOISE = "natural input", "silence", "noise"
#: part -> seconds; together more than ten
PARTS = {NATURAL: 4.0, SILENCE: 1.5, "steps": 1.0, "ramps": 1.0, "extremes of 3": 1.0, "extremes of 8": 0.5, NOISE: 1.0,
         "silence after all that": 0.5}
#: words in a label -> what such an input is used to
UNITS = {"hz|hertz|f0|frequency": (60.0, 600.0), "db|decibels?|loudness": (-40.0, 0.0), "midi|note": (36.0, 84.0)}


@dataclass(frozen=True)
class Inputs:
    """What the inputs of a method are used to.

    All [channels]: ``rest`` is what they have while nothing is played, ``centre`` and ``spread`` their middle and one standard
    deviation, ``low`` and ``high`` bound natural input;
    ``gestures`` [rows, channels]: what really plays there, where the model brings it. ``audio``: the input is sound.
    """

    rest: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    low: np.ndarray
    high: np.ndarray
    audio: bool = False
    gestures: np.ndarray | None = None

    @classmethod
    def of(cls, channels: int, in_ratio: int, card: dict | None = None, labels: list[str] = (), gestures: np.ndarray | None = None) -> Inputs:
        """From a model's card where it has links, or from the file's own labels where they name a unit; else latents of N(0, 1), or
        sound where there is one row a sample."""
        zeros, ones = np.zeros(channels), np.ones(channels)
        centre, spread, low, high = zeros.copy(), ones.copy(), -4 * ones, 4 * ones
        names = [entry.get("name") for entry in (card or {}).get("inputs", [])]
        for control in (card or {}).get("controls", []):
            for link in control.get("links", []):
                if link.get("input") in names[:channels]:
                    i = names.index(link["input"])
                    low[i], high[i] = sorted((link["low"], link["high"]))
                    centre[i], spread[i] = (low[i] + high[i]) / 2, max((high[i] - low[i]) / 6, 1e-6)
        for i, label in enumerate(labels[:channels]):
            for words, bounds in UNITS.items():
                if re.search(rf"\b({words})\b", label.lower()):
                    low[i], high[i] = bounds
                    centre[i], spread[i] = (low[i] + high[i]) / 2, (high[i] - low[i]) / 6
        audio = in_ratio == 1
        if audio:
            spread, low, high = 0.3 * ones, -ones, ones
        rest = np.array([entry.get("rest", 0.0) for entry in (card or {}).get("inputs", [])] or zeros, float)
        return cls(rest if len(rest) == channels else zeros, centre, spread, low, high, audio, gestures)


class Feed:
    """Blocks of test input: ``parts`` in order, each whole blocks long (at least two).

    Args:
        inputs: what the method is used to.
        rows: of a block.
        rows_a_second: of the input.
        seed: of its noise.
    """

    def __init__(self, inputs: Inputs, rows: int, rows_a_second: float, seed: int = 0):
        random = np.random.default_rng(seed)
        self.parts: list[tuple[str, np.ndarray]] = []
        for name, seconds in PARTS.items():
            count = max(2, -(-round(seconds * rows_a_second) // rows)) * rows
            shape = _shape(name, count, len(inputs.centre), rows_a_second, random, inputs.audio)
            if name == NATURAL and inputs.gestures is not None:
                signal = np.resize(inputs.gestures, (count, len(inputs.centre)))
            elif name == NATURAL:
                signal = np.clip(inputs.centre + inputs.spread * shape, inputs.low, inputs.high)
            elif name.startswith("silence"):
                signal = np.tile(inputs.rest, (count, 1))
            else:
                signal = inputs.centre + inputs.spread * shape
            self.parts.append((name, np.ascontiguousarray(signal.reshape(-1, rows, len(inputs.centre)), np.float32)))

    def blocks(self):
        """(part, block [rows, channels]) for each block."""
        for name, blocks in self.parts:
            for block in blocks:
                yield name, block


def _shape(name: str, rows: int, channels: int, rows_a_second: float, random, audio: bool) -> np.ndarray:
    """A part in standard deviations, [rows, channels]."""
    time = np.arange(rows)[:, None] / rows_a_second
    if name == NATURAL:
        return _sound(rows, channels, rows_a_second, random) if audio else walk(rows, channels, rows_a_second, random)
    if name == "steps":
        held = max(1, round(0.05 * rows_a_second))
        return np.repeat(random.uniform(-2, 2, (-(-rows // held), channels)), held, axis=0)[:rows]
    if name == "ramps":
        return 3 * (2 * ((time * 4 + np.arange(channels) / channels) % 1) - 1)
    if name.startswith("extremes"):
        held = max(1, round(0.02 * rows_a_second))
        return int(name.split()[-1]) * np.repeat(random.choice([-1.0, 1.0], (-(-rows // held), channels)), held, axis=0)[:rows]
    return random.standard_normal((rows, channels))


def walk(rows: int, channels: int, rows_a_second: float, random, seconds: float = 0.15) -> np.ndarray:
    """A random walk held near zero: N(0, 1) at each moment, forgotten within ``seconds``."""
    keep = float(np.exp(-1 / (seconds * rows_a_second)))
    steps = np.sqrt(1 - keep**2) * random.standard_normal((rows, channels))
    value = random.standard_normal(channels)
    out = np.empty((rows, channels))
    for i in range(rows):
        value = keep * value + steps[i]
        out[i] = value
    return out


def _sound(rows: int, channels: int, rows_a_second: float, random) -> np.ndarray:
    """Tones that rise, over noise, in bursts of a quarter of a second."""
    time = np.arange(rows)[:, None] / rows_a_second
    tone = np.sin(2 * np.pi * (80 * time + 150 * time**2)) * (time * 4 % 2 < 1.5)
    return tone + 0.2 * random.standard_normal((rows, channels))
