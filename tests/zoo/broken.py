"""Files that must not harm: what a host may be handed by accident or malice. ``BROKEN`` has a writer for each.

Those that try to touch the disk do so to ``touched(path)``; it must not exist afterwards.
"""

import io
import os
import pickle
import zipfile
from pathlib import Path

import torch
from torch import nn

from .wrappers import Exported


def touched(path: str | Path) -> Path:
    """The file that a harmful model at ``path`` tries to write."""
    return Path(str(path) + ".touched")


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


class Payload:
    """Runs a shell command when unpickled."""

    def __init__(self, path):
        self.command = f"touch '{touched(path)}'"

    def __reduce__(self):
        return os.system, (self.command,)


def script(make):
    def write(path):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            torch.jit.script(make().eval()).save(str(path))

    return write


def rewritten(change):
    """A writer that changes the bytes of a good file."""

    def write(path):
        script(Voice)(path)
        Path(path).write_bytes(change(Path(path).read_bytes()))

    return write


def flip_byte(data: bytes) -> bytes:
    """One bit in the middle of the largest tensor; the archive still opens."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        stored = max((archive.read(name) for name in archive.namelist() if "/data/" in name), key=len)
    at = data.index(stored) + len(stored) // 2
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]


def payload_in_archive(record: str):
    def write(path):
        script(Voice)(path)
        with zipfile.ZipFile(path) as old:
            entries = {name: old.read(name) for name in old.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
            for name, data in entries.items():
                new.writestr(name, pickle.dumps(Payload(path), 2) if name.endswith("/" + record) else data)

    return write


BROKEN = {
    "html": lambda path: Path(path).write_text("<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n"),
    "empty": lambda path: Path(path).write_bytes(b""),
    "truncated": rewritten(lambda data: data[: len(data) * 6 // 10]),
    "flipped_byte": rewritten(flip_byte),
    "pickle_payload": lambda path: Path(path).write_bytes(pickle.dumps(Payload(path), 2)),
    "archive_payload": payload_in_archive("data.pkl"),
    "constants_payload": payload_in_archive("constants.pkl"),
    "checkpoint": lambda path: torch.save(Voice().state_dict(), str(path)),
    "no_methods": script(NoMethods),
    "missing_method": script(MissingMethod),
    "params_missing": script(NoParams),
    "params_text": script(TextParams),
    "params_short": script(lambda: with_params(2, 512)),
    "params_zero": script(lambda: with_params(2, 0, 1, 1)),
    "params_negative": script(lambda: with_params(-2, 512, 1, 1)),
    "params_huge": script(lambda: with_params(2, 2**40, 1, 1)),
    "wrong_length": script(WrongLength),
    "wrong_channels": script(WrongChannels),
    "returns_tuple": script(ReturnsTuple),
    "nan_later": script(NanLater),
    "nan_from_state": script(NanFromState),
    "raises_later": script(RaisesLater),
    "slow": script(Slow),
    "endless": script(Endless),
    "endless_later": script(EndlessLater),
    "allocates": script(Allocates),
    "leaks": script(Leaks),
    "huge_view": script(HugeView),
    "loud": script(Loud),
    "dc": script(Offset),
    "offline": script(Offline),
    "writes_file": lambda path: script(lambda: WritesFile(str(touched(path))))(path),
    "reads_file": script(ReadsFile),
    "cuda_only": script(CudaOnly),
    "directory": lambda path: Path(path).mkdir(),
}
GOOD = script(Voice)  #: the same voice, unbroken
