"""``neurorack bench``: how fast this machine plays a model, and how quickly values cross between processes."""

from __future__ import annotations

import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from neurorack import library
from neurorack.engine import denormals_off, isa
from neurorack.importer.players import load_model
from neurorack.shm.rack import Rack
from neurorack.voice.patch import default_patch
from neurorack.voice.voice import Voice, playing_method

SECONDS_EACH = 1.0


def measure_voice(model, block_frames: int, seconds: float | None = None) -> dict:
    """Block times of the whole voice (modulation, decoder, output stage) with a hit every quarter of a second."""
    voice = Voice(model, block_frames, int(model.card["sample_rate_hz"]))
    voice.set_patch(default_patch(model.card).to_struct(model.card["controls"]))
    zeros, rate = np.zeros(8), voice.sample_rate_hz
    knobs = np.array(default_patch(model.card).to_struct(model.card["controls"]).knob)
    for row in range(voice.rows):
        voice.set_row(row, zeros, knobs, np.zeros(32), 0.0)
    times, frame, next_hit = [], 0, 0
    end = time.perf_counter() + (seconds or SECONDS_EACH)
    while time.perf_counter() < end or len(times) < 50:
        if frame >= next_hit:
            voice.add_edge(frame + voice.hop_frames, 0, True, zeros)
            next_hit += rate // 4
        began = time.perf_counter()
        voice.render()
        times.append(time.perf_counter() - began)
        frame += voice.block_frames
    voice.close()
    block_us = 1e6 * voice.block_frames / rate
    median, p99 = (float(np.percentile(times[10:], p)) * 1e6 for p in (50, 99))
    return {"block_frames": voice.block_frames, "block_us": round(block_us, 1), "median_us": round(median, 2), "p99_us": round(p99, 2),
            "load_median": round(median / block_us, 5), "load_p99": round(p99 / block_us, 5), "rtf": round(block_us / median, 1)}


def measure_shared_memory() -> dict:
    """Microseconds for one control through the shared block."""
    rack = Rack.create(sample_rate_hz=48000, block_frames=64)

    def each(call, count=20000):
        runs = []
        for _ in range(7):
            began = time.perf_counter()
            for _ in range(count):
                call()
            runs.append((time.perf_counter() - began) / count * 1e6)
        return round(float(np.median(runs)), 4)

    return {"read_us": each(lambda: rack.get_cv(1)), "write_us": each(lambda: rack.set_cv(1, 2.5)),
            "snapshot_us": each(rack.read_controls, 5000)}


def measure(model_name: str | None = None, seconds: float | None = None) -> dict:
    """All figures of ``neurorack bench --json``. ``rtf`` is seconds of audio per second of work: more is faster."""
    path = library.find(model_name)
    model = load_model(path)
    with apart() as thread:
        blocks = [thread.submit(measure_voice, model, block, seconds).result() for block in model.methods[playing_method(model.card)].blocks]
    return {"machine": platform.machine(), "processor": processor(), "cores": os.cpu_count(), "python": platform.python_version(),
            "isa": isa(), "model": model.card.get("name"), "model_bytes": path.stat().st_size, "weight_bytes": getattr(model, "weight_bytes", None),
            "blocks": blocks, "shared_memory": measure_shared_memory()}


def apart() -> ThreadPoolExecutor:
    """A thread of its own to measure in: denormals count as zero there, and our floating-point mode stays."""
    return ThreadPoolExecutor(1, initializer=denormals_off)


def processor() -> str:
    """This machine's processor, or the board where it says so."""
    try:
        lines = open("/proc/cpuinfo").read().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.processor()


def table(figures: dict) -> str:
    """The figures for a person."""
    shared = figures["shared_memory"]
    lines = [f"{figures['model']} on {figures['processor']} ({figures['machine']}, {figures['cores']} cores), kernels for {figures['isa']}", "",
             "block   median      p99         load of one core    times real time"]
    for row in figures["blocks"]:
        lines.append(f"{row['block_frames']:5d}  {row['median_us']:7.1f} us  {row['p99_us']:7.1f} us   {100 * row['load_median']:6.2f} % "
                     f"({100 * row['load_p99']:.2f} %)  {row['rtf']:7.1f}")
    lines += ["", f"one control through shared memory: read {shared['read_us']:.2f} us, write {shared['write_us']:.2f} us, whole snapshot {shared['snapshot_us']:.2f} us"]
    return "\n".join(lines)
