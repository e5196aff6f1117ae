"""Chips that are missing, fail or come late: named, counted, tried again; everything else goes on."""

import random
import signal
import subprocess
import sys
import time

import pytest

from neurorack import process
from tests.drivers.conftest import until


@pytest.fixture
def heard(monkeypatch):
    """Lines of the inputs process."""
    lines, spawned = [], []
    popen = subprocess.Popen

    def listen(command, **options):
        child = popen(command, stderr=subprocess.PIPE, text=True, **options)
        spawned.append(child)
        import threading

        threading.Thread(target=lambda: lines.extend(iter(child.stderr.readline, "")), daemon=True).start()
        return child
    monkeypatch.setattr(process.subprocess, "Popen", listen)
    return lines


def cv(bench, jack):
    return bench.rack.get_cv(jack)


@pytest.mark.parametrize("name, title", [("pi", "MCP3208 at spidev0.0"), ("pi-ads1115", "ADS1115 at 0x48")])
def test_a_chip_that_goes_holds_its_values_and_comes_back(bench, heard, name, title):
    b = bench(name)
    b.wires.set_cv(1, 2.0)
    b.begin()
    assert until(lambda: abs(cv(b, 1) - 2.0) < 0.1)
    b.sim.board.chip[0].absent = 1
    b.wires.set_cv(1, -3.0)
    assert until(lambda: any("ChipError" in line and title in line for line in heard))
    assert abs(cv(b, 1) - 2.0) < 0.1 and b.rack.inputs.chip_errors >= 3
    up = b.wires.set_gate(0, 5.0)
    assert until(lambda: b.rack.inputs.edges == 1) and b.new_edges() == [(up, 0, True)], "gates do not need it"
    beats = b.rack.inputs.heartbeat_ns
    assert until(lambda: b.rack.inputs.heartbeat_ns > beats + 100_000_000)
    b.sim.board.chip[0].absent = 0
    assert until(lambda: abs(cv(b, 1) + 3.0) < 0.1)
    assert until(lambda: any(f"{title} answers again" in line for line in heard))
    assert sum("ChipError" in line for line in heard) == 1, "said once"


def test_one_of_two_converters_missing_leaves_the_other(bench, heard):
    b = bench("classic")
    b.sim.board.chip[1].absent = 1               # 0x49: cv2 to cv4
    for jack in range(4):
        b.wires.set_cv(jack, 3.0)
    b.begin()
    assert until(lambda: abs(cv(b, 0) - 3.0) < 0.1)
    assert [cv(b, jack) for jack in (1, 2, 3)] == [0.0] * 3, "never seen: their normal"
    b.wires.set_gate(1, 5.0)
    assert until(lambda: b.rack.inputs.edges == 1)
    b.sim.board.chip[1].absent = 0
    assert until(lambda: all(abs(cv(b, jack) - 3.0) < 0.1 for jack in range(4)))


def test_a_chip_that_appears_late_is_waited_for_ever_longer_but_found(bench, heard):
    b = bench("pi-ads1115")
    b.sim.board.chip[0].appears_ns = time.monotonic_ns() + 2_500_000_000
    b.wires.set_cv(0, 1.5)
    b.begin()
    assert cv(b, 0) == 0.0
    assert until(lambda: abs(cv(b, 0) - 1.5) < 0.1)
    assert 2 <= b.rack.inputs.chip_errors < 12, "attempts after 0.05, 0.1, 0.2 ... seconds"


@pytest.mark.parametrize("name", ["pi-ads1115", "classic"])
def test_missed_acknowledges_are_counted_and_cost_a_conversion_only(bench, heard, name):
    b = bench(name)
    for chip in b.sim.board.chip:
        chip.nack_rate = 0.02
    b.begin()
    assert until(lambda: b.rack.inputs.chip_errors > 20)
    for value in (1.0, -1.0, 4.0):
        b.wires.set_cv(0, value)
        assert until(lambda: abs(cv(b, 0) - value) < 0.1, 5)


@pytest.mark.parametrize("name", ["pi-ads1115", "classic"])
def test_a_bus_held_low_stops_nothing_else(bench, heard, name):
    b = bench(name)
    b.wires.set_cv(0, 2.0)
    b.begin()
    assert until(lambda: abs(cv(b, 0) - 2.0) < 0.1)
    b.sim.board.bus[0].stuck = 1
    assert until(lambda: any("ChipError" in line for line in heard))
    scans = b.rack.inputs.scans
    assert until(lambda: b.rack.inputs.scans > scans + 100) and abs(cv(b, 0) - 2.0) < 0.1
    if name == "pi-ads1115":
        up = b.wires.set_gate(1, 5.0)
        assert until(lambda: b.rack.inputs.edges == 1) and b.new_edges() == [(up, 1, True)]
    b.wires.set_cv(0, -2.0)
    b.sim.board.bus[0].stuck = 0
    assert until(lambda: abs(cv(b, 0) + 2.0) < 0.1)


def test_gate_lines_that_appear_late_are_found_and_the_cvs_do_not_wait(bench, heard):
    b = bench("pi")
    label = bytes(b.sim.board.gpio_label)
    b.sim.board.gpio_label[0] = 0                # no GPIO chip
    b.wires.set_cv(3, 2.0)
    b.begin()
    assert until(lambda: abs(cv(b, 3) - 2.0) < 0.1)
    assert until(lambda: any("gates' GPIO does not answer" in line for line in heard))
    b.sim.board.gpio_label[0] = label[0]
    assert until(lambda: any("gates' GPIO answers again" in line for line in heard))
    up = b.wires.set_gate(1, 5.0)
    assert until(lambda: b.rack.inputs.edges == 1) and b.new_edges() == [(up, 1, True)]


@pytest.mark.parametrize("name", ["pi-ads1115", "classic"])
def test_however_late_an_answer_comes_no_jack_gets_anothers_volts(bench, heard, name):
    b, rng = bench(name), random.Random(1)
    patched = [-3.0, 1.0, 4.0, -1.5]
    for jack, value in enumerate(patched):
        b.wires.set_cv(jack, value)
    b.begin()
    assert until(lambda: all(abs(cv(b, jack) - value) < 0.1 for jack, value in enumerate(patched)))
    wrong = 0
    for _ in range(60):
        time.sleep(rng.random() * 0.01)
        b.process.send_signal(signal.SIGSTOP)
        time.sleep(rng.random() * 0.004)
        b.process.send_signal(signal.SIGCONT)
        for _ in range(10):
            wrong += any(abs(cv(b, jack) - value) > 0.1 for jack, value in enumerate(patched))
            time.sleep(0.0005)
    assert wrong == 0


def test_a_ready_pin_that_came_loose_is_named(bench, heard):
    b = bench("pi-ads1115").begin()
    b.sim.board.chip[0].alert_line = -1
    assert until(lambda: any("ALERT/RDY" in line for line in heard))


def test_a_missing_library_is_one_line_with_its_remedy(bench, heard, monkeypatch, tmp_path):
    (tmp_path / "gpiod.py").write_text("raise ImportError('gone', name='gpiod')\n")
    b = bench("pi")
    environment = {**b.wires.environment(), "PYTHONPATH": f"{tmp_path}:{sys.path[0]}"}
    b.process = process.spawn("inputs", b.rack, {"board": b.settings, "environment": environment})
    assert b.process.wait(20) == process.BAD_INPUT
    assert until(lambda: any("needs gpiod" in line and "pip install" in line for line in heard))
