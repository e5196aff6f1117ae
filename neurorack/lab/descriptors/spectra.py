"""Loudness (time domain) and the four spectral descriptors, differentiable, in torch. Definitions: see the package."""

import functools

import torch
from torch.nn import functional as F

from .tables import (BAND_FLOOR, BAND_POWER, BIN_FLOOR, CROSSOVER_HZ, FAST_WINDOW, HOP, RATE_HZ, SILENT_POWER, SLOW_WINDOW,
                     WINDOW, band_weights, bark_bands, bin_hertz)


@functools.cache
def bin_tables(device="cpu"):
    """Constant tensors on a device: bands [513, 49], sharp and boom [49], hertz [513], hann [1024]."""
    bands, centres = bark_bands()
    sharp, boom = band_weights(centres)
    arrays = {"bands": bands, "sharp": sharp, "boom": boom, "hertz": bin_hertz()}
    made = {name: torch.tensor(array, dtype=torch.float32, device=device) for name, array in arrays.items()}
    return made | {"hann": torch.hann_window(WINDOW, device=device)}


_TABLES = bin_tables(torch.device("cpu"))


def split_bands(audio):
    """Zero-phase low and high band at `CROSSOVER_HZ` whose powers add up to the whole's, each shaped like audio."""
    size = 1 << (audio.shape[-1] + 2048 - 1).bit_length()
    spectrum = torch.fft.rfft(audio, size)
    hertz = torch.arange(size // 2 + 1, dtype=audio.dtype, device=audio.device) * (RATE_HZ / size)
    low = 1 / (1 + (hertz / CROSSOVER_HZ) ** 8)
    return tuple(torch.fft.irfft(spectrum * share.sqrt(), size)[..., :audio.shape[-1]] for share in (low, 1 - low))


def _moving_power(audio, window, centres):
    """Mean of audio² over `window` samples around the centres; where the window leaves the clip, over what is inside."""
    summed = F.pad(torch.cumsum(audio.double() ** 2, -1), (1, 0))
    low = (centres - window // 2).clamp(0, audio.shape[-1] - 1)
    high = torch.maximum((centres + window // 2).clamp(0, audio.shape[-1]), low + 1)
    return ((summed.gather(-1, high) - summed.gather(-1, low)) / (high - low)).clamp(min=0).to(audio.dtype)


def loudness_at(audio, centres, hop=HOP):
    """Level in dB around given samples: as `loudness_db`, centres int64 [batch, frames] for audio [batch, samples]."""
    low, high = split_bands(audio)
    power = _moving_power(high, max(FAST_WINDOW, hop), centres) + _moving_power(low, max(SLOW_WINDOW, hop), centres)
    return 10 * torch.log10(power + SILENT_POWER)


def loudness_db(audio, frames=None, hop=HOP):
    """Level in dB per hop; frame k describes the end of hop k, sample hop·(k + 1).

    Above 250 Hz the mean square of 256 samples, which keeps an attack sharp, below it of 1536 samples, so that the
    curve of a low drum does not ripple at twice its pitch; of a hop where that is longer. Windows are cut at the clip's
    edges and divided by what is left: a clip that starts with its onset is loud from frame 0 on.

    audio: [..., samples]. Returns [..., frames], frames = samples // hop unless given.
    """
    frames = audio.shape[-1] // hop if frames is None else frames
    centres = hop * torch.arange(1, frames + 1, device=audio.device)
    return loudness_at(audio, centres.expand(*audio.shape[:-1], frames), hop)


def spectral(audio, frames, stride=1, first=None, hop=HOP):
    """Centroid, bandwidth, sharpness and booming in their physical units.

    audio: [batch, samples]; the window of frame k is centred on sample `first + hop·stride·k` (first: one hop), zeros
    beyond the clip. Returns [batch, frames, 4]. Scale-free; in silence the values are defined (no NaN) but mean nothing.
    """
    first = hop if first is None else first
    step, half = hop * stride, WINDOW // 2
    right = max(0, first + step * (frames - 1) + half - audio.shape[-1])
    padded = F.pad(audio, (half, right))[:, first:]
    windows = padded.unfold(-1, WINDOW, step)[:, :frames]
    t = bin_tables(audio.device)
    spectrum = torch.fft.rfft(windows * t["hann"])
    power = spectrum.real ** 2 + spectrum.imag ** 2
    power = power * (t["hertz"] > 0)
    power = power + BIN_FLOOR * power.mean(-1, keepdim=True) + SILENT_POWER
    return spectral_from_power(power)


def spectral_from_power(power):
    """The four spectral descriptors of power spectra [..., 513] (1024-sample window, 48 kHz). Returns [..., 4]."""
    t = bin_tables(power.device)
    magnitude = power.sqrt()
    total = magnitude.sum(-1)
    centroid = (magnitude @ t["hertz"]) / total
    spread = ((magnitude * (t["hertz"] - centroid[..., None]) ** 2).sum(-1) / total).clamp(min=1.0).sqrt()
    specific = (power @ t["bands"] + BAND_FLOOR * power.sum(-1, keepdim=True)) ** BAND_POWER
    whole = specific.sum(-1)
    return torch.stack((centroid.clamp(min=1.0).log2(), spread.log2(), (specific @ t["sharp"]) / whole,
                        (specific @ t["boom"]) / whole), -1)
