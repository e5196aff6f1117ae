"""The same model in other format versions, and in the spelling of older torch.

What can be made honestly. torch 2.13 itself writes the lowest format that has every operator of a model: 3, and 4 with a
division, 5 with ``full``, 8 with ``linspace``, 9 with ``logspace``, 10 with ``gelu`` (``NATIVE`` gives one file for each).
``rewrite`` makes the rest: the version number, its place in the archive (``version`` below 6, ``.data/version`` from 6 on), no
records that came later (``byteorder``, ``serialization_id``, debug files), and, for formats below 6, calls printed with all their
arguments, as torch did before 1.11: ``torch.slice(x, 0, 0, 9223372036854775807, 1)``, ``torch.add(x, y, alpha=1)``.
torch loads these files, and puts its upgraders in where a lower number changes a meaning: before format 4 ``div`` of integers
truncates (``integer_division``). What cannot be made here: files with operators that torch has removed, formats 1 and 2.
"""

import re
import zipfile
from pathlib import Path

import torch
from torch import nn

from .wrappers import Exported

LAST = 9223372036854775807


class Native(Exported):
    """Audio through one operator whose meaning once changed; the format follows from it."""

    def __init__(self, kind: str):
        super().__init__()
        self.add_method("forward", 1, 1, 1, 1)
        self.kind = nn.ModuleList([{"none": None, "div": Div, "full": Full, "linspace": Linspace, "logspace": Logspace, "gelu": nn.GELU}[kind]()]
                                  if kind != "none" else [])
        self.register_buffer("cache", torch.zeros(64, 1, 1))

    def forward(self, x):
        rows = x.shape[0]
        y = torch.cat([self.cache[:rows], x[..., :-1]], -1)
        self.cache[:rows] = x[..., -1:]
        for layer in self.kind:
            y = layer(y)
        return 0.5 * (x + y)


class Div(nn.Module):
    def forward(self, x):
        return torch.div(x, 3.0) + torch.floor_divide(x, 0.5) / 4


class Full(nn.Module):
    def forward(self, x):
        return x * torch.full([x.shape[-1]], 0.5)


class Linspace(nn.Module):
    def forward(self, x):
        return x * torch.linspace(0.5, 1, x.shape[-1])


class Logspace(nn.Module):
    def forward(self, x):
        return x * torch.logspace(-1, 0, x.shape[-1])


NATIVE = {3: "none", 4: "div", 5: "full", 8: "linspace", 9: "logspace", 10: "gelu"}


def native(version: int, path: Path):
    """A file that torch itself gives this format (3, 4, 5, 8, 9, 10)."""
    torch.manual_seed(1)
    torch.jit.script(Native(NATIVE[version]).eval()).save(str(path))


class IntegerDivision(Exported):
    """A step by a table of weights 7 // 2, written when ``torch.div`` of integers still truncated: -3, 3 (later -3.5, 3.5)."""

    def __init__(self):
        super().__init__()
        self.add_method("forward", 1, 1, 1, 1)
        self.register_buffer("sevens", torch.tensor([-7, 7]))

    def forward(self, x):
        weights = torch.div(self.sevens, 2)
        return torch.where(x < 0, x * weights[0], x * weights[1]) * 0.25


def integer_division(path: Path, version: int = 3):
    """In format 3 the gains are -3 and 3, from 4 on -3.5 and 3.5 (times 0.25)."""
    fresh = path.with_name("fresh-" + path.name)
    torch.jit.script(IntegerDivision().eval()).save(str(fresh))
    rewrite(fresh, path, version)
    fresh.unlink()


def _old_spelling(source: str) -> str:
    def whole_slice(found):
        args = [a.strip() for a in found[1].split(",")]
        usual = [None, "0", "0", str(LAST), "1"]
        args += usual[len(args):]
        if args[2] == "None":
            args[2] = "0"
        if args[3] == "None":
            args[3] = str(LAST)
        return f"torch.slice({', '.join(args)})"

    source = re.sub(r"torch\.slice\(([^()]*)\)", whole_slice, source)
    source = re.sub(r"torch\.(add|add_|sub)\(([\w.]+), ([\w.]+)\)", r"torch.\1(\2, \3, alpha=1)", source)
    source = re.sub(r"torch\.conv1d\((\w+, \w+, \w+, \[\d+\], \[\d+\], \[\d+\])\)", r"torch.conv1d(\1, 1)", source)
    source = re.sub(r"torch\.cat\((\w+)\)", r"torch.cat(\1, 0)", source)
    return source


def rewrite(path: Path, out: Path, version: int):
    """``path`` once more as ``out``, in format ``version`` (3 to 10)."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            root, rest = name.split("/", 1)
            data = old.read(name)
            if rest in ("version", ".data/version"):
                rest, data = ("version" if version < 6 else ".data/version"), f"{version}\n".encode()
            elif version < 6 and (rest in ("byteorder", ".data/serialization_id") or rest.endswith(".debug_pkl")):
                continue
            elif version < 6 and rest.endswith(".py"):
                data = _old_spelling(data.decode()).encode()
            new.writestr(zipfile.ZipInfo(f"{root}/{rest}"), data)
