"""The run's file: who plays, with which children. A killed run is recognised by it and cleaned up by the next start."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
from pathlib import Path


def folder() -> Path:
    """A private folder for run files."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    path = Path(base) / "neurorack" if base and os.access(base, os.W_OK) else Path(tempfile.gettempdir()) / f"neurorack-{os.getuid()}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def started_at(pid: int) -> str | None:
    """The kernel's start time of a process (tells a reused process id from the old one), None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2:].split()
    return None if fields[0] == "Z" else fields[19]


class RunFile:
    """Written at start and whenever a child is replaced, removed at the end."""

    def __init__(self):
        self.path = folder() / f"{os.getpid()}.json"

    def write(self, children: dict[str, int]) -> None:
        data = {"pid": os.getpid(), "started": started_at(os.getpid()),
                "children": {role: [pid, started_at(pid)] for role, pid in children.items()}}
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(data))
        os.replace(temporary, self.path)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def running() -> list[dict]:
    """Run files whose supervisor lives."""
    return [data for _, data in _all() if started_at(data["pid"]) == data["started"]]


def _all() -> list[tuple[Path, dict]]:
    found = []
    for path in folder().glob("*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            data = json.loads(path.read_text())
            data["pid"], data["started"], data["children"]   # a file without them is not ours to judge
            found.append((path, data))
    return found


def recover() -> list[str]:
    """End what killed runs left behind; returns one line for each thing found."""
    told = []
    for path, data in _all():
        if started_at(data["pid"]) == data["started"]:
            continue
        left = [(role, pid) for role, (pid, started) in data["children"].items() if started and started_at(pid) == started]
        for _, pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 0.5
        while any(started_at(pid) for _, pid in left) and time.monotonic() < deadline:
            time.sleep(0.01)
        for role, pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            told.append(f"ended the {role} process {pid} of a run that was killed")
        path.unlink(missing_ok=True)
        path.with_suffix(".sock").unlink(missing_ok=True)
        told.append(f"cleaned up after a run that was killed (process {data['pid']})")
    return told
