"""Measures a model: how well it follows its descriptors, and how it sounds beside held-out recordings (docs/control.md)."""

from .bench import Bench
from .figures import evaluate, summary, table
from .opened import bench_of, player, space_of

__all__ = ["Bench", "bench_of", "evaluate", "player", "space_of", "summary", "table"]
