"""Real-time tests on a machine that stands still now and then: one that failed while it did so is run again.

Beside the tests of the ``FOLDERS`` runs a watcher (``rig/stalls.c``: a thread a core that wakes every 5 ms, less than a hundredth of it), and the kernel
counts how long something waited for a core. A test that fails counts at once if the machine was calm meanwhile. If it was disturbed, by a
stall of ``STALL_MS`` or longer, or something waiting for a core more than ``PRESSURE`` of the time, the test is repeated, at most ``REPEATS``
times and within its time-out, once the machine is calm (or does not become so), everything but the session's fixtures set up anew; the end of the run names every test that was repeated and what the
machine did. The repeating is pytest-rerunfailures'; without it, and with ``--pdb``, nothing is repeated.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.rig.compile import Unavailable
from tests.rig.stalls import StallLog

#: below ``tests``: where time passes as on the clock
FOLDERS = ("audio", "deploy", "drivers", "inputs", "library", "midi", "panel", "patches", "play", "shm", "sources", "takes", "web")
REPEATS = 2
STALL_MS, INTERVAL_MS = 20.0, 5.0
PRESSURE = 0.5
CALM_SECONDS, PATIENCE_SECONDS = 1.0, 20.0      # a repeat waits for so long a calm, but no longer than that;
WHOLE_PATIENCE_SECONDS = 180.0                  # all repeats together no longer than that: some machines are never calm
TOLD_SECONDS = 0.12          # the watcher tells of a stall so soon after it
PRESSURE_FILE = Path("/proc/pressure/cpu")


class Moment(NamedTuple):
    ns: int
    waited_us: int | None


class Machine:
    """What it did to the tests. ``close`` ends the watcher."""

    def __init__(self):
        self._patience_seconds = WHOLE_PATIENCE_SECONDS
        self._log = StallLog(threshold_us=STALL_MS * 1e3, interval_us=INTERVAL_MS * 1e3, priority=0)
        try:
            self._log.__enter__()
        except Unavailable:      # the pressure remains
            self._log = None

    def now(self) -> Moment:
        return Moment(time.monotonic_ns(), waited_us())

    def since(self, start: Moment) -> str:
        """What disturbed, for a person; empty when nothing did."""
        time.sleep(TOLD_SECONDS)
        now, told = self.now(), []
        longest = max((stall.us / 1e3 for stall in self.stalls(start)), default=0.0)
        if longest >= STALL_MS:
            told.append(f"it stood still for {longest:.0f} ms")
        if start.waited_us is not None and (share := (now.waited_us - start.waited_us) * 1e3 / (now.ns - start.ns)) > PRESSURE:
            told.append(f"something waited for a core {share:.0%} of the time")
        return ", ".join(told)

    def stalls(self, start: Moment) -> list:
        return [stall for stall in self._log.so_far() if stall.start_ns + stall.us * 1e3 > start.ns] if self._log else []

    def settle(self) -> None:
        """Wait for a calm moment; for some time."""
        began = time.monotonic()
        end = began + min(PATIENCE_SECONDS, self._patience_seconds)
        while time.monotonic() < end:
            start = self.now()
            time.sleep(CALM_SECONDS)
            if not self.since(start):
                break
        self._patience_seconds -= time.monotonic() - began

    def close(self) -> None:
        if self._log:
            self._log.__exit__(None, None, None)


def waited_us() -> int | None:
    """How long ever something that could run had no core; None where the kernel does not say."""
    with contextlib.suppress(OSError, ValueError, LookupError):
        return int(PRESSURE_FILE.read_text().splitlines()[0].rpartition("total=")[2])
    return None


def in_real_time(item: pytest.Item) -> bool:
    below = item.path.parts
    return any(here == "tests" and folder in FOLDERS for here, folder in zip(below, below[1:]))


class Repeats:
    """The plug-in.

    Args:
        applies: whether a test may be repeated.
        machine: makes the ``Machine``, at the first such test.
    """

    def __init__(self, applies=in_real_time, machine=Machine):
        self._applies, self._make, self._machine = applies, machine, None
        self._marked: set[pytest.Item] = set()
        self._start: Moment | None = None
        self._failed, self._error, self._why = False, None, None     # of the running attempt; why None: not looked yet
        self.repeated: dict[str, list[str]] = {}      # test -> what disturbed each attempt that was given up

    def pytest_collection_modifyitems(self, config, items) -> None:
        if not config.pluginmanager.hasplugin("rerunfailures") or config.option.usepdb:
            return
        for item in items:
            if self._applies(item):
                item.add_marker(pytest.mark.flaky(reruns=REPEATS, condition=lambda error, item=item: self._disturbed(item, error)))
                self._marked.add(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item) -> None:
        """Of each attempt."""
        if item not in self._marked:
            return
        if self._machine is None:
            self._machine = self._make()
        if item.execution_count > 1:
            self._machine.settle()
        self._start, self._failed, self._why = self._machine.now(), False, None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.failed:
            self._failed, self._error = True, call.excinfo.value
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item) -> None:
        """What modules and packages set up goes before a repeat, which would otherwise meet the same instrument again."""
        if item in self._marked and item.execution_count <= REPEATS and self._disturbed(item, self._error):
            item.session._setupstate.teardown_exact(item.session)

    def _disturbed(self, item, error) -> bool:
        """Asked of each attempt, passed or failed; looked at once for each that failed."""
        if not self._failed:
            return False
        if self._why is None:
            self._why = "" if "from pytest-timeout" in str(error) else self._machine.since(self._start)
            if self._why and item.execution_count <= REPEATS:
                self.repeated.setdefault(item.nodeid, []).append(self._why)
        return bool(self._why)

    def pytest_terminal_summary(self, terminalreporter) -> None:
        if self.repeated:
            terminalreporter.section("repeated because the machine was disturbed")
        for name, attempts in self.repeated.items():
            terminalreporter.write_line(f"{name}: {'; then '.join(attempts)}")

    def pytest_unconfigure(self) -> None:
        if self._machine:
            self._machine.close()
