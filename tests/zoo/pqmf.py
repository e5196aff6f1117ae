"""A pseudo-QMF bank as streaming layers (Nguyen, "Near-perfect-reconstruction pseudo-QMF banks", 1994)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from neurorack.engine.filterbank import pqmf_bank

from .streaming import Conv, Hold


def flip_odd_bands(x):
    """Odd bands come out of the decimation upside down; every second frame's sign turns them. [batch, bands, frames]"""
    mask = torch.ones_like(x)
    mask[..., 1::2, ::2] = -1
    return x * mask


class Pqmf(nn.Module):
    """``split``: [batch, 1, frames] -> [batch, bands, frames / bands]; ``join``: the way back.

    ``polyphase`` splits by a reshape and a short convolution, else by one strided convolution; both give the same.
    Attenuation 100 dB takes 32 taps a band, 40 dB (BRAVE) 8.
    """

    def __init__(self, bands: int = 16, attenuation_db: float = 100.0, polyphase: bool = False, causal: bool = False):
        super().__init__()
        self.bands, self.polyphase = bands, polyphase
        self.taps = bands * (32 if attenuation_db > 70 else 8)
        bank = pqmf_bank(bands, attenuation_db, self.taps)  # [bands, taps]
        phases = bank[:, ::-1].reshape(bands, -1, bands)  # [band, frame, phase]
        analysis = np.ascontiguousarray(phases.transpose(0, 2, 1) if polyphase else bank[:, None, ::-1])
        synthesis = (bank[:, ::-1] * bands).reshape(bands, -1, bands)  # [band, frame, phase]
        synthesis = np.ascontiguousarray(synthesis[:, ::-1, ::-1].transpose(2, 0, 1))  # [phase backwards, band, frame]
        channels, stride = (bands, 1) if polyphase else (1, bands)
        self.analysis = Conv(channels, bands, analysis.shape[-1], stride=stride, bias=False, causal=causal)
        self.analysis.weight.data = torch.from_numpy(analysis)
        self.register_buffer("synthesis", torch.from_numpy(synthesis))
        self.hold = Hold(bands, self.taps // bands - 1)
        self.delay = self.taps // bands - 1  # of split and join together, in frames of the bands

    @torch.jit.export
    def split(self, x):
        if self.polyphase:
            x = x.reshape(x.shape[0], -1, self.bands).permute(0, 2, 1)
        return flip_odd_bands(self.analysis(x))

    @torch.jit.export
    def join(self, x):
        x = F.conv1d(self.hold(flip_odd_bands(x)), self.synthesis)
        x = torch.flip(x, [1]).permute(0, 2, 1)
        return x.reshape(x.shape[0], 1, -1)

    def forward(self, x):
        return self.join(self.split(x))
