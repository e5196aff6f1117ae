"""Made the files beside it, once, with torch 1.9.1 on Python 3.9: ``python make_old_files.py`` (no other package of the instrument).

``old_script.ts`` and ``old_trace.ts`` are what that torch wrote, without the debug records (they hold paths of the machine);
``old_files.npz`` holds an input and what that torch itself gave for three blocks. They show the spelling of that age: every
argument printed, ``ops.prim.shape``, ``torch._cast_Float``, functions mangled with their defaults.
"""

import math
import os
import zipfile
from typing import NamedTuple, Optional

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))


class Point(NamedTuple):
    z: torch.Tensor
    n: int


class Cached(nn.Module):
    __constants__ = ["pad"]

    def __init__(self, inputs, outputs, taps, dilation=1):
        super().__init__()
        self.pad = (taps - 1) * dilation
        self.conv = nn.Conv1d(inputs, outputs, taps, dilation=dilation)
        self.register_buffer("cache", torch.zeros(2, inputs, self.pad))

    def forward(self, x):
        rows = x.shape[0]
        joined = torch.cat([self.cache[:rows], x], -1)
        self.cache[:rows].copy_(joined[..., joined.shape[-1] - self.pad:])
        return self.conv(joined)


class Up(nn.Module):
    def __init__(self, channels, ratio):
        super().__init__()
        self.ratio = ratio
        self.conv = nn.ConvTranspose1d(channels, channels, 2 * ratio, stride=ratio)
        self.register_buffer("cache", torch.zeros(2, channels, ratio))

    def forward(self, x):
        rows = x.shape[0]
        y = self.conv(x)
        y[..., :self.ratio] += self.cache[:rows]
        self.cache[:rows] = y[..., -self.ratio:]
        return y[..., :-self.ratio]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(Cached(4, 6, 3), nn.LeakyReLU(.2), Up(6, 4), nn.LeakyReLU(0.2), Cached(6, 6, 3, 3))
        self.heads = nn.ModuleList([Cached(6, 2, 5), Cached(6, 2, 3)])

    def forward(self, z, add: Optional[torch.Tensor] = None):
        x = self.net(z)
        outs = []
        for head in self.heads:
            outs.append(head(x))
        y = torch.tanh(outs[0]) * torch.sigmoid(outs[1])
        if add is not None:
            y = y + add
        return y.reshape(y.shape[0], y.shape[1], y.shape[2]).permute(0, 2, 1).reshape(y.shape[0], 1, -1)


class Scripted(nn.Module):
    """As the first public exports: tensors ``*_params``, no ``get_methods``."""

    def __init__(self):
        super().__init__()
        self.net = Net()
        self.register_buffer("decode_params", torch.tensor([4, 8, 1, 1]))
        self.register_buffer("latent_pca", torch.randn(4, 4))
        self.register_buffer("latent_mean", torch.randn(4))
        self.register_buffer("sampling_rate", torch.tensor(44100))
        self.gru = nn.GRU(4, 4, batch_first=True)
        self.hidden = torch.zeros(1, 1, 4)
        self.sizes = [1, 2, 3]
        self.names = {"a": 1}

    @torch.jit.export
    def decode(self, z):
        # type: (torch.Tensor) -> torch.Tensor
        z = F.conv1d(z, self.latent_pca.unsqueeze(-1)) + self.latent_mean.unsqueeze(-1)
        y, hidden = self.gru(z.permute(0, 2, 1), self.hidden)
        self.hidden = hidden
        z = z + y.permute(0, 2, 1)
        n = z.shape[-1] // 2 + z.size(1) % 3
        total = 0
        for i in range(3):
            if i == 1:
                continue
            total += self.sizes[i]
        k = 0
        while k < 3:
            k += 1
            if k == 2:
                break
        p = Point(z, n)
        z = p.z + p.n * 0.01 + total * 0.001 + k * 0.001 + self.names["a"] * 0.01
        w = F.softplus(z) + F.interpolate(z[:, :1], scale_factor=1.0) + F.pad(z, [1, 0])[..., :-1]
        low, high = torch.chunk(w, 2, 1)
        w = torch.stack([low, high], 1).flatten(1, 2)
        w = w * torch.cos(math.pi * torch.arange(w.shape[-1]).float() * 0.1) + z
        texts = ["{}".format(q) for q in [1, 2]]
        if len(texts) == 3:
            raise ValueError("never")
        assert w.dim() == 3
        return self.net(w)

    def forward(self, z):
        return self.decode(z)


class Traced(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.norm = Net(), nn.BatchNorm1d(4)

    def forward(self, z):
        z = self.norm(z)
        y = self.net(z)
        ramp = torch.linspace(0, 1, y.shape[-1])
        wave = torch.sin(2 * math.pi * torch.cumsum(y, -1) / 16)
        return y * ramp + y.mean(-1, keepdim=True) + wave + F.interpolate(z[:, :1], scale_factor=8)


def keep(module, name):
    """Saves, drops the debug records, loads again; gives the loaded module."""
    fresh, path = os.path.join(HERE, "fresh", name), os.path.join(HERE, name)
    os.makedirs(os.path.dirname(fresh), exist_ok=True)
    module.save(fresh)
    with zipfile.ZipFile(fresh) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.namelist():
            if not entry.endswith(".debug_pkl"):
                new.writestr(zipfile.ZipInfo(entry), old.read(entry))
    os.remove(fresh)
    os.rmdir(os.path.dirname(fresh))
    return torch.jit.load(path).eval()


def main():
    torch.manual_seed(0)
    x = torch.randn(1, 4, 8)
    with torch.no_grad():
        models = {"old_script": torch.jit.script(Scripted().eval()), "old_trace": torch.jit.trace(Traced().eval(), x, check_trace=False)}
        results = {}
        for name, module in models.items():
            loaded = keep(module, name + ".ts")
            results[name] = np.stack([loaded(x * (block + 1)).numpy() for block in range(3)])
    np.savez_compressed(os.path.join(HERE, "old_files.npz"), x=x.numpy(), torch=torch.__version__.split("+")[0], **results)


if __name__ == "__main__":
    main()
