"""From a trained run to a model file: ranked latents, gestures from recordings, the card, the engine's program."""

from pathlib import Path

import numpy as np
import torch

from . import data, nets
from .descriptors import HOP, LOUDNESS_DB_PER_UNIT, LOUDNESS_ZERO_DB, NAMES, RATE_HZ, UNITS, curves
from .train import REST

BLOCKS = (64, 128, 256, 512, 1024)
LATENT_REACH = 2.0          # standard deviations a timbre control moves to either side
DECAY_FACTOR = 4.0


def latents_of(encoder, clips, seconds):
    """Latent means of clips, [n, LATENTS]."""
    samples = int(seconds * RATE_HZ)
    with torch.no_grad():
        return torch.cat([encoder(torch.from_numpy(clips.padded(k, samples))[None])[0] for k in range(len(clips))])


def rank_latents(decoder, encoder, latents):
    """Turn the latent space in place so that z0, z1 … are its principal axes, ranked, with mean 0 and deviation 1.

    latents: [n, LATENTS] of the training clips. The change of basis is folded into the decoder's first and the
    encoder's last layer, so the sound stays the same. Returns the shares of variance, [LATENTS], and the row a latent
    of zeros (as during training's rests) has in the new basis.
    """
    mean = latents.mean(0)
    _, deviation, axes = torch.linalg.svd((latents - mean).double(), full_matrices=False)
    share = (deviation ** 2 / (deviation ** 2).sum()).float()
    scale = (deviation / len(latents) ** 0.5).clamp(min=1e-3)
    to_new = (axes.T / scale).float()                        # new = (old - mean) @ to_new
    to_old = (scale[:, None] * axes).float()
    with torch.no_grad():
        first = len(NAMES)
        weight = decoder.entry.weight[:, first:].clone()
        decoder.entry.weight[:, first:] = torch.einsum("oik,ji->ojk", weight, to_old)
        decoder.entry.bias += torch.einsum("oik,i->o", weight, mean)
        count = nets.LATENTS
        encoder.out.weight[:count] = to_new.T @ encoder.out.weight[:count]
        encoder.out.bias[:count] = to_new.T @ (encoder.out.bias[:count] - mean)
    return share, -mean @ to_new


def gestures(cache, encoder, quantiles, names, rest):
    """Curves and latents of the recipe's named recordings, from dark to bright.

    Returns a list of (name, row of the clip, float32 [frames, inputs]) ordered by level-weighted centroid; each ends
    with a row of rest's loudness.
    """
    clips, found = data.Clips(cache, "gesture"), []
    for name, recording in names.items():
        audio = clips.named(recording)
        row = next(row for row in clips.rows if row["name"] == recording)
        audio = torch.from_numpy(np.pad(audio, (0, -len(audio) % HOP)))[None]
        shape = curves(audio, quantiles)[0]
        with torch.no_grad():
            latent = encoder(audio)[0]
        table = torch.cat((shape, latent.expand(len(shape), -1)), 1)
        sounding = torch.nonzero(table[:, 0] > -1)[-1, 0] + 1
        table = torch.cat((table[:sounding], table[sounding - 1:sounding]))
        table[-1, 0] = rest[0]
        weight = 10 ** ((table[:, 0] * LOUDNESS_DB_PER_UNIT) / 20)
        found.append((float((table[:, 1] * weight).sum() / weight.sum()), name, row, table.numpy()))
    return [entry[1:] for entry in sorted(found, key=lambda entry: entry[0])]


def _inputs(quantiles, rest, reach):
    """The card's list of decode inputs, with rest values, ranges and the descriptors' physical units."""
    table = []
    for d, name in enumerate(NAMES):
        entry = {"name": name, "rest": float(rest[d]), "low": -1.0, "high": 1.0, "unit": UNITS[d]}
        entry["knots"] = ([round(LOUDNESS_ZERO_DB - LOUDNESS_DB_PER_UNIT, 3), round(LOUDNESS_ZERO_DB + LOUDNESS_DB_PER_UNIT, 3)]
                          if d == 0 else [round(float(v), 4) for v in quantiles.knots[d - 1]])
        table.append(entry)
    for k in range(nets.LATENTS):
        table.append({"name": f"z{k}", "rest": round(float(rest[len(NAMES) + k]), 4), "low": -reach, "high": reach})
    return table


DESCRIPTOR_DOCS = {
    "loudness": ("Loudness", "dB", "level of the sound; by construction, within one hop"),
    "centroid": ("Bright", "Hz", "spectral centroid: dark to bright"),
    "bandwidth": ("Width", "Hz", "spectral bandwidth: a single tone to a wash"),
    "sharpness": ("Sharp", "relative", "sharpness: weight of the highest critical bands"),
    "booming": ("Boom", "share", "booming: weight of the lowest critical bands"),
}


def _controls(timbres):
    """The card's controls: five descriptors, gesture, decay, two timbre axes (with their measured effect)."""
    table = []
    for name in NAMES:
        label, unit, doc = DESCRIPTOR_DOCS[name]
        table.append({"name": name, "label": label, "unit": unit, "default": 0.5, "doc": doc, "kind": "descriptor",
                      "links": [{"input": name, "low": -1.0, "high": 1.0}]})
    table.append({"name": "gesture", "label": "Gesture", "unit": "", "default": 0.0, "kind": "gesture", "links": [],
                  "doc": "which hit is played, from dark to bright"})
    table.append({"name": "decay", "label": "Decay", "unit": "x", "default": 0.5, "kind": "speed", "links": [],
                  "doc": f"speed of the gesture: {DECAY_FACTOR:g} times slower to {DECAY_FACTOR:g} times faster"})
    for k, doc in enumerate(timbres):
        table.append({"name": f"timbre{k + 1}", "label": f"Timbre {'AB'[k]}", "unit": "deviations", "default": 0.5,
                      "doc": doc, "kind": "latent", "links": [{"input": f"z{k}", "low": -LATENT_REACH, "high": LATENT_REACH}]})
    return table
