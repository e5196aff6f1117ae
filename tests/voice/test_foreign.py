"""Decoders that are no programs of the engine: a function in the render thread, late and failing ones included."""

import ctypes
import threading

import numpy as np
import pytest

from neurorack.core import declare
from neurorack.engine.model import Method
from neurorack.voice.foreign import ForeignModel
from neurorack.voice.patch import Patch
from tests.models import RATE
from tests.voice.drive import Driven
from tests.voice.models import codec

HOP = 512


class Replayed:
    """The codec's own program behind the interface of a foreign one. ``says(block)`` may answer None, or raise."""

    def __init__(self, program, says=lambda block: True):
        self.program, self.says, self.block = program, says, 0
        self.in_shape, self.out_shape = program.in_shape, program.out_shape

    def run(self, x):
        assert x.shape == self.in_shape and x.dtype == np.float32
        self.block += 1
        y = self.program.run(x)
        return y if self.says(self.block) else None

    def reset(self):
        self.program.reset()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return codec(tmp_path_factory.mktemp("foreign") / "codec.safetensors")


def foreign(model, says=lambda block: True, **change):
    return ForeignModel(model.path, {**model.card, **change}, model.methods, lambda method, block: Replayed(model.program(method, block), says))


def driven(model, block=HOP, **knobs):
    return Driven(model, block_frames=block, patch=Patch(knobs={"wander": 0.2, "prior": 0.3, **knobs}))


def can_save(play):
    return declare("nr_voice_can_save", ctypes.c_int, ctypes.c_void_p)(play.voice.handle)


@pytest.mark.parametrize("block", [512, 2048])
def test_it_sounds_exactly_as_the_same_numbers_compiled(model, block):
    one, other = driven(model, block), driven(foreign(model), block)
    for play in (one, other):
        play.hit(5000)
        play.hit(9000, 0, False)
    assert np.array_equal(one.run(20 * 2048), other.run(20 * 2048))
    assert can_save(one) and not can_save(other), "what is no program cannot be taken back"


def test_a_block_that_does_not_come_fades_to_silence_and_what_comes_again_fades_in(model):
    play = driven(foreign(model, lambda block: not 40 <= block < 60), wander=0.0, prior=0.0)
    audio = play.run(100 * HOP)[:, 0]
    level = np.abs(audio)
    gone, back = 39 * HOP + 64, 59 * HOP + 64
    assert level[gone - 100] == pytest.approx(0.3, rel=0.01) and 0.02 < level[gone + 240] < 0.28, "the last moments, fading"
    assert level[gone + 600: back].max() < 1e-3 and level[back + 600] == pytest.approx(0.3, rel=0.02)
    envelope = level[gone - 200: back + 1000]
    assert np.abs(np.diff(envelope)).max() < 0.01, "no click"
    assert play.voice.missing_blocks == 20


def test_an_exception_is_a_block_that_did_not_come(model):
    def says(block):
        if block > 10:
            raise RuntimeError("out of memory")
        return True

    play = driven(foreign(model, says), prior=0.0)
    assert np.isfinite(play.run(20 * HOP)).all()
    assert play.voice.missing_blocks == 10 and play.voice.decoder.errors == 10 and "memory" in str(play.voice.decoder.last_error)


def test_a_result_of_another_shape_is_one_too(model):
    class Short(Replayed):
        def run(self, x):
            return super().run(x)[:-1]

    wrong = ForeignModel(model.path, model.card, model.methods, lambda method, block: Short(model.program(method, block)))
    play = driven(wrong, prior=0.0)
    assert np.abs(play.run(5 * HOP)).max() == 0 and play.voice.missing_blocks == 5


def test_it_runs_in_a_render_thread_without_the_lock(model):
    play, done = driven(foreign(model)), []
    thread = threading.Thread(target=lambda: done.append(np.abs(play.run(RATE)).max()))
    thread.start()
    thread.join(20)
    assert done and done[0] > 0.05
