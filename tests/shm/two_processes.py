"""The other side of the two-process tests: writers and readers that run in a process of their own.

``python -m tests.shm.two_processes ROLE FD SECONDS [SEED]``; each prints one JSON line at the end.
"""

import ctypes
import json
import os
import random
import signal
import sys
import time

import numpy as np

from neurorack.core import quick
from neurorack.shm.rack import Rack


def pattern(n: int) -> list[float]:
    """Eight values that belong together: a mixture is told at once."""
    return [float(n * 8 + i) for i in range(8)]


def write_controls(rack: Rack, seconds: float, seed: int) -> dict:
    end, n = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for _ in range(200):
            n += 1
            rack.write_controls(pattern(n), n & 3, n)
    return {"written": n}


def publish_edges(rack: Rack, seconds: float, seed: int) -> dict:
    """Edges numbered by their time, in bursts that stay within what the reader's 1024 places allow."""
    end, n, rng = time.monotonic() + seconds, 0, random.Random(seed)
    while time.monotonic() < end:
        for _ in range(rng.randrange(1, 200)):
            rack.publish_edge(n & 1, n % 3 == 0, n, pattern(n))
            n += 1
        time.sleep(rng.random() * 0.004)
    return {"published": n}


def push_frames(rack: Rack, seconds: float, seed: int) -> dict:
    """Frames that count: left = number modulo 2^20, right = its negative."""
    end, n, rng = time.monotonic() + seconds, 0, random.Random(seed)
    while time.monotonic() < end:
        count = rng.randrange(1, 3000)
        ramp = ((n + np.arange(count)) % (1 << 20)).astype(np.float32)
        n += rack.rings[0].push(np.stack([ramp, -ramp], 1))
        if rng.random() < 0.02:
            time.sleep(rng.random() * 0.003)
    return {"pushed": n}


def die_in_controls(rack: Rack, seconds: float, seed: int) -> dict:
    rack.write_controls(pattern(5), 1, 5)
    quick("nr_write_begin", None, ctypes.c_void_p)(rack.controls.address("seq"))
    rack.controls.cv_volts[0] = 1e9     # half a write
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def die_in_edge(rack: Rack, seconds: float, seed: int) -> dict:
    rack.publish_edge(0, True, 1, pattern(1))
    quick("nr_edge_publish_half", None, ctypes.c_void_p, ctypes.c_uint32)(rack.base, 1)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def die_in_ring(rack: Rack, seconds: float, seed: int) -> dict:
    rack.rings[0].push(np.ones((100, 2)))
    rack.ring[0].frames[200:400] = 7.0   # frames beyond head: written, never counted
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


if __name__ == "__main__":
    role, fd, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(globals()[role](Rack.attach(fd), seconds, int(sys.argv[4]) if len(sys.argv) > 4 else 0)))
