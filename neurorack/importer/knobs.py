"""Naming the knobs of a model whose inputs are anonymous: which ones matter, where they work, and what they do to the sound.

>>> rewrite_card(path, lambda card: apply_knobs(card, name_knobs(Model.load(path))))        # doctest: +SKIP

Every input is moved alone, by holding all of them still and listening to the steady sound that follows; once around the
rest, once around a random place, so that what is called brightness is one in more than a single sound. A model that
names its inputs keeps those names. No torch.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

import numpy as np

from neurorack.errors import ModelError
from neurorack.shm import table
from neurorack.importer import places
from neurorack.importer.listener import Listener
from neurorack.importer.places import ANONYMOUS, LATENT_RANGE, POSITIONS
from neurorack.voice.measures import Sound, difference_db

FEW = [0, 1, 3, 5, 6]                # of an input's places: those listened to where time is short
KNOWN_PLACES = 3                     # around the rest: it, and what ranking has listened to
MOST_SWEPT = 20
DEAD_DB, DEAD_SHARE = 0.5, 0.2       # what changes the bands by less, and by less than this share of the best, is dead
LEAST_DB = 0.02                      # and this in any case
FLAT_SHARE = 0.1                     # of the steepest change: below it an end of the range does nothing more
#: name -> (attribute of ``Sound``, unit, the smallest step that is plainly heard)
MEASURES = {"pitch": ("pitch", "octaves", 1 / 12), "brightness": ("brightness", "octaves", 0.2),
            "loudness": ("loudness", "dB", 2.0), "noisiness": ("noisiness", "dB", 2.0)}
LEAST_STEPS, LEAST_CORRELATION, PITCH_CORRELATION = 2.0, 0.7, 0.9
JACK_OF = {"pitch": "cv1", "brightness": "cv2", "loudness": "cv3", "noisiness": "cv4"}


@dataclass
class _Knob:
    index: int
    input: str
    own_name: str | None             # of the model's own card or of its file; None for an anonymous latent
    positions: np.ndarray
    change_db: float = 0.0           # the farthest it takes the sound from its rest
    low: float = 0.0
    high: float = 0.0
    effects: dict | None = None      # measure -> (effect over the range, correlation)


def name_knobs(model, seconds_budget: float = 10.0, seed: int = 0) -> list[dict]:
    """Controls for a model's card, the most telling first; inputs that do nothing get none.

    Args:
        model: an ``engine.Model`` or ``voice.foreign.ForeignModel`` with its card.
        seconds_budget: of work; a slow model is listened to at fewer places, and its last inputs not at all.

    Each control: ``name`` (pitch, brightness, loudness, noisiness at most once each, else "colour 1" and on, or the file's own),
    ``default`` and ``links`` (turning up gives more), ``measured``: what the whole way does (``change_db`` of the spectrum,
    ``loudness_db``, ``brightness_octaves``, ``noisiness_db``, ``pitch_octaves`` where there is one).
    """
    listener = Listener(model, seconds_budget)
    card, names = model.card, [i["name"] for i in model.card["inputs"]]
    own = places.own_names(card)
    units = places.in_units(model, own)
    base = places.wake(listener, units)
    if base is None:
        raise ModelError(f"{model.path}: is not finite or far too loud with its inputs at rest; its knobs cannot be named")
    knobs = [_Knob(i, name, own[i], places.positions(card, listener, base, i, units[i])) for i, name in enumerate(names)]
    base = listener.hear(listener.rest) or base
    heard = _coarse(listener, base, knobs)
    dead_db = max(LEAST_DB, min(DEAD_DB, DEAD_SHARE * max(k.change_db for k in heard)), 1.5 * listener.unsteadiness_db())
    context = places.context(listener, units, np.random.default_rng(seed))
    elsewhere, kept = listener.hear(context), listener.left() / 2
    for knob in heard:
        if knob.change_db < dead_db and listener.left() > kept:          # it may do something there
            knob.change_db = max(knob.change_db, _change(listener, context, knob.index, elsewhere, knob.positions[[0, -1]]))
    alive = sorted((k for k in heard if k.change_db >= dead_db), key=lambda k: -k.change_db)
    _sweep(listener, alive[:MOST_SWEPT], [listener.rest, context])
    unheard = [k for k in knobs if k not in heard]
    named = _named(alive) + [(k, k.own_name or k.input) for k in unheard]
    return [_control(knob, name, listener.rest[knob.index]) for knob, name in named]


def apply_knobs(card: dict, controls: list[dict]) -> dict:
    """The card with these controls in the place of its own; those that act without links (the voice's) stay, behind them.

    The rest of each controlled input follows its control's default; it wanders within its range, the others not at all.
    """
    kept = [c for c in card["controls"] if not c.get("links")]
    taken = {c["name"] for c in kept}
    own = [{**c, "name": c["name"] if c["name"] not in taken else f"{c['name']} (model)"} for c in controls][: table.CONTROLS - len(kept)]
    links = {link["input"]: (c["default"], link) for c in own for link in c["links"]}
    inputs = []
    for entry in card["inputs"]:
        default, link = links.get(entry["name"], (0.0, None))
        if link:
            low, high = sorted((link["low"], link["high"]))
            rest = link["low"] + default * (link["high"] - link["low"])
            spread = min((high - low) / 6, max(rest - low, high - rest) / 2)
            latent = ANONYMOUS.fullmatch(entry["name"]) and max(-low, high) <= LATENT_RANGE
            entry = {**entry, "rest": rest, "wander": spread if latent else 0.0}
        else:
            entry = {**entry, "wander": 0.0}
        inputs.append(entry)
    free = [j for j in JACK_OF.values() if j not in {JACK_OF.get(c["name"]) for c in own}]
    jacks = [(JACK_OF[c["name"]], c["name"]) for c in own if c["name"] in JACK_OF]
    jacks += zip(free, [c["name"] for c in own if c["name"] not in JACK_OF] + [c["name"] for c in kept])
    patch = {**(card.get("patch") or {}), "routes": [{"jack": jack, "control": name} for jack, name in sorted(jacks)]}
    return {**card, "inputs": inputs, "controls": own + kept, "patch": patch}


# -- what is heard


def _change(listener: Listener, context, index: int, base: Sound | None, values) -> float:
    if base is None:
        return 0.0
    sounds = [listener.at(context, index, value) for value in values]
    return max((difference_db(base, s) for s in sounds if s is not None), default=0.0)


def _coarse(listener: Listener, base: Sound, knobs: list[_Knob]) -> list[_Knob]:
    """How much each input does at two thirds of its range; the first ones only where time is short. Half the time at most."""
    allowed = listener.left() / 2
    ends = (1, -2) if 2 * len(knobs) <= allowed else (-2,)
    heard = knobs[: max(1, int(allowed / len(ends)))]
    for knob in heard:
        knob.change_db = _change(listener, listener.rest, knob.index, base, knob.positions[list(ends)])
        knob.low, knob.high = knob.positions[0], knob.positions[-1]
    for knob in knobs[len(heard):]:
        knob.low, knob.high = knob.positions[0], knob.positions[-1]
    return heard


def _sweep(listener: Listener, knobs: list[_Knob], contexts: list[np.ndarray]) -> None:
    """Each input from end to end, in every context as time allows."""
    for knob in knobs:
        shares = listener.left() / max(1, len(knobs) - knobs.index(knob))
        if shares < len(FEW) - KNOWN_PLACES:
            return
        if shares < POSITIONS - KNOWN_PLACES:
            knob.positions = knob.positions[FEW]
        taken = contexts[: 2 if shares >= 2 * len(knob.positions) - KNOWN_PLACES else 1]
        rows = [[listener.at(context, knob.index, p) for p in knob.positions] for context in taken]
        first, last = working_range(knob.positions, rows, listener.rest[knob.index])
        knob.low, knob.high = knob.positions[first], knob.positions[last]
        knob.effects = effects(knob.positions[first: last + 1], [row[first: last + 1] for row in rows])
        knob.change_db = max(knob.change_db, *(difference_db(row[first], row[last]) for row in rows if row[first] and row[last]), 0.0)


def working_range(positions, rows: list[list[Sound | None]], rest: float) -> tuple[int, int]:
    """First and last place of the range around the rest where everything is finite and sane, without ends that do nothing."""
    sane = np.array([all(row[i] is not None for row in rows) for i in range(len(positions))])
    centre = int(np.argmin(np.abs(positions - rest)))
    first, last = centre, centre
    while first > 0 and sane[first - 1]:
        first -= 1
    while last < len(positions) - 1 and sane[last + 1]:
        last += 1
    if last - first < 1:
        return 0, len(positions) - 1
    steps = np.array([max(difference_db(row[i], row[i + 1]) for row in rows if row[i] and row[i + 1]) if all(sane[i: i + 2]) else 0.0
                      for i in range(first, last)])
    works = np.flatnonzero(steps >= FLAT_SHARE * steps.max())
    return first + int(works[0]), first + int(works[-1]) + 1


def effects(positions, rows) -> dict[str, tuple[float, float]]:
    """Measure -> (effect of the whole way by a straight line, correlation), means over the contexts where it is defined."""
    found = {}
    for name, (attribute, _, _) in MEASURES.items():
        both = []
        for row in rows:
            values = np.array([getattr(s, attribute) if s is not None else np.nan for s in row])
            there = np.isfinite(values)
            if there.sum() < max(3, 0.7 * len(values)):
                continue
            p, v = positions[there], values[there]
            slope = np.polyfit(p, v, 1)[0] if np.ptp(p) > 0 else 0.0
            moves = np.ptp(v) > 1e-9
            both.append((slope * (positions[-1] - positions[0]), np.corrcoef(p, v)[0, 1] if moves else 0.0))
        if both and 2 * len(both) >= len(rows):
            found[name] = tuple(float(x) for x in np.mean(both, axis=0))
    return found


def _score(knob: _Knob, name: str) -> float:
    """How well a name fits: plainly heard steps, on a logarithmic scale, times correlation; 0 where it does not."""
    effect, correlation = (knob.effects or {}).get(name, (0.0, 0.0))
    steps = abs(effect) / MEASURES[name][2]
    least = PITCH_CORRELATION if name == "pitch" else LEAST_CORRELATION
    return np.log2(1 + steps) * abs(correlation) if steps >= LEAST_STEPS and abs(correlation) >= least else 0.0


def _named(knobs: list[_Knob]):
    """(knob, name): the four measures' names where they fit best together, colours behind them in order of change."""
    taken = {k.own_name for k in knobs}
    free = [k for k in knobs if k.own_name is None]
    measures = [m for m in MEASURES if m not in taken]
    choices = [[None, *sorted((k for k in free if _score(k, m) > 0), key=lambda k: -_score(k, m))[:6]] for m in measures]
    best, best_score = (None,) * len(measures), 0.0
    for picked in itertools.product(*choices):
        chosen = [id(k) for k in picked if k is not None]
        score = sum(_score(k, m) for k, m in zip(picked, measures) if k is not None)
        if len(set(chosen)) == len(chosen) and score > best_score:
            best, best_score = picked, score
    named = [(k, m) for k, m in zip(best, measures) if k is not None]
    colours = (f"colour {n}" for n in itertools.count(1))
    rest = [k for k in knobs if all(k is not other for other, _ in named)]
    return named + [(k, k.own_name or next(colours)) for k in rest]


def _control(knob: _Knob, name: str, rest: float) -> dict:
    """Turned so that up is more: of what it is named for, else of brightness."""
    along = knob.effects or {}
    effect = along.get(name if name in MEASURES else "brightness", (1.0, 1.0))[0]
    low, high = (knob.low, knob.high) if effect >= 0 or knob.own_name else (knob.high, knob.low)
    turned = -1 if (low, high) != (knob.low, knob.high) else 1
    measured = {"change_db": round(knob.change_db, 2)} if knob.effects is not None or knob.change_db else {}
    measured |= {f"{m}_{MEASURES[m][1].lower()}": round(turned * effect, 3) for m, (effect, steady) in along.items()
                 if m != "pitch" or abs(steady) >= PITCH_CORRELATION}
    default = float(np.clip((rest - low) / (high - low), 0, 1)) if high != low else 0.5
    link = {"input": knob.input, "low": float(low), "high": float(high)}
    return {"name": name, "default": round(default, 4), "links": [link], "measured": measured}
