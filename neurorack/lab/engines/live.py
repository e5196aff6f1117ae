"""The noise-band and harmonic engines as scriptable modules that go on from call to call, for export to TorchScript.

They play what the engine's program plays: the same loops of noise, the same phases. Phases are whole 2^-32 turns, kept in
float32 as two limbs of 16 bits (`high` counts 2^-16 turns, `low` 2^-32 turns): every sum and product stays a whole number below
2^24 and so exact, here and in whatever single precision the file is lifted into.
"""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

from ..descriptors import HOP
from ..layout import HARMONICITY_DB_PER_UNIT, HARMONICITY_ZERO_DB, PITCH_LIMITS_OCTAVES
from . import base
from .streams import Causal, joined

LIMB = 65536.0
MOST_ROWS = 128             # worked on at a time: sums of limbs stay below 2^24


def normal(high: torch.Tensor, low: torch.Tensor, limb: float = LIMB):
    """Limbs brought to 0 … 65535 each, whole turns left out."""
    carry = torch.floor(low / limb)
    high = high + carry
    return high - limb * torch.floor(high / limb), low - limb * carry


def sine(high: torch.Tensor, low: torch.Tensor, limb: float = LIMB):
    """Sine of a phase in limbs."""
    return torch.sin((high / limb + low / (limb * limb)) * (2.0 * math.pi))


def copied(layer):
    """A streaming copy of a convolution, as wide as its weights."""
    outs, ins, taps = layer.weight.shape
    made = Causal(ins, outs, taps, layer.dilation[0])
    made.load_state_dict(layer.state_dict(), strict=False)
    made.streaming = True
    return made


class Limits(nn.Module):
    """Rows [batch, width of the layout, frames] held to their ranges, pitch scaled, as by `base.Reader`."""

    def __init__(self, layout):
        super().__init__()
        described = len(layout.described)
        low, scale = torch.full((layout.width, 1), -1e30), torch.ones(layout.width, 1)
        high = -low
        low[:described], high[:described] = -base.UNIT_LIMIT, base.UNIT_LIMIT
        if layout.pitched:
            (low[described], high[described]), scale[described] = PITCH_LIMITS_OCTAVES, base.PITCH_SCALE
        for name, value in (("low", low), ("high", high), ("scale", scale)):
            self.register_buffer(name, value)

    def forward(self, rows):
        return torch.maximum(torch.minimum(rows, self.high), self.low) * self.scale


class LiveTrunk(nn.Module):
    """`base.Trunk`, rows [batch, width of the layout, frames] → [batch, width, frames]."""

    def __init__(self, net):
        super().__init__()
        self.limits, self.entry = Limits(net.layout), copied(net.entry)
        self.trunk = nn.ModuleList(copied(layer) for layer in net.trunk)
        self.films = nn.ModuleList(copied(layer) for layer in net.films) if net.film else None
        self.slope: float = base.SLOPE

    def forward(self, rows):
        x = self.limits(rows)
        h = F.leaky_relu(self.entry(x), self.slope)
        if self.films is not None:
            for layer, film in zip(self.trunk, self.films):
                scale, shift = film(x).chunk(2, 1)
                h = h + F.leaky_relu(layer(h) * scale + shift, self.slope)
        else:
            for layer in self.trunk:
                h = h + F.leaky_relu(layer(h), self.slope)
        return h


class LiveRecurrent(nn.Module):
    """`recurrent.RecurrentTrunk` as it streams, in and out as `LiveTrunk`."""

    def __init__(self, net):
        super().__init__()
        self.limits, self.gru = Limits(net.layout), copy.deepcopy(net.gru)
        self.gru.streaming = True
        self.entry, self.leave, self.around = copied(net.entry), copied(net.leave), copy.deepcopy(net.around)
        self.entry_norm, self.leave_norm = copy.deepcopy(net.entry_norm), copy.deepcopy(net.leave_norm)
        self.film = copied(net.films[0]) if net.film else None
        self.slope: float = base.SLOPE

    def forward(self, rows):
        x = self.limits(rows)
        h = F.leaky_relu(self.entry_norm(self.entry(x)), self.slope)
        y = self.leave_norm(self.leave(self.gru(h)) + self.around(h))
        if self.film is not None:
            scale, shift = self.film(x).chunk(2, 1)
            y = y * scale + shift
        return F.leaky_relu(y, self.slope)


class LiveNoise(nn.Module):
    """Loops of noise: amplitudes [batch, bands, 1 + frames], the row before the first in front → audio [batch, frames, 64]."""

    def __init__(self, waves):
        super().__init__()
        self.loop: int = waves.loop
        self.register_buffer("table", waves.table.clone())
        self.register_buffer("position", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("ramp", torch.arange(1, HOP + 1) / HOP)

    def forward(self, amplitudes):
        frames = amplitudes.shape[2] - 1
        noise = self.table[(self.position + torch.arange(frames, device=amplitudes.device)) % self.loop]
        self.position = (self.position + frames) % self.loop
        pair = torch.stack((amplitudes[:, :, :-1], amplitudes[:, :, 1:]), 3).permute(0, 2, 1, 3)     # [batch, frames, bands, 2]
        both = torch.matmul(noise, pair)
        return both[..., 0] + (both[..., 1] - both[..., 0]) * self.ramp


class LiveSines(nn.Module):
    """Sines of fixed frequencies, in and out as `LiveNoise`.

    sin(start + m·step) is taken apart, so that a row is a product with the constants sin(m·step) and cos(m·step).
    """

    def __init__(self, hertz, rate):
        super().__init__()
        step = (torch.as_tensor(hertz, dtype=torch.float64) / rate * 2.0 ** 32).round()
        advance = (HOP * step) % 2.0 ** 32
        turns = (step[:, None] * torch.arange(1, HOP + 1, dtype=torch.float64)) % 2.0 ** 32 * (2 * math.pi / 2.0 ** 32)
        for name, value in (("cosines", torch.cos(turns)), ("sines", torch.sin(turns)), ("high_step", torch.floor(advance / LIMB)),
                            ("low_step", advance % LIMB), ("high", torch.zeros_like(step)), ("low", torch.zeros_like(step)),
                            ("ramp", torch.arange(1, HOP + 1) / HOP)):
            self.register_buffer(name, value.float())
        self.quarter: float = LIMB / 4

    def forward(self, amplitudes):
        frames = amplitudes.shape[2] - 1
        rows = torch.arange(frames + 1, device=amplitudes.device, dtype=torch.float32)[:, None]
        high, low = normal(self.high + rows * self.high_step, self.low + rows * self.low_step)
        self.high, self.low = high[frames], low[frames]
        start, ahead = sine(high[:frames], low[:frames]), sine(high[:frames] + self.quarter, low[:frames])
        pair = torch.stack((amplitudes[:, :, :-1], amplitudes[:, :, 1:]), 1).transpose(2, 3)         # [batch, 2, frames, sines]
        both = torch.matmul(pair * start, self.cosines) + torch.matmul(pair * ahead, self.sines)
        return both[:, 0] + (both[:, 1] - both[:, 0]) * self.ramp


class LiveHarmonics(nn.Module):
    """Harmonics of a moving fundamental: amplitudes [batch, n, 1 + frames], cycles [batch, 1, frames] → audio [batch, frames, 64]."""

    def __init__(self, numbers, grain):
        super().__init__()
        m = torch.arange(1.0, HOP + 1)
        for name, value in (("numbers", numbers.clone()), ("m", m), ("triangle", m * (m + 1) / 2), ("ramp", m / HOP),
                            ("past", torch.zeros(1, 1, 1)), ("high", torch.zeros(1, 1, 1)), ("low", torch.zeros(1, 1, 1))):
            self.register_buffer(name, value)
        self.grain: float = grain

    def fundamental(self, cycles):
        """Phases of the fundamental in limbs, [batch, frames, 64] each. Its step goes linearly from row to row."""
        steps = joined(self.past, cycles * self.grain, 1)[:, 0, :, None]          # 2^-26 turns a sample
        self.past = steps[:, -1:].transpose(1, 2)
        before, bend = steps[:, :-1], steps[:, 1:] - steps[:, :-1]                # a bend counts 2^-32 turns: a 64th a sample
        coarse = torch.floor(bend / 4096.0)
        moved = self.triangle * coarse                                            # 2^-20 turns
        whole, whole_step = torch.floor(moved / 16.0), torch.floor(before / 1024.0)
        high = self.m * whole_step + whole
        low = self.m * ((before - 1024.0 * whole_step) * 64.0) + self.triangle * (bend - 4096.0 * coarse) + (moved - 16.0 * whole) * 4096.0
        high_end, low_end = normal(high[:, :, -1:], low[:, :, -1:])
        if self.high.shape[0] != cycles.shape[0]:
            self.high, self.low = torch.zeros_like(high_end[:, :1]), torch.zeros_like(low_end[:, :1])
        high_start, low_start = normal(self.high + torch.cumsum(high_end, 1) - high_end, self.low + torch.cumsum(low_end, 1) - low_end)
        self.high, self.low = normal(high_start[:, -1:] + high_end[:, -1:], low_start[:, -1:] + low_end[:, -1:])
        return normal(high_start + high, low_start + low)

    def forward(self, amplitudes, cycles):
        high, low = self.fundamental(cycles)
        high, low = high[..., None] * self.numbers, low[..., None] * self.numbers
        waves = sine(high - 65536.0 * torch.floor(high / 65536.0), low)           # [batch, frames, 64, n]
        pair = torch.stack((amplitudes[:, :, :-1], amplitudes[:, :, 1:]), 3).permute(0, 2, 1, 3)
        both = torch.matmul(waves, pair)
        return both[..., 0] + (both[..., 1] - both[..., 0]) * self.ramp


class Live(nn.Module):
    """What both engines share; each brings `part`. forward: rows [batch, width, frames] → audio [batch, 1, frames·64]."""

    def __init__(self, engine):
        super().__init__()
        self.trunk, self.head, self.noise = engine.net.live(), copied(engine.head), LiveNoise(engine.noise)
        self.limit, self.most_rows, self.bands = base.LOGIT_LIMIT, MOST_ROWS, engine.bands
        self.log_per_unit, self.log_at_zero, self.floor_gain = base.LOG_PER_UNIT, base.LOG_AT_ZERO, base.FLOOR_GAIN
        self.register_buffer("past", torch.zeros(1, len(engine.head.weight), 1))

    def gain(self, rows):
        """Linear RMS [batch, 1, frames]; 0 at loudness -1 and below."""
        return (torch.exp(self.log_per_unit * rows[:, :1].clamp(-2.0, 1.0) + self.log_at_zero) - self.floor_gain).clamp(min=0)

    def after(self, amplitudes):
        """Amplitudes with the row before in front; the last is kept for the next call."""
        amplitudes = joined(self.past, amplitudes, 1)
        self.past = amplitudes[:, :, amplitudes.shape[2] - 1:]
        return amplitudes

    def forward(self, rows):
        parts = []
        for rows_part in rows.split(self.most_rows, 2):
            parts.append(self.part(rows_part))
        return torch.cat(parts, 2)


class LiveNoiseBand(Live):
    """`noise_band.NoiseBandEngine` as it streams."""

    def __init__(self, engine, rate):
        super().__init__(engine)
        self.sines = LiveSines(engine.hertz, rate) if len(engine.hertz) else None
        self.register_buffer("scale", engine.scale[:, None].clone())

    def part(self, rows):
        """`forward` of at most `most_rows` rows."""
        root = torch.exp(self.head(self.trunk(rows)).clamp(-self.limit, self.limit) * 0.5)
        level = self.gain(rows) * torch.rsqrt((root * root).sum(1, keepdim=True))
        amplitudes = self.after(root * level * self.scale)
        audio = self.noise(amplitudes[:, :self.bands])
        if self.sines is not None:
            audio = audio + self.sines(amplitudes[:, self.bands:])
        return audio.reshape(rows.shape[0], 1, -1)


class LiveHarmonic(Live):
    """`harmonic.HarmonicEngine` as it streams."""

    def __init__(self, engine):
        from . import harmonic

        super().__init__(engine)
        self.balance, self.tones = copied(engine.balance), LiveHarmonics(engine.numbers, harmonic.GRAIN)
        self.pitch_at, self.harmonicity_at, self.count = engine.pitch_at, engine.harmonicity_at, engine.harmonics
        self.unit, self.log_per_db, self.correction = base.UNIT_LIMIT, harmonic.LOG_PER_DB, harmonic.CORRECTION_DB
        self.zero, self.per_unit = HARMONICITY_ZERO_DB, HARMONICITY_DB_PER_UNIT
        self.register_buffer("coarse", engine.coarse.clone())
        self.register_buffer("fine", engine.fine.clone())
        self.cycles_of = harmonic.cycles_of

    def part(self, rows):
        """`forward` of at most `most_rows` rows."""
        cycles = self.cycles_of(rows[:, self.pitch_at], self.coarse, self.fine)[:, None]
        trunk = self.trunk(rows)
        root = torch.exp(self.head(trunk).clamp(-self.limit, self.limit) * 0.5)
        asked = rows[:, self.harmonicity_at:self.harmonicity_at + 1].clamp(-self.unit, self.unit)
        ratio = (self.zero + self.per_unit * asked + self.correction * torch.tanh(self.balance(trunk))) * self.log_per_db
        tones, bands = root[:, :self.count] * (cycles * self.tones.numbers[:, None] < 0.5).to(root.dtype), root[:, self.count:]
        tones = tones * torch.sqrt(2.0 * torch.sigmoid(ratio) / (tones * tones).sum(1, keepdim=True))
        bands = bands * torch.sqrt(torch.sigmoid(-ratio) / (bands * bands).sum(1, keepdim=True))
        amplitudes = self.after(torch.cat((tones, bands), 1) * self.gain(rows))
        audio = self.tones(amplitudes[:, :self.count], cycles) + self.noise(amplitudes[:, self.count:])
        return audio.reshape(rows.shape[0], 1, -1)
