"""The descriptors a model of this project is steered by: loudness, centroid, bandwidth, sharpness, booming.

Loudness is measured in the time domain (`loudness_db`), the other four from one centred 1024-sample Hann spectrum per
frame (`spectral`), all differentiable in torch. A normaliser (`QuantileMap`, `MinMax`, `GivenCentroid`) brings the four
to [-1, 1], loudness goes there by a straight line in dB (`LOUDNESS_*`). Audio is float32 at 48 kHz, full scale 1.
Pitched sounds also have harmonicity and pitch. `docs/descriptors.md` defines them all.

Centroid and bandwidth are the usual magnitude-weighted moments (Peeters et al., "The Timbre Toolbox", JASA 2011), as
the base-2 logarithm of hertz. Sharpness follows Zwicker and Fastl, "Psychoacoustics" (2007), with the weighting of DIN
45692, on half-Bark bands with specific loudness E^0.23 and no spreading. Booming is the share of that specific
loudness below 2 to 5 Bark. The last two are our own simplifications: relative scales, not acum.

What needs torch is loaded when it is asked for: `streaming` runs without.
"""

import importlib

from .tables import (HOP, LOUDNESS_DB_PER_UNIT, LOUDNESS_ZERO_DB, NAMES, RATE_HZ, SLOW_WINDOW, SPECTRAL_NAMES, UNITS, WINDOW,
                     bark, db_to_loudness, loudness_to_db)

_LATER = {
    "spectra": ("_TABLES", "loudness_db", "spectral", "spectral_from_power", "split_bands", "bin_tables"),
    "normalise": ("GivenCentroid", "MinMax", "QuantileMap", "fit_normaliser", "from_card"),
    "rows": ("clip_rows", "crop_rows", "harmonicity_to_unit", "hold_quiet", "measure", "unit_to_harmonicity"),
    "tone": ("harmonicity_db",),
    "attack": ("attack_time",),
    "roughness": ("roughness_asper",),
}
_HOME = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name):
    """A public name from the file that defines it, loaded now."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOME[name]}")
    globals().update({each: getattr(module, each) for each in _LATER[_HOME[name]]})
    return globals()[name]
