"""The panel beside a loaded instrument: from a detent to changed pixels, detents lost, processor time, underruns with and without it.

``python benchmarks/panel.py [--seconds 30] [--rounds 2] [--block 128]`` as root or with real-time rights.

* The instrument plays on the paced fake card, a model in each slot, while a full load keeps the other core busy. Its board is ``pi`` with
  simulated chips, so the pixels lie in the memory of a simulated SSD1306 and the detents come from its encoder's lines, and ``desk`` with a
  colour display of 240x240.
* **Detent to pixels**: from the edge of the detent (or the request) to the changed picture, in the display's memory and the shared block.
* **Lost**: detents told at 500 a second, both ways, against those the panel counted.
* **Processor time**: the process's own, of one core, on Home (everything moves) and in the menu (nothing does), with the simulation of its chips inside.
* **Underruns** of the ring by rounds with the panel and with ``--display none``, in turns, and the machine's own stalls longer than a block.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.realtime import playing  # noqa: E402
from neurorack import control  # noqa: E402
from neurorack.panel import frame  # noqa: E402
from tests.rig.burn import core_load  # noqa: E402
from tests.rig.card import FakeCard  # noqa: E402
from tests.rig.stalls import StallLog  # noqa: E402

DISPLAYS = {"pi": ("--board", "pi", "--simulated"), "desk 240x240": ("--board", "desk", "--display", "240")}
QUIET = ("--web", "none", "--midi", "none")
TURNS, DETENTS_PER_S, BURST_SECONDS = 120, 500, 4.0
TARGETS = {"detent_to_pixels_ms": 50, "lost": 0, "cores": 0.10}


class Talk:
    """One connection to the instrument, kept open."""

    def __init__(self, pid: int):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(control.socket_path(pid)))
        self._lines = self._socket.makefile("rb")

    def __call__(self, **request) -> dict:
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(self._lines.readline())


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process so far."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def share(rack, seconds: float) -> float:
    """Of one core, that the panel takes."""
    began, before = time.monotonic(), cpu_seconds(rack.panel.pid)
    time.sleep(seconds)
    return (cpu_seconds(rack.panel.pid) - before) / (time.monotonic() - began)


def screen(rack, name: str, ask) -> None:
    """Go there: Home, or the menu."""
    deadline = time.monotonic() + 30
    while (shown := frame.read(rack)) is None or shown.screen != name:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the panel did not come to {name}")
        if shown and shown.screen != "start":
            ask(do="panel", press=True)
            time.sleep(0.1 if (name, shown.screen) == ("main", "home") else 2.3 if name == "home" else 0.5)
            ask(do="panel", press=False)
        time.sleep(0.5)


def look(rack) -> frame.Frame:
    """The frame; waits while it is being written."""
    while (shown := frame.read(rack)) is None:
        time.sleep(0.0005)
    return shown


def latencies(rack, turn) -> list[float]:
    """Milliseconds from a detent to the picture that shows it, in the menu."""
    found, rng = [], random.Random(1)
    for number in range(TURNS):
        time.sleep(rng.uniform(0.12, 0.2))
        before = look(rack)
        turn(1 if number % 2 == 0 else -1)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            shown = look(rack)
            if shown.number != before.number and shown.event_ns > before.event_ns and not np.array_equal(shown.pixels, before.pixels):
                found.append((shown.drawn_ns - shown.event_ns) / 1e6)
                break
            time.sleep(0.001)
    return found


def lost(rack, turn) -> dict:
    """Detents at 500 a second: told, counted, and at which rate they really were."""
    before, count, began = rack.panel.detents, round(BURST_SECONDS * DETENTS_PER_S), time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / DETENTS_PER_S - time.monotonic()))
        turn(1 if number // 50 % 2 == 0 else -1)
    rate = count / (time.monotonic() - began)
    deadline = time.monotonic() + 5
    while rack.panel.detents - before < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return {"told": count, "lost": count - (rack.panel.detents - before), "a_second": round(rate)}


def hand_at(pid: int, ask):
    """Turns the encoder where the board has a simulated one, else asks."""
    from neurorack.drivers import board as boards
    from neurorack.simbus.bus import SimBus
    from neurorack.simbus.wires import SimWires

    link = next((link for link in Path(f"/proc/{pid}/fd").iterdir() if "neurorack-simbus" in os.readlink(link)), None)
    if link is None:
        return lambda steps: ask(do="panel", turn=steps)
    wires = SimWires.__new__(SimWires)
    wires.settings, wires.sim = boards.load("pi"), SimBus(str(link))
    return wires.turn


def one(options: tuple[str, ...], block: int, seconds: float) -> dict:
    """All figures of one display."""
    with tempfile.TemporaryDirectory() as name, FakeCard(Path(name)) as card, core_load([os.cpu_count() - 1]):
        with playing(Path(name), card, "--block", block, *QUIET, *options) as (run, rack):
            ask = Talk(run.pid)
            ask(do="load", slot="B", model="impacts")
            ask(do="mix", value=0.5)
            time.sleep(3)
            turn = hand_at(run.pid, ask)
            screen(rack, "main", ask)
            times = latencies(rack, turn)
            menu = share(rack, seconds / 4)
            counts = lost(rack, turn)
            screen(rack, "home", ask)
            number, sent, began = rack.panel.number, rack.panel.chip_bytes, time.monotonic()
            home = share(rack, seconds)
            passed = time.monotonic() - began
            return {"detent_to_pixels_ms": {"median": round(statistics.median(times), 1), "p95": round(float(np.percentile(times, 95)), 1), "turns": len(times)},
                    "detents": counts, "cores_home": round(home, 3), "cores_menu": round(menu, 3), "frames_a_second": round((rack.panel.number - number) / passed, 1),
                    "chip_bytes_a_second": round((rack.panel.chip_bytes - sent) / passed), "synth_load": round(float(rack.synth[0].load + rack.synth[1].load), 3)}


def underruns(block: int, seconds: float, rounds: int) -> dict:
    """Underruns of the ring and stalls of the machine, with the panel and without, in turns."""
    found = {kind: {"seconds": 0.0, "ring_underruns": 0, "stalls": 0} for kind in ("with", "without")}
    with core_load([os.cpu_count() - 1]):
        for _ in range(rounds):
            for kind, options in (("with", ()), ("without", ("--display", "none"))):
                with tempfile.TemporaryDirectory() as name, FakeCard(Path(name)) as card, playing(Path(name), card, "--block", block, *QUIET, *options) as (run, rack):
                    time.sleep(3)
                    before = sum(int(sum(slot.late)) for slot in rack.underruns)
                    with StallLog(500) as log:
                        time.sleep(seconds)
                    found[kind]["seconds"] += seconds
                    found[kind]["ring_underruns"] += sum(int(sum(slot.late)) for slot in rack.underruns) - before
                    block_us = 1e6 * block / rack.header.sample_rate_hz
                    found[kind]["stalls"] += sum(stall.us > block_us for stall in log.stalls())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--block", type=int, default=128)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "panel.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        places = {name: str(Path(home) / name) for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME")}
        for place in places.values():
            Path(place).mkdir()
        os.environ.update(places)
        figures = {name: one(options, arguments.block, arguments.seconds) for name, options in DISPLAYS.items()}
        figures["underruns"] = underruns(arguments.block, arguments.seconds, arguments.rounds)
    with contextlib.suppress(OSError):
        figures["load_average"] = os.getloadavg()[0]
    arguments.out.write_text(json.dumps({"block": arguments.block, "targets": TARGETS, **figures}, indent=1) + "\n")
    print("\n| display | detent to pixels, median (p95) | lost of detents at 500/s | core on Home | in the menu | frames/s | bytes/s to the chip |\n|---|---|---|---|---|---|---|")
    for name in DISPLAYS:
        told = figures[name]
        print(f"| {name} | {told['detent_to_pixels_ms']['median']} ms ({told['detent_to_pixels_ms']['p95']}) | {told['detents']['lost']} of {told['detents']['told']} "
              f"| {100 * told['cores_home']:.1f} % | {100 * told['cores_menu']:.1f} % | {told['frames_a_second']} | {told['chip_bytes_a_second']} |")
    print("\n" + json.dumps(figures["underruns"]))


if __name__ == "__main__":
    main()
