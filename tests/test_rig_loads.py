"""The rig's stall log and its loads do what benchmarks take them to do."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time

import pytest

from tests.rig import burn
from tests.rig.stalls import StallLog
from tests.rig.stalls import main as stalls_main


def wanted_ns(pid):
    """Time ``pid`` has run or waited for its turn: what it would have run on a core of its own."""
    running, waiting, _turns = map(int, open(f"/proc/{pid}/schedstat").read().split())
    return running + waiting


def test_stalls_finds_a_core_that_was_taken_away():
    """A FIFO thread above the watcher takes a core for 30 ms; without that right, the watcher's beat is checked alone."""
    taken_ms = 30
    bully = f"""
        import os, time
        os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(90))
        end = time.monotonic_ns() + {taken_ms}_000_000
        print(time.monotonic_ns(), flush=True)
        while time.monotonic_ns() < end: pass
        """
    with StallLog(threshold_us=1000, priority=80) as log:
        time.sleep(0.3)
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(bully)], capture_output=True, text=True)
        time.sleep(0.3)
    cores = sorted(os.sched_getaffinity(0))
    report = log.report()
    assert [core["core"] for core in report["cores"]] == cores and report["lost"] == 0
    beats = log.seconds * 1e6 / log.interval_us
    assert all(0.3 * beats < core["wakes"] < 1.1 * beats for core in report["cores"])
    if done.returncode:
        assert "PermissionError" in done.stderr
        pytest.skip("SCHED_FIFO is not permitted here: no core can be taken away on purpose")
    assert all(core["scheduling"] == "fifo" for core in report["cores"])
    longest = max(log.around(int(done.stdout), 0, taken_ms * 1_000_000), key=lambda stall: stall.us)
    assert longest.core == cores[0] and 0.8 * taken_ms < longest.us / 1e3 < 4 * taken_ms
    assert log.around(int(done.stdout) - 10**12, 0) == []


def test_stalls_prints_json(capsys):
    assert stalls_main(["--seconds", "0.5", "--threshold-us", "200", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert sum(core["stalls"] for core in report["cores"]) == len(report["stalls"])
    assert all(stall["us"] >= 200 for stall in report["stalls"])


def test_a_core_load_loads_the_core_it_was_given():
    core = max(os.sched_getaffinity(0))
    with burn.core_load([core]) as (load,):
        time.sleep(0.3)
        assert os.sched_getaffinity(load.pid) == {core}
        before, start = wanted_ns(load.pid), time.monotonic_ns()
        time.sleep(1)
        assert wanted_ns(load.pid) - before > 0.9 * (time.monotonic_ns() - start), "it rested"
    assert load.returncode is not None


def test_burners_reach_spawned_processes_by_name():
    code = """
        import multiprocessing, sys, threading, time
        def child(name):
            open("/proc/self/comm", "w").write(name)
            time.sleep(1)
            print(name, sum("burner" in thread.name for thread in threading.enumerate()), flush=True)
        if __name__ == "__main__":
            spawn = multiprocessing.get_context("spawn")
            for name in ("audio", "synth"):
                process = spawn.Process(target=child, args=(name,)); process.start(); process.join()
        """
    env = {**os.environ, **burn.burning_env(2, only="audio")}
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(textwrap.dedent(code))
        script.flush()
        said = subprocess.run([sys.executable, script.name], env=env, capture_output=True, text=True, timeout=60)
    assert said.stdout.split() == ["audio", "2", "synth", "0"], said.stderr
    with burn.gil_burners(3) as burners:
        assert all(burner.is_alive() for burner in burners)
    assert not any(burner.is_alive() for burner in burners)
