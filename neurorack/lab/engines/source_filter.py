"""The source-filter engine: dilated convolutions at the sample rate shape an excitation, steered by the rows.

After Wang, Takaki and Yamagishi, "Neural Source-Filter Waveform Models for Statistical Parametric Speech Synthesis" (2019):
harmonics of the asked pitch plus noise (without a pitch: noise) go through blocks of causal dilated convolutions, and
each block adds to one signal. What a layer does is scaled and shifted by the rows (Perez et al., "FiLM", 2018), on straight
lines from row to row, so that constant controls leave no trace of the hop. Loudness is a gain behind it: -1 is exact silence.
"""

import copy

import torch
from torch import nn

from ..descriptors import HOP
from . import base
from .excitation import Tones
from .recurrent import make_trunk
from .streams import Causal, Glide, Noise, Streamed

TAPS = 3
TRUNK_WIDTHS = 4            # times the width: channels of the trunk
PEAK = 8.0                  # where the sound is bent, before its level
SEED = 0x50FC0000


class Film(nn.Module):
    """x [batch, n, frames·64] scaled and shifted by the trunk [batch, ins, frames]."""

    def __init__(self, ins, channels):
        super().__init__()
        self.film, self.glide = Causal(ins, 2 * channels), Glide(2 * channels, HOP)
        self.film.load_state_dict(base.film_layer(ins, channels).state_dict(), strict=False)

    def follow(self):
        """What is not weights becomes as narrow as they are."""
        self.glide.widen(self.film.weight.shape[0])

    def forward(self, x, trunk):
        scale, shift = self.glide(self.film(trunk)).chunk(2, 1)
        return torch.addcmul(shift, x, scale)

    def build(self, b, x, trunk):
        """`forward` in the engine's operations."""
        return base.build_film(b, x, b.glide(b.conv1d(trunk, *base.arrays(self.film)), HOP))


class Layer(nn.Module):
    """A dilated convolution, scaled and shifted by the trunk, bent, and added to what went in. [batch, channels, frames·64]."""

    def __init__(self, channels, dilation, ins):
        super().__init__()
        self.wide, self.film, self.narrow = Causal(channels, channels, TAPS, dilation), Film(ins, channels), Causal(channels, channels)

    def forward(self, x, trunk):
        return x + self.narrow(torch.tanh(self.film(self.wide(x), trunk)))

    def build(self, b, x, trunk):
        """`forward` in the engine's operations."""
        y = b.tanh(self.film.build(b, b.conv1d(x, *base.arrays(self.wide), dilation=self.wide.dilation[0]), trunk))
        return b.conv1d(y, *base.arrays(self.narrow), residual=x)


class Block(nn.Module):
    """x [batch, ins, frames·64] → what is added to the signal, [batch, 1, frames·64]."""

    def __init__(self, ins, channels, layers, trunk):
        super().__init__()
        self.entry, self.film = Causal(ins, channels), Film(trunk, channels)
        self.layers = nn.ModuleList(Layer(channels, 1 << k, trunk) for k in range(layers))
        self.leave = Causal(channels, 1)

    def forward(self, x, trunk):
        x = self.film(self.entry(x), trunk)
        for layer in self.layers:
            x = layer(x, trunk)
        return self.leave(x)

    def build(self, b, x, trunk, signal):
        """`forward` in the engine's operations, the signal so far added where there is one."""
        x = self.film.build(b, b.conv1d(x, *base.arrays(self.entry)), trunk)
        for layer in self.layers:
            x = layer.build(b, x, trunk)
        return b.conv1d(x, *base.arrays(self.leave), residual=signal)


class Filter(Streamed):
    """All that runs at the sample rate. forward: trunk [batch, ins, frames], rows [batch, layout.width, frames] →
    audio [batch, 1, frames·64]; scriptable (see `streams`)."""

    def __init__(self, layout, trunk, width, layers, blocks, harmonics):
        super().__init__()
        self.tones = Tones(layout.column("pitch"), harmonics, HOP) if layout.pitched else None
        self.noise = Noise(1, SEED)
        first = 1 + layout.pitched
        self.blocks = nn.ModuleList(Block(1 if k else first, width, layers, trunk) for k in range(blocks))
        self.gain = Glide(1, HOP)
        self.hop, self.peak = HOP, PEAK
        self.log_per_unit, self.log_at_zero, self.floor_gain = base.LOG_PER_UNIT, base.LOG_AT_ZERO, base.FLOOR_GAIN

    def level(self, rows):
        """Linear gain [batch, 1, frames]: 0 at loudness -1 and below."""
        return (torch.exp(self.log_per_unit * rows[:, :1].clamp(-2, 1) + self.log_at_zero) - self.floor_gain).clamp(min=0)

    def forward(self, trunk, rows):
        x = self.noise(rows, rows.shape[2] * self.hop)
        if self.tones is not None:
            x = torch.cat((self.tones(rows), x), 1)
        signal = torch.zeros(1)
        for block in self.blocks:
            signal = block(x, trunk) + signal.to(x.device)
            x = signal
        return torch.tanh(signal * (1 / self.peak)) * self.gain(self.level(rows) * self.peak)

    def build(self, b, trunk, rows):
        """`forward` in the engine's operations."""
        x, signal = self.noise.build(b, rows.rows * HOP), None
        if self.tones is not None:
            x = b.concat([self.tones.build(b, rows), x])
        for block in self.blocks:
            x = signal = block.build(b, x, trunk, signal)
        sound = b.tanh(b.affine(signal, 1 / PEAK))
        return b.binary("mul", sound, b.glide(b.affine(base.build_gain(b, rows), PEAK), HOP))


class Live(nn.Module):
    """The engine as it streams: rows [batch, width of the layout, frames] → audio [batch, 1, frames·64]."""

    def __init__(self, engine):
        super().__init__()
        self.trunk, self.filter = engine.net.live(), copy.deepcopy(engine.filter).modes(streaming=True)

    def forward(self, rows):
        return self.filter(self.trunk(rows), rows)


class SourceFilterEngine(base.Engine):
    """The engine of kind "source-filter".

    width: channels at the sample rate, a quarter of the trunk's. layers: of a block, dilations 1, 2, 4 … harmonics: of a
    pitched layout's excitation. trunk, conditioning: of the net at the hop rate, as for the other engines.
    """

    kind = "source-filter"
    loudness_weight = 2.0

    def __init__(self, layout, width=16, layers=8, blocks=2, harmonics=40, trunk="convolution", conditioning="concatenate"):
        super().__init__(layout, width=width, layers=layers, blocks=blocks, harmonics=harmonics, trunk=trunk, conditioning=conditioning)
        self.net = make_trunk(trunk, layout, TRUNK_WIDTHS * width, conditioning)
        self.filter = Filter(layout, TRUNK_WIDTHS * width, width, layers, blocks, harmonics)
        past = blocks * (TAPS - 1) * ((1 << layers) - 1)
        self.history = self.net.SPAN + 1 + -(-past // HOP)

    def play(self, rows, rng):
        """Training: noise comes from torch's generator, phases of the excitation from numpy's `rng`."""
        parts, first = self.filter.modes(fresh=True), self.net.SPAN
        if parts.tones is not None:
            parts.tones.draw(rng, len(rows), rows.device)
        trunk = self.net(rows)[:, :, first:]
        return parts(trunk, rows[:, first:].transpose(1, 2))[:, 0, (self.history - first) * HOP:]

    def render(self, rows):
        with torch.no_grad():
            return self.filter.modes()(self.net(rows), rows.transpose(1, 2))[:, 0]

    def decode_method(self):
        def build(b):
            rows = b.input()
            b.output(self.filter.build(b, self.net.build(b, rows), rows))

        return build

    def latent_layers(self):
        return self.net.latent_layers()

    def stream_module(self):
        return Live(self).eval()
