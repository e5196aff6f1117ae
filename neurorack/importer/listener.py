"""Listening to a decoder whose inputs are held still."""

from __future__ import annotations

import time

import numpy as np

from neurorack.errors import ModelError
from neurorack.voice.measures import WINDOW, Sound, difference_db, measure
from neurorack.voice.voice import playing_method

HEARD_SECONDS, LONGEST_SETTLE_SECONDS, SETTLE_STEP_SECONDS = 0.25, 0.8, 0.1
LOUDEST_PEAK = 8.0                   # untrained and hot models peak above 4
LONGEST_BLOCK_FRAMES = 8192


class Listener:
    """Holds a model's inputs still and hears what comes.

    ``rest``: float64 [inputs], from the card; ``hear(values)`` is the steady sound that follows a reset, or None where it is not
    finite or far too loud. ``seconds``: of work in all; ``left()`` says how many sounds still fit into it. Raises ``ModelError`` for
    a model without inputs.
    """

    def __init__(self, model, seconds: float):
        card, method = model.card, playing_method(model.card)
        if card.get("plays") == "input" or method not in model.methods:
            raise ModelError(f"{model.path}: takes no latents, so it has no knobs to name")
        self.ends = time.monotonic() + seconds
        self.rate_hz = int(card["sample_rate_hz"])
        blocks = sorted(model.methods[method].blocks)
        self.program = model.program(method, max([b for b in blocks if b <= LONGEST_BLOCK_FRAMES], default=blocks[0]))
        self.rest = np.array([i.get("rest", 0.0) for i in card["inputs"]], np.float64)
        self.settle_seconds, self.point_seconds = LONGEST_SETTLE_SECONDS, 0.0
        self._find_settling()

    def left(self) -> float:
        """Points that can still be heard in the time given."""
        return max(0.0, self.ends - time.monotonic()) / max(self.point_seconds, 1e-6)

    def _run(self, values, seconds: float) -> np.ndarray:
        rows, channels = self.program.in_shape
        x = np.tile(np.asarray(values, np.float32), (rows, 1))
        blocks = max(1, round(seconds * self.rate_hz / self.program.out_shape[0] + 0.5))
        silent = np.zeros(self.program.out_shape, np.float32)      # a block that did not come
        return np.concatenate([y if (y := self.program.run(x)) is not None else silent for _ in range(blocks)])

    def _find_settling(self) -> None:
        """From which moment on the sound of held inputs stays what it is."""
        self.program.reset()
        audio = self._run(self.rest, LONGEST_SETTLE_SECONDS + HEARD_SECONDS)
        step = round(SETTLE_STEP_SECONDS * self.rate_hz)
        heard = [measure(audio[at: at + max(step, WINDOW)], self.rate_hz) for at in range(0, len(audio) - max(step, WINDOW) + 1, step)]
        if heard and all(heard):
            last = heard[-1]
            unlike = [i for i, sound in enumerate(heard[:-1]) if abs(sound.loudness - last.loudness) > 1.5 or difference_db(sound, last) > 6]
            self.settle_seconds = min(LONGEST_SETTLE_SECONDS, SETTLE_STEP_SECONDS * (1 + (unlike[-1] + 1 if unlike else 0)))
        began = time.monotonic()
        self.hear(self.rest)
        self.point_seconds = time.monotonic() - began

    def hear(self, values, again: bool = False) -> Sound | None:
        """``again``: no reset, the same values go on, with other random numbers."""
        if not again:
            self.program.reset()
            self._run(values, self.settle_seconds)
        sound = measure(self._run(values, max(HEARD_SECONDS, WINDOW / self.rate_hz)), self.rate_hz)
        return sound if sound is not None and sound.peak <= LOUDEST_PEAK else None

    def at(self, context, index: int, value: float) -> Sound | None:
        values = np.array(context)
        values[index] = value
        return self.hear(values)
