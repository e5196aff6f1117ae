"""TorchScript files for nn~ and its relatives, from a model file: the same sound, in any host that loads them.

The contract of nn~'s exporter, version 1.6, from its public description: a scripted module with methods, a buffer
`<method>_params` for each ([channels in, ratio in, channels out, ratio out]), labels, and a sample rate.
"""

import os
from pathlib import Path

import torch
from torch import nn

from .. import engines
from ..descriptors import RATE_HZ

CHECK_FRAMES = 8192


def _range(entry):
    """An input's range and unit in brackets."""
    return f"{entry['name']} ({entry['low']:g} to {entry['high']:g}{', ' + entry['unit'] if entry.get('unit') else ''})"


class Exported(nn.Module):
    """A model under nn~'s contract. decode: rows [batch, inputs, frames / hop] → audio [batch, 1, frames]."""

    def __init__(self, stream, card):
        super().__init__()
        self.stream, width, hop = stream, len(card["inputs"]), card["hop_frames"]
        self.rate: int = RATE_HZ
        self.decode_input_labels = [_range(entry) for entry in card["inputs"]]
        self.decode_output_labels = ["audio"]
        self.register_buffer("decode_params", torch.tensor([width, hop, 1, 1]))
        self.register_buffer("rest", torch.tensor([float(entry["rest"]) for entry in card["inputs"]]))

    @torch.jit.export
    def decode(self, x: torch.Tensor):
        return self.stream(x)

    def forward(self, x: torch.Tensor):
        return self.stream(x)

    @torch.jit.export
    def get_methods(self):
        return ["decode"]

    @torch.jit.export
    def get_attributes(self):
        names: list[str] = []
        return names

    @torch.jit.export
    def get_sample_rate(self) -> int:
        return self.rate


def scripted(model):
    """The scripted module of a model file of the lab (``neurorack.engine.Model``)."""
    module = Exported(engines.of_model(model).stream_module(), model.card).eval()
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
