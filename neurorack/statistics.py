"""What this machine and the instrument on it are doing: load of each core, temperature, memory, disk, addresses, versions, uptime.

Everything is read from files of the kernel that cost nothing, in the asker's thread; memory by ``statm``, because ``smaps`` would hold
the memory map of a process that plays.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import socket
import struct
import threading
import time
from pathlib import Path

from neurorack import __version__, power
from neurorack.inputs import store
from neurorack.tuning import read

FRESH_SECONDS, GLANCE_SECONDS = 10.0, 0.1    # a core's load is taken since the last look, if that is no older; else over a glance
_SIOCGIFADDR = 0x8915


class Cores:
    """Load of each core, 0..1, since the last time somebody asked."""

    def __init__(self):
        self._lock = threading.Lock()
        self._at, self._before = -FRESH_SECONDS, []

    def now(self) -> list[float]:
        with self._lock:
            if time.monotonic() - self._at > FRESH_SECONDS:
                self._before, self._at = self._counts(), time.monotonic()
            if time.monotonic() - self._at < GLANCE_SECONDS:
                time.sleep(GLANCE_SECONDS)
            counts = self._counts()
            loads = [1 - (idle - idle_before) / max(1, total - total_before)
                     for (idle, total), (idle_before, total_before) in zip(counts, self._before)]
            self._before, self._at = counts, time.monotonic()
        return [round(min(1.0, max(0.0, load)), 3) for load in loads]

    @staticmethod
    def _counts() -> list[tuple[int, int]]:
        """Idle and all ticks of each core."""
        found = []
        for line in read(Path("/proc/stat")).splitlines():
            if line.startswith("cpu") and line[3].isdigit():
                ticks = [int(word) for word in line.split()[1:9]]
                found.append((ticks[3] + ticks[4], sum(ticks)))
        return found


_cores = Cores()


def temperature(root: Path = Path("/sys")) -> float | None:
    """Of the hottest zone, in degrees Celsius; None where the machine does not tell."""
    heats = [int(text) / 1000 for path in (root / "class/thermal").glob("thermal_zone*/temp") if (text := read(path)).lstrip("-").isdigit()]
    return round(max(heats), 1) if heats else None


def memory(pids: list[int]) -> dict:
    """Bytes: ours alone in these processes, free on the machine, and in all."""
    page, ours = os.sysconf("SC_PAGE_SIZE"), 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            _, resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[:3]
            ours += (int(resident) - int(shared)) * page
    info = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in read(Path("/proc/meminfo")).splitlines() if line.endswith("kB")}
    return {"ours_bytes": ours, "free_bytes": info.get("MemAvailable", 0), "total_bytes": info.get("MemTotal", 0)}


def disk() -> dict:
    """Of the state folder's disk, in bytes."""
    folder = store.folder()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return {"free_bytes": usage.free, "total_bytes": usage.total}


def addresses() -> dict[str, str]:
    """Interface -> IPv4 address; without the loopback."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                if name != "lo":
                    found[name] = socket.inet_ntoa(answer[20:24])
    return found


def uptime_seconds() -> int:
    """Of the machine."""
    return int(float((read(Path("/proc/uptime")).split() or ["0"])[0]))


def told(run) -> dict:
    """All of it, of an ``Instrument``; runs in the asker's thread."""
    rack = run.rack
    pids = [os.getpid(), *(child.process.pid for child in run.children if child.process)]
    return {
        "cores": _cores.now(),
        "audio_load": round(float(rack.audio.load), 4),
        "synth_load": {slot.name: round(float(slot.section.load), 4) if slot.child else None for slot in run.slots.slots},
        "temperature_c": temperature(),
        "memory": memory(pids),
        "disk": disk(),
        "host": socket.gethostname(),
        "addresses": addresses(),
        "versions": {"neurorack": __version__, "release": power.release(), "python": platform.python_version(), "kernel": platform.release(),
                     "machine": read(Path("/proc/device-tree/model")) or platform.machine()},
        "uptime_seconds": {"instrument": int(time.monotonic() - run.began), "machine": uptime_seconds()},
        "audio": {"device": rack.audio.device_name, "rate_hz": rack.header.sample_rate_hz, "block_frames": rack.header.block_frames,
                  "input_channels": rack.header.input_channels},
        "board": rack.inputs.board_name,
        "releases": power.releases(),
        "power": power.why_not() or "",
    }
