"""Starts burner threads in every interpreter that finds this folder first on its path (tests/rig/burn.py)."""

import os
import threading
import time

SEARCH_S = 10


def _is_meant(names):
    if not names:
        return True
    with open("/proc/self/comm", "rb") as comm, open("/proc/self/cmdline", "rb") as line:
        title = comm.read() + line.read()
    return any(name.encode() in title for name in names)


def _burn_when_meant(threads, names):
    end = time.monotonic() + SEARCH_S
    while time.monotonic() < end:
        if _is_meant(names):
            from tests.rig.burn import start_burners

            start_burners(threads)
            return
        time.sleep(0.05)


_threads = int(os.environ.get("RIG_BURNERS", "0"))
if _threads:
    _names = [name for name in os.environ.get("RIG_BURN_ONLY", "").split(",") if name]
    threading.Thread(target=_burn_when_meant, args=(_threads, _names), daemon=True).start()
