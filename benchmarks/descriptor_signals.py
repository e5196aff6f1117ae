"""Sounds on which descriptors are compared with those of other libraries: made here from formulas and seeds, or recorded. numpy only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RATE_HZ = 48000
RECORDINGS = Path("/usr/share/sonic-pi/samples")      # Debian package sonic-pi-samples
EVERY = 4


def noise(seed, low_hz=20.0, high_hz=20000.0, slope=0.0):
    """A second of noise between two frequencies whose magnitude goes with frequency to the power `slope`."""
    hertz = np.fft.rfftfreq(RATE_HZ, 1 / RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(RATE_HZ)) * (np.maximum(hertz, 20) / 1000) ** slope
    spectrum[(hertz < low_hz) | (hertz > high_hz)] = 0
    return np.fft.irfft(spectrum, RATE_HZ)


def made():
    """Name → float32 [48000], peak 0.3: sines, modulated sines, saws and noises."""
    time = np.arange(RATE_HZ) / RATE_HZ
    sine = lambda hertz: np.sin(2 * np.pi * hertz * time)
    out = {f"sine {hertz}": sine(hertz) for hertz in (60, 125, 250, 500, 1000, 2000, 4000, 8000)}
    for carrier in (250, 500, 1000, 2000, 4000, 8000):
        out |= {f"modulated {carrier} by {rate}": (1 + sine(rate)) * sine(carrier) for rate in (20, 40, 70, 100, 150, 250) if rate < carrier / 2}
    out |= {f"modulated 1000 by 70, depth {depth}": (1 + depth * sine(70)) * sine(1000) for depth in (0.25, 0.5, 0.75)}
    out |= {f"saw {hertz}": sum(sine(hertz * k) / k for k in range(1, 15000 // hertz)) for hertz in (110, 220, 440, 880)}
    out |= {name: noise(1, slope=slope) for name, slope in (("white", 0.0), ("pink", -0.5), ("brown", -1.0), ("blue", 0.5))}
    out |= {f"noise {low} to {high}": noise(2, low, high) for low, high in ((50, 150), (200, 400), (900, 1100), (2000, 3000), (6000, 9000))}
    return {name: (0.3 * sound / np.abs(sound).max()).astype(np.float32) for name, sound in out.items()}


def recorded():
    """Name → float32 [≤ 48000]: the first second of every fourth recording of `RECORDINGS`; none where they are not installed."""
    import soundfile

    out = {}
    for path in sorted(RECORDINGS.glob("*.flac"))[::EVERY]:
        sound, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        sound = sound.mean(1)[: rate_hz * 2]
        size = 1 << 18                                # to 48 kHz by the spectrum of a padded second or two
        longer = round(size * RATE_HZ / rate_hz / 2) * 2
        spectrum = np.fft.rfft(np.pad(sound, (0, size - len(sound))))[: min(size, longer) // 2]
        sound = np.fft.irfft(spectrum, longer)[:RATE_HZ] * (longer / size)
        loud = np.flatnonzero(np.abs(sound) > 1e-4 * np.abs(sound).max())
        sound = sound[loud[0]:loud[-1] + 1] if len(loud) else sound[:0]
        if len(sound) >= RATE_HZ // 2:
            out[path.stem] = sound.astype(np.float32)
    return out
