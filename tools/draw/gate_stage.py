"""The gate input calculated and simulated: a comparator with hysteresis whose open collector pulls a GPIO line down.

    jack --- 100 k ---+--- 100 k --- ground       (-) of the LM393, clamped by a BAT54S, 220 pF to ground
    3.3 V --- 68 k ---+--- 13 k --- ground        (+) of the LM393
    out --- 100 k --- (+);   3.3 V --- 10 k --- out --- 1 k --- GPIO

Supply and pull-ups are the computer's own 3.3 V: nothing can drive a line of a computer that is off.
Datasheet: LM393 (Texas Instruments SNOSBJ6E, page 5, notes 4 and 5): inputs work to 1.5 V below the supply at 25 degrees (2 V over
all), and the output stays right when only one of them is beyond; below 0.4 V at 4 mA (STMicroelectronics 2164 rev 14, page 6), so well
below it at the 0.36 mA it sinks here.
"""

from __future__ import annotations

from math import log

import numpy as np

from tools.draw import markdown

SUPPLY_VOLTS, LOW_VOLTS, CLAMP_VOLTS = 3.3, 0.1, 0.3
SERIES, SHUNT = 100e3, 100e3
TOP, BOTTOM, BACK, PULL_UP = 68e3, 13e3, 100e3, 10e3
CAPACITOR = 220e-12


def reference(output_high: bool) -> float:
    """Volts at (+)."""
    back = BACK + PULL_UP if output_high else BACK
    out = SUPPLY_VOLTS if output_high else LOW_VOLTS
    total = 1 / TOP + 1 / BOTTOM + 1 / back
    return (SUPPLY_VOLTS / TOP + out / back) / total


def divide(jack: float | np.ndarray):
    """Volts at (-) once settled, clamped."""
    return np.clip(jack * SHUNT / (SERIES + SHUNT), -CLAMP_VOLTS, SUPPLY_VOLTS + CLAMP_VOLTS)


def rise_volts() -> float:
    """At the jack: the line goes down (gate high) above it."""
    return reference(True) * (SERIES + SHUNT) / SHUNT


def fall_volts() -> float:
    return reference(False) * (SERIES + SHUNT) / SHUNT


def time_constant() -> float:
    return SERIES * SHUNT / (SERIES + SHUNT) * CAPACITOR


def delay_seconds(gate_volts: float) -> float:
    """From a gate's rising edge at the jack to the comparator."""
    final = gate_volts * SHUNT / (SERIES + SHUNT)
    return time_constant() * log(final / (final - reference(True)))


def input_amperes(jack: float) -> float:
    return (jack - float(divide(jack))) / SERIES


def simulate(jack: np.ndarray, step_seconds: float, hysteresis: bool = True) -> list[tuple[float, bool]]:
    """``jack`` volts at each step -> ``(seconds, gate high)`` of every change at the line."""
    node, high, changes = 0.0, False, []
    follow = 1 - np.exp(-step_seconds / time_constant())
    middle = (reference(True) + reference(False)) / 2
    for k, target in enumerate(divide(jack)):
        node += follow * (target - node)
        threshold = reference(not high) if hysteresis else middle
        if (node > threshold) != high:
            high = not high
            changes.append((k * step_seconds, high))
    return changes


def pulse(volts: float, seconds: float, step_seconds: float, edge_seconds: float = 0.0, noise_volts: float = 0.0, seed: int = 1) -> np.ndarray:
    """A trigger with straight edges of that length and evenly spread noise, with rest before and after."""
    times = np.arange(0, seconds + 2 * edge_seconds + 0.002, step_seconds)
    up, down = 0.001 + edge_seconds, 0.001 + edge_seconds + seconds
    shape = np.interp(times, [0.001 - 1e-9, up, down, down + edge_seconds + 1e-9], [0, volts, volts, 0])
    return shape + noise_volts * np.random.default_rng(seed).uniform(-1, 1, times.size)


#: what the table tells: name, volts, length, edges, noise
TRIALS = (("1 ms trigger, 5 V", 5.0, 0.001, 0.0, 0.0), ("1 ms trigger, 10 V", 10.0, 0.001, 0.0, 0.0),
          ("1 ms trigger, 12 V, 0.2 V of noise", 12.0, 0.001, 0.0, 0.2),
          ("gate with slow edges (10 ms), 5 V, 0.2 V of noise", 5.0, 0.01, 0.01, 0.2))


def trial(volts: float, seconds: float, edge_seconds: float, noise_volts: float, hysteresis: bool = True) -> list[tuple[float, bool]]:
    step = 1e-6
    return simulate(pulse(volts, seconds, step, edge_seconds, noise_volts), step, hysteresis)


def table() -> str:
    rows = []
    for name, *what in TRIALS:
        changes = trial(*what)
        after = changes[0][0] - 0.001
        seen = f"{after * 1e6:.0f} µs" if not what[2] else f"at {what[0] * after / what[2]:.1f} V"
        rows.append((name, len(changes), 2, seen, len(trial(*what, hysteresis=False))))
    return markdown.table(("simulated", "changes of the line", "of them wanted", "seen after", "without hysteresis"), rows)


def facts() -> str:
    return markdown.table(("gate input, calculated", ""), (
        ("rises above, falls below", f"{rise_volts():.2f} V, {fall_volts():.2f} V"),
        ("at the comparator's inputs", f"{reference(True):.2f} V, {reference(False):.2f} V (the LM393 allows 1.3 V at 3.3 V)"),
        ("input resistance up to 7 V", f"{(SERIES + SHUNT) / 1e3:g} k"),
        ("low-pass of the input", f"{time_constant() * 1e6:.0f} µs"),
        ("delay of a 5 V gate, of a 10 V gate", f"{delay_seconds(5) * 1e6:.1f} µs, {delay_seconds(10) * 1e6:.1f} µs"),
        ("input current at +12 V, at −12 V", f"{input_amperes(12) * 1e6:+.0f} µA, {input_amperes(-12) * 1e6:+.0f} µA"),
        ("of it into the 3.3 V rail at +12 V", f"{(input_amperes(12) - float(divide(12.0)) / SHUNT) * 1e6:.0f} µA"),
        ("the output sinks", f"{(SUPPLY_VOLTS - LOW_VOLTS) / PULL_UP * 1e3:.2f} mA")))
