"""Pitch and harmonicity of a sound, frame by frame, for training (offline, whole clips at once).

Candidates are peaks of the autocorrelation divided by the window's own (Boersma, "Accurate short-term analysis of the fundamental
frequency and the harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 1993), refined at a multiple of the
period by a parabola as in YIN (de Cheveigné & Kawahara, JASA 2002); a dynamic-programming path through the candidates and
"unvoiced" smooths them. Where the note is known, only ±1.5 semitones around it are searched.
"""

import numpy as np
from scipy import fft, signal

from ..descriptors import HOP, RATE_HZ
from ..layout import C4_HERTZ

LOW_HZ, HIGH_HZ = 40.0, 2000.0
STEP = 4                                # one analysis frame every 4 hops of 64 samples, straight lines between
DECIMATION = 4                          # the search runs at 12 kHz below 4.5 kHz: fewer octave errors, a smooth peak
UPSAMPLED = 2                           # lags are read at 24 kHz
WINDOW = 768                            # 64 ms at 12 kHz: 2.6 periods of 40 Hz; half of it from 120 Hz on
LAG_RATE_HZ = RATE_HZ // DECIMATION * UPSAMPLED
CANDIDATES = 5
HINT_OCTAVES = 1.5 / 12
VOICED_CORRELATION = 0.45
OCTAVE_COST, JUMP_COST, VOICING_COST = 0.02, 0.65, 0.26
SILENT_DB = -50.0                       # below the clip's loudest frame: unvoiced
HARMONICITY_LIMITS_DB = (-20.0, 30.0)
WINDOWS = ((2048, 150, np.inf), (4096, 75, 150), (8192, 0, 75))     # samples, and the fundamentals they tell apart
PARTIALS = 80
PITCHED_CORRELATION = 0.85
RANGE = (0.68, 1.75)                    # searched again, times the quartiles of the first result


def _frames(audio, window, step, count):
    """[count, window] views of audio (zeros beyond its ends), centred on samples 0, step, 2·step …"""
    half = window // 2
    padded = np.pad(audio, (half, max(0, (count - 1) * step + half - len(audio))))
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::step][:count]


def _correlation(frames):
    """Normalised autocorrelation [frames, lags at 24 kHz] of Hann-windowed frames, and each frame's power."""
    window = frames.shape[1]
    hann = signal.get_window("hann", window).astype(np.float32)
    size = fft.next_fast_len(window + int(RATE_HZ / DECIMATION / LOW_HZ) + 2, real=True)
    lags = min(int(LAG_RATE_HZ / LOW_HZ) + 3, UPSAMPLED * (window * 3 // 4))
    of = lambda rows: fft.irfft(np.abs(fft.rfft(rows, size)) ** 2, size * UPSAMPLED)[:, :lags]
    own = of(hann[None])
    found = of((frames - frames.mean(1, keepdims=True)) * hann)
    power = found[:, 0] * UPSAMPLED / float(np.sum(hann ** 2))
    ratio = (found / np.maximum(found[:, :1], 1e-12)) / (own / own[:, :1])
    return ratio, power


def _parabola(rows, index):
    """Place and height of the peak at integer `index` [n, k] of rows [n, lags], by a parabola through three points."""
    left, mid, right = (np.take_along_axis(rows, index + shift, 1) for shift in (-1, 0, 1))
    bend = left - 2 * mid + right
    shift = np.where(bend < -1e-9, 0.5 * (left - right) / np.where(bend < -1e-9, bend, 1), 0.0).clip(-0.5, 0.5)
    return index + shift, mid - 0.25 * (left - right) * shift


def _candidates(rows, low_hz, high_hz):
    """The strongest CANDIDATES periods of each row: (hertz [n, k], correlation [n, k]); correlation 0 where there is none."""
    first, last = max(2, int(LAG_RATE_HZ / high_hz)), min(rows.shape[1] - 2, int(np.ceil(LAG_RATE_HZ / low_hz)))
    inner = rows[:, first:last + 1]
    peak = (inner > rows[:, first - 1:last]) & (inner >= rows[:, first + 1:last + 2])
    octaves = np.log2(np.arange(first, last + 1) * (LOW_HZ / LAG_RATE_HZ))
    score = np.where(peak, inner - OCTAVE_COST * octaves.astype(np.float32), -9)
    kept = min(CANDIDATES, score.shape[1])
    chosen = np.argpartition(-score, kept - 1, 1)[:, :kept]
    exists = np.take_along_axis(score, chosen, 1) > -9
    lag, height = _parabola(rows, chosen + first)
    # The same peak some periods later tells the period finer; at most 10 ms away, so that a glide does not blur it.
    times = np.maximum(1, np.floor(np.minimum(LAG_RATE_HZ * 0.01, rows.shape[1] * 0.6) / lag)).astype(np.int64)
    near = np.round(lag * times).astype(np.int64).clip(2, rows.shape[1] - 4)
    around = np.stack([np.take_along_axis(rows, near + shift, 1) for shift in (-2, -1, 0, 1, 2)])
    far, _ = _parabola(rows, (near + np.argmax(around, 0) - 2).clip(1, rows.shape[1] - 2))
    finer = far / times
    lag = np.where(np.abs(finer / lag - 1) < 0.04, finer, lag)
    return LAG_RATE_HZ / lag, np.where(exists, np.minimum(height, 1.0), 0.0)


def _path(hertz, strength, unvoiced):
    """Best sequence of candidates (index; the last index stands for unvoiced) by dynamic programming (Viterbi).

    hertz, strength: [frames, k]; unvoiced: strength of "unvoiced" per frame [frames].
    """
    count, k = hertz.shape
    octaves = np.log2(hertz)
    gains = np.concatenate((strength, unvoiced[:, None]), 1)
    jump = np.full((count, k + 1, k + 1), VOICING_COST)
    jump[1:, :k, :k] = JUMP_COST * np.abs(octaves[1:, None, :] - octaves[:-1, :, None])     # [from, to]
    jump[:, k, k] = 0
    back, score = np.zeros((count, k + 1), np.int64), gains[0]
    for t in range(1, count):
        options = score[:, None] - jump[t]
        back[t] = options.argmax(0)
        score = options.max(0) + gains[t]
    path = np.zeros(count, np.int64)
    path[-1] = int(score.argmax())
    for t in range(count - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


def _searched(rows, heard, low_hz, high_hz):
    """Candidates between two frequencies and the best path through them: (hertz [n, k], correlation [n, k], path [n])."""
    hertz, strength = _candidates(rows, low_hz, high_hz)
    score = np.where(strength > 0, strength - OCTAVE_COST * np.log2(HIGH_HZ / hertz), -1.0)
    unvoiced = np.where(heard, VOICED_CORRELATION, 2.0)
    return hertz, strength, _path(hertz, score, unvoiced)


def _weighted(values, weights):
    """The lower and upper quartile of values, by weight."""
    order = np.argsort(values)
    return values[order][np.searchsorted(np.cumsum(weights[order]), np.array([0.25, 0.75]) * weights.sum()).clip(0, len(values) - 1)]


def _coarse(audio, hint, count):
    """(hertz [count], voiced [count], correlation [count]) at every STEP-th hop; hertz is 0 where unvoiced."""
    slow = signal.resample_poly(audio, 1, DECIMATION, window=signal.firwin(65, 4500, fs=RATE_HZ)).astype(np.float32)
    low, high, window = LOW_HZ, HIGH_HZ, WINDOW
    if hint is not None:
        centre = C4_HERTZ * 2.0 ** hint
        low, high = centre * 2.0 ** -HINT_OCTAVES, centre * 2.0 ** HINT_OCTAVES
        window = WINDOW if low < 120 else WINDOW // 2
    rows, power = _correlation(_frames(slow, window, HOP * STEP // DECIMATION, count))
    level = 10 * np.log10(power + 1e-12)
    heard = level > max(level.max() + SILENT_DB, -75.0)
    if hint is None:
        hertz, strength, path = _searched(rows, heard, low, high)
        sung = path < hertz.shape[1]
        if sung.sum() > 8:        # once more, about where the sound mostly is: ends that ring elsewhere are no notes
            middle = _weighted(np.take_along_axis(hertz, np.minimum(path, hertz.shape[1] - 1)[:, None], 1)[sung, 0], power[sung])
            low, high = max(low, RANGE[0] * middle[0]), min(high, RANGE[1] * middle[1])
            hertz, strength, path = _searched(rows, heard, low, high)
    else:
        hertz, strength = _candidates(rows, low, high)
        path = np.where(heard & (strength.max(1) > VOICED_CORRELATION), strength.argmax(1), hertz.shape[1])
    voiced = path < hertz.shape[1]
    take = np.minimum(path, hertz.shape[1] - 1)[:, None]
    pick = lambda table: np.where(voiced, np.take_along_axis(table, take, 1)[:, 0], 0.0)
    return pick(hertz), voiced, pick(strength)


def track(audio, hint=None):
    """Pitch per hop of 64 samples; frame k describes sample 64·(k + 1).

    audio: float32 at 48 kHz; hint: the note's nominal pitch in octaves above C4, searched within ±1.5 semitones.
    Returns (pitch float32 [len // 64] in octaves above C4, straight lines through unvoiced parts and `hint`, else 0, where
    nothing is voiced; voiced bool [len // 64]). 40 to 2000 Hz without a hint, what the hint says with one.
    """
    frames = len(audio) // HOP
    hertz, voiced, _ = _coarse(np.asarray(audio, np.float32), hint, frames // STEP + 2)
    at = (np.arange(frames) + 1) / STEP
    if not voiced.any():
        return np.full(frames, hint or 0.0, np.float32), np.zeros(frames, bool)
    known = np.nonzero(voiced)[0]
    pitch = np.interp(at, known, np.log2(hertz[known] / C4_HERTZ))
    return pitch.astype(np.float32), voiced[np.minimum(np.round(at).astype(np.int64), len(voiced) - 1)]


def _harmonic_power(power, hertz, bin_hz):
    """(power of the harmonics, power of all) of spectra [n, bins] whose fundamentals are hertz [n].

    Around each harmonic a band of ±2 bins (a Hann window's main lobe), wider by 1 % of its frequency for vibrato, at most a
    third of the fundamental; what the noise between the harmonics puts into it is taken off again.
    """
    n, bins = power.shape
    sums = np.concatenate((np.zeros((n, 1)), np.cumsum(power, 1, dtype=np.float64)), 1)
    order = np.arange(1, PARTIALS + 1)

    def below(edge_hz):
        place = np.clip(edge_hz / bin_hz + 0.5, 0, bins)
        index = np.minimum(place.astype(np.int64), bins - 1)
        start = np.take_along_axis(sums, index, 1)
        return start + (place - index) * (np.take_along_axis(sums, index + 1, 1) - start)

    f0 = hertz[:, None]
    centre = f0 * order
    width = np.minimum(2 * bin_hz + 0.01 * centre, f0 / 3)
    inside = below(centre + width) - below(centre - width)
    whole = below(centre + f0 / 2) - below(centre - f0 / 2)
    floor = (whole - inside) / (f0 - 2 * width) * (2 * width)
    valid = centre + f0 / 2 <= bins * bin_hz
    return np.maximum(((inside - floor) * valid).sum(1), 0.0), sums[:, -1]


def harmonicity(audio, pitch):
    """Power of the harmonics over that of all else in dB, per hop as in `track`, from -20 to +30. float32 [len // 64].

    From Hann-windowed spectra of 43 ms (85 below 150 Hz, 171 below 75 Hz, to tell harmonics apart). Frames
    quieter than -90 dBFS keep the value before them.
    """
    frames = len(pitch)
    count = frames // STEP + 2
    centres = np.arange(count)
    hertz = C4_HERTZ * 2.0 ** np.interp(centres * STEP - 1, np.arange(frames), pitch) if frames else np.zeros(count)
    ratio, loud = np.full(count, HARMONICITY_LIMITS_DB[0]), np.zeros(count, bool)
    for window, low_hz, high_hz in WINDOWS:
        chosen = (hertz >= low_hz) & (hertz < high_hz)
        if not chosen.any():
            continue
        rows = _frames(np.asarray(audio, np.float32), window, HOP * STEP, count)[chosen]
        spectrum = np.abs(fft.rfft(rows * signal.get_window("hann", window).astype(np.float32))) ** 2
        spectrum[:, 0] = 0
        tone, whole = _harmonic_power(spectrum, hertz[chosen], RATE_HZ / window)
        loud[chosen] = whole > 1e-9 * window ** 2 / 16
        ratio[chosen] = 10 * np.log10(np.maximum(tone, 1e-12) / np.maximum(whole - tone, 1e-12))
    if not loud.any():
        ratio[:] = HARMONICITY_LIMITS_DB[0]
    else:
        last = np.maximum.accumulate(np.where(loud, centres, -1))
        ratio = ratio[np.where(last < 0, np.argmax(loud), last)]
    curve = np.interp((np.arange(frames) + 1) / STEP, centres, ratio.clip(*HARMONICITY_LIMITS_DB))
    return curve.astype(np.float32)


def pitched_share(clips, limit=200):
    """Share of the sounding time of clips (float32 arrays) that is clearly pitched, 0 to 1; at most `limit` clips are heard.

    Clearly: an autocorrelation of at least 0.85 at the period. Above a half, the harmonic engine suits a collection.
    """
    pitched = heard = 0
    for clip in clips[::max(1, len(clips) // limit)]:
        clip = np.asarray(clip[:4 * RATE_HZ], np.float32)
        level = np.sqrt(np.mean(_frames(clip, 2048, HOP * STEP, len(clip) // (HOP * STEP) + 1) ** 2, 1))
        _, _, strength = _coarse(clip, None, len(level))
        sounding = level > 0.01 * level.max()
        heard += int(sounding.sum())
        pitched += int((sounding & (strength > PITCHED_CORRELATION)).sum())
    return pitched / max(1, heard)
