"""The scanner: CVs as one snapshot, edges with the CVs as they had settled, a bus that fails now and then."""

import math
import os
from types import SimpleNamespace

import pytest

from neurorack.inputs.conditioner import Conditioner
from neurorack.inputs.process import RETRY_NS, Scanner
from neurorack.shm.rack import Rack

MS = 1_000_000
CV = {"jacks": 4, "range_volts": [-10.0, 10.0]}


class Board:
    """Jacks that a test moves."""

    scan_hz = 1000

    def __init__(self):
        self.volts, self.edges, self.fails, self.scans = [0.0] * 4, [], False, 0

    def gate_fd(self):
        return os.open(os.devnull, os.O_RDONLY)

    def gate_levels(self):
        return [False, True]

    def read_edges(self):
        edges, self.edges = self.edges, []
        return edges

    def read_cv(self):
        self.scans += 1
        if self.fails:
            raise OSError(121, "Remote I/O error")
        return list(self.volts)


@pytest.fixture
def desk():
    rack, said = Rack.create(sample_rate_hz=48000, block_frames=64, settle_us=1000), []
    scanner = Scanner(SimpleNamespace(rack=rack, say=said.append), Board(), Conditioner(CV))
    return SimpleNamespace(rack=rack, said=said, board=scanner.board, scanner=scanner, edges=rack.edge_reader())


def test_a_scan_is_one_snapshot_with_its_gates_and_its_time(desk):
    desk.board.volts = [1.0, -2.0, 3.5, 0.25]
    desk.scanner.scan(5 * MS)
    assert desk.rack.read_controls() == ([1.0, -2.0, 3.5, 0.25, 0, 0, 0, 0], 0b10, 5 * MS)
    assert desk.scanner.next_event() >= 5 * MS and desk.rack.inputs.scans == 1


def test_an_edge_waits_until_its_cvs_have_settled_and_brings_them(desk):
    desk.board.edges = [(10 * MS, 0, True)]
    desk.board.volts[0] = 1.0      # as it stood at the edge
    desk.scanner.scan(10 * MS)
    desk.scanner.take_edges()
    desk.scanner.publish_settled(10 * MS + 999_999)
    assert desk.edges.next() is None
    desk.board.volts[0] = 4.0      # as it settles
    assert desk.scanner.next_event() <= 11 * MS
    desk.scanner.publish_settled(11 * MS)
    edge = desk.edges.next()
    assert (edge.edge_ns, edge.jack, edge.rising, edge.cv_volts[0]) == (10 * MS, 0, 1, 4.0)
    assert desk.edges.next() is None and desk.rack.inputs.edges == 1


def test_edges_that_settle_together_share_one_scan_and_keep_their_order(desk):
    desk.board.edges = [(10 * MS, 0, True), (10 * MS + 5_000, 1, False), (10 * MS + 9_000, 1, True)]
    desk.scanner.take_edges()
    scans = desk.board.scans
    desk.scanner.take_due(12 * MS)
    desk.scanner.publish_settled(12 * MS)
    seen = []
    while edge := desk.edges.next():
        seen.append((edge.edge_ns, edge.jack, edge.rising))
    assert seen == [(10 * MS, 0, 1), (10 * MS + 5_000, 1, 0), (10 * MS + 9_000, 1, 1)]
    assert desk.board.scans == scans + 1 and desk.rack.inputs.bounces == 1


def test_a_failing_bus_holds_the_last_values_says_so_once_and_is_tried_again(desk):
    desk.board.volts[2] = 7.0
    desk.scanner.scan(MS)
    desk.board.fails = True
    for i in range(3):
        desk.scanner.scan((10 + i) * MS)
    assert desk.rack.read_controls()[0][2] == 7.0 and desk.rack.read_controls()[2] == MS
    assert desk.rack.inputs.chip_errors == 3 and len(desk.said) == 1 and "ChipError" in desk.said[0]
    assert desk.scanner.next_scan == 12 * MS + RETRY_NS
    desk.board.edges = [(13 * MS, 0, True)]      # gates do not need the converter
    desk.scanner.take_edges()
    desk.scanner.publish_settled(15 * MS)
    assert desk.edges.next().cv_volts[2] == 7.0
    desk.board.fails, desk.board.volts[2] = False, 1.0
    desk.scanner.scan(200 * MS)
    assert desk.rack.read_controls()[0][2] == 1.0 and "answers again" in desk.said[1]


def test_a_restart_holds_the_last_values(desk):
    desk.board.volts = [1.0, 2.0, 3.0, 4.0]
    desk.scanner.scan(MS)
    board = Board()
    board.fails = True
    again = Scanner(SimpleNamespace(rack=desk.rack, say=desk.said.append), board, Conditioner(CV))
    again.scan(2 * MS)
    assert again.conditioner.volts[:4] == [1.0, 2.0, 3.0, 4.0]
    assert desk.rack.read_controls()[0][:4] == [1.0, 2.0, 3.0, 4.0]


def test_what_is_played_from_afar_is_added_once_to_a_jack_that_was_never_converted(desk):
    desk.rack.remote.cv_volts[1] = 1.5
    desk.board.volts = [0.0, math.nan, 2.0, 0.0]
    for i in range(5):
        desk.scanner.scan((1 + i) * MS)
    assert desk.rack.read_controls()[0][:4] == [0.0, 1.5, 2.0, 0.0]
    again = Scanner(SimpleNamespace(rack=desk.rack, say=desk.said.append), desk.board, Conditioner(CV))
    again.scan(9 * MS)
    assert desk.rack.read_controls()[0][:4] == [0.0, 1.5, 2.0, 0.0], "nor twice after a restart"
