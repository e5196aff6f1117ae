"""The framewise encoder: a latent for every few rows, as RAVE and its descendants C-RAVE and F-RAVE have it (Caillon and Esling, 2021)."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .descriptors import HOP
from .engines.base import arrays
from .engines.convolution import STRIDES
from .engines.pqmf import BANDS, Bank

SLOPE = 0.2                 # of the leaky ReLU
GRAIN = 1024                # samples that share a latent, 47 a second; a longer hop has one each row


class FrameEncoder(nn.Module):
    """Sound in PQMF bands through strided convolutions, each `GRAIN` samples one latent, held for its rows.

    hop: samples of a row, a ratio of the convolutional engine or 64. forward: audio [batch, frames·hop] → (mean
    [batch, frames, latents], log variance, the same shape); a latent has heard the sound up to the end of its grain.
    """

    framewise = True

    def __init__(self, latents=8, hop=256, width=16):
        super().__init__()
        self.latents, self.hop, self.hold = latents, hop, max(1, GRAIN // hop)
        self.settings = {"per": "frame", "size": latents, "hop": hop, "width": width}      # what `encoder.make` builds it from
        steps = STRIDES[hop][::-1] if hop in STRIDES else (hop // BANDS,)
        self.strides = (*steps, self.hold) if self.hold > 1 else steps
        self.bank = Bank()
        self.entry = nn.Conv1d(BANDS, width, 7)
        sizes = [min(width << k, 8 * width) for k in range(len(self.strides) + 1)]
        self.down = nn.ModuleList(nn.Conv1d(a, b, 2 * s, s) for a, b, s in zip(sizes, sizes[1:], self.strides))
        self.out = nn.Conv1d(sizes[-1], 2 * latents, 3)

    def forward(self, audio):
        frames = audio.shape[1] // self.hop
        spare = -frames % self.hold
        x = self.bank.analysis(F.pad(audio[:, :frames * self.hop], (spare * self.hop, 0)))
        x = self.entry(F.pad(x, (6, 0)))
        for layer, stride in zip(self.down, self.strides):
            x = layer(F.pad(F.leaky_relu(x, SLOPE), (stride, 0)))
        x = self.out(F.pad(F.leaky_relu(x, SLOPE), (2, 0)))
        return x.repeat_interleave(self.hold, 2)[:, :, spare:].transpose(1, 2).chunk(2, -1)

    def of_crops(self, audio, starts, history, frames):
        """Latents of the crops of clips [batch, samples] that begin `starts` hops of 64 into them, `history` rows earlier on.

        Returns (mean, log variance), [batch, history + frames, latents] each. What is outside a clip is silence.
        """
        begins = [int(start) * HOP - history * self.hop for start in np.asarray(starts)]
        before = max(0, -min(begins))
        length = (history + frames) * self.hop
        padded = F.pad(audio, (before, max(0, max(begins) + length - audio.shape[1])))
        return self(torch.stack([row[at + before:at + before + length] for row, at in zip(padded, begins)]))

    def change_latents(self, to_new, mean):
        """Give the latent in a new basis: new = (old - `mean`) @ `to_new`."""
        with torch.no_grad():
            count = self.latents
            self.out.weight[:count] = torch.einsum("oik,oj->jik", self.out.weight[:count].clone(), to_new)
            self.out.bias[:count] = (self.out.bias[:count] - mean) @ to_new

    @property
    def block_frames(self):
        """Block lengths of an exported method are multiples of this."""
        return self.hop * self.hold

    def build(self, b, audio=None):
        """The means in the engine's operations: sound [samples, 1] (the method's input unless given) → [samples / hop, latents]."""
        audio = b.input() if audio is None else audio
        x = b.conv1d(audio, self.bank.down.cpu().numpy(), stride=BANDS)
        x = b.conv1d(x, *arrays(self.entry))
        for layer, stride in zip(self.down, self.strides):
            x = b.conv1d(b.leaky_relu(x, SLOPE), *arrays(layer), stride=stride)
        weight, bias = arrays(self.out)
        return b.hold(b.conv1d(b.leaky_relu(x, SLOPE), weight[:self.latents], bias[:self.latents]), self.hold)

    def encode_method(self):
        """The builder function of a method audio → latents, in_ratio 1, out_ratio `hop`."""
        return lambda b: b.output(self.build(b))
