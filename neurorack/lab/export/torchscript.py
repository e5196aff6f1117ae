"""TorchScript files for nn~ and its relatives, from a model file: the same sound, in any host that loads them.

The contract of nn~ 1.6, from its public description: a scripted module with methods, a buffer `<method>_params` for each
([channels in, ratio in, channels out, ratio out]), labels, and a sample rate. *decode* turns rows into sound, *encode*
sound into rows, *forward* sound into the model's sound.
"""

import os
from pathlib import Path

import torch
from torch import nn

from ...errors import ModelError
from .. import engines
from ..descriptors import RATE_HZ
from .replayed import traced

ENCODE_BLOCKS = (1024, 256, 64)     # an encode's block: the first of these times hop / 64 that divides the host's


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


class Exported(nn.Module):
    """A model under nn~'s contract. decode: rows [batch, inputs, frames / hop] → audio [batch, 1, frames]; encode: the other way."""

    def __init__(self, stream, follower, card):
        super().__init__()
        self.stream, self.follower, width, hop = stream, follower, len(card["inputs"]), card["hop_frames"]
        self.rate: int = RATE_HZ
        names = [entry["name"] for entry in card["inputs"]]
        for name, numbers in (("encode", [1, 1, width, hop]), ("decode", [width, hop, 1, 1]), ("forward", [1, 1, 1, 1])):
            self.register_buffer(f"{name}_params", torch.tensor(numbers))
        self.encode_input_labels, self.encode_output_labels = ["audio"], names
        self.decode_input_labels, self.decode_output_labels = names, ["audio"]
        self.forward_input_labels, self.forward_output_labels = ["audio"], ["audio"]

    @torch.jit.export
    def encode(self, x: torch.Tensor):
        return self.follower(x)

    @torch.jit.export
    def decode(self, x: torch.Tensor):
        return self.stream(x)

    def forward(self, x: torch.Tensor):
        return self.stream(self.follower(x))

    @torch.jit.export
    def get_methods(self):
        return ["encode", "decode", "forward"]

    @torch.jit.export
    def get_attributes(self):
        names: list[str] = []
        return names

    @torch.jit.export
    def get_sample_rate(self) -> int:
        return self.rate


def scripted(model):
    """The scripted module of a model file of the lab (``neurorack.engine.Model``). ModelError for any other."""
    if "encode" not in model.methods:
        raise ModelError(f"{model.path}: it has no method encode; export it again from its run (neurorack train) with this version")
    module = Exported(engines.of_model(model).stream_module(), Follower(model), model.card).eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return torch.jit.script(module)


def export_torchscript(model, path):
    """Write the TorchScript file of a model, whole or not at all. Returns its path."""
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.jit.save(scripted(model), str(aside))
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return path
