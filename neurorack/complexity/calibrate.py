"""Measuring what the engine's kernels cost on this machine, and keeping it in ``hardware/speed/``."""

from __future__ import annotations

import datetime
import os
import platform
import re
import time
from pathlib import Path

import numpy as np
import yaml

from ..bench import apart, processor
from ..engine import isa as isa_in_use
from ..errors import NeurorackError
from . import boards, cases, cost, fit, kernels, timing
from .isa import Isa, named

KNOWN = {"Raspberry Pi 5": "pi5", "Raspberry Pi 4": "pi4", "Raspberry Pi Zero 2": "zero2w", "Jetson Orin Nano": "orin", "Jetson Nano": "jetson"}
ROUNDS, FAR_ROUNDS = 15, 9
LEAST_FREE_BYTES = 512 * 1024 * 1024         # the longest streams are left out below


def calibrate(name: str | None = None) -> dict:
    """Measure this machine, and return what its speed file says. Takes some seconds."""
    began = time.perf_counter()
    kind = named()
    measured = cases.in_cache()
    streams = [(size, cases.streamed(size)) for size in cases.STREAMED if size < cases.STREAMED[-1] or _free_bytes() > LEAST_FREE_BYTES]
    far = cases.far_bands()
    with apart() as thread:
        taken = thread.submit(timing.bursts, [case.program for case in measured], ROUNDS).result()
        far_taken = thread.submit(timing.bursts, [case.program for _, case in streams] + [far.program], FAR_ROUNDS, 2e6).result()
    least, far_least = taken.min(axis=0), far_taken.min(axis=0)
    prices = _fitted(measured, least, kind)
    curve, highest = [], 0.0
    for (size, case), nanoseconds in zip(streams, far_least):
        layers = len(case.listing.calls)
        highest = max(highest, (nanoseconds - prices["run"] - layers * prices["product"]) / _packed(case, kind))
        curve.append([size, float(highest)])
    prices["band_byte"] = max(0.0, (far_least[-1] - _sum(far, kind, prices)) / (4 * 64 * 64))
    ratios = np.sort([_sum(case, kind, prices) / nanoseconds for case, nanoseconds in zip(measured, least)])
    return {
        "name": name or board_name(), "description": f"{processor()}, {kind.name} kernels", "measured": True, "date": datetime.date.today().isoformat(),
        "processor": processor(), "machine": platform.machine(), "isa": kind.name, "seconds": round(time.perf_counter() - began, 1),
        "cases": len(measured),
        "prices": {name: _rounded(prices[name]) for name in cost.PRICES}, "fetching": [[size, _rounded(each)] for size, each in curve],
        "spread": {"fit": [_rounded(1 / np.quantile(ratios, 0.9)), _rounded(1 / np.quantile(ratios, 0.1))],
                   "fit_median_error": _rounded(float(np.median(np.abs(np.log(ratios))))),
                   "bursts": _rounded(float(np.median(np.median(taken, axis=0) / least)))},
    }


def _rounded(x: float) -> float:
    return float(f"{x:.4g}")


def _works(case: cases.Case):
    return [work for call in case.listing.calls for work in kernels.of(call, case.listing, case.forms)]


def _packed(case: cases.Case, isa: Isa) -> int:
    return sum(isa.packed_bytes(work.depth, work.cols) for work in _works(case))


def _sum(case: cases.Case, isa: Isa, prices: dict) -> float:
    """What a case should take, fetching apart."""
    return prices["run"] + sum(prices[name] * amount for work in _works(case) for name, amount in cost.quantities(work, isa).items() if name != "band_byte")


def _fitted(measured: list[cases.Case], least: np.ndarray, isa: Isa) -> dict:
    """Prices that make the sum of relative errors least, none below zero."""
    amounts = np.zeros((len(measured), len(cost.PRICES)))
    amounts[:, cost.PRICES.index("run")] = 1
    for row, case in zip(amounts, measured):
        for work in _works(case):
            for name, amount in cost.quantities(work, isa).items():
                row[cost.PRICES.index(name)] += amount
    return dict(zip(cost.PRICES, fit.nonnegative(amounts / least[:, None], np.ones(len(least)))))


def _free_bytes() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return LEAST_FREE_BYTES + 1


def board_name() -> str:
    """What this machine's speed file is called: of a board that is known its short name, else its processor's."""
    model = ""
    try:
        model = Path("/proc/device-tree/model").read_text().rstrip("\0\n")
    except OSError:
        pass
    for text, short in KNOWN.items():
        if text in model:
            return short
    words = re.findall(r"[a-z0-9]+", (model or processor() or platform.machine()).lower())
    return "-".join([word for word in words if word not in ("r", "tm", "cpu", "processor", "core")][:4] + [isa_in_use()])


def write(data: dict, folder: Path = boards.FOLDER) -> Path:
    """Keep a calibration; the bounds and figures that were told of the board stay. Raises ``NeurorackError``."""
    path = folder / f"{data['name']}.yaml"
    try:
        was = yaml.safe_load(path.read_text()) if path.exists() else {}
        kept = {key: was[key] for key in ("bounds", "clock_ghz", "width", "sources") if key in was}
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Measured by neurorack complexity --calibrate; prices in ns, fetching in ns a byte (docs/complexity.md)\n"
                        f"{yaml.safe_dump({**data, **kept}, sort_keys=False, default_flow_style=None, width=150)}")
    except OSError as error:
        raise NeurorackError(f"{path} cannot be written ({error.strerror}); run it as the owner of that folder, or give --out FILE") from None
    return path
