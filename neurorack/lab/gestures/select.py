"""Choosing a few diverse and typical ones among many: farthest points first, then k-medoids."""

from __future__ import annotations

import numpy as np

MOST_COMPARED = 2000
ROUNDS = 12


def diverse(features, count, seed=1):
    """Indices of `count` rows of features [n, d] that stand for all: k-medoids begun at farthest points (Gonzalez 1985).

    Columns are scaled to the same spread first. Of more than 2000 rows a random part is compared. Ascending, fewer where n is.
    """
    features = np.asarray(features, np.float64)
    among = np.arange(len(features))
    if len(among) > MOST_COMPARED:
        among = np.sort(np.random.default_rng(seed).choice(among, MOST_COMPARED, replace=False))
    if len(among) <= count:
        return among
    rows = features[among]
    low, high = np.quantile(rows, [0.05, 0.95], axis=0)
    rows = np.clip((rows - (low + high) / 2) / np.maximum(high - low, 1e-6), -1.5, 1.5)     # one odd clip is not everything
    square = (rows ** 2).sum(1)
    distance = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * rows @ rows.T, 0))
    chosen = [int(distance.sum(0).argmin())]
    while len(chosen) < count:
        chosen.append(int(distance[chosen].min(0).argmax()))
    for _ in range(ROUNDS):
        nearest = distance[:, chosen].argmin(1)
        members = [np.flatnonzero(nearest == k) for k in range(count)]
        better = [int(m[distance[np.ix_(m, m)].sum(0).argmin()]) if len(m) else c for m, c in zip(members, chosen)]
        if better == chosen:
            break
        chosen = better
    return np.sort(among[sorted(set(chosen))])
