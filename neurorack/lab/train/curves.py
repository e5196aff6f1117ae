"""Curves that are asked of a model in training: those of other clips, and random ones."""

import numpy as np
import torch

from ..descriptors import RATE_HZ, HOP
from ..layout import DESCRIPTORS

SWAPPED_SHARE = 0.35        # of sounds that only take another clip's curves and latent
QUIET = -0.8                # mean loudness below which a random one is asked instead
OTHER_LATENT_SHARE = 0.2    # of latents drawn from a normal distribution
PITCH_SHARE, PITCH_OCTAVES = 0.3, 1.0      # how often and how far an asked pitch is moved


def random_curve(shape, rng, hop=HOP):
    """A batch of curves [batch, frames] in [-1, 1]: constants, ramps, sines of 0.5 to 12 Hz and steps, drawn evenly."""
    batch, frames = shape
    seconds = np.arange(frames) * hop / RATE_HZ
    out = np.empty(shape, np.float32)
    for row in out:
        a, b = rng.uniform(-1, 1, 2)
        kind, hertz = rng.integers(4), 2 ** rng.uniform(-1, 3.6)
        if kind == 0:
            row[:] = a
        elif kind == 1:
            row[:] = np.linspace(a, b, frames)
        elif kind == 2:
            row[:] = (a + b) / 2 + (a - b) / 2 * np.sin(2 * np.pi * (hertz * seconds + rng.random()))
        else:
            row[:] = np.where((hertz * seconds + rng.random()) % 1 < 0.5, a, b)
    return torch.from_numpy(out)


def asked_curves(rows, count, layout, rng, hop=HOP):
    """Curves to ask for: `count` rows' worth of `rows` [batch, frames, conditions], most with random curves in their place.

    Descriptors and harmonicity are replaced one by one; pitch keeps its course and is moved by up to an octave.
    Returns [count, frames, conditions].
    """
    asked = rows[torch.from_numpy(rng.integers(len(rows), size=count)).to(rows.device)].cpu().clone()
    frames = asked.shape[1]
    for k in range(count):
        if rng.random() >= SWAPPED_SHARE:
            for d in np.nonzero(rng.random(len(layout.described)) < rng.uniform(0.3, 1.5))[0]:
                asked[k, :, d] = random_curve((1, frames), rng, hop)[0]
        if asked[k, :, 0].mean() < QUIET:
            asked[k, :, 0] = random_curve((1, frames), rng, hop)[0].clamp(min=-0.5)
        if layout.pitched and rng.random() < PITCH_SHARE:
            asked[k, :, len(DESCRIPTORS) + 1] += float(rng.uniform(-PITCH_OCTAVES, PITCH_OCTAVES))
    return asked.to(rows.device)


def asked_latents(latent, count, rng):
    """Latents for asked curves: those of the batch in another order, a fifth from a normal distribution. Detached."""
    z = latent[torch.from_numpy(rng.integers(len(latent), size=count)).to(latent.device)].detach()
    drawn = torch.from_numpy(rng.random(count) < OTHER_LATENT_SHARE).to(latent.device)
    return torch.where(drawn.reshape(-1, *[1] * (z.dim() - 1)), torch.randn_like(z), z)
