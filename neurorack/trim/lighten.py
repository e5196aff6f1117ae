"""A lighter model out of any that plays here, with no recording and no training: units out, what is left made to do their work.

>>> lighter = Lighter("rave.safetensors")                                   # doctest: +SKIP
>>> found, tried = lighter.lightest(quality_db=1.0)                         # doctest: +SKIP
>>> lighter.write(found, "rave-light.safetensors", card)                    # doctest: +SKIP

How: made-up inputs play the model (``drive.py``); what every layer gets is seen; units are put in an order by what they cost
(``choose.py``); a keep share is shared out over the layers; units are cut out (``cut.py``) and what reads them is fitted again
(``compensate.py``). The error is measured on other made-up inputs (``quality.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..engine import Model
from . import choose, compensate, hearing, quality
from .activations import Body
from .cut import begin, cut_listing, gone_classes
from .drive import SHORT_SECONDS, Drive
from .labels import TrimError
from .parts import Parts
from .units import Unit, cut_tensors

AUDIBLE_DB = 1.0                  # mean distance that is taken as inaudible, see quality.py
FIT_SEED, TEST_SEED = 1, 2
PROBE_STRETCHES = 16
TEST_STRETCHES = 72               # silent ones among them; 59 are needed for the bound
SEARCH_STEPS = 5
WORTH = 0.97                      # what keeps more than this of the multiplications is no lighter model
LEAST_KEEP, MOST_KEEP = 0.02, 1.0


@dataclass
class Candidate:
    """A lighter model. ``keep``: the share of multiplications that was asked for; ``kept``: that is left; ``error``: relative error at each
    layer, by the name of its weights, on the inputs it was fitted with."""

    keep: float
    kept: float
    removed: list[Unit]
    tensors: dict[str, np.ndarray]
    quality: quality.Quality
    error: dict[str, float] = field(default_factory=dict)

    @property
    def times_lighter(self) -> float:
        return 1 / self.kept


class Lighter:
    """Prepares a model for lightening: finds its units, watches its layers, orders the units.

    path: the file that plays (native or lifted). say: called with a stage's name and the share of it that is done. way: how readers
    are fitted, ``compensate.solve`` or ``fold``. Raises ``TrimError`` where the model has no units, or none of them can be judged.
    """

    def __init__(self, path, say: Callable[[str, float], None] = lambda stage, share: None, way=compensate.solve, seed: int = 0):
        say("finding its units", 0.0)
        self.parts, model = Parts(path), Model.load(path)
        self.say, self.way, self.card, self.shapes = say, way, self.parts.card, self.parts.shapes
        self.method = self.card.get("method") or ("decode" if "decode" in model.methods else next(iter(model.methods)))
        self.keys, self.labels = self.parts.labels()
        self.own = self.keys.index((self.method, max(model.methods[self.method].blocks)))
        self.groups = self.parts.find()
        listing = self.parts.listings[self.keys[self.own]]
        self.body = Body(listing, model.arrays(listing))
        drive = Drive(model, self.method)
        self.rate_hz, rows = drive.rate_hz, listing.in_shape[0]
        self.block_seconds = self.keys[self.own][1] / self.rate_hz
        self.test_signal = _whole(drive.stretches(TEST_STRETCHES, TEST_SEED + 1000 * seed), rows)
        short = Drive(model, self.method, SHORT_SECONDS)
        self.fit_signal = _whole(short.stretches(round(compensate.MOST_SECONDS / SHORT_SECONDS), FIT_SEED + 1000 * seed), rows)
        names = {member.tensor for group in self.groups for member in group.units[0].members}
        self.seen = compensate.observe(self.body, names, self.fit_signal, self.block_seconds, seed,
                                       lambda share: say("listening to its layers", share))
        probe = _whole(drive.stretches(PROBE_STRETCHES, FIT_SEED + 500 + 1000 * seed), rows)
        self.heard = hearing.audibility(self.body, self.seen, probe, self.rate_hz, PROBE_STRETCHES, lambda share: say("listening to its errors", share), seed)
        self.courses = []
        for i, group in enumerate(self.groups):
            self.courses.append(choose.course(group, self.seen, self.shapes, self.heard))
            say("ordering its units", (i + 1) / len(self.groups))
        if not any(self.courses):
            raise TrimError(f"{self.card.get('name', model.path.name)} has no units that could be taken out: the model stays as it is")
        self.costs = choose.Costs(self.body.listing, self.groups, self.shapes)
        self.sound = self._play(self.body)

    def _play(self, body: Body) -> np.ndarray:
        return body.program().stream(self.test_signal)

    def removed(self, keep: float) -> list[Unit]:
        counts = choose.counts_for(self.courses, self.costs, keep)
        return [group.units[u] for group, course, n in zip(self.groups, self.courses, counts) for u in (course.order[:n] if course else ())]

    def at(self, keep: float) -> Candidate:
        """The model with about ``keep`` of its multiplications, fitted and measured."""
        removed = self.removed(keep)
        counts = [sum(unit in set(group.units) for unit in removed) for group in self.groups] if removed else [0] * len(self.groups)
        names = {b.tensor for b in self.body.listing.buffers if b.tensor}
        tensors = cut_tensors({name: self.parts.tensors[name] for name in names}, removed)
        numbers = cut_tensors({name: np.arange(int(np.prod(self.shapes[name]))).reshape(self.shapes[name]) for name in self.seen}, removed)
        begun = {}
        listing = cut_listing(self.labels, self.own, gone_classes(self.labels, removed), begun)
        tensors |= begin(begun, self.parts.tensors)
        cut = compensate.Cut(Body(listing, self._arrays(listing, tensors)), tensors, numbers)
        error = compensate.refit(self.seen, self.shapes, cut, self.fit_signal, self.way, lambda share: self.say(f"keeping {keep:.0%}", share))
        made = quality.compare(self.sound, self._play(cut.body), self.rate_hz, TEST_STRETCHES)
        return Candidate(keep, self.costs.left(counts) / self.costs.whole, removed, cut.tensors, made, error)

    def _arrays(self, listing, tensors) -> dict[int, np.ndarray]:
        generated = {b.generator: self.body.arrays[i] for i, b in enumerate(self.body.listing.buffers) if b.generator}
        return {i: tensors[b.tensor] if b.tensor else generated[b.generator] for i, b in enumerate(listing.buffers) if b.tensor or b.generator}

    def lightest(self, quality_db: float = AUDIBLE_DB) -> tuple[Candidate | None, list[Candidate]]:
        """The lightest whose mean distance is at most ``quality_db``, or None; and all that were tried."""
        low, high, tried, found = LEAST_KEEP, MOST_KEEP, [], None
        for _ in range(SEARCH_STEPS):
            candidate = self.at((low + high) / 2)
            tried.append(candidate)
            if candidate.quality.distance_db <= quality_db and candidate.kept <= WORTH:
                high, found = (low + high) / 2, candidate
            else:
                low = (low + high) / 2
        return found, tried

    def write(self, candidate: Candidate, path, card: dict) -> Model:
        """Write the lighter model with another card; whole or not at all."""
        left = self.parts.cut(candidate.removed)
        left.tensors |= candidate.tensors
        left.card = card
        return left.save(path)


def _whole(signal: np.ndarray, rows: int) -> np.ndarray:
    """As many whole blocks as there are."""
    return signal[: len(signal) // rows * rows]
