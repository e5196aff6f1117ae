"""Encoders and decoders in the shapes of RAVE's generations (Caillon and Esling, "RAVE", 2021, and its released
configurations), written afresh from the descriptions. All work on the bands of a PQMF: [batch, bands, frames].
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .streaming import Branches, Chain, Conv, ConvTranspose, Residual

SLOPE = 0.2
DILATIONS = ((1, 3, 9), (1, 3, 9), (1, 3, 9), (1, 3))


class Snake(nn.Module):
    """x + sin(a x)^2 / a (Ziyin, Hartwig and Ueda, "Neural networks fail to learn periodic functions", 2020)."""

    def __init__(self, channels: int):
        super().__init__()
        self.alpha = nn.Parameter(0.5 + torch.rand(channels, 1))

    def forward(self, x):
        return x + (self.alpha + 1e-9).reciprocal() * (self.alpha * x).sin().pow(2)


class AdaIN(nn.Module):
    """Adaptive instance normalisation (Huang and Belongie, 2017): statistics of a source, measured on demand, are replaced by
    those of a target. ``learning``: 0 play, 1 measure source, 2 measure target."""


    def __init__(self, channels: int):
        super().__init__()
        self.learning = 0
        for side in ("source", "target"):
            self.register_buffer("mean_" + side, torch.zeros(channels, 1))
            self.register_buffer("std_" + side, torch.ones(channels, 1))
            self.register_buffer("updates_" + side, torch.zeros(1))

    def forward(self, x):
        if self.learning == 1:
            self.updates_source += 1
            self.mean_source += (x.mean(-1, keepdim=True)[0] - self.mean_source) / self.updates_source
            self.std_source += (x.std(-1, keepdim=True)[0] - self.std_source) / self.updates_source
        elif self.learning == 2:
            self.updates_target += 1
            self.mean_target += (x.mean(-1, keepdim=True)[0] - self.mean_target) / self.updates_target
            self.std_target += (x.std(-1, keepdim=True)[0] - self.std_target) / self.updates_target
        elif bool(self.updates_source > 0) and bool(self.updates_target > 0):
            x = (x - self.mean_source) / (self.std_source + 1e-5) * self.std_target + self.mean_target
        return x

    @torch.jit.export
    def learn(self, source: bool, target: bool):
        self.learning = 1 if source else (2 if target else 0)

    @torch.jit.export
    def reset(self, side: int):
        if side == 1:
            self.mean_source.zero_()
            self.std_source.fill_(1.0)
            self.updates_source.zero_()
        else:
            self.mean_target.zero_()
            self.std_target.fill_(1.0)
            self.updates_target.zero_()


def activation(kind: str, channels: int) -> nn.Module:
    return Snake(channels) if kind == "snake" else nn.LeakyReLU(SLOPE)


def dilated_unit(channels, dilation, kernel=3, act="leaky", causal=False, before=0) -> Residual:
    """x + conv1(act(conv3 dilated(act(x))))"""
    wide = Conv(channels, channels, kernel, dilation=dilation, causal=causal, gain=0.7)
    narrow = Conv(channels, channels, 1, causal=causal, gain=0.7)
    net = nn.Sequential(activation(act, channels), wide, activation(act, channels), narrow)
    return Residual(net, channels, wide.delay, before)


def encoder_v2(bands, capacity, ratios, latent, dilations=DILATIONS, act="leaky", causal=False) -> Chain:
    """Units before each strided convolution; ``latent``: of the output."""
    layers = [Conv(bands, capacity, 7, causal=causal, gain=3.0)]
    channels = capacity
    for ratio, stage in zip(ratios, dilations):
        for dilation in stage:
            layers.append(dilated_unit(channels, dilation, act=act, causal=causal, before=layers[-1].delay))
        delay = layers[-1].delay
        layers.append(activation(act, channels))
        layers.append(Conv(channels, 2 * channels, 2 * ratio, ratio, causal=causal, before=delay))
        channels *= 2
    delay = layers[-1].delay
    layers += [activation(act, channels), Conv(channels, latent, 3, causal=causal, before=delay, gain=1.5)]
    return Chain(*layers, delay=layers[-1].delay)


def encoder_v1(bands, capacity, ratios, latent, causal=False) -> Chain:
    """Batch norm and strided convolutions, and a last one in two groups (mean and scale)."""
    layers = [Conv(bands, capacity, 7, causal=causal, gain=3.0)]
    channels, delay = capacity, layers[0].delay
    for ratio in ratios:
        norm = nn.BatchNorm1d(channels)
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        conv = Conv(channels, 2 * channels, 2 * ratio + 1, ratio, bias=False, causal=causal, before=delay)
        layers += [norm, nn.LeakyReLU(SLOPE), conv]
        channels, delay = 2 * channels, conv.delay
    layers += [nn.LeakyReLU(SLOPE), Conv(channels, latent, 5, groups=2, causal=causal, before=delay, gain=1.5)]
    return Chain(*layers, delay=layers[-1].delay)


def mod_sigmoid(x):
    """A positive amplitude: 2 sigmoid(x)^ln(10) and a floor (Engel et al., "DDSP", 2020)."""
    return 2 * torch.sigmoid(x) ** 2.3 + 1e-7


def impulse_response(amplitude, frames: int):
    """Zero-phase filters of the given amplitudes [..., bins], windowed, as responses of ``frames`` samples (DDSP, 2020)."""
    spectrum = torch.view_as_complex(torch.stack([amplitude, torch.zeros_like(amplitude)], -1))
    response = torch.fft.irfft(spectrum)
    size = response.shape[-1]
    response = torch.roll(response, size // 2, -1)
    response = response * torch.hann_window(size, dtype=response.dtype, device=response.device)
    response = F.pad(response, [0, frames - size])
    return torch.roll(response, -(size // 2), -1)


def fft_convolve(signal, kernel):
    """Circular at twice the length, the second half kept."""
    frames = signal.shape[-1]
    signal = F.pad(signal, [0, frames])
    kernel = F.pad(kernel, [frames, 0])
    return torch.fft.irfft(torch.fft.rfft(signal) * torch.fft.rfft(kernel))[..., frames:]


class Noise(nn.Module):
    """Filtered noise for each band: strided convolutions make the filters, one for each ``prod(ratios)`` frames."""

    def __init__(self, channels, bands, ratios=(4, 4, 4), bins=5, hidden=0, act="leaky", causal=False, before=0, quiet=False):
        super().__init__()
        self.bands, self.target = bands, math.prod(ratios)
        layers, width, delay = [], channels, before
        for ratio in ratios[:-1]:
            conv = Conv(width, hidden or channels, 2 * ratio, ratio, causal=causal, before=delay)
            layers += [conv, activation(act, hidden or channels)]
            width, delay = hidden or channels, conv.delay
        last = Conv(width, bands * bins, 2 * ratios[-1], ratios[-1], causal=causal, before=delay)
        if quiet:  # noise without level, at full cost
            last.weight.data.zero_()
            last.bias.data.fill_(-1000.0)
        self.net = nn.Sequential(*layers, last)
        self.delay = last.delay * self.target

    def forward(self, x):
        amplitude = mod_sigmoid(self.net(x) - 5)
        amplitude = amplitude.permute(0, 2, 1)
        amplitude = amplitude.reshape(amplitude.shape[0], amplitude.shape[1], self.bands, -1)
        response = impulse_response(amplitude, self.target)
        noise = torch.rand_like(response) * 2 - 1
        noise = fft_convolve(noise, response).permute(0, 2, 1, 3)
        return noise.reshape(noise.shape[0], noise.shape[1], -1)


class GeneratorV1(nn.Module):
    """Residual stacks; heads for the wave, its loudness and noise. ``latent`` [batch, latent, frames] -> bands."""

    def __init__(self, bands, capacity, ratios, latent, dilations=(1, 3, 5), loud_stride=1, noise=True, causal=False, quiet=False):
        super().__init__()
        channels = capacity * 2 ** len(ratios)
        layers = [Conv(latent, channels, 7, causal=causal)]
        delay = layers[0].delay
        for ratio in reversed(ratios):
            up = ConvTranspose(channels, channels // 2, ratio, causal=causal, before=delay)
            layers += [nn.LeakyReLU(SLOPE), up]
            channels, delay = channels // 2, up.delay
            for dilation in dilations:
                for d in (dilation, 1):
                    conv = Conv(channels, channels, 3, dilation=d, causal=causal, gain=0.7)
                    net = nn.Sequential(nn.LeakyReLU(SLOPE), conv)
                    layers.append(Residual(net, channels, conv.delay, delay))
                    delay = layers[-1].delay
        self.net = nn.Sequential(*layers)
        self.last = Conv(channels, bands, 7, causal=causal)  # the head whose level is set afterwards
        loud = Conv(channels, 1, 2 * loud_stride + 1, loud_stride, causal=causal)
        heads, delays, widths = [self.last, loud], [self.last.delay, loud.delay * loud_stride], [bands, 1]
        self.noisy = noise
        if noise:
            heads.append(Noise(channels, bands, causal=causal, quiet=quiet))
            delays.append(heads[-1].delay)
            widths.append(bands)
        self.loud_stride = loud_stride
        self.heads = Branches(*heads, delays=delays, channels=widths)
        self.delay = delay + self.heads.delay

    def forward(self, x):
        heads = self.heads(self.net(x))
        loudness = heads[1].repeat_interleave(self.loud_stride, -1)
        wave = torch.tanh(heads[0]) * mod_sigmoid(loudness)
        if self.noisy:
            wave = wave + heads[2]
        return wave


class GeneratorV2(nn.Module):
    """Dilated units and an amplitude-modulated output. ``augment``: dimensions of noise beside the latent; ``noise``: filtered noise added."""


    def __init__(self, bands, capacity, ratios, latent, dilations=DILATIONS, act="leaky", adain=False, noise=False, augment=0,
                 outputs=1, causal=False, quiet=False):
        super().__init__()
        channels = capacity * 2 ** len(ratios)
        self.augment = augment
        layers = [Conv(latent + augment, channels, 7, causal=causal)]
        if quiet and augment:
            layers[0].weight.data[:, latent:] = 0
        delay = layers[0].delay
        for ratio, stage in zip(reversed(ratios), reversed(dilations)):
            up = ConvTranspose(channels, channels // 2, ratio, causal=causal, before=delay)
            layers += [activation(act, channels), up]
            channels, delay = channels // 2, up.delay
            for dilation in stage:
                layers.append(dilated_unit(channels, dilation, act=act, causal=causal, before=delay))
                delay = layers[-1].delay
            if adain:
                layers.append(AdaIN(channels))
        layers.append(activation(act, channels))
        self.net = nn.Sequential(*layers)
        self.last = Conv(channels, 2 * bands * outputs, 7, causal=causal)
        heads, delays, widths = [self.last], [self.last.delay], [2 * bands * outputs]
        self.noisy = noise
        if noise:
            heads.append(Noise(channels, bands * outputs, (2, 2, 2), 32, 64, act, causal=causal, quiet=quiet))
            delays.append(heads[-1].delay)
            widths.append(bands * outputs)
        self.heads = Branches(*heads, delays=delays, channels=widths)
        self.delay = delay + self.heads.delay

    def forward(self, x):
        if self.augment:
            x = torch.cat([x, torch.randn(x.shape[0], self.augment, x.shape[-1]).type_as(x)], 1)
        heads = self.heads(self.net(x))
        wave, amplitude = heads[0].split(heads[0].shape[1] // 2, 1)
        wave = wave * torch.sigmoid(amplitude)
        if self.noisy:
            wave = wave + heads[1]
        return torch.tanh(wave)
