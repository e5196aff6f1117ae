"""Measures a model: how well it follows its descriptors, and how it sounds beside held-out recordings (docs/control.md)."""

from .bench import (Bench, band_error_db, bench_of, buzz_db, evaluate, half_time_ms, log_bands, main, player, rise_ms,
                    second_opinion, short_centroid, steps, table, unseen_curve)

__all__ = ["Bench", "band_error_db", "bench_of", "buzz_db", "evaluate", "half_time_ms", "log_bands", "main", "player",
           "rise_ms", "second_opinion", "short_centroid", "steps", "table", "unseen_curve"]
