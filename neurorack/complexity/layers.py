"""A count by layer: the rows of one layer put together."""

from __future__ import annotations

from dataclasses import dataclass

from .boards import Board
from .counting import Count
from .predicting import of_rows

SUMS = ("params", "macs", "macs_done", "flops", "read_bytes", "written_bytes")


@dataclass
class Layer:
    """``ops``: its operations in order, each named once. ``seconds``: predicted for a second of audio, None where no board was given."""

    name: str
    ops: list[str]
    params: int = 0
    macs: float = 0.0
    macs_done: float = 0.0
    flops: float = 0.0
    read_bytes: float = 0.0
    written_bytes: float = 0.0
    seconds: float | None = None

    def json(self) -> dict:
        return {**vars(self), "ops": list(self.ops)}


def of(count: Count, board: Board | None = None) -> list[Layer]:
    """The layers in the order in which they come."""
    times = [count.runs * 1e-9 * ns for ns in of_rows(count, board.isa, board.middle)] if board and board.middle else [None] * len(count.rows)
    found: dict[str, Layer] = {}
    for row, seconds in zip(count.rows, times):
        layer = found.setdefault(row.layer, Layer(row.layer, []))
        if row.op not in layer.ops:
            layer.ops.append(row.op)
        for key in SUMS:
            setattr(layer, key, getattr(layer, key) + getattr(row, key))
        if seconds is not None:
            layer.seconds = (layer.seconds or 0.0) + seconds
    return list(found.values())
