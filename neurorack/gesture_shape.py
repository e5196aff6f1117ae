"""The shape of gestures made from sound: where they can be held, and how they end. numpy only.

Tables are [rows, inputs], a row every hop, loudness first, then the other descriptors, then (beyond `conditions`) the latent.
"""

from __future__ import annotations

import numpy as np

TAIL_SECONDS, HELD_SECONDS = 0.064, 0.0107     # of the end that is led to silence; before it, what a break is heard in
SMOOTH_SECONDS = 0.06           # level and pitch are judged without what is faster: bow noise, beats
STABLE_DB, STABLE_SEMITONES = 4.0, 1.5         # from the least to the most within a stable stretch
NEAR_PEAK_DB, STEEPEST_DB_PER_SECOND = 9.0, 6.0
SHORTEST_SUSTAIN_SECONDS = 0.25
LEAST_HARMONICITY_DB = 0.0


def described(columns: list[str]) -> int:
    """How many of a row's columns come before the latent z0, z1 …."""
    return next((k for k, name in enumerate(columns) if name.startswith("z") and name[1:].isdigit()), len(columns))


def end_softly(table, rest_loudness: float, conditions: int, hop_seconds: float) -> np.ndarray:
    """A table with a row of rest's loudness behind it, and the last 64 ms led down to silence, at first slowly.

    Where a recording breaks off, its last spectra are those of the break: the columns before it (1 to `conditions`) are held instead.
    """
    tail = min(round(TAIL_SECONDS / hop_seconds), len(table) // 4)
    table = np.concatenate((table, table[-1:])).astype(np.float32)
    if tail:
        start = len(table) - 1 - tail
        line = table[start, 0] - max(0.0, 1 + table[start, 0]) * np.linspace(0, 1, tail + 1) ** 2
        table[start:, 0] = np.minimum(table[start:, 0], line)
        before = max(0, start - int(HELD_SECONDS / hop_seconds))
        table[before:, 1:conditions] = table[before, 1:conditions]
    table[-1, 0] = rest_loudness
    return table


def weighted_median(values, weights) -> float:
    """The value in the middle of the weights."""
    order = np.argsort(values, kind="stable")
    middle = np.searchsorted(np.cumsum(np.asarray(weights)[order]), np.sum(weights) / 2)
    return float(np.asarray(values)[order][min(middle, len(order) - 1)])


def _smooth(values, frames: int) -> np.ndarray:
    """Moving mean over an odd number of frames, edges held."""
    half = max(1, frames // 2)
    padded = np.pad(np.asarray(values, np.float64), half, mode="edge")
    return np.convolve(padded, np.ones(2 * half + 1) / (2 * half + 1), mode="valid")


def _longest(level_db, pitch, allowed) -> tuple[int, int]:
    """The longest stretch (first, last) of allowed frames whose level and pitch stay within the limits; (0, -1) for none."""
    best, breaks = (0, -1), np.append(np.flatnonzero(~allowed), len(allowed))
    for first in range(0, len(allowed), 4):
        end = int(breaks[np.searchsorted(breaks, first)])
        if end - first <= best[1] - best[0] + 1:
            continue
        spread = [np.maximum.accumulate(x[first:end]) - np.minimum.accumulate(x[first:end]) for x in (level_db, 12 * pitch)]
        bad = (spread[0] > STABLE_DB) | (spread[1] > STABLE_SEMITONES)
        last = first + (int(np.argmax(bad)) if bad.any() else len(bad)) - 1
        if last - first > best[1] - best[0]:
            best = first, last
    return best


def sustain_region(level_db, pitch, harmonicity_db, hop_seconds: float) -> list[int] | None:
    """Where a pitched gesture can stay while its gate is high: `[from_row, to_row]`, or None.

    level_db, pitch (octaves), harmonicity_db: [frames] of one recording. The longest stretch within 4 dB and 1.5 semitones
    (a narrow vibrato passes), near the peak's level and hardly falling: what rings away has no such place.
    """
    smooth = round(SMOOTH_SECONDS / hop_seconds)
    level, pitch = _smooth(level_db, smooth), _smooth(pitch, smooth)
    allowed = (level > level.max() - NEAR_PEAK_DB) & (_smooth(harmonicity_db, smooth) > LEAST_HARMONICITY_DB)
    first, last = _longest(level, pitch, allowed)
    if (last - first) * hop_seconds < SHORTEST_SUSTAIN_SECONDS:
        return None
    slope = np.polyfit(np.arange(first, last + 1) * hop_seconds, level[first:last + 1], 1)[0]
    return [int(first), int(last)] if slope > -STEEPEST_DB_PER_SECOND else None


def count_from_note(table, column: int, level_db, harmonicity_db, hop_seconds: float) -> tuple[float, list[int] | None]:
    """Makes a table's pitch, which stands in this column, relative to its note, in place: 0 sounds at C4.

    The note is the median pitch, weighted by level and harmonicity, of where the gesture can be held, or of all of it. Returns it, in
    octaves, and the rows where it can be held.
    """
    held = sustain_region(level_db, table[:, column], harmonicity_db, hop_seconds)
    where = slice(held[0], held[1] + 1) if held else slice(None)
    weight = 10 ** (level_db[where] / 20) * np.clip((harmonicity_db[where] + 20) / 40, 0.01, 1)
    note = weighted_median(table[where, column], weight)
    table[:, column] -= note
    return note, held


def finished(curve, card: dict) -> tuple[np.ndarray, list[int] | None]:
    """A curve that a model's encoder heard in a sound, as a gesture of the models of the lab: with a soft end, its pitch counted from its
    note, and where it can be held. Models whose first input is no loudness have none of this, and keep the curve as it is."""
    columns = [entry["name"] for entry in card["inputs"]]
    if columns[:1] != ["loudness"] or len(curve) < 4:
        return curve, None
    hop_seconds, table, held = card["hop_frames"] / card["sample_rate_hz"], np.array(curve, np.float32), None
    levels = physical_levels(table, card["inputs"])
    if "pitch" in columns and levels:
        held = count_from_note(table, columns.index("pitch"), *levels, hop_seconds)[1]
    return end_softly(table, card["inputs"][0].get("rest", -1.5), described(columns), hop_seconds), held


def physical_levels(table, inputs: list[dict]) -> list[np.ndarray] | None:
    """Loudness and harmonicity of a table in dB, by the `knots` of the card's inputs; None where the card does not tell of both."""
    columns, found = [entry["name"] for entry in inputs], []
    for name in ("loudness", "harmonicity"):
        knots = inputs[columns.index(name)].get("knots") if name in columns else None
        if not (isinstance(knots, list) and len(knots) == 2 and all(isinstance(knot, (int, float)) for knot in knots)):
            return None
        found.append(np.interp(table[:, columns.index(name)], [-1, 1], knots))
    return found
