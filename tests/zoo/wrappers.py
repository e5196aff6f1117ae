"""The nn~ contract around a net, as released files have it: method and attribute tables in buffers named ``*_params``."""

import torch
from torch import nn

KINDS = {bool: 0, int: 1, float: 2, str: 3}


class Exported(nn.Module):
    """A module whose methods and attributes a host can list (the shape of files since 2023).

    A subclass names its methods with ``add_method`` and writes them with ``torch.jit.export``; ratios divide the audio rate.
    """

    _methods: list[str]
    _attributes: list[str]

    def __init__(self):
        super().__init__()
        self._methods, self._attributes = [], []

    def add_method(self, name, in_channels, in_ratio, out_channels, out_ratio, inputs=(), outputs=()):
        self.register_buffer(name + "_params", torch.tensor([in_channels, in_ratio, out_channels, out_ratio]))
        setattr(self, name + "_input_labels", list(inputs) or [f"(signal) input {i + 1}" for i in range(in_channels)])
        setattr(self, name + "_output_labels", list(outputs) or [f"(signal) output {i + 1}" for i in range(out_channels)])
        self._methods.append(name)

    def add_attribute(self, name, *values):
        """Kept as a tuple; the getter and setter are written by the subclass."""
        setattr(self, name, values)
        self.register_buffer(name + "_params", torch.tensor([KINDS[type(v)] for v in values]))
        self._attributes.append(name)

    @torch.jit.export
    def get_methods(self) -> list[str]:
        return self._methods

    @torch.jit.export
    def get_attributes(self) -> list[str]:
        return self._attributes


def limit_rows(module: nn.Module, rows: int):
    """Caches of fewer rows, as some released files have them (1, or 32 for stereo)."""
    for child in module.modules():
        for name in ("pad", "cache"):
            if name in child._buffers:
                child._buffers[name] = child._buffers[name][:rows].clone()


def latent_labels(n: int) -> list[str]:
    return [f"(signal) latent dimension {i + 1}" for i in range(n)]
