"""Modules that use the language of TorchScript in odd ways. Each is called with one tensor [1, 2, 16]; torch says what is right."""

import math
from enum import Enum
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import torch
from torch import Tensor, nn


class Colour(Enum):
    RED = 1
    GREEN = 2


class Mode(Enum):
    SLOW = "slow"
    FAST = "fast"


class Point(NamedTuple):
    x: Tensor
    n: int
    name: str = "p"


@torch.jit.interface
class Layer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


class Shifted(nn.Module):
    def __init__(self, by: int):
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return torch.roll(x, self.by, -1)


@torch.jit.script
class Counter:
    def __init__(self, start: int, name: str = "c"):
        self.count = start
        self.name = name
        self.seen: List[int] = []

    def next(self, by: int = 1) -> int:
        self.count += by
        self.seen.append(self.count)
        return self.count


@torch.jit.script
def scaled(x, by: float = 0.5, twice: bool = False):
    if twice:
        return x * by * 2.0
    return x * by


@torch.jit.script
def sign_of(n: int) -> str:
    if n < 0:
        return "minus"
    elif n == 0:
        return "none"
    for i in range(3):
        if i == n:
            return "small"
    return "plus"


class Loops(nn.Module):
    def forward(self, x: Tensor):
        total, seen = 0, torch.jit.annotate(List[int], [])
        for i in range(2, 20, 3):
            if i % 2 == 0:
                continue
            for j in range(i):
                if j > 4:
                    break
                total += i * j
            seen.append(total)
            if total > 100:
                break
        n = 0
        while n < 10 and total > 0:
            n += 1
            total -= n
        k = 5
        while True:
            k -= 1
            if k < 2:
                break
        pairs = [(a, b) for a, b in zip([1, 2, 3], ["x", "y", "z"])]
        text = ""
        for index, (a, b) in enumerate(pairs):
            text += b + str(index + a)
        for i in range(10, 0, -4):
            seen.append(i)
        return x + total, seen, n, k, text, [i * i for i in range(5)]


class Texts(nn.Module):
    word: str
    values: List[float]

    def __init__(self):
        super().__init__()
        self.word, self.values = "größer", [1.5, 2.0]

    def forward(self, x: Tensor):
        s = "Hello, wide world"
        parts = s.split(" ")
        a = "{} and {}".format(parts[0], len(parts)) + f"<{s[1:4]}{s[-1]}>" + "%d %s %f" % (3, "q", 1.25)
        b = s.replace("wide", "small").upper().lower().find("world")
        c = [s.startswith("He"), s.endswith("x"), "wide" in s, s.isalpha(), s == "a", s < "b"]
        d = "-".join(parts) + s.strip("dH") + s.center(30, "*") + "7".zfill(4) + s.title()
        return x, a, b, c, d, self.word, s[::2], int("12") + int(float("1.5")), ord("a"), str(True) + str(3), s.count("l")


class Tables(nn.Module):
    table: Dict[str, int]
    by_number: Dict[int, List[float]]

    def __init__(self):
        super().__init__()
        self.table, self.by_number = {"a": 1, "b": 2}, {3: [1.0], 4: []}

    def forward(self, x: Tensor):
        t = {"z": x, "y": 2 * x}
        self.table["c"] = self.table["a"] + self.table.get("nothing", 7)
        names = [name for name in self.table.keys()]
        total = 0
        for name, value in self.table.items():
            total += value * len(name)
        had = self.table.pop("b", 0)
        self.by_number[4].append(float(total))
        if "d" not in self.table:
            self.table.setdefault("d", 9)
        copy = self.table.copy()
        copy.update({"e": 5})
        del copy["a"]
        squares = {i: i * i for i in range(3)}
        return t["z"] + t["y"], names, total, had, sorted(names), copy, squares, self.by_number, len(copy), 3 in self.by_number


class Lists(nn.Module):
    def forward(self, x: Tensor):
        items = [5, 3, 8, 1]
        items.sort()
        items.reverse()
        items.insert(1, 7)
        items.extend([2, 2])
        last = items.pop()
        first = items.pop(0)
        items.remove(7)
        items[0] = items[-1] + 10
        part, back = items[1:3], items[::-1]
        both = items + [1] * 3
        tensors = [x, x + 1, x + 2]
        tensors[1] = tensors[0] * 3
        a, b, c = tensors
        pair = (a, 3, "t")
        head, rest = pair[0], pair[1:]
        nested = [[1, 2], [3]]
        nested[0].append(9)
        flat = [row[0] for row in nested] if len(nested) > 0 else torch.jit.annotate(List[int], [])
        other = items.copy()
        other.clear()
        floats = [0.5, -1.0]
        return (a + b + c, head, rest, last, first, part, back, both, items.index(3), items.count(2), 3 in items, flat, len(other),
                max(items), min(items),
                sum(floats), any([False, True]), all([True, False]), max(1, 2, ), items == [3], sorted(items),
                tensors[0] is tensors[1])


class Numbers(nn.Module):
    def forward(self, x: Tensor, n: int = 7, f: float = -2.5):
        whole = [n // 2, -n // 2, n % 4, -n % 4, n << 2, n >> 1, n & 3, n | 8, n ^ 5, abs(-n), int(f), round(f), math.floor(f),
                 math.ceil(f)]
        broken = [n / 2, f * n, f // 2, f % 2.0, float(n), math.sqrt(2.0), math.exp(f), math.log(3), math.pow(2.0, 0.5),
                  math.sin(f), math.pi, math.inf]
        truth = [n > 3, not (n > 3), n == 7 and f < 0, n < 0 or f < 0, bool(n), n != 7, True and n > 0]
        z = torch.tensor(complex(n, 2.0) * 2j)
        return x * n + f, whole, broken, truth, z, n ** 2, max(n, 3), min(f, 1.0), divmod(n, 3), 1e30 * f, float("inf"), -1


class Optionals(nn.Module):
    kept: Optional[Tensor]
    size: Optional[int]
    mixed: Union[int, str, List[int]]

    def __init__(self):
        super().__init__()
        self.kept, self.size, self.mixed = None, None, 3

    def use(self, a: Optional[Tensor], b: Optional[int] = None) -> Tensor:
        if a is None:
            return torch.zeros(2)
        if b is not None and b > 1:
            return a * b
        return a

    def what(self, v: Union[int, str, List[int]]) -> int:
        if isinstance(v, int):
            return v
        if isinstance(v, str):
            return len(v)
        return sum(v)

    def forward(self, x: Tensor):
        if self.kept is None:
            self.kept = x.mean(-1)
        kept = self.kept
        assert kept is not None
        self.kept = kept * 0.5 + x.mean(-1)
        if self.size is None:
            self.size = x.size(-1)
        if self.what(self.mixed) == 3:
            self.mixed = "word"
        else:
            self.mixed = [1, 2, 3]
        size = torch.jit._unwrap_optional(self.size)
        return (self.use(None), self.use(x), self.use(x, 3), kept, size, self.what(4), self.what("four"),
                self.what([1, 1]), self.what(self.mixed))


class Objects(nn.Module):
    def __init__(self):
        super().__init__()
        self.counter = Counter(3)
        self.again = self.counter
        self.colour = Colour.GREEN
        self.mode = Mode.SLOW

    def forward(self, x: Tensor):
        fresh = Counter(10, "fresh")
        n = fresh.next() + fresh.next(5) + self.counter.next()
        p = Point(x, n)
        q = Point(x * 2, 2, "q")
        colour = Colour.RED if n > 1000 else Colour.GREEN
        names = [p.name, q.name, fresh.name, colour.name, self.mode.value, sign_of(n), sign_of(-1), sign_of(0), sign_of(1)]
        a, b, _ = q
        return (p.x * p.n + a * b, names, self.again.count, fresh.seen, colour == self.colour, self.colour.value, p,
                self.mode == Mode.FAST,
                scaled(x), scaled(x, twice=True), scaled(x, 0.1))


class Modules(nn.Module):
    chosen: Layer

    def __init__(self):
        super().__init__()
        self.chosen = Shifted(3)
        self.layers = nn.ModuleList([Shifted(1), Twice(), Shifted(2)])
        self.named = nn.ModuleDict({"first": Twice(), "second": nn.Sequential(nn.Conv1d(2, 2, 1), nn.Tanh())})
        self.stack = nn.Sequential(*[nn.Sequential(nn.Conv1d(2, 2, 3, padding=d, dilation=d), nn.LeakyReLU(0.1 * d)) for d in (1, 2,
                                                                                                                               3)])
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(1, 2, 1)) for _ in range(2)])

    @property
    def half(self) -> float:
        return 0.5

    @staticmethod
    def plus(x: Tensor, n: int) -> Tensor:
        return x + n

    def forward(self, x: Tensor):
        y = self.chosen(x)
        for i, layer in enumerate(self.layers):
            y = layer(y) + i
        for name, module in self.named.items():
            y = module(y)
        if "first" in self.named:
            y = self.layers[1](y)
        for w in self.weights:
            y = y * w
        y = self.stack(y) + self.stack[0](y) * self.half
        with torch.no_grad():
            y = self.plus(y, len(self.layers))
        return y if not self.training else x


class Writes(nn.Module):
    """Buffers written in place, through views, and attributes bound anew."""

    history: List[Tensor]
    pair: Tuple[Tensor, int]

    def __init__(self):
        super().__init__()
        self.register_buffer("cache", torch.zeros(2, 2, 4))
        self.register_buffer("count", torch.tensor(0))
        self.history, self.pair = [torch.zeros(2)], (torch.zeros(1), 0)
        self.alias = self.cache

    def forward(self, x: Tensor):
        joined = torch.cat([self.cache[:1], x], -1)
        self.cache[: x.size(0)].copy_(joined[..., -4:])
        self.cache[1, :, ::2] = self.cache[0, :, 1::2] * 0.5
        self.cache[..., 0] += 1
        self.count += 1
        self.history.append(x.sum(-1)[0])
        self.history[0] = self.history[0] + self.history[-1]
        old, n = self.pair
        self.pair = (old + x.mean(), n + 1)
        if int(self.count) > 1:
            joined = joined * float(self.count)
        y = x.clone()
        y[y > 0.5] = 0.5
        y[:, [1, 0]] = y.clone()
        first: List[float] = x[0, 0, :2].tolist()
        return (joined, self.alias, self.history[0], self.pair[1], y, bool(x.sum() > 0), self.count.item(), first,
                int(self.count) + 1)


class Shapes(nn.Module):
    def forward(self, x: Tensor):
        b, c, t = x.shape
        y = x.reshape(b, -1, 4).permute(0, 2, 1)
        if y.dim() == 3 and y.size(1) == 4 and x.dtype == torch.float32 and not x.is_cuda and str(x.device) == "cpu":
            y = y[..., None, :].expand(-1, -1, 2, -1).flatten(1, 2)
        z = torch.zeros([b, c, t // 2], dtype=x.dtype, device=x.device)
        z[..., :1] = 1
        values, places = torch.max(x, dim=-1)
        low, high = x.chunk(2, 1)
        parts = torch.split(x, [4, 12], -1)
        return (y, z, values, places, low - high, parts[1], x[:, :, 1:-1:3], x[0], x[..., -1], x[:,
                                                                                                torch.tensor([1, 0])],
                list(x.shape), x.numel(), len(x))


class States(nn.Module):
    """Restores itself from a state of its own."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.arange(6.0))
        self.scale = 2.0

    @torch.jit.export
    def __getstate__(self) -> Tuple[Tensor, float, bool]:
        return self.table, self.scale, self.training

    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, float, bool]) -> None:
        self.table = state[0] + 1
        self.scale = state[1] * 3
        self.training = state[2]

    def forward(self, x: Tensor):
        return x * self.scale, self.table


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(8, dtype=torch.float64).to(torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        y = x.reshape(x.shape[0], x.shape[1], -1, 8) * self.window
        n = y.shape[2]
        return y.reshape(x.shape[0], x.shape[1], n * 8) * torch.linspace(0, 1, int(n)).sum() + torch.tensor([[1.0], [2.0]])


class Mixed(nn.Module):
    """A scripted module that holds a traced one, called with shapes unlike those of the tracing."""

    def __init__(self):
        super().__init__()
        self.traced = torch.jit.trace(Inner(), torch.randn(1, 2, 16))

    def forward(self, x: Tensor):
        value: Any = x.size(0)
        return self.traced(torch.cat([x, x], 0)), self.traced(x), isinstance(value, int)


class Hooked(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Twice()
        self.inner.register_forward_pre_hook(_before)
        self.inner.register_forward_hook(_after)

    def forward(self, x: Tensor):
        return self.inner(x)


def _before(self, args: Tuple[Tensor]) -> Tuple[Tensor]:
    return (args[0] + 1,)


def _after(self, args: Tuple[Tensor], result: Tensor) -> Tensor:
    return result - 3


ODD = [Loops, Texts, Tables, Lists, Numbers, Optionals, Objects, Modules, Writes, Shapes, States, Mixed, Hooked]
