"""Modulators go on: over changes of their settings, over a restart of the process that runs them, over a silent converter."""

from types import SimpleNamespace

import numpy as np
import pytest

from neurorack.inputs.conditioner import Conditioner
from neurorack.inputs.process import Scanner
from neurorack.inputs.sources_hand import Sources
from neurorack.shm.rack import Rack
from tests.inputs.test_scanner import CV, Board
from tests.sources.bench import BEGIN_NS, SCAN, Bench, settings


@pytest.mark.parametrize("shape", ["sine", "triangle"])
def test_another_rate_goes_on_from_the_phase_where_it_was(shape):
    bench = Bench(mod1={"kind": "lfo", "shape": shape, "rate_hz": 1.0})
    parts = [bench.run(0.377)[1]]
    for rate in (5.0, 0.01, 3.0, 8.0):
        bench.set(mod1={"kind": "lfo", "shape": shape, "rate_hz": rate})
        parts.append(bench.run(0.377)[1])
    volts = np.concatenate(parts)[:, 0]
    assert np.abs(np.diff(volts)).max() < 5 * 2 * np.pi * 8 * SCAN * 1.01


def test_another_rate_of_a_walk_too():
    bench = Bench(mod1={"kind": "walk", "rate_hz": 3.0})
    parts = [bench.run(0.7)[1]]
    for rate in (6.0, 0.5, 10.0):
        bench.set(mod1={"kind": "walk", "rate_hz": rate})
        parts.append(bench.run(0.7)[1])
    assert np.abs(np.diff(np.concatenate(parts)[:, 0])).max() < 10 * SCAN * 1.01


@pytest.mark.parametrize("when", [0.12, 0.25, 0.45, 0.65])
@pytest.mark.parametrize("change", [{"attack_ms": 500}, {"decay_ms": 50}, {"sustain": 0.9}, {"sustain": 0.1}, {"release_ms": 100}, {"curve": -1}, {"curve": 1, "decay_ms": 900}])
def test_an_envelope_goes_on_from_where_it_is(when, change):
    """Changed in its attack, its decay, held, and in its release."""
    before = {"kind": "envelope", "attack_ms": 100, "decay_ms": 200, "sustain": 0.5, "release_ms": 300, "curve": 0.3}
    bench = Bench(mod1=before)
    bench.gate(0.1, length=0.5)
    first = bench.run(when)[1][:, 0]
    bench.set(mod1={**before, **change})
    volts = np.concatenate([first, bench.run(1.5)[1][:, 0]])
    assert np.abs(np.diff(volts)[round(when / SCAN) - 2:]).max() < 5 * 5.1 * 1.5 * SCAN / 0.05, "it jumps"
    assert volts[-1] == pytest.approx(0, abs=1e-6) and volts.max() > 1


def test_a_sequence_that_is_edited_keeps_its_place():
    bench = Bench(mod1={"kind": "steps", "steps": [0, 1, 2, 3]})
    bench.gate(0.1, 0.2, 0.3, 0.4, 0.5)
    bench.run(0.35)
    bench.set(mod1={"kind": "steps", "steps": [5, 6, 7, 8, 9]})
    volts = bench.run(0.3)[1][:, 0]
    assert volts[0] == 7 and volts[round(0.1 / SCAN)] == 8 and volts[round(0.2 / SCAN)] == 9
    bench.set(mod1={"kind": "steps", "steps": [4, 3]})
    assert bench.run(0.1)[1][-1, 0] == 3, "beyond its end it stands on the last"


def test_a_new_kind_begins_where_the_last_one_was():
    bench = Bench(mod1={"kind": "lfo", "rate_hz": 1})
    last = bench.run(0.2)[1][-1, 0]
    for entry in ({"kind": "slew", "rise_ms": 1000, "fall_ms": 1000}, {"kind": "walk", "rate_hz": 1}, {"kind": "sample_hold"}):
        bench.set(mod1=entry)
        volts = bench.run(0.1)[1][:, 0]
        assert volts[0] == pytest.approx(last, abs=0.02)
        last = volts[-1]


# ---- in the inputs process


class Inputs:
    """The scanner of the inputs process on jacks that a test moves, and the supervisor's end of the modulators."""

    def __init__(self, **entries):
        self.rack = Rack.create(sample_rate_hz=48000, block_frames=64, settle_us=1000)
        run = SimpleNamespace(rack=self.rack, settings=SimpleNamespace(seed=3, score=None))
        self.sources, self.said, self.ns = Sources(run), [], BEGIN_NS
        self.sources.restore(settings(**entries))
        self.edges = self.rack.edge_reader()
        self.restart()

    def restart(self) -> None:
        """Another process takes over."""
        self.board = Board()
        self.scanner = Scanner(SimpleNamespace(rack=self.rack, say=self.said.append), self.board, Conditioner(CV))

    def run(self, seconds: float) -> np.ndarray:
        """Volts of the modulators after each scan, [n, 8]."""
        volts = []
        for _ in range(round(seconds / SCAN)):
            self.ns += round(SCAN * 1e9)
            self.scanner.scan(self.ns)
            volts.append(self.rack.controls.source_volts.copy())
        return np.array(volts)

    def gate(self, high: bool) -> None:
        self.board.edges = [(self.ns, 0, high)]
        self.scanner.take_edges()
        self.ns += 1_000_000
        self.scanner.publish_settled(self.ns)


def test_settings_are_taken_while_it_scans():
    inputs = Inputs()
    assert not inputs.run(0.01).any()
    inputs.sources.set("mod4", {"kind": "lfo", "rate_hz": 10, "shape": "saw_up"})
    volts = inputs.run(0.05)
    assert volts[-1, 3] == pytest.approx(0, abs=0.2) and inputs.rack.volts("mod4") == volts[-1, 3]
    inputs.sources.set("mod4", {"kind": "off"})
    assert not inputs.run(0.01).any() and inputs.sources.settings == {}


def test_an_edge_brings_the_modulators_as_they_were_once_it_was_heard():
    inputs = Inputs(mod1={"kind": "steps", "steps": [1, 2, 3]}, mod2={"kind": "sample_hold", "input": "cv2"}, mod3={"kind": "sample_hold", "input": "mod1"})
    inputs.board.volts[1] = 4.5
    for step in (1, 2, 3, 1):
        inputs.gate(True)
        inputs.gate(False)
        up, down = inputs.edges.next(), inputs.edges.next()
        assert list(inputs.rack.controls.source_volts[:3]) == [step, 4.5, step]
        assert up is down or list(down.source_volts[:3]) == [step, 4.5, step]


def test_a_restarted_process_goes_on_where_the_last_one_was():
    inputs = Inputs(mod1={"kind": "lfo", "rate_hz": 0.5}, mod2={"kind": "walk", "rate_hz": 2}, mod3={"kind": "steps", "steps": [1, 2, 3, 4]},
                    mod4={"kind": "sample_hold"}, mod5={"kind": "envelope", "attack_ms": 800, "curve": 0}, mod6={"kind": "lfo", "shape": "random", "rate_hz": 0.1})
    for _ in range(2):
        inputs.gate(True)
        inputs.run(0.05)
        inputs.gate(False)
        inputs.run(0.05)
    inputs.gate(True)
    before = inputs.run(0.3)
    inputs.restart()
    inputs.ns += 200_000_000         # as long as a restart takes
    after = inputs.run(0.1)
    move = np.abs(after[0] - before[-1])
    assert move[0] <= 5 * 2 * np.pi * 0.5 * 0.21 and move[1] <= 0.2 * 2 * 1.01 and not move[[2, 3, 5]].any()
    phase = inputs.rack.modulators.phase
    assert phase[0] == pytest.approx((inputs.ns - BEGIN_NS - 1_000_000) * 0.5e-9 % 1, abs=1e-6), "as if it had not been away"
    assert after[0, 4] == pytest.approx(before[-1, 4] + 5 * (0.2 + SCAN) / 0.8)
    inputs.gate(True)
    assert inputs.rack.volts("mod3") == 4, "and so does its sequence"


def test_modulators_go_on_while_the_converter_does_not_answer():
    inputs = Inputs(mod1={"kind": "lfo", "rate_hz": 5, "shape": "saw_up"}, mod2={"kind": "steps", "steps": [1, 2, 3]})
    inputs.board.volts[0] = 2.0
    inputs.run(0.01)
    inputs.board.fails = True
    inputs.run(0.001)
    scanned = inputs.rack.controls.scan_ns
    volts = []
    for _ in range(100):
        inputs.ns += 500_000
        inputs.scanner.run_on(inputs.ns)
        volts.append(inputs.rack.volts("mod1"))
    assert np.all(np.diff(volts) > 0) and inputs.rack.volts("cv1") == 2.0 and inputs.rack.controls.scan_ns == scanned
    inputs.gate(True)
    inputs.gate(False)
    inputs.gate(True)
    assert inputs.rack.volts("mod2") == 2.0


def test_only_what_leaps_is_told_as_a_leap():
    inputs = Inputs(mod1={"kind": "lfo", "rate_hz": 20}, mod2={"kind": "lfo", "shape": "square", "rate_hz": 20}, mod3={"kind": "walk", "rate_hz": 50, "step_volts": 10},
                    mod4={"kind": "steps", "steps": [0, 5]}, mod5={"kind": "lfo", "shape": "saw_up", "rate_hz": 20})
    leaps = inputs.rack.modulators.leaps
    inputs.run(0.5)
    assert list(leaps[[0, 2, 3]]) == [0, 0, 0] and leaps[1] == pytest.approx(20, abs=2) and leaps[4] == pytest.approx(10, abs=2)
    inputs.gate(True)
    inputs.gate(False)
    inputs.gate(True)
    assert leaps[3] == 1
