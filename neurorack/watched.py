"""The supervisor's children: one that is watched and started again, and the spare synth that waits for its model."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time

from neurorack.process import spawn
from neurorack.shm.rack import Rack

START_SECONDS = 30.0          # a child that has not beaten by then hangs; a large model from a slow card takes its time
STALE_SECONDS = 1.0           # a child without any sign of life for so long hangs
AWAY_SECONDS = 0.3            # a supervisor that has not looked for so long was kept from it, and its children with it
SLEEPY_SECONDS = 10.0         # its compiled thread works, but its interpreter does not come to its turn
ORNAMENT_STALE_SECONDS = 20.0  # of one that runs at low priority beside the sound
ORNAMENT_PAUSE_SECONDS = (0.5, 2.0, 5.0, 15.0, 60.0)
RESTART_PAUSE_SECONDS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
PREPARING_NICE = -5
CALM_SECONDS = 30.0           # after so long without a failure the pauses start over


class Watched:
    """One child: its process, its heartbeat, its restarts. ``index``: its place in ``run.restarts``.

    An ``ornament`` (panel, web) is not needed for sound: it has more time to answer, longer pauses, and its end is said once."""

    def __init__(self, role: str, index: int, section, config: dict, pass_fds: tuple[int, ...] = (), working_ns=lambda: 0, ornament: bool = False):
        self.ornament, self.mourned = ornament, False
        self.role, self.index, self.section, self.config, self.pass_fds = role, index, section, config, pass_fds
        self.working_ns = working_ns     # when its compiled thread last did its work
        self.process = None
        self.failures, self.failed_at, self.start_at, self.started_at = 0, 0.0, 0.0, 0.0
        self._looked_at, self._back_at = 0.0, 0.0       # the last look, and the last one after a pause of ours

    def start(self, rack: Rack) -> None:
        self.adopt(spawn(self.role, rack, self.config, self.pass_fds))

    def adopt(self, process) -> None:
        """Watch a process that runs already."""
        self.section.heartbeat_ns = 0
        self.process, self.started_at = process, time.monotonic()

    def state(self, now: float) -> str:
        """"runs", "hangs", "died" (with ``self.process.returncode``) or "waits" for its next start.

        After a pause of the supervisor itself (the machine stood still), a child has its time anew to give a sign."""
        if now - self._looked_at > AWAY_SECONDS:
            self._back_at = now
        self._looked_at = now
        if self.process is None:
            return "waits"
        if self.process.poll() is not None:
            return "died"
        beat = self.section.heartbeat_ns
        if beat == 0:
            return "hangs" if now - self.started_at > START_SECONDS else "runs"
        asleep, still = now - beat / 1e9, now - max(beat / 1e9, self.working_ns() / 1e9, self._back_at)
        if self.ornament:
            return "hangs" if still > ORNAMENT_STALE_SECONDS else "runs"
        return "hangs" if still > STALE_SECONDS or asleep > SLEEPY_SECONDS else "runs"

    def plan_restart(self, now: float) -> None:
        self.failures = 0 if now - self.failed_at > CALM_SECONDS else self.failures
        self.failed_at, self.process = now, None
        pauses = ORNAMENT_PAUSE_SECONDS if self.ornament else RESTART_PAUSE_SECONDS
        self.start_at = now + pauses[min(self.failures, len(pauses) - 1)]
        self.failures += 1
        self.config["restarted"] = True


class Spare:
    """A synth process that has imported all it needs and waits to be told what to load (``synth/process.py``)."""

    def __init__(self, rack: Rack):
        ours, theirs = socket.socketpair()
        try:
            self.process = spawn("synth", rack, {"called": "spare", "orders_fd": theirs.fileno()}, (theirs.fileno(),))
        finally:
            theirs.close()
        self.socket, self._buffer = ours, b""
        self.started_at = time.monotonic()

    def hurry(self) -> None:
        """Somebody waits for it: before background work, where that is allowed."""
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.process.pid, PREPARING_NICE)

    def order(self, **order) -> None:
        """One that died reads no order; its end is noticed elsewhere."""
        with contextlib.suppress(OSError):
            self.socket.sendall(json.dumps(order).encode() + b"\n")

    def answers(self) -> list[dict]:
        """What it has said since the last call; never waits."""
        with contextlib.suppress(OSError):
            while select.select([self.socket], [], [], 0)[0] and (data := self.socket.recv(65536)):
                self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        return [json.loads(line) for line in lines]

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """It has nothing that could be lost."""
        self.socket.close()
        if self.alive:
            self.process.kill()
        self.process.wait()
