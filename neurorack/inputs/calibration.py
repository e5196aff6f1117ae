"""Calibration of the CV jacks: what a converter and the resistors before it add to a volt, measured and taken away.

A jack's ``Correction`` says ``volts = gain * converted + offset``, found by least squares from two or three known volts. It is
kept in the state folder, apart from patches, as ``calibration-BOARD.yaml``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neurorack.errors import BoardError
from neurorack.inputs import store

CENTS = 1200.0                     # in a volt
#: What a sound board may be off, before calibration and in it
FAR_VOLTS, FAR_SHARE = 0.5, 0.06   # so far a reading may lie from the volts patched; 30 mV at a pi converter's pin are 0.2 V at its jack
NOISE_VOLTS, DRIFT_VOLTS, CROOKED_VOLTS = 0.05, 0.01, 0.006
GAIN_LIMITS, OFFSET_LIMIT_VOLTS = (0.9, 1.1), 0.6
LEAST_SAMPLES, LEAST_SPREAD_VOLTS = 20, 0.9


@dataclass(frozen=True)
class Correction:
    gain: float = 1.0
    offset_volts: float = 0.0

    def __call__(self, converted):
        return self.gain * converted + self.offset_volts


@dataclass(frozen=True)
class Reading:
    """A known voltage and what a jack made of it."""

    patched_volts: float
    converted_volts: float
    noise_volts: float


def measure(jack: str, patched_volts: float, samples: np.ndarray) -> Reading:
    """The mean of one jack's converted volts while ``patched_volts`` is in it. Raises ``BoardError`` when it cannot be that.

    The lowest and highest fiftieth are left out, so that a few wild ones do not count; more would favour the converter's nearest code.
    """
    if len(samples) < LEAST_SAMPLES:
        raise BoardError(f"{jack}: only {len(samples)} scans came; at least {LEAST_SAMPLES} are needed: is its converter answering?")
    if not np.isfinite(samples).all():
        raise BoardError(f"{jack} has never been converted: its converter does not answer; `neurorack doctor` says why")
    wild = len(samples) // 50
    mean, noise = float(np.mean(np.sort(samples)[wild: len(samples) - wild])), float(np.std(samples))
    half = len(samples) // 2
    drift = abs(float(np.median(samples[:half]) - np.median(samples[half:])))
    window = FAR_VOLTS + FAR_SHARE * abs(patched_volts)
    if abs(mean - patched_volts) > window:
        raise BoardError(f"{jack} reads {mean:.3f} V for {patched_volts:g} V; it must lie within {window:.2f} V of it: "
                         "is the right cable in the right jack?")
    if noise > NOISE_VOLTS or drift > max(DRIFT_VOLTS, noise):
        raise BoardError(f"{jack} moves by {1000 * max(noise, drift):.0f} mV at {patched_volts:g} V; "
                         f"at most {1000 * NOISE_VOLTS:.0f} mV may be noise: patch a voltage that stands still")
    return Reading(patched_volts, mean, noise)


def fit(jack: str, readings: list[Reading]) -> Correction:
    """The straight line through two or more readings. Raises ``BoardError`` for one that no sound board has."""
    patched = np.array([r.patched_volts for r in readings])
    converted = np.array([r.converted_volts for r in readings])
    if len(readings) < 2 or np.ptp(patched) < LEAST_SPREAD_VOLTS:
        raise BoardError(f"{jack}: calibration needs two points at least {LEAST_SPREAD_VOLTS:g} V apart, 0 and 3 V say")
    gain, offset = np.polyfit(converted, patched, 1)
    crooked = float(np.max(np.abs(gain * converted + offset - patched)))
    if crooked > CROOKED_VOLTS:
        raise BoardError(f"{jack}: the points lie {CENTS * crooked:.1f} cents off a straight line, at most {CENTS * CROOKED_VOLTS:.0f} may be: "
                         "check the source with a meter and measure again")
    if not GAIN_LIMITS[0] <= gain <= GAIN_LIMITS[1] or abs(offset) > OFFSET_LIMIT_VOLTS:
        raise BoardError(f"{jack}: gain {gain:.3f} and offset {1000 * offset:.0f} mV lie outside {GAIN_LIMITS[0]:g} to {GAIN_LIMITS[1]:g} and "
                         f"{1000 * OFFSET_LIMIT_VOLTS:.0f} mV: check the board's resistors and its board file")
    return Correction(float(gain), float(offset))


def load(board: dict, name: str) -> tuple[list[Correction], list[str]]:
    """Each CV jack's correction, and a line for every entry that cannot be used: its jack is left as converted."""
    entries, problem = store.read("calibration", name)
    problems = [problem] if problem else []
    found = []
    for i in range(board["cv"]["jacks"]):
        entry = entries.get(f"cv{i + 1}", {})
        values = [entry.get(key, default) for key, default in (("gain", 1.0), ("offset_volts", 0.0))]
        if all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in values) \
                and GAIN_LIMITS[0] <= values[0] <= GAIN_LIMITS[1] and abs(values[1]) <= OFFSET_LIMIT_VOLTS:
            found.append(Correction(float(values[0]), float(values[1])))
        else:
            found.append(Correction())
            problems.append(f"{store.path('calibration', name)}: cv{i + 1} has gain {values[0]!r} and offset {values[1]!r}; it is ignored")
    return found, problems


def save(name: str, measured: dict[str, tuple[Correction, list[Reading]]], when: str):
    """Keep these jacks' corrections beside those that others have; returns the file."""
    entries, _ = store.read("calibration", name)
    for jack, (correction, readings) in measured.items():
        entries[jack] = {"gain": round(correction.gain, 7), "offset_volts": round(correction.offset_volts, 6),
                         "measured": [[r.patched_volts, round(r.converted_volts, 5)] for r in readings], "when": when}
    about = "calibration of the CV jacks: volts = gain x converted + offset_volts; measured: [patched, converted] volts"
    return store.write("calibration", name, dict(sorted(entries.items())), about)
