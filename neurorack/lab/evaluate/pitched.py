"""Pitch and harmonicity of pitched models: does the sound stand on the note it is asked for, is it as tonal as the recording.

Both are tracked in the finished sound by the tracker that described the clips (`data.f0`), with the asked pitch as its hint.
"""

import numpy as np
import torch

from ..descriptors import unit_to_harmonicity
from .statistics import rounded, spearman

CLIPS = 32                  # tracked at most: the tracker is slow beside the engine
QUIET = -0.8
TONAL_DB = 0.0              # frames whose recording is noisier than this say nothing about pitch


def heard_pitch(audio, hint):
    """(pitch in octaves above C4, voiced, harmonicity in dB), arrays per hop, of one sound near the pitch `hint`."""
    from ..data import f0

    pitch, voiced = f0.track(audio, hint)
    return pitch, voiced, f0.harmonicity(audio, pitch)


def followed_pitch(bench):
    """Errors of pitch (median |cents| of voiced frames) and harmonicity of clips rebuilt and of swapped curves; {} where not pitched.

    harmonicity_error_db: mean over clips of the difference, model less recording, of a clip's mean harmonicity in loud frames
    where the recording is tonal; harmonicity_away_db: the same of its size; harmonicity: Spearman of asked and measured when a clip's
    harmonicity is drawn anew (constant); unvoiced: share of those frames in which no pitch was found.
    """
    if not bench.layout.pitched:
        return {}
    index = bench.pick(min(CLIPS, len(bench.audio)))
    rebuilt = _judge(bench, bench.curves[index], index, bench.extras[index])
    other = index.roll(1 + len(index) // 3)
    swapped = _judge(bench, bench.curves[other], index, bench.extras[other])
    out = {"pitch_error_cents": rebuilt["cents"], "pitch_error_swapped_cents": swapped["cents"], "unvoiced": rebuilt["unvoiced"],
           "harmonicity_error_db": rebuilt["error"], "harmonicity_away_db": rebuilt["away"], "harmonicity_error_swapped_db": swapped["error"]}
    return out | _asked_harmonicity(bench, index)


def _judge(bench, asked, index, extras):
    cents, differences, lost, frames = [], [], 0, 0
    wanted = unit_to_harmonicity(extras[..., 0])
    for part, audio in bench.sounds(asked, index, extras):
        for sound, curve, extra, level in zip(audio.numpy(), asked[part].numpy(), extras[part].numpy(), wanted[part].numpy()):
            keep = (curve[:, 0] > QUIET) & (level > TONAL_DB)
            if keep.sum() < 16:
                continue
            pitch, voiced, harmonicity = heard_pitch(sound, float(np.median(extra[keep, 1])))
            cents.append(1200 * np.abs(pitch - extra[:, 1])[keep & voiced])
            lost, frames = lost + int((keep & ~voiced).sum()), frames + int(keep.sum())
            differences.append(float((harmonicity - level)[keep].mean()))
    cents = np.concatenate(cents) if cents else np.zeros(0)
    return {"cents": rounded(np.median(cents) if len(cents) else np.nan, 1), "unvoiced": rounded(lost / max(frames, 1)),
            "error": rounded(np.mean(differences) if differences else np.nan, 2),
            "away": rounded(np.mean(np.abs(differences)) if differences else np.nan, 2)}


def _asked_harmonicity(bench, index):
    """Spearman of asked and heard harmonicity where it is drawn anew for each clip and held."""
    rng = np.random.default_rng(bench.seed)
    extras = bench.extras[index].clone()
    extras[..., 0] = torch.from_numpy(rng.uniform(-1, 1, (len(index), 1)).astype(np.float32))
    asked, got = [], []
    for part, audio in bench.sounds(bench.curves[index], index, extras):
        for sound, curve, extra in zip(audio.numpy(), bench.curves[index][part].numpy(), extras[part].numpy()):
            keep = curve[:, 0] > QUIET
            if keep.sum() >= 16:
                asked.append(extra[0, 0])
                got.append(float(heard_pitch(sound, float(np.median(extra[keep, 1])))[2][keep].mean()))
    return {"harmonicity": rounded(spearman(np.array(asked), np.array(got))) if len(asked) > 3 else None}
