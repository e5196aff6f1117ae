"""Small models for the tests: what they must play is known exactly."""

from __future__ import annotations

import numpy as np

from neurorack.engine import ModelWriter

HOP, RATE = 64, 48000
BLOCKS = (64, 128, 256, 512, 1024)


def _card(name: str, **more) -> dict:
    return {"name": name, "author": "tests", "licence": "CC0-1.0", "sample_rate_hz": RATE, "hop_frames": HOP, "channels": 1,
            "delay_frames": 0, **more}


def tone(path, *, hertz: float = 1000.0, hit_seconds: float = 0.1, level: float = 0.5, blocks=BLOCKS, more: dict | None = None):
    """A sine whose level is the first input; its gesture jumps to ``level`` and dies away in a straight line."""
    frames = round(hit_seconds * RATE / HOP)
    gesture = np.zeros((frames, 2), np.float32)
    gesture[:, 0] = level * (1 - np.arange(frames) / frames)
    quiet = gesture.copy()
    quiet[:, 0] *= 0.5
    writer = ModelWriter(_card(
        "tone", inputs=[{"name": "level", "rest": 0.0}, {"name": "spare", "rest": 0.0}],
        controls=[{"name": "level", "default": 0.5, "kind": "descriptor", "links": [{"input": "level", "low": 0.0, "high": 1.0}]},
                  {"name": "gesture", "default": 0.0, "kind": "gesture", "links": []},
                  {"name": "decay", "default": 0.5, "kind": "speed", "links": []}],
        gestures=[{"name": "loud", "tensor": "gesture.loud"}, {"name": "quiet", "tensor": "gesture.quiet"}], **(more or {})))
    writer.weights.add(gesture, "gesture.loud")
    writer.weights.add(quiet, "gesture.quiet")

    def decode(b):
        level_rows = b.input()[:, 0:1]
        b.output(b.oscillators(level_rows, np.array([hertz], np.float32), float(RATE), HOP))

    writer.method("decode", decode, blocks=blocks, in_channels=2, in_ratio=HOP)
    return writer.save(path)


def steady(path, *, hertz: float = 300.0, level: float = 0.3, name: str = "steady", more: dict | None = None, work: int = 0, blocks=BLOCKS):
    """A sine that sounds all the while, its level the first control; ``work`` layers cost time and change nothing."""
    writer = ModelWriter(_card(
        name, inputs=[{"name": "level", "rest": level}],
        controls=[{"name": "level", "default": 0.5, "kind": "descriptor", "links": [{"input": "level", "low": 0.0, "high": 2 * level}]}],
        **{"patch": {"routes": [{"jack": "cv8", "control": "level", "amount_per_volt": 0.0}]}, **(more or {})}))     # the jacks leave it alone
    weights = np.eye(1024, dtype=np.float32)

    def decode(b):
        x = b.input()
        if work:
            h = x.expand(x.rows, 1024) * 1.0
            for _ in range(work):
                h = b.linear(h, weights)
            x = h[:, :1]
        b.output(b.oscillators(x, np.array([hertz], np.float32), float(RATE), HOP))

    writer.method("decode", decode, blocks=blocks, in_channels=1, in_ratio=HOP)
    return writer.save(path)
