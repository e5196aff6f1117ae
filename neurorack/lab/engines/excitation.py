"""Harmonics of the asked pitch, all of one level: what a source-filter or, split in PQMF bands, a convolutional decoder shapes."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from .harmonic import build_cycles, cycles_of, frequency_tables
from .streams import joined

CHUNK = 16                  # rows of exact sines made at a time


class Tones(nn.Module):
    """forward: rows [batch, columns, frames] with the pitch in column `at` → audio [batch, 1, frames·hop], of a level of about 1.

    `render` and streaming keep an integer phase for each harmonic, as the engine's `oscillators` does. Training, which `draw` prepares,
    takes the sum of all harmonics in closed form (Dirichlet's kernel) at a fraction of the cost.
    """

    def __init__(self, at, harmonics, hop):
        super().__init__()
        self.pitch_at, self.harmonics, self.hop = at, harmonics, hop
        self.amplitude: float = math.sqrt(2 / harmonics)
        self.chunk = CHUNK
        self.streaming: bool = False
        self.fresh: bool = False
        coarse, fine = (torch.from_numpy(table) for table in frequency_tables())
        for name, value in (("coarse", coarse), ("fine", fine), ("numbers", torch.arange(1.0, harmonics + 1)),
                            ("start", torch.zeros(1, dtype=torch.float64)),
                            ("steps", torch.zeros(1, 1, harmonics, dtype=torch.int64)), ("levels", torch.zeros(1, 1, harmonics)),
                            ("phases", torch.zeros(1, 1, harmonics, dtype=torch.int64))):
            self.register_buffer(name, value, persistent=False)

    def draw(self, rng, count, device):
        """Random phases to start the next training batch from, in turns."""
        self.start = torch.from_numpy(rng.random(count)).to(device)

    def frequency(self, rows):
        """Cycles a sample of the fundamental, float32 [batch, frames], as in the harmonic engine."""
        return cycles_of(rows[:, self.pitch_at], self.coarse, self.fine)

    def likeness(self, frequency):
        """All harmonics below half the sample rate in closed form, from the phases of `draw`: [batch, frames·hop]."""
        step = frequency.double()
        old = torch.cat((step[:, :1], step[:, :-1]), 1)[:, :, None]
        ramp = torch.arange(1, self.hop + 1, device=frequency.device) / self.hop
        turns = torch.cumsum((old + (step[:, :, None] - old) * ramp).flatten(1), 1) + self.start[:, None]
        x = ((turns - torch.round(turns)) * (2 * math.pi)).float()
        count = torch.floor(0.4999 / frequency).clamp(1, self.harmonics).repeat_interleave(self.hop, 1)
        half = torch.sin(0.5 * x)
        safe = torch.where(half.abs() < 1e-5, torch.ones_like(half), half)
        wave = (torch.cos(0.5 * x) - torch.cos((count + 0.5) * x)) / (2 * safe)
        return torch.where(half.abs() < 1e-5, torch.zeros_like(wave), wave) * self.amplitude

    def exact(self, frequency):
        """The engine's own oscillators, going on from the state: [batch, frames·hop]."""
        batch, rows = frequency.shape
        cycles = frequency[:, :, None] * self.numbers
        new = torch.round(cycles.clamp(max=0.5).double() * 4294967296.0).long()
        levels = (cycles < 0.5).to(frequency.dtype) * self.amplitude
        goes_on = self.streaming and self.steps.shape[0] == batch
        zero = torch.zeros_like(new[:, :1])
        old = torch.cat((self.steps if goes_on else zero, new[:, :-1]), 1)
        before = torch.cat((self.levels if goes_on else zero.to(levels.dtype), levels[:, :-1]), 1)
        bend = torch.round((new - old).double() / self.hop).long()
        moved = (self.hop * old + bend * (self.hop * (self.hop + 1) // 2)) & 0xFFFFFFFF
        ends = torch.cumsum(moved, 1) + (self.phases if goes_on else zero)
        if self.streaming:
            self.steps, self.levels, self.phases = new[:, -1:], levels[:, -1:], ends[:, -1:] & 0xFFFFFFFF
        m = torch.arange(1, self.hop + 1, device=frequency.device)[:, None]
        triangle = m * (m + 1) // 2
        ramp = m.to(levels.dtype) / self.hop
        out = []
        for at in range(0, rows, self.chunk):
            to = min(rows, at + self.chunk)
            start = (ends[:, at:to] - moved[:, at:to])[:, :, None]
            turns = (start + m * old[:, at:to, None] + triangle * bend[:, at:to, None]) & 0xFFFFFFFF
            level = before[:, at:to, None] + (levels[:, at:to, None] - before[:, at:to, None]) * ramp
            out.append((torch.sin(turns.double() * (2 * math.pi / 4294967296.0)).float() * level).sum(3).flatten(1))
        return torch.cat(out, 1)

    def wave(self, rows):
        """Audio [batch, 1, frames·hop]."""
        frequency = self.frequency(rows)
        return (self.likeness(frequency) if self.fresh else self.exact(frequency))[:, None]

    def forward(self, rows):
        return self.wave(rows)

    def build(self, b, rows):
        """`forward` in the engine's operations, [rows·hop, 1]."""
        cycles = b.binary("mul", build_cycles(b, rows[:, self.pitch_at:self.pitch_at + 1]), self.numbers.cpu().numpy())
        levels = b.constant(torch.full((rows.rows, self.harmonics), self.amplitude).numpy())
        return b.oscillators(levels, cycles, 1.0, self.hop)


class Excitation(Tones):
    """`Tones` in bands: rows → [batch, 16, frames·hop / 16]."""

    def __init__(self, at, harmonics, hop, bank):
        super().__init__(at, harmonics, hop)
        self.bands: int = bank.bands
        self.back: int = bank.down.shape[2] - bank.bands
        self.register_buffer("down", bank.down, persistent=False)
        self.register_buffer("past", torch.zeros(1, 1, self.back), persistent=False)

    def forward(self, rows):
        audio = self.wave(rows)
        if self.streaming:
            audio = joined(self.past, audio, self.back)
            self.past = audio[:, :, audio.shape[2] - self.back:]
        else:
            audio = F.pad(audio, (self.back, 0))
        return F.conv1d(audio, self.down, stride=self.bands)

    def build(self, b, rows):
        """`forward` in the engine's operations, [rows·hop / 16, 16]."""
        return b.conv1d(super().build(b, rows), self.down.cpu().numpy(), stride=self.bands)
