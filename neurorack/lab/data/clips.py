"""Clips: recordings cut to their hit, and those of one side of a prepared collection.

A clip is float32 mono at 48 kHz, with a peak of 0.7; it begins at its onset and ends in silence.
"""

import json
from pathlib import Path

import numpy as np

from ..descriptors import HOP, RATE_HZ
from ..recipe import RecipeError
from .augment import PEAK

LEAD_SAMPLES = 24          # kept before the detected onset
EDGE_SAMPLES = 960         # of a clip cut out of a lasting sound: its fades


def _envelope(audio, window=128):
    return np.sqrt(np.convolve(audio.astype(np.float64) ** 2, np.ones(window) / window, mode="same"))


def trim(audio, seconds, onset_db=-34.0, end_db=-58.0):
    """Cut a recording to its hit: from its onset to where it has died away, at most `seconds`; peak 0.7.

    onset_db, end_db: thresholds relative to the peak. A clip that is cut while it sounds fades over its last quarter.
    Returns float32 or None where there is nothing (peak below -60 dBFS or shorter than 15 ms).
    """
    audio = np.asarray(audio, np.float64)
    peak = np.abs(audio).max(initial=0.0)
    if not np.isfinite(peak) or peak < 1e-3:
        return None
    audio = audio / peak
    onset = int(np.argmax(np.abs(audio) > 10 ** (onset_db / 20)))
    start = max(0, onset - LEAD_SAMPLES)
    audio = audio[start:]
    loud = np.nonzero(_envelope(audio) > 10 ** (end_db / 20))[0]
    last, limit = int(loud[-1]) + 1, int(seconds * RATE_HZ)
    clip = audio[:min(last, limit)].copy()
    if len(clip) < 0.015 * RATE_HZ:
        return None
    clip = clip - (clip.mean() if len(clip) > RATE_HZ // 10 else 0.0)
    fade = len(clip) // 4 if last > limit else min(len(clip) // 4, 480)
    clip[-fade:] *= np.cos(np.linspace(0, np.pi / 2, fade)) ** 2
    lead = min(onset - start, LEAD_SAMPLES)
    clip[:lead] *= np.linspace(0, 1, lead, endpoint=False)
    return (clip * (PEAK / np.abs(clip).max())).astype(np.float32)


def window(audio, seconds):
    """A piece of a lasting sound as a clip: as it is, with fades of 20 ms and a peak of 0.7; None where it is silent or short."""
    clip = np.asarray(audio, np.float64)[:int(seconds * RATE_HZ)].copy()
    peak = np.abs(clip).max(initial=0.0)
    if not np.isfinite(peak) or peak < 1e-3 or len(clip) < 4 * EDGE_SAMPLES:
        return None
    ramp = np.sin(np.linspace(0, np.pi / 2, EDGE_SAMPLES)) ** 2
    clip -= clip.mean()
    clip[:EDGE_SAMPLES] *= ramp
    clip[-EDGE_SAMPLES:] *= ramp[::-1]
    return (clip * (PEAK / max(1e-9, np.abs(clip).max()))).astype(np.float32)


class Clips:
    """The clips of one side of the split ("train", "held-out" or "gesture"), read from the prepared folder when needed.

    audio: list of float32 arrays (read-only views of one file, which processes share); pitch, harmonicity: lists of float32
    arrays per hop of 64 samples (frame k describes sample 64·(k + 1)) in octaves above C4 and dB, or lists of None where
    the collection is not pitched; rows: list of dicts with name, licence, origin, holder, side, zones, group, place, note.
    """

    def __init__(self, path, side):
        self.path = path = Path(path)
        try:
            rows = json.loads((path / "rows.json").read_text(encoding="utf-8"))
            audio = np.memmap(path / "audio.f32", np.float32, "r")
            curves = np.memmap(path / "curves.f32", np.float32, "r").reshape(-1, 2) if (path / "curves.f32").exists() else None
        except (OSError, ValueError) as error:
            raise RecipeError(f"the prepared data in {path} cannot be read ({error}): remove that folder") from None
        frames = np.array([row["samples"] // HOP for row in rows], np.int64)
        first = np.cumsum(frames) - frames
        ends = np.cumsum([row["samples"] for row in rows])
        keep = [k for k, row in enumerate(rows) if row["side"] == side]
        self.rows = [rows[k] for k in keep]
        self.audio = [audio[ends[k] - rows[k]["samples"]:ends[k]] for k in keep]
        part = lambda column: [None if curves is None else curves[first[k]:first[k] + frames[k], column] for k in keep]
        self.pitch, self.harmonicity = part(0), part(1)

    def __len__(self):
        return len(self.audio)

    def named(self, name):
        """The clip of that name; RecipeError without."""
        for clip, row in zip(self.audio, self.rows):
            if row["name"] == name:
                return clip
        raise RecipeError(f"no clip is named {name!r}: see LICENCES.md for the names")

    def padded(self, index, samples):
        """Clip `index` cut or padded with silence to `samples`."""
        clip = self.audio[index][:samples]
        return np.pad(clip, (0, samples - len(clip)))
