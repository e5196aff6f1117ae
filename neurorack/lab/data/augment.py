"""Varied copies of clips, and the batches that training draws from them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from ..descriptors import HOP, RATE_HZ
from ..recipe import KEYS

PEAK = 0.7
#: Settings that a recipe's `augment` section leaves out. What they mean: `augment` and `draw_batch`.
DEFAULTS = {name: key.default for name, key in KEYS["augment"].items()}
#: Share of crops that begin at their clip's onset: of hits, of pitched sounds, of pieces of lasting sounds (which have none).
ONSET_SHARES = {"hit": 0.7, "pitched": 0.4, "lasting": 0.15}


@dataclass
class Batch:
    """Clips drawn for one step.

    audio: float32 [count, samples], from the clips' onsets on, padded with silence; starts: int64 [count], where the crops
    begin, in hops; pitch, harmonicity: float32 [count, samples // 64] in octaves above C4 and dB, or None.
    """

    audio: np.ndarray
    starts: np.ndarray
    pitch: np.ndarray | None = None
    harmonicity: np.ndarray | None = None


def _resampled(clip, ratio):
    """The clip read `ratio` times as fast, by cubic interpolation."""
    positions = np.arange(0, len(clip) - 1, ratio)
    index = positions.astype(np.int32)
    part = (positions - index).astype(np.float32)
    around = np.pad(clip, (1, 2))
    a, b, c, d = (around[k:len(clip) + k].take(index) for k in range(4))
    return b + 0.5 * part * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a)))


def _allpass(turn, rng, sections=4):
    """Response of second-order all-passes with random centres (100 Hz to 10 kHz) at exp(-iω) = `turn`; at most 2 ms late."""
    response = np.ones(len(turn), np.complex128)
    for _ in range(sections):
        angle = 2 * np.pi * 100 * 100 ** rng.random() / RATE_HZ
        radius = rng.uniform(0.5, 0.95)
        back = -2 * radius * np.cos(angle)
        response *= (radius ** 2 + back * turn + turn ** 2) / (1 + back * turn + radius ** 2 * turn ** 2)
    return response


def augment(clip, rng, semitones=2, tilt_db=6.0, gain_db=(-15.0, 2.0), allpass=0.0, ratio=None):
    """A varied copy of a clip: other pitch (resampled), spectral tilt about 1 kHz, phases and gain, each drawn evenly.

    Pitch moves by whole semitones, so that what was in tune with the decoder's sines stays so; `ratio`, where given, is
    the change to make instead. gain_db: range of the peak against 0.7; tilt_db: greatest rise or fall over five octaves
    around 1 kHz; allpass: how likely the phases are turned. Peak stays below 1.
    """
    ratio = 2 ** (rng.integers(-semitones, semitones + 1) / 12) if ratio is None else ratio
    varied = _resampled(clip, ratio)
    size = fft.next_fast_len(len(varied) + 256, real=True)
    tilt = rng.uniform(-tilt_db, tilt_db) / 20 / 5
    change = np.exp2(_octaves(size) * np.float32(tilt * np.log2(10)))
    if allpass and rng.random() < allpass:
        change = change * _allpass(np.exp(-1j * np.pi * np.linspace(0, 1, len(change))), rng).astype(np.complex64)
    varied = fft.irfft(fft.rfft(varied, size) * change, size)[:len(varied)]
    gain = 10 ** (rng.uniform(*gain_db) / 20)
    return varied * np.float32(gain * PEAK / max(1e-6, np.abs(varied).max()))


@lru_cache(64)
def _octaves(size):
    """Octaves above 1 kHz of the bins of a spectrum of `size` samples, from -5 to 4. float32."""
    return np.clip(np.log2(np.maximum(fft.rfftfreq(size, 1 / RATE_HZ), 30) / 1000), -5, 4).astype(np.float32)


def _curve(curve, ratio, frames, shift=0.0):
    """A curve per hop, read `ratio` times as fast, `frames` long (its last value goes on), with `shift` added."""
    if len(curve) == 0:
        return np.full(frames, shift, np.float32)
    at = (np.arange(frames) + 1) * ratio - 1
    return (np.interp(at, np.arange(len(curve)), curve) + shift).astype(np.float32)


def _one(clips, rng, s):
    """One varied clip and the ratio by which it is read faster; with a second one mixed in now and then if unpitched."""
    index = int(rng.integers(len(clips)))
    pitched = clips.pitch[index] is not None
    # A tracked pitch moves freely; what is unpitched may ring, and the noise-band engine's sines stand on semitones.
    steps = rng.uniform(-s["semitones"], s["semitones"]) if pitched else rng.integers(-s["semitones"], s["semitones"] + 1)
    ratio = 2 ** (steps / 12)
    clip = augment(clips.audio[index], rng, tilt_db=s["tilt_db"], gain_db=s["gain_db"], allpass=s["allpass"], ratio=ratio)
    if not pitched and s["mix"] and rng.random() < s["mix"]:
        other = augment(clips.audio[int(rng.integers(len(clips)))], rng, s["semitones"], s["tilt_db"], s["gain_db"])
        short, long = sorted((clip, other), key=len)
        clip = long.copy()
        clip[:len(short)] += short
        clip *= min(1.0, 0.95 / max(1e-6, np.abs(clip).max()))
    return index, clip, ratio


def _onset_share(clips, index):
    if clips.rows[index].get("lasting"):
        return ONSET_SHARES["lasting"]
    return ONSET_SHARES["hit" if clips.pitch[index] is None else "pitched"]


def draw_batch(clips, count, frames, rng, settings=None, onset_share=None):
    """Random varied clips as a `Batch`, and where to crop `frames` hops out of each.

    settings: the recipe's `augment` section (`DEFAULTS` for what it leaves out); `mix` is the share of unpitched clips
    that another is mixed into, `silence` the share of crops that begin where their clip ends. Other crops begin at the
    onset with probability `onset_share` (`ONSET_SHARES` unless given), else anywhere in the clip.
    """
    s = DEFAULTS | dict(settings or {})
    chosen, starts = [], np.zeros(count, np.int64)
    for k in range(count):
        index, clip, ratio = _one(clips, rng, s)
        hops = -(-len(clip) // HOP)
        spare = len(clip) // HOP - frames // 4
        if s["silence"] and rng.random() < s["silence"]:
            starts[k] = hops
        elif spare > 0 and rng.random() > (_onset_share(clips, index) if onset_share is None else onset_share):
            starts[k] = rng.integers(spare)
        chosen.append((index, clip, ratio))
    hops = max(frames + int(starts.max()), max(-(-len(clip) // HOP) for _, clip, _ in chosen))
    audio = np.stack([np.pad(clip, (0, hops * HOP - len(clip))) for _, clip, _ in chosen])
    if clips.pitch[0] is None:
        return Batch(audio, starts)
    return Batch(audio, starts,
                 np.stack([_curve(clips.pitch[index], ratio, hops, np.log2(ratio)) for index, _, ratio in chosen]),
                 np.stack([_curve(clips.harmonicity[index], ratio, hops) for index, _, ratio in chosen]))
