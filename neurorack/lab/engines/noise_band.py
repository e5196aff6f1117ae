"""The noise-band engine: 64 bands of noise and sines on the semitones of A4 = 440 Hz.

Noise bands after Caillon and Esling's RAVE noise branch and Barahona-Ríos and Collins, "NoiseBandNet" (2023); sines
plus noise after Serra and Smith (1990) and Engel et al., "DDSP" (2020). The sines stand on semitones, so that what rings is in tune.
"""

import math

import numpy as np
import torch
from torch import nn

from ..descriptors import HOP, RATE_HZ
from . import base
from .base import Engine, Trunk, Waves

SINE_SECONDS = 4.0


def sine_hertz(first_key, count):
    """Frequencies of `count` semitones from MIDI key `first_key` on, A4 = 440 Hz. float64 [count]."""
    return 440.0 * 2 ** ((first_key - 69 + np.arange(count)) / 12)


def sine_table(hertz, seconds=0.0, hops=0):
    """Sines float32 [n, hops·64] of `hops` hops, or of whole hops within `seconds`.

    Steps are rounded to 2^-32 turns a sample and the first sample is one step after phase 0, as in the engine.
    """
    step = np.rint(np.asarray(hertz, np.float64) / RATE_HZ * 2.0 ** 32) / 2.0 ** 32
    hops = hops or int(seconds * RATE_HZ) // HOP
    return np.sin(2 * np.pi * ((step[:, None] * np.arange(1, hops * HOP + 1)) % 1)).astype(np.float32)


class NoiseBandEngine(Engine):
    """Causal trunk at the hop rate with a softmax over the powers of all bands and sines."""

    kind, history = "noise-band", Trunk.SPAN + 2

    def __init__(self, layout, width=104, bands=64, sines=96, first_key=28, conditioning="concatenate"):
        super().__init__(layout, width=width, bands=bands, sines=sines, first_key=first_key, conditioning=conditioning)
        self.bands, self.hertz = bands, sine_hertz(first_key, sines)
        self.net = Trunk(layout, width, conditioning)
        self.head = nn.Conv1d(width, bands + sines, 1)
        with torch.no_grad():
            self.head.weight.mul_(3.0)
            self.head.bias.zero_()
            self.head.bias[bands:] = -1.0
        scale = torch.cat((torch.ones(bands), torch.full((sines,), math.sqrt(2.0))))
        self.register_buffer("scale", scale, persistent=False)
        self.noise, self.waves = base.noise_waves(bands), Waves(sine_table(self.hertz, SINE_SECONDS))

    def shape(self, rows):
        """Amplitudes [batch, frames, bands + sines] for a frame level of 1 (RMS): bands²·1 + sines²/2 sum to 1."""
        logits = self.head(self.net(rows)).clamp(-base.LOGIT_LIMIT, base.LOGIT_LIMIT).transpose(1, 2)
        return torch.exp(0.5 * (logits - torch.logsumexp(logits, -1, keepdim=True))) * self.scale

    def amplitudes(self, rows):
        """Amplitudes [batch, frames, bands + sines] of rows; zero where loudness is at or below -1."""
        return self.shape(rows) * base.gain_of(rows[..., :1])

    def play(self, rows, rng):
        amplitudes = self.amplitudes(rows)[:, self.history - 1:]
        frames = amplitudes.shape[1] - 1
        places = int(rng.integers(self.noise.loop)), int(rng.integers(max(1, self.waves.loop - frames)))
        noise = self.noise.looped(amplitudes[..., :self.bands], places[0])
        return noise + self._sines(self.waves, amplitudes, places[1])

    def _sines(self, waves, amplitudes, first=0):
        frames = amplitudes.shape[1] - 1
        if first + frames > waves.loop:         # a long piece: a table of its own
            waves, first = Waves(sine_table(self.hertz, hops=frames)).to(amplitudes.device), 0
        return waves(amplitudes[..., self.bands:], slice(first, first + frames))

    def render(self, rows):
        amplitudes = base.from_rest(self.amplitudes(rows))
        return self.noise.looped(amplitudes[..., :self.bands]) + self._sines(self.waves, amplitudes)

    def decode_method(self):
        def build(b):
            rows = b.input()
            head = b.conv1d(self.net.build(b, rows), *base.arrays(self.head), act="clamp", a=-base.LOGIT_LIMIT, b=base.LOGIT_LIMIT)
            root = b.exp(b.affine(head, 0.5))
            gain = b.binary("mul", base.build_gain(b, rows), b.unary("rsqrt", b.sum(b.unary("square", root))))
            amplitudes = b.binary("mul", b.binary("mul", root, gain), self.scale.cpu().numpy())
            noise = b.noise_bands(amplitudes[:, :self.bands], b.generated(**base.noise_of(self.bands)), HOP)
            if len(self.hertz):
                noise = b.binary("add", noise, b.oscillators(amplitudes[:, self.bands:], self.hertz, RATE_HZ, HOP))
            b.output(noise)

        return build

    def latent_layers(self):
        return self.net.latent_layers()
