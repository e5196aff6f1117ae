"""What the engines share: the contract, the gain behind the decoder, the causal trunk, bands of noise.

An engine turns rows (``lab.layout``) into sound. Noise-band and harmonic engines work at a hop of 64 samples and decide
only the *shape* of a frame: squared amplitudes come out of a softmax, scaled so that the expected level is 1; the
loudness input is applied behind it as a gain. So loudness follows its input by construction, within one hop, and at
-1 or below the sound is exactly zero.
"""

import functools
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ...engine import generate
from ..descriptors import HOP, LOUDNESS_DB_PER_UNIT, LOUDNESS_ZERO_DB, RATE_HZ
from ..layout import PITCH_LIMITS_OCTAVES

LOG_PER_UNIT = LOUDNESS_DB_PER_UNIT * math.log(10) / 20
LOG_AT_ZERO = LOUDNESS_ZERO_DB * math.log(10) / 20
FLOOR_GAIN = 1.0001 * math.exp(LOG_AT_ZERO - LOG_PER_UNIT)     # taken off every gain: -1 is silence
SLOPE = 0.1                 # of the leaky ReLU
LOGIT_LIMIT = 30.0
DILATIONS = (1, 2, 4, 8, 1)
UNIT_LIMIT = 1.5            # of descriptors on [-1, 1]
PITCH_SCALE = 0.5           # octaves to the trunk's input
CONDITIONINGS = ("concatenate", "film")
NOISE = {"kind": "erb_noise_bands", "bands": 64, "length": 65536, "sample_rate": RATE_HZ, "low_hz": 20.0, "high_hz": 20000.0,
         "seed": 1}


def gain_of(loudness):
    """Linear RMS of a loudness value; 0 at or below -1, highest at 1 (inputs beyond are held)."""
    return (torch.exp(LOG_PER_UNIT * loudness.clamp(-2, 1) + LOG_AT_ZERO) - FLOOR_GAIN).clamp(min=0)


def build_gain(b, rows):
    """`gain_of` the first column in the engine's operations, [rows, 1]."""
    level = b.exp(b.affine(b.clamp(rows[:, :1], -2.0, 1.0), LOG_PER_UNIT, LOG_AT_ZERO))
    return b.unary("relu", b.affine(level, 1.0, -FLOOR_GAIN))


def arrays(layer):
    """Weight and bias of a layer, as numpy arrays."""
    return layer.weight.detach().cpu().numpy(), layer.bias.detach().cpu().numpy()


class Engine(nn.Module):
    """An engine: rows [batch, frames, layout.width] → audio float32 [batch, frames·hop] at 48 kHz.

    Sub-classes set `kind`, `hop` and `history` (rows of the past that a row's sound may depend on), and define `play`,
    `render`, `decode_method`, `latent_layers`, `stream_module`; `settings` is what ``engines.make`` builds the same engine from.
    """

    kind, hop, history = "", HOP, 0
    loudness_weight = 0.0       # of loudness in the descriptor cycle: engines that set the level by construction need none

    def __init__(self, layout, **options):
        super().__init__()
        self.layout, self.options = layout, options

    @property
    def settings(self):
        """All that ``engines.make`` needs to build this engine again, without its weights."""
        return {"kind": self.kind, **self.options}

    def play(self, rows, rng):
        """Audio [batch, (frames - history)·hop] for training: random phases, random places in the noise (numpy `rng`)."""
        raise NotImplementedError

    def render(self, rows):
        """Audio [batch, frames·hop] from a fresh state, exactly what the exported program plays."""
        raise NotImplementedError

    def decode_method(self):
        """The builder function of the exported decode method."""
        raise NotImplementedError

    def latent_layers(self):
        """Linear or convolution layers that read rows of the layout's width; the latent is their last inputs."""
        raise NotImplementedError

    def stream_module(self):
        """A scriptable module, rows [1, width, frames] → audio [1, 1, frames·hop], that keeps its past in buffers."""
        raise NotImplementedError

    def change_latents(self, to_old, mean):
        """Fold a new basis of the latent into the weights: old latent = new @ `to_old` + `mean`. The sound stays the same."""
        first = len(self.layout.conditions)
        with torch.no_grad():
            for layer in self.latent_layers():
                weight = layer.weight[:, first:].clone()
                layer.weight[:, first:] = torch.einsum("oi...,ji->oj...", weight, to_old)
                layer.bias += torch.einsum("oi...,i->o", weight, mean)


class Reader(nn.Module):
    """A net that reads rows of a layout, held to their ranges, in torch and in the engine's operations.

    Widths are those of the weights, never kept beside them: a trimmed net has others than it was made with.
    """

    def __init__(self, layout):
        super().__init__()
        self.layout = layout

    def limited(self, rows):
        """Rows as the net reads them: descriptors held to their range, pitch scaled."""
        described, conditions = len(self.layout.described), len(self.layout.conditions)
        parts = [rows[..., :described].clamp(-UNIT_LIMIT, UNIT_LIMIT)]
        if self.layout.pitched:
            parts.append(rows[..., described:conditions].clamp(*PITCH_LIMITS_OCTAVES) * PITCH_SCALE)
        return torch.cat((*parts, rows[..., conditions:]), -1)

    def build_limited(self, b, rows):
        """`limited` in the engine's operations."""
        described, conditions = len(self.layout.described), len(self.layout.conditions)
        parts = [b.clamp(rows[:, :described], -UNIT_LIMIT, UNIT_LIMIT)]
        if self.layout.pitched:
            parts.append(b.affine(b.clamp(rows[:, described:conditions], *PITCH_LIMITS_OCTAVES), PITCH_SCALE))
        return b.concat([*parts, rows[:, conditions:]])


def film_layer(ins, width):
    """A layer from `ins` channels to scale and shift of `width` channels, at first near 1 and 0 whatever goes in."""
    layer = nn.Conv1d(ins, 2 * width, 1)
    nn.init.normal_(layer.weight, std=0.02)
    with torch.no_grad():
        layer.bias[:width], layer.bias[width:] = 1.0, 0.0
    return layer


class Trunk(Reader):
    """Causal convolution net at the hop rate. forward: rows [batch, frames, layout.width] → [batch, width, frames].

    Each row depends on itself and on the `SPAN` rows before it, zeros before the first. Conditioning: rows go in at the
    entry ("concatenate"), or scale and shift every block besides ("film": Perez et al., 2018).
    """

    SPAN = 2 * (1 + sum(DILATIONS))

    def __init__(self, layout, width, conditioning="concatenate"):
        super().__init__(layout)
        self.film = conditioning == "film"
        self.entry = nn.Conv1d(layout.width, width, 3)
        self.trunk = nn.ModuleList(nn.Conv1d(width, width, 3, dilation=d) for d in DILATIONS)
        if self.film:
            self.films = nn.ModuleList(film_layer(layout.width, width) for _ in DILATIONS)

    def forward(self, rows):
        x = self.limited(rows).transpose(1, 2)
        h = F.leaky_relu(self.entry(F.pad(x, (2, 0))), SLOPE)
        for k, (layer, dilation) in enumerate(zip(self.trunk, DILATIONS)):
            y = layer(F.pad(h, (2 * dilation, 0)))
            if self.film:
                scale, shift = self.films[k](x).chunk(2, 1)
                y = y * scale + shift
            h = h + F.leaky_relu(y, SLOPE)
        return h

    def latent_layers(self):
        """The layers that read the latent."""
        return [self.entry, *(self.films if self.film else ())]

    def build(self, b, rows):
        """`forward` in the engine's operations: a value [rows, layout.width] → [rows, width]."""
        x = self.build_limited(b, rows)
        h = b.conv1d(x, *arrays(self.entry), act="leaky_relu", a=SLOPE)
        for k, (layer, dilation) in enumerate(zip(self.trunk, DILATIONS)):
            if self.film:
                y = b.conv1d(h, *arrays(layer), dilation=dilation)
                h = b.binary("add", h, b.leaky_relu(build_film(b, y, b.conv1d(x, *arrays(self.films[k]))), SLOPE))
            else:
                h = b.conv1d(h, *arrays(layer), dilation=dilation, act="leaky_relu", a=SLOPE, residual=h)
        return h

    def live(self):
        """The same net as it streams, rows [batch, layout.width, frames] → [batch, width, frames]."""
        from .live import LiveTrunk

        return LiveTrunk(self)


def build_film(b, y, film):
    """y [rows, n] · film [rows, first n] + film [rows, last n] in the engine's operations."""
    return b.ternary("multiply_add", y, film[:, :y.channels], film[:, y.channels:])


def glided(sources, pair):
    """Sum over sources whose amplitudes go linearly over a hop.

    sources [frames, 64, n]; pair [frames, n, 2·m], the amplitudes at the hop's start, then at its end. Returns [frames, 64, m].
    """
    old, new = torch.bmm(sources, pair).chunk(2, 2)
    ramp = torch.arange(1, HOP + 1, dtype=old.dtype, device=old.device) / HOP
    return old + (new - old) * ramp[None, :, None]


def by_hops(waves):
    """Waveforms [n, samples] as a tensor float32 [hops, 64, n], whole hops only."""
    waves = torch.as_tensor(np.asarray(waves), dtype=torch.float32)
    hops = waves.shape[1] // HOP
    return waves[:, :hops * HOP].reshape(len(waves), hops, HOP).permute(1, 2, 0).contiguous()


class Waves(nn.Module):
    """A sum of waveforms known in advance: loops of noise bands, or sines of fixed frequencies. table: of `by_hops`.

    forward: amplitudes [batch, 1 + frames, n], the row before the first in front, `hops` [frames] the places in the
    table → audio [batch, frames·64].
    """

    def __init__(self, table):
        super().__init__()
        self.loop = len(table)
        self.register_buffer("table", table, persistent=False)

    def forward(self, amplitudes, hops):
        rows = amplitudes.permute(1, 2, 0)
        out = glided(self.table[hops], torch.cat((rows[:-1], rows[1:]), 2))
        return out.permute(2, 0, 1).reshape(amplitudes.shape[0], -1)

    def looped(self, amplitudes, first=0):
        """`forward` from hop `first` of the loop on."""
        frames = amplitudes.shape[1] - 1
        return self(amplitudes, (torch.arange(frames, device=amplitudes.device) + first) % self.loop)


def noise_of(bands):
    """The description of the table of noise bands, as the engine's generator takes it."""
    return NOISE | {"bands": bands}


@functools.lru_cache(maxsize=4)
def noise_table(bands):
    """The noise bands by hops; made once, because that takes its time."""
    return by_hops(generate.array(noise_of(bands)))


def from_rest(amplitudes):
    """Amplitudes [batch, frames, n] with a row of zeros in front, as at a fresh start."""
    return torch.cat((torch.zeros_like(amplitudes[:, :1]), amplitudes), 1)
