"""The sound depends on no block length, and a saved voice goes on as if nothing had been."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack.core import declare
from neurorack.render import render
from neurorack.score import parse
from tests.voice.drive import GLIDE_FRAMES, Driven

SIZES = (32, 64, 100, 128, 256, 512, 1024)
_P = ctypes.c_void_p


def difference_db(one: np.ndarray, other: np.ndarray) -> float:
    """Level of the difference against the first, in dB."""
    n = min(len(one), len(other))
    assert n > 0 and np.abs(one[:n]).max() > 1e-3, "silence agrees with anything"
    error = np.abs(one[:n].astype(np.float64) - other[:n]).max()
    return 20 * np.log10(max(error, 1e-12) / np.abs(one[:n]).max())


def busy_score(seed: int, seconds: float = 1.5) -> dict:
    """Hits, freezes, moving CVs and a driven control at random times."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, seconds, 24))
    events = [{"at": float(t), "jack": ("gate1", "gate1", "gate2", "cv3", "cv4")[rng.integers(5)], "volts": float(rng.choice([0, 5, 2.5, -3]))} for t in times]
    curves = {"cv1": [[0, -5], [seconds, 5]], "cv2": [[float(t), float(v)] for t, v in zip(np.linspace(0, seconds, 9), rng.uniform(-5, 5, 9))]}
    return {"seconds": seconds, "seed": int(seed) % 1000, "events": events, "curves": curves, "controls": {"rough": [[0, 0.2], [seconds, 0.9]]}}


@pytest.mark.parametrize("rate", [48000, 44100, 96000])
def test_a_score_sounds_the_same_at_every_block_size(made, rate):
    score = parse(busy_score(1))
    sounds = {size: render(score, model=str(made["network"]), block_frames=size, rate_hz=rate)[0] for size in SIZES}
    for size in SIZES[1:]:
        assert len(sounds[size]) == len(sounds[32])
        assert difference_db(sounds[32], sounds[size]) < -110, f"block {size}"


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from(SIZES[2:]))
def test_no_score_depends_on_the_block_size(made, seed, size):
    score = parse({**busy_score(seed, 0.7), "controls": {}})
    small, _ = render(score, model=str(made["network"]), block_frames=64)
    large, _ = render(score, model=str(made["network"]), block_frames=size)
    assert np.abs(small.astype(np.float64) - large).max() < 1e-5


def test_a_score_is_the_same_every_time_and_another_with_another_seed(made):
    score = parse(busy_score(2, 0.5))
    first, _ = render(score, model=str(made["network"]))
    assert np.array_equal(first, render(score, model=str(made["network"]))[0])
    assert not np.array_equal(first, render(score, model=str(made["network"]), seed=77)[0])


# ---- save and restore


class Saved:
    """What the look-ahead keeps of a voice."""

    def __init__(self, driven: Driven):
        self.handle = driven.voice.handle
        self.memory = ctypes.create_string_buffer(declare("nr_voice_state_bytes", ctypes.c_size_t, _P)(self.handle) + 64)
        self.address = (ctypes.addressof(self.memory) + 63) & ~63
        declare("nr_voice_save", None, _P, _P)(self.handle, self.address)

    def restore(self) -> None:
        declare("nr_voice_restore", None, _P, _P)(self.handle, self.address)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), block=st.sampled_from([64, 128, 512]), rate=st.sampled_from([48000, 44100, 96000]), save_at=st.integers(1, 60), go_on=st.integers(1, 40))
def test_a_restored_voice_goes_on_bit_by_bit(loaded, seed, block, rate, save_at, go_on):
    """As the take-back does it: save, render on, restore, add the edges after that point again, render anew."""
    rng = np.random.default_rng(seed)
    driven = Driven(loaded["network"], block_frames=block, rate_hz=rate)
    driven.patch.gates = {"gate2": ("freeze", "next", "trigger")[seed % 3]}
    driven.set_patch(driven.patch)
    edges = [(int(f), int(rng.integers(2)), bool(rng.integers(2)), list(rng.uniform(-5, 5, 8))) for f in np.sort(rng.integers(0, 100 * block, 30))]
    cvs = rng.uniform(-5, 5, (200, 8))

    def blocks(first, count):
        out = []
        for i in range(first, first + count):
            driven.cv[:] = cvs[i]
            out.append(driven.run(1))
        return np.concatenate(out)

    for edge in edges:
        driven.hit(*edge[:3], cv=edge[3])
    blocks(0, save_at)
    saved, frame = Saved(driven), save_at * block
    first = blocks(save_at, go_on)
    saved.restore()
    for edge in edges:
        if edge[0] >= frame + GLIDE_FRAMES:
            driven.hit(*edge[:3], cv=edge[3])
    assert np.array_equal(first, blocks(save_at, go_on))


def test_a_restored_drone_goes_on_bit_by_bit_and_hears_the_same_input_again(loaded):
    """Wandering, a prior, an encoder, gates; more input comes in between, as it does in real time."""
    driven = Driven(loaded["codec"], block_frames=512, listen=True)
    driven.struct.knob[driven.voice.controls.index("input")] = driven.struct.knob[driven.voice.controls.index("prior")] = 0.5
    random = np.random.default_rng(0)
    for again in range(2):
        driven.hit(5000 + 1000 * again, 0, not again)
    driven.run(1, random.uniform(-1, 1, (12000, 2)))
    driven.run(4096)
    saved = Saved(driven)
    first = driven.run(4096)
    driven.voice.write_input(random.uniform(-1, 1, (2000, 2)))
    saved.restore()
    for again in range(2):
        driven.hit(5000 + 1000 * again, 0, not again)
    assert np.array_equal(first, driven.run(4096)) and np.abs(first).max() > 0.01


def test_a_hit_placed_after_a_restore_is_heard_where_the_first_rendering_had_none(loaded):
    driven = Driven(loaded["tone"], block_frames=64)
    driven.run(9600)
    saved = Saved(driven)
    assert np.abs(driven.run(640)).max() == 0
    saved.restore()
    driven.hit(9600 + 200)
    again = driven.run(640)
    assert np.abs(again[:190]).max() == 0 and np.abs(again[220:]).max() > 0.1


def test_restoring_brings_back_every_state_not_the_counts_of_mishaps(made):
    """A frozen loop, a shifted gesture choice, a latched value; but values that were not finite stay counted."""
    from neurorack.engine import Model
    from neurorack.voice.patch import Patch

    driven = Driven(Model.load(made["wild"]), patch=Patch(knobs={"heat": 0.9}, drives={"heat": 1.0}))
    saved = Saved(driven)
    driven.run(640)
    counted = driven.voice.nan_values
    assert counted > 0
    saved.restore()
    assert driven.voice.nan_values == counted
