"""The jacks as the inputs process sees them: the running instrument's, or, where none plays, one started for the while.

Either way the chips are read by the inputs process alone, so nothing here disturbs what plays.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from neurorack import runfiles
from neurorack.drivers import board as boards
from neurorack.errors import BoardError, NeurorackError
from neurorack.process import spawn, tell
from neurorack.shm import table
from neurorack.shm.rack import Rack

START_SECONDS, STALE_SECONDS = 20.0, 1.0
SIMULATED = "-simulated"


class Jacks:
    """``name``: under which calibration and settings are kept; ``wires`` move the jacks where we simulate them, else None."""

    def __init__(self, rack: Rack, board: dict, name: str, wires=None, plays: bool = False):
        self.rack, self.board, self.name, self.wires, self.plays = rack, board, name, wires, plays

    @property
    def cv_names(self) -> list[str]:
        return [f"cv{i + 1}" for i in range(self.board["cv"]["jacks"])]

    @property
    def gate_names(self) -> list[str]:
        return [f"gate{i + 1}" for i in range(self.board["gates"]["jacks"])]

    def where(self) -> str:
        """For people."""
        how = "of the instrument that plays" if self.plays else "read for this alone; no instrument plays"
        return f"board {self.name}, {how}"

    def scans(self, seconds: float, skip_seconds: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Every scan of the next ``seconds``, the first ``skip_seconds`` left out: times int64 [n] in ns, converted volts
        float32 [n, 8]. Raises ``BoardError`` when no scans come."""
        section, times, rows = self.rack.inputs, [], []
        all_ns = section.raw_ns
        all_volts = section.raw_volts.reshape(table.RAW_SCANS, table.CV_JACKS)
        begin = time.monotonic() + skip_seconds
        time.sleep(skip_seconds)
        cursor, moved, end = section.scans, time.monotonic(), begin + seconds
        while (now := time.monotonic()) < end:
            time.sleep(min(0.05, end - now))
            head = section.scans
            if head == cursor:
                if now - moved > STALE_SECONDS:
                    raise BoardError("no scans come: the inputs process does not answer, or its converters do not; look with `neurorack doctor`")
                continue
            moved = now
            cursor = max(cursor, head - table.RAW_SCANS + 64)      # this process was held up: the oldest are gone
            at = np.arange(cursor, head) % table.RAW_SCANS
            times.append(all_ns[at])
            rows.append(all_volts[at])
            cursor = head
        return (np.concatenate(times), np.concatenate(rows)) if times else (np.zeros(0, np.int64), np.zeros((0, table.CV_JACKS), np.float32))


@contextmanager
def open_jacks(board: str | None = None, simulated: bool = False, pid: int | None = None) -> Iterator[Jacks]:
    """The jacks of the running instrument, or of a board read for this alone.

    Args:
        board: a board's name or file; default: the running instrument's, else what is found.
        simulated: simulate the board's chips; then no running instrument is asked.
        pid: of the instrument, where several run.
    """
    running = [data["pid"] for data in runfiles.running()]
    if pid is None and len(running) > 1 and not simulated:
        raise NeurorackError(f"{len(running)} instruments are running ({', '.join(map(str, sorted(running)))}): say which with --pid")
    if (pid or running) and not simulated:
        yield _of_instrument(pid or running[0], board)
        return
    name, warning = (board, None) if board else boards.detect()
    if warning:
        tell(f"neurorack: warning: {warning}\n")
    settings = boards.load(name)
    rack = Rack.create(sample_rate_hz=48000, block_frames=128)
    wires = boards.wires(settings, rack, simulated)
    config, fds = {"board": settings}, ()
    if settings["driver"] == "desk":
        config["gate_fd"] = wires.far.fileno()
        fds = (config["gate_fd"],)
    elif wires:
        config["environment"] = wires.environment()
    process = spawn("inputs", rack, config, fds)
    try:
        _await(process, rack)
        yield Jacks(rack, settings, rack.inputs.board_name, wires)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
        process.kill()
        process.wait()


def _of_instrument(pid: int, board: str | None) -> Jacks:
    rack = Rack.attach_to(pid)
    name = rack.inputs.board_name
    settings = boards.load(board or name.removesuffix(SIMULATED))
    if settings["name"] != name.removesuffix(SIMULATED):
        raise BoardError(f"the instrument that plays has board {name}, not {settings['name']}: leave --board out, or stop the instrument")
    return Jacks(rack, settings, name, plays=True)


def _await(process: subprocess.Popen, rack: Rack) -> None:
    """Until the first scans have come."""
    deadline = time.monotonic() + START_SECONDS
    while rack.inputs.scans < 3:
        if process.poll() is not None or time.monotonic() > deadline:
            raise NeurorackError("the board's inputs cannot be read; the lines above say why, or look with `neurorack doctor`")
        time.sleep(0.005)
