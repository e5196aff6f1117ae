"""Trains a model's generator of gestures, and says how good it is. How it is played: ``neurorack/gesture_generator.py``."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ...gesture_generator import POINTS, PREFIX, Generator, features_of
from ..descriptors import HOP, RATE_HZ

SIZE, COMPONENTS, HIDDEN = 8, 32, 96
STEPS, BATCH, RATE = 1500, 64, 3e-3
NOISE = 0.25                 # deviation that a component, of the mean deviation 1, may be wrong by
LOUDNESS_WEIGHT, LATENT_WEIGHT, LENGTH_WEIGHT = 2.0, 0.5, 1.0
JUDGED = 200


def _scale(features, conditions):
    """What each feature is multiplied by, so that every descriptor weighs as much, whatever its number of places."""
    spread = features.std(0)
    scale = np.empty_like(spread)
    for c in range(conditions):
        part = slice(c * POINTS, (c + 1) * POINTS)
        scale[part] = (LOUDNESS_WEIGHT if c == 0 else 1.0) / max(1e-3, np.sqrt((spread[part] ** 2).sum()))
    scale[conditions * POINTS:-1] = LATENT_WEIGHT / np.maximum(spread[conditions * POINTS:-1], 1e-3)
    scale[-1] = LENGTH_WEIGHT / max(1e-3, spread[-1])
    return scale


def _net(ins, outs):
    return nn.Sequential(nn.Linear(ins, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, outs))


def _train(components, seed):
    """The auto-encoder of components [clips, n] of mean deviation 1: (encoder, decoder), two layers each."""
    torch.manual_seed(seed)
    n = components.shape[1]
    encoder, decoder = _net(n, 2 * SIZE), _net(SIZE, n)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for step in range(STEPS):
        x = components[torch.randint(len(components), (min(BATCH, len(components)),))]
        mean, log_var = encoder(x).chunk(2, -1)
        log_var = log_var.clamp(-8, 4)
        told = decoder(mean + torch.randn_like(mean) * torch.exp(0.5 * log_var))
        weight = min(1.0, step / (0.3 * STEPS))            # the prior comes in slowly, so that no dimension is given up at once
        divergence = 0.5 * (mean ** 2 + log_var.exp() - 1 - log_var).sum(-1)
        loss = (0.5 * ((told - x) / NOISE) ** 2).sum(-1).mean() + weight * divergence.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return encoder, decoder


def train_generator(tables, layout, hop=HOP, seed=1):
    """A generator of gestures like these: (the card's `generator`, its tensors by name).

    tables: harvested gestures [frames, layout.width] float32, at least 12, of as many clips as there are; seconds of training.
    """
    conditions, hop_seconds = len(layout.conditions), hop / RATE_HZ
    features = np.stack([features_of(table, conditions, hop_seconds) for table in tables])
    mean, scale = features.mean(0), _scale(features, conditions)
    weighed = (features - mean) * scale
    basis = np.linalg.svd(weighed, full_matrices=False)[2][:min(COMPONENTS, len(tables) - 1)]
    unit = np.sqrt((weighed @ basis.T).var(0).mean()) + 1e-9
    scale, weighed = scale / unit, weighed / unit
    components = weighed @ basis.T
    encoder, decoder = _train(torch.from_numpy(components).float(), seed)
    with torch.no_grad():
        posterior, log_var = encoder(torch.from_numpy(components).float()).chunk(2, -1)
    distances = np.linalg.norm(components[:, None] - components[None], axis=2) + np.where(np.eye(len(components)), np.inf, 0)
    tensors = {"mean": mean, "scale": scale, "basis": basis, "posterior_mean": posterior, "posterior_deviation": torch.exp(0.5 * log_var.clamp(-8, 4))}
    tensors |= {f"{name}.{key}": value for name, net in (("encoder", encoder), ("decoder", decoder)) for key, value in net.state_dict().items()}
    lengths = 2.0 ** features[:, -1]
    card = {"points": POINTS, "clips": len(tables), "shortest": round(float(0.7 * lengths.min()), 4), "longest": round(float(1.3 * lengths.max()), 3),
            "apart": round(float(np.median(distances.min(1))), 4),
            "told": round(float(1 - ((weighed - components @ basis) ** 2).sum() / (weighed ** 2).sum()), 3)}
    return card, {PREFIX + name: np.ascontiguousarray(np.asarray(value), np.float32) for name, value in tensors.items()}


def summary(table, conditions, hop_seconds):
    """A gesture in a few numbers: seconds, rise and fall times, peak loudness, level-weighted means of the other descriptors."""
    loud = table[:, 0]
    heard = np.flatnonzero(loud > -1)
    peak, near = int(loud.argmax()), np.flatnonzero(loud > loud.max() - 20 / 30)      # 20 dB below the peak
    weight = 10 ** (1.5 * loud[:, None])
    means = (table[:, 1:conditions] * weight).sum(0) / weight.sum()
    return np.array([np.log2(max(1, len(heard)) * hop_seconds), peak * hop_seconds, (near[-1] - peak) * hop_seconds, loud[peak], *means])


def two_samples(one, other):
    """The Kolmogorov-Smirnov distance of each column of two samples [n, d], [m, d]: 0 (alike) to 1."""
    places = np.sort(np.concatenate((one, other)), 0)
    share = lambda sample, c: np.searchsorted(np.sort(sample[:, c]), places[:, c], side="right") / len(sample)
    return np.array([np.abs(share(one, c) - share(other, c)).max() for c in range(one.shape[1])])


class _Holder:
    """A generator that is in no file yet, as a model."""

    def __init__(self, card, tensors, inputs, hop):
        self.path, self.tensor = "(not yet written)", tensors.__getitem__
        self.card = {"generator": card, "inputs": inputs, "hop_frames": hop, "sample_rate_hz": RATE_HZ}


def judge(card, tensors, inputs, tables, known, hop=HOP, count=JUDGED, seed=2):
    """How good a generator is, by `count` gestures made at once: a dictionary of numbers.

    inputs: the card's; tables: what it was trained on; known: the model's own gestures. `distance`: the mean over length, rise, fall,
    peak and mean descriptors of the Kolmogorov-Smirnov distance between made and trained ones, `distance_floor` the same between two
    halves of the data, for comparison; `nearest`: how far the nearest training gesture is, over how far those are from each other.
    """
    generator, rng = Generator(_Holder(card, tensors, inputs, hop)), np.random.default_rng(seed)
    conditions = generator.conditions
    made = [generator.new(rng, known) for _ in range(count)]
    tell = lambda some: np.stack([summary(table, conditions, generator.hop_seconds) for table in some])
    data, halves = tell(tables), rng.permutation(len(tables))
    apart = two_samples(tell(made), data)
    floor = two_samples(data[halves[::2]], data[halves[1::2]])
    places = np.stack([generator.components(table) for table in tables])
    nearest = [np.linalg.norm(places - generator.components(table), axis=1).min() for table in made]
    return {"distance": round(float(apart.mean()), 3), "worst_distance": round(float(apart.max()), 3), "distance_floor": round(float(floor.mean()), 3),
            "nearest": round(float(np.median(nearest) / max(1e-9, card["apart"])), 3),
            "bad": int(sum(not np.isfinite(table).all() or table[-1, 0] > -1 for table in made))}
