"""The simulated board behaves like a real one: converter, comparator, bounce, errors; and board files are checked."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from neurorack.drivers import board as boards
from neurorack.drivers.desk import DeskBoard, Wires
from neurorack.errors import BoardError
from neurorack.inputs.gates import Debouncer
from neurorack.shm.rack import Rack


@pytest.fixture
def desk():
    """Make a board and its wires with other settings: ``desk(bounce_us=300, noise_lsb=0)``."""
    def make(*, bounce_us=0, noise_lsb=0.0, error_rate=0.0):
        settings = boards.load("desk")
        settings["gates"]["bounce_us"] = bounce_us
        settings["cv"].update(noise_lsb=noise_lsb, error_rate=error_rate)
        rack = Rack.create(sample_rate_hz=48000, block_frames=64)
        wires = Wires(rack, settings)
        return DeskBoard(settings, rack, os.dup(wires.far.fileno()), seed=1), wires
    return make


def test_the_converter_has_twelve_bits_over_its_range(desk):
    board, wires = desk()
    step = 20 / 4096
    for volts in (-9.0, -1.234, 0.0, 0.00049, 3.3, 9.99):
        wires.set_cv(0, volts)
        read = board.read_cv()[0]
        assert abs(read - volts) <= step / 2 + 1e-9
        assert (read + 10) / step == pytest.approx(round((read + 10) / step), abs=1e-6)
    wires.set_cv(0, 11.5)
    assert board.read_cv()[0] == pytest.approx(10 - step)
    wires.set_cv(0, -40.0)
    assert board.read_cv()[0] == -10 and board.rack.desk.cv_wire_volts[0] == -12
    assert len(board.read_cv()) == 4


def test_its_noise_is_that_of_the_board_file(desk):
    board, wires = desk(noise_lsb=0.5)
    wires.set_cv(1, 2.5)
    reads = np.array([board.read_cv()[1] for _ in range(4000)]) / (20 / 4096)
    assert reads.std() == pytest.approx(np.hypot(0.5, 12 ** -0.5), rel=0.1)
    assert reads.mean() == pytest.approx(2.5 / (20 / 4096), abs=0.1)


def test_gates_have_hysteresis_and_carry_the_time_of_the_change(desk):
    board, wires = desk()
    times = [wires.set_gate(0, volts) for volts in (1.5, 1.7, 1.2, 0.9, 1.5, 8.0, 0.0)]
    assert board.read_edges() == [(times[1], 0, True), (times[3], 0, False), (times[5], 0, True), (times[6], 0, False)]
    wires.set_gate(1, 5.0)
    assert [(gate, high) for _, gate, high in board.read_edges()] == [(1, True)]
    assert board.gate_levels() == [False, True]


@pytest.mark.parametrize("bounce_us", [50, 390])
def test_bouncing_contacts_are_one_edge_each(desk, bounce_us):
    board, wires = desk(bounce_us=bounce_us)
    line, clean, wanted, raw = Debouncer(), [], [], 0
    for i in range(100):
        at = wires.set_gate(0, 5.0 if i % 2 == 0 else 0.0)
        wanted.append((at, i % 2 == 0))
        while time.monotonic_ns() < at + 1_000_000:
            pass
        for edge_ns, _, high in board.read_edges():
            raw += 1
            clean += line.feed(edge_ns, high)
    assert clean + line.due(at + 10**9) == wanted
    assert raw > 150 or bounce_us < 100


def test_a_failing_bus(desk):
    board, _ = desk(error_rate=0.3)
    outcomes = []
    for _ in range(500):
        try:
            outcomes.append(len(board.read_cv()))
        except OSError as error:
            assert error.errno == 121
            outcomes.append(0)
    assert 0.2 < outcomes.count(0) / 500 < 0.4


def test_a_board_opened_again_forgets_what_happened_before_it_was_looked_at(desk):
    board, wires = desk()
    wires.set_gate(0, 5.0)
    wires.set_gate(0, 0.0)
    wires.set_gate(1, 5.0)
    again = DeskBoard(boards.load("desk"), board.rack, os.dup(wires.far.fileno()))
    assert again.read_edges() == [] and again.gate_levels() == [False, True]
    wires.set_gate(1, 0.0)
    assert [(gate, high) for _, gate, high in again.read_edges()] == [(1, False)]


def test_changes_that_nobody_reads_are_lost_and_counted_and_never_block(desk):
    _, wires = desk()
    for i in range(20000):
        wires.set_gate(0, 5.0 * (i % 2))
    assert wires.lost > 0


def test_the_board_file_is_found_by_name_or_path(tmp_path):
    assert boards.load("desk")["name"] == "desk" and "desk" in boards.names()
    own = tmp_path / "mine.yaml"
    own.write_text((boards.HARDWARE / "desk.yaml").read_text())
    assert boards.load(str(own)) == {**boards.load("desk"), "name": "mine"}


@pytest.mark.parametrize("text, what", [
    ("driver: desk", "cv lacks jacks"), ("driver: toaster", "its driver is 'toaster'; the drivers are desk"), ("[1, 2", "board file"),
    ("just words", "its driver is None"), (None, "there is no board"), (b"\xff\xfe\x00", "board file")])
def test_a_board_file_that_cannot_be_used_is_named(tmp_path, text, what):
    path = tmp_path / "broken.yaml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BoardError, match=what) as caught:
        boards.load(str(path))
    assert "\n" not in str(caught.value)


def test_every_board_file_loads():
    for path in Path(boards.HARDWARE).glob("*.yaml"):
        assert boards.load(path.stem)["driver"] == yaml.safe_load(path.read_text())["driver"]
