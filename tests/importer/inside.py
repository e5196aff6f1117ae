"""What the tests of the fence try from inside; each function runs in a fenced child and says what came of it."""

import ctypes
import errno
import mmap
import os
import socket
import threading
import time


def _outcome(attempt) -> str:
    """"done", or the error's short name."""
    try:
        attempt()
        return "done"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))


def _write(path: str) -> None:
    with open(path, "w") as file:
        file.write("x")


def _system_call(number: int, *arguments) -> None:
    if ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")


def _through_a_link(scratch: str, outside: str) -> None:
    os.symlink(outside, f"{scratch}/link")
    _write(f"{scratch}/link")


def _start_program() -> None:
    os.execv("/bin/true", ["true"])


def try_everything(talk, scratch: str | None, outside: str, secret: str) -> dict:
    """Name -> outcome of each forbidden thing."""
    attempts = {
        "write outside": lambda: _write(f"{outside}/made"),
        "make a folder": lambda: os.mkdir(f"{outside}/folder"),
        "write a device": lambda: _write("/dev/shm/neurorack-test"),
        "read a secret": lambda: open(secret).read(),
        "list a folder": lambda: os.listdir(outside),
        "remove": lambda: os.unlink(secret),
        "other rights": lambda: os.chmod(secret, 0o777),
        "internet socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "local socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "fork": os.fork,
        "start a program": _start_program,
        "signal the parent": lambda: os.kill(os.getppid(), 0),
        "signal everybody": lambda: os.kill(-1, 0),
        "trace the parent": lambda: _system_call({"x86_64": 101, "aarch64": 117}[os.uname().machine], 16, os.getppid(), 0, 0),
        "ring around the filter": lambda: _system_call(425, 4, None),
        "a call unknown to the filter": lambda: _system_call(462, None, 0, 0),
        "more priority": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        "be root": lambda: os.setuid(0),
        "mount": lambda: ctypes.CDLL(None).mount and _system_call({"x86_64": 165, "aarch64": 40}[os.uname().machine], b"none", b"/tmp", b"tmpfs", 0, None),
        "a new user space": lambda: os.unshare(0x10000000) if hasattr(os, "unshare") else _system_call({"x86_64": 272, "aarch64": 97}[os.uname().machine], 0x10000000),
    }
    if scratch:
        attempts |= {"write in the scratch": lambda: _write(f"{scratch}/made"), "through a link": lambda: _through_a_link(scratch, f"{outside}/linked"),
                     "move out": lambda: os.rename(f"{scratch}/made", f"{outside}/moved"), "a file too large": lambda: os.truncate(f"{scratch}/made", 1 << 40)}
    return {name: _outcome(attempt) for name, attempt in attempts.items()}


def who(talk) -> dict:
    """Rights and priority of the child."""
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
    return {"uid": os.getuid(), "policy": os.sched_getscheduler(0), "group": os.getpgrp() == os.getpid(), "session": os.getsid(0) == os.getpid()}


def fork_bomb(talk) -> int:
    """How many processes could be made."""
    made = 0
    for _ in range(10000):
        try:
            if os.fork() == 0:
                time.sleep(60)
            made += 1
        except OSError:
            return made
    return made


def thread_bomb(talk) -> int:
    """How many threads could be made until something said no."""
    stop, made = threading.Event(), 0
    try:
        while made < 100_000:
            threading.Thread(target=stop.wait, daemon=True).start()
            made += 1
    except (RuntimeError, MemoryError):
        pass
    return made


def open_files(talk) -> int:
    """How many descriptors could be had."""
    kept = []
    try:
        while len(kept) < 100_000:
            kept.append(open("/dev/null"))
    except OSError:
        pass
    return len(kept)


def allocate(talk, gigabytes: int) -> int:
    return len(bytes(gigabytes << 30))


def map_memory(talk, gigabytes: int) -> int:
    return len(mmap.mmap(-1, gigabytes << 30))


def spin(talk) -> None:
    while True:
        pass


def sleep(talk) -> None:
    talk.send(progress="asleep")
    while True:
        time.sleep(60)


def crash(talk) -> None:
    ctypes.string_at(0)


def refuse(talk) -> None:
    from neurorack.errors import ModelError

    raise ModelError("it is green")


def stumble(talk) -> None:
    raise KeyError("nothing there")


def print_much(talk) -> int:
    """Foreign code may print; nobody reads it."""
    for _ in range(10000):
        print("noise " * 100)
    return 1


def echo(talk, value):
    talk.send(progress="on my way")
    return value
