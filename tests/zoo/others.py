"""Synthesisers and controllers that are no RAVE: harmonics and noise (DDSP), source and filter (NSF), recurrent control."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from . import Family, after
from .nets import fft_convolve, impulse_response, mod_sigmoid
from .streaming import Conv, Hold
from .wrappers import Exported


class Glide(nn.Module):
    """From one value a frame to one a sample, in straight lines that end at the frame's value. [batch, channels, frames]"""

    def __init__(self, channels: int, ratio: int):
        super().__init__()
        self.ratio = ratio
        self.register_buffer("cache", torch.zeros(8, channels, 1))

    def forward(self, x):
        rows = x.shape[0]
        before = torch.cat([self.cache[:rows], x[..., :-1]], -1)
        self.cache[:rows] = x[..., -1:]
        ramp = torch.arange(1, self.ratio + 1) / self.ratio
        y = before.unsqueeze(-1) + (x - before).unsqueeze(-1) * ramp
        return y.flatten(2)


class Ddsp(Exported):
    """Engel et al., "DDSP", 2020. Inputs in physical units: f0 in Hz and loudness in dB, one each 256 samples."""

    def __init__(self, capacity: int, sample_rate: int, quiet: bool, harmonics: int = 24, bins: int = 33):
        super().__init__()
        self.ratio, self.sr, self.draw, width = 256, sample_rate, 0.0 if quiet else 1.0, 4 * capacity
        self.add_method("decode", 2, self.ratio, 1, 1, inputs=["(signal) f0, Hz", "(signal) loudness, dB"])
        self.register_buffer("sampling_rate", torch.tensor(sample_rate))
        self.enter = nn.Sequential(nn.Linear(2, width), nn.LayerNorm(width), nn.ReLU())
        self.gru = nn.GRU(width, width, batch_first=True)
        self.register_buffer("hidden", torch.zeros(1, 8, width))
        self.amplitudes = nn.Linear(width, harmonics + 1)
        self.filters = nn.Linear(width, bins)
        self.glide_f0, self.glide_amp = Glide(1, self.ratio), Glide(harmonics, self.ratio)
        self.register_buffer("numbers", torch.arange(1, harmonics + 1).float()[:, None])
        self.register_buffer("phase", torch.zeros(8, 1, 1))
        decay = torch.randn(1, 1, 512) * torch.exp(-torch.arange(512) / 80) * 0.1
        decay[..., -1] = 1
        self.register_buffer("room", decay)
        self.before = Hold(1, 511, batch=8)

    @torch.jit.export
    def decode(self, x):
        rows = x.shape[0]
        pitch, loudness = x[:, :1], x[:, 1:]
        scaled = torch.cat([torch.log2(torch.clamp(pitch, min=20.0) / 440), loudness / 20], 1)
        y, hidden = self.gru(self.enter(scaled.transpose(1, 2)), self.hidden[:, :rows].contiguous())
        self.hidden[:, :rows] = hidden
        level = mod_sigmoid(self.amplitudes(y)).transpose(1, 2)
        total, parts = level[:, :1], level[:, 1:]
        parts = parts * (pitch * self.numbers < self.sr / 2).to(parts)
        parts = parts / torch.maximum(parts.sum(1, keepdim=True), torch.full_like(total, 1e-6)) * total
        step = self.glide_f0(pitch) / self.sr
        phase = torch.cumsum(step, -1) + self.phase[:rows]
        self.phase[:rows] = torch.fmod(phase[..., -1:], 1.0)
        tone = (torch.sin(2 * math.pi * torch.fmod(phase * self.numbers, 1.0)) * self.glide_amp(parts)).sum(1, keepdim=True)
        response = impulse_response(mod_sigmoid(self.filters(y) - 3), self.ratio)
        hiss = fft_convolve(self.draw * (2 * torch.rand_like(response) - 1), response).reshape(rows, 1, -1)
        return 0.3 * F.conv1d(self.before(tone + hiss), self.room)

    def forward(self, x):
        return self.decode(x)

    @torch.jit.export
    def get_sample_rate(self) -> int:
        return int(self.sampling_rate)


class Nsf(nn.Module):
    """Wang, Takaki and Yamagishi, "Neural source-filter", 2019: harmonics of f0 through dilated convolutions, traced not scripted.

    Without ``keep`` the phases start at zero in each call, and the output has an offset, as in the first Neurorack's model.
    """

    def __init__(self, capacity: int, sample_rate: int, keep: bool, ratio: int = 128, harmonics: int = 8, quiet: bool = False):
        super().__init__()
        self.sr, self.ratio, self.keep, self.draw = sample_rate, ratio, keep, 0.0 if quiet else 0.003
        self.register_buffer("decode_params", torch.tensor([3, ratio, 1, 1]))
        self.numbers = torch.arange(1, harmonics + 1).float()[:, None]
        self.mix = nn.Conv1d(harmonics, 1, 1)
        self.widen = nn.Conv1d(1, capacity, 1)
        self.condition = Conv(2, capacity, 3, causal=True)
        self.layers = nn.ModuleList(Conv(capacity, 2 * capacity, 3, dilation=2**i, causal=True) for i in range(5))
        self.narrow = nn.Conv1d(capacity, 1, 1)
        nn.init.constant_(self.narrow.bias, 0.0 if keep else -0.07)
        self.register_buffer("phase", torch.zeros(1, 1, 1))

    def decode(self, x):
        """x [batch, (f0 in Hz up to 5512, loudness, centroid), frames]"""
        f0 = F.interpolate(x[:, :1], scale_factor=float(self.ratio), mode="nearest")
        phase = torch.cumsum(f0 / self.sr, -1)
        if self.keep:
            phase = phase + self.phase
            self.phase.copy_(phase[:1, :, -1:] % 1.0)
        source = torch.sin(2 * math.pi * phase * self.numbers) * (f0 * self.numbers < self.sr / 2)
        source = torch.tanh(self.mix(source + self.draw * torch.randn_like(source)))
        y = self.widen(source)
        lead = self.condition(x[:, 1:]).repeat_interleave(self.ratio, -1)
        for layer in self.layers:
            gate, value = layer(y + lead).chunk(2, 1)
            y = y + 0.5 * torch.tanh(value) * torch.sigmoid(gate)
        return 0.5 * torch.tanh(self.narrow(y) * 0.5)

    def forward(self, x):
        return self.decode(x)


def traced_nsf(capacity, sample_rate, quiet, keep):
    module = Nsf(capacity, sample_rate, keep, quiet=quiet).eval()
    example = torch.tensor([200.0, 0.5, 0.5])[None, :, None].repeat(1, 1, 4)
    return torch.jit.trace_module(module, {"decode": example}, check_trace=False)


class Controller(Exported):
    """Three knobs in, three out, a frame each 512 samples; a recurrent net remembers a gesture. Makes no sound."""

    def __init__(self, capacity: int):
        super().__init__()
        self.add_method("forward", 3, 512, 3, 512)
        self.lstm = nn.LSTMCell(3, 2 * capacity)
        self.gru = nn.GRU(2 * capacity, capacity, num_layers=2)
        self.out = nn.Linear(capacity, 3)
        self.state = (torch.zeros(1, 2 * capacity), torch.zeros(1, 2 * capacity))
        self.register_buffer("hidden", torch.zeros(2, 1, capacity))

    def forward(self, x):
        x = x[:1].permute(2, 0, 1)
        seen: list[torch.Tensor] = []
        h, c = self.state
        for frame in x:
            h, c = self.lstm(frame, (h, c))
            seen.append(h)
        self.state = (h, c)
        y, hidden = self.gru(torch.stack(seen), self.hidden)
        self.hidden.copy_(hidden)
        return torch.tanh(self.out(y)).permute(1, 2, 0)


class TableReader(Exported):
    """A host's buffer read by a position in 0..1: attributes of the kinds tensor and buffer (nn~ 1.6)."""

    def __init__(self, frames: int = 2048):
        super().__init__()
        self.ratio = 64
        self.add_method("decode", 1, self.ratio, 1, 1, inputs=["(signal) position"])
        self.register_buffer("table", 0.5 * torch.sin(torch.arange(frames) * (2 * math.pi * 5 / frames)))
        self.register_buffer("gains", torch.ones(4))
        self._attributes = ["wave", "gains"]
        self.register_buffer("wave_params", torch.tensor([5]))
        self.register_buffer("gains_params", torch.tensor([4]))
        self.glide = Glide(1, self.ratio)

    @torch.jit.export
    def decode(self, x):
        place = self.glide(x).abs().fmod(1.0) * (self.table.shape[0] - 1)
        below = torch.floor(place)
        left = torch.index_select(self.table, 0, below.long().flatten()).view_as(place)
        right = torch.index_select(self.table, 0, torch.ceil(place).long().flatten()).view_as(place)
        return (left + (place - below) * (right - left)) * self.gains.mean()

    def forward(self, x):
        return self.decode(x)

    @torch.jit.export
    def get_gains(self) -> torch.Tensor:
        return self.gains

    @torch.jit.export
    def set_gains(self, gains: torch.Tensor) -> int:
        if gains.numel() != 4:
            return -1
        self.gains = gains.float()
        return 0

    @torch.jit.export
    def get_buffer_attributes(self) -> list[str]:
        return ["wave"]

    @torch.jit.export
    def set_buffer_attribute(self, name: str, values: torch.Tensor, sample_rate: int) -> int:
        if name != "wave" or values.numel() == 0:
            return -1
        self.table = values.flatten().float()
        return 0

    @torch.jit.export
    def clear_buffer_attribute(self, name: str) -> int:
        self.table = torch.zeros(2)
        return 0

    @torch.jit.export
    def is_buffer_empty(self, name: str) -> bool:
        return bool((self.table == 0).all())


def families():
    hertz, unit = (220.0, 60.0), (0.5, 0.2)
    control = (after.TIMBRE + after.STRUCTURE, 2048)
    yield Family("after", after.After, {
        "timbre": (1, 1, after.TIMBRE, 2048), "structure": (1, 1, after.STRUCTURE, 2048), "diffuse": (*control, after.LATENT, 2048),
        "decode": (after.LATENT, 2048, 1, 1), "generate": (*control, 1, 1), "forward": (2, 1, 1, 1),
    }, attributes={"nb_steps": 1, "guidance": 1.0}, notes="flow transformer over a codec; attributes of int and float")
    yield Family("ddsp", Ddsp, {"decode": (2, 256, 1, 1)}, feeds={"decode": (hertz, (-20.0, 8.0))}, notes="harmonics, noise, a GRU and a room")
    yield Family("nsf", lambda *a: traced_nsf(*a, True), {"decode": (3, 128, 1, 1)}, feeds={"decode": (hertz, unit, unit)},
                 notes="source and filter, traced; phases kept")
    yield Family("nsf_first", lambda *a: traced_nsf(*a, False), {"decode": (3, 128, 1, 1)}, feeds={"decode": (hertz, unit, unit)},
                 streaming=False, notes="the same, phases restart in each call, with an offset")
    yield Family("controller", lambda capacity, *_: Controller(capacity), {"forward": (3, 512, 3, 512)}, random=False,
                 notes="an LSTM cell and a GRU at control rate; state in a tuple")
    yield Family("table", lambda *_: TableReader(), {"decode": (1, 64, 1, 1)}, random=False, feeds={"decode": (unit,)},
                 notes="attributes of the kinds tensor and buffer")
