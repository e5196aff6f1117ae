"""Audio output and input calculated. Datasheet: PCM5102A (Texas Instruments SLASE12): 2.1 V RMS at full scale, centred on ground."""

from __future__ import annotations

from math import log10, pi, sqrt

from tools.draw.markdown import table

DAC_RMS = 2.1
FEEDBACK, LEG = 6.8e3, 10e3              # of the output amplifier, not inverting
COUPLING, BIAS = 2.2e-6, 100e3           # capacitor into it, and its resistor to ground
SMOOTHING = 470e-12                      # across the feedback resistor
OUTPUT_OHMS, LOAD_OHMS = 1e3, 100e3
INPUT_OHMS, INPUT_FEEDBACK, INPUT_SMOOTHING = 100e3, 20e3, 47e-12
INPUT_COUPLING, CODEC_OHMS = 10e-6, 10e3
CODEC_RMS = 1.0                          # full scale of the codec's line input, e.g. WM8731 at 3.3 V


def output_gain() -> float:
    return 1 + FEEDBACK / LEG


def output_peak() -> float:
    """Volts at the open jack at full scale."""
    return DAC_RMS * sqrt(2) * output_gain()


def low_hz(farads: float, ohms: float) -> float:
    return 1 / (2 * pi * farads * ohms)


def loss_db(hz: float, corner_hz: float) -> float:
    """Of a first-order high-pass."""
    return 10 * log10(1 + (corner_hz / hz) ** 2)


def input_gain() -> float:
    return INPUT_FEEDBACK / INPUT_OHMS


def input_full_scale() -> float:
    """Volts (peak) at the jack that fill the codec."""
    return CODEC_RMS * sqrt(2) / input_gain()


def _decibels(ratio: float) -> float:
    return 20 * log10(ratio)


def facts() -> str:
    out_low, in_low = low_hz(COUPLING, BIAS), low_hz(INPUT_COUPLING, CODEC_OHMS)
    peak, fills = output_peak(), input_full_scale()
    into_load = peak * LOAD_OHMS / (LOAD_OHMS + OUTPUT_OHMS)
    against = (12 + peak) / OUTPUT_OHMS
    return table(("calculated", "output", "input (with a codec)"), (
        ("gain", f"{output_gain():.2f} ({_decibels(output_gain()):+.1f} dB)", f"−{input_gain():.2f} ({_decibels(input_gain()):.1f} dB), inverts"),
        ("full scale at the jack", f"±{peak:.2f} V; ±{into_load:.2f} V into 100 k", f"±{fills:.2f} V; ±5 V is {_decibels(5 / fills):.1f} dB"),
        ("resistance at the jack", f"{OUTPUT_OHMS / 1e3:g} k", f"{INPUT_OHMS / 1e3:g} k"),
        ("lower corner", *(f"{low:.2f} Hz ({loss_db(20, low):.3f} dB at 20 Hz)" for low in (out_low, in_low))),
        ("upper corner", f"{low_hz(SMOOTHING, FEEDBACK) / 1e3:.0f} kHz (shelf down to gain 1)",
         f"{low_hz(INPUT_SMOOTHING, INPUT_FEEDBACK) / 1e3:.0f} kHz"),
        ("shorted to ground", f"{peak / OUTPUT_OHMS * 1e3:.0f} mA", "–"),
        ("patched against ±12 V", f"{against * 1e3:.0f} mA, {against * against * OUTPUT_OHMS:.2f} W in the 1 k",
         f"{12 / INPUT_OHMS * 1e6:.0f} µA; ±{12 * input_gain():.1f} V before its 1 k")))
