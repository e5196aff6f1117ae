"""The modulators of a score: the compiled bank of the inputs process, run at the times at which a board would scan.

Their volts depend on the score and the seed alone, not on block sizes.
"""

from __future__ import annotations

import ctypes

import numpy as np

from neurorack.core import declare
from neurorack.inputs.sources_bank import Bank
from neurorack.shm import table

SCAN_NS = 500_000          # as often as the boards scan
BEGIN_NS = 1_000_000_000   # the score's time 0
CHUNK_SCANS = 20_000       # at once in memory
_P, _I64, _U64 = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64

CHANGE = np.dtype([("ns", np.int64), ("gate", np.uint32), ("high", np.uint32)])     # ``nr_gate_change``


def play(settings: dict[str, dict], seed: int, times: np.ndarray, cv_volts, edges, settle_seconds: float,
         tempo_bpm: float | None = None) -> np.ndarray:
    """Volts of mod1..mod8 at these times (seconds, rising), float64 [len(times), 8].

    Args:
        settings: name -> as ``sources.parse`` gives it.
        cv_volts: ``cv_volts(times)`` -> volts of the first jacks, float64 [len(times), jacks].
        edges: of the gates, ``score.GateEdge`` in order of time; heard ``settle_seconds`` later, when a scan is made for each.
        tempo_bpm: of a clock that begins at 0; None: there is none.
    """
    wanted = np.round(np.asarray(times) * 1e9).astype(np.int64) + BEGIN_NS
    out = np.zeros((len(wanted), table.MODULATORS))
    if not settings or not len(wanted):
        return out
    settle_ns = round(settle_seconds * 1e9)
    changes = np.array([(round(e.at_seconds * 1e9) + BEGIN_NS, e.jack, e.rising) for e in edges], CHANGE)
    scans = np.unique(np.concatenate([np.arange(BEGIN_NS, wanted[-1] + SCAN_NS, SCAN_NS, np.int64), changes["ns"] + settle_ns]))
    last = np.searchsorted(scans, wanted, "right") - 1      # whoever looks finds the latest scan
    run = declare("nr_source_bank_play", None, _P, _P, _P, _U64, _P, _U64, _I64, _I64, ctypes.c_double, _P)
    bank = Bank()
    bank.set(settings, seed)
    heard = np.searchsorted(changes["ns"] + settle_ns, scans, "right")      # changes that each scan and those before it have heard
    try:
        for begin in range(0, len(scans), CHUNK_SCANS):
            ns = scans[begin: begin + CHUNK_SCANS]
            cv = np.zeros((len(ns), table.CV_JACKS))
            known = cv_volts((ns - BEGIN_NS) / 1e9)
            cv[:, : known.shape[1]] = known
            made = np.zeros((len(ns), table.MODULATORS))
            before = heard[begin - 1] if begin else 0
            new = np.ascontiguousarray(changes[before: heard[begin + len(ns) - 1]])
            run(bank.handle, ns.ctypes.data, cv.ctypes.data, len(ns), new.ctypes.data, len(new), settle_ns, BEGIN_NS,
                60e9 / tempo_bpm if tempo_bpm else 0.0, made.ctypes.data)
            ours = (last >= begin) & (last < begin + len(ns))
            out[ours] = made[last[ours] - begin]
    finally:
        bank.close()
    return out
