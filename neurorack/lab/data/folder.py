"""A musician's folder: any files, any number, any length, cut into clips.

Files are read piece by piece. Where they hold more than the recipe's `data.minutes`, every file gives about the same,
from places spread over its length; the recipe's seed says which. Whatever cannot be used is named once.
"""

import os
from pathlib import Path

import numpy as np

from ..descriptors import RATE_HZ
from ..recipe import RecipeError
from . import reading

BLOCK_SECONDS = 20.0                # read at a time
LEAST_PIECE_SECONDS = 2.0           # of a file where there is too much sound
NAMED_SKIPS = 20
RISE, GAP_SECONDS = 4.0, 0.12       # an onset: 12 dB above what was before, this far from the last
CUTS = ("auto", "hits", "windows", "whole")


def find_files(folder):
    """All audio files below a folder, in a fixed order, and how many others there are. Hidden ones are passed over."""
    found, others = [], 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            if reading.is_audio(name):
                found.append(Path(place, name))
            else:
                others += 1
    return found, others


class _Skips:
    """Says why files are skipped: the first of them by name, then only how many."""

    def __init__(self, log):
        self.log, self.count = log, 0

    def say(self, name, reason):
        self.count += 1
        if self.count <= NAMED_SKIPS:
            self.log(f"skipped {name}: {reason}")

    def close(self):
        if self.count > NAMED_SKIPS:
            self.log(f"skipped {self.count - NAMED_SKIPS} more files for such reasons")


def share(seconds, room, rng):
    """How much of each file to take where they hold more than `room` seconds: everything of short ones, the same of long ones.

    Where there are so many files that each would give less than 2 s, some are chosen at random. Returns an array.
    """
    seconds = np.asarray(seconds, np.float64)
    if seconds.sum() <= room:
        return seconds
    taken, left = np.zeros(len(seconds)), room
    order = rng.permutation(len(seconds))
    if np.minimum(seconds, LEAST_PIECE_SECONDS).sum() > room:
        for k in order:
            taken[k] = min(seconds[k], LEAST_PIECE_SECONDS, left)
            left -= taken[k]
        return taken
    for count, k in enumerate(np.argsort(seconds)):
        taken[k] = min(seconds[k], left / (len(seconds) - count))
        left -= taken[k]
    return taken


def spans(length, wanted, rng):
    """[(start, seconds), …] of at most BLOCK_SECONDS that make up `wanted` of `length` seconds, spread over it, in order."""
    if wanted >= length:
        starts = np.arange(0, length, BLOCK_SECONDS)
        return [(float(s), min(BLOCK_SECONDS, length - s)) for s in starts]
    count = max(1, round(wanted / BLOCK_SECONDS))
    piece, slot = wanted / count, length / count
    return [(k * slot + rng.random() * (slot - piece), piece) for k in range(count)]


def onsets(audio):
    """Samples at which something begins: the level over 5 ms rises 12 dB above the least of the 50 ms before."""
    step = RATE_HZ // 200
    count = len(audio) // step
    level = np.sqrt(np.mean(audio[:count * step].reshape(count, step).astype(np.float64) ** 2, 1)) + 1e-5
    floor = np.array([level[max(0, k - 10):k].min(initial=level.max() if k else 1e-5) for k in range(count)])
    found, last = [], -np.inf
    for k in np.nonzero((level > RISE * floor) & (level > 0.03 * level.max()))[0]:
        if (k - last) * 0.005 >= GAP_SECONDS:
            found.append(max(0, (k - 1) * step))
            last = k
    return found


def cut(audio, seconds, how):
    """Clips of a piece: [(first sample, audio, is it a window of a lasting sound?), …].

    how: "hits" from onset to onset, "windows" of `seconds`, "whole" one piece, "auto" hits where what follows the onsets
    dies away (most of them fall by 20 dB before the next) and for what is short and begins once, windows for the rest.
    """
    limit = int(seconds * RATE_HZ)
    if how == "whole":
        return [(0, audio, False)]
    starts = onsets(audio) if how != "windows" else []
    if how == "auto" and len(audio) <= limit and len(starts) < 2:
        return [(0, audio, False)]
    pieces = [(a, audio[a:b], False) for a, b in zip(starts, [*starts[1:], len(audio)])]
    if how == "auto" and pieces:
        dying = [_dies(piece[:2 * limit]) for _, piece, _ in pieces]
        sounding = sum(min(len(piece), limit) for _, piece, _ in pieces) > 0.5 * min(len(audio), limit)
        if np.mean(dying) < 0.5 or not sounding:
            pieces = []
    if how == "hits" or pieces:
        return pieces
    whole = [(a, audio[a:a + limit], True) for a in range(0, len(audio), limit)]
    return [piece for piece in whole if len(piece[1]) > 0.4 * limit or len(whole) == 1]


def _dies(piece):
    """Does a sound fall by 20 dB from its loudest 10 ms to its last?"""
    step = RATE_HZ // 100
    count = len(piece) // step
    if count < 3:
        return False
    level = np.sqrt(np.mean(piece[:count * step].reshape(count, step).astype(np.float64) ** 2, 1))
    return level[-3:].mean() < 0.1 * level.max()


def _headers(files, root, skips):
    """(path, name, seconds) of the files that can be opened; 60 s are reckoned for those that do not say."""
    found = []
    for path in files:
        name = path.relative_to(root).as_posix()
        try:
            head = reading.header(path)
        except (reading.Unusable, OSError) as error:
            skips.say(name, getattr(error, "strerror", None) or error)
            continue
        found.append((path, name, head.seconds or 60.0, head.foreign))
    return found


def read(source, recipe, log, make):
    """Recordings of a folder source. make: function of name, audio, file, lasting and place that makes one."""
    root, data = Path(source["path"]).expanduser(), recipe["data"]
    if not root.is_dir():
        raise RecipeError(f"source folder {root} is missing or is no folder")
    files, others = find_files(root)
    skips, rng = _Skips(log), np.random.default_rng(recipe.get("seed", 1))
    usable = _headers(files, root, skips)
    if not usable:
        raise RecipeError(f"{root} holds no audio that can be used: {len(files)} audio files, {others} others; WAV, FLAC, AIFF, Ogg, MP3 and CAF "
                          "are read, M4A and videos with ffmpeg")
    if others:
        log(f"passed over {others} file{'s' if others > 1 else ''} that {'are' if others > 1 else 'is'} not audio")
    seconds = [seconds for _, _, seconds, _ in usable]
    taken = share(seconds, data.get("minutes", 60.0) * 60, rng)
    if taken.sum() < 0.999 * sum(seconds):
        log(f"{root} holds {sum(seconds) / 60:.0f} minutes in {len(usable)} files: {taken.sum() / 60:.1f} minutes of {np.count_nonzero(taken)} files "
            "are used, spread evenly (data.minutes)")
    for (path, name, length, foreign), wanted in zip(usable, taken):
        if wanted < 1e-3:           # what is left of the room for the last one may be nothing but rounding
            continue
        if foreign and path.suffix.lower().lstrip(".") in reading.VIDEO:
            log(f"{name} is a video: its first audio track is used")
        try:
            yield from _clips(path, name, spans(length, wanted, rng), source.get("cut", "auto"), data["seconds"], make)
        except reading.Unusable as error:
            skips.say(name, error)
    skips.close()


def _clips(path, name, places, how, seconds, make):
    """The recordings cut from one file. Unusable where all of it is silent."""
    loudest = 0.0
    for start, audio in reading.pieces(path, places):
        loudest = max(loudest, float(np.abs(audio).max(initial=0.0)))
        if loudest < reading.SILENT_PEAK:
            continue
        for first, piece, lasting in cut(audio, seconds, how):
            if np.abs(piece).max(initial=0.0) < reading.SILENT_PEAK:
                continue
            place = start + first / RATE_HZ
            alone = place == 0 and len(places) == 1 and len(piece) > 0.9 * len(audio)
            yield make(name if alone else f"{name}@{place:.2f}", piece, name, lasting, place)
    if loudest < reading.SILENT_PEAK:
        raise reading.Unusable("silent (peak below -60 dBFS)")
