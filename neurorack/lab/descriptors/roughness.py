"""Roughness: how strongly a sound's critical bands beat 20 to 200 times a second, in asper, differentiable, in torch.

A shortened form of Daniel and Weber, "Psychoacoustical roughness: implementation of an optimized model" (Acustica 83, 1997):
47 bands half a Bark apart with the slopes of masking, the depth of each band's envelope after a band-pass around 70 Hz, and
the product of neighbours that beat together. The slopes do not depend on level here, so neither does the roughness.
"""

import functools

import numpy as np
import torch

from .tables import RATE_HZ, bark

FRAME = 9600                      # 200 ms
DECIMATED = 1200                  # envelope samples of a frame: 6 kHz
CENTRES = np.arange(1, 48) / 2
BELOW_DB, ABOVE_DB = 27.0, 11.0   # per Bark: a component's slopes towards lower and higher bands
DEEPEST = 1.0
BARK = 2                          # bands of half a Bark
CALIBRATION = 0.0925                # so that 1 kHz, fully modulated at 70 Hz, has 1 asper
#: How much a band counts: Aures ("Ein Berechnungsverfahren der Rauhigkeit", Acustica 58, 1985), raised above 9 Bark for the fixed slopes.
WEIGHTS = ((0, 1, 2.5, 4.9, 6.5, 8, 9, 10, 11, 13, 17.5, 21, 24), (0, 0.35, 0.7, 0.7, 1.1, 1.25, 1.3, 1.3, 1.25, 0.92, 0.73, 0.67, 0.54))
#: The most effective rate of beating, in Hz, over Bark.
BEST_RATE = ((0.5, 2, 5, 10, 16, 24), (25.0, 30.0, 50.0, 70.0, 70.0, 60.0))


@functools.cache
def _bands(device):
    """Gains [47, bins] of the bands, weights [47], and the weight [47, envelope bins] of rates of beating."""
    z = bark(np.fft.rfftfreq(FRAME, 1 / RATE_HZ))
    away = CENTRES[:, None] - z[None]                     # above 0: the band lies above the component
    slope = np.where(away > 0, ABOVE_DB, BELOW_DB) * np.maximum(np.abs(away) - 0.5, 0)
    gains = 10 ** (-slope / 20) * (slope < 60)
    gains[:, 0] = 0
    rate = np.fft.rfftfreq(DECIMATED, FRAME / DECIMATED / RATE_HZ)[None] / np.interp(CENTRES, *BEST_RATE)[:, None]
    passed = np.where(rate < 1, (rate * np.exp(1 - rate)) ** 2.2, (rate * np.exp(1 - rate)) ** 0.45)
    passed[:, 0] = 0
    as_tensor = lambda array: torch.tensor(array, dtype=torch.float32, device=device)
    return as_tensor(gains), as_tensor(np.interp(CENTRES, *WEIGHTS)), as_tensor(passed)


def roughness_asper(audio):
    """Roughness in asper of each 200 ms, half overlapping; audio [batch, samples ≥ 9600] → [batch, frames]. Silence has none."""
    gains, weights, passed = _bands(audio.device)
    pieces = audio.unfold(-1, FRAME, FRAME // 2) * torch.blackman_window(FRAME, device=audio.device)
    spectrum = torch.fft.rfft(pieces)[..., None, :] * gains
    one_sided = torch.nn.functional.pad(spectrum, (0, FRAME - spectrum.shape[-1]))
    envelope = torch.fft.ifft(one_sided).abs()[..., ::FRAME // DECIMATED]
    mean = envelope.mean(-1, keepdim=True)
    beating = torch.fft.irfft(torch.fft.rfft(envelope) * passed, DECIMATED)
    depth = (beating.square().mean(-1) + 1e-14).sqrt() / (mean[..., 0] + 1e-6)
    depth = depth.clamp(max=DEEPEST)
    alike = _alike(beating)
    ones = torch.ones_like(alike[..., :BARK])
    neighbours = torch.cat((ones, alike), -1) * torch.cat((alike, ones), -1)
    return CALIBRATION * ((weights * depth * neighbours) ** 2).sum(-1)


def _alike(beating):
    """Correlation, at least 0, of each band's beating with that of the band a Bark higher, [..., 45]."""
    a, b = beating[..., :-BARK, :], beating[..., BARK:, :]
    shared = (a * b).mean(-1) / ((a.square().mean(-1) * b.square().mean(-1)).sqrt() + 1e-14)
    return shared.clamp(min=0)
