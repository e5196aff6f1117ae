"""TorchScript files for nn~ and its relatives, from a model file: the same sound, in any host that loads them.

The contract of nn~ 1.6, from its public description: a scripted module with methods, a buffer `<method>_params` for each
([channels in, ratio in, channels out, ratio out]), labels, and a sample rate. *decode* turns rows into sound, *encode*
sound into rows, *forward* sound into the model's sound.
"""

import os
from pathlib import Path

import torch
from torch import nn

from .. import engines
from ..descriptors import RATE_HZ
from .replayed import traced

ENCODE_BLOCKS = (1024, 256, 64)     # an encode's block: the first of these times hop / 64 that divides the host's
LABELS = {"loudness": "level"}      # hosts, our importer among them, take an input called loudness to be in dB


class Blockwise(nn.Module):
    """A program of one block length. forward: audio [frames, 1], whole blocks → rows [frames / hop, width]."""

    def __init__(self, model, block, shared):
        super().__init__()
        self.block: int = block
        self.program = traced(model, "encode", block, shared)

    def forward(self, x):
        parts = []
        for part in x.split(self.block):
            parts.append(self.program(part))
        return torch.cat(parts)


class Follower(nn.Module):
    """The encode method. forward: audio [batch, 1, frames] → rows [batch, width, frames / hop]. All of a batch follow its first sound."""

    def __init__(self, model):
        super().__init__()
        hop, shared = model.card["hop_frames"], {}
        wanted = {size * max(1, hop // 64) for size in ENCODE_BLOCKS}
        blocks = sorted((block for block in model.methods["encode"].blocks if block in wanted), reverse=True)
        self.programs = nn.ModuleList(Blockwise(model, block, shared) for block in blocks)

    def forward(self, x):
        rows = torch.zeros(0, 0)
        done = False
        for one in self.programs:
            if not done and x.shape[2] % one.block == 0:
                rows = one(x[0].t())
                done = True
        return rows.t()[None].expand(x.shape[0], -1, -1)


class Decoding(nn.Module):
    """A model under nn~'s contract that can only decode: rows [batch, inputs, frames / hop] → audio [batch, 1, frames]."""

    def __init__(self, stream, card):
        super().__init__()
        self.stream, self.width, self.hop, self.rate = stream, len(card["inputs"]), card["hop_frames"], RATE_HZ
        self.names = [LABELS.get(entry["name"], entry["name"]) for entry in card["inputs"]]
        self.methods = ["decode"]
        self._declare("decode", (self.width, self.hop, 1, 1), self.names, ["audio"])

    def _declare(self, name, numbers, given, made):
        self.register_buffer(f"{name}_params", torch.tensor(numbers))
        setattr(self, f"{name}_input_labels", given)
        setattr(self, f"{name}_output_labels", made)

    @torch.jit.export
    def decode(self, x: torch.Tensor):
        return self.stream(x)

    def forward(self, x: torch.Tensor):
        return self.stream(x)

    @torch.jit.export
    def get_methods(self):
        return self.methods

    @torch.jit.export
    def get_attributes(self):
        names: list[str] = []
        return names

    @torch.jit.export
    def get_sample_rate(self) -> int:
        return self.rate


class Whole(Decoding):
    """A model that also follows a sound: encode is decode's counterpart, forward both one after the other."""

    def __init__(self, stream, follower, card):
        super().__init__(stream, card)
        self.follower, self.methods = follower, ["encode", "decode", "forward"]
        self._declare("encode", (1, 1, self.width, self.hop), ["audio"], self.names)
        self._declare("forward", (1, 1, 1, 1), ["audio"], ["audio"])

    @torch.jit.export
    def encode(self, x: torch.Tensor):
        return self.follower(x)

    def forward(self, x: torch.Tensor):
        return self.stream(self.follower(x))


def scripted(model, encode=True):
    """The scripted module of a model file of the lab (``neurorack.engine.Model``). ModelError for any other.

    encode: with encode and forward, where the file can.
    """
    stream = engines.of_model(model).stream_module()
    whole = encode and "encode" in model.methods
    module = (Whole(stream, Follower(model), model.card) if whole else Decoding(stream, model.card)).eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return torch.jit.script(module)


def export_torchscript(model, path, encode=True):
    """Write the TorchScript file of a model, whole or not at all; encode as in `scripted`. Returns the methods it has."""
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        module = scripted(model, encode)
        torch.jit.save(module, str(aside))
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return module.get_methods()
