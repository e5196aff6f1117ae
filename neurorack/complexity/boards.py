"""How fast boards are: ``hardware/speed/NAME.yaml``, measured there by ``neurorack complexity --calibrate`` or estimated.

A measured file holds prices (``cost.py``). An estimated one holds published figures of the processor and names a measured file, the
*reference*; its prices are those of the reference, scaled (``scaled``), three times over: at best, in the middle, at worst.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import yaml

from ..errors import BoardError
from . import cost
from .isa import ISAS, Isa, named

FOLDER = Path(__file__).resolve().parent.parent.parent / "hardware" / "speed"
_VECTORS = re.compile(r"broadcast$|(mac|weight|bf16|i8|sum|sum_exp|depthwise|copy|plain|root|exp|trig|long|fold|gates|sine|band|uniform|normal|filter)_vector$")


@dataclass(frozen=True)
class Prices:
    """``each``: ns of each of ``cost.PRICES``; ``fetching``: [bytes in use, ns a byte] by size; ``more``: what comes on top of the sum, a factor."""

    each: dict
    fetching: list
    more: float = 1.0


@dataclass(frozen=True)
class Board:
    """A board. ``best``, ``middle`` and ``worst``: what its kernels cost; all None where the engine cannot run and only ``bounds`` are known.

    ``bounds``: {"flops": per second, "disk_bytes", "memory_bytes"}, what the embeddability table compares with.
    """

    name: str
    description: str
    measured: bool
    isa: Isa | None
    best: Prices | None
    middle: Prices | None
    worst: Prices | None
    bounds: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> Board:
    """A board by name, or a file of one by its path. Raises ``BoardError``."""
    path = Path(name) if str(name).endswith(".yaml") else FOLDER / f"{name}.yaml"
    try:
        data = _data(path, path.stat().st_mtime_ns)
    except OSError:
        raise BoardError(f"no speed is known of a board {str(name)!r}; of these one is: {', '.join(names()) or 'none'}; "
                         "neurorack complexity --calibrate measures the one it runs on") from None
    except yaml.YAMLError:
        raise BoardError(f"{path}: not YAML; neurorack complexity --calibrate writes it anew") from None
    try:
        return of_data(path.stem, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BoardError(f"{path}: not a speed file of this version ({type(error).__name__} at {error}); neurorack complexity --calibrate writes it anew") from None


@lru_cache(64)
def _data(path: Path, mtime_ns: int) -> dict:
    """A file's content, read again when it changed."""
    return yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def of_data(name: str, data: dict) -> Board:
    """The board that a file's content tells of. Raises ``KeyError`` and the like where it is not whole."""
    common = (data.get("name", name), data.get("description", ""), bool(data["measured"]))
    bounds = {key: float(value) for key, value in (data.get("bounds") or {}).items()}
    if bounds and "macs_cycle" in data:
        bounds.setdefault("flops", 2e9 * sustained_gmacs(data, 1))
    if data["measured"]:
        middle = Prices(_prices(data["prices"]), _curve(data["fetching"]))
        low, high = data["spread"]["fit"]
        return Board(*common, named(data["isa"]), Prices(middle.each, middle.fetching, float(low)), middle,
                     Prices(middle.each, middle.fetching, float(high)), bounds, data)
    if "reference" not in data:
        return Board(*common, None, None, None, None, bounds, data)
    reference = load(data["reference"])
    return Board(*common, named(data["isa"]), *(scaled(reference, data, which) for which in range(3)), bounds, data)


def _prices(data: dict) -> dict:
    missing = set(cost.PRICES) - set(data)
    if missing:
        raise KeyError(sorted(missing)[0])
    return {name: float(data[name]) for name in cost.PRICES}


def _curve(data) -> list:
    return [(float(size), float(each)) for size, each in data]


#: What an estimate assumes, at best, in the middle and at worst. Of the peak of multiply-accumulates; of the bus of the memory; cycles for each cycle of the
#: reference by the ratio of their widths; bytes a cycle from the last cache. In-order processors reach less.
PEAK_SHARE = {False: (0.75, 0.45, 0.25), True: (0.6, 0.35, 0.2)}
BUS_SHARE = (0.6, 0.4, 0.2)
WIDTH_SHARE = (0.5, 1.0, 1.5)
CACHE_BYTES_CYCLE = {False: (16.0, 8.0, 4.0), True: (8.0, 4.0, 2.0)}


def sustained_gmacs(data: dict, which: int) -> float:
    """Multiply-accumulates a nanosecond that an estimated board is believed to reach."""
    return data["clock_ghz"] * data["macs_cycle"] * PEAK_SHARE[bool(data["in_order"])][which]


def scaled(reference: Board, data: dict, which: int) -> Prices:
    """Prices of a board that was not measured. ``which``: 0 at best, 1 in the middle, 2 at worst.

    - Work on whole vectors: the reference's price times its multiply-accumulates a nanosecond in a full tile over the board's (clock x MACs a
      cycle x ``PEAK_SHARE``); a vector of another length counts by its lanes.
    - All else (calls, tiles, numbers one by one): times the clocks' ratio and the cycles it takes for one of the reference's: their widths'
      ratio (instructions a cycle) x ``WIDTH_SHARE``, at least 1.
    - Fetching: from the last cache ``CACHE_BYTES_CYCLE``, from memory the bus x ``BUS_SHARE``.
    """
    theirs, isa, told = reference.middle.each, reference.isa, reference.data
    full = isa.lanes / (theirs["mac_vector"] + theirs["weight_vector"] / isa.rows + theirs["broadcast"] / isa.wide)
    vector = full / sustained_gmacs(data, which) * ISAS[data["isa"]].lanes / isa.lanes
    cycles = max(1.0, told["width"] / data["width"] * WIDTH_SHARE[which])
    rest = told["clock_ghz"] / data["clock_ghz"] * cycles
    each = {name: price * (vector if _VECTORS.match(name) else rest) for name, price in theirs.items()}
    near = 1 / (data["clock_ghz"] * CACHE_BYTES_CYCLE[bool(data["in_order"])][which])
    each["band_byte"] = far = max(near, 1 / (data["bus_gb_s"] * BUS_SHARE[which]))
    first, second = 1024 * data["l1_kb"], 1024 * data["cache_kb"]
    return Prices(each, [(first / 2, 0.0), (first, near), (second / 2, near), (2 * second, far)])
