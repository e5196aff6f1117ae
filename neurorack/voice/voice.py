"""The voice from Python: a model, set up once; then the compiled code does the work."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_double, c_float, c_int, c_int32, c_uint32, c_uint64, c_void_p

import numpy as np

from neurorack.core import declare, quick
from neurorack.errors import ModelError
from neurorack.shm import table
from neurorack.voice.card import check_card

KINDS = {"gesture": 1, "speed": 2, "morph": 3}   # every other kind acts through its links
TARGET_LUFS = -16.0                              # what models are matched to
MATCH_LIMIT_DB = 12.0
RESAMPLER_DELAY_FRAMES = 24                      # half of NR_TAPS, at the model's rate
BLOCK_LIMITS = (32, 1024)
RATES_HZ = (44100, 48000, 96000)


class _Spec(ctypes.Structure):
    _fields_ = [("sample_rate_hz", c_uint32), ("out_rate_hz", c_uint32), ("hop_frames", c_uint32),
                ("inputs", c_uint32), ("controls", c_uint32), ("links", c_uint32), ("gestures", c_uint32),
                ("rest", c_void_p), ("control_default", c_void_p), ("control_kind", c_void_p),
                ("link_control", c_void_p), ("link_input", c_void_p), ("link_low", c_void_p), ("link_high", c_void_p),
                ("gesture_frames", c_void_p), ("gesture_data", c_void_p), ("gain_db", c_double)]


class _Edge(ctypes.Structure):
    _fields_ = [("frame", c_uint64), ("jack", c_uint32), ("rising", c_uint32), ("cv_volts", c_double * table.CV_JACKS)]


class Voice:
    """Source, modulation, decoder and output stage of one model.

    Args:
        model: a loaded ``neurorack.engine.Model``.
        block_frames: the card's block; the program that fits it best is used.
        out_rate_hz: the card's rate; other than the model's, the output is resampled.

    ``handle`` is the ``nr_voice *`` the synth's render thread works on.
    """

    def __init__(self, model, block_frames: int = 64, out_rate_hz: int = 48000):
        card = model.card
        check_card(card, model.path)
        self.model, self.card, self.out_rate_hz = model, card, out_rate_hz
        self.sample_rate_hz, self.hop_frames = int(card["sample_rate_hz"]), int(card["hop_frames"])
        self.program = model.program("decode", block_frames=fitting_block(model, block_frames))
        self.block_frames = self.program.out_shape[0]
        self.rows = self.block_frames // self.hop_frames
        self.inputs = [i["name"] for i in card["inputs"]]
        self.controls = [c["name"] for c in card["controls"]]
        self._keep: list = []
        spec = self._spec(card)
        new = declare("nr_voice_new", c_void_p, c_void_p, c_void_p)
        self._free = declare("nr_voice_free", None, c_void_p)
        self.handle = new(ctypes.byref(spec), self.program.handle)
        if not self.handle:
            raise ModelError(f"model {card.get('name')}: its voice needs more than the limits allow ({table.CONTROLS} controls, 256 inputs)")
        self._set_row = quick("nr_voice_set_row", None, c_void_p, c_uint32, c_void_p, c_void_p, c_void_p, c_double)
        self._set_patch = declare("nr_voice_set_patch", None, c_void_p, c_void_p)
        self._add_edge = quick("nr_voice_add_edge", c_int, c_void_p, c_void_p)
        self._render = declare("nr_voice_render", c_uint32, c_void_p, c_void_p)
        self._out = np.zeros((declare("nr_voice_max_out_frames", c_uint32, c_void_p)(self.handle), 2), np.float32)
        self._nan = declare("nr_voice_nan_values", c_uint64, c_void_p)

    def _array(self, values, kind):
        array = np.ascontiguousarray(values, kind)
        self._keep.append(array)
        return array.ctypes.data

    def _spec(self, card: dict) -> _Spec:
        controls, links = card["controls"], []
        for index, control in enumerate(controls):
            for link in control.get("links", []):
                links.append((index, self.inputs.index(link["input"]), link["low"], link["high"]))
        gestures = [np.ascontiguousarray(self.model.tensor(g["tensor"]), np.float32) for g in card.get("gestures", [])]
        self._keep += gestures
        pointers = (POINTER(c_float) * max(1, len(gestures)))(*[g.ctypes.data_as(POINTER(c_float)) for g in gestures])
        self._keep.append(pointers)
        return _Spec(
            self.sample_rate_hz, self.out_rate_hz, self.hop_frames, len(self.inputs), len(controls), len(links), len(gestures),
            self._array([i.get("rest", 0.0) for i in card["inputs"]], np.float32),
            self._array([c.get("default", 0.5) for c in controls], np.float64),
            self._array([KINDS.get(c.get("kind"), 0) for c in controls], np.int32),
            self._array([link[0] for link in links], np.int32), self._array([link[1] for link in links], np.int32),
            self._array([link[2] for link in links], np.float64), self._array([link[3] for link in links], np.float64),
            self._array([len(g) for g in gestures], np.int32), ctypes.addressof(pointers), match_gain_db(card))

    @property
    def delay_frames(self) -> int:
        """Constant delay from a control to the sound, at the card's rate: the model's own plus the resampler's."""
        model = int(self.card.get("delay_frames", 0)) + (RESAMPLER_DELAY_FRAMES if self.out_rate_hz != self.sample_rate_hz else 0)
        return round(model * self.out_rate_hz / self.sample_rate_hz)

    @property
    def nan_values(self) -> int:
        """Output values of the model that were not finite and were played as zero."""
        return self._nan(self.handle)

    def set_patch(self, struct) -> None:
        self._set_patch(self.handle, ctypes.byref(struct))

    def set_row(self, row: int, cv_volts: np.ndarray, knobs: np.ndarray, drives: np.ndarray, level_db: float) -> None:
        """Controls of one hop of the next run: float64 [8], [32], [32]."""
        self._set_row(self.handle, row, cv_volts.ctypes.data, knobs.ctypes.data, drives.ctypes.data, level_db)

    def add_edge(self, frame: int, jack: int, rising: bool, cv_volts) -> None:
        """An edge whose onset belongs to this model frame since the voice's start."""
        edge = _Edge(frame, jack, int(rising), (c_double * table.CV_JACKS)(*cv_volts))
        self._add_edge(self.handle, ctypes.byref(edge))

    def render(self) -> np.ndarray:
        """One run: float32 [frames, 2] at the card's rate, valid until the next call."""
        return self._out[: self._render(self.handle, self._out.ctypes.data)]

    def close(self) -> None:
        if self.handle:
            self._free(self.handle)
            self.handle = None


def match_gain_db(card: dict) -> float:
    """Gain that brings the model's measured loudness to ``TARGET_LUFS``; none where it was not measured."""
    lufs = card.get("loudness_lufs")
    if lufs is None:
        return 0.0
    return float(np.clip(TARGET_LUFS - lufs, -MATCH_LIMIT_DB, MATCH_LIMIT_DB))


def fitting_block(model, block_frames: int) -> int:
    """The largest program of the model that is no longer than the card's block, else its smallest."""
    if "decode" not in model.methods:
        raise ModelError(f"{model.path}: has no method decode; it has {', '.join(model.methods)}")
    blocks = model.methods["decode"].blocks
    return max([n for n in blocks if n <= block_frames], default=blocks[0])
