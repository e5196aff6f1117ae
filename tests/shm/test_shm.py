"""The shared block across two real processes: no torn read, nothing lost or doubled, and what happens when one dies."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from neurorack.errors import NeurorackError
from neurorack.shm import table
from neurorack.shm.rack import Rack
from tests.shm.two_processes import pattern

EVERYDAY_SECONDS, SOAK_SECONDS = 5.0, 1200.0     # three of them: a quarter of a minute, an hour
durations = pytest.mark.parametrize("seconds", [EVERYDAY_SECONDS, pytest.param(SOAK_SECONDS, marks=pytest.mark.soak)])


@pytest.fixture
def rack():
    return Rack.create(sample_rate_hz=48000, block_frames=64)


def other(role: str, rack: Rack, seconds: float = 0, seed: int = 0) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "tests.shm.two_processes", role, str(rack.fd), str(seconds), str(seed)],
                            pass_fds=(rack.fd,), stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen) -> dict:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return json.loads(out)


@durations
def test_no_snapshot_is_torn(rack, seconds):
    writer, seen, last = other("write_controls", rack, seconds), 0, 0
    while writer.poll() is None:
        snapshot = rack.read_controls()
        if snapshot is None or snapshot[2] == 0:
            continue     # the writer was busy in every one of the tries, or has not begun
        volts, gates, n = snapshot
        assert volts == pattern(n) and gates == n & 3
        assert n >= last
        last, seen = n, seen + 1
    written = result(writer)["written"]
    assert seen > 1000 * seconds and written > 1000 * seconds
    assert rack.read_controls()[2] == written


@durations
def test_every_edge_arrives_once_and_in_order(rack, seconds):
    readers = [rack.edge_reader() for _ in range(2)]      # two readers do not disturb each other
    writer, counts, seed = other("publish_edges", rack, seconds, 3), [0, 0], 3

    def drain():
        for i, reader in enumerate(readers):
            while edge := reader.next():
                n = counts[i] + reader.lost      # a reader that the machine held up knows what it missed
                assert (edge.edge_ns, edge.jack, edge.rising, list(edge.cv_volts)) == (n, n & 1, int(n % 3 == 0), pattern(n))
                counts[i] += 1

    while writer.poll() is None:
        drain()
    drain()
    published = result(writer)["published"]
    assert published > 1000
    assert [count + reader.lost for count, reader in zip(counts, readers)] == [published, published]
    assert max(reader.lost for reader in readers) < published / 100


@durations
def test_the_ring_carries_every_frame_once(rack, seconds):
    writer, count, rng = other("push_frames", rack, seconds, 5), 0, np.random.default_rng(5)

    def take(limit):
        nonlocal count
        frames = rack.rings[0].pull(limit)
        expected = ((count + np.arange(len(frames))) % (1 << 20)).astype(np.float32)
        assert np.array_equal(frames[:, 0], expected) and np.array_equal(frames[:, 1], -expected)
        count += len(frames)
        return len(frames)

    while writer.poll() is None:
        take(int(rng.integers(1, 4000)))
    while take(4000):
        pass
    assert count == result(writer)["pushed"] > table.RING_CAPACITY_FRAMES * 10


def test_a_full_ring_takes_what_fits_and_an_empty_one_gives_what_is_there(rack):
    ring, capacity = rack.rings[0], table.RING_CAPACITY_FRAMES
    assert len(ring.pull(10)) == 0
    assert ring.push(np.zeros((capacity + 5, 2))) == capacity
    assert ring.push(np.zeros((1, 2))) == 0
    assert len(ring.pull(capacity + 5)) == capacity
    assert ring.fill_frames == 0


def test_a_late_reader_learns_how_many_edges_it_lost(rack):
    reader = rack.edge_reader()
    for n in range(table.EDGE_CAPACITY + 7):
        rack.publish_edge(0, True, n, pattern(n))
    edges = []
    while edge := reader.next():
        edges.append(edge.edge_ns)
    assert reader.lost == 7
    assert edges == list(range(7, table.EDGE_CAPACITY + 7))


def test_a_writer_killed_in_a_snapshot_leaves_no_torn_value(rack):
    writer = other("die_in_controls", rack)
    writer.wait()
    assert writer.returncode == -signal.SIGKILL
    began = time.monotonic()
    assert rack.read_controls() is None                 # no half value, and no endless wait
    assert time.monotonic() - began < 1
    rack.recover("controls")                             # what the next writer does first
    rack.write_controls(pattern(9), 2, 9)
    assert rack.read_controls() == (pattern(9), 2, 9)


def test_a_writer_killed_in_an_edge_publishes_nothing(rack):
    reader = rack.edge_reader()
    other("die_in_edge", rack).wait()
    assert reader.next().edge_ns == 1
    assert reader.next() is None
    rack.publish_edge(1, False, 2, pattern(2))          # the next writer
    edge = reader.next()
    assert (edge.edge_ns, edge.jack, reader.lost) == (2, 1, 0)


def test_a_producer_killed_in_the_ring_shows_only_whole_frames(rack):
    other("die_in_ring", rack).wait()
    assert np.array_equal(rack.rings[0].pull(1000), np.ones((100, 2), np.float32))
    rack.rings[0].push(np.full((3, 2), 2.0))
    assert np.array_equal(rack.rings[0].pull(1000), np.full((3, 2), 2.0, np.float32))


def test_the_block_leaves_nothing_in_the_system(rack):
    before = set(os.listdir("/dev/shm"))
    process = subprocess.Popen([sys.executable, "-c", "import os,signal\nfrom neurorack.shm.rack import Rack\n"
                                "Rack.create(sample_rate_hz=48000, block_frames=64)\nos.kill(os.getpid(), signal.SIGKILL)"])
    process.wait()
    assert set(os.listdir("/dev/shm")) <= before


def test_a_foreign_block_is_refused():
    fd = os.memfd_create("other")
    os.ftruncate(fd, 4096)
    with pytest.raises(NeurorackError, match="restart the instrument"):
        Rack.attach(fd)
    os.ftruncate(fd, table.size_bytes())
    with pytest.raises(NeurorackError, match="version 0"):
        Rack.attach(fd)
    os.close(fd)


def test_scalars_arrays_and_text_of_a_section(rack):
    rack.audio.device_name = "Karte für alle"
    rack.synth[1].load = 0.25
    rack.desk.cv_wire_volts[3] = -2.5
    other_view = Rack.attach(os.dup(rack.fd))
    assert other_view.audio.device_name == "Karte für alle"
    assert other_view.synth[1].load == 0.25 and other_view.synth[0].load == 0
    assert list(other_view.desk.cv_wire_volts[:4]) == [0, 0, 0, -2.5]
