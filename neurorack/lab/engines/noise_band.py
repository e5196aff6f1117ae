"""The noise-band engine: 64 bands of noise and sines on the semitones of A4 = 440 Hz.

Noise bands after Caillon and Esling's RAVE noise branch and Barahona-Ríos and Collins, "NoiseBandNet" (2023); sines
plus noise after Serra and Smith (1990) and Engel et al., "DDSP" (2020). The sines stand on semitones, so that what rings is in tune.
"""

import functools
import math

import numpy as np
import torch
from torch import nn

from ..descriptors import HOP, RATE_HZ
from . import base
from .base import Engine, Waves
from .recurrent import make_trunk

SINE_SECONDS = 2.0


def sine_hertz(first_key, count):
    """Frequencies of `count` semitones from MIDI key `first_key` on, A4 = 440 Hz. float64 [count]."""
    return 440.0 * 2 ** ((first_key - 69 + np.arange(count)) / 12)


def sine_table(first_key, count, first, hops):
    """Sines of `sine_hertz` by hops from hop `first` on, float32 [hops, 64, count].

    Steps are rounded to 2^-32 turns a sample and the first sample is one step after phase 0, as in the engine.
    """
    step = np.rint(sine_hertz(first_key, count) / RATE_HZ * 2.0 ** 32) / 2.0 ** 32
    turns = (step[:, None] * np.arange(first * HOP + 1, (first + hops) * HOP + 1)) % 1
    return base.by_hops(np.sin(2 * np.pi * turns).astype(np.float32))


#: The table at the start, made once: it takes its time and memory.
first_sines = functools.lru_cache(maxsize=2)(sine_table)


class NoiseBandEngine(Engine):
    """A trunk (`recurrent.TRUNKS`) at the hop rate with a softmax over the powers of all bands and sines."""

    kind = "noise-band"

    def __init__(self, layout, width=104, bands=64, sines=96, first_key=28, conditioning="concatenate", trunk="convolution"):
        super().__init__(layout, width=width, bands=bands, sines=sines, first_key=first_key, conditioning=conditioning, trunk=trunk)
        self.bands, self.hertz = bands, sine_hertz(first_key, sines)
        self.net = make_trunk(trunk, layout, width, conditioning)
        self.history = self.net.SPAN + 2
        self.head = nn.Conv1d(width, bands + sines, 1)
        with torch.no_grad():
            self.head.weight.mul_(3.0)
            self.head.bias.zero_()
            self.head.bias[bands:] = -1.0
        scale = torch.cat((torch.ones(bands), torch.full((sines,), math.sqrt(2.0))))
        self.register_buffer("scale", scale, persistent=False)
        self.noise = Waves(base.noise_table(bands))
        self.waves = Waves(first_sines(first_key, sines, 0, int(SINE_SECONDS * RATE_HZ) // HOP))

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
        noise_at, first = int(rng.integers(self.noise.loop)), int(rng.integers(max(1, self.waves.loop - frames)))
        if frames > self.waves.loop:
            raise ValueError(f"{frames} frames exceed the table of sines, {self.waves.loop}: play shorter crops")
        sines = self.waves(amplitudes[..., self.bands:], slice(first, first + frames))
        return self.noise.looped(amplitudes[..., :self.bands], noise_at) + sines

    def render(self, rows):
        amplitudes = base.from_rest(self.amplitudes(rows))
        return self.noise.looped(amplitudes[..., :self.bands]) + self._sines(amplitudes[..., self.bands:])

    def _sines(self, amplitudes):
        """The sines from their start on, however long, made a table's length at a time."""
        parts, length = [], self.waves.loop
        for at in range(0, amplitudes.shape[1] - 1, length):
            part = amplitudes[:, at:at + length + 1]
            frames = part.shape[1] - 1
            waves = Waves(sine_table(self.options["first_key"], len(self.hertz), at, frames).to(part.device)) if at else self.waves
            parts.append(waves(part, slice(0, frames)))
        return torch.cat(parts, 1)

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

    def stream_module(self):
        from .live import LiveNoiseBand

        return LiveNoiseBand(self, RATE_HZ).eval()
