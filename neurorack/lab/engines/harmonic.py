"""The harmonic engine: harmonics of a given pitch and 64 bands of noise, for pitched sounds and voices.

Harmonics plus noise after Serra and Smith (1990) and Engel et al., "DDSP" (2020). The powers of the harmonics come out
of one softmax and those of the bands out of another; how much goes to each is the harmonicity input (their ratio in
dB) with a small learned correction. A pitch of p is C4·2^p by construction.
"""

import math

import numpy as np
import torch
from torch import nn

from ..descriptors import HOP, RATE_HZ
from ..layout import C4_HERTZ, HARMONICITY_DB_PER_UNIT, HARMONICITY_ZERO_DB, PITCH_LIMITS_OCTAVES
from . import base
from .base import Engine
from .recurrent import make_trunk

LOG_PER_DB = math.log(10) / 10
CORRECTION_DB = 6.0                 # at most, that the net adds to the harmonicity asked for
MASKED_LOGIT = -1e4
PITCH_LOW, PITCH_HIGH = PITCH_LIMITS_OCTAVES
STEPS_PER_OCTAVE, FINE = 65536, 1024      # pitch is rounded to 0.018 cents, so that every platform plays the very same frequency
GRAIN = 2.0 ** 26                         # frequencies are whole multiples of 1/GRAIN cycles a sample (0.0007 Hz)
SPLITTER = 2.0 ** 8 + 1                   # … of 16 significant bits: products with a harmonic's number are exact in float32
TURN = 2.0 ** 32


def frequency_tables():
    """Cycles a sample of a pitch in whole steps n from the lowest: coarse[n // FINE] · fine[n % FINE], float32 each.

    Their product is rounded to 16 significant bits (after Dekker, 1971) and to multiples of 1 / GRAIN. Then the engine's
    integer steps of all harmonics are whole multiples of the fundamental's, and harmonics stay in phase for ever.
    """
    low, high = PITCH_LOW, PITCH_HIGH
    coarse = C4_HERTZ / RATE_HZ * 2 ** (low + np.arange((high - low) * STEPS_PER_OCTAVE // FINE + 1) * FINE / STEPS_PER_OCTAVE)
    return coarse.astype(np.float32), (2 ** (np.arange(FINE) / STEPS_PER_OCTAVE)).astype(np.float32)


def cycles_of(pitch: torch.Tensor, coarse: torch.Tensor, fine: torch.Tensor, low: float = PITCH_LOW, high: float = PITCH_HIGH,
              per_octave: float = float(STEPS_PER_OCTAVE), parts: float = float(FINE), splitter: float = SPLITTER, grain: float = GRAIN):
    """Cycles a sample of pitches, the very numbers of `build_cycles`; scriptable. coarse, fine: tensors of `frequency_tables`."""
    steps = torch.round((pitch.clamp(low, high) - low) * per_octave)
    whole = torch.floor(steps / parts)
    cycles = coarse[whole.long()] * fine[(steps - parts * whole).long()]
    wide = cycles * splitter
    return torch.round((wide - (wide - cycles)) * grain) / grain


def build_cycles(b, pitch):
    """Cycles a sample of pitches [rows, 1] in the engine's operations: whole steps, two exact look-ups, a rounded product."""
    steps = b.unary("round", b.affine(b.affine(b.clamp(pitch, PITCH_LOW, PITCH_HIGH), 1.0, -PITCH_LOW), STEPS_PER_OCTAVE))
    whole = b.unary("floor", b.affine(steps, 1 / FINE))
    part = b.binary("sub", steps, b.affine(whole, FINE))
    coarse, fine = (b.gather(table[:, None], index.reshape(index.rows)) for table, index in zip(frequency_tables(), (whole, part)))
    cycles = b.binary("mul", coarse, fine)
    wide = b.affine(cycles, SPLITTER)
    short = b.binary("sub", wide, b.binary("sub", wide, cycles))
    return b.affine(b.unary("round", b.affine(short, GRAIN)), 1 / GRAIN)


def harmonic_waves(phase, count):
    """sin(2π·k·phase), k = 1 … count, times the signs + - - + + …; float32 [count, *phase.shape], by one multiply-add each.

    The recurrence of Chebyshev, sin((k+1)x) = 2 cos(x) sin(kx) - sin((k-1)x); the signs of `wave_signs` save a pass over memory.
    """
    out = torch.empty((count, *phase.shape), dtype=phase.dtype, device=phase.device)
    turn = phase * (2 * math.pi)
    double_cosine = 2 * torch.cos(turn)
    torch.sin(turn, out=out[0])
    if count > 1:
        torch.mul(out[0], double_cosine, out=out[1])
        out[1].neg_()
    for k in range(2, count):
        torch.addcmul(out[k - 2], double_cosine, out[k - 1], value=1.0 if k % 2 == 0 else -1.0, out=out[k])
    return out


def wave_signs(count):
    """The signs of `harmonic_waves`, float32 [count]: + - - + + - - …"""
    return torch.tensor([1.0 if (k + 1) // 2 % 2 == 0 else -1.0 for k in range(count)])


class HarmonicSum(torch.autograd.Function):
    """Harmonics of a moving phase with amplitudes that go linearly over each hop; the gradient goes to the amplitudes alone.

    apply(amplitudes [batch, 1 + frames, n], phase in turns [batch, frames, 64]) → audio [batch, frames, 64]. One matrix
    product a hop: [2, n] (amplitudes at its start and end) by [n, 64] (sines).
    """

    @staticmethod
    def forward(ctx, amplitudes, phase):
        batch, frames, hop = phase.shape
        count = amplitudes.shape[2]
        waves = harmonic_waves(phase.reshape(batch * frames, hop), count).transpose(0, 1)     # [batch·frames, n, 64]
        signed = amplitudes * wave_signs(count).to(amplitudes)
        pair = torch.stack((signed[:, :-1], signed[:, 1:]), 2).reshape(batch * frames, 2, count)
        both = torch.bmm(pair, waves)
        ramp = torch.arange(1, hop + 1, dtype=phase.dtype, device=phase.device) / hop
        ctx.save_for_backward(waves, ramp)
        ctx.shape = amplitudes.shape
        return torch.lerp(both[:, 0], both[:, 1], ramp).reshape(batch, frames, hop)

    @staticmethod
    def backward(ctx, gradient):
        waves, ramp = ctx.saved_tensors
        batch, rows, count = ctx.shape
        gradient = gradient.reshape(-1, len(ramp))
        pair = torch.stack((gradient * (1 - ramp), gradient * ramp), 1)
        both = torch.bmm(pair, waves.transpose(1, 2)).reshape(batch, rows - 1, 2, count)
        total = gradient.new_zeros(ctx.shape)
        total[:, :-1] += both[:, :, 0]
        total[:, 1:] += both[:, :, 1]
        return total * wave_signs(count).to(total), None


class HarmonicEngine(Engine):
    """A trunk (`recurrent.TRUNKS`) at the hop rate with heads for harmonics, noise bands and a correction of the harmonicity."""

    kind = "harmonic"

    def __init__(self, layout, width=104, bands=64, harmonics=80, conditioning="concatenate", trunk="convolution"):
        if not layout.pitched:
            raise ValueError("the harmonic engine needs rows with a pitch: set data.pitched")
        super().__init__(layout, width=width, bands=bands, harmonics=harmonics, conditioning=conditioning, trunk=trunk)
        self.bands, self.harmonics = bands, harmonics
        self.pitch_at, self.harmonicity_at = layout.column("pitch"), layout.column("harmonicity")
        self.net = make_trunk(trunk, layout, width, conditioning)
        self.history = self.net.SPAN + 2
        self.head, self.balance = nn.Conv1d(width, harmonics + bands, 1), nn.Conv1d(width, 1, 1)
        with torch.no_grad():
            self.head.weight.mul_(3.0)
            self.head.bias.zero_()
            self.head.bias[:harmonics] = -2.0 * torch.arange(1, harmonics + 1).log()
        coarse, fine = frequency_tables()
        for name, value in (("coarse", torch.from_numpy(coarse)), ("fine", torch.from_numpy(fine)),
                            ("numbers", torch.arange(1.0, harmonics + 1))):
            self.register_buffer(name, value, persistent=False)
        self.noise = base.Waves(base.noise_table(bands))

    def frequency(self, rows):
        """Cycles a sample of the fundamental, float32 [batch, frames, 1], the very numbers of the engine's program."""
        return cycles_of(rows[..., self.pitch_at], self.coarse, self.fine)[..., None]

    def shape(self, rows, frequency):
        """Amplitudes for a frame level of 1 (RMS): (harmonics [batch, frames, harmonics], bands [batch, frames, bands])."""
        trunk = self.net(rows)
        logits = self.head(trunk).clamp(-base.LOGIT_LIMIT, base.LOGIT_LIMIT).transpose(1, 2)
        learned = CORRECTION_DB * torch.tanh(self.balance(trunk)).transpose(1, 2)
        audible = frequency * self.numbers < 0.5
        tones = torch.where(audible, logits[..., :self.harmonics], MASKED_LOGIT)
        asked = rows[..., self.harmonicity_at, None].clamp(-base.UNIT_LIMIT, base.UNIT_LIMIT)
        ratio = (HARMONICITY_ZERO_DB + HARMONICITY_DB_PER_UNIT * asked + learned) * LOG_PER_DB
        tones = torch.softmax(tones, -1) * torch.sigmoid(ratio)
        bands = torch.softmax(logits[..., self.harmonics:], -1) * torch.sigmoid(-ratio)
        return (2.0 * tones + 1e-20).sqrt() * audible, (bands + 1e-20).sqrt()

    def amplitudes(self, rows, frequency):
        """`shape` at the loudness of the rows."""
        gain = base.gain_of(rows[..., :1])
        tones, bands = self.shape(rows, frequency)
        return tones * gain, bands * gain

    def phases(self, frequency, start):
        """Turns of the fundamental [batch, frames, 64], whose frequency goes linearly from row to row.

        frequency: [batch, 1 + frames, 1]; start: [batch] turns. Kept in float64, so that the phase is exact whatever the length.
        """
        step = frequency[..., 0].double()
        bend = (step[:, 1:] - step[:, :-1]) / HOP
        whole = HOP * step[:, :-1] + bend * (HOP * (HOP + 1) / 2)
        before = start[:, None] + torch.cumsum(whole, 1) - whole
        m = torch.arange(1, HOP + 1, dtype=torch.float64, device=frequency.device)
        turns = before[..., None] + step[:, :-1, None] * m + bend[..., None] * (m * (m + 1) / 2)
        return (turns - torch.floor(turns)).float()

    def play(self, rows, rng):
        frequency = self.frequency(rows)
        tones, bands = (x[:, self.history - 1:] for x in self.amplitudes(rows, frequency))
        with torch.no_grad():
            start = torch.from_numpy(rng.random(len(rows))).to(rows.device)
            phase = self.phases(frequency[:, self.history - 1:], start)
        return HarmonicSum.apply(tones, phase).flatten(1) + self.noise.looped(bands, int(rng.integers(self.noise.loop)))

    def render(self, rows):
        with torch.no_grad():
            frequency = self.frequency(rows)
            tones, bands = self.amplitudes(rows, frequency)
            waves = torch.stack([self._exact(one, f) for one, f in zip(base.from_rest(tones), frequency)])
            return waves + self.noise.looped(base.from_rest(bands))

    def _exact(self, tones, frequency, chunk=128):
        """Harmonics of one piece in the engine's integer arithmetic, a phase in 2^-32 turns for each. [frames·64]

        A harmonic beyond half the sample rate is silent there and loses its place among the others, as in the engine.
        """
        steps = torch.round((frequency * self.numbers).clamp(max=0.5).double() * TURN).long()
        before = torch.cat((torch.zeros_like(steps[:1]), steps[:-1]))
        bend = torch.round((steps - before).double() / HOP).long()
        m = torch.arange(1, HOP + 1, device=tones.device)[:, None]
        triangle = m * (m + 1) // 2
        moved = (HOP * before + bend * (HOP * (HOP + 1) // 2)) % 2 ** 32
        start, out = torch.cumsum(moved, 0) - moved, []
        for at in range(0, len(steps), chunk):
            part = slice(at, at + chunk)
            turns = (start[part, None] + m * before[part, None] + triangle * bend[part, None]) % 2 ** 32
            waves = torch.sin(turns.double() * (2 * math.pi / TURN)).float()
            pair = torch.stack((tones[at:at + len(waves)], tones[at + 1:at + 1 + len(waves)]), 2)
            out.append(base.glided(waves, pair)[..., 0].reshape(-1))
        return torch.cat(out)

    def decode_method(self):
        return self._build

    def _build(self, b):
        rows, count = b.input(), self.harmonics
        frequency = b.binary("mul", build_cycles(b, rows[:, self.pitch_at:self.pitch_at + 1]), self.numbers.cpu().numpy())
        trunk = self.net.build(b, rows)
        logits = b.conv1d(trunk, *base.arrays(self.head), act="clamp", a=-base.LOGIT_LIMIT, b=base.LOGIT_LIMIT)
        asked = b.clamp(rows[:, self.harmonicity_at:self.harmonicity_at + 1], -base.UNIT_LIMIT, base.UNIT_LIMIT)
        asked = b.affine(asked, HARMONICITY_DB_PER_UNIT * LOG_PER_DB, HARMONICITY_ZERO_DB * LOG_PER_DB)
        learned = b.affine(b.conv1d(trunk, *base.arrays(self.balance), act="tanh"), CORRECTION_DB * LOG_PER_DB)
        ratio = b.binary("add", asked, learned)
        tones = b.binary("mul", b.exp(b.affine(logits[:, :count], 0.5)), b.binary("lt", frequency, 0.5))
        bands = b.exp(b.affine(logits[:, count:], 0.5))
        gain = base.build_gain(b, rows)
        level = lambda root, share: b.binary("mul", gain, b.unary("sqrt", b.binary("div", share, b.sum(b.unary("square", root)))))
        tones = b.binary("mul", tones, level(tones, b.affine(b.sigmoid(ratio), 2.0)))
        bands = b.binary("mul", bands, level(bands, b.sigmoid(b.affine(ratio, -1.0))))
        noise = b.noise_bands(bands, b.generated(**base.noise_of(self.bands)), HOP)
        b.output(b.binary("add", noise, b.oscillators(tones, frequency, 1.0, HOP)))

    def latent_layers(self):
        return self.net.latent_layers()

    def stream_module(self):
        from .live import LiveHarmonic

        return LiveHarmonic(self).eval()
