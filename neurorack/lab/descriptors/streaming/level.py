"""Filters over the incoming audio, and loudness."""

from dataclasses import replace

import numpy as np

from ..tables import CROSSOVER_HZ, FAST_WINDOW, HOP, RATE_HZ, SILENT_POWER

TAPS = 641                 # of the crossover's responses: 70 dB down by then
LOW_EVERY = 16             # the low band's power is taken at every 16th sample
SLOWED = 4                 # pitch is found at 12 kHz
SLOW_PASS_HZ, SLOW_TAPS = 4600.0, 97
LOW_WINDOW = 768           # half of the centred one: twice as quick
DELAY = FAST_WINDOW // 2


def crossover():
    """Impulse responses [2, 641] of a high and a low pass whose powers are those of the offline crossover, causal."""
    from scipy.signal import butter, sosfilt

    impulse = np.zeros(TAPS)
    impulse[0] = 1
    return np.stack([sosfilt(butter(4, CROSSOVER_HZ, kind, fs=RATE_HZ, output="sos"), impulse) for kind in ("high", "low")])


def slowing():
    """Impulse response of the low pass in front of every fourth sample."""
    from scipy.signal import firwin

    return firwin(SLOW_TAPS, SLOW_PASS_HZ, window=("kaiser", 6.0), fs=RATE_HZ)


def _toeplitz(response, places):
    """Matrix [704, places]: a hop with the 640 samples before it, times this, is the filtered signal at places of the hop."""
    matrix = np.zeros((TAPS - 1 + HOP, len(places)))
    for column, place in enumerate(places):
        at = TAPS - 1 + place
        matrix[at - len(response) + 1:at + 1, column] = response[::-1]
    return matrix


def windows(b, x, length):
    """For each hop of x [block, 1] its end's last `length` samples, a view [rows, length]."""
    long = x.past(length - HOP)
    return replace(long, shape=(x.rows // HOP, length), strides=(HOP, 1))


def filtered(b, audio):
    """The high band [rows, 64], the low band [rows, 4] and the slowed signal [rows, 16] of audio [block, 1]."""
    high, low = crossover()
    parts = [_toeplitz(high, range(HOP)), _toeplitz(low, range(LOW_EVERY - 1, HOP, LOW_EVERY)),
             _toeplitz(slowing(), range(SLOWED - 1, HOP, SLOWED))]
    all_at_once = b.matmul(windows(b, audio, TAPS - 1 + HOP), np.concatenate(parts, 1))
    first, second = HOP, HOP + HOP // LOW_EVERY
    return all_at_once[:, :first], all_at_once[:, first:second], all_at_once[:, second:]


def moving_mean(b, values, rows):
    """Mean of the last `rows` rows of [rows, 1]."""
    return b.conv1d(values, np.full((1, 1, rows), 1 / rows))


def level_db(b, high, low):
    """Level in dB [rows, 1]: mean square of the last 256 samples of the high band and the last 768 of the low one."""
    power = moving_mean(b, b.mean(b.unary("square", high)), FAST_WINDOW // HOP)
    slow = moving_mean(b, b.mean(b.unary("square", low)), LOW_WINDOW // HOP)
    return b.affine(b.log(b.affine(power + slow, 1.0, SILENT_POWER)), 10 / np.log(10))
