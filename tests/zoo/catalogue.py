"""The families, by name."""

from __future__ import annotations

from . import Family, toys
from .rave import Core, RaveFile, RaveFile2022, set_level


def _methods(size: int, ratio: int, channels: int = 1) -> dict:
    return {"encode": (1, 1, size, ratio), "decode": (size, ratio, channels, 1), "forward": (1, 1, channels, 1)}


def _rave(name, *, wrapper=RaveFile, core=None, methods=None, notes="", wrap=None, **more) -> Family:
    def make(capacity, sample_rate, quiet):
        net = Core(capacity=capacity, quiet=quiet, **(core or {}))
        set_level(net.eval())
        return wrapper(net, sample_rate, **(wrap or {}))

    return Family(name, make, methods or _methods(8, 2048), notes=notes, **more)


def families():
    yield _rave("v2", notes="mono, centred, variational")
    yield _rave("v1", core=dict(version=1, ratios=(4, 4, 4, 2)), wrapper=RaveFile2022,
                notes="2022-era: no get_methods; noise branch")
    yield from toys.families()
