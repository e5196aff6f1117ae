"""The inside of the fence: what a child does to itself before it looks at anything foreign.

Started by ``fence.py`` as ``python -m neurorack.importer.fenced CONFIG``. One layer after the other is put on, each where this
system allows it; then the function named in the config is imported and called, and what it returns goes back as one line of JSON.
Nothing but the standard library is imported before the fence stands.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib
import json
import os
import pwd
import resource
import signal
import struct
import sys

from neurorack.errors import NeurorackError
from neurorack.importer import landlock, seccomp

_NEW_NET, _NEW_IPC, _NEW_UTS, _NEW_USER = 0x40000000, 0x08000000, 0x04000000, 0x10000000
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION = 0x20080522
MEGABYTE = 1 << 20


class Talk:
    """The line back to the parent: JSON, one object a line."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def send(self, **message) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data):]


def die_with(descriptor: int) -> None:
    """Be killed when the other end of this pipe is gone, whichever thread of the parent started us and whatever we are doing then."""
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, 10, signal.SIGKILL)      # F_SETSIG
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        if not os.read(descriptor, 1):
            os._exit(0)                              # it was gone before


def step_back() -> None:
    """Lowest priority: only computing time that nobody wants."""
    os.nice(19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def first_to_go() -> None:
    """When memory runs out, the kernel takes this process first."""
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def limit(limits: dict) -> None:
    """Memory, computing time (a second beyond which nothing can be done about the end), file size, open files."""
    memory = limits["memory_mb"] * MEGABYTE
    for what, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_DATA, memory), (resource.RLIMIT_CPU, limits["cpu_seconds"]),
                        (resource.RLIMIT_FSIZE, limits["file_mb"] * MEGABYTE), (resource.RLIMIT_NOFILE, limits["open_files"]),
                        (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        last = value + 1 if what == resource.RLIMIT_CPU and hard == resource.RLIM_INFINITY else value
        resource.setrlimit(what, (value, last))     # SIGXCPU tells computing time from other ends


def leave_the_network() -> None:
    """Namespaces of our own: no network device is in them, no shared memory of others."""
    libc = ctypes.CDLL(None, use_errno=True)
    spaces = _NEW_NET | _NEW_IPC | _NEW_UTS
    if libc.unshare(spaces) and libc.unshare(spaces | _NEW_USER):
        raise OSError(ctypes.get_errno(), "no namespaces here")


def become_nobody() -> None:
    """An account without rights, where we are root."""
    account = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)


def drop_capabilities() -> None:
    """None of root's powers, even where we remain root, or are root of our own namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24)):
        raise OSError(ctypes.get_errno(), "capabilities stay")


def no_new_processes() -> None:
    """A few threads at most (the account's others count too); processes are the filter's business."""
    resource.setrlimit(resource.RLIMIT_NPROC, (64, 64))


def no_new_privileges() -> None:
    if ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError("refused")


def put_up(config: dict) -> dict[str, str]:
    """All layers, in their order; name -> "on", or why not."""
    layers = {}

    def layer(name: str, put_on, *arguments, wanted: bool = True) -> None:
        if not wanted:
            layers[name] = "not needed here"
            return
        try:
            put_on(*arguments)
            layers[name] = "on"
        except (OSError, KeyError, ValueError) as error:
            layers[name] = str(error) or type(error).__name__

    write = config["write"]
    layer("priority", step_back, wanted=config["low_priority"])
    layer("first to go", first_to_go)
    layer("limits", limit, config["limits"])
    layer("namespaces", leave_the_network)
    layer("user", become_nobody, wanted=config["nobody"])
    layer("capabilities", drop_capabilities)
    layer("processes", no_new_processes)
    layer("no new privileges", no_new_privileges)
    layer("landlock", landlock.restrict, config["read"], [write] if write else [])
    layer("seccomp", seccomp.install, write is None)
    return layers


def main(config: dict) -> int:
    talk = Talk(config["talk_fd"])
    die_with(config["life_fd"])
    sys.stdin.close()
    layers = put_up(config)
    talk.send(layers=layers)
    module, name = config["function"].split(":")
    try:
        result = getattr(importlib.import_module(module), name)(talk=talk, **config["arguments"])
        talk.send(result=result)
    except NeurorackError as error:
        talk.send(refused=str(error))
    except MemoryError:
        talk.send(memory=True)
    except RecursionError:
        talk.send(refused="it is nested too deeply")
    except BaseException as error:      # whatever foreign data led to; one line of it is enough
        memory = "alloc" in str(error) and "memory" in str(error).lower() or "bad_alloc" in str(error)
        talk.send(**({"memory": True} if memory else {"broken": f"{type(error).__name__}: {error}"[:300]}))
    sys.stdout.flush()
    os._exit(0)      # no clean-up of foreign objects


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
