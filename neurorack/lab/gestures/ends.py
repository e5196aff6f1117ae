"""How gestures end, and where a held note stays: soft ends, and the stable stretch of a recording."""

from __future__ import annotations

import numpy as np
import torch

from ..descriptors import HOP, RATE_HZ, WINDOW

TAIL_SECONDS = 0.064
SMOOTH_SECONDS = 0.06           # loudness and pitch are judged without what is faster: bow noise, beats
STABLE_DB, STABLE_SEMITONES = 4.0, 1.5       # from the least to the most within a stable stretch
NEAR_PEAK_DB, STEEPEST_DB_PER_SECOND = 9.0, 6.0
SHORTEST_SUSTAIN_SECONDS = 0.25
LEAST_HARMONICITY_DB = 0.0


def end_softly(table, rest_loudness, conditions=5, hop=HOP):
    """A gesture table [frames, inputs] with a row of rest behind it, and the last 64 ms led down to silence, at first slowly.

    Where a recording breaks off, its last spectra are those of the break: the descriptors before it (columns 1 to
    `conditions`) are held instead.
    """
    tail = min(round(TAIL_SECONDS * RATE_HZ / hop), len(table) // 4)
    table = torch.cat((table, table[-1:])).clone()
    if tail:
        start = len(table) - 1 - tail
        line = table[start, 0] - (1 + table[start, 0]).clamp(min=0) * torch.linspace(0, 1, tail + 1) ** 2
        table[start:, 0] = torch.minimum(table[start:, 0], line)
        before = max(0, start - WINDOW // 2 // hop)
        table[before:, 1:conditions] = table[before, 1:conditions]
    table[-1, 0] = rest_loudness
    return table


def _smooth(values, frames):
    """Moving mean over an odd number of frames, edges held."""
    half = max(1, frames // 2)
    padded = np.pad(np.asarray(values, np.float64), half, mode="edge")
    return np.convolve(padded, np.ones(2 * half + 1) / (2 * half + 1), mode="valid")


def _longest(level_db, pitch, allowed):
    """The longest stretch [first, last] of allowed frames whose level and pitch stay within the limits; (0, -1) for none."""
    best, last = (0, -1), 0
    breaks = np.append(np.flatnonzero(~allowed), len(allowed))
    for first in range(0, len(allowed), 4):
        end = int(breaks[np.searchsorted(breaks, first)])
        if end - first <= best[1] - best[0]:
            continue
        spread = lambda x: np.maximum.accumulate(x[first:end]) - np.minimum.accumulate(x[first:end])
        bad = (spread(level_db) > STABLE_DB) | (spread(12 * pitch) > STABLE_SEMITONES)
        last = first + (int(np.argmax(bad)) if bad.any() else len(bad)) - 1
        if last - first > best[1] - best[0]:
            best = first, last
    return best


def sustain_region(level_db, pitch, harmonicity_db, hop=HOP):
    """Where a pitched gesture can stay while its gate is high: `[from_row, to_row]`, or None.

    level_db, pitch (octaves), harmonicity_db: [frames] of one recording. The longest stretch within 4 dB and 1.5 semitones
    (vibrato passes), near the peak's level and hardly falling: what rings away has no such place.
    """
    rows = lambda seconds: round(seconds * RATE_HZ / hop)
    level, pitch = _smooth(level_db, rows(SMOOTH_SECONDS)), _smooth(pitch, rows(SMOOTH_SECONDS))
    allowed = (level > level.max() - NEAR_PEAK_DB) & (_smooth(harmonicity_db, rows(SMOOTH_SECONDS)) > LEAST_HARMONICITY_DB)
    first, last = _longest(level, pitch, allowed)
    if last - first < rows(SHORTEST_SUSTAIN_SECONDS):
        return None
    seconds = np.arange(first, last + 1) * hop / RATE_HZ
    slope = np.polyfit(seconds, level[first:last + 1], 1)[0]
    return [int(first), int(last)] if slope > -STEEPEST_DB_PER_SECOND else None
