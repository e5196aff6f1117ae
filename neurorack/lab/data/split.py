"""Which clips train and which are held out: by kit, instrument, file or time, never one recording on both sides."""

import fnmatch

import numpy as np
import torch

from ..descriptors import RATE_HZ

DUPLICATE_CORRELATION = 0.9
TRAIN, HELD_OUT, GESTURE = "train", "held-out", "gesture"
SHARES_SAMPLE = "left out (shares a sample with a training clip)"
NEAR_DUPLICATE = "left out (near duplicate of a training clip)"
AT_BORDER = "left out (at the border of the held-out time)"
HELD_SHARE = 0.12


def side_of(names, held_out):
    """"held-out" where one of the recipe's patterns matches the recording's name or one of its zones, else "train"."""
    names = [names] if isinstance(names, str) else names
    held = any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in held_out)
    return HELD_OUT if held else TRAIN


def _spectra(clips, size=8192):
    rows = np.stack([np.pad(c[:size // 2], (0, max(0, size // 2 - len(c)))) for c in clips]).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
    return torch.fft.rfft(torch.from_numpy(rows), size)


def near_duplicates(clips, others, at_once=1024):
    """For each clip: is there one among `others` that correlates above 0.9 over its first 85 ms, at any small lag?"""
    found = np.zeros(len(clips), bool)
    if not len(clips):
        return []
    mine = _spectra(clips)
    for start in range(0, len(others), at_once):      # so many at a time: a spectrum is 32 KB
        theirs = _spectra(others[start:start + at_once])
        for k, row in enumerate(mine):
            if not found[k]:
                correlation = torch.fft.irfft(theirs * row.conj(), 8192)
                near = torch.cat((correlation[:, :256], correlation[:, -256:]), 1)
                found[k] = bool(near.abs().max() > DUPLICATE_CORRELATION)
    return found.tolist()


def _families(rows):
    """Rows by what they may share: lists of row numbers joined by a common group or zone."""
    owner, family = {}, list(range(len(rows)))

    def root(k):
        while family[k] != k:
            family[k] = family[family[k]]
            k = family[k]
        return k

    for k, row in enumerate(rows):
        for mark in (row["group"], *row["zones"]):
            if mark:
                family[root(k)] = root(owner.setdefault(mark, k))
    found = {}
    for k in range(len(rows)):
        found.setdefault(root(k), []).append(k)
    return list(found.values())


def _by_time(rows, lengths, members, sides):
    """Hold out the end of one family of clips, in the order of their places; the clip at the border belongs to neither."""
    order = sorted(members, key=lambda k: (rows[k]["group"], rows[k]["place"]))
    total, late = sum(lengths[k] for k in order), 0.0
    for count, k in enumerate(reversed(order), 1):
        sides[k] = HELD_OUT
        late += lengths[k]
        if late >= HELD_SHARE * total or count + 1 >= len(order):
            break
    if len(order) - count >= 3:
        sides[order[-count - 1]] = AT_BORDER


def automatic(rows, lengths, seed):
    """The sides of a collection that says nothing about them: about an eighth of the sound is held out, by whole files.

    Where less than three files (or others that share nothing) make nearly all of the sound, each of these gives its end.
    """
    sides, total = [TRAIN] * len(rows), sum(lengths)
    families = _families(rows)
    weights = [sum(lengths[k] for k in members) for members in families]
    held = 0.0
    for index in np.random.default_rng(seed).permutation(len(families)):
        if held + weights[index] <= 2.2 * HELD_SHARE * total and held < HELD_SHARE * total:
            held += weights[index]
            for k in families[index]:
                sides[k] = HELD_OUT
    if held < 0.3 * HELD_SHARE * total:
        for members in families:
            if len(members) > 1:
                _by_time(rows, lengths, members, sides)
    if HELD_OUT not in sides and len(rows) > 1:
        sides[int(np.argmin(lengths))] = HELD_OUT
    return sides


def divide(rows, lengths, heads, held_out, seed, log):
    """The side of every clip: "train", "held-out" or why it is left out.

    rows: name, zones, group and place of each; lengths: in samples; heads: function of row numbers that gives the clips'
    first 85 ms; held_out: patterns of names and zones, or none for `automatic`.
    """
    if held_out:
        sides = [side_of([row["name"], *row["zones"]], held_out) for row in rows]
    else:
        sides = automatic(rows, lengths, seed)
    heard = {zone for row, side in zip(rows, sides) if side == TRAIN for zone in row["zones"]}
    for k, row in enumerate(rows):
        if sides[k] == HELD_OUT and heard.intersection(row["zones"]):
            sides[k] = SHARES_SAMPLE
    train, held = ([k for k, side in enumerate(sides) if side == wanted] for wanted in (TRAIN, HELD_OUT))
    doubles = [k for k, double in zip(held, near_duplicates(heads(held), heads(train))) if double]
    if held and len(doubles) == len(held) and not held_out:
        log("every held-out clip is also among the training clips: its figures will flatter the model")
        return sides
    for k in doubles:
        sides[k] = NEAR_DUPLICATE
    return sides


HEAD_SAMPLES = 4096 + RATE_HZ // 1000
