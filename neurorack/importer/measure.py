"""Measures of a model that plays: time, level, seams, delay. A player has ``in_shape``, ``out_shape``, ``run``, ``reset``."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, field

import numpy as np

from neurorack.errors import ModelError
from neurorack.importer import signals
from neurorack.voice.loudness import lufs

QUIET = 1e-12
SETTLE_BLOCKS = 4
SLOW_FROM_SECONDS = 1.5      # of computing, before it is called too slow
LEAK_FROM_SECONDS = 3.0
REACH, STEP_ENERGY = np.array([-3, -2, -1]), 6.0      # third differences that a step of 1 at a place enters: 1, -2, 1


class Timed:
    """A player with the computing time of its last block, ``seconds``: time spent waiting for the processor does not count.

    ``run`` raises ``ModelError`` where there is no block, or a wrong one.
    """

    def __init__(self, player, limit_seconds: float):
        self.player, self.limit_seconds, self.calls, self.seconds = player, limit_seconds, 0, 0.0
        self.in_shape, self.out_shape = player.in_shape, player.out_shape
        self.foreign = hasattr(player, "cause")

    def reset(self, **how) -> None:
        self.player.reset(**how)
        self.calls = 0

    @property
    def memory_mb(self) -> float:
        """The most memory its process ever held."""
        return self.player.memory_mb if self.foreign else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def run(self, block: np.ndarray) -> np.ndarray:
        began = time.thread_time()
        made = self.player.run(block, self.limit_seconds) if self.foreign else self.player.run(block)
        self.seconds = self.player.cpu_ns / 1e9 if self.foreign else time.thread_time() - began
        self.calls += 1
        if made is None:
            raise ModelError(f"call {self.calls} fails: {self.player.cause}" if self.calls > 1 else self.player.cause)
        return made


@dataclass
class Take:
    """What came out: ``sounds`` part -> [frames, channels]; computing time of each block."""

    sounds: dict[str, np.ndarray]
    seconds: list[float] = field(default_factory=list)
    leak_mb_s: float = 0.0      # growth of memory in each second of sound, once it is warm


def play(player: Timed, feed: signals.Feed, block_seconds: float, most_load: float, patience_seconds: float) -> Take:
    """Feed it everything. Raises ``ModelError`` at the first block that is not a number, or when it is too slow to go on."""
    sounds: dict[str, list[np.ndarray]] = {}
    take, warm, warm_mb, spent = Take({}), 0, player.memory_mb, 0.0
    for count, (part, block) in enumerate(feed.blocks(), 1):
        made = player.run(block)
        take.seconds.append(player.seconds)
        if not np.isfinite(made).all():
            kind = "NaN" if np.isnan(made).any() else "infinite numbers"
            raise ModelError(f"it gives {kind} after {count} blocks ({count * block_seconds:.1f} s), at {part}")
        sounds.setdefault(part, []).append(made)
        if count * block_seconds < LEAK_FROM_SECONDS:
            warm_mb, warm = player.memory_mb, count
        spent += player.seconds
        slow = spent > SLOW_FROM_SECONDS and count > 2 * SETTLE_BLOCKS and np.median(take.seconds) > most_load * block_seconds
        if slow or spent > patience_seconds:
            break
    take.leak_mb_s = (player.memory_mb - warm_mb) / max((count - warm) * block_seconds, 1.0)
    take.sounds = {part: np.concatenate(blocks).astype(np.float64) for part, blocks in sounds.items()}
    return take


def load(seconds: list[float], block_seconds: float) -> tuple[float, float]:
    """Share of one core: mean, and the 99th percentile of single blocks. The first blocks, still cold, are left out."""
    warm = np.array(seconds[min(SETTLE_BLOCKS, len(seconds) - 1):]) / block_seconds
    return float(warm.mean()), float(np.percentile(warm, 99))


def seams(sound: np.ndarray, block_frames: int) -> tuple[float, float]:
    """How much rougher the sound is where two blocks meet than elsewhere: the ratio, and the level of the jumps in dBFS.

    A hint: a model that steps with its input, or whose net has a pattern as long as a block, is rough there without being torn.
    """
    rough = _third_difference(sound)
    at = np.arange(block_frames, len(rough), block_frames)
    if len(at) < 8 or block_frames < 16:
        return 1.0, -120.0
    marked = np.zeros(len(rough), bool)
    marked[(at[:, None] + REACH).ravel()] = True
    there, elsewhere = rough[marked].mean(), rough[~marked].mean()
    return float(np.sqrt(there / max(elsewhere, QUIET))), decibels(np.sqrt(max(there - elsewhere, 0.0) * len(REACH) / STEP_ENERGY))


def roughness(sound: np.ndarray, every_frames: int) -> float:
    """RMS of the third difference around the odd multiples of ``every_frames``."""
    rough = _third_difference(sound)
    at = np.arange(every_frames, len(rough), 2 * every_frames)
    return float(np.sqrt(rough[(at[:, None] + REACH).ravel()].mean()))


def _third_difference(sound: np.ndarray) -> np.ndarray:
    """Its square at each place, [frames]: clicks raise it, music hardly."""
    return (np.diff(sound, 3, axis=0) ** 2).mean(axis=1)


def levels(take: Take, sample_rate_hz: int) -> dict:
    """Loudness, peak and DC with natural input, and what sounds while the input is silent."""
    natural = take.sounds.get(signals.NATURAL, next(iter(take.sounds.values())))
    natural = natural[min(len(natural) // 4, sample_rate_hz // 2):]      # caches fill first
    mean = natural.mean(axis=0)
    result = {"lufs": lufs(natural - mean, sample_rate_hz), "peak_dbfs": decibels(np.abs(natural).max()), "dc": float(mean[np.abs(mean).argmax()])}
    silent = take.sounds.get(signals.SILENCE)
    if silent is not None:
        rest = silent[len(silent) // 2:]
        result["idle_dbfs"] = decibels(np.sqrt(np.mean((rest - rest.mean(axis=0)) ** 2)))
    return result


def delay(player: Timed, inputs: signals.Inputs, block_frames: int, in_ratio: int, sample_rate_hz: int, most_seconds: float = 1.5) -> dict | None:
    """When the sound reacts to its inputs, in frames after their move: ``reaction`` (first change) and ``centre`` (of its energy).

    Two runs from the same state, one with a short push of all inputs; None where nothing changes, or the model is not the same twice.
    """
    rows = player.in_shape[0]
    before = max(1, round(0.2 * sample_rate_hz / block_frames))
    after = max(2, round(most_seconds * sample_rate_hz / block_frames))
    quiet = np.tile(np.asarray(inputs.centre, np.float32), (rows, 1))
    pushed = quiet.copy()
    pushed[: max(1, round(0.01 * sample_rate_hz / in_ratio))] += (2 * inputs.spread).astype(np.float32)

    def run(block):
        player.reset()
        return np.concatenate([player.run(block if i == before else quiet) for i in range(before + after)]).astype(np.float64)

    plain = run(quiet)
    changed = np.abs(run(pushed) - plain).max(axis=1)
    start = before * len(plain) // (before + after)
    if changed[:start].max(initial=0.0) > 0 or changed.max() < 1e-7:
        return None
    changed = changed[start:]
    energy = changed**2
    ratio = block_frames / player.out_shape[0]
    return {"reaction": float(ratio * np.argmax(changed > 1e-3 * changed.max())),
            "centre": float(ratio * (np.arange(len(energy)) * energy).sum() / energy.sum())}


def decibels(amplitude: float) -> float:
    """Of an amplitude; -120 at the least."""
    return float(20 * np.log10(max(float(amplitude), 1e-6)))
