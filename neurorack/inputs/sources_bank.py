"""The modulators as they run: ``sources.c`` from Python. In the inputs process one bank works on the shared block; others are free."""

from __future__ import annotations

import ctypes

import numpy as np

from neurorack.core import declare, quick
from neurorack.inputs.sources import SourcesStruct, to_struct
from neurorack.shm import table

_P, _U32, _I64, _D = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int64, ctypes.c_double


class Beats(ctypes.Structure):
    """``nr_beats`` of sources.h: the clock as it stands; times in nanoseconds."""

    _fields_ = [("running", _U32), ("pulses", ctypes.c_uint64), ("pulse_ns", _D), ("period_ns", _D), ("pulses_per_beat", _D)]


class Bank:
    """Eight modulators.

    Args:
        rack: the shared block whose settings they take, whose clock they follow and in which they stand; None: their own.
    """

    def __init__(self, rack=None):
        self._free = declare("nr_source_bank_free", None, _P)
        handle = declare("nr_source_bank_new", _P, _P)(rack and rack.base)
        if not handle:
            raise MemoryError("no memory for the modulators")
        self.handle = _P(handle)
        self._gate = quick("nr_source_bank_gate", None)
        self._set = declare("nr_source_bank_set", None, _P, _P)
        self._run = quick("nr_source_bank_run", None)
        self._beats, self._volts = Beats(), (_D * table.ROUTED_JACKS)()

    def gate(self, gate: int, high: bool, ns: int) -> None:
        """The next run hears this change of a gate (0 = gate1), which was at ``ns``."""
        self._gate(self.handle, _U32(gate), _U32(high), _I64(ns))

    def set(self, settings: dict[str, dict] | SourcesStruct, seed: int = 0) -> None:
        """From the next run on; ``settings``: name -> as ``sources.parse`` gives it."""
        struct = settings if isinstance(settings, SourcesStruct) else to_struct(settings, seed)
        self._set(self.handle, ctypes.byref(struct))

    def run(self, ns: int, cv_volts=(), beats: Beats | None = None) -> np.ndarray:
        """On to ``ns``, which is more than 0: volts of mod1..mod8, float64 [8]. ``cv_volts``: of the jacks."""
        self._volts[: len(cv_volts)] = list(cv_volts)
        self._run(self.handle, ctypes.byref(beats or self._beats), self._volts, _I64(ns))
        return np.array(self._volts[table.CV_JACKS:])

    def close(self) -> None:
        """Free the compiled bank."""
        if self.handle:
            self._free(self.handle)
            self.handle = None
