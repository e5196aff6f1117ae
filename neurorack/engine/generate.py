"""Constants that a model file names instead of storing: made from a seed and parameters, the same on every machine.

Imports numpy only; training uses the very same tables.
"""

from __future__ import annotations

import numpy as np

from ..errors import ModelError

MOST_FLOATS = 1 << 26


def erb_number(hz):
    """ERB-rate of a frequency (Glasberg and Moore, "Derivation of auditory filter shapes from notched-noise data", 1990)."""
    return 21.4 * np.log10(1 + 0.00437 * np.asarray(hz, float))


def erb_hz(number):
    """Frequency of an ERB-rate, the inverse of ``erb_number``."""
    return (10 ** (np.asarray(number, float) / 21.4) - 1) / 0.00437


def erb_edges(bands: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Edges of ``bands`` neighbouring bands of equal width in ERB-rate, [bands + 1], in Hz."""
    return erb_hz(np.linspace(erb_number(low_hz), erb_number(high_hz), bands + 1))


def erb_noise_bands(
    bands: int, length: int, sample_rate: float, low_hz: float = 20.0, high_hz: float | None = None, seed: int = 0
) -> np.ndarray:
    """Band-limited noise of unit RMS, float32 [bands, length]; each row is a seamless loop.

    Made in the frequency domain: the bins of a band between its edges have equal magnitude and random phase (the
    looped noise of Barahona-Ríos and Collins, "NoiseBandNet", 2023, with bands evenly spaced in ERB-rate). A band that
    holds no bin takes the bin nearest its middle. ``high_hz`` is at most, and by default, half the sample rate.
    """
    high_hz = sample_rate / 2 if high_hz is None else high_hz
    edges = erb_edges(bands, low_hz, high_hz)
    size = length // 2 + 1
    bins = np.arange(size) * sample_rate / length
    table = np.empty((bands, length), np.float32)
    for k in range(bands):
        inside = (bins >= edges[k]) & (bins < edges[k + 1])
        inside[[0, -1]] = False  # a bin without phase
        if not inside.any():
            middle = np.clip(round((edges[k] + edges[k + 1]) / 2 * length / sample_rate), 1, length // 2 - 1)
            inside[int(middle)] = True
        spectrum = np.zeros(size, complex)
        spectrum[inside] = np.exp(1j * (_uniform(np.flatnonzero(inside) + k * size, seed) * 2 * np.pi))
        wave = np.fft.irfft(spectrum, length)
        table[k] = wave / np.sqrt(np.mean(wave**2))
    return table


def mix(x: np.ndarray) -> np.ndarray:
    """The engine's 32-bit mixing function (``simd.h``), on uint32."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def _uniform(numbers: np.ndarray, seed: int) -> np.ndarray:
    """The elements of these numbers of the engine's counter-based sequence, 0..1, float64."""
    key = np.uint32(seed & 0xFFFFFFFF)
    with np.errstate(over="ignore"):
        return (mix(mix(numbers.astype(np.uint32) ^ key) + key) >> np.uint32(8)) * 2.0**-24


def real_dft(size: int) -> np.ndarray:
    """Matrix [size, 2 (size // 2 + 1)]: a row of samples times it gives real then imaginary parts of its spectrum."""
    spectrum = np.fft.rfft(np.eye(size))
    return np.concatenate([spectrum.real, spectrum.imag], 1).astype(np.float32)


def inverse_real_dft(size: int) -> np.ndarray:
    """Matrix [2 (size // 2 + 1), size], the inverse of ``real_dft``."""
    half = size // 2 + 1
    unit = np.concatenate([np.eye(half), 1j * np.eye(half)])
    return np.fft.irfft(unit, size).astype(np.float32)


def _bands_shape(p):
    return p["bands"], p["length"]


#: name: (function, shape from the parameters, whole-number parameters with their ranges)
KINDS = {
    "erb_noise_bands": (
        erb_noise_bands,
        _bands_shape,
        {"bands": (1, 4096), "length": (16, 1 << 24), "seed": (0, 2**32 - 1)},
        ("sample_rate", "low_hz", "high_hz"),
    ),
    "real_dft": (real_dft, lambda p: (p["size"], 2 * (p["size"] // 2 + 1)), {"size": (2, 4096)}, ()),
    "inverse_real_dft": (inverse_real_dft, lambda p: (2 * (p["size"] // 2 + 1), p["size"]), {"size": (2, 4096)}, ()),
}


def _checked(spec) -> dict:
    if not isinstance(spec, dict) or not isinstance(spec.get("kind"), str) or spec["kind"] not in KINDS:
        raise ModelError(f"a generated constant is of no known kind ({', '.join(KINDS)})")
    _, _, whole, real = KINDS[spec["kind"]]
    given = {k: v for k, v in spec.items() if k != "kind"}
    if not set(given) <= {*whole, *real}:
        raise ModelError(f"{spec['kind']} has no parameter {sorted(set(given) - {*whole, *real})[0][:40]!r}")
    for key, (low, high) in whole.items():
        if key == "seed" and key not in given:
            continue
        if type(given.get(key)) is not int or not low <= given[key] <= high:
            raise ModelError(
                f"{spec['kind']}: {key} is {str(given.get(key))[:20]}; a whole number from {low} to {high} belongs there"
            )
    for key in real:
        if key in given and (type(given[key]) not in (int, float) or not 0 < given[key] < 1e7):
            raise ModelError(f"{spec['kind']}: {key} is {str(given[key])[:20]}; a number above 0 belongs there")
    if spec["kind"] == "erb_noise_bands":
        rate, low = given.get("sample_rate"), given.get("low_hz", 20.0)
        if rate is None or not low < (given.get("high_hz") or rate / 2) <= rate / 2:
            raise ModelError("erb_noise_bands wants sample_rate and low_hz < high_hz <= half of it")
    return given


def has_seed(spec) -> bool:
    """Whether a generated constant is a random one."""
    return "seed" in KINDS[spec["kind"]][2]


def shape(spec) -> tuple[int, ...]:
    """Shape of a generated constant, without making it. Raises ``ModelError`` for what can't be made."""
    params = _checked(spec)
    result = KINDS[spec["kind"]][1](params)
    if np.prod(result, dtype=float) > MOST_FLOATS:
        raise ModelError(f"a generated constant of {result} is too large (at most {MOST_FLOATS} numbers)")
    return result


def array(spec) -> np.ndarray:
    """A generated constant, float32."""
    shape(spec)
    return np.ascontiguousarray(KINDS[spec["kind"]][0](**_checked(spec)), np.float32)
