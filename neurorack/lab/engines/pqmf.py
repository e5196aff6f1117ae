"""The engine's pseudo-QMF bank (`engine.filterbank`) as torch layers: audio in 16 bands at a sixteenth of its rate, and back.

Nguyen, "Near-perfect-reconstruction pseudo-QMF banks" (IEEE Trans. Signal Processing, 1994), is where the bank comes from; working in
its bands is what made convolutional decoders run in real time (Caillon and Esling, "RAVE", 2021).
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ...engine import filterbank

BANDS = 16


class Bank(nn.Module):
    """attenuation_db: stop band of the prototype; 60 gives 129 taps and reconstructs to 47 dB, 100 has 225 and 58 dB.

    Both directions are causal; together they are late by `delay` = taps - bands samples.
    """

    def __init__(self, attenuation_db=60.0, bands=BANDS):
        super().__init__()
        self.bank = filterbank.pqmf_bank(bands, attenuation_db)
        self.bands, self.delay = bands, self.bank.shape[1] - bands
        self.register_buffer("down", torch.from_numpy(filterbank.analysis_weights(self.bank)), persistent=False)
        self.register_buffer("up", torch.from_numpy(filterbank.synthesis_weights(self.bank)), persistent=False)

    @property
    def rows_back(self):
        """Rows of bands before the present one that a sample of `synthesis` can hear."""
        return -(-self.bank.shape[1] // self.bands) - 1

    def analysis(self, audio):
        """[batch, samples] → [batch, bands, samples / bands]; row k has heard the samples before bands·(k + 1)."""
        padded = F.pad(audio[:, None], (self.bank.shape[1] - self.bands, 0))
        return F.conv1d(padded, self.down, stride=self.bands)

    def synthesis(self, rows):
        """[batch, bands, frames] → [batch, frames·bands], silence before the first row."""
        return F.conv_transpose1d(rows, self.up, stride=self.bands)[:, 0, :rows.shape[2] * self.bands]


def reconstruction_db(bank, samples=16384, seed=1):
    """Level of white noise over the error that analysis and synthesis leave of it, in dB. A bank put together wrongly is below 0."""
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((1, samples)).astype(np.float32))
    back = bank.synthesis(bank.analysis(noise))[:, bank.delay:]
    error = back - noise[:, :back.shape[1]]
    inside = slice(bank.delay, None)
    return float(10 * torch.log10((noise[:, inside] ** 2).mean() / (error[:, inside] ** 2).mean()))
