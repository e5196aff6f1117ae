"""Harmonicity where the pitch is known: the power of the harmonics over that of all else, differentiable, in torch."""

import torch
from torch.nn import functional as F

from ..layout import C4_HERTZ
from .tables import HOP, RATE_HZ

#: Samples of a window, and the lowest fundamental it tells apart.
WINDOWS = ((2048, 150.0), (4096, 75.0), (8192, 0.0))
LIMITS_DB = (-20.0, 30.0)
LOBE_BINS, VIBRATO = 2.0, 0.01      # to either side of a harmonic: a Hann window's main lobe, and 1 % of its frequency
PARTIALS = 80


def harmonicity_db(audio, pitch, stride=4, hop=HOP):
    """Harmonicity in dB, from -20 to 30, of sounds of known pitch; frame k describes sample hop·(stride·k + 1).

    audio: [batch, samples]; pitch: octaves above C4 [batch, frames], at those frames. The gradient reaches the audio, not
    the pitch. What the noise between the harmonics puts into their bands is taken off them. Every frame's window is the
    shortest that parts its harmonics: 43 ms, 85 below 150 Hz, 171 below 75 Hz. Returns [batch, frames].
    """
    pitch = torch.as_tensor(pitch, dtype=audio.dtype, device=audio.device)
    hertz, step = (C4_HERTZ * torch.exp2(pitch)).clamp(16.0, RATE_HZ / 2), hop * stride
    frames, upper = hertz.shape[1], float("inf")
    out = torch.zeros_like(hertz)
    for window, low in WINDOWS:
        chosen = (hertz >= low) & (hertz < upper)
        upper = low
        if not chosen.any():
            continue
        half = window // 2
        padded = F.pad(audio, (half, max(0, hop + step * (frames - 1) + half - audio.shape[-1])))[:, hop:]
        pieces = padded.unfold(-1, window, step)[:, :frames][chosen]
        spectrum = torch.fft.rfft(pieces * torch.hann_window(window, device=audio.device))
        power = (spectrum.real ** 2 + spectrum.imag ** 2)[:, 1:]
        out = out.masked_scatter(chosen, _ratio_db(power, hertz[chosen][:, None], RATE_HZ / window))
    return out.clamp(*LIMITS_DB)


def _ratio_db(power, hertz, bin_hz):
    """Of spectra [n, bins from the first on] with fundamentals [n, 1]: harmonic over other power, dB [n]."""
    place = bin_hz * torch.arange(1, power.shape[1] + 1, device=power.device, dtype=power.dtype)
    order = torch.round(place / hertz)
    width = torch.minimum(LOBE_BINS * bin_hz + VIBRATO * order * hertz, hertz / 3)
    inside = (((place - order * hertz).abs() <= width) & (order >= 1) & (order <= PARTIALS)).to(power.dtype)
    beside = ((order >= 1) & (order <= PARTIALS)).to(power.dtype) - inside
    floor = (power * beside).sum(1) / beside.sum(1).clamp(min=1)
    tone = ((power * inside).sum(1) - floor * inside.sum(1)).clamp(min=1e-12)
    return 10 * torch.log10(tone / (power.sum(1) - tone).clamp(min=1e-12))
