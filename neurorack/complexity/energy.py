"""Energy for a second of audio, where a board reports what it draws.

Three ways are known: the counters of x86 processors (RAPL, through Linux' powercap), the INA3221 monitors of Jetson boards, the power
management chip of a Raspberry Pi 5 (through ``vcgencmd``). A meter has ``name`` and ``joules()``: energy since it was made, as a
counter says it or as power summed over time. What playing takes is what a busy stretch took more than an idle one of the same length.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from pathlib import Path

from ..errors import NeurorackError

NOTHING = "this board reports no energy"
SAMPLE_SECONDS = 0.05
TOTAL_RAILS = ("VDD_IN", "POM_5V_IN", "VDD_5V_IN", "5V_IN")          # what comes into a Jetson; other rails are parts of it


class Refused(NeurorackError):
    """There is a meter that may not be read; the text says what to do."""


class Rapl:
    """The processor packages' own energy counters, in microjoules, that begin again from 0."""

    def __init__(self, zones: list[Path]):
        self.zones = zones
        self.name = f"RAPL, {len(zones)} processor package{'s' * (len(zones) > 1)}"
        self.spans = [int((zone / "max_energy_range_uj").read_text()) for zone in zones]
        self.last = self._read()
        self.sum = 0.0

    def _read(self) -> list[int]:
        return [int((zone / "energy_uj").read_text()) for zone in self.zones]

    def joules(self) -> float:
        now = self._read()
        self.sum += sum((new - old) % (span + 1) for new, old, span in zip(now, self.last, self.spans)) * 1e-6
        self.last = now
        return self.sum


class Powered:
    """A meter that tells watts: summed over the time between two readings (their mean)."""

    def __init__(self, name: str, watts, clock=time.perf_counter):
        self.name, self._watts, self._clock = name, watts, clock
        self.at, self.power, self.sum = clock(), watts(), 0.0

    def joules(self) -> float:
        now, power = self._clock(), self._watts()
        self.sum += (now - self.at) * (power + self.power) / 2
        self.at, self.power = now, power
        return self.sum


def _rapl(root: Path) -> Rapl | None:
    zones = [zone for zone in sorted((root / "sys/class/powercap").glob("*-rapl:*"))
             if zone.name.count(":") == 1 and (zone / "energy_uj").exists() and _text(zone / "name").startswith("package")]
    if not zones:
        return None
    try:
        return Rapl(zones)
    except PermissionError:
        raise Refused(f"the energy counter is for root: sudo chmod a+r {zones[0] / 'energy_uj'}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> float:
    return float(path.read_text())


def _ina3221(root: Path) -> Powered | None:
    """hwmon (mV and mA of each rail), or the older driver's iio device (mW of each rail)."""
    rails = {}
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if _text(folder / "name") == "ina3221":
            for label in sorted(folder.glob("in[1-3]_label")):
                n = label.name[2]
                if (folder / f"curr{n}_input").exists():
                    rails[_text(label)] = lambda folder=folder, n=n: _number(folder / f"in{n}_input") * _number(folder / f"curr{n}_input") * 1e-6
    for name in sorted((root / "sys/bus/i2c/drivers/ina3221x").glob("*/iio:device*/rail_name_*")):
        power = name.with_name(f"in_power{name.name[-1]}_input")
        if power.exists():
            rails[_text(name)] = lambda power=power: _number(power) * 1e-3
    if not rails:
        return None
    total = next((rail for rail in TOTAL_RAILS if rail in rails), None)
    if total:
        return Powered(f"INA3221, rail {total}", rails[total])
    return Powered(f"INA3221, {len(rails)} rails", lambda: sum(read() for read in rails.values()))


def pmic_watts(text: str) -> float:
    """Watts of all rails that ``vcgencmd pmic_read_adc`` tells a voltage and a current of; 0 where it tells none."""
    told = {(rail, kind): float(value) for rail, kind, value in re.findall(r"(\w+)_[AV]\s+(current|volt)\(\d+\)=([\d.]+)[AV]", text)}
    return sum(value * told[rail, "volt"] for (rail, kind), value in told.items() if kind == "current" and (rail, "volt") in told)


def _pmic(vcgencmd: str | None) -> Powered | None:
    if not vcgencmd:
        return None

    last = [0.0]

    def watts() -> float:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):        # then as it was
            last[0] = pmic_watts(subprocess.run([vcgencmd, "pmic_read_adc"], capture_output=True, text=True, timeout=2, check=False).stdout)
        return last[0]

    return Powered("power chip of the Raspberry Pi 5", watts) if watts() > 0 else None


def meter(root: Path = Path("/"), vcgencmd: str | None = None):
    """What can be read here, or None. Raises ``Refused`` for what may not be read."""
    return _rapl(root) or _ina3221(root) or _pmic(vcgencmd or shutil.which("vcgencmd"))


def _while(meter, seconds: float, work) -> tuple[float, float, int]:
    """Joules, seconds and turns of ``work()``, repeated for some seconds; the meter is read meanwhile."""
    before, began, turns = meter.joules(), time.perf_counter(), 0
    read = began
    while (now := time.perf_counter()) < began + seconds:
        work()
        turns += 1
        if now - read > SAMPLE_SECONDS:
            meter.joules()
            read = now
    return meter.joules() - before, time.perf_counter() - began, turns


def measure(meter, play, audio_seconds: float, seconds: float = 5.0) -> dict:
    """``play()`` makes ``audio_seconds`` of audio. Idle, then playing as fast as it goes, then idle again.

    Keys: ``meter``, ``idle_watts``, ``playing_watts``, ``joules_per_second`` (of audio, above idle; never below 0), ``idle_spread_watts``
    (how far the two idle stretches lie apart: less than that is not told apart from nothing).
    """
    def rest():
        time.sleep(SAMPLE_SECONDS)

    before, first, _ = _while(meter, seconds / 2, rest)
    used, busy, turns = _while(meter, seconds, play)
    after, last, _ = _while(meter, seconds / 2, rest)
    idle = (before + after) / (first + last)
    return {"meter": meter.name, "idle_watts": round(idle, 3), "playing_watts": round(used / busy, 3),
            "idle_spread_watts": round(abs(before / first - after / last), 3),
            "joules_per_second": max(0.0, round((used - idle * busy) / (turns * audio_seconds), 6))}
