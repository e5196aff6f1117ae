"""A moment of an instrument that plays, for pictures and tests: always the same."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from neurorack.panel.view import SCOPE_FRAMES, Control, Route, Slot, View

_IMPACTS = (("loudness", 0.62, 0.5, "dB"), ("brightness", 0.71, 0.55, "Hz"), ("bandwidth", 0.4, 0.5, "Hz"), ("sharpness", 0.52, 0.5, ""), ("boom", 0.33, 0.5, ""),
            ("gesture", 0.45, 0.45, ""), ("decay", 0.58, 0.5, "x"))
_BIRDS = (("pitch", 0.4, 0.5, ""), ("colour", 0.66, 0.5, ""), ("noisiness", 0.2, 0.3, ""), ("wander", 0.7, 0.7, ""))


def _slot(name: str, model: str, controls, routes, load: float) -> Slot:
    card = {"slot": name, "model": model, "name": model, "pid": 1, "plays": "hits" if name == "A" else "drone", "sample_rate_hz": 48000, "hop_frames": 64,
            "author": "Neurorack", "licence": "CC-BY-4.0", "description": "percussion and struck objects", "file": f"/models/{model}.safetensors",
            "plane": [controls[1][0], controls[2][0]], "gestures": ["kick deep", "tabla low", "marimba"], "controls": []}
    card["controls"] = [{"name": each, "label": each, "unit": unit, "doc": f"the {each} of the sound", "kind": "input", "default": 0.5, "low": 0.0, "high": 1.0}
                        for each, _, _, unit in controls]
    return Slot(name, model, True, load, 0.2, 128, 310.0, 480, False, 4,
                tuple(Control(each, value, knob, 0.0, 0.5, unit, f"the {each} of the sound") for each, value, knob, unit in controls),
                tuple(Route(*route) for route in routes), (controls[1][0], controls[2][0]), MappingProxyType(card))


def _sound() -> np.ndarray:
    t = np.arange(SCOPE_FRAMES) / 48000
    wave = 0.45 * np.sin(2 * np.pi * 220 * t) + 0.2 * np.sin(2 * np.pi * 660 * t + 1) + 0.1 * np.sin(2 * np.pi * 2310 * t) + 0.05 * np.sin(2 * np.pi * 5200 * t)
    return np.stack((wave, 0.8 * wave), axis=1).astype(np.float32)


def _trail() -> tuple[tuple[float, float], ...]:
    a = np.linspace(-4.4, 0, 46)
    return tuple((float(x), float(y)) for x, y in zip(0.43 + 0.28 * np.cos(a) * (1 + a / 12), 0.4 + 0.3 * np.sin(1.3 * a)))


ANSWERS = {
    "status": {"job": None},
    "scenes": {"scenes": [{"number": 1, "name": "Dusk", "models": {"A": "impacts", "B": None}, "missing": [], "saved_at": "2026-05-01T20:14:00"},
                          {"number": 3, "name": "Dawn", "models": {"A": "impacts", "B": "birds"}, "missing": [], "saved_at": "2026-05-02T06:40:00"}],
               "current": 3, "changed": True, "undo": "set brightness", "redo": None, "morph": None},
    "notices": {"notices": []},
    "models": {"models": [
        {"name": "birds", "where": "own", "kind": "lifted", "bytes": 18_400_000, "sample_rate_hz": 48000, "hop_frames": 128, "lufs": -18.2, "verdict": "plays",
         "line": "plays: 4 % of one core, 43 ms, −18 LUFS", "licence": "CC-BY-4.0", "file": "/models/birds.ts"},
        {"name": "cathedral choir v3", "where": "own", "kind": "refused", "bytes": 151_000_000, "sample_rate_hz": 48000, "hop_frames": 2048, "lufs": None,
         "verdict": "refused", "line": "refused: 2.3× too slow for this board; try block 4096 or a smaller model", "licence": None, "file": "/models/cathedral.ts"},
        {"name": "water", "where": "own", "kind": "unchecked", "bytes": 2_100_000, "sample_rate_hz": None, "hop_frames": None, "lufs": None, "verdict": None, "line": None,
         "licence": None, "file": "/models/water.ts"},
        {"name": "impacts", "where": "factory", "kind": "native", "bytes": 1_800_000, "sample_rate_hz": 48000, "hop_frames": 64, "lufs": -16.0, "verdict": "plays",
         "line": "plays: less than 1 % of one core, 5 ms, −16 LUFS", "licence": "CC-BY-4.0", "file": "/models/impacts.safetensors"}]},
}
PREFERENCES = {"scope.style": "wave"}
A = _slot("A", "impacts", _IMPACTS, (("cv1", "gesture", 0.11), ("cv2", "loudness", 0.05), ("cv3", "brightness", 0.1), ("cv4", "decay", 0.1)), 0.012)
B = _slot("B", "birds", _BIRDS, (("cv1", "pitch", 0.1), ("cv2", "colour", 0.1)), 0.043)
#: A model whose card draws a map of its training clips, and which makes gestures.
_CLIPS = ("kick deep", "bass drum", "floor tom", "tabla low", "conga", "marimba", "timpani", "log", "snare", "brush", "clap", "shaker", "hat", "splash", "ride", "gong",
          "bell", "glass", "triangle", "wood block", "claves", "cowbell", "rim", "kalimba")


def _mapped(slot: Slot) -> Slot:
    places = np.random.default_rng(4).uniform(0.02, 0.98, (len(_CLIPS), 2))
    drawn = {"x": "brightness", "y": "bandwidth", "points": [[float(x), float(y), name] for (x, y), name in zip(places, _CLIPS)], "gestures": [[0.5, 0.5]] * 3}
    labels = {"brightness": "Tone-noise", "bandwidth": "Short-long"}
    controls = tuple(replace(control, kind="gesture" if control.name == "gesture" else control.kind, label=labels.get(control.name, "")) for control in slot.controls)
    return replace(slot, controls=controls, gesture=1, card=MappingProxyType({**slot.card, "map": drawn, "generates": True, "kept": 1,
                                                                              "gestures": ["kick deep", "tabla low", "marimba", "new 1"]}))


MAPPED = _mapped(A)
VIEW = View(now=0.0, slots=(A, Slot("B")), cv_volts=(1.2, -3.4, 4.1, 0.4, 0.0, 0.0, 0.0, 0.0), cv_jacks=4, gates_high=1, clock="jack", bpm=112.0, beat=0.2,
            scope=_sound(), meter=(0.62, 0.5), meter_hold=(0.8, 0.64), underruns=0, device="null", trail=(_trail(), ()), answers=MappingProxyType(ANSWERS),
            preferences=MappingProxyType(PREFERENCES))
#: Both slots at once, half way between.
BOTH = replace(VIEW, slots=(A, B), mix=0.4)


def with_answers(view: View = VIEW, **answers) -> View:
    """The same moment with other answers."""
    return replace(view, answers=MappingProxyType({**view.answers, **answers}))
