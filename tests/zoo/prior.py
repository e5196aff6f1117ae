"""An autoregressive prior over quantised latents, and the file that carries one beside a decoder.

Dilated gated convolutions step by step (van den Oord et al., "WaveNet", 2016) over one index per latent dimension; dimension i
lags by i frames, so that within a frame later dimensions can follow earlier ones ("RAVE", 2021, section on the prior).
"""

import torch
from torch import nn

from .rave import Core, RaveFile
from .streaming import Conv, Hold


class Layer(nn.Module):
    def __init__(self, residual: int, skip: int, dilation: int):
        super().__init__()
        self.gate = Conv(residual, 2 * residual, 2, dilation=dilation, causal=True, gain=1.5)
        self.out = Conv(residual, residual, 1, causal=True, gain=0.7)
        self.skip = Conv(residual, skip, 1, causal=True)

    def forward(self, x: torch.Tensor, skips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        left, right = self.gate(x).chunk(2, 1)
        y = torch.tanh(left) * torch.sigmoid(right)
        return x + self.out(y), skips + self.skip(y)


class Prior(nn.Module):
    """``temperature`` [batch, 1, frames] -> latents [batch, size, frames]; the last step's indices are its state."""

    def __init__(self, size: int, levels=32, residual=32, skip=16, layers=10, cycle=4, spread=3.0, quiet=False):
        super().__init__()
        self.size, self.levels, self.spread, self.draw = size, levels, spread, 0.0 if quiet else 1.0
        self.embed = nn.Embedding(size * levels, residual)
        nn.init.normal_(self.embed.weight, std=1 / size**0.5)
        self.layers = nn.ModuleList(Layer(residual, skip, 2 ** (i % cycle)) for i in range(layers))
        self.head = nn.Sequential(nn.LeakyReLU(0.2), Conv(skip, size * levels, 1, causal=True))
        self.straighten = nn.ModuleList(Hold(1, size - 1 - i, crop=True, batch=8) for i in range(size))
        self.register_buffer("previous_step", torch.full((8, size, 1), levels // 2))
        self.register_buffer("offset", (torch.arange(size) * levels)[None, :, None])

    def step(self, x, temperature):
        y = self.embed(x + self.offset).sum(1).permute(0, 2, 1)
        skips = torch.zeros(1).type_as(y)
        for layer in self.layers:
            y, skips = layer(y, skips)
        logits = self.head(skips).reshape(x.shape[0], self.size, self.levels)
        gumbel = -torch.log(-torch.log(torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)))
        return torch.argmax(logits + self.draw * temperature * gumbel, -1, keepdim=True)

    def forward(self, temperature):
        rows = temperature.shape[0]
        x = self.previous_step[:rows]
        steps: list[torch.Tensor] = []
        for i in range(temperature.shape[-1]):
            x = self.step(x, temperature[:, :, i : i + 1].abs())
            steps.append(x)
        self.previous_step[:rows] = x
        z = (torch.cat(steps, -1).float() + 0.5) / self.levels * 2 - 1
        straight: list[torch.Tensor] = []
        for i, hold in enumerate(self.straighten):
            straight.append(hold(z[:, i : i + 1]))
        return torch.cat(straight, 1) * self.spread


class RaveWithPrior(RaveFile):
    def __init__(self, core: Core, sample_rate: int, quiet: bool = False):
        super().__init__(core, sample_rate)
        self.net = Prior(core.latent.size, quiet=quiet)
        self.add_method("prior", 1, self.ratio, core.latent.size, self.ratio, inputs=["(signal) temperature"])

    @torch.jit.export
    def prior(self, temperature):
        return self.net(temperature)
