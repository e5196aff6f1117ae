"""Strangers whose difficulty is what they remember: queues, swapped buffers, counters, shared storage. See ``strangers.py``."""

import math
from typing import List

import torch
from torch import Tensor, nn

from . import Family
from .wrappers import Exported

RATIO = 128


class Voice(Exported):
    """Two latents at ratio 128 to sound; subclasses remember something between blocks."""

    def __init__(self):
        super().__init__()
        self.add_method("decode", 2, RATIO, 1, 1)
        self.ratio = RATIO
        self.first, self.second = nn.Linear(2, 12), nn.Linear(12, RATIO)
        self.shape = nn.Parameter(torch.sin(torch.linspace(0, math.pi, RATIO)), requires_grad=False)

    def sound(self, z: Tensor) -> Tensor:
        frames = torch.tanh(self.second(torch.relu(self.first(z.transpose(1, 2))))) * self.shape
        return frames.flatten(1).unsqueeze(1)


class Queue(Voice):
    """As loud as it was four blocks ago, kept as a list of tensors: appended at one end, popped at the other."""

    _methods: List[str]
    _attributes: List[str]
    queue: List[Tensor]

    def __init__(self):
        super().__init__()
        self.queue = [torch.zeros(1, 1, 1) for _ in range(4)]

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        y = self.sound(z)
        old = self.queue.pop(0)
        self.queue.append(y)
        return y * (0.5 + 2.0 * old.abs().mean())


class PingPong(Voice):
    """Two halves of a picture change places in every call; one is read, the other written."""

    def __init__(self):
        super().__init__()
        self.front, self.back = torch.zeros(1, 1, RATIO), torch.ones(1, 1, RATIO) * 0.1

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        y = self.sound(z)
        self.back.copy_(0.5 * self.back + y[..., -self.ratio :])
        self.front, self.back = self.back, self.front
        return y + 0.4 * self.back.repeat(1, 1, z.shape[-1])


class SampleHold(Voice):
    """Takes over its latents in every ``period``-th call only; ``first``: the calls it counts as made."""

    def __init__(self, period: int = 8, first: int = 0):
        super().__init__()
        self.period, self.count = period, first
        self.held = torch.zeros(1, 2, 1)

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        if self.count % self.period == 0:
            self.held = z[:1, :, :1].clone()
        self.count += 1
        return self.sound(0.3 * z[:1] + self.held)


class FadeIn(Voice):
    """Silent at first: a whole number of blocks until it is at full level."""

    def __init__(self):
        super().__init__()
        self.age = 0

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        self.age = min(self.age + 1, 40)
        return self.sound(z) * (self.age / 40)


class FloatPhase(Voice):
    """A tremolo whose phase is a plain number."""

    def __init__(self):
        super().__init__()
        self.phase = 0.0

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        n = z.shape[-1] * self.ratio
        t = self.phase + 0.0003 * torch.arange(n)
        self.phase = math.fmod(self.phase + 0.0003 * n, 1.0)
        return self.sound(z) * (0.6 + 0.4 * torch.cos(2 * math.pi * t))


class Shared(Voice):
    """Two names for one memory: what is written by one is read by the other, halves crossed."""

    def __init__(self):
        super().__init__()
        whole = torch.zeros(2, RATIO)
        self.register_buffer("whole", whole)
        self.register_buffer("upper", whole[1])

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        y = self.sound(z)
        out = y + 0.5 * self.whole[1].repeat(z.shape[-1])
        self.whole[0] = y[0, 0, -self.ratio :]
        self.upper.copy_(0.9 * torch.flip(self.whole[0], [0]))
        return out


class Gate(Voice):
    """Opens when the latents are large, and stays open for three calls."""

    def __init__(self):
        super().__init__()
        self.left = 0

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        if bool(z.abs().max() > 1.5):
            self.left = 3
        y = self.sound(z)
        if self.left > 0:
            self.left -= 1
            return y
        return y * 0.1


class LateStart(Voice):
    """Makes its memory in the first call, and forgets it when the block length changes; wears its weights down a little."""

    def __init__(self):
        super().__init__()
        self.memory = torch.zeros(0)
        self.ready = False

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        y = self.sound(z)
        if not self.ready or self.memory.shape[-1] != y.shape[-1]:
            self.memory = y * 0.5
            self.ready = True
        self.shape.mul_(0.9995)
        out = y + 0.5 * self.memory
        self.memory = torch.lerp(self.memory, y, 0.2)
        return out


def families():
    makers = {"queue": Queue, "ping_pong": PingPong, "sample_hold": SampleHold, "sample_hold_seldom": lambda: SampleHold(50, 1), "fade_in": FadeIn,
              "float_phase": FloatPhase, "shared": Shared, "gate": Gate, "late_start": LateStart}
    for name, make in makers.items():
        yield Family(name, lambda *_, make=make: make(), {"decode": (2, RATIO, 1, 1)}, random=False, streaming=name == "float_phase")
