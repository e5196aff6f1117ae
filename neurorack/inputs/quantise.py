"""Scales of the quantiser (``condition.c`` quantises): which semitones above the root may sound."""

from __future__ import annotations

import math

from neurorack.errors import PatchError

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SCALES = {
    "off": (),
    "chromatic": tuple(range(12)),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic-minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "major-pentatonic": (0, 2, 4, 7, 9),
    "minor-pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole-tone": (0, 2, 4, 6, 8, 10),
    "fifths": (0, 7),
    "octaves": (0,),
}


def mask(scale: str) -> int:
    """Bit i: i semitones above the root may sound; 0 for "off". Raises ``PatchError``."""
    if scale not in SCALES:
        raise PatchError(f"scale is {scale!r}; the scales are {', '.join(SCALES)}")
    return sum(1 << semitone for semitone in SCALES[scale])


def root(note: str) -> int:
    """Semitones above C. Raises ``PatchError``."""
    if note not in NOTES:
        raise PatchError(f"root is {note!r}; the notes are {', '.join(NOTES)}")
    return NOTES.index(note)


def nearest(scale: int, root: int, semitones: float) -> int:
    """The note nearest to so many semitones above C, of a scale's mask and root."""
    around = math.floor(semitones)
    notes = [note for note in range(around - 12, around + 13) if scale >> (note - root) % 12 & 1]
    return min(notes, key=lambda note: abs(note - semitones))
