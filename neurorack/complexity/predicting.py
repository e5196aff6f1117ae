"""How long a board would take over a counted program."""

from __future__ import annotations

from typing import NamedTuple

from . import boards, cost, kernels
from .boards import Board, Prices
from .counting import Count
from .isa import Isa


class Range(NamedTuple):
    """Seconds of work for a second of audio."""

    low: float
    mid: float
    high: float


def predict(count: Count, board: Board | str) -> Range:
    """Seconds of one core's work for a second of audio: at best, in the middle, at worst. Raises ``BoardError`` for a board that is not known."""
    board = boards.load(board) if isinstance(board, str) else board
    return Range(*(count.runs * 1e-9 * sum(of_rows(count, board.isa, prices)) for prices in (board.best, board.middle, board.worst)))


def of_rows(count: Count, isa: Isa, prices: Prices) -> list[float]:
    """Nanoseconds of each row in one run; what a run costs by itself is shared out among them."""
    used = in_use(count, isa)
    rows = [prices.more * sum(cost.priced(work, isa, prices.each, prices.fetching, used) for work in row.works) for row in count.rows]
    share = prices.more * prices.each["run"] / max(1, len(rows))
    return [nanoseconds + share for nanoseconds in rows]


def in_use(count: Count, isa: Isa) -> int:
    """Bytes that one run goes through: weights, states and scratch. Of a band's table only what a block needs."""
    tables = read = 0
    for row in count.rows:
        for work in row.works:
            if isinstance(work, kernels.Bands):
                tables += 4 * work.count * work.length
                read += 4 * work.rows * work.count * work.hop
    return max(0, count.plain_bytes - tables) + read + count.packed_bytes(isa) + count.state_bytes + count.scratch_bytes
