"""Mutual information of each unit's output with the target sound, and the estimator EDGE.

EDGE after Noshad, Zeng and Hero, "Scalable Mutual Information Estimation using Dependence Graphs" (2019): both sides are hashed into
buckets, the information is that of how often buckets meet, and an ensemble of bucket widths is weighted so that what the width
leaves out cancels. Here values become ranks first, which changes no information and fills buckets evenly; and the error of few samples,
which the paper leaves to the weights, is taken out by counting occupied buckets (Miller, 1955).

A deterministic net's information is infinite; so a little noise is added to what units put out, of one size for all units of a layer:
what is small beside it counts as little. What bias is left is told: on the same samples with the targets of other clips, where the
truth is 0, and on Gaussian pairs of as many samples, where it is known.
"""

import math

import numpy as np
import torch

from .activations import heard, readers, unheard
from .context import Scores, TrimError

WIDTHS = np.linspace(0.6, 2.0, 8)       # of buckets, over n^(-1 / (2·dimensions))
STIFFNESS = 0.1             # of the ensemble's weights: small cancels more and doubts more
SAMPLES = 2000
SHUFFLES = 3                # ways to give units the targets of other clips
NOISE = 0.1                 # of the spread of a layer's units
SHORTEST = 256              # samples between two moments that are compared
WINDOW = 1024               # samples of target around a moment
EDGES_HZ = (0, 200, 400, 800, 1600, 3200, 6400, 12800, 24000)
PARTS = 2                   # principal components of the target's bands
CORRELATIONS = (0.0, 0.3, 0.6, 0.9)


def _codes(values):
    """Equal rows of integers [n, d] get equal numbers from 0 on, [n]."""
    code = values[:, 0]
    for column in values.T[1:]:
        code = code * (column.max() + 1) + column
    return np.unique(code, return_inverse=True)[1]


def hashed(values, dimensions, rng):
    """Buckets of samples [n, d] at every width, a list of int64 [n]. dimensions: of both sides together."""
    ranks = (np.argsort(np.argsort(values, 0, kind="stable"), 0, kind="stable") + 0.5) / len(values)
    steps = WIDTHS * len(values) ** (-1 / (2 * dimensions))
    return [_codes(np.floor(ranks / step + rng.random(values.shape[1])).astype(np.int64)) for step in steps]


def _ensemble():
    """Weights of the widths, sum 1, small, that cancel what goes with the width."""
    width = WIDTHS / WIDTHS.max()
    solved = np.linalg.solve(STIFFNESS * np.eye(len(width)) + np.outer(width, width), np.ones(len(width)))
    return solved / solved.sum()


def _met(one, other):
    """Information of two bucketings [n] in nats, less what so many buckets show by chance."""
    count, columns = len(one), other.max() + 1
    pairs, met = np.unique(one * columns + other, return_counts=True)
    rows, others = np.bincount(one), np.bincount(other)
    chance = (len(pairs) - np.count_nonzero(rows) - np.count_nonzero(others) + 1) / (2 * count)
    return float(np.sum(met / count * np.log(met * count / (rows[pairs // columns] * others[pairs % columns])))) - chance


def from_hashed(one, other):
    """EDGE in nats from two results of `hashed`."""
    return float(_ensemble() @ [_met(a, b) for a, b in zip(one, other)])


def edge(x, y, rng):
    """Mutual information in nats of samples x [n, dx] and y [n, dy], estimated by EDGE. rng places the buckets."""
    x, y = (np.asarray(v, np.float64).reshape(len(v), -1) for v in (x, y))
    total = x.shape[1] + y.shape[1]
    return from_hashed(hashed(x, total, rng), hashed(y, total, rng))


def gaussian_check(samples, dimensions, rng):
    """[(true, estimated)] in nats of Gaussian pairs with `CORRELATIONS`: x [n, 1] and the first of y's `dimensions`."""
    out = []
    for r in CORRELATIONS:
        x, y = rng.standard_normal((samples, 1)), rng.standard_normal((samples, dimensions))
        y[:, :1] = r * x + math.sqrt(1 - r * r) * y[:, :1]
        out.append((-0.5 * math.log(1 - r * r), edge(x, y, rng)))
    return out


def bands(target, step, count):
    """Powers in dB of target [batch, samples] in eight bands at the last `count` moments `step` samples apart, [batch, count, 8]."""
    ends = target.shape[1] - step * np.arange(count)[::-1] - step // 2 + WINDOW // 2
    padded = torch.nn.functional.pad(target.detach().double().cpu(), (WINDOW, WINDOW))
    windows = torch.stack([padded[:, end:end + WINDOW] for end in ends.tolist()], 1) * torch.hann_window(WINDOW, dtype=torch.float64)
    power = torch.fft.rfft(windows).abs().square()
    places = [round(hz * WINDOW / 48000) for hz in EDGES_HZ]
    summed = [power[..., low:high].sum(-1) for low, high in zip(places, [*places[1:-1], power.shape[-1]])]
    return (10 * torch.log10(torch.stack(summed, -1) + 1e-8)).numpy()


def principal(values, parts=PARTS):
    """The first principal components of values [n, d], [n, parts]."""
    centred = values - values.mean(0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:parts].T


def _moments(x, samples, hop, rows):
    """(values [batch, channels, count], step in samples) of x [batch, channels, frames] at the moments that fall in the target.

    x ends where the target ends; it may begin before. Its values are `period` samples apart, the largest divisor of the hop with
    which it is not longer than all rows. Values more often than 750 a second count by their level, others by their mean.
    """
    period = next((p for p in range(hop, 0, -1) if hop % p == 0 and x.shape[2] * p <= rows * hop), 1)
    step = period * max(1, -(-SHORTEST // period))
    count = min(samples, x.shape[2] * period) // step
    x = x[:, :, x.shape[2] - count * step // period:].double().reshape(x.shape[0], x.shape[1], count, -1)
    values = x.mean(3) if period >= 64 else 10 * torch.log10(x.square().mean(3) + 1e-12)
    return values.cpu().numpy(), step


def outputs_and_targets(context):
    """For each group what its last reader reads and the target's bands at the same moments: (values [clips, moments, units], bands
    [clips, moments, 8])."""
    places, last, pairs = {group.name: readers(group) for group in context.groups}, {}, {}

    def note(call, result):
        for where, x in call.reads(result).items():
            last.update({name: (where, x) for name, found in places.items() if where in found})

    for rows, target in heard(context, note):
        for name, (where, x) in last.items():
            who, at = places[name][where]
            values, step = _moments(x[:, at[np.argsort(who)].tolist()], target.shape[1], context.engine.hop, rows.shape[1])
            pairs.setdefault(name, []).append((values.transpose(0, 2, 1), bands(target, step, values.shape[2])))
        last.clear()
    return {name: tuple(np.concatenate(side) for side in zip(*of)) for name, of in pairs.items()}


def _told(values, parts, chosen, rng):
    """(information of each unit, the same with targets of other clips), [units] each. values, parts: [clips, moments, …]; chosen: samples."""
    flat = lambda array: array.reshape(-1, array.shape[2])[chosen]
    dimensions = 1 + parts.shape[2]
    turns = rng.choice(np.arange(1, len(parts)), min(SHUFFLES, len(parts) - 1), replace=False)
    own, *others = [hashed(flat(np.roll(parts, turn, 0)), dimensions, rng) for turn in (0, *turns)]
    told, chance = [], []
    for unit in flat(values).T:
        buckets = hashed(unit[:, None], dimensions, rng)
        told.append(from_hashed(buckets, own))
        chance.append(np.mean([from_hashed(buckets, other) for other in others]))
    return np.array(told), np.array(chance)


def mutual_information(context):
    """EDGE between each unit's output, with noise, and two principal components of the target's bands, less what chance gives the group.

    Moments of one clip are alike, so that there are fewer samples than it seems: with another clip's target, everything is as much
    alike and nothing is told. The group's mean of that is taken off; each unit's own would bring in more error than it takes out.
    `notes`, by group: "samples", "shuffled" (with other clips' targets, by unit) and "gaussian" ((true, estimated) for as many
    samples), in nats. TrimError for fewer than two clips.
    """
    rng = np.random.default_rng(context.rng.integers(2 ** 32))
    pairs, scores = outputs_and_targets(context), Scores()
    for group in context.groups:
        if group.name not in pairs:
            raise unheard(group)
        values, target = pairs[group.name]
        if len(values) < 2 or not values.shape[1]:
            raise TrimError(f"information needs two clips of {SHORTEST} samples at least, there are {len(values)} with {values.shape[1]} moments: "
                            "give longer or larger batches")
        parts = principal(target.reshape(-1, target.shape[2])).reshape(*target.shape[:2], -1)
        chosen = rng.permutation(values.shape[0] * values.shape[1])[:SAMPLES]
        spread = math.sqrt(float(values.var((0, 1)).mean())) or 1.0
        told, chance = _told(values + NOISE * spread * rng.standard_normal(values.shape), parts, chosen, rng)
        scores[group.name] = told - chance.mean()
        scores.notes[group.name] = {"samples": len(chosen), "shuffled": chance, "gaussian": gaussian_check(len(chosen), parts.shape[2], rng)}
    return scores
