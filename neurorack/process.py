"""What every child process of the instrument does alike: attach, name itself, watch its parent, leave in time.

Children are spawned (never forked) as ``python -m neurorack.process ROLE CONFIG`` with the shared block's file
descriptor; their messages go to standard error, one line each.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time

from neurorack.errors import NeurorackError
from neurorack.shm.rack import Rack
from neurorack.tuning import leave_isolated_core, take_isolated_core

ROLES = {"audio": "neurorack.audio.process", "synth": "neurorack.synth.process", "inputs": "neurorack.inputs.process",
         "remote": "neurorack.remote.process", "web": "neurorack.web.process",
         "panel": "neurorack.panel.process"}
BAD_INPUT, FAILED = 2, 3
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")   # others' threads would spin beside the sound
_PR_SET_PDEATHSIG = 1


def spawn(role: str, rack: Rack, config: dict, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen:
    """Start a child. Its standard input is closed: the terminal belongs to the supervisor; numpy keeps to one thread.

    ``environment`` in its config is added to its own (the simulated buses are found that way)."""
    command = [sys.executable, "-m", "neurorack.process", role, json.dumps({**config, "rack_fd": rack.fd})]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})     # inherited: a Ctrl-C must not end its imports with a traceback
    try:
        return subprocess.Popen(command, pass_fds=(rack.fd, *pass_fds), stdin=subprocess.DEVNULL, env={**os.environ, **ONE_THREAD, **config.get("environment", {})})
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def name_process(title: str) -> None:
    """What ps shows."""
    import setproctitle

    setproctitle.setproctitle(title)


def tell(text: str) -> None:
    """To standard error. A terminal that was closed or a full log keeps nobody from playing."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()


class Child:
    """The frame of a child process. ``leaving`` becomes true when it should go; ``wake`` is called then, to end a wait of its own."""

    def __init__(self, role: str, config: dict):
        self.role, self.config = role, config
        self.leaving = False      # no Event: a signal's handler may not wait for a lock its own thread holds
        self.wake = lambda: None
        self.rack = Rack.attach(config["rack_fd"])
        self.parent = self.rack.header.supervisor_pid
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        signal.signal(signal.SIGTERM, lambda *_: self.leave())
        signal.signal(signal.SIGINT, signal.SIG_IGN)   # Ctrl-C reaches the whole group; the supervisor answers it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        gc.collect()
        gc.freeze()
        gc.disable()   # nothing here makes cycles while playing

    def leave(self) -> None:
        self.leaving = True
        self.wake()

    @property
    def orphaned(self) -> bool:
        """The supervisor is gone: fade out and leave."""
        return os.getppid() != self.parent

    def beat(self, section) -> bool:
        """Publish the heartbeat; True while the process should go on."""
        section.heartbeat_ns = time.monotonic_ns()
        return not (self.leaving or self.orphaned)

    def say(self, message: str) -> None:
        """One line for the person at the terminal or in the journal."""
        tell(f"neurorack: {self.role}: {message}\n")


def run_as_fifo(priority: int) -> int:
    """Real-time scheduling for the calling thread; 1, or minus the error number where it is refused."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        return 1
    except OSError as error:
        return -error.errno


@contextlib.contextmanager
def new_threads_as_fifo(priority: int):
    """Threads that start in the ``with`` block are scheduled in real time from their first instruction, where that is allowed."""
    allowed = run_as_fifo(priority) == 1     # a new thread inherits its maker's scheduling
    try:
        yield
    finally:
        if allowed:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def main(argv: list[str]) -> int:
    role, config = argv[0], json.loads(argv[1])
    name_process(f"neurorack: {config.get('called', role)}")
    take_isolated_core() if role == "audio" else leave_isolated_core()
    child = Child(role, config)
    try:
        importlib.import_module(ROLES[role]).run(child)
    except NeurorackError as error:
        child.say(str(error))
        return BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
