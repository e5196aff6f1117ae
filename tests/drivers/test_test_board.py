"""The tests of a real board (``tests/board``), run against simulated ones; and what they say where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(environment):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "tests/board"], cwd=ROOT,
                          capture_output=True, text=True, env={**os.environ, **environment}, timeout=200)
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["pi", pytest.param("pi-ads1115", marks=pytest.mark.soak), pytest.param("classic", marks=pytest.mark.soak)])
def test_a_simulated_board_meets_what_a_real_one_must(bench, name):
    code, said = run({**bench(name).wires.environment(), "BOARD": name})
    assert code == 0 and "passed" in said, said
    assert "skipped" not in said.splitlines()[-1], said


def test_a_chip_that_is_not_there_is_skipped_by_name(bench):
    b = bench("classic")
    b.sim.board.chip[1].absent = 1
    code, said = run({**b.wires.environment(), "BOARD": "classic"})
    assert code == 0 and "ADS1015 at 0x49 is not there" in said, said


def test_without_a_board_all_are_skipped():
    code, said = run({"BOARD": ""})
    assert code in (0, 5) and "no board" in said and "passed" not in said.splitlines()[-1], said
