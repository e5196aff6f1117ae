"""Writing model files."""

from __future__ import annotations

import json

from . import store
from .builder import ProgramBuilder, Weights
from .model import FORMAT, Model


class ModelWriter:
    """Collects the methods of a model and writes its file.

    ``card``: a dict of JSON values (name, author, licence, sample_rate, controls, …), kept as it is.
    """

    def __init__(self, card: dict):
        self.card, self.weights, self.methods = card, Weights(), {}

    def method(
        self,
        name: str,
        build,
        *,
        blocks,
        in_channels: int,
        in_ratio: int = 1,
        out_channels: int = 1,
        out_ratio: int = 1,
    ) -> None:
        """Add a method: ``build(ProgramBuilder)`` is called for each block length (frames, a multiple of both ratios)."""
        programs = {}
        for frames in blocks:
            builder = ProgramBuilder(self.weights, frames, in_channels, in_ratio, out_channels, out_ratio)
            build(builder)
            programs[str(frames)] = builder.listing().json()
        self.methods[name] = {
            "in_channels": in_channels,
            "in_ratio": in_ratio,
            "out_channels": out_channels,
            "out_ratio": out_ratio,
            "programs": programs,
        }

    def description(self) -> dict:
        return {"format": FORMAT, "card": self.card, "generators": self.weights.generators, "methods": self.methods}

    def save(self, path) -> Model:
        """Write the file, whole or not at all, and load it back."""
        text = json.dumps(self.description(), separators=(",", ":"), allow_nan=False)
        store.write(path, self.weights.tensors, {"neurorack": text, "format": "neurorack"})
        return Model.load(path)
