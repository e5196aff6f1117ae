"""The curves that are asked of a model, on the grid of 64 samples: those of training, and shapes it never draws."""

import numpy as np
import torch

from ..descriptors import HOP, NAMES, RATE_HZ


def random_curves(count, frames, rng):
    """Five independent curves of training's kinds (constants, ramps, sines, steps): [count, frames, 5] in [-1, 1]."""
    from ..train import random_curve       # later: training shows figures of this package while it runs

    return torch.stack([random_curve((count, frames), rng) for _ in NAMES], -1)


def unseen_curve(shape, rng):
    """Triangles and saws of 0.7 to 10 Hz, [batch, frames] in [-1, 1]."""
    seconds = np.arange(shape[1]) * HOP / RATE_HZ
    phase = (2 ** rng.uniform(-0.5, 3.3, (shape[0], 1)) * seconds + rng.random((shape[0], 1))) % 1
    wave = np.where(rng.random((shape[0], 1)) < 0.5, 2 * phase - 1, 1 - 4 * np.abs(phase - 0.5))
    low, high = np.sort(rng.uniform(-1, 1, (2, shape[0], 1)), 0)
    return torch.from_numpy(((low + high) / 2 + (high - low) / 2 * wave).astype(np.float32))


def unseen_curves(count, frames, rng):
    """Five independent curves of `unseen_curve`: [count, frames, 5]."""
    return torch.stack([unseen_curve((count, frames), rng) for _ in NAMES], -1)
