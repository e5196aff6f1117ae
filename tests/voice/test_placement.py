"""Onsets land on the frame asked for, and nothing jumps on the way there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack.render import render
from neurorack.score import parse
from tests.voice.drive import GLIDE_FRAMES, HOP, Driven


#: The read position may glide at a fifth of its speed towards an onset: a step is then as many frames long, ending on its place.
SMEAR_FRAMES = 3


def onset(audio: np.ndarray, start: int = 0) -> int:
    """First frame from ``start`` on at which the sound has risen by half of the step's 0.5 within 8 frames."""
    rise = audio[start + 8:, 0] - audio[start:-8, 0] > 0.25
    assert rise.any(), "no onset"
    return start + 8 + int(np.argmax(rise))


@pytest.mark.parametrize("block", [64, 256, 1024])
def test_an_onset_lands_on_its_frame_wherever_in_the_hop(loaded, block):
    for offset in range(0, HOP + 1):
        driven = Driven(loaded["steps"], block_frames=block)
        driven.run(4096)       # the level has faded in
        frame = 4096 + 2 * HOP + offset
        driven.hit(frame)
        at = 4096 + onset(driven.run(2048))
        assert frame - SMEAR_FRAMES <= at <= frame, f"offset {offset}"


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_a_score_s_onsets_land_on_their_times_at_every_rate(made, rate):
    times = [0.2003, 0.41717, 0.60009, 0.83331, 1.1]
    audio, _ = render(parse({"seconds": 1.4, "events": [e for t in times for e in ({"at": t, "jack": "gate1"}, {"at": t + 0.01, "jack": "gate1", "volts": 0})]}),
                      model=str(made["steps"]), rate_hz=rate)
    for at in times:
        found = onset(audio, round(at * rate) - 500)
        assert -(SMEAR_FRAMES + 1) * rate / 48000 <= found - at * rate <= 1.5


def test_an_edge_of_the_very_first_frames_sounds_as_early_as_it_can(loaded):
    for frame in (0, 5, GLIDE_FRAMES):
        driven = Driven(loaded["tone"])
        driven.hit(frame)
        audio = driven.run(2048)
        first = int(np.argmax(np.abs(audio[:, 0]) > 0))
        assert first <= GLIDE_FRAMES + 2


@settings(max_examples=60, deadline=None)
@given(gaps=st.lists(st.integers(2 * HOP + GLIDE_FRAMES + 130, 900), min_size=2, max_size=12), start=st.integers(0, 200))
def test_repeated_hits_each_land_on_their_frame(loaded, gaps, start):
    driven = Driven(loaded["steps"], block_frames=128)
    driven.run(4096)
    frames = 4096 + 300 + start + np.cumsum([0, *gaps])
    for frame in frames:
        driven.hit(int(frame))
    audio = np.concatenate([np.zeros((4096, 2), np.float32), driven.run(int(frames[-1]) - 4096 + 1024)])
    for frame in frames:
        assert frame - SMEAR_FRAMES <= onset(audio, int(frame) - 40) <= frame


@settings(max_examples=60, deadline=None)
@given(gap=st.integers(1, HOP), offset=st.integers(0, HOP))
def test_hits_closer_than_a_hop_keep_the_last_one_s_place(loaded, gap, offset):
    """Two of them in one row are one gesture, placed where the second belongs. In two rows the read position hurries to the
    second, so the first may sound a few frames early."""
    driven = Driven(loaded["tone"])
    driven.run(4096)
    first, second = 4096 + 500 + offset, 4096 + 500 + offset + gap
    driven.hit(first)
    driven.hit(second)
    audio = driven.run(2048)
    heard = 4096 + int(np.argmax(np.abs(audio[:, 0]) > 1e-4))
    assert first - GLIDE_FRAMES <= heard <= second + 8
    assert np.abs(audio[:, 0]).max() == pytest.approx(0.5, rel=0.05)


def test_no_hit_is_swallowed_between_two_blocks(loaded):
    """Every frame of ten blocks, one hit at a time."""
    for frame in range(6400, 6400 + 640, 7):
        driven = Driven(loaded["steps"], block_frames=64)
        driven.run(6000)
        at = driven.voice.block_frames * (-(-6000 // 64))
        driven.hit(frame)
        assert frame - SMEAR_FRAMES <= at + onset(driven.run(1400)) <= frame


# ---- continuity


@settings(max_examples=60, deadline=None)
@given(hits=st.lists(st.integers(5000, 30000), min_size=1, max_size=40), block=st.sampled_from([64, 128, 512]))
def test_a_ringing_tail_never_jumps_at_a_hit(loaded, hits, block):
    """A low tone rings while hits come at any time: the read position may run five times as fast, never leap."""
    driven = Driven(loaded["low"], block_frames=block)
    driven.hit(4500)
    for frame in hits:
        driven.hit(frame)
    audio = driven.run(32000).astype(np.float64)
    ramp = 0.5 / HOP                                     # the model's own fade from level to level
    slope = 0.5 * 2 * np.pi * 100 / 48000
    assert np.abs(np.diff(audio[:, 0])).max() < 5.2 * (slope + ramp)


def test_between_hits_the_placement_stands_still(loaded):
    """A steady tone stays one: no interpolation, no drift, bit for bit the model's own samples, late by a constant."""
    driven = Driven(loaded["tone"])
    driven.hit(700)                                      # its delay within the hop is kept from here on
    audio = driven.run(48000)
    driven.struct.drive[0], driven.struct.knob[0] = 1.0, 0.25
    steady = driven.run(24000)[12000:, 0].astype(np.float64)
    n = np.arange(len(steady))
    basis = np.stack([np.sin(2 * np.pi * n / 48), np.cos(2 * np.pi * n / 48)], 1)
    fit, *_ = np.linalg.lstsq(basis, steady, rcond=None)
    residual = steady - basis @ fit
    assert np.hypot(*fit) == pytest.approx(0.25, rel=1e-3)
    assert 10 * np.log10((steady ** 2).mean() / (residual ** 2).mean()) > 100
    assert np.isfinite(audio).all()


def test_more_edges_than_there_is_room_are_dropped_and_the_rest_is_played(loaded):
    driven = Driven(loaded["steps"])
    driven.run(4096)
    frames = 4500 + 1000 * np.arange(300)
    for frame in frames:
        driven.hit(int(frame))
    audio = np.concatenate([np.zeros((4096, 2), np.float32), driven.run(300 * 1000)])
    for frame in frames[:256]:
        assert frame - SMEAR_FRAMES <= onset(audio, int(frame) - 40) <= frame
    assert np.abs(audio[int(frames[256]) - 20:]).max() < 0.1
