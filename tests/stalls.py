"""Real-time tests on a machine that stands still now and then: one that failed while it did so is run again.

Beside the tests of the ``FOLDERS`` runs a watcher (``rig/stalls.c``: a thread a core that wakes every 5 ms, less than a hundredth of it), and the kernel
counts how long something waited for a core. A test that fails counts at once if the machine was calm meanwhile. If it was disturbed, by a
stall of ``STALL_MS`` or longer, or something waiting for a core more than ``PRESSURE`` of the time, the test is repeated, at most ``REPEATS``
times and within its time-out, once the machine is calm (or does not become so), everything but the session's fixtures set up anew; the end of the run names every test that was repeated and what the
machine did. The repeating is pytest-rerunfailures'; without it, and with ``--pdb``, nothing is repeated.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.rig.compile import Unavailable
from tests.rig.stalls import StallLog

#: below ``tests``: where time passes as on the clock
FOLDERS = ("audio", "deploy", "drivers", "inputs", "library", "midi", "panel", "patches", "play", "shm", "sources", "takes", "web")
#: of these, those that listen: never two at once
HEARD = ("audio", "drivers", "inputs", "midi", "patches", "play", "sources", "takes")
HEARD_GROUP, OTHER_GROUP = "heard", "around"
#: what computes longest, in this order, before all else that computes: files of few and long tests, of which none is to be the last
LONGEST = ("lab", "importer", "voice")
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
        """What disturbed until now, for a person; empty when nothing did."""
        time.sleep(TOLD_SECONDS)
        return self.between(start, self.now())

    def between(self, start: Moment, end: Moment) -> str:
        """What disturbed then."""
        told = []
        longest = max((stall.us / 1e3 for stall in self.stalls(start) if stall.start_ns < end.ns), default=0.0)
        if longest >= STALL_MS:
            told.append(f"it stood still for {longest:.0f} ms")
        if start.waited_us is not None and (share := (end.waited_us - start.waited_us) * 1e3 / max(1, end.ns - start.ns)) > PRESSURE:
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
    return group(item.path) in (HEARD_GROUP, OTHER_GROUP)


def group(path: Path) -> str:
    """What one worker runs as a whole: a test file belongs to one of the two groups in real time, or stands for itself."""
    folders = [folder for here, folder in zip(path.parts, path.parts[1:]) if here == "tests"]
    return HEARD_GROUP if any(f in HEARD for f in folders) else OTHER_GROUP if any(f in FOLDERS for f in folders) else str(path)


def turn(path: Path) -> int:
    """When a file's group has its turn, where two workers share them."""
    groups = (HEARD_GROUP, OTHER_GROUP)
    if (name := group(path)) in groups:
        return groups.index(name)
    return len(groups) + next((place for place, folder in enumerate(LONGEST) if path.parent.name == folder), len(LONGEST))


class Beside:
    """Where pytest-xdist runs two workers: one takes the tests that listen to the sound or to the inputs, one after the other, the other what else takes
    time; what only computes follows at a lower priority, the longest first."""

    def __init__(self):
        self._lowered = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config, log):
        from xdist.scheduler import LoadScopeScheduling

        class Groups(LoadScopeScheduling):
            """In the order of the collection."""

            def _split_scope(self, nodeid: str) -> str:
                return group(Path(nodeid.partition("::")[0]))
        config.option.loadscopereorder = False
        return Groups(config, log)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items) -> None:
        if hasattr(config, "workerinput"):
            items.sort(key=lambda item: turn(item.path))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item) -> None:
        if not self._lowered and hasattr(item.config, "workerinput") and not in_real_time(item):
            self._lowered = True
            os.nice(10)


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
        self._around: dict[tuple[Path, str], tuple[Moment, Moment]] = {}      # (test file, fixture it shares) -> when it was made
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
    def pytest_fixture_setup(self, fixturedef, request):
        """What a file's tests share, a whole run of the instrument often, is judged by all of them: its making counts for each."""
        start = self._machine.now() if self._machine and fixturedef.scope in ("module", "package") else None
        made = yield
        if start:
            self._around[request.path, fixturedef.argname] = start, self._machine.now()
        return made

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
            self._why = "" if "from pytest-timeout" in str(error) else self._machine.since(self._start) or self._shared(item)
            if self._why and item.execution_count <= REPEATS:
                self.repeated.setdefault(item.nodeid, []).append(self._why)
        return bool(self._why)

    def _shared(self, item) -> str:
        made = {name: self._around[item.path, name] for name in item.fixturenames if (item.path, name) in self._around}
        return next((f"{told} while {name} was made" for name, when in made.items() if (told := self._machine.between(*when))), "")

    def pytest_terminal_summary(self, terminalreporter) -> None:
        if self.repeated:
            terminalreporter.section("repeated because the machine was disturbed")
        for name, attempts in self.repeated.items():
            terminalreporter.write_line(f"{name}: {'; then '.join(attempts)}")

    def pytest_sessionfinish(self, session) -> None:
        """One of pytest-xdist's workers tells the one that prints."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["repeated"] = self.repeated

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node) -> None:
        self.repeated |= getattr(node, "workeroutput", {}).get("repeated", {})

    def pytest_unconfigure(self) -> None:
        if self._machine:
            self._machine.close()
