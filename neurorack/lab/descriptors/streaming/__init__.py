"""Descriptors of a sound as it comes in: the rows of a model, made by a program of the engine, causal and in real time.

`encode_method` gives the function that builds the method `encode` of a model file: audio [block, 1] to rows [block / 64,
width]. What it measures follows the definitions of the package, with windows that end now; `DELAYS` says how late each
column is. numpy only.
"""

import numpy as np

from ...layout import REST_LOUDNESS, Layout
from ..tables import HOP, LOUDNESS_LIMITS, QUIET, WINDOW, db_to_loudness
from .knots import normalised
from .latent import clip_latent, latent_of
from .level import DELAY as LEVEL_DELAY
from .level import filtered, level_db
from .pitch import DELAY as PITCH_DELAY
from .pitch import pitched
from .spectrum import powers, spectral

__all__ = ["DELAYS", "clip_latent", "encode_method", "latent_of", "silent_row"]

#: Frames (at 48 kHz) by which a column comes later than the same measured with a centred window.
DELAYS = {"loudness": LEVEL_DELAY, "centroid": WINDOW // 2, "bandwidth": WINDOW // 2, "sharpness": WINDOW // 2,
          "booming": WINDOW // 2, "harmonicity": PITCH_DELAY, "pitch": PITCH_DELAY}


LOUDEST = 8.0


def encode_method(layout, normaliser, hop=HOP, latent=None):
    """The builder of the method `encode`: a function of a `ProgramBuilder` with input [block, 1] at 48 kHz.

    layout: what a row holds. normaliser: of the four spectral descriptors, with `to_card()`, or what that gives. latent:
    the row's latent, [layout.latents] numbers (zeros if None), or a function (b, audio, power) of it, as `clip_latent` gives.
    Blocks are multiples of `hop`, itself a multiple of 64. Where the sound is too quiet to measure, a column keeps its value; so
    does the pitch where there is none. Before anything is heard: zeros, and silence.
    """
    card = normaliser if isinstance(normaliser, dict) else normaliser.to_card()

    def build(b):
        audio = cleaned(b, b.input())
        high, low, slow = filtered(b, audio)
        loud = b.clamp(b.affine(level_db(b, high, low), *_line()), *LOUDNESS_LIMITS)
        heard = b.binary("gt", loud, QUIET)
        power = powers(b, audio)
        measured, present = [normalised(b, spectral(b, power), card)], [heard] * 4
        if layout.pitched:
            harmonicity, pitch, voiced = pitched(b, slow)
            measured += [harmonicity, pitch]
            present += [heard, b.binary("mul", heard, voiced)]
        held = hold(b, b.concat(measured), b.concat(present))
        rows = _every(b, b.concat([loud, held]), audio.rows // hop)
        b.output(b.concat([rows, _every(b, _latents(b, audio, power, layout, latent), audio.rows // hop)]))

    return build


def cleaned(b, audio):
    """Audio without what would stay in a running sum for ever: NaN becomes 0, the rest lies within ±8."""
    return b.ternary("where", b.binary("eq", audio, audio), b.clamp(audio, -LOUDEST, LOUDEST), 0.0)


def silent_row(layout):
    """What a fresh program gives for silence, float32 [layout.width]."""
    return np.array([REST_LOUDNESS] + [0.0] * (layout.width - 1), np.float32)


def _every(b, values, rows):
    """Every so manieth row, so that `rows` are left: the last ones of the hops."""
    step = values.rows // rows
    return values if step == 1 else b.copy(values[step - 1::step])


def _line():
    """Scale and offset from dB to loudness."""
    zero = db_to_loudness(0.0)
    return db_to_loudness(1.0) - zero, zero


def _latents(b, audio, power, layout, latent):
    if callable(latent):
        return latent(b, audio, power)
    fixed = np.zeros(layout.latents) if latent is None else np.asarray(latent, float)
    return b.constant(fixed[None]).expand(power.rows, layout.latents)


def hold(b, values, present):
    """Each column's value where `present` is 1, else the last one that was; values, present [rows, columns]."""
    last = kept = b.state(1, values.channels)
    out = b.new(*values.shape)
    for row in range(values.rows):
        at = slice(row, row + 1)
        b.call("ternary", [present[at], values[at], last], [out[at]], fn="where")
        last = out[at]
    b.call("unary", [last], [kept], fn="copy")
    return out
