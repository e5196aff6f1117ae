"""Measures a model: how well it follows its descriptors, and how it sounds beside held-out recordings (docs/control.md)."""

from .bench import Bench
from .command import main
from .figures import evaluate, table
from .opened import bench_of, bench_of_engine, player, quick, space_of

__all__ = ["Bench", "bench_of", "bench_of_engine", "evaluate", "main", "player", "quick", "space_of", "table"]
