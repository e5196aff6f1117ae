"""The inputs process: scans the CVs, takes the gates' edges, publishes both. It does not know what a volt means to a model.

Each edge is published once its CVs have settled, together with their values at that time: whoever plays it needs no
second look at a jack that may have moved on. Edges of a jack that is set as clock or reset go to the clock instead.
"""

from __future__ import annotations

import ctypes
import heapq
import os
import select
import time

from neurorack.drivers import board as boards
from neurorack.inputs import calibration, settings, store
from neurorack.inputs.clock import JACK, TAPPED, Clock
from neurorack.inputs.conditioner import Conditioner
from neurorack.inputs.gates import Debouncer
from neurorack.inputs.midi_clock import MIDI, MidiClock
from neurorack.inputs.sources_bank import Bank
from neurorack.process import Child, run_as_fifo
from neurorack.remote import wire

FIFO_PRIORITY = 60
_PR_SET_TIMERSLACK = 29
HEARTBEAT_NS = 20_000_000
RETRY_NS = 100_000_000      # pause after a failed scan
STAND_NS = 1_000_000           # so long after its gate's edge a sequencer's CV stands
LOOK_AGAIN_NS = 300_000        # at a converter that has not yet come round
LOOK_NS = 1_000_000_000     # between two looks for changed settings
HIT_NS = 5_000_000          # length of the gate that a clock's step stands for


def kept_as(board: dict) -> str:
    """Under which name a board's calibration and settings are kept: simulated chips are other chips."""
    return board["name"] + ("-simulated" if os.environ.get("NEURORACK_SIMBUS") else "")


class Scanner:
    """One board's jacks into the shared block."""

    def __init__(self, child: Child, board, conditioner: Conditioner):
        self.rack, self.board, self.child, self.conditioner = child.rack, board, child, conditioner
        self.section, self._base = child.rack.inputs, ctypes.c_void_p(child.rack.base)
        self.sources = Bank(child.rack)
        self.settle_ns = child.rack.header.settle_us * 1000
        self.period_ns = round(1e9 / board.scan_hz)
        last = child.rack.read_controls()
        if last and last[2]:
            conditioner.hold([volts - far for volts, far in zip(last[0], child.rack.remote.cv_volts)])   # a restart holds the last values
        self.lines = [Debouncer(high) for high in board.gate_levels()]
        self.roles = [settings.GateSettings() for _ in self.lines]
        self.clock, self.midi_clock = Clock(), MidiClock()
        self.remote: wire.Receiver | None = None            # what is played over MIDI and OSC
        self.settling: list[tuple[int, int, bool]] = []     # a heap by time
        self.look_again_ns = 0                              # at edges whose CVs are still to be converted
        self._oldest_cv_ns = getattr(board, "oldest_cv_ns", None)
        self.next_scan = self.next_run = time.monotonic_ns()
        self.failing = False
        self._gates_high, self._bounces, self._tap_ns = 0, 0, child.rack.run.tap_ns
        self._note_gates()

    def use(self, jacks: dict[str, settings.CvSettings | settings.GateSettings], corrections: list[calibration.Correction]) -> None:
        """Settings of every jack, from now on."""
        self.conditioner.use([jacks[f"cv{i + 1}"] for i in range(self.conditioner.jacks)], corrections)
        self.roles = [jacks[f"gate{i + 1}"] for i in range(len(self.lines))]
        clocks = [role for role in self.roles if role.role == "clock"]
        if clocks and clocks[0] != self.clock.settings:
            self.clock = Clock(clocks[0])
        elif not clocks and self.clock.settings.hits:
            self.clock = Clock()
        self.tell_clock()

    # -- CVs

    def scan(self, now: int) -> None:
        """Convert every CV and publish; a bus error keeps the last values and tries again shortly."""
        try:
            converted = self.board.read_cv()
        except OSError as error:
            self.section.chip_errors = self.section.chip_errors + 1
            if not self.failing:
                self.child.say(f"warning: ChipError: the CV converter does not answer ({error}); its jacks hold their last values")
            self.failing, self.next_scan = True, now + RETRY_NS
            self.run_on(now)
            return
        if self.failing:
            self.child.say("the CV converter answers again")
        self.failing = False
        self.conditioner.publish(self._base, self.sources.handle, converted, self._gates_high, now)
        self.next_scan = max(self.next_scan + self.period_ns, now)

    def run_on(self, now: int) -> None:
        """While the converter does not answer its jacks hold; the modulators go on."""
        self.conditioner.publish(self._base, self.sources.handle, None, self._gates_high, now)
        self.next_run = now + self.period_ns

    # -- gates

    def take_edges(self) -> None:
        for edge_ns, gate, high in self.board.read_edges():
            for clean_ns, level in self.lines[gate].feed(edge_ns, high):
                self._clean(clean_ns, gate, level)
        self._note_gates()

    def take_due(self, now: int) -> None:
        for gate, line in enumerate(self.lines):
            for clean_ns, level in line.due(now):
                self._clean(clean_ns, gate, level)
                self._note_gates()
        due = self.clock.next_step_ns
        if due is not None and due <= now:
            self.clock.look(now)
            self._play_steps()
            self.tell_clock()

    def _note_gates(self) -> None:
        self._gates_high = sum(1 << i for i, line in enumerate(self.lines) if line.high or self._held(i))
        bounces = sum(line.bounces for line in self.lines)
        if bounces != self._bounces:
            self._bounces = self.section.bounces = bounces

    def _clean(self, edge_ns: int, gate: int, level: bool) -> None:
        role = self.roles[gate].role
        if role == "gate":
            if level or not self._held(gate):
                heapq.heappush(self.settling, (edge_ns, gate, level))
        elif level:
            self.clock.pulse(edge_ns) if role == "clock" else self.clock.reset(edge_ns)
            self._play_steps()
            self.tell_clock()

    def _held(self, gate: int) -> bool:
        """Somebody holds this gate from afar."""
        return self.remote is not None and self.remote.high[gate]

    def take_remote(self) -> None:
        """Edges and clock pulses from afar. Whoever raises a gate plays a hit; it falls when nobody holds it."""
        for ns, what, high in self.remote.read():
            if what >= wire.GATES:
                self.midi_clock.take(ns, what)
                self.tell_clock()
                continue
            was, self.remote.high[what] = self.remote.high[what], high
            by_jack = what < len(self.lines) and self.lines[what].high and self.roles[what].role == "gate"
            if high or (was and not by_jack):
                heapq.heappush(self.settling, (ns, what, high))
        self._note_gates()

    def _play_steps(self) -> None:
        for at in self.clock.steps():
            if self.clock.settings.hits and self.clock.running != TAPPED:
                heapq.heappush(self.settling, (at, 0, True))
                heapq.heappush(self.settling, (at + self._hit_ns(), 0, False))

    def _hit_ns(self) -> int:
        """Length of a step's gate: at most half the step."""
        step_ns = self.clock.period_ns / self.clock.steps_per_pulse
        return min(HIT_NS, int(step_ns / 2)) if step_ns else HIT_NS

    def publish_settled(self, now: int) -> None:
        """The edges whose CVs have settled, in order of time, after one scan for all of them."""
        settled = []
        while self.settling and now >= self.settling[0][0] + self.settle_ns:
            if not self._converted_since(self.settling[0][0], now):
                self.look_again_ns = now + LOOK_AGAIN_NS
                break
            settled.append(heapq.heappop(self.settling))
            edge_ns, gate, level = settled[-1]
            self.sources.gate(gate, level, edge_ns)
        if not settled:
            return
        self.run_on(now) if self.failing else self.scan(now)
        for edge_ns, gate, level in settled:
            self.rack.publish_edge(gate, level, edge_ns, self.conditioner.volts)
            self.section.edges = self.section.edges + 1

    def _converted_since(self, edge_ns: int, now: int) -> bool:
        """Each CV was converted after it stood; waited for only so long, for the sound must not.

        A converter that runs by itself may have begun anew, and then needs longer than its board file's ``settle_us``.
        """
        if self._oldest_cv_ns is None or now >= edge_ns + 2 * self.settle_ns:
            return True
        return self._oldest_cv_ns(now) >= edge_ns + min(STAND_NS, self.settle_ns // 2)

    # -- now and then

    def tell_clock(self) -> None:
        section, clock = self.section, self.clock
        if self.midi_clock.running and clock.running != JACK:
            clock = self.midi_clock        # a cable comes first, a tap last
        section.clock_pulse_ns, section.clock_period_ns, section.clock_pulses = clock.pulse_ns, clock.period_ns, clock.pulses
        section.tempo_bpm, section.clock_steps_per_pulse = clock.tempo_bpm, clock.steps_per_pulse
        section.clock_pulses_per_beat = clock.settings.pulses_per_beat
        section.clock_running = MIDI if clock is self.midi_clock and clock.running else clock.running

    def beat(self, now: int) -> None:
        """What need not be in time."""
        tap_ns = self.rack.run.tap_ns
        if tap_ns != self._tap_ns:
            self._tap_ns = tap_ns
            self.clock.tap(tap_ns)
        self.clock.look(now)
        self.midi_clock.look(now)
        self._play_steps()
        self.tell_clock()

    def next_event(self) -> int:
        """When something is to be done even if no gate moves."""
        at = min(self.next_scan, self.next_run) if self.failing else self.next_scan
        for line in self.lines:
            if (due := line.waiting_until) is not None:
                at = min(at, due)
        if self.settling:
            at = min(at, max(self.settling[0][0] + self.settle_ns, self.look_again_ns))
        due = self.clock.next_step_ns
        return at if due is None else min(at, due)


class Kept:
    """Calibration and settings from the state folder, read again when their files change."""

    def __init__(self, child: Child, board: dict, scanner: Scanner):
        self.child, self.board, self.scanner, self.name = child, board, scanner, kept_as(board)
        child.rack.inputs.board_name = self.name
        self._stamp, self._said, self._at = None, set(), 0

    def look(self, now: int) -> None:
        """Now and then: take what has changed in the files."""
        if now < self._at:
            return
        self._at = now + LOOK_NS
        stamp = store.stamp(self.name)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        jacks, problems = settings.load(self.board, self.name)
        corrections, more = calibration.load(self.board, self.name)
        for problem in problems + more:
            if problem not in self._said:
                self._said.add(problem)
                self.child.say(f"warning: Settings: {problem}")
        self.scanner.use(jacks, corrections)


def run(child: Child) -> None:
    """Scan and publish until told to leave."""
    rack = child.rack
    rack.inputs.pid = os.getpid()
    rack.recover("controls")
    if run_as_fifo(FIFO_PRIORITY) != 1:
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)     # else each wait ends up to 50 us late
    board = child.config["board"]
    scanner = Scanner(child, boards.open_board(board, rack, child.config), Conditioner(board["cv"]))
    kept = Kept(child, board, scanner)
    kept.look(0)
    gates = [scanner.board.gate_fd()]
    if "remote_fd" in child.config:
        scanner.remote = wire.Receiver(child.config["remote_fd"])
        gates.append(scanner.remote)
    beat_at = 0
    while True:
        now = time.monotonic_ns()
        beat = now >= beat_at
        if beat:
            beat_at = now + HEARTBEAT_NS
            if not child.beat(rack.inputs):
                break
            kept.look(now)
            scanner.beat(now)
        # select, because epoll and poll round their time-outs to milliseconds
        changed = select.select(gates, [], [], min(max(0, scanner.next_event() - now), HEARTBEAT_NS) / 1e9)[0]
        if changed or beat:
            scanner.take_edges()
            if scanner.remote:
                scanner.take_remote()
        now = time.monotonic_ns()
        scanner.take_due(now)
        if scanner.settling:
            scanner.publish_settled(now)
        if now >= scanner.next_scan:
            scanner.scan(now)
        elif scanner.failing and now >= scanner.next_run:
            scanner.run_on(now)
    scanner.board.close()
