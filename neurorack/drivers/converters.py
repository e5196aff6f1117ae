"""The converters a board file names, each under its own name, each with its own patience."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from neurorack.drivers.ads1x15 import Ads1x15, keeps_pace
from neurorack.drivers.ads_scan import AdsScan
from neurorack.drivers.ads_shots import AdsShots
from neurorack.drivers.gpio import open_lines
from neurorack.drivers.mcp3208 import CODES, Mcp3208
from neurorack.drivers.part import Part

STILL_NS = 30_000_000      # a chip that has converted nothing for so long is not waited for


def title(converter: dict) -> str:
    """What people are told: "ADS1015 at 0x48", "MCP3208 at spidev0.0"."""
    where = f"{converter['address']:#04x}" if "i2c" in converter else f"spidev{converter['spi']}.{converter['select']}"
    return f"{converter['chip'].upper()} at {where}"


def opener(settings: dict, converter: dict) -> Callable:
    """A function that opens the chip, or raises ``OSError``."""
    if converter["chip"] == "mcp3208":
        return lambda: Mcp3208(converter["spi"], converter["select"], converter["speed_hz"], list(converter["inputs"].values()))
    return lambda: Ads1x15(converter["chip"], converter["i2c"], converter["address"], converter["full_scale_volts"], continuous(converter))


def continuous(converter: dict) -> bool:
    """Whether an ADS may convert without a pause: its ALERT/RDY pin is heard, and its bus is fast enough."""
    return "ready_line" in converter and keeps_pace(converter["chip"], converter["speed_hz"])


def _ready(labels: list[str], line: int) -> Callable:
    return lambda: open_lines(labels, [line], falling_only=True)


class Converters:
    """``publish(jack, volts, ns)`` is told of every conversion in volts at the jack: from ``read`` (MCP3208), or from the
    threads that keep the ADS chips going."""

    def __init__(self, settings: dict, note, count, publish: Callable[[str, float, int], None]):
        cv = settings["cv"]
        self._zero, self._slope, self._publish = cv["zero_volts"], cv["volts_per_volt"], publish
        self.parts: list[Part] = []
        self._read: list[tuple[Part, list[str], float]] = []
        self.scans: list[AdsScan | AdsShots] = []
        shots: dict[int, list] = {}                  # by bus
        zero, slope = self._zero, self._slope

        def at_pin(jack: str, volts: float, ns: int) -> None:
            publish(jack, (volts - zero) / slope, ns)

        for converter in settings["converters"]:
            import_module("spidev" if "spi" in converter else "smbus2")     # now, for whoever can tell: a chip is opened when it is needed
            part = Part(title(converter), opener(settings, converter), note, count)
            self.parts.append(part)
            if converter["chip"] == "mcp3208":
                self._read.append((part, list(converter["inputs"]), converter["supply_volts"] / CODES))
                continue
            inputs, minus = converter["inputs"], converter.get("minus")
            order = [(jack, Ads1x15.mux(inputs[jack], minus)) for jack in converter.get("sequence", inputs)]
            if continuous(converter):
                self.scans.append(AdsScan(part, order, at_pin, _ready(settings["gpio"], converter["ready_line"])))
            else:
                shots.setdefault(converter["i2c"], []).append((part, order))
        self.scans += [AdsShots(chips, at_pin) for chips in shots.values()]
        for scan in self.scans:
            scan.start()

    def read(self) -> None:
        """Convert what converts on demand, once."""
        for part, jacks, step_volts in self._read:
            chip = part.get()
            if chip is None:
                continue
            try:
                codes = chip.read()
            except OSError as error:
                part.missed(error)
                continue
            part.worked()
            publish, volts_per_code = self._publish, step_volts / self._slope      # two thousand times a second
            first = (0.5 * step_volts - self._zero) / self._slope
            for jack, code in zip(jacks, codes):
                publish(jack, first + code * volts_per_code, 0)

    def close(self) -> None:
        for scan in self.scans:
            scan.close()
        for part, _, _ in self._read:
            part.close()


def oldest(ends_ns: list[int], now_ns: int) -> int:
    """The end of the conversion that is longest ago, of each jack's last; chips that convert at ``read``, or have not for
    ``STILL_NS``, do not count. ``now_ns`` where none does."""
    return min((ns for ns in ends_ns if ns > now_ns - STILL_NS), default=now_ns)
