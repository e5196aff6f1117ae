"""Correlations of asked and measured curves, with confidence intervals by clip, and the leakage between descriptors.

Spearman's rho is Pearson's r of the ranks; neither is ever shifted or scaled. Frames of one clip are no independent
trials, so intervals come from a bootstrap that draws whole clips (Efron and Tibshirani, 1993): the ranks of all frames
are kept, and each clip enters by its sums, which makes a thousand draws as cheap as one.
"""

import numpy as np
from scipy.stats import rankdata

RESAMPLES = 1000
INTERVAL = (0.025, 0.975)


def clip_sums(a, b, clip, clips):
    """Sums of 1, a, b, a², b², ab over the frames of each clip, [clips, 6]; a, b: [n] centred here; clip: [n] index."""
    a, b = a - a.mean() if len(a) else a, b - b.mean() if len(b) else b
    return np.stack([np.bincount(clip, weights, clips) for weights in (np.ones_like(a), a, b, a * a, b * b, a * b)], 1)


def correlation(sums):
    """Pearson's r from sums [..., 6]; nan where nothing varies."""
    n, a, b, aa, bb, ab = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = np.maximum(n, 1)
        spread = (aa - a * a / n) * (bb - b * b / n)
        return np.where(spread > 1e-12 * n * n, (ab - a * b / n) / np.sqrt(np.maximum(spread, 1e-300)), np.nan)


def spearman(a, b):
    """Spearman's rho of two flat arrays; nan where nothing varies."""
    none = np.zeros(len(a), int)
    return float(correlation(clip_sums(rankdata(a), rankdata(b), none, 1)[0]))


def draws(clips, resamples=RESAMPLES, seed=0):
    """How often each clip is drawn, [resamples, clips] (each row sums to `clips`)."""
    return np.random.default_rng(seed).multinomial(clips, np.full(clips, 1 / clips), resamples)


class Followed:
    """Asked and measured frames of a protocol: correlations of each descriptor, their mean, and leakage.

    asked, got: float [curves, frames, d], normalised; clip: [curves] index of the clip whose latent played; names: d names;
    chosen: bool [curves, d], which descriptors of a curve are judged (all). Frames asked to be quieter than `quiet` are
    left out except for the first descriptor, loudness.
    """

    def __init__(self, asked, got, clip, names, chosen=None, quiet=-0.8):
        self.names, (present, clip) = tuple(names), np.unique(clip, return_inverse=True)
        self.clips = len(present)
        self.heard = asked[..., 0] > quiet
        chosen = np.ones((len(asked), len(self.names)), bool) if chosen is None else chosen
        self.asked, self.got, self.clip = asked, got, np.broadcast_to(clip[:, None], self.heard.shape)
        self.keep = [np.broadcast_to(chosen[:, d, None], self.heard.shape) & (self.heard if d else True)
                     for d in range(len(self.names))]

    def frames(self, d):
        """Asked and measured values of descriptor d and the clips they belong to, three flat arrays."""
        keep = self.keep[d]
        return self.asked[..., d][keep].astype(np.float64), self.got[..., d][keep].astype(np.float64), self.clip[keep]

    def figures(self, resamples=RESAMPLES):
        """{"spearman", "pearson", "error", "interval": {"spearman": [low, high], name: …}, name: Spearman …}, 3 places.

        spearman, pearson and error (mean absolute) are means over the judged descriptors.
        """
        weights, rho, r, error, spread = draws(self.clips, resamples), {}, [], [], {}
        for d, name in enumerate(self.names):
            a, b, clip = self.frames(d)
            if len(a) < 3:
                continue
            ranks = clip_sums(rankdata(a), rankdata(b), clip, self.clips)
            rho[name], spread[name] = float(correlation(ranks.sum(0))), correlation(weights @ ranks)
            r.append(float(correlation(clip_sums(a, b, clip, self.clips).sum(0))))
            error.append(float(np.abs(a - b).mean()))
        limits = lambda values: [rounded(v) for v in (np.quantile(values, INTERVAL) if np.isfinite(values).all() else (np.nan, np.nan))]
        mean = np.mean(list(spread.values()), 0)
        return {"spearman": rounded(np.mean(list(rho.values()))), "pearson": rounded(np.mean(r)), "error": rounded(np.mean(error)),
                "interval": {"spearman": limits(mean)} | {name: limits(values) for name, values in spread.items()},
                **{name: rounded(value) for name, value in rho.items()}}

    def leakage(self):
        """Spearman of the asked curve of a row with the error of a column's descriptor, and the mean size off the diagonal.

        Returns {"mean": |rho|, "matrix": [[rho]]}. The diagonal says how much a descriptor's own error follows what is asked
        (negative where extremes are not reached) and does not count.
        """
        asked = self.asked[self.heard].astype(np.float64)
        error = self.got[self.heard].astype(np.float64) - asked
        rank = lambda table: np.apply_along_axis(rankdata, 0, table)
        a, b = rank(asked), rank(error)
        a, b = a - a.mean(0), b - b.mean(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            matrix = (a.T @ b) / np.sqrt(np.outer((a ** 2).sum(0), (b ** 2).sum(0)))
        aside = ~np.eye(len(self.names), dtype=bool)
        return {"mean": rounded(np.nanmean(np.abs(matrix[aside]))), "matrix": [[rounded(v) for v in row] for row in matrix]}


def rounded(value, places=3):
    """A number for JSON: rounded, None where it is none."""
    return round(float(value), places) if np.isfinite(value) else None
