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
LIKE_DB, LIKE_BANDS_DB = 1.5, 6.0    # two pieces of one steady sound, in loudness and in the bands (noise differs)
MOVED, FORGOTTEN = 1.5, 0.03         # inputs are moved by so much; what is left of the difference is forgotten


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
        if model.methods[method].out_ratio != 1:
            raise ModelError(f"{model.path}: gives no sound, so its knobs cannot be named")
        self.ends = time.monotonic() + seconds
        self.rate_hz = int(card["sample_rate_hz"])
        blocks = sorted(model.methods[method].blocks)
        self.program = model.program(method, max([b for b in blocks if b <= LONGEST_BLOCK_FRAMES], default=blocks[0]))
        self.rest = np.array([i.get("rest", 0.0) for i in card["inputs"]], np.float64)
        self.settle_seconds, self.point_seconds = LONGEST_SETTLE_SECONDS, 0.0
        self._known: dict[bytes, Sound | None] = {}
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
        """How long the past is heard: until the sound of held inputs is what it would have been anyhow; where it never is
        (oscillators do not forget their phase), until it no longer changes."""
        step = round(SETTLE_STEP_SECONDS * self.rate_hz)
        self.program.reset()
        self._run(self.rest, SETTLE_STEP_SECONDS)
        audio = self._run(self.rest, LONGEST_SETTLE_SECONDS + HEARD_SECONDS)
        self.program.reset()
        self._run(self.rest + MOVED, SETTLE_STEP_SECONDS)
        other = self._run(self.rest, LONGEST_SETTLE_SECONDS)
        pieces = range(0, round(LONGEST_SETTLE_SECONDS * self.rate_hz), step)
        last = measure(audio[-max(step, WINDOW):], self.rate_hz)
        if last is not None:
            apart = np.array([np.abs(other[at: at + step] - audio[at: at + step]).max() for at in pieces])
            differs = np.flatnonzero(apart > FORGOTTEN * apart.max())
            heard = [measure(audio[at: at + max(step, WINDOW)], self.rate_hz) for at in pieces]
            unlike = [i for i, sound in enumerate(heard) if sound is None or abs(sound.loudness - last.loudness) > LIKE_DB
                      or difference_db(sound, last) > LIKE_BANDS_DB]
            found = unlike if len(differs) and differs[-1] == len(pieces) - 1 else differs
            self.settle_seconds = SETTLE_STEP_SECONDS * (found[-1] + 1 if len(found) else 0)
        began = time.monotonic()
        self.hear(self.rest)
        self.point_seconds = time.monotonic() - began

    def _heard(self) -> Sound | None:
        sound = measure(self._run(self.last, max(HEARD_SECONDS, WINDOW / self.rate_hz)), self.rate_hz)
        return sound if sound is not None and sound.peak <= LOUDEST_PEAK else None

    def hear(self, values, known: bool = True) -> Sound | None:
        """``known``: what was heard at this place before is not listened to again."""
        self.last = np.array(values, np.float64)
        place = self.last.tobytes()
        if not known or place not in self._known:
            self.program.reset()
            self._run(self.last, self.settle_seconds)
            self._known[place] = self._heard()
        return self._known[place]

    def unsteadiness_db(self) -> float:
        """How far the same place is from itself, where its random numbers are not the same each time; else 0."""
        first, second = self.hear(self.rest, known=False), self.hear(self.rest, known=False)
        if first is None or second is None or difference_db(first, second) < 0.1:
            return 0.0
        return difference_db(first, second)

    def at(self, context, index: int, value: float) -> Sound | None:
        """Around a place, one input at a value."""
        values = np.array(context)
        values[index] = value
        return self.hear(values)
