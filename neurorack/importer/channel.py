"""Blocks to and from another process: one piece of nameless memory, two bells, and a line that breaks when the other side dies.

The asker writes a block and its number, rings, and waits for the answer's number until a deadline; an answer that comes too late is
recognised by its number and dropped. The worker's side (``serve``) runs inside the fence. Ringing is an ``eventfd``; the system
calls order the memory on both sides.
"""

from __future__ import annotations

import mmap
import os
import resource
import select
import time
from typing import NamedTuple

import numpy as np

RUN, RESET, PIN = 1, 2, 3           # what is asked for; PIN: reset, and draw random numbers as the engine does
DONE, FAILED, WRONG_SHAPE = 0, 1, 2
TEXT_BYTES = 512
DEAD = "its worker died"
LOOK_MS = 250.0      # how often somebody who waits looks at the clock
_HEADER = np.dtype([("asked", np.uint64), ("answered", np.uint64), ("order", np.uint32), ("status", np.uint32), ("number", np.int64),
                    ("cpu_ns", np.int64), ("memory_kb", np.int64), ("text", f"S{TEXT_BYTES}")])


class Ends(NamedTuple):
    """Descriptors of a channel: memory, bell to the worker, bell back, and the asker's end of the line to the worker."""

    memory: int
    ask: int
    answer: int
    line: int


def computing_clock(pid: int):
    """A clock that goes while this process computes: a machine that is busy with other things makes nobody late."""
    number = (~pid << 3) | 2                     # the kernel's name for a process's CPU clock

    def clock() -> float:
        try:
            return time.clock_gettime(number)
        except OSError:                          # it is gone; the line's breaking says so
            return 0.0
    return clock


def make_ends() -> tuple[int, int, int]:
    """Memory (empty yet) and two bells; the descriptors of a new channel but for the line."""
    bells = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(2)]
    return os.memfd_create("neurorack-worker", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), *bells


class Channel:
    """One end of a channel. Shapes are [rows, channels] of float32; ``header`` is shared."""

    def __init__(self, ends: Ends, in_shape: tuple[int, int], out_shape: tuple[int, int]):
        self.ends, self.in_shape, self.out_shape = Ends(*ends), tuple(in_shape), tuple(out_shape)
        memory = np.frombuffer(mmap.mmap(ends[0], size(in_shape, out_shape)), np.uint8)
        inputs, outputs = int(np.prod(in_shape)), int(np.prod(out_shape))
        self.header = memory[: _HEADER.itemsize].view(_HEADER)
        floats = memory[_HEADER.itemsize:].view(np.float32)
        self.input, self.output = floats[:inputs].reshape(in_shape), floats[inputs: inputs + outputs].reshape(out_shape)
        self.busy = False       # asked, and not answered yet
        self.clock = time.monotonic      # what a deadline is measured with: time, or the worker's computing time

    # -- the asker's side

    def ask(self, order: int, block: np.ndarray | None = None, number: int = 0) -> None:
        """Ask for something; the answer is waited for with ``wait``."""
        if block is not None:
            self.input[:] = block
        self.header["order"], self.header["number"] = order, number
        self.header["asked"] += np.uint64(1)
        self.busy = True
        os.eventfd_write(self.ends.ask, 1)

    def wait(self, timeout_seconds: float) -> str | None:
        """Wait for the answer: None when it is there, else "late" or "dead"."""
        deadline = self.clock() + timeout_seconds
        bells = select.poll()
        bells.register(self.ends.answer, select.POLLIN)
        bells.register(self.ends.line, 0)            # only its breaking
        while self.header["answered"][0] != self.header["asked"][0]:
            left_ms = (deadline - self.clock()) * 1000
            rung = dict(bells.poll(min(max(0.0, left_ms), LOOK_MS)))
            if self.ends.line in rung:
                return "dead"
            if self.ends.answer in rung:
                _read(self.ends.answer)
            elif left_ms <= 0:
                return "late"
        self.busy = False
        return None

    def order(self, order: int, block: np.ndarray | None, timeout_seconds: float) -> str | None:
        """Ask and wait: None when it is done, else why it is not, in one line. A worker still busy with a late block is given nothing new."""
        missing = self.wait(0 if order == RUN else timeout_seconds) if self.busy else None
        if missing is None:
            self.ask(order, block)
            missing = self.wait(timeout_seconds)
        if missing == "late":
            return f"it needs longer than {1000 * timeout_seconds:.0f} ms for a block"
        if missing == "dead":
            return DEAD
        return None if self.header["status"][0] == DONE else self.text

    @property
    def text(self) -> str:
        """What the worker said about a failure, one line."""
        return " ".join(bytes(self.header["text"][0]).decode("utf-8", "replace").split())

    @property
    def cpu_ns(self) -> int:
        """Computing time of the last answer."""
        return int(self.header["cpu_ns"][0])

    @property
    def memory_mb(self) -> float:
        """The most the worker ever held, at its last answer."""
        return float(self.header["memory_kb"][0]) / 1024

    # -- the worker's side

    def serve(self, do) -> None:
        """Answer for ever. ``do(order, number)`` returns a status and a text; it reads ``input`` and fills ``output``."""
        bell = select.poll()
        bell.register(self.ends.ask, select.POLLIN)
        while True:
            bell.poll()
            _read(self.ends.ask)
            asked = self.header["asked"][0]
            if asked == self.header["answered"][0]:
                continue
            began = time.thread_time_ns()
            status, text = do(int(self.header["order"][0]), int(self.header["number"][0]))
            self.header["status"], self.header["text"] = status, text.encode()[:TEXT_BYTES]
            self.header["cpu_ns"] = time.thread_time_ns() - began
            self.header["memory_kb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            self.header["answered"] = asked
            os.eventfd_write(self.ends.answer, 1)


def size(in_shape, out_shape) -> int:
    """Bytes of a channel's memory."""
    return _HEADER.itemsize + 4 * (int(np.prod(in_shape)) + int(np.prod(out_shape)))


def _read(bell: int) -> None:
    try:
        os.eventfd_read(bell)
    except BlockingIOError:
        pass
