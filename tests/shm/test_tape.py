"""A tape that is written as fast as it goes: what a reader calls whole is whole, wherever it stands."""

import threading
import time

import numpy as np

from neurorack.shm import table
from neurorack.shm.rack import Rack

PIECE = 128


def test_what_is_read_beside_the_writer_is_whole_or_refused():
    rack = Rack.create(sample_rate_hz=48000, block_frames=128)
    tape, stop = rack.input_frames, threading.Event()
    pieces = [np.repeat(np.arange(i * PIECE, (i + 1) * PIECE, dtype=np.float32)[:, None], 2, 1) for i in range(4 * table.RING_CAPACITY_FRAMES // PIECE)]

    def write():
        while not stop.is_set():
            for piece in pieces:      # frame i holds i, modulo four tapes' length: exact in 32 bits
                tape.write(piece)

    writer = threading.Thread(target=write)
    writer.start()
    whole = refused = 0
    try:
        random, deadline = np.random.default_rng(1), time.monotonic() + 1.5
        while time.monotonic() < deadline:
            start = max(0, rack.input_ring.head_frames - int(random.integers(1, table.RING_CAPACITY_FRAMES)))
            frames = tape.read(start)
            if frames is None:
                refused += 1
                continue
            whole += 1
            expected = (start + np.arange(len(frames))) % (len(pieces) * PIECE)
            assert np.array_equal(frames, np.repeat(expected.astype(np.float32)[:, None], 2, 1))
    finally:
        stop.set()
        writer.join()
    assert whole > 20 and refused > 0, "it has not been tried"


def test_a_reader_behind_a_whole_tape_is_refused():
    rack = Rack.create(sample_rate_hz=48000, block_frames=128)
    rack.input_frames.write(np.zeros((3 * table.RING_CAPACITY_FRAMES, 2), np.float32))
    assert rack.input_frames.read(0) is None and len(rack.input_frames.read(rack.input_ring.head_frames)) == 0
