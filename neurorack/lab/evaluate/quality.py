"""How a model sounds beside recordings: spectra, attacks, silence, and what constants and steps bring to light.

Functions of finished sound (numpy or torch, 48 kHz); nothing here knows what the model is.
"""

import math
from functools import lru_cache

import numpy as np
import torch

from ..descriptors import RATE_HZ

MEL_BANDS, MEL_WINDOW, MEL_HOP = 80, 2048, 512
SECOND, OTHER_NOISE = 333, (577, 811, 1009)      # frames of rest before a rebuilding: other places of the noise, other phases
MEL_LOW_HZ, MEL_HIGH_HZ, MEL_FLOOR_DB = 30.0, 20000.0, -80.0


@lru_cache(1)
def mel_bands():
    """[1025, 80] matrix of triangular bands even in mel (O'Shaughnessy's 2595·log10(1 + f / 700)) from 30 Hz to 20 kHz."""
    mel = lambda hertz: 2595 * np.log10(1 + np.asarray(hertz) / 700)
    edges = 700 * (10 ** (np.linspace(mel(MEL_LOW_HZ), mel(MEL_HIGH_HZ), MEL_BANDS + 2) / 2595) - 1)
    # at least as wide as a bin on both sides: the lowest bands would hold none
    bin_hz = RATE_HZ / MEL_WINDOW
    centre, left, right = edges[1:-1], np.maximum(np.diff(edges)[:-1], bin_hz), np.maximum(np.diff(edges)[1:], bin_hz)
    away = np.fft.rfftfreq(MEL_WINDOW, 1 / RATE_HZ)[:, None] - centre
    return torch.tensor(np.clip(1 - np.where(away < 0, -away / left, away / right), 0, None), dtype=torch.float32)


def log_mel(audio, floor_db=MEL_FLOOR_DB):
    """Levels in dB of 80 mel bands, not below `floor_db` (-80), frames of 2048 samples (Hann) every 512: [batch, samples] → [batch, frames, 80].

    A sine of full scale in the middle of a band has about 0 dB.
    """
    window = torch.hann_window(MEL_WINDOW)
    spectrum = torch.stft(audio, MEL_WINDOW, MEL_HOP, window=window, return_complex=True, pad_mode="constant")
    power = (spectrum.abs() ** 2 / (MEL_WINDOW / 4) ** 2).transpose(1, 2) @ mel_bands()
    return 10 * torch.log10(power + 10 ** (floor_db / 10))


def log_mel_error_db(audio, target, floor_db=MEL_FLOOR_DB):
    """Mean |Δ log-mel| in dB, over all bands and frames; and over the frames of target louder than -60 dB in some band."""
    a, b = log_mel(audio, floor_db), log_mel(target, floor_db)
    away, heard = (a - b).abs(), (b.amax(-1, keepdim=True) > -60).float()
    return float(away.mean()), float((away * heard).sum() / (heard.sum() * MEL_BANDS).clamp(min=1))


def _moving_rms(audio, window):
    power = np.concatenate(([0.0], np.cumsum(np.asarray(audio, np.float64) ** 2)))
    return np.sqrt(np.maximum(power[window:] - power[:-window], 0) / window)


def rise_ms(sounds, seconds=0.25, window=96):
    """Time in which the 2 ms RMS goes from 10 % to 90 % of its greatest value within the first `seconds`, in ms.

    sounds: [n, samples] renderings of one sound with other noise, whose powers are averaged: what noise does by chance is no attack.
    """
    level = np.sqrt(np.mean([_moving_rms(np.pad(a[:int(seconds * RATE_HZ)], (window - 1, 0)), window) ** 2 for a in sounds], 0))
    reach = lambda share: int(np.argmax(level >= share * level.max()))
    return (reach(0.9) - reach(0.1)) * 1000 / RATE_HZ


def buzz_db(audio, hop):
    """How far the envelope's lines at 1, 2 and 3 times the frame rate stand over those at other frequencies, in dB.

    Each line is the greatest bin within 0.35 Hz (Blackman window), which 3 s of sound tell from sines that happen to beat
    1.5 Hz away; the others are up to 24 frequencies around it, away from all multiples. The median over sounds matters.
    """
    envelope = np.abs(audio[RATE_HZ // 10:].astype(np.float64))
    spectrum = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.blackman(len(envelope))))
    hertz, rate = np.fft.rfftfreq(len(envelope), 1 / RATE_HZ), RATE_HZ / hop
    apart = max(rate / 37.5, 5.0)
    line = lambda at: 20 * math.log10(spectrum[np.abs(hertz - at) < 0.35].max() + 1e-9)

    def beside(at):
        around = [at + k * apart for k in range(-12, 13)]
        return np.median([line(f) for f in around if f > 4 and abs(f / rate - round(f / rate)) * rate > 4])

    return max(line(at) - beside(at) for at in rate * np.arange(1, 4))


def short_centroid(audio, size=256, hop=16):
    """Log2 spectral centroid of centred 5 ms windows, one value each 16 samples (for the time of a step)."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(audio, size // 2), size)[:len(audio):hop] * np.hanning(size)
    magnitude = np.abs(np.fft.rfft(windows)) + 1e-9
    return np.log2(magnitude @ np.fft.rfftfreq(size, 1 / RATE_HZ) / magnitude.sum(1))


def half_time_ms(track, hop, at):
    """Time after sample `at` at which a stepped measurement [frames of `hop`] has gone half its way, in ms; None without a clear step."""
    step = at // hop
    early, late = track[step // 2:step - 8], track[step + (len(track) - step) // 2:]
    before, after = np.median(early), np.median(late)
    if abs(after - before) < 2 * (early.std() + late.std()) + 1e-12:
        return None
    gone = (track[step - 8:] - before) / (after - before) >= 0.5
    return round((int(np.argmax(gone)) - 8) * hop * 1000 / RATE_HZ, 2)


def decibels(amplitude):
    """An amplitude in dBFS to one place; None for exact silence."""
    return None if amplitude == 0 else round(20 * math.log10(amplitude), 1)


def constants(bench):
    """Under constant controls: the frame-rate line in the envelope, and DC, in dB."""
    audio = bench.play(bench.rows(bench.constant(2304, loudness=0.8), torch.arange(len(bench.audio)))).numpy()
    dc = np.abs(audio[:, RATE_HZ // 10:].mean(1)) / np.sqrt((audio[:, RATE_HZ // 10:] ** 2).mean(1) + 1e-12)
    return {"buzz_db": round(float(np.median([buzz_db(a, bench.hop) for a in audio])), 1), "dc_under_level_db": decibels(float(np.median(dc)))}


def steps(bench, frames=1536, at=768):
    """Silence before and after sound, and how fast a loudness and a centroid step come through (median of clips).

    Times count from the first sample of the row that steps, with the model's own delay. frames, at: of 64 samples, a
    multiple of every row length up to 3072.
    """
    index, rest, edge = torch.arange(len(bench.audio)), bench.layout.rest[0], at * 64      # a drone's own rest sounds
    asked = bench.constant(frames, loudness=0.8)
    asked[:, :at, 0] = rest
    audio = bench.play(bench.rows(asked, index), late=True).numpy()
    quiet = float(np.abs(audio[:, :edge]).max())
    level = np.stack([_moving_rms(np.pad(a, (63, 0)), 64)[::16] for a in audio]) ** 2
    out = {"first_sample": int(max(np.argmax(a[edge:] != 0) for a in audio)),
           "loudness_step_ms": half_time_ms(np.sqrt(level.mean(0)), 16, edge)}
    asked = asked.flip(1)
    audio = bench.play(bench.rows(asked, index), late=True).numpy()
    quiet = max(quiet, float(np.abs(audio[:, (frames - at) * 64 + RATE_HZ // 4:]).max()))
    out["silence_dbfs"] = decibels(quiet)
    asked = bench.constant(frames, loudness=0.8)
    asked[:, :at, 1], asked[:, at:, 1] = -0.5, 0.5
    audio = bench.play(bench.rows(asked, index), late=True).numpy()
    start = edge - 64 * 64
    track = np.median([short_centroid(a[start:]) for a in audio], 0)
    return out | {"centroid_step_ms": half_time_ms(track, 16, edge - start)}


def likeness(bench):
    """Held-out clips rebuilt from their own curves and latents, beside what no model can better and what none should be near."""
    first, second = bench.rebuild(), bench.rebuild(SECOND)
    shuffled = bench.audio[torch.from_numpy(np.roll(np.arange(len(bench.audio)), 1 + len(bench.audio) // 3))]
    out = {}
    for name, (audio, target) in {"": (first, bench.audio), "_of_noise": (second, first),
                                  "_of_silence": (torch.zeros_like(first), bench.audio),
                                  "_of_another_clip": (shuffled, bench.audio)}.items():
        everywhere, heard = log_mel_error_db(audio, target)
        out |= {f"log_mel_error{name}_db": round(everywhere, 2), f"log_mel_error{name}_heard_db": round(heard, 2)}
    out["log_mel_error_above_60_db"] = round(log_mel_error_db(first, bench.audio, -60.0)[0], 2)
    others = [second, *(bench.rebuild(wait) for wait in OTHER_NOISE)]
    rises = np.array([[rise_ms(np.stack(sounds)), rise_ms(recording[None])]
                      for *sounds, recording in zip(*(each.numpy() for each in others), bench.audio.numpy())])
    own, theirs = np.median(rises, 0)
    return out | {"rise_ms": round(float(own), 2), "rise_of_recordings_ms": round(float(theirs), 2),
                  "rise_over_ms": round(float(np.median(rises[:, 0] - rises[:, 1])), 2)}
