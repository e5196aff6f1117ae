"""Boards: what the inputs process needs of the hardware, whichever chips it is made of.

A board file in ``hardware/`` names the driver and its settings. Hardware libraries are imported inside real
drivers only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import yaml

from neurorack.drivers import remedy
from neurorack.errors import BoardError
from neurorack.process import tell

_ALL = (("cv", "jacks"), ("cv", "range_volts"), ("cv", "scan_hz"), ("gates", "jacks"), ("gates", "rise_volts"), ("gates", "fall_volts"))
_REAL = (*_ALL, ("cv", "zero_volts"), ("cv", "volts_per_volt"))
#: Driver -> what its board file must say: (section, key)
DRIVERS = {"desk": (*_ALL, ("cv", "bits")), "pi": (*_REAL, ("gates", "lines")), "classic": _REAL}
HARDWARE = Path(__file__).resolve().parent.parent.parent / "hardware"
MODEL = Path("/proc/device-tree/model")
_ADS = ("inputs", "i2c", "address", "speed_hz", "full_scale_volts")
#: Converter chip -> what its entry must say
CONVERTERS = {"mcp3208": ("inputs", "spi", "select", "speed_hz", "supply_volts"), "ads1015": _ADS, "ads1115": _ADS}


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
        """Every CV jack in volts, as converted now or last, NaN where it never was; raises ``OSError`` on a bus error (of a board that does not
        watch its chips itself)."""

    # oldest_cv_ns(now_ns) -> int, of boards whose chips convert by themselves: when the conversion ended that is longest ago, of the
    # last ones of all jacks (CLOCK_MONOTONIC)

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
    if settings["driver"] != "desk":
        _check_converters(path, settings)
    return {**settings, "name": path.stem}


def _check_converters(path: Path, settings: dict) -> None:
    converters = settings.get("converters")
    if not isinstance(converters, list) or not converters:
        raise BoardError(f"board file {path}: converters lacks its list of chips")
    for converter in converters:
        chip = converter.get("chip") if isinstance(converter, dict) else None
        if chip not in CONVERTERS:
            raise BoardError(f"board file {path}: a converter's chip is {chip!r}; it may be {', '.join(CONVERTERS)}")
        for key in CONVERTERS[chip]:
            if key not in converter:
                raise BoardError(f"board file {path}: converter {chip} lacks {key}")
    if "gpio" not in settings:
        raise BoardError(f"board file {path}: gpio lacks its list of chip labels")


def machine_model() -> str:
    """As the device tree names this machine; empty on one without."""
    try:
        return MODEL.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return ""


def answering(settings: dict) -> dict[str, str]:
    """The converters of a board and why each does not answer; empty for one that does."""
    from neurorack.drivers.converters import opener, title

    found = {}
    for converter in settings.get("converters", ()):
        try:
            chip = opener(settings, converter)()
            if converter["chip"] == "mcp3208":
                chip.read()
            chip.close()
            found[title(converter)] = ""
        except ImportError as error:
            found[title(converter)] = f"{error.name} is not installed: {remedy()}"
        except OSError as error:
            found[title(converter)] = error.strerror or str(error)
    return found


def detect() -> tuple[str, str | None]:
    """The board this machine is, and a named warning where it is none we know: then all jacks are simulated.

    The device tree says which machine it is, and of the boards made for it that one is taken of which most chips answer.
    """
    model = machine_model()
    fits, looked_for = [], []
    for name in names():
        settings = load(name)
        if any(model.startswith(machine) for machine in settings.get("models", ())):
            chips = answering(settings)
            looked_for += [f"{chip}: {why}" for chip, why in chips.items() if why]
            fits.append((sum(not why for why in chips.values()) / len(chips), name))
    best = max(fits, default=(0, ""))
    if best[0] > 0:
        return best[1], None
    on = f" on this {model} ({'; '.join(looked_for)})" if fits else ""
    return "desk", f"NoBoard: no panel hardware was found{on}; its jacks are simulated (board desk)"


def open_board(settings: dict, rack, config: dict) -> Board:
    """The driver of a board file that ``load`` has read. Raises ``BoardError`` when a library for it is missing."""
    if settings["driver"] == "desk":
        from neurorack.drivers.desk import DeskBoard

        return DeskBoard(settings, rack, config["gate_fd"])
    from neurorack.drivers.part import ErrorCount

    def publish(total: int) -> None:
        rack.inputs.chip_errors = total

    def note(line: str) -> None:
        tell(f"neurorack: inputs: {line}\n")

    count = ErrorCount(publish, rack.inputs.chip_errors)
    try:
        if settings["driver"] == "classic":
            from neurorack.drivers.classic import ClassicBoard

            return ClassicBoard(settings, note, count)
        from neurorack.drivers.pi import PiBoard

        return PiBoard(settings, note, count)
    except ImportError as error:
        raise BoardError(f"board {settings['name']} needs {error.name}: {remedy()}") from None


def wires(settings: dict, rack, simulated: bool = False):
    """What plays the jacks of a board that is not real: the desk's wires, or those of a board's simulated chips. None for a real one."""
    if settings["driver"] == "desk":
        from neurorack.drivers.desk import Wires

        return Wires(rack, settings)
    if simulated:
        from neurorack.simbus.wires import SimWires

        return SimWires(settings)
    return None
