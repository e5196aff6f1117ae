"""The noise-band decoder and its encoder, in torch, and the synthesis they are trained through.

The decoder turns rows of (loudness, centroid, bandwidth, sharpness, booming, z0…z7), one per hop of 64 samples, into
amplitudes of 64 noise bands and 96 fixed sines. The net only decides their *shape*: squared amplitudes come out of a
softmax, scaled so that the expected level of a frame is 1; the loudness input is applied behind it as a gain.
So loudness follows its input by construction, within one hop, and at -1 or below the sound is exactly zero. The sines
stand on the semitones of A4 = 440 Hz, so that what rings is in tune.

Noise bands after Caillon and Esling's RAVE noise branch and Barahona-Ríos and Collins, "NoiseBandNet" (2023); sines
plus noise after Serra and Smith (1990) and Engel et al., "DDSP" (2020).
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .descriptors import HOP, LOUDNESS_DB_PER_UNIT, LOUDNESS_ZERO_DB, NAMES, RATE_HZ, WINDOW, _TABLES

LATENTS = 8
INPUTS = len(NAMES) + LATENTS
LOG_PER_UNIT = LOUDNESS_DB_PER_UNIT * math.log(10) / 20
LOG_AT_ZERO = LOUDNESS_ZERO_DB * math.log(10) / 20
FLOOR_GAIN = 1.0001 * math.exp(LOG_AT_ZERO - LOG_PER_UNIT)     # taken off every gain: -1 is silence
SLOPE = 0.1                 # of the leaky ReLU
LOGIT_LIMIT = 30.0
DILATIONS = (1, 2, 4, 8, 1)
HISTORY = 2 * (1 + sum(DILATIONS))   # rows before the present one that can still be heard


def sine_hertz(first_key, count):
    """Frequencies of `count` semitones from MIDI key `first_key` on, A4 = 440 Hz. float64 [count]."""
    return 440.0 * 2 ** ((first_key - 69 + np.arange(count)) / 12)


def gain_of(loudness):
    """Linear RMS of a loudness value; 0 at or below -1, highest at 1 (inputs beyond are held)."""
    return (torch.exp(LOG_PER_UNIT * loudness.clamp(-2, 1) + LOG_AT_ZERO) - FLOOR_GAIN).clamp(min=0)


class Decoder(nn.Module):
    """Causal trunk at the hop rate with a softmax over the powers of all bands and sines.

    forward: rows [batch, frames, INPUTS] → amplitudes [batch, frames, bands + sines]. Each row depends on itself and
    on the `HISTORY` rows before it, zeros before the first.
    """

    def __init__(self, width=104, bands=64, sines=96):
        super().__init__()
        self.width, self.bands, self.sines = width, bands, sines
        self.entry = nn.Conv1d(INPUTS, width, 3)
        self.trunk = nn.ModuleList(nn.Conv1d(width, width, 3, dilation=d) for d in DILATIONS)
        self.head = nn.Conv1d(width, bands + sines, 1)
        with torch.no_grad():
            self.head.weight.mul_(3.0)
            self.head.bias.zero_()
            self.head.bias[bands:] = -1.0
        self.register_buffer("scale", torch.cat((torch.ones(bands), torch.full((sines,), math.sqrt(2.0)))))

    def shape(self, rows):
        """Amplitudes for a frame level of 1 (RMS): bands²·1 + sines²/2 sum to 1."""
        x = rows.transpose(1, 2)
        x = torch.cat((x[:, :5].clamp(-1.5, 1.5), x[:, 5:]), 1)
        x = F.leaky_relu(self.entry(F.pad(x, (2, 0))), SLOPE)
        for layer, dilation in zip(self.trunk, DILATIONS):
            x = x + F.leaky_relu(layer(F.pad(x, (2 * dilation, 0))), SLOPE)
        logits = self.head(x).clamp(-LOGIT_LIMIT, LOGIT_LIMIT).transpose(1, 2)
        return torch.exp(0.5 * (logits - torch.logsumexp(logits, -1, keepdim=True))) * self.scale

    def forward(self, rows):
        return self.shape(rows) * gain_of(rows[..., :1])


class Encoder(nn.Module):
    """One latent vector per clip, from half-Bark log spectra, by mean and maximum over time. Used in training only.

    forward: audio [batch, samples] from the onset on → (mean [batch, LATENTS], log variance, the same shape).
    """

    def __init__(self, width=64):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(49, width, 3, padding=1), nn.LeakyReLU(SLOPE),
                                    nn.Conv1d(width, width, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE),
                                    nn.Conv1d(width, width, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE))
        self.out = nn.Linear(2 * width, 2 * LATENTS)

    def forward(self, audio):
        spectrum = torch.stft(audio, WINDOW, 256, window=_TABLES["hann"], return_complex=True, pad_mode="constant")
        energy = torch.einsum("bft,fn->bnt", spectrum.abs() ** 2, _TABLES["bands"])
        energy = energy / (energy.amax((1, 2), keepdim=True) + 1e-9)
        heard = (energy.amax(1, keepdim=True) > 1e-6).float()
        x = self.layers(torch.log10(energy + 1e-6) / 3 + 1)
        heard = F.interpolate(heard, x.shape[-1], mode="nearest")
        mean = (x * heard).sum(-1) / (heard.sum(-1) + 1e-3)
        most = (x * heard - 10 * (1 - heard)).amax(-1).clamp(min=-5)
        return self.out(torch.cat((mean, most), -1)).chunk(2, -1)


class Synthesis:
    """Sum of noise bands and sines whose amplitudes go linearly from row to row, as the engine's operations do it.

    noise: float32 [bands, loop] unit-RMS loops; hertz: [sines]. `render` reads them at any place of the loop and any
    phase of the sines, which gives training its variety; both are shared by the batch. The sines' steps are rounded to
    2^-32 turns a sample and their first sample is one step after phase 0, as in the engine.
    """

    def __init__(self, noise, hertz, sine_seconds=4.0):
        noise = torch.as_tensor(np.asarray(noise), dtype=torch.float32)
        self.loop = noise.shape[1] // HOP
        step = np.rint(np.asarray(hertz, np.float64) / RATE_HZ * 2.0 ** 32) / 2.0 ** 32
        turns = step[:, None] * np.arange(1, int(sine_seconds * RATE_HZ) // HOP * HOP + 1)
        waves = torch.from_numpy(np.sin(2 * np.pi * (turns % 1)).astype(np.float32))
        by_hop = lambda table: table.reshape(table.shape[0], -1, HOP).permute(1, 2, 0).contiguous()
        self.noise, self.waves = by_hop(noise[:, :self.loop * HOP]), by_hop(waves)
        self.ramp = torch.arange(1, HOP + 1, dtype=torch.float32) / HOP

    def render(self, amplitudes, previous=None, noise_hop=0, sine_hop=0):
        """amplitudes [batch, frames, bands + sines], previous row [batch, 1, ·] (zeros if None) → audio [batch, frames·64].

        noise_hop, sine_hop: hops by which the noise loops and the sines are ahead.
        """
        batch, frames, _ = amplitudes.shape
        bands = self.noise.shape[2]
        previous = torch.zeros_like(amplitudes[:, :1]) if previous is None else previous
        rows = torch.cat((previous, amplitudes), 1).permute(1, 2, 0)
        noise = self.noise[(torch.arange(frames) + noise_hop) % self.loop]
        if frames + sine_hop > self.waves.shape[0]:
            raise ValueError(f"{frames} frames from hop {sine_hop} exceed the sine table of {self.waves.shape[0]} hops")
        waves = self.waves[sine_hop:sine_hop + frames]
        pair = torch.cat((rows[:-1], rows[1:]), 2)
        both = torch.bmm(noise, pair[:, :bands]) + torch.bmm(waves, pair[:, bands:])
        old, new = both[..., :batch], both[..., batch:]
        audio = old + (new - old) * self.ramp[None, :, None]
        return audio.permute(2, 0, 1).reshape(batch, frames * HOP)

    def random_render(self, amplitudes, rng):
        """`render` at a random place of the noise loops and phase of the sines."""
        spare = self.waves.shape[0] - amplitudes.shape[1]
        return self.render(amplitudes, noise_hop=int(rng.integers(self.loop)), sine_hop=int(rng.integers(spare)))


SCALES = (2048, 1024, 512, 256, 128)


def spectral_loss(audio, target):
    """Multi-scale spectral distance: relative L2 plus mean |Δlog magnitude|, summed over five windows (2048 … 128).

    Magnitudes are divided by √window, so that noise has the same level at every scale. The relative term's denominator
    has a floor and the logarithm an epsilon (noise at about -76 dB), so that silence cannot dominate.
    """
    total = audio.new_zeros(())
    for size in SCALES:
        window = torch.hann_window(size)
        scale = size ** -0.5
        a, b = (torch.stft(x, size, size // 4, window=window, return_complex=True, pad_mode="constant").abs() * scale
                for x in (audio, target))
        energy = (b ** 2).sum((1, 2)).sqrt()
        relative = ((a - b) ** 2).sum((1, 2)).clamp(min=1e-12).sqrt() / energy.clamp(min=0.3)
        total = total + relative.mean() + (torch.log(a + 1e-4) - torch.log(b + 1e-4)).abs().mean()
    return total
