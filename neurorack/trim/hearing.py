"""How much of an error in one layer is heard at the output: tried, layer by layer, with a small random error in its weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import quality
from . import readers as rd
from .activations import Body
from .compensate import Seen

ERROR = 3e-3                # relative power of the error that is tried
LEAST_SHARE = 1e-3          # of the most audible layer's: nothing counts less


def audibility(body: Body, seen: dict[str, Seen], signal: np.ndarray, rate_hz: int, stretches: int, tick: Callable[[float], None],
               seed: int = 0) -> dict[str, float]:
    """By the name of its weights: squared distance in dB at the output for each unit of relative error power at a layer.

    ``signal``: made-up input of so many equal ``stretches``.
    """
    random, found = np.random.default_rng([seed, 3]), {}
    sound = body.program().stream(signal)
    for i, (name, was) in enumerate(seen.items()):
        stored = rd.tensor_of(body, name)
        wrong = _with_error(was, random)
        at = next(k for k, buffer in enumerate(body.listing.buffers) if buffer.tensor == name)
        other = Body(body.listing, {**body.arrays, at: rd.put(body.listing, was.reader, stored, was.right + wrong)})
        each = quality.distances(sound, other.program().stream(signal), rate_hz, stretches)
        heard = each[np.isfinite(each)]
        found[name] = float((heard**2).mean()) / ERROR if len(heard) else 0.0
        tick((i + 1) / len(seen))
    most = max(found.values(), default=0.0)
    return {name: max(value, LEAST_SHARE * most, 1e-9) for name, value in found.items()}


def _with_error(was: Seen, random) -> np.ndarray:
    """Random changes of the weights, of the size that gives the layer's result an error of ``ERROR`` of its power."""
    change = random.standard_normal(was.right.shape)
    if was.reader.op == "conv_transpose1d":
        change *= was.right != 0                       # what pads the taps to whole strides stays out
    power = was.power - np.outer(was.mean, was.mean) if was.reader.bias is not None else was.power

    def moved(right):
        rows = right.reshape(-1, was.reader.ins, right.shape[1])
        return float(sum((row * (power @ row)).sum() for row in rows))

    return (change * np.sqrt(ERROR * moved(was.right) / max(moved(change), 1e-30))).astype(np.float32)
