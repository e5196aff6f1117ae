"""Very small files with the nn~ contract, whose output is known."""

import torch
from torch import nn

from . import Family
from .wrappers import Exported


class Gain(Exported):
    """Audio times an attribute, faded over a block from the value before."""

    def __init__(self):
        super().__init__()
        self.add_method("forward", 1, 1, 1, 1)
        self.add_attribute("gain", 0.5)
        self.add_attribute("invert", False)
        self.register_buffer("last", torch.tensor(0.5))

    def forward(self, x):
        gain = self.gain[0]
        if self.invert[0]:
            gain = -gain
        ramp = torch.linspace(0, 1, x.shape[-1] + 1)[1:]
        y = x * (self.last + (gain - self.last) * ramp)
        self.last.fill_(gain)
        return y

    @torch.jit.export
    def get_gain(self) -> float:
        return self.gain[0]

    @torch.jit.export
    def set_gain(self, gain: float) -> int:
        if gain < 0 or gain > 4:
            return -1
        self.gain = (gain,)
        return 0

    @torch.jit.export
    def get_invert(self) -> bool:
        return self.invert[0]

    @torch.jit.export
    def set_invert(self, invert: bool) -> int:
        self.invert = (invert,)
        return 0


class Toy(Exported):
    """Means and peaks of 128 samples and back: a step-wise sine by phase accumulation. No random numbers."""

    def __init__(self, width: int):
        super().__init__()
        self.ratio = 128
        self.add_method("encode", 1, 1, 2, 128, outputs=["(signal) level", "(signal) brightness"])
        self.add_method("decode", 2, 128, 1, 1, inputs=["(signal) level", "(signal) brightness"])
        self.add_method("forward", 1, 1, 1, 1)
        self.first = nn.Conv1d(2, width, 1)
        self.last = nn.Conv1d(width, 128, 1)
        nn.init.normal_(self.first.weight)
        nn.init.normal_(self.last.weight, std=0.3 / width**0.5)
        self.register_buffer("cache", torch.zeros(64, 1, 1))

    @torch.jit.export
    def encode(self, x):
        x = x.reshape(x.shape[0], 1, -1, self.ratio)
        level = x.pow(2).mean(-1).sqrt()
        return torch.cat([level, x.diff(dim=-1).abs().mean(-1)], 1)

    @torch.jit.export
    def decode(self, z):
        rows = z.shape[0]
        y = torch.tanh(self.last(torch.tanh(self.first(z))))
        y = y.permute(0, 2, 1).reshape(rows, 1, -1)
        late = torch.cat([self.cache[:rows], y[..., :-1]], -1)
        self.cache[:rows] = y[..., -1:]
        return 0.5 * (y + late)

    def forward(self, x):
        return self.decode(self.encode(x))


class Quirky(Exported):
    """Habits of older and stranger files: an attribute "none" without a getter, one of four values whose params look like a
    method's, a rate of -1 until the host sets one, getters that give tuples, a line printed in each call, frozen weights."""

    def __init__(self):
        super().__init__()
        self.rate = -1
        self.add_method("forward", 1, 1, 1, 1)
        self.add_attribute("mix", 1, 1, 2.0, 1.0)
        self._attributes.append("none")
        self.color = nn.Parameter(torch.tensor([0.25, 0.5, 0.25])[None, None])
        self.register_buffer("pad", torch.zeros(64, 1, 2))

    def forward(self, x):
        print("block of", x.shape[-1])
        joined = torch.cat([self.pad[: x.shape[0]], x], 2)
        self.pad[: x.shape[0]] = joined[:, :, -2:]
        return torch.conv1d(joined, self.color) * self.mix[2] * self.mix[3] / 2

    @torch.jit.export
    def get_mix(self) -> tuple[int, int, float, float]:
        return self.mix

    @torch.jit.export
    def set_mix(self, a: int, b: int, c: float, d: float) -> int:
        self.mix = (a, b, c, d)
        return 0

    @torch.jit.export
    def get_sample_rate(self) -> int:
        return self.rate

    @torch.jit.export
    def set_sample_rate(self, rate: int):
        self.rate = rate


def families():
    yield Family("quirky", lambda *_: Quirky(), {"forward": (1, 1, 1, 1)}, random=False, notes="old and odd habits of exporters")
    yield Family("gain", lambda *_: Gain(), {"forward": (1, 1, 1, 1)}, random=False, attributes={"gain": 0.5, "invert": False},
                 notes="an attribute toy; ratio 1")
    yield Family("toy", lambda capacity, *_: Toy(capacity),
                 {"encode": (1, 1, 2, 128), "decode": (2, 128, 1, 1), "forward": (1, 1, 1, 1)}, random=False,
                 notes="encode and decode at ratio 128, named latents, no random numbers")
