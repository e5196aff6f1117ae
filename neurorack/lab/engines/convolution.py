"""The convolutional engine: a causal decoder that makes 16 PQMF bands at 3 kHz from rows of controls, with noise at every stage.

After Caillon and Esling, "RAVE" (2021): transposed convolutions and dilated residual units in the bands of a pseudo-QMF bank; Caspe et
al., "Designing Neural Synthesizers for Low-Latency Interaction" (2025, BRAVE): causal layers and a ratio of 128 to 256 samples, so that
controls are heard at once; noise at every stage after Karras et al., "StyleGAN" (2019), because a plain net under constant controls
repeats itself every row, which is heard as a buzz; FiLM after Perez et al. (2018). Pitched layouts feed the harmonics of the asked pitch
through the same bank. Silence is exact: the level is led to zero at loudness -1 and below.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from ..layout import PITCH_LIMITS_OCTAVES
from ..recipe import RecipeError
from . import base
from .excitation import Excitation
from .pqmf import BANDS, Bank
from .streams import Causal, Glide, Noise, Streamed, Upsample

STRIDES = {128: (2, 2, 2), 256: (4, 2, 2), 512: (4, 4, 2), 1024: (4, 4, 4), 2048: (4, 4, 4, 2)}
TRUNK = {128: (1, 2, 4, 8), 256: (1, 2, 4), 512: (1, 2), 1024: (1,), 2048: ()}      # dilations at the rate of rows: some 45 to 90 ms of past
DILATIONS = (1, 3)          # of a stage's residual units
SLOPE = 0.2                 # of the leaky ReLU
NOISE_CHANNELS = 4
NOISE_BIAS = -3.0           # noise begins low: softplus(-3) = 0.05
PEAK = {"gain": 8.0, "gate": 1.0}     # where the sound is bent, before its level
GATE_SLOPE = 10.0           # the gate opens between loudness -1 and -0.9
LEVEL_BIAS, LEVEL_LIMITS = -3.0, (-12.0, 1.0)     # of the natural logarithm of the net's own level
LATENT_LIMIT = 32.0         # standard deviations
SEED = 0x5EED0000


class Stage(nn.Module):
    """Up by `stride`, then FiLM by the trunk, noise, residual units.

    forward: x [batch, ins, n], trunk [batch, channels, rows] → [batch, outs, n·stride]. per_row: its frames in a row. seed: 0 for no noise.
    """

    def __init__(self, ins, outs, stride, per_row, trunk, seed):
        super().__init__()
        self.up, self.slope = Upsample(ins, outs, stride), SLOPE
        self.film = Causal(trunk, 2 * outs) if trunk else None
        self.glide = Glide(2 * outs, per_row) if trunk else None
        self.noise = Noise(NOISE_CHANNELS, seed) if seed else None
        self.mix = Causal(NOISE_CHANNELS, outs) if seed else None
        self.wide = nn.ModuleList(Causal(outs, outs, 3, d) for d in DILATIONS)
        self.narrow = nn.ModuleList(Causal(outs, outs) for _ in DILATIONS)

    def follow(self):
        """What is not weights becomes as narrow as they are."""
        if self.film is not None:
            self.glide.widen(self.film.weight.shape[0])

    def forward(self, x, trunk):
        x = self.up(F.leaky_relu(x, self.slope))
        if self.film is not None and self.glide is not None:
            scale, shift = self.glide(self.film(trunk)).chunk(2, 1)
            x = x * (1 + scale) + shift
        if self.noise is not None and self.mix is not None:
            x = x + self.mix(self.noise(x, x.shape[2]))
        for wide, narrow in zip(self.wide, self.narrow):
            x = x + narrow(F.leaky_relu(wide(F.leaky_relu(x, self.slope)), self.slope))
        return x

    def build(self, b, x, trunk):
        """`forward` in the engine's operations."""
        x = b.conv_transpose1d(b.leaky_relu(x, SLOPE), *base.arrays(self.up), stride=self.up.stride)
        if self.film is not None:
            moved = b.glide(b.conv1d(trunk, *base.arrays(self.film)), x.rows // trunk.rows)
            x = b.ternary("multiply_add", x, b.affine(moved[:, :x.channels], 1.0, 1.0), moved[:, x.channels:])
        if self.noise is not None:
            x = b.conv1d(self.noise.build(b, x.rows), *base.arrays(self.mix), residual=x)
        for wide, narrow, dilation in zip(self.wide, self.narrow, DILATIONS):
            h = b.conv1d(b.leaky_relu(x, SLOPE), *base.arrays(wide), dilation=dilation, act="leaky_relu", a=SLOPE)
            x = b.conv1d(h, *base.arrays(narrow), residual=x)
        return x


class Net(Streamed):
    """All layers. forward: rows [batch, layout.width, frames] → audio [batch, 1, frames·ratio], scriptable (see `streams`)."""

    def __init__(self, layout, width, ratio, conditioning, noise, loudness, attenuation_db, harmonics):
        super().__init__()
        strides, bank, described = STRIDES[ratio], Bank(attenuation_db), len(layout.described)
        channels, per_row = width << len(strides), 1
        self.entry = Causal(layout.width, channels, 3)
        self.trunk = nn.ModuleList(Causal(channels, channels, 3, d) for d in TRUNK[ratio])
        self.stages = nn.ModuleList()
        for k, stride in enumerate(strides):
            per_row *= stride
            self.stages.append(Stage(channels >> k, channels >> k + 1, stride, per_row, channels if conditioning == "film" else 0,
                                     SEED + 1 + k if noise == "every" else 0))
        self.noise = Noise(BANDS, SEED) if noise != "none" else None
        self.excitation = Excitation(layout.column("pitch"), harmonics, ratio, bank) if layout.pitched else None
        self.head = Causal(width, BANDS * (1 + (noise != "none") + layout.pitched), 3)
        self.loud = Causal(width, 1, 3) if loudness == "gate" else None
        self.synthesis = Upsample(BANDS, 1, BANDS, weight=bank.up)
        self.gain = Glide(1, ratio)
        limits = torch.full((layout.width, 1), LATENT_LIMIT)
        limits[:described] = base.UNIT_LIMIT
        low, high, scale = -limits, limits.clone(), torch.ones(layout.width, 1)
        if layout.pitched:
            low[described], high[described] = PITCH_LIMITS_OCTAVES
            scale[described] = base.PITCH_SCALE
        for name, value in (("low", low), ("high", high), ("scale", scale)):
            self.register_buffer(name, value, persistent=False)
        self.peak: float = PEAK[loudness]
        self.gated: bool = loudness == "gate"
        self.slope, self.bands, self.noise_bias, self.gate_slope = SLOPE, BANDS, NOISE_BIAS, GATE_SLOPE
        self.level_bias, self.level_low, self.level_high = LEVEL_BIAS, *LEVEL_LIMITS
        self.log_per_unit, self.log_at_zero, self.floor_gain = base.LOG_PER_UNIT, base.LOG_AT_ZERO, base.FLOOR_GAIN

    def controls(self, rows):
        """The trunk at the rate of rows: [batch, layout.width, frames] → [batch, channels, frames]."""
        h = F.leaky_relu(self.entry(torch.maximum(torch.minimum(rows, self.high), self.low) * self.scale), self.slope)
        for layer in self.trunk:
            h = h + F.leaky_relu(layer(h), self.slope)
        return h

    def level(self, rows):
        """Linear gain [batch, 1, frames]: 0 at loudness -1 and below."""
        loudness = rows[:, :1]
        if self.gated:
            return ((loudness + 1) * self.gate_slope).clamp(0, 1)
        return (torch.exp(self.log_per_unit * loudness.clamp(-2, 1) + self.log_at_zero) - self.floor_gain).clamp(min=0)

    def sound(self, h, rows):
        """What follows the trunk: its result and the same rows → audio [batch, 1, frames·ratio]."""
        x = h
        for stage in self.stages:
            x = stage(x, h)
        x = F.leaky_relu(x, self.slope)
        heads = self.head(x).split(self.bands, 1)
        bands, at = heads[0], 1
        if self.noise is not None:
            bands = bands + F.softplus(heads[1] + self.noise_bias) * self.noise(bands, bands.shape[2])
            at = 2
        if self.excitation is not None:
            bands = bands + heads[at] * self.excitation(rows)
        if self.loud is not None:
            bands = bands * torch.exp((self.loud(x) + self.level_bias).clamp(self.level_low, self.level_high))
        return torch.tanh(self.synthesis(bands) * (1 / self.peak)) * self.gain(self.level(rows) * self.peak)

    def forward(self, rows):
        return self.sound(self.controls(rows), rows)

    def build(self, b):
        """`forward` in the engine's operations."""
        rows = b.input()
        across = lambda tensor: tensor.numpy().reshape(1, -1)
        x = b.binary("mul", b.binary("max", b.binary("min", rows, across(self.high)), across(self.low)), across(self.scale))
        h = b.conv1d(x, *base.arrays(self.entry), act="leaky_relu", a=SLOPE)
        for layer in self.trunk:
            h = b.conv1d(h, *base.arrays(layer), dilation=layer.dilation[0], act="leaky_relu", a=SLOPE, residual=h)
        y = h
        for stage in self.stages:
            y = stage.build(b, y, h)
        y = b.leaky_relu(y, SLOPE)
        heads = b.conv1d(y, *base.arrays(self.head))
        bands, at = heads[:, :BANDS], BANDS
        if self.noise is not None:
            power = b.softplus(b.affine(heads[:, at:at + BANDS], 1.0, NOISE_BIAS))
            bands, at = b.ternary("multiply_add", power, self.noise.build(b, heads.rows), bands), at + BANDS
        if self.excitation is not None:
            bands = b.ternary("multiply_add", heads[:, at:at + BANDS], self.excitation.build(b, rows), bands)
        if self.loud is not None:
            weight, bias = base.arrays(self.loud)
            bands = b.binary("mul", bands, b.exp(b.conv1d(y, weight, bias + LEVEL_BIAS, act="clamp", a=LEVEL_LIMITS[0], b=LEVEL_LIMITS[1])))
        sound = b.tanh(b.affine(b.conv_transpose1d(bands, *base.arrays(self.synthesis), stride=BANDS), 1 / self.peak))
        gate = b.clamp(b.affine(rows[:, :1], GATE_SLOPE, GATE_SLOPE), 0.0, 1.0) if self.gated else base.build_gain(b, rows)
        b.output(b.binary("mul", sound, b.glide(b.affine(gate, self.peak), self.synthesis.stride * y.rows // rows.rows)))


class ConvolutionEngine(base.Engine):
    """The engine of kind "convolution"; `hop` is its ratio.

    width: channels of the last stage, twice as many at each before. conditioning: "concatenate" (controls enter the first layer, as in
    RAVE and its descendants) or "film" (every stage besides). noise: at "every" stage, at the "last" (in the bands alone) or "none".
    loudness: "gain" (the net makes a sound of level about 1 that is brought to the asked level) or "gate" (the net makes the level
    itself, by a factor for all bands as in RAVE, and is shut off at rest). attenuation_db: of the bank. harmonics: of a pitched
    layout's excitation.
    """

    kind = "convolution"
    loudness_weight = 2.0

    def __init__(self, layout, width=24, ratio=256, conditioning="concatenate", noise="every", loudness="gain", attenuation_db=60.0,
                 harmonics=40):
        if ratio not in STRIDES:
            raise RecipeError(f"engine.ratio is {ratio}; it must be one of {', '.join(map(str, STRIDES))}")
        options = {"width": width, "ratio": ratio, "conditioning": conditioning, "noise": noise, "loudness": loudness,
                   "attenuation_db": attenuation_db, "harmonics": harmonics}
        super().__init__(layout, **options)
        self.net, self.hop = Net(layout, **options), ratio
        self.trunk_history = 2 * (1 + sum(TRUNK[ratio]))
        past, frame = (2 + self.net.synthesis.back) * BANDS + ratio, ratio
        for stride in STRIDES[ratio]:
            past += frame
            frame //= stride
            past += 2 * sum(DILATIONS) * frame
        self.history = self.trunk_history + -(-past // ratio)

    def play(self, rows, rng):
        """Training: noise comes from torch's generator, phases of the excitation from numpy's `rng`."""
        net, cut = self.net.modes(fresh=True), self.history - self.trunk_history
        if net.excitation is not None:
            net.excitation.draw(rng, len(rows), rows.device)
        rows = rows.transpose(1, 2)
        h = net.controls(rows)[:, :, self.trunk_history:]
        return net.sound(h, rows[:, :, self.trunk_history:])[:, 0, cut * self.hop:]

    def render(self, rows):
        with torch.no_grad():
            return self.net.modes()(rows.transpose(1, 2))[:, 0]

    def decode_method(self):
        return self.net.build

    def latent_layers(self):
        return [self.net.entry]

    def stream_module(self):
        return copy.deepcopy(self.net).eval().modes(streaming=True)
