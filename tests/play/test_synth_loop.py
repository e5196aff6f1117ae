"""The render thread over a ring that somebody else has left, called in this process."""

import ctypes
import threading

import numpy as np
import pytest

from neurorack.core import declare, quick
from neurorack.engine import Model
from neurorack.shm.rack import Rack
from neurorack.voice.patch import default_patch
from neurorack.voice.voice import Voice
from tests.play.runs import until

_P, _U32 = ctypes.c_void_p, ctypes.c_uint32


class Loop:
    """One slot's render thread; the test is the callback."""

    def __init__(self, rack: Rack, path, lead_frames: int = 512, publish: bool = True):
        self.rack, model = rack, Model.load(path)
        if publish:
            default_patch(model.card).publish(rack.patch[0], model.card["controls"])
        self.voice = Voice(model, rack.header.block_frames, rack.header.sample_rate_hz)
        self.stop = ctypes.c_uint32(0)
        loop = declare("nr_synth_new", _P, _P, _U32, _P, _U32)(rack.base, 0, self.voice.handle, lead_frames)
        self.thread = threading.Thread(target=declare("nr_synth_run", None, _P, _P), args=(loop, ctypes.byref(self.stop)), daemon=True)

    def __enter__(self):
        self.thread.start()
        until(lambda: self.rack.synth[0].playing == 1, 10, "a filled ring")
        return self

    def __exit__(self, *exc):
        self.stop.value = 1
        self.thread.join(5)
        assert not self.thread.is_alive() and self.rack.synth[0].playing == 2, "finished"


@pytest.fixture
def rack():
    return Rack.create(sample_rate_hz=48000, block_frames=128)


def test_it_fills_its_ring_as_deep_as_asked_and_no_deeper(rack, tone):
    with Loop(rack, tone, 1024):
        assert 1024 <= rack.rings[0].fill_frames <= 1024 + 2 * 128
    assert rack.synth[0].lead_frames == 1024


def test_what_a_dead_predecessor_left_is_not_heard(rack, tone):
    rack.rings[0].push(np.full((500, 2), 0.9))
    assert len(rack.rings[0].pull(128)) == 128
    with Loop(rack, tone):
        heard = rack.rings[0].pull(400)
        assert len(heard) == 400 and not heard.any()


def test_what_the_callback_may_be_reading_stays(rack, tone):
    """It asked for more than there was: nothing behind its claim is touched."""
    rack.rings[0].push(np.full((100, 2), 0.9))
    assert len(rack.rings[0].pull(128)) == 100
    head = rack.ring[0].head_frames
    with Loop(rack, tone):
        assert rack.ring[0].head_frames > head and not rack.rings[0].pull(400).any()


def test_it_goes_on_counting_where_the_slot_stands(rack, tone):
    section = rack.synth[0]
    section.triggers, section.late_edges, section.lost_edges, section.takebacks, section.remade_frames = 5, 4, 3, 2, 1
    with Loop(rack, tone):
        until(lambda: section.blocks > 2, 5, "blocks")
        rack.publish_edge(0, True, 0, [0.0] * 8)
        until(lambda: rack.rings[0].pull(64) is not None and section.triggers == 6, 10, "the hit")
        assert (section.late_edges, section.lost_edges) == (4, 3) and section.takebacks >= 2


def test_a_patch_that_is_written_meanwhile_is_read_whole(rack, tone):
    """The first look waits for a writer in the middle of its work."""
    knob, address = rack.patch[0].knob, rack.patch[0].address("seq")
    quick("nr_write_begin", None, _P)(address)
    rack.patch[0].revision += 1
    knob[0] = 0.9      # half of it
    with Loop(rack, tone, publish=False):
        knob[0] = 0.25
        rack.patch[0].drive[0] = 1.0
        quick("nr_write_end", None, _P)(address)
        until(lambda: rack.rings[0].pull(64) is not None and abs(rack.synth[0].control[0] - 0.25) < 1e-6, 10, "the whole patch")
