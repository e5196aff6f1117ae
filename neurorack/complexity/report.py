"""What the command tells: of one model, and of several beside each other; as data and as text."""

from __future__ import annotations

import math

from . import bounds, layers
from .boards import Board
from .counting import Count
from .predicting import predict

EXPONENT_DOC = "log(time ratio) / log(MAC ratio): 1 where time falls as the multiply-accumulates do"


def of_model(counts: list[Count], shown: list[Board], here: Board | None, measured: list[dict], bounded: bool) -> dict:
    """One model. ``counts``: of each block length; ``shown``: boards to predict for; ``measured``: ``timing.measure``'s."""
    first = counts[0]
    told = {"model": first.model, "method": first.method, "sample_rate_hz": first.sample_rate_hz, "isa": first.isa.name,
            "block_frames": first.block_frames, **_whole(first.totals()), "layers": [_whole(layer.json()) for layer in layers.of(first, here)],
            "operations": [_whole({"layer": row.layer, "op": row.op, **{key: getattr(row, key) for key in layers.SUMS}}) for row in first.rows]}
    if measured:
        told["measured"] = [{**row, "predicted_us": _predicted_us(count, here)} for row, count in zip(measured, counts)]
    told["boards"] = [{"board": board.name, "description": board.description, "measured": board.measured,
                       "blocks": [{"block_frames": count.block_frames, "load": [_short(x) for x in predict(count, board)]} for count in counts]}
                      for board in shown if board.middle]
    if bounded:
        told["bounds"] = [_bound(first, board) for board in bounds.bounded()]
    return told


def _whole(data: dict) -> dict:
    return {key: round(value) if isinstance(value, float) and key != "seconds" else _short(value) if isinstance(value, float) else value
            for key, value in data.items()}


def _short(x: float) -> float:
    return float(f"{x:.4g}")


def _predicted_us(count: Count, here: Board | None) -> float | None:
    return None if here is None else round(predict(count, here).mid * 1e6 / count.runs, 2)


def _bound(count: Count, board: Board) -> dict:
    told = bounds.of(count, board)
    return {key: {"fits": value["fits"], "ratio": value["ratio"] and _short(value["ratio"])} if isinstance(value, dict) else
            [_short(x) for x in value] if isinstance(value, list) else value for key, value in told.items()}


def exponent(time_ratio: float, macs_ratio: float) -> float | None:
    """See ``EXPONENT_DOC``; None where the multiply-accumulates are the same."""
    return None if abs(math.log(macs_ratio)) < 1e-9 else round(math.log(time_ratio) / math.log(macs_ratio), 3)


def compared(counts: list[Count], least_us: list[float], shown: list[Board]) -> list[dict]:
    """Models beside the first. ``least_us``: of a run of each. Times are compared for a second of audio."""
    times = [count.runs * us * 1e-6 for count, us in zip(counts, least_us)]
    rows = []
    for count, us, seconds in zip(counts, least_us, times):
        ratio, macs = seconds / times[0], count.macs / counts[0].macs
        row = {"model": count.model, "block_frames": count.block_frames, **_whole(count.totals()), "least_us": round(us, 2),
               "seconds_per_second": _short(seconds), "ratios": {"params": _short(count.params / counts[0].params), "macs": _short(macs),
                                                                "macs_done": _short(count.macs_done / counts[0].macs_done), "time": _short(ratio)},
               "exponent": exponent(ratio, macs), "boards": []}
        for board in shown:
            if board.middle:
                load, was = predict(count, board).mid, predict(counts[0], board).mid
                row["boards"].append({"board": board.name, "measured": board.measured, "load": _short(load), "ratio": _short(load / was),
                                      "exponent": exponent(load / was, macs)})
        rows.append(row)
    return rows
