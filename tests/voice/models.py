"""Models that show what the voice feeds them, and models that make its work hard."""

from __future__ import annotations

import numpy as np

from neurorack.engine import ModelWriter
from neurorack.voice.card import drone_card
from tests.models import BLOCKS, HOP, RATE

FRAMES = 150      # rows of the probe's gestures: 0.2 s


def ramp_gestures(frames: int = FRAMES) -> list[np.ndarray]:
    """Three gestures of the probe's four inputs, all told apart: a falling line, a constant, a short step."""
    falling, constant = np.zeros((frames, 4), np.float32), np.zeros((frames, 4), np.float32)
    falling[:, 0] = 0.6 * (1 - np.arange(frames) / frames)
    constant[:, 0], constant[:, 1] = 0.2, 0.3
    step = np.zeros((20, 4), np.float32)
    step[:, 0] = 0.4
    return [falling, constant, step]


def probe(path, *, gestures=None, patch: dict | None = None, channels: int = 2, more: dict | None = None, rests=(0.0, 0.0, 0.0, 0.0)):
    """Left and right: the first two inputs held over each hop, times +-1 from sample to sample, so that DC blocker and
    level leave them alone. Read them back with ``held``. Controls: ``a`` (0..1 onto the first input), ``b`` (0..0.5 onto
    the second), ``which`` (gesture), ``speed``, ``morph``."""
    gestures = ramp_gestures() if gestures is None else gestures
    controls = [{"name": "a", "default": 0.5, "links": [{"input": "first", "low": 0.0, "high": 1.0}]},
                {"name": "b", "default": 0.0, "links": [{"input": "second", "low": 0.0, "high": 0.5}]},
                {"name": "which", "default": 0.0, "kind": "gesture"}, {"name": "speed", "default": 0.5, "kind": "speed"},
                {"name": "morph", "default": 0.0, "kind": "morph"}]
    names = ("first", "second", "third", "fourth")
    card = {"name": "probe", "sample_rate_hz": RATE, "hop_frames": HOP, "inputs": [{"name": n, "rest": r} for n, r in zip(names, rests)],
            "controls": controls, "gestures": [{"name": f"g{i}", "tensor": f"gesture.{i}"} for i in range(len(gestures))],
            "patch": patch or {"routes": [{"jack": "cv4", "control": "morph", "amount_per_volt": 0.0}]}, **(more or {})}
    writer = ModelWriter(card)
    for i, gesture in enumerate(gestures):
        writer.weights.add(np.asarray(gesture, np.float32), f"gesture.{i}")

    def decode(b):
        x = b.input()
        rows = x.rows
        carrier = b.constant((-1.0) ** np.arange(rows * HOP))[:, None]
        held = b.hold(x, HOP)
        b.output(held[:, :channels] * carrier.expand(rows * HOP, channels))

    writer.method("decode", decode, blocks=BLOCKS, in_channels=4, in_ratio=HOP, out_channels=channels)
    return writer.save(path)


def held(audio: np.ndarray, shift: int = 16) -> np.ndarray:
    """The probe's inputs row by row, float32 [rows, 2], from audio whose placement stands ``shift`` frames late."""
    rows = (len(audio) - shift) // HOP
    return np.abs(audio[shift:shift + rows * HOP].reshape(rows, HOP, 2)[:, HOP // 2])


def pitched(path, *, gestures, sustain=(None,), patch: dict | None = None):
    """As the probe, for what pitched models need: left the first input, right a quarter of the second, which a control of the kind
    `pitch` moves by 10 octaves, plus 0.5."""
    card = {"name": "pitched", "sample_rate_hz": RATE, "hop_frames": HOP, "inputs": [{"name": "loudness", "rest": 0.0}, {"name": "pitch", "rest": 0.0}],
            "controls": [{"name": "pitch", "default": 0.5, "kind": "pitch", "links": [{"input": "pitch", "low": -5.0, "high": 5.0}]},
                         {"name": "loudness", "default": 0.5, "links": [{"input": "loudness", "low": -1.0, "high": 1.0}]},
                         {"name": "which", "default": 0.0, "kind": "gesture"}, {"name": "speed", "default": 0.5, "kind": "speed"},
                         {"name": "morph", "default": 0.0, "kind": "morph"}, {"name": "loop", "default": 0.0, "kind": "loop"}],
            "gestures": [{"name": f"g{i}", "tensor": f"gesture.{i}", **({"sustain": list(rows)} if rows else {})} for i, (rows, _) in enumerate(zip(sustain, gestures))],
            "patch": patch or {"routes": [{"jack": "cv1", "control": "pitch", "amount_per_volt": 0.1, "smooth_ms": 0}]}}
    writer = ModelWriter(card)
    for i, gesture in enumerate(gestures):
        writer.weights.add(np.asarray(gesture, np.float32), f"gesture.{i}")

    def decode(b):
        x = b.input()
        carrier = b.constant((-1.0) ** np.arange(x.rows * HOP))[:, None]
        told = b.concat([x[:, :1], x[:, 1:] * 0.1 + 0.4])
        b.output(b.hold(told, HOP) * carrier.expand(x.rows * HOP, 2))

    writer.method("decode", decode, blocks=BLOCKS, in_channels=2, in_ratio=HOP, out_channels=2)
    return writer.save(path)


def steps(path, *, level: float = 0.5, rows: int = 2):
    """A click whose first frame is exactly that of its row: a level held for two hops, and silence."""
    gesture = np.full((rows + 1, 1), level, np.float32)
    gesture[rows:] = 0
    card = {"name": "steps", "sample_rate_hz": RATE, "hop_frames": HOP, "inputs": [{"name": "level", "rest": 0.0}],
            "controls": [], "gestures": [{"name": "step", "tensor": "gesture.step"}]}
    writer = ModelWriter(card)
    writer.weights.add(gesture, "gesture.step")
    writer.method("decode", lambda b: b.output(b.hold(b.input(), HOP)), blocks=BLOCKS, in_channels=1, in_ratio=HOP)
    return writer.save(path)


def network(path, seed: int = 1):
    """A small network with memory, oscillators and noise: all that could make one block size differ from another."""
    rng = np.random.default_rng(seed)

    def weights(*shape):
        return (rng.standard_normal(shape) / np.sqrt(shape[1])).astype(np.float32)

    gestures = [np.cumsum(rng.standard_normal((frames, 4)), 0).astype(np.float32) * 0.2 for frames in (60, 200, 31)]
    for gesture in gestures:
        gesture[:, 0] = np.linspace(1.5, -3, len(gesture))
    controls = [{"name": name, "default": 0.5, "links": [{"input": name, "low": -1.5, "high": 1.5}]} for name in ("loud", "bright", "rough")]
    controls += [{"name": "which", "default": 0.0, "kind": "gesture"}, {"name": "speed", "default": 0.5, "kind": "speed"},
                 {"name": "morph", "default": 0.0, "kind": "morph"}]
    routes = [{"jack": "cv1", "control": "loud"}, {"jack": "cv2", "control": "bright", "curve": 2.0, "smooth_ms": 20},
              {"jack": "cv3", "control": "which", "latched": True}, {"jack": "cv4", "control": "speed"}]
    card = {"name": "network", "sample_rate_hz": RATE, "hop_frames": HOP, "controls": controls, "patch": {"routes": routes},
            "inputs": [{"name": n, "rest": r} for n, r in zip(("loud", "bright", "rough", "spare"), (-3.0, 0, 0, 0))],
            "gestures": [{"name": f"g{i}", "tensor": f"gesture.{i}", **({"sustain": [30, 110]} if i == 1 else {})} for i in range(3)], "loudness_lufs": -20.0}
    writer = ModelWriter(card)
    for i, gesture in enumerate(gestures):
        writer.weights.add(gesture, f"gesture.{i}")
    first, into, over, last = weights(12, 4, 3), weights(36, 12), weights(36, 12), weights(24, 12)
    hertz = np.geomspace(90, 9000, 16).astype(np.float32)

    def decode(b):
        x = b.conv1d(b.input(), first, act="tanh")
        h = b.gru(x, into, over)
        levels = b.exp(b.linear(h, last) + b.input()[:, :1].expand(h.rows, 24) * 1.5 - 4.0)
        table = b.generated(kind="erb_noise_bands", bands=8, length=4096, sample_rate=RATE)
        y = b.oscillators(levels[:, :16], hertz, float(RATE), HOP) + b.noise_bands(levels[:, 16:], table, HOP)
        b.output(y)

    writer.method("decode", decode, blocks=BLOCKS, in_channels=4, in_ratio=HOP)
    return writer.save(path)


def wild(path):
    """Not a number while its input is high, a loud sine otherwise."""
    card = {"name": "wild", "sample_rate_hz": RATE, "hop_frames": HOP, "inputs": [{"name": "heat", "rest": 0.5}],
            "controls": [{"name": "heat", "default": 0.5, "links": [{"input": "heat", "low": 0.0, "high": 1.0}]}]}
    writer = ModelWriter(card)

    def decode(b):
        heat = b.hold(b.input(), HOP)
        sine = b.oscillators(b.input(), np.array([500.0], np.float32), float(RATE), HOP)
        b.output(sine + b.unary("log", 0.75 - heat) * 0.0)      # the logarithm of a negative number is none

    writer.method("decode", decode, blocks=BLOCKS, in_channels=1, in_ratio=HOP)
    return writer.save(path)


def codec(path, *, hop: int = 512, blocks=(512, 1024, 2048), rate: int = RATE, channels: int = 2, methods=("decode", "encode", "prior"), rest=(0.3, 0.0), **more):
    """A drone with known insides. decode: as the probe's, the first two latents held, left and right. encode: the mean of the
    rectified input of each hop, and half of that. prior: a tenth of the temperature, and 0.2."""
    inputs = [{"name": f"latent {i + 1}", "rest": r} for i, r in enumerate(rest)]
    card = drone_card({"name": "codec", "sample_rate_hz": rate, "hop_frames": hop, "inputs": inputs, "controls": []}, methods)
    writer = ModelWriter({**card, **more})

    def decode(b):
        x = b.input()
        carrier = b.constant((-1.0) ** np.arange(x.rows * hop))[:, None]
        b.output(b.hold(x, hop)[:, :channels] * carrier.expand(x.rows * hop, channels))

    def encode(b):
        x = b.input()
        level = b.reduce("add", b.unary("abs", x.reshape(x.rows // hop, hop)), 1, 1.0 / hop)
        b.output(b.linear(level, np.array([[1.0], [0.5]], np.float32)))

    def prior(b):
        b.output(b.linear(b.input(), np.array([[0.1], [0.0]], np.float32), np.array([0.0, 0.2], np.float32)))

    if "decode" in methods:
        writer.method("decode", decode, blocks=blocks, in_channels=2, in_ratio=hop, out_channels=channels)
    if "encode" in methods:
        writer.method("encode", encode, blocks=blocks, in_channels=1, in_ratio=1, out_channels=2, out_ratio=hop)
    if "prior" in methods:
        writer.method("prior", prior, blocks=blocks, in_channels=1, in_ratio=hop, out_channels=2, out_ratio=hop)
    return writer.save(path)


def effect(path, gain: float = 0.5, blocks=(256, 512)):
    """A model that only has ``forward``: the audio input, quieter."""
    card = drone_card({"name": "effect", "sample_rate_hz": RATE, "hop_frames": 1, "method": "forward", "inputs": [{"name": "in"}], "controls": []}, ["forward"])
    writer = ModelWriter(card)
    writer.method("forward", lambda b: b.output(b.input() * gain), blocks=blocks, in_channels=1)
    return writer.save(path)
