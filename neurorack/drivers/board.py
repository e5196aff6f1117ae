"""Boards: what the inputs process needs of the hardware, whichever chips it is made of.

A board file in ``hardware/`` names the driver and its settings. Hardware libraries are imported inside real
drivers only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import yaml

from neurorack.errors import BoardError

#: Driver -> what its board file must say: (section, key)
DRIVERS = {"desk": (("cv", "jacks"), ("cv", "range_volts"), ("cv", "bits"), ("cv", "scan_hz"), ("gates", "rise_volts"), ("gates", "fall_volts"))}
HARDWARE = Path(__file__).resolve().parent.parent.parent / "hardware"


class Board(Protocol):
    """One converter behind the CV jacks, one comparator or GPIO line behind each gate jack."""

    name: str
    scan_hz: int

    def gate_fd(self) -> int:
        """Descriptor that becomes readable when a gate changed."""

    def gate_levels(self) -> list[bool]:
        """Which gates are high now."""

    def read_edges(self) -> list[tuple[int, int, bool]]:
        """Raw changes since the last call, bounce included: ``(edge_ns, gate, high)``."""

    def read_cv(self) -> list[float]:
        """One conversion of every CV jack, in volts; raises ``OSError`` on a bus error."""

    def close(self) -> None: ...


def names() -> list[str]:
    return sorted(path.stem for path in HARDWARE.glob("*.yaml"))


def load(name: str) -> dict:
    """Settings of a board of ``hardware/`` by its name, or of any board file by its path; raises ``BoardError``."""
    path = Path(name) if name.endswith(".yaml") else HARDWARE / f"{name}.yaml"
    if not path.is_file():
        raise BoardError(f"there is no board {name!r}; the boards are {', '.join(names())} (or give a board file, .yaml)")
    try:
        settings = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BoardError(f"board file {path}: {' '.join(str(error).split())}") from None
    if not isinstance(settings, dict) or settings.get("driver") not in DRIVERS:
        driver = settings.get("driver") if isinstance(settings, dict) else None
        raise BoardError(f"board file {path}: its driver is {driver!r}; the drivers are {', '.join(DRIVERS)}")
    for section, key in DRIVERS[settings["driver"]]:
        if not isinstance(settings.get(section), dict) or key not in settings[section]:
            raise BoardError(f"board file {path}: {section} lacks {key}")
    return {**settings, "name": path.stem}


def detect() -> tuple[str, str | None]:
    """The board this machine is, and a named warning where it is none we know: then all jacks are simulated."""
    return "desk", "NoBoard: no panel hardware was found; its jacks are simulated (board desk)"


def open_board(settings: dict, rack, config: dict) -> Board:
    """The driver of a board file that ``load`` has read."""
    from neurorack.drivers.desk import DeskBoard

    return DeskBoard(settings, rack, config["gate_fd"])
