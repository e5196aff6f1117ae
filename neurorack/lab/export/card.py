"""The card of a model: its inputs in physical units, its controls, and what they do."""

import numpy as np

from ..descriptors import LOUDNESS_DB_PER_UNIT, LOUDNESS_ZERO_DB, NAMES, UNITS
from ..layout import HARMONICITY_DB_PER_UNIT, HARMONICITY_ZERO_DB, PITCH_LIMITS_OCTAVES

LATENT_REACH = 2.0          # standard deviations a timbre control moves to either side
DECAY_FACTOR = 4.0
TIMBRES = 2                 # latent axes with a control of their own
LEAST_WANDER, MOST_WANDER = 0.05, 0.5     # of a descriptor
PITCH_REACH_OCTAVES = 5.0   # a whole turn of the pitch control is ten octaves, so that 0.1 per volt is 1 V per octave

DESCRIPTOR_DOCS = {
    "loudness": ("Loudness", "dB", "level of the sound; by construction, within one hop"),
    "centroid": ("Bright", "Hz", "spectral centroid: dark to bright"),
    "bandwidth": ("Width", "Hz", "spectral bandwidth: a single tone to a wash"),
    "sharpness": ("Sharp", "relative", "sharpness: weight of the highest critical bands"),
    "booming": ("Boom", "share", "booming: weight of the lowest critical bands"),
    "harmonicity": ("Tone", "dB", "harmonics over noise: breath to pure tone"),
}


def inputs(normaliser, layout, rest, reach=LATENT_REACH):
    """The card's list of decode inputs: rest values, ranges, and the physical values (knots) at even steps over the range."""
    told, table = normaliser.to_card(), []
    for column, name in enumerate(layout.names):
        entry = {"name": name, "rest": round(float(rest[column]), 4), "low": -1.0, "high": 1.0}
        if name == "loudness":
            entry |= {"unit": "dB", "knots": _line(LOUDNESS_ZERO_DB, LOUDNESS_DB_PER_UNIT)}
        elif name == "harmonicity":
            entry |= {"unit": "dB", "knots": _line(HARMONICITY_ZERO_DB, HARMONICITY_DB_PER_UNIT)}
        elif name == "pitch":
            low, high = PITCH_LIMITS_OCTAVES
            entry |= {"unit": "octaves above C4", "low": low, "high": high, "knots": [low, high]}
        elif name in NAMES:
            entry |= {"unit": UNITS[NAMES.index(name)]} | told[name]
        else:
            entry |= {"low": -reach, "high": reach}
        table.append(entry)
    return table


def _line(zero, per_unit):
    return [round(zero - per_unit, 3), round(zero + per_unit, 3)]


def controls(layout):
    """The card's controls: descriptors, pitch, gesture, input, decay, and timbre axes, which `gestures.extras` names by what they do."""
    table = []
    for name in layout.described:
        label, unit, doc = DESCRIPTOR_DOCS[name]
        table.append({"name": name, "label": label, "unit": unit, "default": 0.5, "doc": doc, "kind": "descriptor",
                      "links": [{"input": name, "low": -1.0, "high": 1.0}]})
    if layout.pitched:
        table.append({"name": "pitch", "label": "Pitch", "unit": "octaves", "default": 0.5, "kind": "pitch",
                      "doc": "transposes; 0.1 per volt is 1 V per octave, C4 at 0 V",
                      "links": [{"input": "pitch", "low": -PITCH_REACH_OCTAVES, "high": PITCH_REACH_OCTAVES}]})
    table.append({"name": "gesture", "label": "Gesture", "unit": "", "default": 0.0, "kind": "gesture", "links": [],
                  "doc": "which gesture is played, from dark to bright"})
    table.append({"name": "input", "label": "Input", "unit": "", "default": 0.0, "kind": "audio_input", "links": [],
                  "doc": "how far an open audio input steers the sound where no gesture runs (fully up at first)"})
    table.append({"name": "decay", "label": "Decay", "unit": "x", "default": 0.5, "kind": "speed", "links": [],
                  "doc": f"speed of the gesture: {DECAY_FACTOR:g} times slower to {DECAY_FACTOR:g} times faster"})
    for k in range(min(TIMBRES, layout.latents)):
        table.append({"name": f"timbre{k + 1}", "label": f"Timbre {'AB'[k]}", "unit": "deviations", "default": 0.5,
                      "doc": f"latent axis {k + 1}", "kind": "latent", "links": [{"input": f"z{k}", "low": -LATENT_REACH, "high": LATENT_REACH}]})
    return table


def first_patch(layout, plays):
    """What the jacks do at first, where the recipe does not say: pitch at 1 V an octave on cv1, the gesture on a jack of its own."""
    route = lambda jack, control, amount, **more: {"jack": jack, "control": control, "amount_per_volt": amount, **more}
    at_once = {"smooth_ms": 0, "latched": True}
    if layout.pitched:
        routes = [route("cv1", "pitch", 0.5 / PITCH_REACH_OCTAVES, smooth_ms=0), route("cv2", "loudness", 0.05, smooth_ms=0),
                  route("cv3", "centroid", 0.1), route("cv4", "gesture", 0.11, **at_once)]
    elif plays == "drone":
        routes = [route("cv1", "centroid", 0.1), route("cv2", "loudness", 0.05, smooth_ms=0), route("cv3", "bandwidth", 0.1),
                  route("cv4", "gesture", 0.11, smooth_ms=0)]
    else:
        routes = [route("cv1", "gesture", 0.11, **at_once), route("cv2", "loudness", 0.05, **at_once), route("cv3", "centroid", 0.1),
                  route("cv4", "decay", 0.1)]
    return {"gate2": "freeze", "routes": routes}


def settle(card, tables, layout):
    """Make a card's inputs rest at what the gestures usually are, and wander as they do, in place: for a model that sounds by itself."""
    rows = np.concatenate(tables)
    rows = rows[rows[:, 0] > np.quantile(rows[:, 0], 0.5)]
    for column, entry in enumerate(card["inputs"]):
        if entry["name"] in layout.described:
            low, middle, high = np.quantile(rows[:, column], [0.16, 0.5, 0.84])
            entry["rest"] = round(float(np.clip(middle, -1, 1)), 4)
            entry["wander"] = round(float(np.clip((high - low) / 2, LEAST_WANDER, MOST_WANDER)), 3)
        elif entry["name"] == "pitch":
            entry["wander"] = 0.0
        else:
            entry |= {"rest": round(float(np.median(rows[:, column])), 4), "wander": 0.7}
