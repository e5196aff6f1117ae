"""The voice from Python: a model, set up once; then the compiled code does the work."""

from __future__ import annotations

import ctypes
import zlib
from ctypes import POINTER, c_double, c_float, c_int, c_int32, c_uint32, c_uint64, c_void_p

import numpy as np

from neurorack.core import declare, quick
from neurorack.errors import ModelError
from neurorack.gesture import file_gestures, load_gestures
from neurorack.shm import table
from neurorack.voice.card import KINDS, PLAYS, check_card
from neurorack.voice.foreign import Stage, StageSpec

TARGET_LUFS = -16.0                              # what models are matched to
MATCH_LIMIT_DB = 12.0
RESAMPLER_DELAY_FRAMES = 24                      # half of NR_TAPS, at the model's rate
BLOCK_LIMITS = (32, 1024)
RATES_HZ = (44100, 48000, 96000)
SETTLE_FRAMES = 49152                            # what the caches of a foreign model may remember; whole blocks of the usual lengths
SETTLE_FOREIGN_BLOCKS = 4                        # of a decoder that is no program of the engine, and slow
HOP_OF_INPUT_MODELS = 64                         # controls of a model without a hop of its own are read so often


class _Spec(ctypes.Structure):
    _fields_ = [("sample_rate_hz", c_uint32), ("out_rate_hz", c_uint32), ("hop_frames", c_uint32),
                ("inputs", c_uint32), ("controls", c_uint32), ("links", c_uint32), ("gestures", c_uint32), ("plays", c_uint32),
                ("seed", c_uint32), ("listen", c_uint32), ("cushion_frames", c_uint32),
                ("rest", c_void_p), ("spread", c_void_p), ("control_default", c_void_p), ("control_kind", c_void_p),
                ("link_control", c_void_p), ("link_input", c_void_p), ("link_low", c_void_p), ("link_high", c_void_p),
                ("gesture_frames", c_void_p), ("gesture_sustain", c_void_p), ("gesture_data", c_void_p), ("gain_db", c_double),
                ("decoder", StageSpec), ("encoder", StageSpec), ("prior", StageSpec)]


class _Edge(ctypes.Structure):
    _fields_ = [("frame", c_uint64), ("jack", c_uint32), ("rising", c_uint32), ("cv_volts", c_double * table.CV_JACKS),
                ("source_volts", c_double * table.MODULATORS)]


class Voice:
    """Source, modulation, decoder and output stage of one model.

    Args:
        model: a loaded ``neurorack.engine.Model``, or a ``foreign.ForeignModel``.
        block_frames: the card's block; the program that fits it best is used.
        out_rate_hz: the card's rate; other than the model's, the output is resampled.
        encoder: the model whose ``encode`` turns the audio input into this one's inputs (default: itself, where it has one).
        listen: the audio input is heard: encode runs, or the decoder of a model that plays the input.
        cushion_frames: how much of the audio input, at the card's rate, may be missing between two arrivals (0: offline).

    ``handle`` is the ``nr_voice *`` the synth's render thread works on. Raises ``ModelError`` for a model, or a pair of
    them, that cannot be played.
    """

    def __init__(self, model, block_frames: int = 64, out_rate_hz: int = 48000, *, encoder=None, listen: bool = False,
                 cushion_frames: int = 0):
        card = model.card
        check_card(card, model.path)
        self.model, self.card, self.out_rate_hz = model, card, out_rate_hz
        self.plays_input = card.get("plays") == "input"
        self.encoder = check_pair(encoder, model) if encoder is not None else own_encoder(model)
        self.listens = listen and (self.plays_input or self.encoder is not None)
        method = playing_method(card)
        self.block_frames = fitting_block(model, block_frames, method, self.encoder if self.listens else None)
        self.sample_rate_hz, self.hop_frames = int(card["sample_rate_hz"]), int(card["hop_frames"])
        if self.plays_input:
            self.hop_frames = np.gcd(self.block_frames, HOP_OF_INPUT_MODELS).item()
        self.rows = self.block_frames // self.hop_frames
        self.inputs = [i["name"] for i in card["inputs"]]
        self.controls = [c["name"] for c in card["controls"]]
        self.decoder = Stage(model.program(method, block_frames=self.block_frames))
        self._check_decoder()
        self.program = self.decoder.program
        self.encode = Stage(self.encoder.program("encode", self.block_frames) if self.listens and not self.plays_input else None)
        self.prior = Stage(prior_program(model, self.block_frames, (self.rows, len(self.inputs))))
        self._settle()
        self._keep: list = []
        spec = self._spec(card, -(-cushion_frames * self.sample_rate_hz // out_rate_hz))
        self._free = declare("nr_voice_free", None, c_void_p)
        self.handle = declare("nr_voice_new", c_void_p, c_void_p)(ctypes.byref(spec))
        if not self.handle:
            raise ModelError(f"model {card.get('name')}: its voice needs more than the limits allow ({table.CONTROLS} controls, 256 inputs)")
        self._set_row = quick("nr_voice_set_row", None, c_void_p, c_uint32, c_void_p, c_void_p, c_void_p, c_void_p, c_double)
        self._no_sources = np.zeros(table.MODULATORS)
        self._set_patch = declare("nr_voice_set_patch", None, c_void_p, c_void_p)
        self._add_edge = quick("nr_voice_add_edge", c_int, c_void_p, c_void_p)
        self._render = declare("nr_voice_render", c_uint32, c_void_p, c_void_p)
        self._out = np.zeros((declare("nr_voice_max_out_frames", c_uint32, c_void_p)(self.handle), 2), np.float32)
        self._count = {name: declare(f"nr_voice_{name}", c_uint64, c_void_p) for name in ("nan_values", "missing_blocks", "input_frames")}
        self._write_input = declare("nr_voice_write_input", None, c_void_p, c_void_p, c_uint32)

    def _settle(self) -> None:
        """The caches of a foreign file hold the end of what its exporter played; they are filled with what its controls at rest sound like."""
        if "source" not in self.card:
            return
        rest = np.array([i.get("rest", 0.0) for i in self.card["inputs"]], np.float32)
        for control in self.card["controls"]:
            for link in control.get("links", []):
                low, high = link["low"], link["high"]
                rest[self.inputs.index(link["input"])] = low + control.get("default", 0.5) * (high - low)
        for program, row in ((self.program, 0.0 if self.plays_input else rest), (self.encode.program, 0.0)):
            if program is None:
                continue
            block = np.zeros(program.in_shape, np.float32) + np.float32(row)
            for _ in range(-(-SETTLE_FRAMES // self.block_frames) if hasattr(program, "handle") else SETTLE_FOREIGN_BLOCKS):
                program.run(block)

    def _check_decoder(self) -> None:
        rows, channels = self.decoder.program.in_shape
        want = (self.block_frames, channels) if self.plays_input else (self.rows, len(self.inputs))
        if self.decoder.program.out_shape[0] != self.block_frames:
            given = self.decoder.program.out_shape[0]
            raise ModelError(f"{self.model.path}: gives {given} values for {self.block_frames} frames, not sound; it cannot be played")
        if (rows, channels) != want:
            raise ModelError(f"{self.model.path}: its decoder takes {rows} rows of {channels}; its card says {want[0]} rows of {want[1]}: "
                             "export or lift it again")

    def _array(self, values, kind):
        array = np.ascontiguousarray(values, kind)
        self._keep.append(array)
        return array.ctypes.data

    def _gestures(self, card: dict) -> list[np.ndarray]:
        """Those of the file itself, then those beside it. Sets ``gestures`` (their names), ``sustain`` (rows they are held at) and ``warning``."""
        self.gestures, self.sustain, self.warning = [], [], None
        if self.plays_input:
            return []
        own = file_gestures(self.model)
        recorded, self.warning = load_gestures(self.model.path, len(self.inputs))
        self.gestures = [g.get("name", "?") for g in card.get("gestures", [])] + list(recorded)
        self.sustain = [g.get("sustain") for g in card.get("gestures", [])] + [recorded.sustain.get(name) for name in recorded]
        return own + list(recorded.values())

    def _spec(self, card: dict, cushion_frames: int) -> _Spec:
        controls, links = card["controls"], []
        for index, control in enumerate(controls):
            for link in control.get("links", []):
                links.append((index, self.inputs.index(link["input"]), link["low"], link["high"]))
        gestures = self._gestures(card)
        self._keep += gestures
        pointers = (POINTER(c_float) * max(1, len(gestures)))(*[g.ctypes.data_as(POINTER(c_float)) for g in gestures])
        self._keep.append(pointers)
        seed = zlib.crc32(str(card.get("name")).encode()) + self.model.seed & 0xFFFFFFFF
        return _Spec(
            self.sample_rate_hz, self.out_rate_hz, self.hop_frames, len(self.inputs), len(controls), len(links), len(gestures),
            PLAYS.index(card.get("plays", "hits")), seed, int(self.listens), cushion_frames,
            self._array([i.get("rest", 0.0) for i in card["inputs"]], np.float32),
            self._array([i.get("wander", 1.0) for i in card["inputs"]], np.float32),
            self._array([c.get("default", 0.5) for c in controls], np.float64),
            self._array([KINDS.index(c["kind"]) if c.get("kind") in KINDS else 0 for c in controls], np.int32),
            self._array([link[0] for link in links], np.int32), self._array([link[1] for link in links], np.int32),
            self._array([link[2] for link in links], np.float64), self._array([link[3] for link in links], np.float64),
            self._array([len(g) for g in gestures], np.int32), self._array([rows or (0, 0) for rows in self.sustain], np.int32),
            ctypes.addressof(pointers), match_gain_db(card),
            self.decoder.spec, self.encode.spec, self.prior.spec)

    @property
    def delay_frames(self) -> int:
        """Constant delay from a control to the sound, at the card's rate: the model's own plus the resampler's."""
        model = int(self.card.get("delay_frames", 0)) + (RESAMPLER_DELAY_FRAMES if self.out_rate_hz != self.sample_rate_hz else 0)
        return round(model * self.out_rate_hz / self.sample_rate_hz)

    @property
    def nan_values(self) -> int:
        """Values of the model that were not finite: of its output, played as zero, and of its encoder and prior, left out."""
        return self._count["nan_values"](self.handle)

    @property
    def missing_blocks(self) -> int:
        """Blocks that a foreign decoder did not bring in time, or failed at."""
        return self._count["missing_blocks"](self.handle)

    def set_patch(self, struct) -> None:
        self._set_patch(self.handle, ctypes.byref(struct))

    def set_row(self, row: int, cv_volts: np.ndarray, knobs: np.ndarray, drives: np.ndarray, level_db: float,
                source_volts: np.ndarray | None = None) -> None:
        """Controls of one hop of the next run: float64 [8], [32], [32]; of the modulators [8]."""
        sources = self._no_sources if source_volts is None else source_volts
        self._set_row(self.handle, row, cv_volts.ctypes.data, sources.ctypes.data, knobs.ctypes.data, drives.ctypes.data, level_db)

    def add_edge(self, frame: int, jack: int, rising: bool, cv_volts, source_volts=()) -> None:
        """An edge whose onset belongs to this model frame since the voice's start."""
        edge = _Edge(frame, jack, int(rising), (c_double * table.CV_JACKS)(*cv_volts), (c_double * table.MODULATORS)(*source_volts))
        self._add_edge(self.handle, ctypes.byref(edge))

    @property
    def input_frames(self) -> int:
        """Frames of the audio input that wait to be heard, at the model's rate; a run hears ``block_frames``."""
        return self._count["input_frames"](self.handle)

    def write_input(self, stereo: np.ndarray) -> None:
        """More of the audio input: float32 [frames, 2] at the card's rate, at most a second at once."""
        stereo = np.ascontiguousarray(stereo, np.float32)
        self._write_input(self.handle, stereo.ctypes.data, len(stereo))

    def render(self) -> np.ndarray:
        """One run: float32 [frames, 2] at the card's rate, valid until the next call."""
        return self._out[: self._render(self.handle, self._out.ctypes.data)]

    def close(self) -> None:
        """Free the compiled voice, and the workers of foreign decoders."""
        if self.handle:
            self._free(self.handle)
            self.handle = None
        for stage in (self.decoder, self.encode, self.prior):
            if not stage.spec.program and hasattr(stage.program, "close"):
                stage.program.close()


def match_gain_db(card: dict) -> float:
    """Gain that brings the model's measured loudness to ``TARGET_LUFS``; none where it was not measured."""
    lufs = card.get("loudness_lufs")
    if lufs is None:
        return 0.0
    return float(np.clip(TARGET_LUFS - lufs, -MATCH_LIMIT_DB, MATCH_LIMIT_DB))


def fitting_block(model, block_frames: int, method: str = "decode", encoder=None) -> int:
    """The largest program of the model that is no longer than the card's block, else its smallest; with an encoder, of the
    lengths that both have."""
    if method not in model.methods:
        raise ModelError(f"{model.path}: has no method {method}; it has {', '.join(model.methods)}")
    blocks = sorted(model.methods[method].blocks)
    if encoder is not None:
        blocks = [n for n in blocks if n in encoder.methods["encode"].blocks]
    return max([n for n in blocks if n <= block_frames], default=blocks[0])


def playing_method(card: dict) -> str:
    """The method that makes the sound."""
    return card.get("method", "decode")


def own_encoder(model):
    """The model itself where its ``encode`` can feed its ``decode``, else None."""
    try:
        return check_pair(model, model)
    except ModelError:
        return None


def check_pair(encoder, model):
    """``encoder``, when its ``encode`` can feed the model's ``decode``; else a ``ModelError`` that says what does not agree."""
    start = f"{encoder.path} cannot feed {model.path}"
    plays = playing_method(model.card)
    if "encode" not in encoder.methods or plays not in model.methods:
        raise ModelError(f"{start}: the one needs a method encode, the other {plays}")
    encode, decode = encoder.methods["encode"], model.methods[plays]
    rates = encoder.card.get("sample_rate_hz"), model.card.get("sample_rate_hz")
    for what, one, other in (("latents", encode.out_channels, decode.in_channels), ("frames a latent", encode.out_ratio, decode.in_ratio),
                             ("Hz", *rates)):
        if one != other:
            raise ModelError(f"{start}: {one} {what} against {other}; take a pair that agrees")
    if encode.in_ratio != 1:
        raise ModelError(f"{start}: its encode takes a value every {encode.in_ratio} frames, not audio")
    if not set(encode.blocks) & set(decode.blocks):
        raise ModelError(f"{start}: blocks of {', '.join(map(str, encode.blocks))} frames against {', '.join(map(str, decode.blocks))}; "
                         "lift both for one block length")
    return encoder


def prior_program(model, block_frames: int, shape: tuple[int, int]):
    """The model's ``prior`` at this block length where it fits the decoder's input ``shape``, else None."""
    method = model.methods.get("prior")
    if method is None or block_frames not in method.blocks:
        return None
    program = model.program("prior", block_frames)
    return program if tuple(program.out_shape) == shape else None
