"""Boards: what the inputs process needs of the hardware, whichever chips it is made of.

A board file in ``hardware/`` names the driver and its settings. Hardware libraries are imported inside real
drivers only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import yaml

from neurorack.errors import BoardError

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
    """A board file's settings; raises ``BoardError`` naming the boards there are."""
    path = HARDWARE / f"{name}.yaml"
    if not path.is_file():
        raise BoardError(f"there is no board {name!r}; the boards are {', '.join(names())}")
    return {"name": name, **yaml.safe_load(path.read_text())}


def detect() -> tuple[str, str | None]:
    """The board this machine is, and a named warning where it is none we know: then all jacks are simulated."""
    return "desk", "NoBoard: no panel hardware was found; its jacks are simulated (board desk)"


def open_board(settings: dict, rack, config: dict) -> Board:
    """The driver of a board file."""
    if settings["driver"] == "desk":
        from neurorack.drivers.desk import DeskBoard

        return DeskBoard(settings, rack, config["gate_fd"])
    raise BoardError(f"board {settings['name']}: there is no driver {settings['driver']!r}")
