"""Clips: trimmed, aligned to their onset, split by kit and instrument, cropped and augmented for training.

`prepare` turns a recipe into a cache file of clips; `Clips` draws training crops from it. A clip is float32 mono at
48 kHz that begins at its onset and ends in silence.
"""

import fnmatch
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch

from .descriptors import HOP, RATE_HZ
from .sources import RecipeError, collect, licence_table

LEAD_SAMPLES = 24          # kept before the detected onset
PEAK = 0.7
DUPLICATE_CORRELATION = 0.9


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


def side_of(name, held_out):
    """"held-out" where one of the recipe's patterns matches the recording's name, else "train"."""
    return "held-out" if any(fnmatch.fnmatchcase(name, pattern) for pattern in held_out) else "train"


def _spectra(clips, size=8192):
    rows = np.stack([np.pad(c[:size // 2], (0, max(0, size // 2 - len(c)))) for c in clips]).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
    return torch.fft.rfft(torch.from_numpy(rows), size)


def near_duplicates(clips, others):
    """For each clip: is there one among `others` that correlates above 0.9 over its first 85 ms, at any small lag?"""
    if not clips or not others:
        return [False] * len(clips)
    theirs, found = _spectra(others), []
    for row in _spectra(clips):
        correlation = torch.fft.irfft(theirs * row.conj(), 8192)
        near = torch.cat((correlation[:, :256], correlation[:, -256:]), 1)
        found.append(bool(near.abs().max() > DUPLICATE_CORRELATION))
    return found


def prepare(recipe, folder, cache, log=print):
    """Collect, trim and split the recipe's recordings; write LICENCES.md beside it. Returns the cache's path.

    The cache (in `cache`, named after the recipe's data section) is made once and reused while that section is unchanged.
    """
    mark = hashlib.sha256(json.dumps(recipe["data"], sort_keys=True).encode()).hexdigest()[:16]
    path = Path(cache) / f"{recipe['name']}-{mark}.npz"
    if path.exists():
        return path
    data, clips, rows, wanted = recipe["data"], [], [], set(recipe["data"]["gestures"].values())
    for recording in collect(recipe, log):
        clip = trim(recording.audio, data["seconds"])
        if clip is None:
            log(f"skipped {recording.name}: silent or shorter than 15 ms")
            continue
        row = {"name": recording.name, "licence": recording.licence, "origin": recording.origin,
               "holder": recording.holder, "side": side_of(recording.name, data["held_out"])}
        clips.append(clip)
        rows.append(row)
        if recording.name in wanted:
            wanted.remove(recording.name)
            clips.append(trim(recording.audio, data["gesture_seconds"]))
            rows.append(row | {"side": "gesture"})
    if wanted:
        raise RecipeError(f"gesture from {sorted(wanted)[0]!r}: no recording has that name; see LICENCES.md for the names")
    train = [clip for clip, row in zip(clips, rows) if row["side"] == "train"]
    held = [k for k, row in enumerate(rows) if row["side"] == "held-out"]
    for k, double in zip(held, near_duplicates([clips[k] for k in held], train)):
        if double:
            rows[k]["side"] = "left out (near duplicate of a training clip)"
    sides = [row["side"] for row in rows]
    if not sides.count("train") or not sides.count("held-out"):
        raise RecipeError(f"recipe {recipe['name']}: {sides.count('train')} training and {sides.count('held-out')} "
                          "held-out clips; both are needed, check sources and held_out")
    Path(cache).mkdir(parents=True, exist_ok=True)
    lengths = np.array([len(clip) for clip in clips])
    partial = path.with_suffix(".part.npz")
    np.savez(partial, audio=np.concatenate(clips), lengths=lengths, rows=json.dumps(rows))
    os.replace(partial, path)
    used = [row for row in rows if row["side"] != "gesture"]
    Path(folder, "LICENCES.md").write_text(licence_table(recipe["name"], used), encoding="utf-8")
    log(f"{sides.count('train')} training clips, {sides.count('held-out')} held out, {lengths.sum() / RATE_HZ / 60:.1f} minutes")
    return path


class Clips:
    """The clips of one side of the split, in memory.

    audio: list of float32 arrays; rows: list of dicts with name, licence, origin, side.
    """

    def __init__(self, path, side):
        with np.load(path) as store:
            audio, lengths, rows = store["audio"], store["lengths"], json.loads(str(store["rows"]))
        ends = np.cumsum(lengths)
        keep = [k for k, row in enumerate(rows) if row["side"] == side]
        self.audio = [audio[ends[k] - lengths[k]:ends[k]] for k in keep]
        self.rows = [rows[k] for k in keep]

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


def augment(clip, rng, semitones=2, tilt_db=6.0, gain_db=(-15.0, 2.0)):
    """A varied copy of a clip: other pitch (resampled), spectral tilt about 1 kHz and gain, each drawn evenly.

    Pitch moves by whole semitones, so that what was in tune with the decoder's sines stays so.
    gain_db: range of the peak against 0.7; tilt_db: greatest rise or fall over five octaves around 1 kHz. Peak stays below 1.
    """
    ratio = 2 ** (rng.integers(-semitones, semitones + 1) / 12)
    positions = np.arange(0, len(clip) - 1, ratio)
    index = positions.astype(np.int64)
    part = (positions - index).astype(np.float32)
    around = np.pad(clip, (1, 2))
    a, b, c, d = (around[index + k] for k in range(4))
    varied = b + 0.5 * part * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a)))
    size = 1 << (len(varied) + 256).bit_length()
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / RATE_HZ), 30) / 1000)
    tilt = 10 ** (rng.uniform(-tilt_db, tilt_db) / 20 * np.clip(octaves, -5, 4) / 5)
    varied = np.fft.irfft(np.fft.rfft(varied, size) * tilt, size)[:len(varied)]
    gain = 10 ** (rng.uniform(*gain_db) / 20)
    return (varied * (gain * PEAK / max(1e-6, np.abs(varied).max()))).astype(np.float32)


def draw_batch(clips, count, frames, rng, onset_share=0.7):
    """Random augmented clips, and where to crop `frames` hops out of each.

    Returns (audio float32 [count, samples] from the onsets on, padded with silence; starts [count] of the crops in
    hops). A crop begins at the onset with probability `onset_share`, else anywhere in the clip.
    """
    chosen, starts = [], np.zeros(count, np.int64)
    for k in range(count):
        clip = augment(clips.audio[rng.integers(len(clips))], rng)
        spare = len(clip) // HOP - frames // 4
        if spare > 0 and rng.random() > onset_share:
            starts[k] = rng.integers(spare)
        chosen.append(clip)
    hops = max(frames + int(starts.max()), max(-(-len(clip) // HOP) for clip in chosen))
    return np.stack([np.pad(clip, (0, hops * HOP - len(clip))) for clip in chosen]), starts
