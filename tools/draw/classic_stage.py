"""The classic board's inputs calculated: the divider on the ADS1015 breakout, read against its own reference on IN3.

    jack --- 8.06 M ---+--- 402 k --- 1.241 V reference (IN3);   IN0, IN1, IN2 at the middle

The divider's values are those its maker's library computes with. The ADS1015's own differential input resistance at
±0.512 V is 710 k (SBAS473E, section 7.5, typical; that table was not at hand) and loads the divider's 383 k.
"""

from __future__ import annotations

from tools.draw.markdown import table

UPPER, LOWER, REFERENCE_VOLTS = 8.06e6, 402e3, 1.241
ADC_OHMS, FULL_SCALE, CODES = 710e3, 0.512, 4096


def slope() -> float:
    """``volts_per_volt`` of the board file."""
    return LOWER / (UPPER + LOWER)


def zero() -> float:
    """``zero_volts`` of the board file: IN against the reference with 0 V at the jack."""
    return -REFERENCE_VOLTS * slope()


def load() -> float:
    """What the converter's own input resistance leaves of the difference."""
    source = UPPER * LOWER / (UPPER + LOWER)
    return ADC_OHMS / (ADC_OHMS + source)


def facts() -> str:
    step, cents = 2 * FULL_SCALE / CODES / slope(), 1200
    return table(("classic input, calculated", "divider alone", "with the converter's 710 k"), (
        ("`volts_per_volt`", f"{slope():.6f}", f"{slope() * load():.4f}"),
        ("`zero_volts`", f"{zero():.5f}", f"{zero() * load():.4f}"),
        ("lowest voltage that can be read", *(f"{(-FULL_SCALE / left - zero()) / slope():.1f} V" for left in (1, load()))),
        ("one code at the jack", *(f"{1e3 * step / left:.1f} mV = {cents * step / left:.0f} cents" for left in (1, load()))),
        ("input current at ±12 V", *[f"{12 / UPPER * 1e6:.1f} µA"] * 2)))
