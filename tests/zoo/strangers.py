"""Models by people who never read how ours are read: other styles, other operators, other habits of keeping state.

They are what users may bring. ``families()`` lists them; ``zoo.STRANGERS`` holds them by name and ``zoo.path`` makes their files.
"""

import math
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import Family
from .wrappers import Exported


# ---------------------------------------------------------------------------------------------------------------------
class ImageVocoder(Exported):
    """A spectrogram painted by 2-d convolutions and turned to sound by overlap-add; phases run on from frame to frame."""

    def __init__(self, width: int, hop: int = 256):
        super().__init__()
        self.hop, self.fft = hop, 4 * hop
        bins = self.fft // 2 + 1
        self.add_method("decode", 8, hop, 1, 1)
        self.paint = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=(1, 0), bias=False), nn.BatchNorm2d(width), nn.ReLU6(),
            nn.Upsample(scale_factor=(8.0, 1.0), mode="nearest"),
            nn.Conv2d(width, width, (5, 1), padding="same"), nn.Hardswish(),
            nn.ConvTranspose2d(width, width // 2, (8, 1), stride=(8, 1)), nn.CELU(),
            nn.Conv2d(width // 2, 1, (7, 1), padding=(3, 0)),
        )
        self.register_buffer("context", torch.zeros(1, 1, 8, 2))
        self.register_buffer("overlap", torch.zeros(1, self.fft))
        self.register_buffer("angle", torch.rand(1, bins) * 2 * math.pi)
        self.register_buffer("window", torch.hann_window(self.fft))
        self.register_buffer("advance", 2 * math.pi * torch.arange(bins) * hop / self.fft + 0.3 * torch.rand(bins))
        self.register_buffer("tilt", 1 / (1 + torch.arange(bins) / 20.0))

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        image = torch.cat((self.context, z[:1, None]), dim=3)
        self.context = image[..., -2:]
        painted = self.paint(image).squeeze(1)  # [1, 512, frames]
        magnitude = F.softplus(F.pad(painted, (0, 0, 0, 1), mode="replicate"), beta=2.0).squeeze(0).t() * self.tilt
        out: List[Tensor] = []
        for frame in range(magnitude.size(0)):
            self.angle = torch.remainder(self.angle + self.advance, 2 * math.pi)
            spectrum = torch.polar(magnitude[frame : frame + 1], self.angle)
            self.overlap += torch.fft.irfft(spectrum, n=self.fft, dim=-1) * self.window
            out += [self.overlap[:, : self.hop].clone()]
            self.overlap = torch.cat([self.overlap[:, self.hop :], self.overlap.new_zeros(1, self.hop)], 1)
        return torch.cat(out, 1).unsqueeze(0) * 30.0


# ---------------------------------------------------------------------------------------------------------------------
class Heard(NamedTuple):
    values: Tensor
    energy: Tensor


def mish(x: Tensor) -> Tensor:
    return x * torch.tanh(F.softplus(x))


@torch.jit.script
def squash(x: Tensor, limit: float = 0.9) -> Tensor:
    return limit * x / (limit + x.abs())


class Choir(Exported):
    """Attention by einsum over a memory kept in a dictionary; results travel in named tuples."""

    memory: Dict[str, Tensor]
    _methods: List[str]
    _attributes: List[str]

    def __init__(self, width: int, ratio: int = 512, span: int = 12):
        super().__init__()
        self.ratio, self.span, self.heads = ratio, span, 4
        self.add_method("encode", 1, 1, 4, ratio)
        self.add_method("decode", 4, ratio, 1, 1)
        self.listen = nn.Linear(ratio, width)
        self.describe = nn.Linear(width, 4)
        self.weights = nn.ParameterDict({k: nn.Parameter(torch.randn(4, width // 4, 4) / 2) for k in ("q", "k", "v")})
        self.speak = nn.Bilinear(width, 4, ratio)
        nn.init.normal_(self.speak.weight, std=1 / width)
        self.memory = {"k": torch.zeros(1, 4, span, width // 4), "v": torch.zeros(1, 4, span, width // 4)}
        self.tail = torch.zeros(1, 1)

    def hear(self, x: Tensor) -> Heard:
        frames = x.unflatten(-1, (-1, self.ratio)).squeeze(1)
        return Heard(values=self.describe(mish(self.listen(frames))), energy=frames.square().mean(-1, keepdim=True))

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        heard = self.hear(x[:1])
        return (heard.values + torch.log1p(heard.energy)).movedim(1, 2)

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        z = z[:1].movedim(1, 2)
        q = torch.einsum("btc,hdc->bhtd", z, self.weights["q"])
        for name in ["k", "v"]:
            new = torch.einsum("btc,hdc->bhtd", z, self.weights["k"] if name == "k" else self.weights["v"])
            self.memory[name] = torch.cat([self.memory[name], new], 2)
        t, s = q.shape[2], self.memory["k"].shape[2]
        bias = torch.full((t, s), -1e9).triu(s - t + 1) + torch.full((t, s), -1e9).tril(s - t - self.span)
        score = torch.einsum("bhtd,bhsd->bhts", q, self.memory["k"]).div(math.sqrt(q.shape[-1])).add(bias)
        mixed = torch.einsum("bhts,bhsd->bthd", score.softmax(dim=-1), self.memory["v"]).flatten(start_dim=2)
        for name in self.memory.keys():
            self.memory[name] = self.memory[name][:, :, -self.span :]
        raw = squash(self.speak(mixed, z)).reshape(1, -1)
        smooth = raw * 0.5 + torch.hstack([self.tail, raw[:, :-1]]) * 0.5
        self.tail = raw[:, -1:]
        return smooth[None]


# ---------------------------------------------------------------------------------------------------------------------
class Resonators(Exported):
    """Noise through a bank of two-pole filters, sample by sample; the latents tune and excite it."""

    def __init__(self, voices: int = 8, ratio: int = 64):
        super().__init__()
        self.ratio = ratio
        self.add_method("decode", 3, ratio, 1, 1, inputs=["(signal) tension", "(signal) damping", "(signal) force"])
        self.register_buffer("spread", torch.logspace(0, 1.2, voices))
        self.y1 = nn.Parameter(torch.zeros(voices))
        self.y2 = nn.Parameter(torch.zeros(voices))

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        out = torch.empty(1, 1, z.shape[2] * self.ratio)
        y1, y2 = self.y1, self.y2
        place = 0
        for frame in z[0].unbind(1):
            tension, damping, force = frame.sigmoid().unbind()
            omega = (0.01 + 0.05 * tension) * self.spread
            radius = 0.9 + 0.0995 * damping
            a1, a2 = 2 * radius * omega.cos(), -radius.square()
            burst = torch.where(force > 0.5, force, torch.zeros_like(force)) * torch.hann_window(self.ratio)
            for i in range(self.ratio):
                y = a1 * y1 + a2 * y2 + burst[i] * 0.001
                y1, y2 = y, y1
                out[0, 0, place] = y.sum()
                place += 1
        self.y1.copy_(y1)
        self.y2.copy_(y2)
        return torch.clip(out, -1.0, 1.0)


# ---------------------------------------------------------------------------------------------------------------------
class Phasor(nn.Module):
    """A point on a circle turned a little each sample; what it was is where it goes on."""

    def __init__(self, hertz: float, rate: float):
        super().__init__()
        self.step = 2 * math.pi * hertz / rate
        self.register_buffer("point", torch.tensor([1.0, 0.0]))

    def forward(self, n: int) -> Tensor:
        turn = torch.arange(1, n + 1) * self.step
        c, s = torch.cos(turn), torch.sin(turn)
        wave = torch.stack((self.point[0] * c - self.point[1] * s, self.point[0] * s + self.point[1] * c))
        last = wave[:, -1]
        self.point = last / last.norm()
        return wave[1]


class Tables(Exported):
    """Wavetables in a list of tensors read by phasors in nested module lists; a while loop picks the octave."""

    def __init__(self, rate: int, ratio: int = 128):
        super().__init__()
        self.ratio = ratio
        self.add_method("decode", 4, ratio, 1, 1)
        shapes = torch.arange(256) / 256
        self.tables = [torch.sin(2 * math.pi * shapes), 1 - 4 * (shapes - 0.5).abs(), 2 * shapes - 1, torch.sign(shapes - 0.5)]
        self.banks = nn.ModuleList(nn.ModuleList(Phasor(55 * 2**octave * (1 + 0.01 * k), rate) for k in range(2)) for octave in range(3))
        self.held = torch.zeros(1, 4)

    def read(self, table: Tensor, phase: Tensor) -> Tensor:
        place = phase * table.numel()
        low = place.floor()
        a, b = table[low.long() % table.numel()], table[(low.long() + 1) % table.numel()]
        return torch.lerp(a, b, place - low)

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        n = z.shape[-1] * self.ratio
        glide = torch.cat([self.held[..., None], z[:1]], 2)
        self.held = z[:1, :, -1]
        knobs = F.interpolate(glide, size=n + 1, mode="linear", align_corners=True)[0, :, 1:].sigmoid()
        total = torch.zeros(n)
        octave = 0
        while octave < len(self.banks):
            for i, bank in enumerate(self.banks):
                if i == octave:
                    for phasor in bank:
                        wave = phasor(n)
                        for k, table in enumerate(self.tables):
                            total += knobs[k] * self.read(table, (0.5 + 0.5 * wave) * 0.999) / (4.0 * (octave + 1))
            octave += 1
        return (0.3 * total).view(1, 1, n)


# ---------------------------------------------------------------------------------------------------------------------
class Moods(Exported):
    """An LSTM whose state is a tuple, optional until first used; a string attribute picks the character."""

    _methods: List[str]
    _attributes: List[str]
    state: Optional[Tuple[Tensor, Tensor]]
    mood: str

    def __init__(self, width: int, ratio: int = 256):
        super().__init__()
        self.ratio, self.width = ratio, width
        self.add_method("decode", 2, ratio, 1, 1)
        self._attributes = ["mood"]
        self.register_buffer("mood_params", torch.tensor([3]))
        self.mood = "calm"
        self.lstm = nn.LSTM(2, width, num_layers=2, batch_first=True)
        self.mods = nn.ModuleDict({"calm": nn.Linear(width, 16), "wild": nn.Sequential(nn.Linear(width, 32), nn.GLU(), nn.PReLU())})
        self.basis = nn.Parameter(torch.randn(16, ratio).cumsum(-1) / 40)
        self.state = None
        self.level: float = 0.8

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        state = self.state
        if state is None:
            blank = torch.zeros(2, 1, self.width)
            state = (blank, blank.clone())
        y, after = self.lstm(z[:1].mT, state)
        self.state = after
        if self.mood == "wild":
            code = self.mods["wild"](y)
        elif self.mood in ["calm", "still"]:
            code = self.mods["calm"](y)
        else:
            raise ValueError(f"no such mood: {self.mood}")
        audio = torch.matmul(code, self.basis).contiguous().view(1, 1, -1)
        return F.hardtanh(audio * self.level, -0.95, 0.95)

    @torch.jit.export
    def get_mood(self) -> str:
        return self.mood

    @torch.jit.export
    def set_mood(self, mood: str) -> int:
        if mood not in ["calm", "wild", "still"]:
            return -1
        self.mood = mood
        return 0


def families():
    yield Family("image_vocoder", lambda c, *_: ImageVocoder(c), {"decode": (8, 256, 1, 1)}, random=False)
    yield Family("choir", lambda c, *_: Choir(4 * c), {"encode": (1, 1, 4, 512), "decode": (4, 512, 1, 1)}, random=False)
    yield Family("resonators", lambda *_: Resonators(), {"decode": (3, 64, 1, 1)}, random=False)
    yield Family("tables", lambda c, rate, q: Tables(rate), {"decode": (4, 128, 1, 1)}, random=False)
    yield Family("moods", lambda c, *_: Moods(2 * c), {"decode": (2, 256, 1, 1)}, random=False, attributes={"mood": "calm"})
