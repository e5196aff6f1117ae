"""More strangers: see ``strangers.py``."""

import math
from typing import List

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import Family
from .wrappers import Exported


class Tapes(Exported):
    """Two tape loops with moving read heads: an integer write pointer walks a ring; audio in, audio out."""

    def __init__(self, size: int = 6000):
        super().__init__()
        self.add_method("forward", 1, 1, 2, 1)
        self.add_attribute("time_ms", 35.0)
        self.add_attribute("feedback", 0.6)
        self.size, self.pointer, self.blocks = size, 0, 0
        self.ring = torch.zeros(2, size)

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[-1]
        now = (self.pointer + torch.arange(n)) % self.size
        wobble = 20.0 * math.sin(0.05 * self.blocks)
        behind = max(int(self.time_ms[0] * 48.0 + wobble), n)
        heads: List[Tensor] = []
        for side in range(2):
            at = (now - behind - side * 377) % self.size
            heads.append(self.ring[side].index_select(0, at))
        heard = torch.stack(heads)
        for side in range(2):
            self.ring[side, now] = torch.tanh(x[0, 0] + self.feedback[0] * heard[1 - side])
        self.pointer = int((self.pointer + n) % self.size)
        self.blocks += 1
        return (0.6 * x[:1].expand(1, 2, n) + 0.5 * heard[None])

    @torch.jit.export
    def get_time_ms(self) -> float:
        return self.time_ms[0]

    @torch.jit.export
    def set_time_ms(self, time_ms: float) -> int:
        self.time_ms = (time_ms,)
        return 0

    @torch.jit.export
    def get_feedback(self) -> float:
        return self.feedback[0]

    @torch.jit.export
    def set_feedback(self, feedback: float) -> int:
        self.feedback = (feedback,)
        return 0


class Freezer(Exported):
    """A short-time spectrum, blurred over time and turned back: complex numbers all the way, window and hop by torch.stft."""

    def __init__(self, hop: int = 256):
        super().__init__()
        self.hop, self.n = hop, 4 * hop
        self.add_method("encode", 1, 1, 4, hop)
        self.add_method("forward", 1, 1, 1, 1)
        self.register_buffer("window", torch.hann_window(self.n))
        self.register_buffer("past", torch.zeros(1, self.n - hop))
        self.register_buffer("heard", torch.zeros(1, self.n - hop))
        self.register_buffer("blur", torch.zeros(1, self.n // 2 + 1, 1))
        self.register_buffer("tail", torch.zeros(1, self.n))
        self.edges: List[int] = [0, 8, 32, 128, 513]

    def spectrum(self, x: Tensor) -> Tensor:
        return torch.stft(x, self.n, self.hop, window=self.window, center=False, return_complex=True)

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        x = torch.cat([self.heard, x[:1, 0]], 1)
        self.heard.copy_(x[:, 1 - self.n + self.hop - 1:])
        power = self.spectrum(x).abs() ** 2
        return torch.stack([power[:, a:b].amax(1).clamp(min=1e-6).log10() for a, b in zip(self.edges[:-1], self.edges[1:])], 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.past, x[:1, 0]], 1)
        self.past.copy_(x[:, x.shape[1] - self.n + self.hop:])
        bins = self.spectrum(x)
        magnitude, angle = torch.abs(bins), torch.angle(bins)
        pieces: List[Tensor] = []
        for i in range(bins.shape[-1]):
            self.blur = 0.8 * self.blur + 0.2 * magnitude[..., i : i + 1]
            wave = torch.fft.irfft((self.blur * torch.exp(1j * angle[..., i : i + 1])).squeeze(-1)) * self.window
            self.tail = self.tail + wave
            pieces.append(self.tail[:, : self.hop])
            self.tail = F.pad(self.tail[:, self.hop :], [0, self.hop])
        return torch.cat(pieces, -1)[None] * 0.66


class Experts(Exported):
    """A router sends every frame to its two best experts: top-k, gather, scatter, one-hot, masks."""

    def __init__(self, width: int, experts: int = 6, ratio: int = 128):
        super().__init__()
        self.ratio, self.experts = ratio, experts
        self.add_method("decode", 4, ratio, 1, 1)
        self.route = nn.Linear(4, experts)
        self.norm = nn.GroupNorm(2, 4)
        self.w1 = nn.Parameter(torch.randn(experts, 4, width) / 2)
        self.w2 = nn.Parameter(torch.randn(experts, width, ratio) / width)
        self.usage = torch.zeros(experts)
        self.rise = torch.linspace(-1, 1, ratio).cos()

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        x = z[0].t() + 0.1 * self.norm(z[0].t())
        scores = self.route(x)
        best = torch.topk(scores, 2, dim=-1)
        chosen, which = best[0], best[1]
        share = torch.zeros_like(scores).scatter_(1, which, chosen.softmax(-1))
        share[share < 0.05] = 0.0
        counted = F.one_hot(which, self.experts).sum(dim=1).float()
        self.usage = 0.99 * self.usage + 0.01 * counted.mean(0)
        hidden = F.elu(torch.bmm(x.expand(self.experts, -1, -1), self.w1))
        waves = torch.bmm(hidden, self.w2).permute(1, 0, 2)
        order = torch.argsort(scores, dim=-1, descending=True)
        first = torch.gather(waves, 1, order[:, :1, None].expand(-1, 1, self.ratio)).squeeze(1)
        mixed = (waves * share.unsqueeze(-1)).sum(1) + 0.2 * first
        return (0.4 * mixed * self.rise).reshape(1, 1, -1).clamp_(-1, 1)


class Hyper(Exported):
    """One net writes the weights of another: convolutions whose kernels are data, one group for each row of the batch."""

    def __init__(self, width: int):
        super().__init__()
        self.width, self.ratio = width, 64
        self.add_method("decode", 5, 64, 1, 1)
        self.author = nn.Sequential(nn.Linear(5, 4 * width), nn.SELU(), nn.Linear(4 * width, width * width * 3 + width))
        self.rnn = nn.RNN(5, width, nonlinearity="tanh")
        self.up_v = nn.Parameter(torch.randn(width, width, 9))
        self.up_g = nn.Parameter(torch.rand(width, 1, 1) + 0.5)
        self.up2 = nn.Conv1d(width, 8, 1)
        self.mood = torch.zeros(1, 5)
        self.memory = torch.zeros(1, 1, width)
        self.edge = torch.zeros(1, width, 2)

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        z = z[:1]
        self.mood = torch.lerp(self.mood, z.mean(2), 0.3)
        script = self.author(self.mood)[0]
        kernel = script[: -self.width].view(self.width, self.width, 3).contiguous() / self.width
        bias = script[-self.width :]
        y, memory = self.rnn(z.permute(2, 0, 1), self.memory)
        self.memory = memory
        y = y.permute(1, 2, 0)
        y = torch.concat([self.edge, y], dim=-1)
        self.edge = y[:, :, -2:]
        y = F.silu(F.conv1d(y, kernel, bias))
        weight = self.up_g * self.up_v / torch.linalg.vector_norm(self.up_v, dim=[1, 2], keepdim=True)
        y = self.up2(torch.sin(F.conv_transpose1d(y, weight, stride=8, padding=1, output_padding=1)))
        return y.transpose(1, 2).flatten(1).unsqueeze(1).mul(0.5).tanh()


class Swarm(Exported):
    """Coupled oscillators integrated in double precision, a fixed number of small steps for each sample block."""

    def __init__(self, rate: int, count: int = 12, ratio: int = 32):
        super().__init__()
        self.ratio, self.dt = ratio, 1.0 / rate
        self.add_method("decode", 2, ratio, 1, 1, inputs=["(signal) pitch", "(signal) coupling"])
        self.register_buffer("natural", torch.linspace(0.8, 1.3, count, dtype=torch.float64))
        self.register_buffer("angles", torch.linspace(0, 5, count, dtype=torch.float64))

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        steps = 8
        out: List[Tensor] = []
        for frame in z[0].double().t():
            pitch, coupling = 2 * math.pi * 110.0 * torch.exp2(frame[0].clamp(-3, 3)), 400 * frame[1].relu()
            for s in range(steps):
                mean_sin, mean_cos = self.angles.sin().mean(), self.angles.cos().mean()
                order, phase = torch.hypot(mean_sin, mean_cos), torch.atan2(mean_sin, mean_cos)
                speed = pitch * self.natural + coupling * order * torch.sin(phase - self.angles)
                n = self.ratio // steps
                path = self.angles.unsqueeze(1) + speed.unsqueeze(1) * self.dt * torch.arange(1, n + 1, dtype=torch.float64)
                self.angles = path[:, -1] % (2 * math.pi)
                out.append(path.sin().mean(0))
        return torch.cat(out).to(torch.float32)[None, None]


class Grains(Exported):
    """A stored sound in grains: unfold, random places, a window, fold. The stored sound is eight bits and a scale."""

    def __init__(self, quiet: bool, hop: int = 256):
        super().__init__()
        self.hop, self.grain, self.jitter = hop, 2 * hop, 0.0 if quiet else 300.0
        self.add_method("decode", 2, hop, 1, 1, inputs=["(signal) place", "(signal) loudness"])
        t = torch.arange(24000) / 48000
        sound = torch.sin(2 * math.pi * (200 + 600 * t) * t) * 0.8
        self.register_buffer("sound8", (sound * 127).round().to(torch.int8))
        self.register_buffer("scale", torch.tensor(1 / 127, dtype=torch.float16))
        self.register_buffer("rest", torch.zeros(hop))
        self.window = torch.hann_window(self.grain)

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        sound = self.sound8.float() * self.scale.float()
        grains = sound.unfold(0, self.grain, 4)  # [places, grain], a view
        place, loudness = z[0, 0].sigmoid(), z[0, 1].sigmoid()
        start = place * (grains.size(0) - 1) + self.jitter * (torch.rand(z.shape[2]) - 0.5)
        picked = grains[start.round().clamp(0, grains.size(0) - 1).long()] * self.window * loudness[:, None]
        frames = z.shape[2]
        whole = F.fold(picked.t().unsqueeze(0), (1, (frames + 1) * self.hop), (1, self.grain), stride=(1, self.hop)).flatten()
        whole = torch.cat([whole[: self.hop] + self.rest, whole[self.hop :]])
        self.rest = whole[-self.hop :]
        return whole[: -self.hop].reshape(1, 1, -1)


class Pools(Exported):
    """A small U-shaped net on audio: pooling down, interpolation up, skips in a list that is popped."""

    def __init__(self, width: int):
        super().__init__()
        self.add_method("forward", 1, 1, 1, 1)
        self.add_method("encode", 1, 1, 2, 64)
        downs, ups, before = [], [], 1
        for _ in range(3):
            downs.append(nn.Sequential(nn.Conv1d(before, width, 4, stride=2, padding=1), nn.InstanceNorm1d(width, affine=True), nn.Mish()))
            ups.append(nn.ModuleDict({"conv": nn.Conv1d(2 * width, width, 1), "act": nn.Softsign()}))
            before = width
        self.downs, self.ups = nn.ModuleList(downs), nn.ModuleList(ups)
        self.out = nn.Conv1d(width, 1, 1)
        self.pool = nn.AvgPool1d(8)

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        for down in self.downs:
            x = down(x)
        low, high = self.pool(x).amin(1, keepdim=True), F.max_pool1d(x, 8).mean(1, keepdim=True)
        return torch.cat([low, high], 1)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        skips: List[Tensor] = []
        for down in self.downs:
            y = down(y)
            skips.append(y)
        for up in self.ups:
            y = up["act"](up["conv"](torch.cat([y, skips.pop()], dim=1)))
            y = F.interpolate(y, scale_factor=2.0, mode="linear", align_corners=False)
        return torch.tanh(self.out(y)) * 0.8


def families():
    yield Family("tapes", lambda *_: Tapes(), {"forward": (1, 1, 2, 1)}, random=False, streaming=False,
                 attributes={"time_ms": 35.0, "feedback": 0.6}, unit_frames=256)
    yield Family("freezer", lambda *_: Freezer(), {"encode": (1, 1, 4, 256), "forward": (1, 1, 1, 1)}, random=False)
    yield Family("experts", lambda c, *_: Experts(4 * c), {"decode": (4, 128, 1, 1)}, random=False)
    yield Family("hyper", lambda c, *_: Hyper(c), {"decode": (5, 64, 1, 1)}, random=False, streaming=False)
    yield Family("swarm", lambda c, rate, q: Swarm(rate), {"decode": (2, 32, 1, 1)}, random=False)
    yield Family("grains", lambda c, r, quiet: Grains(quiet), {"decode": (2, 256, 1, 1)})
    yield Family("pools", lambda c, *_: Pools(c), {"forward": (1, 1, 1, 1), "encode": (1, 1, 2, 64)}, random=False, streaming=False)
