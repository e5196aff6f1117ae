"""Runs a function in a disposable child that can do nothing but compute.

>>> with Fence(read=["model.ts"], write="scratch").start("neurorack.importer.judge:judge", {...}) as child:   # doctest: +SKIP
...     result = child.wait()                                                                                 # doctest: +SKIP

Layers, each where the system allows it (``Fenced.layers`` says which are "on"): namespaces without a network; the account
*nobody* where we are root; no capabilities; Landlock, so that only the folders named can be read and only the scratch can be written; a
filter of system calls (no sockets, no programs, no processes, no other rights); limits on memory, computing time, file size and
descriptors; lowest priority; killed first when memory runs out; killed with its group at the wall clock's limit, and when its
parent goes.

Without Landlock (Linux before 5.13, or a kernel built without it) a child that was given no scratch can still write nothing, by the
filter of system calls; one that was given a scratch (lifting: our own code on foreign data) is kept from other folders by its account alone.
"""

from __future__ import annotations

import json
import os
import pwd
import select
import signal
import stat
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from neurorack.errors import ModelError

PACKAGE = Path(__file__).resolve().parents[1]
HOLDING = ("landlock", "seccomp")      # one of these keeps files safe: without either, nothing foreign is run
NOBODY = "nobody"
_LONGEST_LINE = 1 << 22
#: what any program on Linux looks at: libraries, the clock's zone, what the processor can do
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system",
           "/dev/null", "/dev/zero", "/dev/urandom")


class FenceError(ModelError):
    """The child broke a limit or died; one line says which."""


@dataclass(frozen=True)
class Limits:
    """What a child may use."""

    memory_mb: int = 2048
    cpu_seconds: int = 60
    wall_seconds: float = 120.0
    file_mb: int = 1024
    open_files: int = 128


class Fence:
    """The fence to be put around children.

    Args:
        read: files and folders the child may read besides Python and this package.
        write: the one folder in which it may write; None: nowhere.
        limits: what it may use.
        low_priority: whether it gives way to everything else.
    """

    def __init__(self, *, read=(), write=None, limits: Limits = Limits(), low_priority: bool = True):
        self.read, self.write = [os.path.abspath(path) for path in read], os.path.abspath(write) if write else None
        self.limits, self.low_priority = limits, low_priority

    def start(self, function: str, arguments: dict, pass_fds: tuple[int, ...] = ()) -> Fenced:
        """Start ``"module:function"`` with ``talk=`` and these arguments (JSON); ``talk.send(progress=...)`` reaches ``wait``."""
        return Fenced(self, function, arguments, pass_fds)

    def run(self, function: str, arguments: dict, pass_fds: tuple[int, ...] = (), progress=None):
        """Start it, wait, and return its result. Raises ``ModelError`` with the reason it gave, ``FenceError`` where it broke a limit."""
        with self.start(function, arguments, pass_fds) as child:
            return child.wait(progress)

    def readable(self) -> list[str]:
        """Everything the child may read."""
        places = [*_SYSTEM, str(PACKAGE), sys.prefix, *self.read]
        places += [path for path in (sys.base_prefix, sys.exec_prefix) if path not in ("/", "/usr", "/usr/local")]
        places += [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
        return list(dict.fromkeys(places))

    def can_be_nobody(self) -> bool:
        """Whether the account nobody could read what is needed: only then root becomes it."""
        needed = [str(PACKAGE), sys.executable, sys.prefix, *self.read, *([os.path.dirname(self.write)] if self.write else [])]
        return os.geteuid() == 0 and NOBODY in {entry.pw_name for entry in pwd.getpwall()} and all(open_to_all(path) for path in needed)


def open_to_all(path: str) -> bool:
    """Whether every account may read this file or folder, and pass the folders above it."""
    path = Path(os.path.realpath(path))
    try:
        if not path.stat().st_mode & stat.S_IROTH:
            return False
        return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
    except OSError:
        return False


class Fenced:
    """One child. ``layers`` (name -> "on" or why not) is known once ``wait`` or ``ready`` has returned."""

    def __init__(self, fence: Fence, function: str, arguments: dict, pass_fds: tuple[int, ...]):
        self.fence, self.layers, self.began = fence, {}, time.monotonic()
        nobody = fence.can_be_nobody()
        if nobody and fence.write:
            nobodys = pwd.getpwnam(NOBODY)
            os.chown(fence.write, nobodys.pw_uid, nobodys.pw_gid)
        listen, talk = os.pipe()
        life_in, self._life = os.pipe()
        config = {"function": function, "arguments": arguments, "read": [*fence.readable(), *([fence.write] if fence.write else [])],
                  "write": fence.write, "limits": asdict(fence.limits), "low_priority": fence.low_priority, "nobody": nobody,
                  "talk_fd": talk, "life_fd": life_in}
        self._listen, self._pending = listen, b""
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "neurorack.importer.fenced", json.dumps(config)], env=_environment(fence.write),
                pass_fds=(talk, life_in, *pass_fds), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                cwd="/", start_new_session=True)
        finally:
            os.close(talk)
            os.close(life_in)
        self.pid = self.process.pid

    def __enter__(self) -> Fenced:
        return self

    def __exit__(self, *exc) -> None:
        self.kill()

    def message(self, timeout_seconds: float) -> dict | None:
        """The next thing the child says; None when it says nothing in that time. Raises ``FenceError`` when it has gone."""
        deadline = time.monotonic() + timeout_seconds
        while b"\n" not in self._pending:
            line = select.poll()
            line.register(self._listen, select.POLLIN)
            if not line.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            data = os.read(self._listen, 1 << 16)
            if not data or len(self._pending) > _LONGEST_LINE:
                raise FenceError(self.why_it_went())
            self._pending += data
        line, self._pending = self._pending.split(b"\n", 1)
        message = json.loads(line)
        if "layers" in message:
            self.layers = message["layers"]
            if not self.holds:
                self.kill()
                raise FenceError("this system has neither Landlock nor a system call filter: nothing foreign is run here without one")
        if message.get("memory"):
            raise FenceError(f"it asks for more memory than the {self.fence.limits.memory_mb} MB it may use")
        if "refused" in message:
            raise ModelError(message["refused"])
        if "broken" in message:
            raise FenceError(message["broken"])
        return message

    @property
    def line(self) -> int:
        """Descriptor that reports a hang-up when the child is gone."""
        return self._listen

    @property
    def holds(self) -> bool:
        """Whether at least one layer confines the child."""
        return any(self.layers.get(name) == "on" for name in HOLDING)

    def wait(self, progress=None):
        """The function's result. ``progress`` is called with what the child reports on its way. Raises as ``Fence.run`` does."""
        limit = self.fence.limits.wall_seconds
        try:
            while True:
                message = self.message(self.began + limit - time.monotonic())
                if message is None:
                    raise FenceError(f"it did not come to an end within {limit:g} s")
                if "result" in message:
                    return message["result"]
                if "progress" in message and progress:
                    progress(message["progress"])
        finally:
            self.kill()

    def why_it_went(self) -> str:
        """One line about a child that is gone."""
        try:
            code = self.process.wait(2)
        except subprocess.TimeoutExpired:
            return "it closed its line and went on"
        if code == -signal.SIGXCPU or code == -signal.SIGKILL and time.monotonic() - self.began >= 0.9 * self.fence.limits.cpu_seconds:
            return f"it did not come to an end within {self.fence.limits.cpu_seconds} s of computing"
        if code == -signal.SIGKILL:
            return "it was killed, by hand or because the machine's memory ran out"
        if code in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS):
            return f"it crashed ({signal.Signals(-code).name}); it may use {self.fence.limits.memory_mb} MB of memory"
        return f"it went away ({'signal ' if code < 0 else 'code '}{abs(code)})"

    def kill(self) -> None:
        """End the child and all of its group."""
        if self.process.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self.process.kill()
            self.process.wait()
        for name in ("_listen", "_life"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)


def _environment(scratch: str | None) -> dict[str, str]:
    """Few variables: where Python finds us, and one thread in every library."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "NEURORACK_ISA", "PYTHONHOME", "VIRTUAL_ENV") if name in os.environ}
    paths = [str(PACKAGE.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**kept, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8",
            "HOME": scratch or "/", "TMPDIR": scratch or "/nowhere", **dict.fromkeys(
                ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")}
