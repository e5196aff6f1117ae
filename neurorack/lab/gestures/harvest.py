"""Gestures from recordings: a clip's descriptor curves with its latent, made to end softly, and to stay while a gate is high."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np
import torch

from ...gesture_shape import count_from_note, end_softly
from ..descriptors import HOP, LOUDNESS_DB_PER_UNIT, RATE_HZ, SLOW_WINDOW, clip_rows, loudness_to_db, unit_to_harmonicity
from ..recipe import RecipeError
from .select import diverse

LONGEST_NAME = 40
SHORTEST_SECONDS = 0.03          # a shorter clip is no gesture that is chosen by itself
MOST_LOOKED_AT = 240             # clips, where gestures are chosen by themselves


def _padded(curve, frames):
    """A per-frame curve held on to `frames`, as a batch of one; None stays None."""
    return None if curve is None else torch.from_numpy(np.pad(np.asarray(curve, np.float32), (0, max(0, frames - len(curve))), mode="edge")[None, :frames])


def clip_table(clips, index, encoder, normaliser, layout, hop=HOP):
    """A clip's rows with its latent, float32 tensor [frames, layout.width], from its onset until it has died away.

    clips.pitch and clips.harmonicity are the clip's curves at hop 64 where the layout is pitched. An encoder that gives a latent a
    frame is followed frame by frame.
    """
    audio = np.pad(clips.audio[index], (0, SLOW_WINDOW + -(len(clips.audio[index]) + SLOW_WINDOW) % max(hop, HOP)))
    frames = len(audio) // HOP
    pitch, harmonicity = ((_padded(clips.pitch[index], frames), _padded(clips.harmonicity[index], frames)) if layout.pitched else (None, None))
    audio = torch.from_numpy(audio)[None]
    with torch.no_grad():
        rows = clip_rows(audio, pitch, harmonicity, normaliser, layout, hop)
        latent = encoder(audio)[0][0]
    rows = rows[0] if rows.ndim == 3 else rows
    if latent.ndim == 2:
        latent = latent[(torch.arange(len(rows)) * len(latent)) // len(rows)]
    table = torch.cat((rows, latent.expand(len(rows), -1)), 1)
    heard = torch.nonzero(table[:, 0] > -1)
    return table[:int(heard[-1, 0]) + 1 if len(heard) else 1].clone()


def weights(loudness):
    """How much each frame counts in a mean over a sound: its amplitude."""
    return 10 ** (np.asarray(loudness, np.float64) * LOUDNESS_DB_PER_UNIT / 20)


def gesture_of(clips, index, encoder, normaliser, layout, rest, hop=HOP):
    """One clip as a gesture: (row, float32 [frames, layout.width]). The row is the clip's, with its note as `octaves` above C4 and
    `sustain` where the layout is pitched. It ends at rest's loudness, softly."""
    table, row = clip_table(clips, index, encoder, normaliser, layout, hop).numpy(), dict(clips.rows[index])
    if layout.pitched:
        harmonicity_db = unit_to_harmonicity(table[:, layout.column("harmonicity")])
        row["octaves"], held = count_from_note(table, layout.column("pitch"), loudness_to_db(table[:, 0]), harmonicity_db, hop / RATE_HZ)
        row |= {"sustain": held} if held else {}
    return row, end_softly(table, float(rest[0]), len(layout.conditions), hop / RATE_HZ)


def short_name(text, taken=()):
    """A recording's name as a gesture's: its file's stem, made readable, at most 40 letters, unlike those in `taken`.

    What has no letter (a key, a velocity) takes the part before it along: "fluid/marimba/57/70" becomes "marimba 57 70".
    """
    parts = [part for part in text.replace("\\", "/").split("/") if part] or ["clip"]
    parts[-1] = PurePath(parts[-1]).stem
    first = max((k for k, part in enumerate(parts) if any(letter.isalpha() for letter in part)), default=0)
    words = "".join(letter if letter.isprintable() else " " for letter in " ".join(parts[first:]).replace("_", " ").replace("-", " "))
    base = " ".join(words.split())[:LONGEST_NAME - 4].strip() or "clip"
    return next(name for name in (base, *(f"{base} {k}" for k in range(2, 999))) if name not in taken)


def _features(clips, index, encoder, normaliser, layout, hop):
    """What a clip is like, in numbers: level-weighted mean descriptors, the latent, the logarithm of its length."""
    table = clip_table(clips, index, encoder, normaliser, layout, hop).numpy()
    weight = weights(table[:, 0])
    return np.append((table[:, 1:] * weight[:, None]).sum(0) / weight.sum(), np.log2(len(table)))


def _chosen(clips, encoder, normaliser, layout, count, hop):
    """Indices of `count` diverse clips, none of them very short or silent."""
    among = [k for k, clip in enumerate(clips.audio) if len(clip) >= SHORTEST_SECONDS * RATE_HZ and np.abs(clip).max(initial=0.0) > 1e-3]
    among = np.array(among or range(len(clips.audio)))
    if len(among) > MOST_LOOKED_AT:
        among = np.sort(np.random.default_rng(1).choice(among, MOST_LOOKED_AT, replace=False))
    return among[diverse([_features(clips, k, encoder, normaliser, layout, hop) for k in among], count)]


def harvest(clips, encoder, normaliser, layout, rest, wanted, hop=HOP):
    """Gestures of a model, from dark to bright: a list of (name, row, float32 [frames, layout.width]).

    clips: with `audio`, `rows`, and `pitch` and `harmonicity` where the layout is pitched; encoder: audio [1, samples] -> (mean, …);
    rest: the row of rest; wanted: {name: recording} (RecipeError for one that is not there) or how many, to be chosen so that they
    differ most, named after their files. A pitched gesture's pitch is relative to its note; `row["sustain"]` says where it can
    stay while its gate is high. Each ends softly with a row of rest's loudness.
    """
    if isinstance(wanted, int):
        found = {}
        for k in _chosen(clips, encoder, normaliser, layout, wanted, hop):
            found[short_name(clips.rows[k]["name"], found)] = int(k)
    else:
        places = {row["name"]: k for k, row in reversed(list(enumerate(clips.rows)))}
        missing = [recording for recording in wanted.values() if recording not in places]
        if missing:
            raise RecipeError(f"gesture from {missing[0]!r}: no clip has that name; see LICENCES.md for the names")
        found = {name: places[recording] for name, recording in wanted.items()}
    made = [(name, *gesture_of(clips, k, encoder, normaliser, layout, rest, hop)) for name, k in found.items()]
    return sorted(made, key=lambda one: brightness(one[2]))


def brightness(table):
    """The level-weighted mean of a table's centroid."""
    weight = weights(table[:, 0])
    return float((table[:, 1] * weight).sum() / weight.sum())


def card_entries(found):
    """The card's `gestures` and the tensors they name, of what `harvest` gives."""
    entries, tensors = [], {}
    for name, row, table in found:
        tensor = f"gesture.{name.replace(' ', '_')}"
        entry = {"name": name, "from": f"{row.get('origin', row['name'])} ({row.get('licence', 'not stated')})", "frames": len(table), "tensor": tensor}
        entries.append(entry | ({"sustain": row["sustain"]} if row.get("sustain") else {}))
        tensors[tensor] = np.ascontiguousarray(table, np.float32)
    return entries, tensors
