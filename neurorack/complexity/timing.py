"""Times of programs on this machine, by the clock on the wall and by the processor time of the thread.

The *least* time of a run is the least over bursts that take turns with those of other programs, in processor time: what the
machine can do where nobody disturbs it, and what prices are fitted to. *Median* and *p99* are of single blocks by the clock on
the wall, as in ``neurorack bench``: what a player gets here and now.
"""

from __future__ import annotations

import time

import numpy as np

from ..bench import apart
from ..engine import native
from .models import opened

BURST_NS = 300_000
ROUNDS = 9
SECONDS_EACH = 1.0


def bursts(programs, rounds: int = ROUNDS, burst_ns: float = BURST_NS) -> np.ndarray:
    """Nanoseconds a run, [rounds, programs]: the processor time of bursts of ``burst_ns`` (one run at least), taken in turns."""
    repeat = native.functions().repeat
    handles = [program.handle for program in programs]
    counts = []
    for handle in handles:
        repeat(handle, 3)
        began = time.thread_time_ns()
        repeat(handle, 5)
        counts.append(max(1, round(burst_ns * 5 / max(1, time.thread_time_ns() - began))))
    taken = np.empty((rounds, len(handles)))
    for turn in taken:
        for i, (handle, n) in enumerate(zip(handles, counts)):
            repeat(handle, 1)                       # its weights come back to the cache
            began = time.thread_time_ns()
            repeat(handle, n)
            turn[i] = (time.thread_time_ns() - began) / n
    return taken


def _walls(program, seconds: float) -> np.ndarray:
    """Nanoseconds of single blocks by the clock on the wall."""
    run, handle, taken = native.functions().run, program.handle, []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < 50:
        began = time.perf_counter_ns()
        run(handle)
        taken.append(time.perf_counter_ns() - began)
    return np.array(taken[len(taken) // 10:], float)


def excited(program, seed: int = 1):
    """The program with an input that lets every source sound: numbers between 0.2 and 0.8."""
    program.input[:] = np.random.default_rng(seed).uniform(0.2, 0.8, program.in_shape)
    return program


def player(program):
    """A call that plays one block."""
    run, handle = native.functions().run, program.handle
    return lambda: run(handle)


def least_us(programs) -> list[float]:
    """The least time of each, taken in turns, in microseconds."""
    with apart() as thread:
        return [float(ns) / 1000 for ns in thread.submit(bursts, programs).result().min(axis=0)]


def measure(model, method: str = "decode", block_frames: int | None = None, seconds: float | None = None) -> list[dict]:
    """Block times of a method, for every block length or one. ``model`` as in ``count``; ``seconds`` for each.

    Keys: ``block_frames``, ``block_us``, ``least_us``, ``median_us``, ``p99_us``, ``load_median`` and ``load_p99`` (shares of the block), ``rtf``.
    """
    model = opened(model)
    rate = int(model.card.get("sample_rate_hz") or 48000)
    blocks = [block_frames] if block_frames else list(model.methods[method].blocks) if method in model.methods else [0]
    programs = [excited(model.program(method, block)) for block in blocks]
    with apart() as thread:
        least = thread.submit(bursts, programs).result().min(axis=0)
        walls = [thread.submit(_walls, program, SECONDS_EACH if seconds is None else seconds).result() for program in programs]
    return [_figures(block, rate, *times) for block, *times in zip(blocks, least, walls)]


def _figures(block: int, rate: int, least: float, walls: np.ndarray) -> dict:
    block_us = 1e6 * block / rate
    median, p99 = (float(np.percentile(walls, p)) / 1000 for p in (50, 99))
    return {"block_frames": block, "block_us": round(block_us, 1), "least_us": round(least / 1000, 2), "median_us": round(median, 2),
            "p99_us": round(p99, 2), "load_median": round(median / block_us, 5), "load_p99": round(p99 / block_us, 5),
            "rtf": round(block_us / median, 1)}
