"""What lies where among a model's latents: a map of its training clips on the two first axes, and names for these axes."""

from __future__ import annotations

import numpy as np
import torch

from ..descriptors import RATE_HZ, WINDOW
from .harvest import short_name
from .select import diverse

MOST_POINTS = 64
EDGE = 0.25                  # of the map's side: points further outside are left out
SEGMENT_SAMPLES = 16384
FLOOR_DB = -40.0
AGREEMENT = 0.7              # the share of gestures that an axis must change the same way
#: What an axis may change: measure -> (low word, high word, what is just noticed, its unit, what it is).
WORDS = {
    "flatness": ("tone", "noise", 2.0, "dB", "spectral flatness"),
    "height": ("low", "high", 0.2, "octaves", "where the power lies"),
    "width": ("thin", "wide", 0.15, "octaves", "how far the power is spread"),
    "motion": ("calm", "alive", 0.7, "dB", "change from moment to moment"),
}
#: What the clips along an axis may go from and to, by a row's column.
CLIP_WORDS = {"centroid": ("dark", "light"), "bandwidth": ("pure", "wide"), "booming": ("lean", "boomy"), "harmonicity": ("airy", "clear")}
LEAST_CORRELATION = 0.35
MOST_BENT = 24


def latent_map(names, latents, gesture_latents, reach, controls=("timbre1", "timbre2")):
    """The card's `map`: {"x", "y", "points": [[x, y, name], …], "gestures": [[x, y], …]}.

    names: the clips' names; latents [n, ≥ 2]: theirs, ranked, mean 0 and deviation 1; gesture_latents: of the model's gestures.
    Places are values of the two controls, 0 to 1 over -reach to reach; at most 64, chosen so that they stand for all.
    """
    latents = np.asarray(latents, np.float64)
    place = lambda z: np.round(0.5 + np.asarray(z, np.float64)[..., :2] / (2 * reach), 3)
    places = place(latents)
    inside = np.flatnonzero((np.abs(places - 0.5) <= 0.5 + EDGE).all(1))
    points, taken = [], set()
    for k in inside[diverse(latents[inside, :2], MOST_POINTS)] if len(inside) else ():
        name = short_name(names[k], taken)
        taken.add(name)
        points.append([float(places[k, 0]), float(places[k, 1]), name])
    return {"x": controls[0], "y": controls[1], "points": points, "gestures": [[float(v) for v in place(z)] for z in gesture_latents]}


def _segment(engine, table, column, by):
    """Power spectra [windows, bins] of a piece of a gesture around its loudest row, with one column moved by `by`."""
    first = max(0, int(np.argmax(table[:, 0])) - 512 // engine.hop)
    rows = torch.from_numpy(np.ascontiguousarray(table[first:first + max(2, SEGMENT_SAMPLES // engine.hop)]))[None].clone()
    rows[..., column] += by
    with torch.no_grad():
        audio = engine.render(rows)[0]
    windows = torch.nn.functional.pad(audio, (0, WINDOW)).unfold(0, WINDOW, WINDOW // 2)
    power = (torch.fft.rfft(windows * torch.hann_window(WINDOW)).abs() ** 2).numpy().astype(np.float64)[:, 1:]
    return power[power.sum(1) > 1e-3 * power.sum(1).max()]


def measures(power):
    """The measures of `WORDS` of power spectra [windows, bins] from the second bin on, and the levels of third octaves in dB."""
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE_HZ)[1:]
    octave, mean = np.log2(hertz), power.mean(0) + 1e-12
    height = (mean * octave).sum() / mean.sum()
    band = np.clip((3 * (octave - octave[0])).astype(int), 0, 27)
    bands = np.stack([np.bincount(band, one, 28) for one in power])
    levels = 10 * np.log10(bands / bands.max() + 10 ** (FLOOR_DB / 10))
    floored = mean + 10 ** (FLOOR_DB / 10) * mean.mean()
    found = {"flatness": 10 * float(np.log10(floored).mean() - np.log10(floored.mean())), "height": float(height),
             "width": float(np.sqrt((mean * (octave - height) ** 2).sum() / mean.sum())),
             "motion": float(np.abs(np.diff(levels, axis=0)).mean()) if len(levels) > 1 else 0.0}
    return found, 10 * np.log10(bands.mean(0) / bands.mean(0).max() + 10 ** (FLOOR_DB / 10))


def _effects(engine, tables, column, reach):
    """Of bending gestures along one latent from end to end: measure -> (step, how plainly), and the third octaves' changes in dB, [tables, 28].

    step: the median over the gestures; how plainly: in steps that are just noticed, 0 where too few gestures agree.
    """
    ends = [[measures(_segment(engine, table, column, side)) for side in (-reach, reach)] for table in tables]
    told = {}
    for name, (_, _, noticed, _, _) in WORDS.items():
        steps = np.array([pair[1][0][name] - pair[0][0][name] for pair in ends])
        step = float(np.median(steps))
        told[name] = step, abs(step) / noticed * float((steps * step > 0).mean() >= AGREEMENT)
    return told, np.stack([pair[1][1] - pair[0][1] for pair in ends])


def _most_moved(changes):
    """In words, where the third octaves' changes [tables, 28] are largest on average, up and down."""
    mean, lowest = changes.mean(0), RATE_HZ / WINDOW
    hertz = lowest * 2 ** ((np.arange(len(mean)) + 0.5) / 3)
    return " and ".join(f"{mean[k]:+.0f} dB around {float(f'{hertz[k]:.2g}'):.0f} Hz" for k in (int(mean.argmax()), int(mean.argmin())))


def _ranks(x):
    return np.argsort(np.argsort(x, kind="stable"), kind="stable").astype(np.float64)


def clip_kinds(tables, layout, hop_seconds):
    """What the clips at the ends of each latent's axis are like: a list, per latent, of (correlation by rank, low word, high word)."""
    first, middle = len(layout.conditions), np.array([np.median(table[:-1], 0) for table in tables])
    told = [(np.log([len(table) * hop_seconds for table in tables]), "short", "long")]
    told += [(middle[:, layout.column(name)], *CLIP_WORDS[name]) for name in CLIP_WORDS if name in layout.names]
    kinds = []
    for k in range(layout.latents):
        found = [(float(np.corrcoef(_ranks(x), _ranks(middle[:, first + k]))[0, 1]), low, high) for x, low, high in told if np.ptp(x) > 0]
        kinds.append(max(found, key=lambda one: abs(one[0]), default=(0.0, "", "")))
    return kinds


def _assigned(found):
    """Axis -> measure, by what each changes most plainly, each measure once."""
    chosen = {}
    for plainly, k, name in sorted(((told[name][1], k, name) for k, (told, _) in enumerate(found) for name in WORDS), reverse=True):
        if plainly >= 1 and k not in chosen and name not in chosen.values():
            chosen[k] = name
    return chosen


def timbre_axes(engine, known, tables, reach, count=2):
    """Names of the first latents' axes: a list of {"label", "doc"}.

    known: the model's gestures; each is bent by -reach and by reach, and an axis is named by the measure that this changes most plainly,
    each measure once. Where there is none, by what the clips (tables: their gestures) at its ends are like; else it stays
    "Timbre A". Words go from low to high.
    """
    first, layout = len(engine.layout.conditions), engine.layout
    known = known[::max(1, len(known) // MOST_BENT)]
    found = [_effects(engine, known, first + k, reach) for k in range(min(count, layout.latents))]
    chosen, kinds, axes = _assigned(found), clip_kinds(tables, layout, engine.hop / RATE_HZ), []
    for k, (told, moved) in enumerate(found):
        words, texts = None, [f"latent axis {k + 1}"]
        strength, *kind = kinds[k]
        if k in chosen:
            low, high, _, unit, what = WORDS[chosen[k]]
            step = told[chosen[k]][0]
            words = (low, high) if step > 0 else (high, low)
            texts.append(f"{what} changes by {step:+.1f} {unit}")
        if abs(strength) >= LEAST_CORRELATION:
            kind = kind if strength > 0 else kind[::-1]
            words = words or kind
            texts.append(f"the clips along it go from {kind[0]} to {kind[1]} (rank correlation {abs(strength):.2f})")
        label = "-".join(words).capitalize() if words else f"Timbre {'ABCDEFGH'[k]}"
        texts.append(f"moves levels by {np.abs(moved).mean():.0f} dB on average, most by {_most_moved(moved)}")
        axes.append({"label": label, "doc": "; ".join(texts)})
    return axes
