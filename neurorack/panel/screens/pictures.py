"""Pictures of sound, and the parts of Home that others show too: scope, spectrum, meter, gates."""

from __future__ import annotations

import functools

import numpy as np

from neurorack.panel.canvas import Canvas
from neurorack.panel.view import View

WINDOW = 1024                 # frames of the wave that are shown
LOWEST_HZ, HIGHEST_HZ, FLOOR_DB = 45.0, 16000.0, -72.0
LEAST_GAIN_PEAK = 0.06        # quieter sound is not drawn larger than this one


def wave(canvas: Canvas, view: View, x: int, y: int, width: int, height: int, colour: str = "fg") -> None:
    """The sum of left and right, from a rising crossing of zero on, so that a steady tone stands still; as high as fits."""
    sound = view.scope.mean(axis=1)
    middle = y + height // 2
    canvas.dotted(x, middle, width, 4)
    rising = np.flatnonzero((sound[:-1] < 0) & (sound[1:] >= 0))
    rising = rising[rising < len(sound) - WINDOW]
    start = int(rising[0]) if len(rising) else 0
    part = sound[start: start + WINDOW]
    gain = 0.92 / max(LEAST_GAIN_PEAK, *view.meter_hold)
    edges = np.linspace(0, len(part), width + 1).astype(int)
    reach = height // 2
    columns = np.arange(x, x + width).tolist()
    high = np.round(middle - np.clip(np.maximum.reduceat(part, edges[:-1]) * gain, -1, 1) * reach).tolist()
    low = np.round(middle - np.clip(np.minimum.reduceat(part, edges[:-1]) * gain, -1, 1) * reach + canvas.layout.line - 1).tolist()
    canvas.shape(list(zip(columns, high)) + list(zip(columns, low))[::-1], colour)


@functools.lru_cache(8)
def _bands(count: int, rate_hz: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last bin of each of ``count`` bands of equal width by ear."""
    edges = LOWEST_HZ * (HIGHEST_HZ / LOWEST_HZ) ** (np.arange(count + 1) / count) * frames / rate_hz
    first = np.floor(edges[:-1]).astype(int)
    return first, np.maximum(first + 1, np.ceil(edges[1:]).astype(int))


def spectrum(canvas: Canvas, view: View, x: int, y: int, width: int, height: int, colour: str = "fg") -> None:
    """Bars from 45 Hz to 16 kHz, 72 dB high."""
    step = 4 if not canvas.layout.colour else 7
    count = width // step
    sound = view.scope.mean(axis=1)
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) / (len(sound) / 4)
    first, last = _bands(count, view.rate_hz, len(sound))
    peaks = np.array([power[a:b].max() if a < len(power) else 0.0 for a, b in zip(first, last)])
    shares = np.clip(1 - 20 * np.log10(np.maximum(peaks, 1e-9)) / FLOOR_DB, 0, 1)
    for number, share in enumerate(shares.tolist()):
        high = round(share * height)
        canvas.fill(x + number * step, y + height - high, step - 1, high, colour)
    canvas.dotted(x, y + height, width, 2)


def level(peak: float, floor_db: float = -48.0) -> float:
    """A peak of full scale = 1 as 0..1 on a scale of dB."""
    return min(1.0, max(0.0, 1 - 20 * float(np.log10(max(peak, 1e-9))) / floor_db))


def meter(canvas: Canvas, view: View, x: int, y: int, width: int, height: int) -> None:
    """Left and right, with a line at the highest of the last second."""
    each = (width - canvas.layout.line) // 2
    for channel in range(2):
        left = x + channel * (each + canvas.layout.line)
        canvas.fill(left, y, each, height, "faint")
        high = round(level(view.meter[channel]) * height)
        canvas.fill(left, y + height - high, each, high, "bad" if view.meter[channel] > 0.98 else "good")
        held = y + height - round(level(view.meter_hold[channel]) * height)
        canvas.fill(left, min(y + height - 1, held), each, canvas.layout.line, "fg")
        if not canvas.layout.colour:
            canvas.fill(left, y + height, each, 1)


def gates(canvas: Canvas, view: View, x: int, y: int, size: int) -> int:
    """A light for each gate, with its number; returns the x beside them."""
    for gate in range(2):
        high = view.gates_high >> gate & 1
        canvas.frame(x, y, size, size, "fg" if high else "dim")
        if high:
            canvas.fill(x, y, size, size, ("good", "cv3")[gate])
        number = str(gate + 1)
        at = x + (size - canvas.text_width(number, "tiny")) // 2
        canvas.text(at, canvas.middle(y, size, "tiny"), number, "tiny", "bg" if high else "dim")
        x += size + canvas.layout.gap
    return x
