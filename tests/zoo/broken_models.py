"""The modules behind the harmful files of ``broken.py``: a voice that works, and one change each."""

import torch
from torch import nn

from .wrappers import Exported


class Voice(Exported):
    """A decoder of 2 latents at ratio 512 that works; the broken ones change one thing each."""

    RATIO = 512

    def __init__(self, methods: bool = True):
        super().__init__()
        self.ratio, self.calls = self.RATIO, 0
        if methods:
            self.add_method("decode", 2, self.RATIO, 1, 1)
        self.net = nn.Sequential(nn.Conv1d(2, 16, 1), nn.Tanh(), nn.Conv1d(16, self.RATIO, 1))
        nn.init.normal_(self.net[2].weight, std=0.1)
        self.register_buffer("cache", torch.zeros(64, 1, 1))

    def sound(self, z: torch.Tensor) -> torch.Tensor:
        y = torch.tanh(self.net(z)).transpose(1, 2).reshape(z.shape[0], 1, -1)
        late = torch.cat([self.cache[: z.shape[0]], y[..., :-1]], -1)
        self.cache[: z.shape[0]] = y[..., -1:]
        return 0.5 * (y + late)

    @torch.jit.export
    def decode(self, z):
        return self.sound(z)


class WrongLength(Voice):
    @torch.jit.export
    def decode(self, z):
        return self.sound(z)[..., :-1]


class WrongChannels(Voice):
    @torch.jit.export
    def decode(self, z):
        y = self.sound(z)
        return torch.cat([y, y], 1)


class ReturnsTuple(Voice):
    @torch.jit.export
    def decode(self, z):
        return self.sound(z), z


class NanLater(Voice):
    @torch.jit.export
    def decode(self, z):
        self.calls += 1
        y = self.sound(z)
        if self.calls > 20:
            y = y * float("nan")
        return y


class NanFromState(Voice):
    """A state that grows without limit: infinite after some blocks, then not a number."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(1))

    @torch.jit.export
    def decode(self, z):
        self.weight.mul_(1e4)
        return self.sound(z) * (self.weight / self.weight)


class RaisesLater(Voice):
    @torch.jit.export
    def decode(self, z):
        self.calls += 1
        if self.calls > 20:
            raise RuntimeError("enough")
        return self.sound(z)


class Slow(Voice):
    """Some hundred products of large matrices for each frame: over ten times slower than real time on anything small."""

    def __init__(self):
        super().__init__()
        self.register_buffer("matrix", torch.randn(512, 512) / 22)

    @torch.jit.export
    def decode(self, z):
        y = self.sound(z)
        work = self.matrix + z[0, 0, 0]
        for _ in range(100 * z.shape[-1]):
            work = torch.tanh(work @ self.matrix)
        return y + 1e-6 * work.mean()


class Endless(Voice):
    @torch.jit.export
    def decode(self, z):
        n = 0
        while n >= 0:
            n += 1
            if n > 1000:
                n = 0
        return self.sound(z)


class EndlessLater(Voice):
    @torch.jit.export
    def decode(self, z):
        self.calls += 1
        n = self.calls - 20
        while n > 0:
            n = n % 1000 + 1
        return self.sound(z)


class Allocates(Voice):
    @torch.jit.export
    def decode(self, z):
        return self.sound(z) + 1e-9 * (z[0, 0, 0] + torch.ones([5000000000])).sum()


class Leaks(Voice):
    """Keeps every block it ever made."""

    def __init__(self):
        super().__init__()
        self.kept = [torch.zeros(1)]

    @torch.jit.export
    def decode(self, z):
        y = self.sound(z)
        self.kept.append(y.repeat(1, 256, 1))
        return y


class Loud(Voice):
    @torch.jit.export
    def decode(self, z):
        return 100 * self.sound(z)


class Offset(Voice):
    @torch.jit.export
    def decode(self, z):
        return 0.5 * self.sound(z) + 0.4


class Offline(Voice):
    """Made to render whole files: every block starts and ends with zeros beyond its edge."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(2, 32, 5, padding=2)
        self.ups = nn.ModuleList(nn.ConvTranspose1d(32, 32, 16, stride=8, padding=4) for _ in range(3))
        self.last = nn.Conv1d(32, 1, 129, padding=64)
        for layer in (self.first, *self.ups):
            layer.bias.data.zero_()
        smooth = torch.hann_window(65)[None, None].expand(32, 1, 65) * torch.randn(32, 1, 1)
        smooth -= smooth.mean(0, keepdim=True)
        self.last.weight.data = nn.functional.pad(smooth * 0.04, [32, 32]).transpose(0, 1).contiguous()
        self.last.bias.data.zero_()

    @torch.jit.export
    def decode(self, z):
        y = self.first(z)
        for up in self.ups:
            y = torch.tanh(up(y) * 3)
        return torch.tanh(self.last(y))


class WritesFile(Voice):
    """Tensors can lie in files: this one makes and fills one."""

    def __init__(self, file: str):
        super().__init__()
        self.file = file

    @torch.jit.export
    def decode(self, z):
        target = torch.from_file(self.file, True, 64, dtype=torch.float32)
        return self.sound(z) + 1e-9 * target.fill_(1.0)[0]


class ReadsFile(Voice):
    """The bytes of a file of the host, as sound."""

    @torch.jit.export
    def decode(self, z):
        secret = torch.from_file("/etc/passwd", False, 512, dtype=torch.uint8)
        return self.sound(z) + secret.float().repeat(z.shape[-1]) / 255


class CudaOnly(Voice):
    @torch.jit.export
    def decode(self, z):
        return self.sound((z.to("cuda") * 1.0).to("cpu"))


class HugeView(Voice):
    """One stored number spread over 10^12 places."""

    def __init__(self):
        super().__init__()
        self.register_buffer("wide", torch.ones(1).expand(10**6, 10**6))

    @torch.jit.export
    def decode(self, z):
        return self.sound(z) * self.wide[0, 0] + 0 * self.wide.sum()


class NoMethods(nn.Module):
    """A TorchScript file of something else: a classifier."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(8, 3)

    def forward(self, x):
        return self.net(x)


class MissingMethod(Voice):
    def __init__(self):
        super().__init__()
        self.add_method("encode", 1, 1, 2, 512)


class NoParams(Voice):
    def __init__(self):
        super().__init__()
        del self.decode_params


class TextParams(Voice):
    def __init__(self):
        super().__init__()
        del self.decode_params
        self.decode_params = "2, 512, 1, 1"


def with_params(*values):
    module = Voice()
    module.decode_params = torch.tensor(values)
    return module
