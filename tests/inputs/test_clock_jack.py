"""A clock jack and a reset jack through the real inputs process of a simulated board: published tempo, phase, hits."""

import threading
import time

import numpy as np
import pytest

from neurorack.inputs import store
from tests.drivers.conftest import Bench, until
from tests.inputs.buses import needs_buses

pytestmark = needs_buses
PERIOD_NS = 100_000_000


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    made = []

    def make(**jacks):
        store.write("jacks", "pi-simulated", jacks, "a test's")
        made.append(Bench("pi").begin())
        return made[-1]
    yield make
    for one in made:
        one.close()


def send(b: Bench, gate: int, times_ns: list[int], length_ns=5_000_000):
    """Pulses with exactly these times as the kernel would stamp them, told when they are due."""
    line, low = b.settings["gates"]["lines"][gate], int(b.settings["gates"]["active_low"])
    for at in times_ns:
        for ns, high in ((at, 1), (at + length_ns, 0)):
            time.sleep(max(0.0, (ns - time.monotonic_ns()) / 1e9))
            b.sim.drive((line, high ^ low, ns))


def test_tempo_and_phase_in_shared_memory(bench):
    b = bench(gate2={"role": "clock", "pulses_per_beat": 4, "multiply": 2})
    begin = time.monotonic_ns() + 50_000_000
    times = [begin + i * PERIOD_NS for i in range(16)]
    send(b, 1, times)
    section = b.rack.inputs
    assert until(lambda: section.clock_pulses == 16, 2) and section.clock_running == 1
    assert section.tempo_bpm == pytest.approx(150, rel=1e-6) and section.clock_period_ns == pytest.approx(PERIOD_NS)
    assert section.clock_pulse_ns == pytest.approx(times[-1], abs=1000) and section.clock_steps_per_pulse == 2
    assert b.new_edges() == [], "a clock jack is no gate"
    assert until(lambda: section.clock_running == 0, 2) and section.tempo_bpm == pytest.approx(150)


def test_a_multiplied_clock_plays_hits_in_their_places(bench):
    b = bench(gate2={"role": "clock", "multiply": 3, "divide": 2, "hits": True})
    begin = time.monotonic_ns() + 50_000_000
    send(b, 1, [begin + i * PERIOD_NS for i in range(13)])
    until(lambda: False, 0.03)
    edges = b.new_edges()
    ups = np.array([at for at, jack, high in edges if high]) - begin
    assert {jack for _, jack, _ in edges} == {0} and [at for at, _, _ in edges] == sorted(at for at, _, _ in edges)
    wanted = np.arange(2, 19) * PERIOD_NS * 2 / 3       # the second pulse makes the tempo
    assert ups[ups > PERIOD_NS] == pytest.approx(wanted, abs=2000) and len(ups) == len(wanted) + 1


def test_hits_by_hand_and_by_clock_share_gate_1(bench):
    b = bench(gate2={"role": "clock", "hits": True})
    begin = time.monotonic_ns() + 50_000_000
    hand = threading.Thread(target=send, args=(b, 0, [begin + i * PERIOD_NS + 37_000_000 for i in range(10)]))
    hand.start()
    send(b, 1, [begin + i * PERIOD_NS for i in range(10)])
    hand.join()
    until(lambda: False, 0.03)
    assert sum(high for _, _, high in b.new_edges()) == 20


def test_a_reset_jack(bench):
    b = bench(gate2={"role": "clock", "divide": 4, "hits": True}, gate1={"role": "reset"})
    begin = time.monotonic_ns() + 50_000_000
    reset = threading.Thread(target=send, args=(b, 0, [begin + 6 * PERIOD_NS - 1_000_000]))
    reset.start()
    send(b, 1, [begin + i * PERIOD_NS for i in range(12)])
    reset.join()
    until(lambda: False, 0.03)
    ups = [at - begin for at, _, high in b.new_edges() if high]
    assert [round(at / PERIOD_NS) for at in ups] == [0, 4, 6, 10] and b.rack.inputs.clock_pulses == 6


def test_taps_come_through_the_block(bench):
    b = bench()
    for i in range(3):
        b.rack.run.tap_ns = time.monotonic_ns()
        time.sleep(0.3)
    assert b.rack.inputs.clock_running == 2 and 150 < b.rack.inputs.tempo_bpm < 205


def test_settings_change_while_it_plays(bench):
    b = bench()
    b.wires.set_cv(0, 7.0)
    assert until(lambda: abs(b.rack.get_cv(0) - 7.0) < 0.02)
    store.write("jacks", "pi-simulated", {"cv1": {"range": "0..5"}, "cv9": {}}, "a test's")
    assert until(lambda: b.rack.get_cv(0) == 5.0, 5)
