"""The engine: a small op machine that runs a model's flat list of operations (``docs/engine.md``).

Imports numpy only. ``Model.load(path).program("decode", block_frames=64)`` plays; ``ModelWriter`` writes model files.
"""

from .model import Method, Model, Program
from .native import denormals_off, isa
from .writer import ModelWriter

__all__ = ["Method", "Model", "ModelWriter", "Program", "denormals_off", "isa"]
