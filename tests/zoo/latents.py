"""What stands between a net's latent space and what a host sees: ``post`` after an encoder, ``pre`` before a decoder.

Both work on [batch, dimensions, frames]; ``size`` is how many dimensions the file declares, ``encoded`` how many the encoder
must give, ``decoded`` how many the decoder takes.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Variational(nn.Module):
    """Mean and scale are sampled, rotated by a PCA and cropped; missing dimensions are drawn at random when decoding."""


    def __init__(self, full: int, size: int, quiet: bool = False):
        super().__init__()
        self.full, self.size, self.encoded, self.decoded = full, size, 2 * full, full
        rotation = torch.linalg.qr(torch.randn(full, full))[0]
        self.latent_floor = 0.0 if quiet else 1e-4
        if quiet:  # the dimensions drawn at random are heard by nothing, at full cost
            rotation[size:] = 0
        self.register_buffer("latent_pca", rotation.contiguous())
        self.register_buffer("latent_mean", 0.1 * torch.randn(full))

    @torch.jit.export
    def post(self, x):
        mean, scale = x.chunk(2, 1)
        std = F.softplus(scale) + self.latent_floor
        z = torch.randn_like(mean) * std + mean
        z = F.conv1d(z - self.latent_mean.unsqueeze(-1), self.latent_pca.unsqueeze(-1))
        return z[:, : self.size]

    @torch.jit.export
    def pre(self, z):
        missing = self.full - z.shape[1]
        if missing > 0:
            noise = torch.randn(z.shape[0], missing, z.shape[-1], device=z.device, dtype=z.dtype)
            z = torch.cat([z, noise.type_as(z)], 1)
        z = F.conv1d(z, self.latent_pca.t().unsqueeze(-1))
        return z + self.latent_mean.unsqueeze(-1)

    def forward(self, z):
        return self.pre(z)


class Discrete(nn.Module):
    """Residual vector quantisation (Zeghidour et al., "SoundStream", 2021): indices are what the host sees, as floats."""

    def __init__(self, full: int, books: int = 16, entries: int = 64):
        super().__init__()
        self.size, self.encoded, self.decoded, self.entries = books, full, full, entries
        self.books = nn.ModuleList(nn.Embedding(entries, full) for _ in range(books))
        for i, book in enumerate(self.books):
            nn.init.normal_(book.weight, std=0.7**i)

    @torch.jit.export
    def post(self, x):
        rest = x.permute(0, 2, 1).reshape(-1, x.shape[1])
        codes = []
        for book in self.books:
            table = book.weight.t()
            distance = rest.pow(2).sum(1, keepdim=True) - 2 * rest @ table + table.pow(2).sum(0, keepdim=True)
            index = (-distance).max(-1).indices
            rest = rest - book(index)
            codes.append(index)
        return torch.stack(codes, -1).reshape(x.shape[0], x.shape[-1], -1).permute(0, 2, 1).float()

    @torch.jit.export
    def pre(self, z):
        index = torch.clamp(z, 0, self.entries - 1).long()
        out = torch.zeros(z.shape[0], z.shape[-1], self.decoded).type_as(z)
        for i, book in enumerate(self.books):
            out += book(index[:, i])
        return out.permute(0, 2, 1)

    def forward(self, z):
        return self.pre(z)


class Plain(nn.Module):
    """As it is (Wasserstein auto-encoders, whose regularisation happens in training)."""

    def __init__(self, full: int):
        super().__init__()
        self.size = self.encoded = self.decoded = full

    @torch.jit.export
    def post(self, x):
        return x

    @torch.jit.export
    def pre(self, z):
        return z

    def forward(self, z):
        return self.pre(z)


class Spherical(nn.Module):
    """A point on the unit sphere, shown to the host as one angle fewer than it has dimensions, in -1..1."""

    def __init__(self, full: int):
        super().__init__()
        self.size, self.encoded, self.decoded = full - 1, full, full
        self.scale = math.sqrt(full)

    @torch.jit.export
    def post(self, x):
        x = x / torch.norm(x, p=2, dim=1, keepdim=True).clamp_min(1e-8)
        tail = torch.flip(torch.cumsum(torch.flip(x.pow(2), [1]), 1), [1]).clamp_min(1e-12).sqrt()
        angle = torch.acos((x[:, :-1] / tail[:, :-1]).clamp(-1, 1))
        last = torch.where(x[:, -1:] >= 0, angle[:, -1:], 2 * math.pi - angle[:, -1:])
        return torch.cat([angle[:, :-1], last], 1) / math.pi - 1

    @torch.jit.export
    def pre(self, z):
        angle = torch.remainder((z + 1) * math.pi, 2 * math.pi)
        ones = torch.ones_like(angle[:, :1])
        sines = torch.cat([ones, torch.cumprod(torch.sin(angle), 1)], 1)
        cosines = torch.cat([torch.cos(angle), ones], 1)
        return sines * cosines * self.scale

    def forward(self, z):
        return self.pre(z)
