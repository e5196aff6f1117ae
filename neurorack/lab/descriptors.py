"""The five descriptors a model of this project is steered by: loudness, centroid, bandwidth, sharpness, booming.

Loudness is measured in the time domain (`loudness_db`), the other four from one centred 1024-sample Hann spectrum per
frame (`spectral`), all differentiable in torch. `QuantileMap` brings the four to [-1, 1], loudness goes there by a
straight line in dB (`LOUDNESS_*`). Audio is float32 at 48 kHz, full scale 1.

Centroid and bandwidth are the usual magnitude-weighted moments (Peeters et al., "The Timbre Toolbox", JASA 2011), as
the base-2 logarithm of hertz. Sharpness follows Zwicker and Fastl, "Psychoacoustics" (2007), with the weighting of DIN
45692, on half-Bark bands with specific loudness E^0.23 and no spreading. Booming is the share of that specific
loudness below 2 to 5 Bark. The last two are our own simplifications: relative scales, not acum.
"""

import numpy as np
import torch
from torch.nn import functional as F

RATE_HZ = 48000
HOP = 64
WINDOW = 1024
NAMES = ("loudness", "centroid", "bandwidth", "sharpness", "booming")
UNITS = ("dB", "log2 Hz", "log2 Hz", "relative", "share")
SPECTRAL_NAMES = NAMES[1:]

LOUDNESS_ZERO_DB = -36.0      # level of the loudness value 0
LOUDNESS_DB_PER_UNIT = 30.0   # so -1 is -66 dB (exact silence in the decoder) and +1 is -6 dB
CROSSOVER_HZ = 250.0
FAST_WINDOW, SLOW_WINDOW = 256, 1536


def loudness_to_db(value):
    """Level in dB (mean square, full scale 1 = 0 dB) of a loudness value on the [-1, 1] scale."""
    return LOUDNESS_ZERO_DB + LOUDNESS_DB_PER_UNIT * value


def db_to_loudness(level_db):
    """Inverse of `loudness_to_db`."""
    return (level_db - LOUDNESS_ZERO_DB) / LOUDNESS_DB_PER_UNIT


def split_bands(audio):
    """Zero-phase low and high band at `CROSSOVER_HZ` whose powers add up to the whole's, each shaped like audio."""
    size = 1 << (audio.shape[-1] + 2048 - 1).bit_length()
    spectrum = torch.fft.rfft(audio, size)
    hertz = torch.arange(size // 2 + 1, dtype=audio.dtype, device=audio.device) * (RATE_HZ / size)
    low = 1 / (1 + (hertz / CROSSOVER_HZ) ** 8)
    return tuple(torch.fft.irfft(spectrum * share.sqrt(), size)[..., :audio.shape[-1]] for share in (low, 1 - low))


def _moving_power(audio, window, frames, first):
    """Mean of audio² over `window` samples around `first + HOP·k`; where the window leaves the clip, over what is inside."""
    summed = F.pad(torch.cumsum(audio.double() ** 2, -1), (1, 0))
    centre = first + HOP * torch.arange(frames, device=audio.device)
    low = (centre - window // 2).clamp(0, audio.shape[-1] - 1)
    high = torch.maximum((centre + window // 2).clamp(0, audio.shape[-1]), low + 1)
    return ((summed[..., high] - summed[..., low]) / (high - low)).clamp(min=0).to(audio.dtype)


def loudness_db(audio, frames=None):
    """Level in dB per hop of 64 samples; frame k describes the end of hop k, sample 64·(k + 1).

    Above 250 Hz the mean square of 256 samples, which keeps an attack sharp, below it of 1536 samples, so that the
    curve of a low drum does not ripple at twice its pitch. Windows are cut at the clip's edges and divided by what is
    left: a clip that starts with its onset is loud from frame 0 on.

    audio: [..., samples]. Returns [..., frames], frames = samples // 64 unless given.
    """
    frames = audio.shape[-1] // HOP if frames is None else frames
    low, high = split_bands(audio)
    power = _moving_power(high, FAST_WINDOW, frames, HOP) + _moving_power(low, SLOW_WINDOW, frames, HOP)
    return 10 * torch.log10(power + 1e-12)


def bark(hertz):
    """Critical-band rate in Bark (Traunmüller, "Analytical expressions for the tonotopic sensory scale", JASA 1990)."""
    return 26.81 * hertz / (1960 + hertz) - 0.53


def _bark_bands():
    """[513, 49] matrix that sums spectrum bins into triangular half-Bark bands, and the bands' centres in Bark."""
    centres = np.arange(0, 24.5, 0.5)
    z = bark(np.fft.rfftfreq(WINDOW, 1 / RATE_HZ))
    weights = np.clip(1 - np.abs(z[:, None] - centres[None]) / 0.5, 0, None)
    weights[z > centres[-1], -1] = 1
    weights[0] = 0
    return weights, centres


def _tables():
    weights, z = _bark_bands()
    sharp = np.where(z < 15.8, 1.0, 0.15 * np.exp(np.minimum(0.42 * (z - 15.8), 10)) + 0.85)
    boom = np.clip((5 - z) / 3, 0, 1)
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE_HZ)
    as_tensor = lambda array: torch.tensor(array, dtype=torch.float32)
    return {"bands": as_tensor(weights), "sharp": as_tensor(0.11 * sharp * z), "boom": as_tensor(boom),
            "hertz": as_tensor(hertz), "hann": torch.hann_window(WINDOW)}


_TABLES = _tables()


def spectral(audio, frames, stride=1, first=HOP):
    """Centroid, bandwidth, sharpness and booming in their physical units.

    audio: [batch, samples]; the window of frame k is centred on sample `first + 64·stride·k`, zeros beyond the clip.
    Returns [batch, frames, 4]. Scale-free; in silence the values are defined (no NaN) but mean nothing.
    """
    t = _TABLES
    step, half = HOP * stride, WINDOW // 2
    right = max(0, first + step * (frames - 1) + half - audio.shape[-1])
    padded = F.pad(audio, (half, right))[:, first:]
    windows = padded.unfold(-1, WINDOW, step)[:, :frames]
    spectrum = torch.fft.rfft(windows * t["hann"])
    power = spectrum.real ** 2 + spectrum.imag ** 2
    power = power * (t["hertz"] > 0)
    power = power + 1e-9 * power.mean(-1, keepdim=True) + 1e-12
    return spectral_from_power(power)


def spectral_from_power(power):
    """The four spectral descriptors of power spectra [..., 513] (1024-sample window, 48 kHz). Returns [..., 4]."""
    t = _TABLES
    magnitude = power.sqrt()
    total = magnitude.sum(-1)
    centroid = (magnitude @ t["hertz"]) / total
    spread = ((magnitude * (t["hertz"] - centroid[..., None]) ** 2).sum(-1) / total).clamp(min=1.0).sqrt()
    specific = (power @ t["bands"] + 1e-7 * power.sum(-1, keepdim=True)) ** 0.23
    whole = specific.sum(-1)
    return torch.stack((centroid.clamp(min=1.0).log2(), spread.log2(), (specific @ t["sharp"]) / whole,
                        (specific @ t["boom"]) / whole), -1)


class QuantileMap:
    """Piecewise-linear map of a value to [-1, 1] such that its distribution becomes uniform; invertible, differentiable.

    knots: [channels, 33] increasing values at the quantiles 0, 1/32 … 1. Beyond the ends it goes on with the slope of
    the end segments, up to ±1.5.
    """

    def __init__(self, knots):
        self.knots = torch.as_tensor(knots, dtype=torch.float32).contiguous()
        self.targets = torch.linspace(-1, 1, self.knots.shape[1])

    @classmethod
    def fit(cls, values, knots=33):
        """values: [n, channels], n ≥ knots."""
        table = np.quantile(np.asarray(values, np.float64), np.linspace(0.002, 0.998, knots), axis=0).T
        least = np.maximum(1e-6, 0.02 * (table[:, -1:] - table[:, :1]) / knots)
        for k in range(1, knots):     # strictly increasing: every slope stays finite
            table[:, k] = np.maximum(table[:, k], table[:, k - 1] + least[:, 0])
        return cls(table)

    def _segment(self, values, sources, goals):
        index = (torch.searchsorted(sources, values.detach().contiguous()) - 1).clamp(0, sources.shape[0] - 2)
        x0, x1, y0, y1 = sources[index], sources[index + 1], goals[index], goals[index + 1]
        return y0 + (values - x0) * (y1 - y0) / (x1 - x0)

    def forward(self, values):
        """values [..., channels] in physical units → [-1.5, 1.5]."""
        return torch.stack([self._segment(values[..., c], self.knots[c], self.targets)
                            for c in range(self.knots.shape[0])], -1).clamp(-1.5, 1.5)

    def inverse(self, unit):
        """unit [..., channels] in [-1.5, 1.5] → physical units."""
        return torch.stack([self._segment(unit[..., c], self.targets, self.knots[c])
                            for c in range(self.knots.shape[0])], -1)


def hold_quiet(unit, loudness):
    """Spectral curves with the frames too quiet to measure (loudness ≤ -0.95) replaced by the last measured ones.

    unit: [batch, frames, channels]; loudness: [batch, frames]. Frames before the first measured one get its values.
    """
    frames = torch.arange(loudness.shape[1])
    valid = loudness > -0.95
    last = torch.cummax(torch.where(valid, frames, -1), 1).values
    last = torch.where(last < 0, valid.float().argmax(1, keepdim=True), last)
    return torch.gather(unit, 1, last[..., None].expand_as(unit))


def curves(audio, quantiles):
    """The five normalised curves of clips that begin with their onset.

    audio: [batch, samples]. Returns [batch, samples // 64, 5]: loudness (below -1 in silence), then the four of
    `spectral` through `quantiles`, held where it is quiet.
    """
    frames = audio.shape[-1] // HOP
    loud = db_to_loudness(loudness_db(audio, frames)).clamp(-1.5, 1.0)
    unit = quantiles.forward(spectral(audio, frames))
    return torch.cat((loud[..., None], hold_quiet(unit, loud)), -1)


def crop_curves(audio, quantiles, starts, frames, history):
    """`curves` of crops only, at half the cost: measured every second frame, with straight lines between.

    starts: [batch] first frames of the crops. Returns [batch, history + frames, 5]; what lies before the onset of a
    clip has loudness -1.5 and zeros, as at rest.
    """
    margin = WINDOW // 2 // HOP
    loud = db_to_loudness(loudness_db(audio)).clamp(-1.5, 1.0)
    loud = F.pad(loud, (history, 1), value=-1.5)
    padded = F.pad(audio, ((history + margin) * HOP, (margin + 2) * HOP))
    length = history + frames
    crops = torch.stack([row[s * HOP:(s + length + 2 * margin + 2) * HOP] for row, s in zip(padded, starts)])
    unit = quantiles.forward(spectral(crops, length // 2 + 1, 2, (margin + 1) * HOP))
    unit = F.interpolate(unit.transpose(1, 2), size=2 * (length // 2) + 1, mode="linear", align_corners=True)
    loud = torch.stack([row[s:s + length] for row, s in zip(loud, starts)])
    unit = hold_quiet(unit.transpose(1, 2)[:, :length], loud)
    before = torch.arange(length)[None] < torch.as_tensor(history - np.asarray(starts))[:, None]
    return torch.cat((loud[..., None], unit.masked_fill(before[..., None], 0.0)), -1)
