"""A board's CV jacks as ``condition.c`` wants them, made of its settings and its calibration."""

from __future__ import annotations

import ctypes

from neurorack.core import quick
from neurorack.inputs import quantise
from neurorack.inputs.calibration import Correction
from neurorack.inputs.settings import RANGES, CvSettings
from neurorack.shm import table

HALF_SEMITONE_OCTAVES = 1 / 24
OPEN_WITHIN_VOLTS = 0.02
_D = ctypes.c_double
_STATE = ("smoothed", "note", "last_ns", "open_since_ns", "primed", "noted", "unpatched")


class JackStruct(ctypes.Structure):
    """``nr_jack`` of condition.h."""

    _fields_ = [(name, _D) for name in ("gain", "offset_volts", "low_volts", "high_volts", "deadzone_volts", "smooth_ns", "step_volts",
                                        "volts_per_octave", "normal_volts", "unpatched_volts", "unpatched_within_volts")] + [
        ("scale", ctypes.c_uint32), ("root", ctypes.c_int32), ("smoothed", _D), ("note", _D), ("last_ns", ctypes.c_int64),
        ("open_since_ns", ctypes.c_int64), ("primed", ctypes.c_uint32), ("noted", ctypes.c_uint32), ("unpatched", ctypes.c_uint32),
        ("pad", ctypes.c_uint32)]


class Conditioner:
    """Converted volts in, jack volts out.

    Args:
        cv: the board file's ``cv`` section.
    """

    def __init__(self, cv: dict):
        self.cv, self.jacks = cv, cv["jacks"]
        self._array = (JackStruct * table.CV_JACKS)()
        self._converted, self._own, self._volts = (_D * table.CV_JACKS)(), (_D * table.CV_JACKS)(), (_D * table.ROUTED_JACKS)()
        self._condition, self._scan = quick("nr_condition", None), quick("nr_inputs_scan", None)
        self._count, self._held = ctypes.c_uint32(self.jacks), False
        self.use([CvSettings()] * self.jacks, [Correction()] * self.jacks)

    def use(self, settings: list[CvSettings], corrections: list[Correction]) -> None:
        """From the next scan on; filters go on where they stand."""
        board_range, open_volts = self.cv["range_volts"], self.cv.get("unpatched_volts")
        for i, (one, correction) in enumerate(zip(settings, corrections)):
            state = {name: getattr(self._array[i], name) for name in _STATE}
            if not state["primed"] and not self._held:
                self._own[i] = self._volts[i] = one.normal_volts      # until its converter says something
            low, high = RANGES[one.range] or board_range
            self._array[i] = JackStruct(
                gain=correction.gain, offset_volts=correction.offset_volts, low_volts=low, high_volts=high, deadzone_volts=one.deadzone_volts,
                smooth_ns=one.smooth_ms * 1e6, step_volts=HALF_SEMITONE_OCTAVES * one.volts_per_octave, volts_per_octave=one.volts_per_octave,
                normal_volts=one.normal_volts, unpatched_volts=open_volts or 0.0,
                unpatched_within_volts=OPEN_WITHIN_VOLTS if one.detect_unpatched and open_volts is not None else 0.0,
                scale=quantise.mask(one.scale), root=quantise.root(one.root), **state)

    def hold(self, volts: list[float]) -> None:
        """Begin from these volts of the jacks themselves, as after a restart."""
        self._own[: self.jacks], self._held = volts[: self.jacks], True
        self._volts[: self.jacks] = volts[: self.jacks]

    @property
    def volts(self) -> list[float]:
        """The last scan's: of all eight jacks, then of the modulators."""
        return list(self._volts)

    def condition(self, converted: list[float], ns: int) -> list[float]:
        """One scan, published nowhere."""
        self._converted[: self.jacks] = converted
        self._condition(self._array, self._count, self._converted, self._own, ctypes.c_int64(ns))
        return list(self._own[: self.jacks])

    def publish(self, base: ctypes.c_void_p, sources: ctypes.c_void_p, converted: list[float] | None, gates_high: int, ns: int) -> None:
        """One scan into the shared block at ``base``, with the modulators' bank. Without converted volts the jacks hold, and
        the modulators go on."""
        if converted is not None:
            self._converted[: self.jacks] = converted
        self._scan(base, sources, self._array, self._count, None if converted is None else self._converted, self._own, self._volts,
                   ctypes.c_uint32(gates_high), ctypes.c_int64(ns))
