"""Archives made, changed and broken for the tests."""

import io
import zipfile

import torch
from torch import nn


class Small(nn.Module):
    """A file in the shape of nn~'s, as small as can be."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(1, 6, 1))
        self.register_buffer("decode_params", torch.tensor([1, 1, 6, 1]))

    @torch.jit.export
    def get_methods(self) -> list[str]:
        return ["decode"]

    @torch.jit.export
    def decode(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(x)


def save(module: nn.Module, path):
    """Scripts and saves a module; gives the path."""
    (module if isinstance(module, torch.jit.ScriptModule) else torch.jit.script(module)).eval().save(str(path))
    return path


def change(source, target, edits: dict, drop=(), compression=zipfile.ZIP_STORED):
    """A copy of an archive: ``edits`` maps an entry (below the folder) to new bytes or to a function of the old ones."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        names = {name.split("/", 1)[1]: name for name in old.namelist()}
        folder = old.namelist()[0].split("/")[0]
        for short, name in names.items():
            if short in drop:
                continue
            data, edit = old.read(name), edits.get(short)
            new.writestr(name, data if edit is None else edit(data) if callable(edit) else edit)
        for short in edits.keys() - names.keys():
            new.writestr(f"{folder}/{short}", edits[short])
    return target


def text_edit(*pairs):
    """An edit that replaces texts, each of which must be there."""

    def edit(data: bytes) -> bytes:
        text = data.decode()
        for old, new in pairs:
            assert old in text, (old, text)
            text = text.replace(old, new)
        return text.encode()

    return edit


def pickled(value) -> bytes:
    """A plain pickle of protocol 2, as Python writes it."""
    import pickle

    stream = io.BytesIO()
    pickle.Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()
