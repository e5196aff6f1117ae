"""A lighter model out of any that the engine plays, with no recording and no training: units out, the others made to do their work.

>>> lighter = Lighter("rave.safetensors")                                   # doctest: +SKIP
>>> found, tried = lighter.lightest(quality_db=1.0)                         # doctest: +SKIP
>>> lighter.write(found, "rave-light.safetensors", card)                    # doctest: +SKIP

How: made-up inputs play the model (``drive.py``); what every layer gets is seen, and how much of an error there is heard
(``hearing.py``); units are put in an order by what they cost (``choose.py``); a keep share is shared out over the layers; units are cut
out (``cut.py``) and what reads them is fitted again (``compensate.py``). The error is measured on other made-up inputs
(``quality.py``). After Clarke and Chowdhury, who take units out of small nets for audio effects at inference (DAFx25).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .. import complexity
from ..complexity import timing
from ..engine import Model, generate
from . import choose, compensate, hearing, quality
from .activations import Body
from .cut import begin, cut_listing, gone_classes
from .drive import SHORT_SECONDS, Drive
from .labels import TrimError
from .parts import Parts
from .units import Unit, cut_tensors

AUDIBLE_DB = 1.0                  # mean distance that is taken as inaudible, see quality.py
FIT_SEED, PROBE_SEED, TEST_SEED, CONFIRM_SEED = 1, 2, 3, 4
PROBE_STRETCHES = 16
TEST_STRETCHES = 96               # silent ones among them; 59 heard ones are needed for the bound
SEARCH_STEPS = 5
WORTH = 0.97                      # what keeps more than this of the multiplications is no lighter model
LEAST_KEEP, MOST_KEEP = 0.02, 1.0
TIMED_FRAMES = 128                # of the block that is timed, or the nearest there is


@dataclass
class Candidate:
    """A lighter model. ``keep``: the share of multiplications in layers that was asked for; ``kept``: that is left; ``tensors``: those that
    were fitted, by name; ``error``: what is left of the error at each layer, beside what moves there, on the inputs it was fitted with."""

    keep: float
    kept: float
    removed: list[Unit]
    tensors: dict[str, np.ndarray]
    quality: quality.Quality
    error: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict:
        return {"keep": round(self.keep, 4), "kept": round(self.kept, 4), "units": len(self.removed), **self.quality.to_json()}


class Lighter:
    """Prepares a model for lightening: finds its units, listens to its layers, puts the units in order.

    path: the file that plays (native or lifted). say: called with a stage's name and the share of it that is done. way: how readers
    are fitted, ``compensate.solve`` or ``fold``. seed: of the made-up inputs. Raises ``TrimError`` where the model has no units that can be
    taken out and judged.
    """

    def __init__(self, path, say: Callable[[str, float], None] = lambda stage, share: None, way=compensate.solve, seed: int = 0):
        say("finding its units", 0.0)
        self.parts, model = Parts(path), Model.load(path)
        self.say, self.way, self.card, self.shapes = say, way, self.parts.card, self.parts.shapes
        self.method = self.card.get("method") or ("decode" if "decode" in model.methods else next(iter(model.methods)))
        self.keys, self.labels = self.parts.labels()
        self.groups = self.parts.find()
        nothing = TrimError(f"{self.card.get('name', path)} has no units that can be taken out: the model stays as it is")
        if not self.groups or self.method not in [method for method, _ in self.keys]:
            raise nothing
        self.generated = {name: generate.array(spec) for name, spec in self.parts.generators.items()}
        self.blocks = model.methods[self.method].blocks
        self.own = self.keys.index((self.method, max(self.blocks)))
        self.body = self._body(self.parts.listings[self.keys[self.own]], self.parts.tensors)
        self._make_inputs(model, 1000 * seed)
        names = {member.tensor for group in self.groups for member in group.units[0].members}
        self.seen = compensate.observe(self.body, names, self.fit_signal, max(self.blocks) / self.rate_hz, seed, self._told("listening to its layers"))
        self.heard = hearing.audibility(self.body, self.seen, self.probe_signal, self.rate_hz, PROBE_STRETCHES, self._told("listening to errors"), seed)
        self.courses = []
        for i, group in enumerate(self.groups):
            self.courses.append(choose.course(group, self.seen, self.shapes, self.heard))
            say("ordering its units", (i + 1) / len(self.groups))
        if not any(self.courses):
            raise nothing
        self.costs = choose.Costs(self.body.listing, self.groups, self.shapes)
        self.sound = self.body.program().stream(self.test_signal)

    def _told(self, stage: str) -> Callable[[float], None]:
        return lambda share: self.say(stage, share)

    def _make_inputs(self, model: Model, seed: int) -> None:
        rows, long, short = self.body.listing.in_shape[0], Drive(model, self.method), Drive(model, self.method, SHORT_SECONDS)
        self.rate_hz = long.rate_hz
        self.fit_signal = _whole(short.stretches(round(compensate.MOST_SECONDS / SHORT_SECONDS), FIT_SEED + seed), rows)
        self.probe_signal = _whole(long.stretches(PROBE_STRETCHES, PROBE_SEED + seed), rows)
        self.test_signal, self.confirm_signal = (_whole(long.stretches(TEST_STRETCHES, own + seed), rows) for own in (TEST_SEED, CONFIRM_SEED))

    def _body(self, listing, tensors) -> Body:
        """A listing with its numbers; what is generated is the same whatever was taken out."""
        return Body(listing, {i: tensors[b.tensor] if b.tensor else self.generated[b.generator]
                              for i, b in enumerate(listing.buffers) if b.tensor or b.generator})

    # -- what goes

    def counts(self, keep: float) -> list[int]:
        """How many units of each group go."""
        return choose.counts_for(self.courses, self.costs, keep)

    def removed(self, counts: list[int]) -> list[Unit]:
        return [group.units[u] for group, course, n in zip(self.groups, self.courses, counts) for u in (course.order[:n] if course else ())]

    def _cut(self, removed: list[Unit], k: int) -> compensate.Cut:
        begun, played = {}, {b.tensor for b in self.parts.listings[self.keys[k]].buffers if b.tensor}
        listing = cut_listing(self.labels, k, gone_classes(self.labels, removed), begun)
        tensors = cut_tensors({name: self.parts.tensors[name] for name in played}, removed) | begin(begun, self.parts.tensors)
        numbers = {name: np.arange(int(np.prod(self.shapes[name]))).reshape(self.shapes[name]) for name in self.seen}
        return compensate.Cut(self._body(listing, tensors), tensors, cut_tensors(numbers, removed))

    def at(self, keep: float) -> Candidate:
        """The model with about ``keep`` of the multiplications in its layers, fitted and measured."""
        counts = self.counts(keep)
        removed = self.removed(counts)
        cut = self._cut(removed, self.own)
        error = compensate.refit(self.seen, self.shapes, cut, self.fit_signal, self.way, self._told(f"keeping {keep:.0%}"))
        made = quality.compare(self.sound, cut.body.program().stream(self.test_signal), self.rate_hz, TEST_STRETCHES)
        return Candidate(keep, self.costs.left(counts) / self.costs.whole, removed, {name: cut.tensors[name] for name in cut.fitted}, made, error)

    def confirmed(self, candidate: Candidate) -> quality.Quality:
        """Its quality on inputs that no choice was made with."""
        cut = self._cut(candidate.removed, self.own)
        for name, tensor in candidate.tensors.items():
            cut.store(name, tensor)
        sounds = [body.program().stream(self.confirm_signal) for body in (self.body, cut.body)]
        return quality.compare(*sounds, self.rate_hz, TEST_STRETCHES)

    # -- what is looked for

    def lightest(self, quality_db: float = AUDIBLE_DB) -> tuple[Candidate | None, list[Candidate]]:
        """The lightest whose mean distance is at most ``quality_db``, or None; and all that were tried."""
        low, high, tried, found = LEAST_KEEP, MOST_KEEP, {}, None
        for _ in range(SEARCH_STEPS):
            middle = (low + high) / 2
            same = tuple(self.counts(middle))
            made = tried[same] = tried.get(same) or self.at(middle)
            if made.quality.distance_db <= quality_db and made.kept <= WORTH:
                high, found = min(middle, made.kept), made
            else:
                low = middle
        return found, list(tried.values())

    def keep_for(self, most_share: float, board: str | None = None) -> float:
        """The largest keep share with which a program takes at most ``most_share`` of a core: of a board (predicted, at worst), or of this
        machine (measured). Raises ``TrimError`` where none does, or the model does so as it is."""
        where = board or "this machine"
        whole = self.core_share([], board)
        if whole <= most_share:
            raise TrimError(f"the model takes {whole:.1%} of a core of {where} as it is, and {most_share:.1%} is allowed: it stays as it is")
        low, high = LEAST_KEEP, MOST_KEEP
        least = self.core_share(self.removed(self.counts(low)), board)
        if least > most_share:
            raise TrimError(f"even with {LEAST_KEEP:.0%} of its multiplications the model takes {least:.1%} of a core of {where}; {most_share:.1%} is allowed")
        for _ in range(2 * SEARCH_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.core_share(self.removed(self.counts(middle)), board) <= most_share else (low, middle)
        return low

    def _timed(self) -> int:
        block = min(self.blocks, key=lambda frames: abs(frames - TIMED_FRAMES))
        return self.keys.index((self.method, block))

    def core_share(self, removed: list[Unit], board: str | None = None) -> float:
        """The share of a core that the model without some units takes: predicted for a board at worst, or measured here at best."""
        k = self._timed()
        cut, frames = self._cut(removed, k), self.keys[k][1]
        if board:
            return complexity.predict(complexity.count_listing(cut.body.listing, frames, self.rate_hz), board).high
        return timing.least_us([timing.excited(cut.body.program())])[0] * 1e-6 * self.rate_hz / frames

    def figures(self, candidate: Candidate) -> dict:
        """What a candidate saves, beside the whole model: shares of units, parameters and MACs removed; how much lighter and faster it is."""
        k = self._timed()
        frames, cut = self.keys[k][1], self._cut(candidate.removed, k)
        whole = self._body(self.parts.listings[self.keys[k]], self.parts.tensors)
        counts = [complexity.count_listing(body.listing, frames, self.rate_hz) for body in (whole, cut.body)]
        times = timing.least_us([timing.excited(body.program()) for body in (whole, cut.body)])
        units = sum(len(group.units) for group in self.groups)
        return {"removed_units": round(len(candidate.removed) / units, 5), "removed_parameters": round(1 - counts[1].params / counts[0].params, 5),
                "removed_macs": round(1 - counts[1].macs / counts[0].macs, 5), "times_lighter": round(counts[0].macs / counts[1].macs, 3),
                "times_faster": round(times[0] / times[1], 3), "block_frames": frames, "block_us": [round(t, 2) for t in times]}

    def write(self, candidate: Candidate, path, card: dict) -> Model:
        """Write the lighter model with another card; whole or not at all."""
        left = self.parts.cut(candidate.removed)
        left.tensors |= candidate.tensors
        left.tensors |= {name: left.tensors[twin] for name, twin in left.twins.items()}
        left.card = card
        return left.save(path)


def _whole(signal: np.ndarray, rows: int) -> np.ndarray:
    """As many whole blocks as there are."""
    return signal[: len(signal) // rows * rows]
