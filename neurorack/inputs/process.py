"""The inputs process: scans the CVs, takes the gates' edges, publishes both. It does not know what a volt means.

Each edge is published once its CVs have settled, together with their values at that time: whoever plays it needs no
second look at a jack that may have moved on.
"""

from __future__ import annotations

import collections
import os
import select
import time

from neurorack.drivers import board as boards
from neurorack.inputs.gates import Debouncer
from neurorack.process import Child, run_as_fifo
from neurorack.shm import table

FIFO_PRIORITY = 60
HEARTBEAT_NS = 20_000_000
RETRY_NS = 100_000_000      # pause after a failed scan


class Scanner:
    """One board's jacks into the shared block."""

    def __init__(self, child: Child, board):
        self.rack, self.board, self.child = child.rack, board, child
        self.section = child.rack.inputs
        self.settle_ns = child.rack.header.settle_us * 1000
        self.period_ns = round(1e9 / board.scan_hz)
        self.volts = [0.0] * table.CV_JACKS
        last = child.rack.read_controls()
        if last:
            self.volts = last[0]       # a restart holds the last values
        self.lines = [Debouncer(high) for high in board.gate_levels()]
        self.settling: collections.deque[tuple[int, int, bool]] = collections.deque()
        self.next_scan = time.monotonic_ns()
        self.failing = False

    def scan(self, now: int) -> None:
        """Convert every CV and publish; a bus error keeps the last values and tries again shortly."""
        try:
            values = self.board.read_cv()
        except OSError as error:
            self.section.chip_errors = self.section.chip_errors + 1
            if not self.failing:
                self.child.say(f"warning: ChipError: the CV converter does not answer ({error}); its jacks hold their last values")
            self.failing, self.next_scan = True, now + RETRY_NS
            return
        if self.failing:
            self.child.say("the CV converter answers again")
        self.failing = False
        self.volts[: len(values)] = values
        gates = sum(1 << i for i, line in enumerate(self.lines) if line.high)
        self.rack.write_controls(self.volts, gates, now)
        self.section.scans = self.section.scans + 1
        self.next_scan = max(self.next_scan + self.period_ns, now)

    def take_edges(self) -> None:
        for edge_ns, gate, high in self.board.read_edges():
            for clean_ns, level in self.lines[gate].feed(edge_ns, high):
                self.settling.append((clean_ns, gate, level))

    def take_due(self, now: int) -> None:
        for gate, line in enumerate(self.lines):
            for clean_ns, level in line.due(now):
                self.settling.append((clean_ns, gate, level))
        self.section.bounces = sum(line.bounces for line in self.lines)

    def publish_settled(self, now: int) -> None:
        scanned = False
        while self.settling and now >= self.settling[0][0] + self.settle_ns:
            edge_ns, gate, level = self.settling.popleft()
            if not scanned and not self.failing:
                self.scan(now)
                scanned = True
            self.rack.publish_edge(gate, level, edge_ns, self.volts)
            self.section.edges = self.section.edges + 1

    def next_event(self) -> int:
        """When something is to be done even if no gate moves."""
        times = [self.next_scan, *(t for line in self.lines if (t := line.waiting_until) is not None)]
        if self.settling:
            times.append(self.settling[0][0] + self.settle_ns)
        return min(times)


def run(child: Child) -> None:
    """Scan and publish until told to leave."""
    rack = child.rack
    rack.inputs.pid = os.getpid()
    rack.recover("controls")
    run_as_fifo(FIFO_PRIORITY)
    settings = child.config["board"]
    scanner = Scanner(child, boards.open_board(settings, rack, child.config))
    gates = [scanner.board.gate_fd()]
    beat_at = 0
    while True:
        now = time.monotonic_ns()
        if now >= beat_at:
            beat_at = now + HEARTBEAT_NS
            if not child.beat(rack.inputs):
                break
        # select, because epoll and poll round their time-outs to milliseconds
        select.select(gates, [], [], min(max(0, scanner.next_event() - now), HEARTBEAT_NS) / 1e9)
        scanner.take_edges()
        now = time.monotonic_ns()
        scanner.take_due(now)
        scanner.publish_settled(now)
        if now >= scanner.next_scan:
            scanner.scan(now)
    scanner.board.close()
