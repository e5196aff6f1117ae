"""Attack: how long a sound takes from a tenth to nine tenths of its first peak's level, in torch."""

import torch
from torch.nn import functional as F

from .tables import RATE_HZ

WINDOW, STEP = 96, 8              # samples: levels over 2 ms, every sixth of a millisecond
LOW, HIGH = 0.1, 0.9
SHORTEST_SECONDS = 5e-4


def attack_time(audio, seconds=0.5):
    """Attack in log10 seconds ("log-attack-time", Peeters et al., "The Timbre Toolbox", JASA 2011), at least log10 of 0.5 ms.

    audio: [batch, samples] from shortly before the onset on; the highest RMS level of 2 ms within `seconds` is the peak. The
    time runs from the last crossing of a tenth of it before the first crossing of nine tenths, both between samples on
    straight lines, which is what the gradient goes through. Returns [batch]; a silent clip has the shortest attack.
    """
    audio = F.pad(audio[:, :int(seconds * RATE_HZ)], (WINDOW, WINDOW))
    level = F.avg_pool1d(audio[:, None] ** 2, WINDOW, STEP)[:, 0].clamp(min=1e-16).sqrt()
    level = level / level.amax(1, keepdim=True)
    last = torch.argmax((level >= HIGH).int(), 1)
    index = torch.arange(level.shape[1], device=audio.device)
    below = (level < LOW) & (index < last[:, None])
    first = torch.where(below, index, -1).amax(1)
    rise = _crossing(level, last - 1, HIGH) - _crossing(level, first, LOW)
    return (rise * STEP / RATE_HZ).clamp(min=SHORTEST_SECONDS).log10()


def _crossing(level, index, threshold):
    """Where between frames index and index + 1 the level crosses the threshold, in frames; [batch]."""
    at = index.clamp(0, level.shape[1] - 2)[:, None]
    a, b = level.gather(1, at)[:, 0], level.gather(1, at + 1)[:, 0]
    return at[:, 0] + ((threshold - a) / (b - a).clamp(min=1e-9)).clamp(0, 1)
