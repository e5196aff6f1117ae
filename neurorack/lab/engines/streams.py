"""Causal layers that run over a whole sound or, with `streaming` set, over one piece after another with the same result.

Each keeps the little past it needs in a buffer; all can be scripted. What is random has three ways: fresh noise (training), the engine's
own sequence from its start (`render`), and that sequence going on from piece to piece (streaming).
"""

import torch
from torch import nn
from torch.nn import functional as F


def joined(past: torch.Tensor, x: torch.Tensor, rows: int) -> torch.Tensor:
    """x [batch, channels, frames] with its last `rows` frames of before in front; zeros where `past` is of another batch or width."""
    if past.shape[0] != x.shape[0] or past.shape[1] != x.shape[1]:
        past = x.new_zeros((x.shape[0], x.shape[1], rows))
    return torch.cat((past.to(x.dtype), x), 2)


class Streamed(nn.Module):
    """A net of such layers."""

    def modes(self, fresh: bool = False, streaming: bool = False):
        """How noise and tones are made and whether pieces belong together, for all layers."""
        for module in self.modules():
            if hasattr(module, "streaming"):
                module.streaming = streaming
            if hasattr(module, "fresh"):
                module.fresh = fresh
        return self


class Causal(nn.Conv1d):
    """A convolution over the present and the past, [batch, ins, frames] → [batch, outs, frames]."""

    def __init__(self, ins, outs, taps=1, dilation=1):
        super().__init__(ins, outs, taps, dilation=dilation)
        self.back: int = (taps - 1) * dilation
        self.streaming: bool = False
        self.register_buffer("past", torch.zeros(1, ins, self.back), persistent=False)

    def follow(self):
        """Room for the past of as many channels as the weights read now."""
        self.past = self.past.new_zeros(1, self.weight.shape[1], self.back)

    def forward(self, x):
        if self.streaming:
            x = joined(self.past, x, self.back)
            self.past = x[:, :, x.shape[2] - self.back:]
        else:
            x = F.pad(x, (self.back, 0))
        return F.conv1d(x, self.weight, self.bias, dilation=self.dilation)


class Upsample(nn.Module):
    """A transposed convolution whose taps reach forward only, [batch, ins, frames] → [batch, outs, frames·stride]."""

    def __init__(self, ins, outs, stride, taps=None, weight=None):
        super().__init__()
        made = nn.ConvTranspose1d(ins, outs, taps or 2 * stride, stride)
        self.stride: int = stride
        if weight is None:
            self.weight, self.bias = made.weight, made.bias
        else:
            self.register_buffer("weight", weight, persistent=False)
            self.register_buffer("bias", torch.zeros(outs), persistent=False)
        self.back: int = -(-self.weight.shape[2] // stride) - 1
        self.streaming: bool = False
        self.register_buffer("past", torch.zeros(1, ins, self.back), persistent=False)

    def follow(self):
        """As in `Causal`."""
        self.past = self.past.new_zeros(1, self.weight.shape[0], self.back)

    def forward(self, x):
        skip, length = 0, x.shape[2] * self.stride
        if self.streaming:
            skip = self.back * self.stride
            x = joined(self.past, x, self.back)
            self.past = x[:, :, x.shape[2] - self.back:]
        return F.conv_transpose1d(x, self.weight, self.bias, stride=self.stride)[:, :, skip:skip + length]


class Glide(nn.Module):
    """Rows joined by straight lines, [batch, channels, frames] → [batch, channels, frames·hop]; from 0 at the start."""

    def __init__(self, channels, hop):
        super().__init__()
        self.streaming: bool = False
        self.register_buffer("past", torch.zeros(1, channels, 1), persistent=False)
        self.register_buffer("ramp", torch.arange(1, hop + 1) / hop, persistent=False)

    def widen(self, channels):
        """Room for the past of so many channels."""
        self.past = self.past.new_zeros(1, channels, 1)

    def forward(self, x):
        if self.streaming:
            both = joined(self.past, x, 1)
            self.past = both[:, :, both.shape[2] - 1:]
        else:
            both = F.pad(x, (1, 0))
        old, new = both[:, :, :-1, None], both[:, :, 1:, None]
        return (old + (new - old) * self.ramp).reshape(x.shape[0], x.shape[1], -1)


def _mixed(x: torch.Tensor) -> torch.Tensor:
    """The engine's 32-bit mixing function on int64 words."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & 0xFFFFFFFF
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def uniform(seed: int, first: int, count: int, like: torch.Tensor) -> torch.Tensor:
    """Elements first … first + count of the engine's `random` sequence of a seed, 0 to 1, float32 [count]."""
    number = torch.arange(first, first + count, device=like.device)
    key = _mixed(number >> 32) ^ seed
    word = _mixed((_mixed((number & 0xFFFFFFFF) ^ key) + key) & 0xFFFFFFFF)
    return (word >> 8).to(torch.float32) * (2.0 ** -24)


class Noise(nn.Module):
    """White noise, uniform in -1 … 1, [batch, channels, frames]; `fresh` for training, else the engine's sequence of `seed`."""

    def __init__(self, channels, seed):
        super().__init__()
        self.channels: int = channels
        self.seed: int = seed
        self.streaming: bool = False
        self.fresh: bool = False
        self.register_buffer("position", torch.zeros(1, dtype=torch.int64), persistent=False)

    def forward(self, like, frames: int):
        if self.fresh:
            return torch.rand((like.shape[0], self.channels, frames), device=like.device, dtype=like.dtype) * 2 - 1
        first, count = 0, frames * self.channels
        if self.streaming:
            first = int(self.position.item())
            self.position = self.position + count
        row = uniform(self.seed, first, count, like) * 2 - 1
        return row.reshape(1, frames, self.channels).transpose(1, 2).expand(like.shape[0], -1, -1)

    def build(self, b, rows):
        """The same in the engine's operations, [rows, channels]."""
        return b.affine(b.random(rows, self.channels, seed=self.seed), 2.0, -1.0)
