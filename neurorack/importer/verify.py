"""Is the compiled program the model? Both get the same blocks of varied input and the same random numbers."""

from __future__ import annotations

import time

import numpy as np

LEAST_SNR_DB = 100.0
MOST_SNR_DB = 200.0          # what is said of two equal signals
LEAST_BLOCKS, PROVEN_SECONDS, PATIENCE_SECONDS = 12, 3.0, 1.5


def latent_signal(rows: int, channels: int, seed: int = 0) -> np.ndarray:
    """Latents as hands and encoders make them, float32 [rows, channels]: slow walks, then steps, zeros, and extremes of 4."""
    random = np.random.default_rng(seed)
    walk = np.zeros((rows, channels))
    value = random.standard_normal(channels)
    for row in range(rows):
        value = 0.9 * value + np.sqrt(1 - 0.9**2) * random.standard_normal(channels)
        walk[row] = value
    part = max(rows // 8, 1)
    walk[5 * part:6 * part] = np.repeat(random.standard_normal((-(-part // 4), channels)), 4, axis=0)[:len(walk[5 * part:6 * part])]
    walk[6 * part:7 * part] = 0.0
    walk[7 * part:] = np.clip(walk[7 * part:] * 4.0, -4.0, 4.0)
    return walk.astype(np.float32)


def audio_signal(rows: int, channels: int, seed: int = 0, sample_rate_hz: float = 48000.0) -> np.ndarray:
    """Sound, float32 [rows, channels]: a rising tone, noise, clicks, silence."""
    random = np.random.default_rng(seed)
    t = np.arange(rows) / sample_rate_hz
    seconds = max(t[-1], 1e-3)
    sweep = 0.4 * np.sin(2 * np.pi * (60.0 * t + 2000.0 * t * t / (2 * seconds)))[:, None] * np.ones(channels)
    noise = 0.1 * random.standard_normal((rows, channels))
    third = max(rows // 4, 1)
    x = sweep
    x[third:2 * third] = noise[third:2 * third]
    x[2 * third:3 * third] += noise[2 * third:3 * third]
    x[2 * third:3 * third:997] += 0.5
    x[3 * third:] = 0.0
    x[3 * third + third // 2:] = noise[3 * third + third // 2:] * 0.5
    return x.astype(np.float32)


def snr_db(reference: np.ndarray, other: np.ndarray) -> float:
    """How far ``other`` is below ``reference``; ``MOST_SNR_DB`` for equal ones, -inf where either is not finite."""
    reference, other = np.asarray(reference, np.float64), np.asarray(other, np.float64)
    if not (np.isfinite(reference).all() and np.isfinite(other).all()):
        return -np.inf
    error, power = np.sum((reference - other) ** 2), np.sum(reference**2)
    if error == 0.0:
        return MOST_SNR_DB
    return float(min(10.0 * np.log10(power / error), MOST_SNR_DB)) if power > 0.0 else -np.inf


def compare(reference, player, signal: np.ndarray, deadline: float | None = None) -> float:
    """SNR over all blocks of ``signal`` [rows, channels]; stops early at ``deadline`` (time.process_time) after ``LEAST_BLOCKS``.

    Both are decoders: ``in_shape``, ``run``.
    """
    rows = player.in_shape[0]
    wanted, given = [], []
    for count, start in enumerate(range(0, len(signal) - rows + 1, rows)):
        if deadline is not None and count >= LEAST_BLOCKS and time.process_time() > deadline:
            break
        block = signal[start:start + rows]
        wanted.append(reference.run(block))
        given.append(player.run(block))
    return snr_db(np.concatenate(wanted), np.concatenate(given))


def prove(reference, player, block_frames: int, audio_in: bool, sample_rate_hz: float) -> float:
    """SNR of ``player`` against ``reference`` over ``PROVEN_SECONDS`` of varied input (at least ``LEAST_BLOCKS`` blocks)."""
    rows, channels = player.in_shape
    blocks = max(LEAST_BLOCKS, int(PROVEN_SECONDS * sample_rate_hz / block_frames))
    make = audio_signal if audio_in else latent_signal
    return compare(reference, player, make(blocks * rows, channels), time.process_time() + PATIENCE_SECONDS)
