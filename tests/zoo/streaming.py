"""Layers that keep what they need from the block before (Caillon and Esling, "Streamable neural audio synthesis with
non-causal convolutions", 2022), written afresh for the tests.

Signals are [batch, channels, frames]. Every layer has ``delay``: the frames by which its output lags behind what the same net
would compute on the whole signal, at its own output's rate, counted from the input of the net. ``causal`` layers add none.
Caches hold ``MAX_BATCH`` rows, as in released files, and are written in place.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

MAX_BATCH = 64


class Hold(nn.Module):
    """The last ``frames`` of the stream put before the block; with ``crop`` the end falls off: a pure delay."""

    __constants__ = ["frames", "crop"]

    def __init__(self, channels: int, frames: int, crop: bool = False, batch: int = MAX_BATCH):
        super().__init__()
        self.frames, self.crop = frames, crop
        self.register_buffer("pad", torch.zeros(batch, channels, frames))

    def forward(self, x):
        if self.frames:
            rows = x.shape[0]
            x = torch.cat([self.pad[:rows], x], -1)
            self.pad[:rows].copy_(x[..., -self.frames:])
            if self.crop:
                x = x[..., : -self.frames]
        return x


def _start(module, fan: int, gain: float):
    nn.init.normal_(module.weight, std=gain / math.sqrt(fan))
    if module.bias is not None:
        nn.init.normal_(module.bias, std=0.02)


class Conv(nn.Conv1d):
    """A convolution whose zero padding is replaced by the stream's past. ``frames`` must be a multiple of ``stride``."""

    def __init__(self, inputs, outputs, kernel, stride=1, dilation=1, groups=1, bias=True, causal=False, before=0, gain=1.0):
        """``before``: delay of the stream that comes in. ``gain``: output deviation for white input of deviation 1."""
        super().__init__(inputs, outputs, kernel, stride=stride, dilation=dilation, groups=groups, bias=bias)
        context = (kernel - 1) * dilation + 1 - stride
        right = 0 if causal else context // 2
        align = -(right + before) % stride
        self.delay = (before + right + align) // stride
        self.hold = Hold(inputs, context + align)
        _start(self, inputs // groups * kernel, gain)

    def forward(self, x):
        x = self.hold(x)
        return F.conv1d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class ConvTranspose(nn.ConvTranspose1d):
    """Kernel 2 x stride; the half that reaches into the next block is added there."""

    def __init__(self, inputs, outputs, stride, bias=True, causal=False, before=0, gain=1.0):
        super().__init__(inputs, outputs, 2 * stride, stride=stride, bias=bias)
        self.tail = stride
        self.delay = before * stride + (0 if causal else stride // 2)
        self.register_buffer("cache", torch.zeros(MAX_BATCH, outputs, stride))
        _start(self, 2 * inputs, gain)

    def forward(self, x):
        x = F.conv_transpose1d(x, self.weight, None, self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        rows = x.shape[0]
        x[..., : self.tail] += self.cache[:rows]
        self.cache[:rows].copy_(x[..., -self.tail:])
        x = x[..., : -self.tail]
        bias = self.bias
        if bias is not None:
            x = x + bias.unsqueeze(-1)
        return x


class Chain(nn.Sequential):
    """A sequence with a delay."""

    def __init__(self, *layers, delay: int):
        super().__init__(*layers)
        self.delay = delay


class Branches(nn.Module):
    """Several nets on one input; the quicker ones are delayed until all agree. ``channels``: of each one's output."""

    def __init__(self, *branches, delays, channels):
        super().__init__()
        self.delay = max(delays)
        self.branches = nn.ModuleList(branches)
        self.holds = nn.ModuleList(Hold(c, self.delay - d, crop=True) for c, d in zip(channels, delays))

    def forward(self, x) -> list[torch.Tensor]:
        out: list[torch.Tensor] = []
        for branch, hold in zip(self.branches, self.holds):
            out.append(hold(branch(x)))
        return out


class Residual(nn.Module):
    """x + net(x), the direct way as late as the net. ``inner``: the frames the net itself adds."""

    def __init__(self, net, channels: int, inner: int, before: int = 0):
        super().__init__()
        self.delay = before + inner
        self.aligned = Branches(net, nn.Identity(), delays=(inner, 0), channels=(channels, channels))

    def forward(self, x):
        x_net, x_direct = self.aligned(x)
        return x_net + x_direct


def settle_caches(module: nn.Module, value: float = 0.0):
    """Fill every cache of a module, scripted or not (released files carry residue, one even NaN)."""
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            if name.split(".")[-1] in ("pad", "cache"):
                buffer.fill_(value)
