"""The CV input stage calculated: an inverting summing amplifier between a jack and a converter's pin.

    jack --- 100 k ---+--- feedback || capacitor ---+--- 100 R --- converter
                      +--- (-) op-amp ---- out -----+
    3V3A --- top ---+--- bottom --- ground;  (+) op-amp at the middle

    pin = bias (1 + g) - g jack,   g = feedback / 100 k,   bias = 3.3 V bottom / (top + bottom)

Converter, op-amp and bias share one 3.3 V, so its error is a gain error only: the code at 0 V does not move with it.
Datasheets: MCP6004 (Microchip DS21733, table 1-1), MCP1700 (DS20001826, section 1), MCP3208 (DS21298E, section 1).
Of these only DS21298E was at hand; the MCP6004's 2 mA is what the sheets of its relatives say (MCP6041, DS21669D page 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import exp, pi

import numpy as np

from tools.draw.markdown import table

SUPPLY_VOLTS, INPUT_OHMS = 3.3, 100e3
SWING_VOLTS = 0.025               # MCP6004: how near the output comes to either rail with 10 k load, at worst
OFFSET_VOLTS = 0.0045             # MCP6004: largest input offset
SUPPLY_TOLERANCE = 0.02           # MCP1700-3302, at 25 degrees
SUPPLY_PPM = 50                   # MCP1700, typical, for each kelvin
PPM = {0.01: 100, 0.001: 25}      # usual temperature coefficient of resistors of that tolerance
DIODE_VOLTS = 0.6
CENTS = 1200                      # for each volt (1 V/oct)
SETTLE_SECONDS = 0.001            # the instrument reads the CVs so long after an edge


@dataclass(frozen=True)
class Stage:
    """Resistor values in ohms, capacitor in farads; ``low`` and ``high`` are the jack volts it is made for."""

    name: str
    low: float
    high: float
    feedback: float
    top: float
    bottom: float
    capacitor: float

    @property
    def gain(self) -> float:
        return self.feedback / INPUT_OHMS

    @property
    def slope(self) -> float:
        """``volts_per_volt`` of the board file."""
        return -self.gain

    @property
    def bias(self) -> float:
        return SUPPLY_VOLTS * self.bottom / (self.top + self.bottom)

    @property
    def zero(self) -> float:
        """``zero_volts`` of the board file: at the pin with 0 V at the jack."""
        return self.bias * (1 + self.gain)

    @property
    def open_volts(self) -> float:
        """What an open jack reads if its switch is not wired to ground: no current flows, the pin stands at the bias."""
        return self.bias

    def pin(self, jack: float) -> float:
        """Volts at the converter's pin; the op-amp's output ends at its rails."""
        return min(SUPPLY_VOLTS - SWING_VOLTS, max(SWING_VOLTS, self.zero - self.gain * jack))

    def reach(self) -> tuple[float, float]:
        """Jack volts at which the output comes to its upper and lower end."""
        return (self.zero - SUPPLY_VOLTS + SWING_VOLTS) / self.gain, (self.zero - SWING_VOLTS) / self.gain

    @property
    def corner_hz(self) -> float:
        return 1 / (2 * pi * self.feedback * self.capacitor)

    def unsettled(self, seconds: float = SETTLE_SECONDS) -> float:
        """Share of a step that is still missing after that time."""
        return exp(-seconds / (self.feedback * self.capacitor))

    def step_volts(self, codes: int, full_scale: float = SUPPLY_VOLTS) -> float:
        """One code, in volts at the jack."""
        return full_scale / codes / self.gain

    def node(self, jack: float) -> float:
        """Volts at the op-amp's inverting input; away from the bias once the output stands at a rail."""
        return (jack * self.feedback + self.pin(jack) * INPUT_OHMS) / (self.feedback + INPUT_OHMS)

    def input_amperes(self, jack: float) -> float:
        """Into the jack, with power on."""
        return (jack - self.node(jack)) / INPUT_OHMS


STAGES = (
    Stage("±10 V", -10, 10, 15e3, 13e3, 10e3, 6.8e-9),
    Stage("±5 V", -5, 5, 30e3, 16e3, 10e3, 3.3e-9),
    Stage("0–10 V", 0, 10, 30e3, 3.6e3, 10e3, 3.3e-9),
    Stage("0–5 V", 0, 5, 56e3, 6.8e3, 10e3, 1.8e-9),
)


def off_power_amperes(jack: float) -> float:
    """Into the jack with power off: through the op-amp's own protection diode into a rail at 0 V."""
    return (abs(jack) - DIODE_VOLTS) / INPUT_OHMS * (1 if jack > 0 else -1)


def _spread(stage: Stage, factors: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gain error and zero error in volts at the jack, for factors [..., 4] on input, feedback, top and bottom."""
    gain = stage.gain * factors[..., 1] / factors[..., 0]
    share = stage.bottom * factors[..., 3] / (stage.top * factors[..., 2] + stage.bottom * factors[..., 3])
    zero = (SUPPLY_VOLTS * share + offset) * (1 + gain)
    return gain / stage.gain - 1, (zero - stage.zero) / stage.gain


def worst(stage: Stage, tolerance: float, offset_volts: float = 0.0) -> tuple[float, float]:
    """Largest gain error and largest zero error in volts at the jack, every part at its limit."""
    corners = np.array(list(product((1 - tolerance, 1 + tolerance), repeat=4)))
    gain, zero = _spread(stage, corners, 0.0)
    return float(np.abs(gain).max()), float(np.abs(zero).max() + offset_volts * (1 + stage.gain) / stage.gain)


def usual(stage: Stage, tolerance: float, boards: int = 20000, seed: int = 1) -> tuple[float, float]:
    """Simulated: what 95 of 100 inputs stay within, resistors anywhere in their tolerance and no op-amp offset."""
    random = np.random.default_rng(seed)
    gain, zero = _spread(stage, 1 + tolerance * random.uniform(-1, 1, (boards, 4)), 0.0)
    return float(np.quantile(np.abs(gain), 0.95)), float(np.quantile(np.abs(zero), 0.95))


def drift_cents(stage: Stage, tolerance: float, kelvin: float = 10, jack: float = 5.0) -> float:
    """After calibration: what a change of temperature does to a pitch of ``jack`` volts, every part at its limit."""
    gain, zero = worst(stage, PPM[tolerance] * 1e-6 * kelvin)
    return CENTS * ((gain + SUPPLY_PPM * 1e-6 * kelvin) * jack + zero)


def _ohms(value: float) -> str:
    return f"{value / 1e3:g} k"


def stage_table() -> str:
    headings = ("made for", "feedback", "capacitor", "top", "bottom", "`volts_per_volt`", "`zero_volts`", "pin at the ends", "reaches", "corner",
                "missing 1 ms after a 5 V step", "open jack")
    rows = []
    for s in STAGES:
        low, high = s.reach()
        rows.append((s.name, _ohms(s.feedback), f"{s.capacitor * 1e9:g} nF", _ohms(s.top), _ohms(s.bottom), f"{s.slope:.2f}", f"{s.zero:.3f}",
                     f"{s.pin(s.low):.2f} … {s.pin(s.high):.2f} V", f"{low:.1f} … {high:.1f} V", f"{s.corner_hz:.0f} Hz",
                     f"{5 * CENTS * s.unsettled():.1f} cents", f"{s.open_volts:.2f} V"))
    return table(headings, rows)


def resolution_table() -> str:
    def step(volts: float) -> str:
        return f"{1e3 * volts:.2f} mV = {CENTS * volts:.1f} cents"

    return table(("made for", "one code of the MCP3208 (12 bits)", "one code of the ADS1115 (±4.096 V, 16 bits)"),
                 ((s.name, step(s.step_volts(4096)), step(s.step_volts(65536, 2 * 4.096))) for s in STAGES))


def tolerance_table() -> str:
    headings = ("made for", "resistors", "gain, all at their limit", "gain, 95 of 100 (simulated)", "zero, all at their limit",
                "zero, 95 of 100 (simulated)", "… with the op-amp's offset", "drift after calibration, 10 K, at 5 V")
    rows = []
    for s in STAGES:
        for tolerance, ppm in PPM.items():
            (gain, zero), (often_gain, often_zero) = worst(s, tolerance), usual(s, tolerance)
            with_offset = worst(s, tolerance, OFFSET_VOLTS)[1]
            rows.append((s.name, f"{100 * tolerance:g} %, {ppm} ppm/K", f"{100 * gain:.2f} %", f"{100 * often_gain:.2f} %", f"{1e3 * zero:.0f} mV",
                         f"{1e3 * often_zero:.0f} mV", f"{1e3 * with_offset:.0f} mV", f"{drift_cents(s, tolerance):.0f} cents"))
    return table(headings, rows)


def current_table() -> str:
    headings = ("at the jack", "stage", "input current, power on", "op-amp's (−) pin", "converter's pin", "heat in the 100 k",
                "input current, power off")
    rows = []
    for jack in (12.0, -12.0):
        for s in STAGES[:2]:
            current = s.input_amperes(jack)
            rows.append((f"{jack:+.0f} V", s.name, f"{1e6 * current:+.0f} µA", f"{s.node(jack):.2f} V", f"{s.pin(jack):.3f} V",
                         f"{1e3 * current * current * INPUT_OHMS:.1f} mW", f"{1e6 * off_power_amperes(jack):+.0f} µA"))
    return table(headings, rows)
