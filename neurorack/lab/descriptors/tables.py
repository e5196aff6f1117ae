"""Constants of the descriptors, and their tables over the bins of a spectrum. numpy only."""

import numpy as np

from ..layout import DESCRIPTORS as NAMES

RATE_HZ = 48000
HOP = 64
WINDOW = 1024
UNITS = ("dB", "log2 Hz", "log2 Hz", "relative", "share")
SPECTRAL_NAMES = NAMES[1:]
CENTROID, SHARPNESS = SPECTRAL_NAMES.index("centroid"), SPECTRAL_NAMES.index("sharpness")

LOUDNESS_ZERO_DB = -36.0      # level of the loudness value 0
LOUDNESS_DB_PER_UNIT = 30.0   # so -1 is -66 dB (exact silence in the decoder) and +1 is -6 dB
LOUDNESS_LIMITS = (-1.5, 1.0)
QUIET = -0.95                 # below this loudness a spectrum is not measured
CROSSOVER_HZ = 250.0
FAST_WINDOW, SLOW_WINDOW = 256, 1536

REACH = 1.5                   # where normalised values end
BAND_POWER = 0.23             # specific loudness of a band is its power to this exponent
BAND_FLOOR = 1e-7             # of all power, in every band
BIN_FLOOR, SILENT_POWER = 1e-9, 1e-12
BAND_STEP_BARK, LAST_BARK = 0.5, 24.0


def loudness_to_db(value):
    """Level in dB (mean square, full scale 1 = 0 dB) of a loudness value on the [-1, 1] scale."""
    return LOUDNESS_ZERO_DB + LOUDNESS_DB_PER_UNIT * value


def db_to_loudness(level_db):
    """Inverse of `loudness_to_db`."""
    return (level_db - LOUDNESS_ZERO_DB) / LOUDNESS_DB_PER_UNIT


def bark(hertz):
    """Critical-band rate in Bark (Traunmüller, "Analytical expressions for the tonotopic sensory scale", JASA 1990)."""
    return 26.81 * hertz / (1960 + hertz) - 0.53


def bin_hertz(window=WINDOW):
    """Frequencies of a spectrum's bins, float64 [window // 2 + 1]."""
    return np.fft.rfftfreq(window, 1 / RATE_HZ)


def bark_bands(window=WINDOW):
    """[bins, 49] matrix that sums spectrum bins into triangular half-Bark bands, and the bands' centres in Bark."""
    centres = np.arange(0, LAST_BARK + BAND_STEP_BARK, BAND_STEP_BARK)
    z = bark(bin_hertz(window))
    weights = np.clip(1 - np.abs(z[:, None] - centres[None]) / BAND_STEP_BARK, 0, None)
    weights[z > centres[-1], -1] = 1
    weights[0] = 0
    return weights, centres


def band_weights(centres):
    """What a band's specific loudness counts for sharpness (DIN 45692's weighting times Bark) and for booming."""
    sharp = np.where(centres < 15.8, 1.0, 0.15 * np.exp(np.minimum(0.42 * (centres - 15.8), 10)) + 0.85)
    return 0.11 * sharp * centres, np.clip((5 - centres) / 3, 0, 1)
