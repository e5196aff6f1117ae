"""Where a model is listened to: a rest that sounds, how far each input may be moved, and another place that sounds as well.

Latents are normal numbers, but not every input is a latent: pitch may be in hertz and level in decibels, and older files name
neither. Inputs with a name of their own, and those of a model that has no encoder, may therefore lie thousands away from 0.
"""

from __future__ import annotations

import re

import numpy as np

from neurorack.importer.listener import Listener
from neurorack.voice.measures import Sound, difference_db

LATENT_RANGE = 3.0               # a normal latent hardly ever lies farther out
POSITIONS = 7                    # of an input, from one end to the other
SCALES = (10.0, 100.0, 1000.0, 5000.0)
POSITIVE_SCALE = 100.0           # from here on only positive values are tried
NEAR_DB, FAR_DB = 0.5, 3.0       # changes of the bands: an input that makes the first is a latent, the second leads it on
SOUNDING_DB, AWAKE_DB = -55.0, -40.0
MIDDLE, COMMON_HZ = 0.5, 200.0
MOST_IN_UNITS = 8                # inputs of a model that is steered in units; with more they are latents
CONTEXT_SPREAD = 0.7             # standard deviations of the random place
ANONYMOUS = re.compile(r"((\(signal\)|latent|dimension|input|channel|dim|z)[ _]*)*\d*", re.IGNORECASE)


def own_names(card: dict) -> list[str | None]:
    """Each input's name where it has one: that of the control a card of our own gives it, else the file's; None if anonymous."""
    given = {} if "source" in card else {link["input"]: c["name"] for c in card.get("controls", []) for link in c.get("links", [])}
    names = [i["name"] for i in card["inputs"]]
    return [given.get(name) or (None if ANONYMOUS.fullmatch(name) else name) for name in names]


def in_units(model, own: list[str | None]) -> list[bool]:
    """Which inputs may be something else than latents."""
    few = "encode" not in model.methods and len(own) <= MOST_IN_UNITS
    return [name is not None or few for name in own]


def wake(listener: Listener, units: list[bool]) -> Sound | None:
    """Moves ``listener.rest`` to where something is heard, should it be silent; returns its sound, None where none is sane.

    One input after another, the least that is enough, up to three of them; then all at once, one of them as a pitch.
    """
    base = listener.hear(listener.rest)
    for _ in range(3):
        if base is None or base.loudness > AWAKE_DB:
            return base
        places = []
        for index in range(min(len(units), int(listener.left() / 8))):
            for value in (1.5, -1.5, *(0.5 * scale for scale in SCALES if units[index])):
                places.append(listener.rest.copy())
                places[-1][index] = value
        best = _loudest(listener, base, places)
        if best is None:
            break
        listener.rest, base = best
    if base.loudness <= AWAKE_DB and all(units):
        together = np.where(listener.rest == 0, MIDDLE, listener.rest)
        places = [together.copy() for _ in units]
        for index, place in enumerate(places):
            place[index] = COMMON_HZ
        listener.rest, base = _loudest(listener, base, [together, *places]) or (listener.rest, base)
    return base


def _loudest(listener: Listener, base: Sound, places) -> tuple[np.ndarray, Sound] | None:
    """The nearest place that is awake, else the loudest that is louder than ``base``."""
    heard = [(place, sound) for place in places if (sound := listener.hear(place)) is not None and sound.loudness > base.loudness + 3]
    awake = [h for h in heard if h[1].loudness > AWAKE_DB]
    if awake:
        return min(awake, key=lambda h: np.abs(h[0]).max())
    return max(heard, key=lambda h: h[1].loudness, default=None)


def positions(card: dict, listener: Listener, base: Sound, index: int, unit: bool) -> np.ndarray:
    """Where an input is tried, [7]: over its control's range in a card of our own; from -3 to 3; or, where it may be in units
    and does little there, as far as it leads from sound to other sound. The rest is moved inside."""
    links = [] if "source" in card else [link for c in card.get("controls", []) for link in c.get("links", [])]
    for link in links:
        if link["input"] == card["inputs"][index]["name"]:
            return np.linspace(*sorted((link["low"], link["high"])), POSITIONS)
    rest = listener.rest[index]
    near = np.linspace(min(-LATENT_RANGE, rest), max(LATENT_RANGE, rest), POSITIONS)
    if not unit or (abs(rest) <= LATENT_RANGE and any(_moves(listener, index, v, base, NEAR_DB) for v in (near[-2], near[1], 1.0))):
        return near
    farthest, before = 0.0, base
    for scale in SCALES:
        if listener.left() > 0 and _moves(listener, index, scale, before, FAR_DB):
            farthest, before = scale, listener.at(listener.rest, index, scale)
    if not farthest:
        return near
    farthest = max(farthest, rest)
    found = np.linspace(farthest / 100 if farthest >= POSITIVE_SCALE else -farthest, farthest, POSITIONS)
    if not found[0] <= rest:
        listener.rest[index] = found[1]
    return found


def _moves(listener: Listener, index: int, value: float, base: Sound, least_db: float) -> bool:
    sound = listener.at(listener.rest, index, value)
    return sound is not None and sound.loudness > SOUNDING_DB and difference_db(sound, base) >= least_db


def context(listener: Listener, units: list[bool], random) -> np.ndarray:
    """A random place that sounds, else the rest."""
    free = ~np.array(units)
    for _ in range(4):
        place = listener.rest + free * random.normal(0, CONTEXT_SPREAD, len(units))
        sound = listener.hear(place)
        if sound is not None and sound.loudness > SOUNDING_DB:
            return place
    return listener.rest.copy()
