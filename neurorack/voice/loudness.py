"""Integrated loudness after ITU-R BS.1770-4, and onsets, of a finished signal. numpy only."""

from __future__ import annotations

import numpy as np

ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
BLOCK_SECONDS, STEP_SECONDS = 0.4, 0.1


def _k_weighting(freq_hz: np.ndarray) -> np.ndarray:
    """Complex response of BS.1770's pre-filter and high-pass, from their analogue prototypes (holds at any rate)."""
    s = 2j * np.pi * np.maximum(freq_hz, 1e-9)
    shelf_w, shelf_q, gain = 2 * np.pi * 1681.974450955533, 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    mid = gain ** 0.4996667741545416
    shelf = (gain * s**2 + mid * shelf_w / shelf_q * s + shelf_w**2) / (s**2 + shelf_w / shelf_q * s + shelf_w**2)
    high_w, high_q = 2 * np.pi * 38.13547087602444, 0.5003270373238773
    return shelf * s**2 / (s**2 + high_w / high_q * s + high_w**2)


def lufs(audio: np.ndarray, sample_rate_hz: int) -> float | None:
    """Integrated loudness of float [frames, channels] in LUFS; None when nothing passes the gates.

    The weighting is applied in the frequency domain; a signal shorter than one 0.4 s block counts as one block.
    """
    audio = np.atleast_2d(np.asarray(audio, np.float64).T).T
    size = 1 << int(len(audio) + sample_rate_hz // 2).bit_length()
    response = _k_weighting(np.fft.rfftfreq(size, 1 / sample_rate_hz))
    weighted = np.fft.irfft(np.fft.rfft(audio, size, axis=0) * response[:, None], size, axis=0)[: len(audio)]
    power = np.concatenate([[0.0], np.cumsum((weighted**2).sum(1))])
    block, step = min(len(audio), int(BLOCK_SECONDS * sample_rate_hz)), int(STEP_SECONDS * sample_rate_hz)
    starts = np.arange(0, len(audio) - block + 1, step)
    if block == 0 or not len(starts):
        return None
    means = (power[starts + block] - power[starts]) / block

    def level(mean):
        return -0.691 + 10 * np.log10(np.maximum(mean, 1e-20))

    loud = means[level(means) > ABSOLUTE_GATE_LUFS]
    if not len(loud):
        return None
    loud = loud[level(loud) > level(loud.mean()) + RELATIVE_GATE_LU]
    return float(level(loud.mean()))


def onsets_seconds(audio: np.ndarray, sample_rate_hz: int, *, rise_db: float = 9.0, floor_db: float = -50.0,
                   refractory_seconds: float = 0.04) -> list[float]:
    """Times at which a new sound begins.

    An onset is where the peak level over 2 ms rises ``rise_db`` above the highest level of the 4..30 ms before it and
    above ``floor_db``; its time is the first sample that reaches a tenth of the following 5 ms' peak (and at least twice what came before).
    """
    mono = np.abs(np.asarray(audio)).max(axis=1) if np.ndim(audio) == 2 else np.abs(np.asarray(audio))
    hop = max(1, sample_rate_hz // 1000)
    frames = len(mono) // hop
    peaks = mono[: frames * hop].reshape(frames, hop).max(axis=1)
    level = np.maximum(peaks, np.concatenate([peaks[1:], [0]]))
    onsets, last = [], -1e9
    for i in range(frames):
        before = peaks[max(0, i - 30): max(0, i - 1)].max(initial=0.0)
        if level[i] < 10 ** (floor_db / 20) or level[i] < before * 10 ** (rise_db / 20):
            continue
        at = i * hop
        window = mono[at: at + 5 * hop]
        threshold = max(0.1 * window.max(), 2 * before)
        first = at + int(np.argmax(mono[at: at + 5 * hop] >= threshold))
        if first / sample_rate_hz - last >= refractory_seconds:
            onsets.append(first / sample_rate_hz)
        last = first / sample_rate_hz if first / sample_rate_hz - last >= refractory_seconds else last
    return onsets
