"""A latent flow over a streaming codec, in the shape of AFTER (Demerle et al., "Combining audio control and style transfer
using latent diffusion", 2024): a small transformer turns noise into codec latents in one or a few Euler steps, led by a
timbre and a structure; attention reaches back over a window whose keys and values are kept, apart for every step.
"""

import math

import torch
from torch import nn

from .nets import GeneratorV2, encoder_v2
from .pqmf import Pqmf
from .streaming import Conv
from .wrappers import Exported

TIMBRE, STRUCTURE, LATENT = 6, 12, 16
WINDOW, MAX_STEPS = 16, 4
RATIOS = (2, 2, 2, 4, 4)


class Attention(nn.Module):
    """Causal, over the last ``WINDOW`` frames and this one; nearer frames weigh more. x [batch, frames, width]."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.size, self.window = heads, width // heads, WINDOW
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.register_buffer("slope", 2.0 ** -torch.arange(1, heads + 1).float()[:, None, None])
        self.register_buffer("keys", torch.zeros(MAX_STEPS, 8, WINDOW, width))
        self.register_buffer("values", torch.zeros(MAX_STEPS, 8, WINDOW, width))

    def forward(self, x, step: int):
        rows, frames = x.shape[0], x.shape[1]
        query, key, value = self.project(x).chunk(3, -1)
        key = torch.cat([self.keys[step, :rows], key], 1)
        value = torch.cat([self.values[step, :rows], value], 1)
        self.keys[step, :rows] = key[:, -self.window:]
        self.values[step, :rows] = value[:, -self.window:]
        query = query.view(rows, frames, self.heads, self.size).transpose(1, 2)
        key = key.view(rows, -1, self.heads, self.size).transpose(1, 2)
        value = value.view(rows, -1, self.heads, self.size).transpose(1, 2)
        age = torch.arange(frames).unsqueeze(1) + self.window - torch.arange(frames + self.window)
        score = query @ key.transpose(-1, -2) / math.sqrt(self.size) - self.slope * age
        score = score.masked_fill((age < 0) | (age > self.window), float("-inf"))
        y = torch.softmax(score, -1) @ value
        return self.out(y.transpose(1, 2).reshape(rows, frames, -1))


class Layer(nn.Module):
    """Attention and a wide layer, each scaled and shifted by time and timbre."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention = Attention(width, heads)
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.modulate = nn.Linear(width, 3 * width)

    def forward(self, x, condition, step: int):
        shift, scale, gate = self.modulate(condition).chunk(3, -1)
        x = x + gate * self.attention(self.norm1(x) * (1 + scale) + shift, step)
        return x + self.mlp(self.norm2(x))


class Flow(nn.Module):
    def __init__(self, width=32, heads=4, layers=2):
        super().__init__()
        self.start = nn.Linear(LATENT + STRUCTURE, width)
        self.condition = nn.Sequential(nn.Linear(TIMBRE + 16, width), nn.SiLU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.end = nn.Linear(width, LATENT)
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, 6, 8)))

    def forward(self, x, timbre, structure, time: float, step: int):
        """Velocity [batch, LATENT, frames]."""
        angle = time * self.frequencies
        clock = torch.cat([angle.sin(), angle.cos()]).expand(x.shape[0], x.shape[-1], 16)
        condition = self.condition(torch.cat([timbre.transpose(1, 2), clock], -1))
        y = self.start(torch.cat([x, structure], 1).transpose(1, 2))
        for layer in self.layers:
            y = layer(y, condition, step)
        return self.end(y).transpose(1, 2)


class After(Exported):
    def __init__(self, capacity: int, sample_rate: int, quiet: bool):
        super().__init__()
        self.ratio, self.sr, self.draw = 16 * math.prod(RATIOS), sample_rate, 0.0 if quiet else 1.0
        self.timbres, self.latents, width = TIMBRE, LATENT, 4 * capacity
        dilations = ((1,), (1,), (1,), (1, 3), (1, 3))
        self.bank = Pqmf(causal=True)
        self.encoder = encoder_v2(16, capacity // 2, RATIOS, LATENT, dilations, causal=True)
        self.to_timbre = Conv(LATENT, TIMBRE, 3, causal=True)
        self.to_structure = Conv(LATENT, STRUCTURE, 3, causal=True)
        self.flow = Flow(width)
        self.decoder = GeneratorV2(16, capacity // 2, RATIOS, LATENT, dilations, causal=True)
        r = self.ratio
        control = [f"(signal) timbre {i + 1}" for i in range(TIMBRE)] + [f"(signal) structure {i + 1}" for i in range(STRUCTURE)]
        self.add_method("timbre", 1, 1, TIMBRE, r)
        self.add_method("structure", 1, 1, STRUCTURE, r)
        self.add_method("diffuse", TIMBRE + STRUCTURE, r, LATENT, r, inputs=control)
        self.add_method("decode", LATENT, r, 1, 1)
        self.add_method("generate", TIMBRE + STRUCTURE, r, 1, 1, inputs=control)
        self.add_method("forward", 2, 1, 1, 1, inputs=["(signal) structure", "(signal) timbre"])
        self.add_attribute("nb_steps", 1)
        self.add_attribute("guidance", 1.0)
        with torch.no_grad():
            noise = torch.randn(1, LATENT, 64)
            for _ in range(2):
                self.decoder.last.weight *= 0.5 / self.decode(noise).abs().max()

    def latent(self, x):
        return self.encoder(self.bank.split(x))

    @torch.jit.export
    def timbre(self, x):
        return torch.tanh(self.to_timbre(self.latent(x)))

    @torch.jit.export
    def structure(self, x):
        return torch.tanh(self.to_structure(self.latent(x)))

    @torch.jit.export
    def diffuse(self, x):
        timbre, structure = x[:, : self.timbres], x[:, self.timbres :]
        rows = x.shape[0]
        timbre = torch.cat([timbre, torch.full_like(timbre, -4.0)], 0)  # the second half: without a timbre
        structure = torch.cat([structure, structure], 0)
        y = self.draw * torch.randn(rows, self.latents, x.shape[-1])
        steps = self.nb_steps[0]
        for i in range(steps):
            velocity = self.flow(torch.cat([y, y], 0), timbre, structure, i / steps, i)
            led, free = velocity.chunk(2, 0)
            y = y + (free + self.guidance[0] * (led - free)) / steps
        return y

    @torch.jit.export
    def decode(self, z):
        return self.bank.join(self.decoder(z))

    @torch.jit.export
    def generate(self, x):
        return self.decode(self.diffuse(x))

    def forward(self, x):
        both = self.latent(x.reshape(-1, 1, x.shape[-1]))
        structure = torch.tanh(self.to_structure(both[0::2]))
        timbre = torch.tanh(self.to_timbre(both[1::2]))
        return self.generate(torch.cat([timbre, structure], 1))

    @torch.jit.export
    def get_nb_steps(self) -> int:
        return self.nb_steps[0]

    @torch.jit.export
    def set_nb_steps(self, nb_steps: int) -> int:
        if nb_steps < 1 or nb_steps > 4:
            return -1
        self.nb_steps = (nb_steps,)
        return 0

    @torch.jit.export
    def get_guidance(self) -> float:
        return self.guidance[0]

    @torch.jit.export
    def set_guidance(self, guidance: float) -> int:
        self.guidance = (guidance,)
        return 0
