"""One side of the ring's race, in a process of its own: ``python -m tests.shm.race ROLE FD LIBRARY SECONDS SEED OUT``."""

import ctypes
import sys
import threading

import numpy as np

from neurorack.shm import table
from neurorack.shm.rack import Rack

ROOM = 4_000_000
TALLY = ("frames", "noted", "refused", "misplaced", "partial")
_P, _U64 = ctypes.c_void_p, ctypes.c_uint64


def main(role: str, fd: str, library: str, seconds: str, seed: str, out: str) -> None:
    rack, race = Rack.attach(int(fd)), ctypes.CDLL(library)
    ring = rack.ring[0]
    at = [ring.address(name) for name in ("head_frames", "tail_frames", "claim_frames", "frames")]
    notes, tally, stop = np.zeros((ROOM, 2), np.uint64), np.zeros(len(TALLY), np.uint64), ctypes.c_uint32(0)
    shared = [_P(a) for a in at] + [_U64(table.RING_CAPACITY_FRAMES), ctypes.byref(stop), _U64(int(seed))]
    rest = [notes.ctypes.data_as(_P), _U64(ROOM), tally.ctypes.data_as(_P)]
    timer = threading.Timer(float(seconds), lambda: setattr(stop, "value", 1))
    timer.start()
    if role == "produce":
        race.race_produce(*shared, _U64(4), *rest)
    else:
        race.race_consume(*shared, *rest)
    timer.cancel()
    np.savez(out, notes=notes[:int(tally[1])], **{name: int(value) for name, value in zip(TALLY, tally)})


if __name__ == "__main__":
    main(*sys.argv[1:])
