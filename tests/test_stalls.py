"""A failure is repeated where the machine stood still meanwhile, and nowhere else."""

import importlib.util
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.rig.compile import Unavailable
from tests.rig.stalls import StallLog
from tests.stalls import INTERVAL_MS, STALL_MS, Machine, waited_us

pytest.importorskip("pytest_rerunfailures")

HERE = Path(__file__).resolve().parents[1]

CONFTEST = """
    import pytest
    from pathlib import Path
    from tests.stalls import Moment, Repeats

    class Machine:
        "A machine whose disturbances are written in a file; a line counts for one look."
        def now(self): return Moment(0, 0)
        def settle(self): pass
        def close(self): pass
        def since(self, start):
            first, *rest = Path("machine").read_text().splitlines() or [""]
            Path("machine").write_text("\\n".join(rest))
            return first
        def between(self, start, end): return Path("around").read_text() if Path("around").exists() else ""

    def pytest_configure(config):
        config.pluginmanager.register(Repeats(lambda item: "offline" not in item.name, Machine))

    def made(kind):
        count = len(Path(kind).read_text()) + 1 if Path(kind).exists() else 1
        Path(kind).write_text("x" * count)
        return count

    @pytest.fixture(scope="session")
    def built(): return made("session")

    @pytest.fixture(scope="module")
    def instrument(built):
        yield made("module")
        made("ended")

    @pytest.fixture
    def fresh(instrument): return made("function")
"""


@pytest.fixture
def run(tmp_path):
    """``run(tests, machine, *options)``: a run of those tests where the machine did so at each look; its output's lines and code."""
    def go(tests: str, machine: tuple[str, ...], *options: str):
        (tmp_path / "conftest.py").write_text(textwrap.dedent(CONFTEST))
        (tmp_path / "test_it.py").write_text("import time, pytest\nfrom conftest import made\n" + textwrap.dedent(tests))
        (tmp_path / "machine").write_text("\n".join(machine))
        for left in ("session", "module", "ended", "function", "ends"):
            (tmp_path / left).unlink(missing_ok=True)
        plugins = [f"-p{name}" for name in ("rerunfailures", "timeout") if importlib.util.find_spec(f"pytest_{name}")]      # all others take a second
        done = subprocess.run([sys.executable, "-m", "pytest", *plugins, "--no-header", "--strict-markers", *options], cwd=tmp_path,
                              capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": str(HERE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
        return done.stdout, done.returncode, lambda kind: len((tmp_path / kind).read_text())
    return go


STALLED = "it stood still for 84 ms"
ONCE = """
    def test_before(instrument): assert instrument == 1
    def test_it(fresh, instrument, built): assert fresh == instrument == 2 and built == 1
    def test_after(instrument): assert instrument == 2
"""


def test_a_failure_of_a_disturbed_machine_is_repeated_with_a_new_instrument_and_named(run):
    said, code, made = run(ONCE, (STALLED,))
    assert code == 0 and "3 passed" in said and "1 rerun" in said
    assert f"test_it.py::test_it: {STALLED}" in said
    assert made("module") == made("ended") == 2 and made("session") == 1


def test_a_failure_of_a_calm_machine_counts_at_once(run):
    said, code, made = run(ONCE, ())
    assert code == 1 and "2 failed, 1 passed" in said and "rerun" not in said and "repeated" not in said
    assert made("module") == made("ended") == made("function") == 1


def test_a_test_that_always_fails_fails_after_two_repeats(run):
    said, code, made = run("def test_it(fresh): assert False", (STALLED, "something waited", STALLED, STALLED))
    assert code == 1 and "1 failed, 2 rerun" in said and made("function") == made("module") == made("ended") == 3
    assert f"test_it.py::test_it: {STALLED}; then something waited\n" in said


def test_only_a_disturbed_repeat_is_repeated(run):
    said, code, made = run("def test_it(fresh): assert False", (STALLED, "", STALLED))
    assert code == 1 and "1 failed, 1 rerun" in said and made("function") == made("ended") == 2


def test_what_fails_in_its_fixtures_is_repeated_too(run):
    said, code, _ = run("""
        @pytest.fixture(scope="module")
        def late(instrument): assert instrument > 1
        @pytest.fixture
        def slow_to_end(instrument):
            yield
            assert instrument > 1 and made("ends") > 1
        def test_it(late): pass
        def test_end(late, slow_to_end): pass
    """, (STALLED, STALLED))
    assert code == 0 and "2 rerun" in said and "failed" not in said


def test_other_tests_are_never_repeated(run):
    said, code, _ = run("def test_offline(fresh): assert fresh == 2", (STALLED,))
    assert code == 1 and "1 failed" in said and "1 rerun" not in said


def test_the_last_failed_are_those_that_failed_in_the_end(run):
    tests = ONCE + "\n    def test_never(): assert False"
    said, code, _ = run(tests, (STALLED, ""))
    assert code == 1 and "1 failed, 3 passed, 1 rerun" in said
    said, code, _ = run(tests, ("",), "--lf")
    assert code == 1 and "1 failed" in said and "passed" not in said


def test_a_time_out_is_a_failure_of_all_repeats_together(run):
    pytest.importorskip("pytest_timeout")
    began = time.monotonic()
    said, code, _ = run("def test_it(): time.sleep(60)", (STALLED,), "--timeout", "1")
    assert code == 1 and "1 failed" in said and "1 rerun" not in said
    assert time.monotonic() - began < 50


def test_what_disturbed_the_making_of_what_tests_share_counts_for_each_of_them(run, tmp_path):
    shared = """
        def test_first(instrument): pass
        def test_it(instrument): assert instrument == 2
    """
    assert run(shared, ())[1] == 1
    (tmp_path / "around").write_text(STALLED)
    said, code, _ = run(shared, ())
    assert code == 0 and f"test_it.py::test_it: {STALLED} while instrument was made" in said


# ---- the watcher


@pytest.fixture
def machine():
    machine = Machine()
    yield machine
    machine.close()


def test_a_core_that_was_taken_away_is_told(machine):
    """A real-time thread takes each core for 100 ms."""
    bully = """
        import os, sys, time
        os.sched_setaffinity(0, {int(sys.argv[1])})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(90))
        end = time.monotonic_ns() + 100_000_000
        while time.monotonic_ns() < end: pass
        """
    start = machine.now()
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(bully), str(min(os.sched_getaffinity(0)))], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("SCHED_FIFO is not permitted here: no core can be taken away on purpose")
    told = machine.since(start)
    assert told.startswith("it stood still for ") and float(told.split()[4]) > STALL_MS
    assert not machine.stalls(machine.now()), "what was before does not count"


def test_a_crowd_at_the_cores_is_told(machine):
    if waited_us() is None:
        pytest.skip("this kernel does not tell of pressure")
    start = machine.now()
    crowd = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * len(os.sched_getaffinity(0)))]
    time.sleep(1.5)
    for one in crowd:
        one.kill()
        one.wait()
    assert "waited for a core" in machine.since(start)


def test_a_repeat_waits_for_a_calm_moment_but_not_for_ever(machine, monkeypatch):
    monkeypatch.setattr("tests.stalls.PATIENCE_SECONDS", 3.0)
    began = time.monotonic()
    machine.settle()
    assert 1.0 <= time.monotonic() - began < 30


def test_the_watcher_costs_less_than_a_hundredth_of_a_core():
    try:
        with StallLog(STALL_MS * 1e3, INTERVAL_MS * 1e3, priority=0) as log:
            time.sleep(1)
            clock = Path(f"/proc/{log._process.pid}/stat")
            before = sum(map(int, clock.read_text().rpartition(")")[2].split()[11:13]))
            time.sleep(3)
            ticks = sum(map(int, clock.read_text().rpartition(")")[2].split()[11:13])) - before
    except Unavailable as why:
        pytest.skip(str(why))
    assert ticks / os.sysconf("SC_CLK_TCK") / 3 / len(log.scheduling) < 0.01
