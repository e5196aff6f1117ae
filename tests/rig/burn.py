"""Loads to play under: threads that fight for the interpreter's lock, and processes that keep a core busy.

    with gil_burners(2): ...                         # in this process
    env = {**os.environ, **burning_env(2, only="audio")}  # in a program started with it, and all it spawns
    with core_load([1]): ...                         # a full load on core 1

or ``python -m tests.rig.burn --cores 0,1 --seconds 60``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

#: Integer arithmetic, and every so often a walk through more memory than a cache holds, as a busy program does.
LOAD = """
import os, sys
if sys.argv[1] != "any": os.sched_setaffinity(0, {int(sys.argv[1])})
block = bytearray(32 << 20)
parent = os.getppid()
while os.getppid() == parent:
    x = 0
    for i in range(2_000_000): x = (x * 1103515245 + i) & 0x7fffffff
    block[:] = block[1:] + block[:1]
"""


def start_burners(threads: int, stop: threading.Event | None = None) -> list[threading.Thread]:
    """Daemon threads that never give up the interpreter's lock of their own accord, until ``stop`` is set."""
    stop = stop or threading.Event()

    def burn():
        x = 0
        while not stop.is_set():
            for i in range(100_000):
                x = (x * 1103515245 + i) & 0x7FFFFFFF

    burners = [threading.Thread(target=burn, daemon=True, name=f"burner {k}") for k in range(threads)]
    for burner in burners:
        burner.start()
    return burners


@contextlib.contextmanager
def gil_burners(threads: int = 2):
    """``threads`` burning threads in this process while the block runs."""
    stop = threading.Event()
    burners = start_burners(threads, stop)
    try:
        yield burners
    finally:
        stop.set()
        for burner in burners:
            burner.join()


def burning_env(threads: int = 2, only: str = "") -> dict[str, str]:
    """Environment under which every Python process starts burners of its own, those it spawns included.

    ``only``: comma-separated names; a process burns once one of them is in its name or command line (both change when
    a process takes its title, so it is asked for a while). Works through ``sitecustomize`` (see ``burning/``).
    """
    path = os.pathsep.join(filter(None, [str(HERE / "burning"), str(HERE.parents[1]), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "RIG_BURNERS": str(threads), "RIG_BURN_ONLY": only}


@contextlib.contextmanager
def core_load(cores=None):
    """A full load on each of ``cores`` (all this process may use, by default) while the block runs."""
    cores = sorted(os.sched_getaffinity(0)) if cores is None else list(cores)
    loads = [subprocess.Popen([sys.executable, "-S", "-c", LOAD, str(core)]) for core in cores]
    try:
        yield loads
    finally:
        for load in loads:
            load.kill()
        for load in loads:
            load.wait()


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rig.burn", description="Keep cores busy.")
    parser.add_argument("--cores", help="comma-separated core numbers (default: all)")
    parser.add_argument("--seconds", type=float, default=60, help="how long (default 60)")
    options = parser.parse_args(arguments)
    with core_load(None if options.cores is None else [int(core) for core in options.cores.split(",")]):
        time.sleep(options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
