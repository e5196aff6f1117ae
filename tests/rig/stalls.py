"""The machine's own stalls, logged beside a benchmark so that an underrun can be told from a stolen core.

    with StallLog(threshold_us=500) as log:
        ...                                         # play
    log.report()                                    # counts and the longest, by core
    log.around(xrun_ns, before_ns=5_000_000)        # the stalls that overlap the 5 ms before an underrun

or, for a look at a machine: ``python -m tests.rig.stalls --seconds 60 --threshold-us 500 --json``.
What is measured, and how, is told in ``stalls.c``; it costs about 1 % of each core.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from tests.rig.compile import Unavailable, compiled


class Stall(NamedTuple):
    """A core that did not answer from ``start_ns`` (CLOCK_MONOTONIC) for ``us`` microseconds.

    It may have begun up to one interval before: the watcher was asleep then.
    """

    core: int
    start_ns: int
    us: float


class StallLog:
    """Watches every core this process may use while the ``with`` block runs.

    Args:
        threshold_us: shortest stall noted, µs.
        interval_us: the watchers' beat, µs: shorter finds more, and costs more.
        priority: SCHED_FIFO priority, above the instrument's own threads; 0 asks for none.

    Raises:
        Unavailable: no C compiler here.
    """

    def __init__(self, threshold_us: float = 500, interval_us: float = 250, priority: int = 95):
        self.threshold_us, self.interval_us, self.priority = threshold_us, interval_us, priority
        self.scheduling: dict[int, str] = {}
        self.wakes: dict[int, int] = {}
        self.lost = 0
        self.seconds = 0.0
        self._stalls: list[Stall] = []
        self._taken = 0      # bytes of its output

    def __enter__(self):
        program = compiled("stalls", ("stalls.c",))
        self._out = tempfile.TemporaryFile()  # a file, not a pipe: nobody has to read while the music plays
        self._process = subprocess.Popen([str(program), str(round(self.threshold_us * 1e3)),
                                          str(round(self.interval_us * 1e3)), str(self.priority)],
                                         stdin=subprocess.PIPE, stdout=self._out)
        self._start = time.monotonic()
        return self

    def __exit__(self, *exc):
        self._process.stdin.close()
        code = self._process.wait(10)
        self.seconds = time.monotonic() - self._start
        self.so_far()
        self._out.close()
        if code and not any(exc):
            raise RuntimeError(f"the stall watcher ended with {code}")

    def so_far(self) -> list[Stall]:
        """The stalls told until now: each up to 50 ms after it. Only while the ``with`` block runs."""
        lines = os.pread(self._out.fileno(), os.fstat(self._out.fileno()).st_size - self._taken, self._taken)
        lines = lines[:lines.rfind(b"\n") + 1]      # the last one may be half written
        self._taken += len(lines)
        for line in lines.decode().splitlines():
            what, core, *rest = line.split()
            if what == "stall":
                self._stalls.append(Stall(int(core), int(rest[0]), int(rest[1]) / 1e3))
            elif what == "core":
                self.scheduling[int(core)] = rest[0]
            elif what == "wakes":
                self.wakes[int(core)] = int(rest[0])
            elif what == "lost":
                self.lost += int(rest[0])
        self._stalls.sort(key=lambda stall: stall.start_ns)
        return self.stalls()

    def stalls(self) -> list[Stall]:
        """All stalls read, oldest first; complete once the ``with`` block has ended."""
        return list(self._stalls)

    def around(self, ns: int, before_ns: int, after_ns: int = 0) -> list[Stall]:
        """The stalls that overlap the time from ``before_ns`` before ``ns`` to ``after_ns`` after it."""
        return [stall for stall in self._stalls
                if stall.start_ns - self.interval_us * 1e3 <= ns + after_ns
                and stall.start_ns + stall.us * 1e3 >= ns - before_ns]

    def report(self) -> dict:
        """Numbers by core, as plain values for JSON. "scheduling" is "fifo", or "other" where that was refused."""
        cores = []
        for core, scheduling in sorted(self.scheduling.items()):
            us = sorted(stall.us for stall in self._stalls if stall.core == core)
            cores.append({"core": core, "scheduling": scheduling, "wakes": self.wakes.get(core, 0), "stalls": len(us),
                          "longest_us": round(us[-1], 1) if us else 0.0, "median_us": round(us[len(us) // 2], 1) if us else 0.0,
                          "total_ms": round(sum(us) / 1e3, 3)})
        return {"seconds": round(self.seconds, 3), "threshold_us": self.threshold_us, "interval_us": self.interval_us,
                "lost": self.lost, "cores": cores}


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rig.stalls", description="Log the machine's own stalls.")
    parser.add_argument("--seconds", type=float, default=60, help="how long to watch (default 60)")
    parser.add_argument("--threshold-us", type=float, default=500, help="shortest stall noted, microseconds (default 500)")
    parser.add_argument("--interval-us", type=float, default=250, help="the watchers' beat, microseconds (default 250)")
    parser.add_argument("--json", action="store_true", help="print the report and every stall as JSON")
    options = parser.parse_args(arguments)
    try:
        with StallLog(options.threshold_us, options.interval_us) as log:
            time.sleep(options.seconds)
    except Unavailable as why:
        print(why, file=sys.stderr)
        return 2
    report = log.report()
    if options.json:
        print(json.dumps({**report, "stalls": [stall._asdict() for stall in log.stalls()]}))
        return 0
    for core in report["cores"]:
        print(f"core {core['core']} ({core['scheduling']}): {core['stalls']} stalls of {options.threshold_us:g} us or more in "
              f"{report['seconds']:.0f} s, longest {core['longest_us'] / 1e3:.2f} ms, together {core['total_ms']:.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
