"""The families, by name."""

from . import Family, others, toys
from .prior import RaveWithPrior
from .rave import AdaptiveRaveFile, Core, MultiRaveFile, RaveFile, RaveFile2022, set_level
from .streaming import settle_caches

SWITCHES = {"learn_target": False, "reset_target": False, "learn_source": False, "reset_source": False}


def _methods(size: int = 8, ratio: int = 2048, inputs: int = 1, outputs: int = 1) -> dict:
    return {"encode": (inputs, 1, size, ratio), "decode": (size, ratio, outputs, 1), "forward": (inputs, 1, outputs, 1)}


def _rave(name, notes, *, wrapper=RaveFile, wrap=None, methods=None, poison=False, family=None, **core) -> Family:
    """``core`` and ``wrap``: arguments of the net and of its wrapper; ``poison``: caches saved full of NaN."""

    def make(capacity, sample_rate, quiet):
        net = Core(capacity=capacity, quiet=quiet, **core)
        set_level(net.eval())
        if poison:
            settle_caches(net, float("nan"))
        extra = dict(wrap or {})
        if wrapper is RaveWithPrior:
            extra["quiet"] = quiet
        return wrapper(net, sample_rate, **extra)

    return Family(name, make, methods or _methods(), notes=notes, **(family or {}))


def rave():
    v1 = dict(version=1, ratios=(4, 4, 4, 2))
    small = dict(ratios=(4, 2, 2, 2))
    yield _rave("v1", "2022 file without get_methods; loudness and noise heads, centred", wrapper=RaveFile2022, **v1)
    yield _rave("v1_causal", "v1 net, causal, in a file of today", causal=True, polyphase=True, **v1)
    yield _rave("onnx", "v1 net without noise head", noise=False, **v1)
    yield _rave("raspberry", "v1 net without noise head, capacity 16, causal", noise=False, causal=True, **v1)
    yield _rave("v2", "mono, centred, dilated units, amplitude-modulated")
    yield _rave("v2_causal", "causal, filter bank by reshape", causal=True, polyphase=True)
    yield _rave("v2_noise", "a noise branch", noise=True)
    yield _rave("v2_small", "ratio 512, noise branch of 32 bins", noise=True, methods=_methods(8, 512), **small)
    yield _rave("v2_resampled", "a 24 kHz net played at 48 kHz", wrap=dict(factor=2), methods=_methods(8, 4096))
    yield _rave("v2_stereo", "two rows of a batch as left and right; caches of 32 rows", wrap=dict(stereo=True, rows=32),
                methods=_methods(8, 2048, 1, 2))
    yield _rave("v2_channels", "a net of two channels, each with its bank; the rate is an attribute only", wrapper=MultiRaveFile, channels=2,
                methods=_methods(8, 2048, 2, 2))
    yield _rave("v2_nan", "caches saved full of NaN, of one row", wrap=dict(rows=1), poison=True)
    yield _rave("v2_prior", "an autoregressive prior beside it", wrapper=RaveWithPrior, methods={**_methods(), "prior": (1, 2048, 8, 2048)},
                **v1 | dict(noise=False))
    yield _rave("v3", "Snake and adaptive instance normalisation with four switches", wrapper=AdaptiveRaveFile, act="snake", adain=True,
                family=dict(attributes=SWITCHES))
    yield _rave("discrete", "16 quantisers in residual order, noise beside the latent", latent="discrete", augment=128,
                ratios=(4, 4, 2, 2), methods=_methods(16, 1024))
    yield _rave("wasserstein", "latents as they are, noise beside them", latent="plain", augment=16, full=16, methods=_methods(16, 2048))
    yield _rave("spherical", "latents as angles", latent="spherical", full=16, methods=_methods(15, 2048), family=dict(random=False))
    yield _rave("brave", "ratio 128, bank of 40 dB, causal, no noise", ratios=(2, 2, 2, 1), dilations=((3,), (9,), (27,), (36,)),
                attenuation_db=40.0, causal=True, methods=_methods(8, 128))


def families():
    yield from rave()
    yield from others.families()
    yield from toys.families()
