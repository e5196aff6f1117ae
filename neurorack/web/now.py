"""What moves, read straight from the shared block: meters, jacks, controls, the scope and the display's picture."""

from __future__ import annotations

import ctypes
import math
import struct
import zlib

import numpy as np

from neurorack import core
from neurorack.shm import table

FRAME, SCOPE = 1, 2               # first byte of a binary message
BITS, RGB = 1, 3
SCOPE_FRAMES, SEARCH_FRAMES = 512, 512      # shown, and before them to look for a rising zero crossing
METER_FRAMES = 3200               # of the meters at most: 1/15 s at 48 kHz
SILENT = 3e-5                     # below that the scope rests: -90 dBFS
ZLIB_LEVEL = 1
_HEAD = struct.Struct("<BBBxHH")


def seen(value, digits: int = 3) -> float | None:
    """As precise as can be seen; None for what is no number (JSON has none)."""
    value = float(value)
    return round(value, digits) if math.isfinite(value) else None


class Moving:
    """Looks at one instrument. Each call is well under a millisecond."""

    def __init__(self, rack, cv_jacks: int, gate_jacks: int):
        self.rack, self.cv_jacks, self.gate_jacks = rack, cv_jacks, gate_jacks
        self.edges = rack.edge_reader()
        self.hits = [0] * gate_jacks
        self._read = core.declare("nr_scope_read", ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)
        self._copy = core.declare("nr_seqlock_copy", ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)
        self._sound = np.zeros((METER_FRAMES, 2), np.float32)
        self._seen_frames, self._number, self._silent = rack.scope.head_frames, None, True
        self.controls = [0, 0]         # how many each slot's model has, as far as was told
        self._at, _, _ = rack.places["panel", "seq"]
        self._panel = np.zeros(rack.places["panel", "pixels"][0] - self._at + table.PANEL_BYTES, np.uint8)

    # -- numbers

    def values(self) -> dict:
        """The fields of ``now`` as they stand, rounded to what can be seen."""
        rack, audio = self.rack, self.rack.audio
        while edge := self.edges.next():
            if edge.rising and edge.jack < self.gate_jacks:
                self.hits[edge.jack] += 1
        controls, inputs = rack.read_controls(), rack.inputs
        peak, rms = self._meters()
        panel = rack.panel
        found = {
            "hits": list(self.hits), "peak": peak, "rms": rms, "input": [seen(level) for level in audio.input_peak],
            "mix": seen(audio.mix), "load": seen(max(synth.load if synth.playing else 0.0 for synth in rack.synth), 2),
            "underruns": sum(int(late) for slot in rack.underruns for late in slot.late),
            "clock": [inputs.clock_running, seen(inputs.tempo_bpm, 1), inputs.clock_pulses],
            "A": self._slot(0), "B": self._slot(1), "led": [panel.led >> 16 & 255, panel.led >> 8 & 255, panel.led & 255], "light": panel.light,
        }
        if controls:
            volts, high, _ = controls
            found["mods"] = [seen(volt, 2) for volt in rack.controls.source_volts]
            found["cv"] = [seen(volt, 2) for volt in volts[:self.cv_jacks]]
            found["gates"] = [bool(high >> gate & 1) for gate in range(self.gate_jacks)]
        return found

    def _slot(self, index: int) -> dict | None:
        synth = self.rack.synth[index]
        if not synth.playing:
            return None
        return {"controls": [seen(value) for value in synth.control[:self.controls[index]]], "gesture": synth.gesture, "frozen": bool(synth.frozen),
                "playing": synth.playing == 1}

    def _meters(self) -> tuple[list[float], list[float]]:
        """Peak and level of what was played since the last call, of its newest ``METER_FRAMES`` at most."""
        head = self.rack.scope.head_frames
        count = min(METER_FRAMES, head - self._seen_frames)
        self._seen_frames = head
        if count <= 0 or not self._read(self.rack.base, self._sound.ctypes.data, count):
            return [0.0, 0.0], [0.0, 0.0]
        sound = self._sound[:count]
        peak = np.abs(sound).max(axis=0)
        rms = np.sqrt(np.einsum("ij,ij->j", sound, sound) / count)
        return [seen(level) for level in peak], [seen(level) for level in rms]

    # -- pictures

    def scope(self) -> bytes | None:
        """The scope's message; None while it rests."""
        count = SCOPE_FRAMES + SEARCH_FRAMES
        if not self._read(self.rack.base, self._sound.ctypes.data, count):
            return None
        sound = self._sound[:count]
        silent, before = bool(np.abs(sound).max() < SILENT), self._silent
        self._silent = silent
        if silent and before:
            return None
        left = sound[:SEARCH_FRAMES, 0]
        rises = np.flatnonzero((left[:-1] < 0) & (left[1:] >= 0))
        first = int(rises[-1]) + 1 if len(rises) else SEARCH_FRAMES
        shown = np.clip(sound[first:first + SCOPE_FRAMES] * 32767, -32767, 32767).astype("<i2")
        return bytes((SCOPE, 0, 0, 0)) + shown.tobytes()

    def frame(self) -> bytes | None:
        """The display's message if its picture is another than at the last call; None if not, or without a display."""
        panel = self.rack.panel
        if panel.number == self._number or not panel.width:
            return None
        start, size = self.rack.places["panel", "pixels"][0] - self._at, panel.width * panel.height * panel.channels
        if size > table.PANEL_BYTES or not self._copy(panel.address("seq"), panel.address("seq"), self._panel.ctypes.data, (start + size + 7) // 8 * 8):
            return None
        number, width, height, channels = (self._field(name) for name in ("number", "width", "height", "channels"))
        if channels not in (BITS, RGB) or width * height * channels != size:
            return None
        self._number = number
        return picture(self._panel[start:start + size].reshape(height, width, channels))

    def _field(self, name: str) -> int:
        """Of the copy."""
        at = self.rack.places["panel", name][0] - self._at
        return int(self._panel[at:at + 4].view(np.uint32)[0])


def picture(pixels: np.ndarray) -> bytes:
    """A display's message from its pixels, u8 [height, width, 1 or 3], 0..255."""
    height, width, channels = pixels.shape
    if channels == BITS:
        return _HEAD.pack(FRAME, BITS, 0, width, height) + np.packbits(pixels[:, :, 0] > 127, axis=1).tobytes()
    return _HEAD.pack(FRAME, RGB, 1, width, height) + zlib.compress(pixels.tobytes(), ZLIB_LEVEL)
