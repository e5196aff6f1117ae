"""The latent of a sound as it comes in: the clip encoder's features, pooled over what was heard lately instead of over a clip."""

import numpy as np

from ..tables import HOP, RATE_HZ, bark_bands
from .spectrum import bins

FRAME_HOPS = 4             # the encoder's frames are 256 samples apart
SLOPE = 0.1                # of its leaky ReLU
MEAN_SECONDS, MOST_SECONDS, PEAK_SECONDS = 0.4, 0.4, 1.5       # how long the mean, the maximum and the loudest remember
DOUBT_SECONDS = 0.03       # so much sound counts for half; before, the latent is near 0
HEARD = 1e-6               # of the loudest band power lately
REACH = 3.0                # standard deviations the latent can reach


def _fade(seconds):
    return float(np.exp(-HOP / (seconds * RATE_HZ)))


def clip_latent(weights, latents):
    """A function (b, audio, power) -> latents [rows, latents] for `encode_method`.

    weights: the clip encoder's by name ("layers.0.weight" … "out.bias"), numpy. power: what `spectrum.powers` gives.
    """
    layers = [(np.asarray(weights[f"layers.{k}.weight"]), np.asarray(weights[f"layers.{k}.bias"])) for k in (0, 2, 4)]
    out, bias = (np.asarray(weights[name])[:latents] for name in ("out.weight", "out.bias"))

    def build(b, _, power):
        number, counts = bins()
        energy = b.matmul(power, bark_bands()[0][number] * counts[:, None])
        strongest = b.reduce("max", energy)
        peak = _running(b, strongest, _strongest)
        heard = b.binary("gt", strongest, b.affine(peak, HEARD, 1e-9))
        x = b.affine(b.log(b.affine(energy / b.affine(peak, 1.0, 1e-9), 1.0, HEARD)), 1 / np.log(10) / 3, 1.0)
        for (weight, offset), dilation in zip(layers, (FRAME_HOPS, FRAME_HOPS, 2 * FRAME_HOPS)):
            x = b.conv1d(x, weight, offset, dilation=dilation, act="leaky_relu", a=SLOPE)
        return _pooled(b, x, heard, out, bias)

    return build


def latent_of(encoder):
    """The latent a model's encoder (torch) gives, for `encode_method`: its own where it has one a frame, else `clip_latent`."""
    if getattr(encoder, "framewise", False):
        return lambda b, audio, _: encoder.build(b, audio)
    return clip_latent({name: value.detach().cpu().numpy() for name, value in encoder.state_dict().items()}, encoder.latents)


def _pooled(b, x, heard, out, bias):
    """Latents of features x [rows, width], by the mean and the maximum over the frames heard lately."""
    rows, width = x.shape
    kept = b.affine(heard, _fade(MEAN_SECONDS) - 1, 1.0)
    sums = _running(b, b.binary("mul", b.concat([x, b.constant(np.ones((1, 1))).expand(rows, 1)]), heard), _sum, kept)
    weight = sums[:, width:]
    mean = sums[:, :width] / b.affine(weight, 1.0, 1e-3)
    most = _running(b, x, _most, b.affine(heard, 1 - _fade(MOST_SECONDS)), heard)
    latent = b.linear(b.concat([mean, most]), out, bias)
    doubt = DOUBT_SECONDS * RATE_HZ / HOP
    return b.clamp(b.binary("mul", latent, weight / b.affine(weight, 1.0, doubt)), -REACH, REACH)


def _running(b, values, step, *coefficients):
    """What `step(b, y, last, value, *coefficients)` writes row by row, from a state of zeros; all [rows, …]."""
    out, kept = b.new(*values.shape), b.state(1, values.channels)
    last = kept
    for row in range(values.rows):
        at = slice(row, row + 1)
        step(b, out[at], last, values[at], *(c[at] for c in coefficients))
        last = out[at]
    b.call("unary", [last], [kept], fn="copy")
    return out


def _strongest(b, y, last, value):
    b.call("binary", [b.affine(last, _fade(PEAK_SECONDS)), value], [y], fn="max")


def _sum(b, y, last, value, kept):
    b.call("ternary", [last, kept, value], [y], fn="multiply_add")


def _most(b, y, last, value, share, heard):
    """The greater of the value and of what sinks towards it; what is not heard changes nothing."""
    sunk = b.ternary("lerp", last, value, share)
    b.call("ternary", [heard, b.binary("max", sunk, value), last], [y], fn="where")
