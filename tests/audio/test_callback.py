"""What the callback plays, and what it counts: called directly, frame by frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack.shm import table
from tests.audio.calling import DETACHED, FADE, FINISHED, PLAYING, PRIMING_CALLBACKS, Caller, largest_step, sine


def test_frames_come_out_bit_by_bit_at_every_block_size():
    rng = np.random.default_rng(1)
    caller = Caller()
    music = rng.uniform(-0.9, 0.9, (6000, 2)).astype(np.float32)
    caller.feed(music)
    sizes = [32, 64, 100, 1024, 1, 700, 128, 999]
    heard = np.concatenate([caller.call(size) for size in sizes])
    fade = caller.fade_frames
    assert np.array_equal(heard[fade:], music[fade:len(heard)])
    assert np.all(np.abs(heard[:fade]) <= np.abs(music[:fade]))
    assert caller.audio.frames >= len(heard) and caller.audio.late_blocks[0] == 0


def test_a_callback_longer_than_the_longest_block_is_filled_whole():
    caller = Caller()
    music = sine(5000)
    caller.feed(music)
    heard = caller.call(3000)
    assert np.array_equal(heard[caller.fade_frames:], music[caller.fade_frames:3000])


def test_nothing_is_taken_while_the_card_is_being_filled():
    caller = Caller(primed=False)
    caller.feed(sine(4096))
    for _ in range(PRIMING_CALLBACKS):
        assert not caller.call(wait_ns=1000).any()
    assert caller.rack.ring[0].tail_frames == 0 and caller.audio.late_blocks[0] == 0
    caller.call()
    assert caller.rack.ring[0].tail_frames == caller.block_frames


def test_the_sound_fades_in_at_the_start_and_out_at_the_end():
    caller = Caller(primed=False)
    caller.feed(np.full((8192, 2), 0.8, np.float32))
    start = caller.blocks(PRIMING_CALLBACKS + 20)
    steps = np.diff(start[:, 0])
    assert steps.min() >= 0 and start[-1, 0] == np.float32(0.8)
    assert steps.max() < 0.8 * 2 / caller.fade_frames
    assert caller.audio.faded == 0
    caller.rack.run.state = FADE
    end = caller.blocks(10)
    assert caller.audio.faded == 0, "not over yet"
    end = np.concatenate([end, caller.blocks(10)])
    steps = np.diff(end[:, 0])
    assert steps.max() <= 0 and steps.min() > -0.8 * 2 / caller.fade_frames
    assert end[-1, 0] == 0 and caller.audio.faded == 1
    first_silent = int(np.argmax(end[:, 0] == 0))
    assert first_silent == pytest.approx(4 * caller.fade_frames, abs=2)
    assert not caller.call().any()


def test_a_new_stream_fades_in_again():
    caller = Caller()
    caller.feed(np.full((8192, 2), 0.8, np.float32))
    caller.blocks(10)
    caller.made.nr_callback_restart(caller.state)
    again = caller.blocks(PRIMING_CALLBACKS + 20)
    assert again[0, 0] < 1e-4 and largest_step(again) < 0.8 * 2 / caller.fade_frames and again[-1, 0] == np.float32(0.8)


# ---- late, silent, finished, detached


def test_late_finished_silent_and_detached_are_four_things():
    def counts(playing, frames):
        caller = Caller(playing=playing)
        quiet = caller.audio.silent_blocks
        if frames is not None:
            caller.feed(frames)
        caller.blocks(10)
        audio = caller.audio
        return {"late": (int(audio.late_blocks[0]), int(audio.late_frames[0])), "finished": int(audio.finished_blocks[0]),
                "silent": audio.silent_blocks - quiet, "taken": caller.rack.ring[0].tail_frames}

    assert counts(PLAYING, None) == {"late": (10, 640), "finished": 0, "silent": 10, "taken": 0}
    assert counts(FINISHED, None) == {"late": (0, 0), "finished": 10, "silent": 10, "taken": 0}
    assert counts(DETACHED, sine(640)) == {"late": (0, 0), "finished": 0, "silent": 10, "taken": 0}
    assert counts(PLAYING, np.zeros((640, 2))) == {"late": (0, 0), "finished": 0, "silent": 10, "taken": 640}
    assert counts(PLAYING, sine(640)) == {"late": (0, 0), "finished": 0, "silent": 0, "taken": 640}
    assert counts(FINISHED, sine(100))["taken"] == 100      # its last, half-filled block is heard


def test_the_slots_count_apart():
    caller = Caller()
    caller.rack.synth[1].playing = PLAYING
    caller.feed(sine(640), slot=1)
    caller.blocks(10)
    assert list(caller.audio.late_blocks) == [10, 0]


def test_a_late_synth_and_a_machine_that_stood_still_are_told_apart():
    caller = Caller()
    caller.feed(sine(640))
    caller.blocks(10)
    before = caller.now_ns
    caller.call()
    assert (caller.audio.late_blocks[0], caller.audio.stalled_blocks[0]) == (1, 0)
    assert caller.audio.last_late_ns == before + round(caller.block_ns)
    caller.call(wait_ns=5 * caller.block_ns)
    assert (caller.audio.late_blocks[0], caller.audio.stalled_blocks[0]) == (2, 1)
    caller.feed(sine(64))
    caller.call(wait_ns=5 * caller.block_ns)      # it came late, but nothing was missing
    assert (caller.audio.late_blocks[0], caller.audio.stalled_blocks[0]) == (2, 1)


def test_what_the_driver_says_is_counted():
    caller = Caller()
    caller.call(flags=4)
    caller.call(flags=2)
    caller.call(flags=6)
    assert (caller.audio.device_underflows, caller.audio.device_overflows) == (2, 2)


# ---- gaps


def steepest(level: float, hertz: float, fade_frames: int) -> float:
    """The largest step such a sine may make while it is faded by a raised cosine, two such sounds overlapping."""
    return 2 * level * (2 * np.pi * hertz / 48000 + np.pi / 2 / fade_frames) * 1.02


def test_an_underrun_fades_out_and_in_without_a_jump():
    for hertz in (50.0, 440.0, 3000.0):
        for phase in np.linspace(0, 2 * np.pi, 16, endpoint=False):
            caller = Caller()
            caller.feed(sine(64 * 20, hertz, phase=phase))
            heard = [caller.blocks(20), caller.blocks(12)]
            caller.feed(sine(64 * 20, hertz, start=64 * 20, phase=phase))
            heard = np.concatenate([*heard, caller.blocks(20)])
            assert largest_step(heard) < steepest(0.5, hertz, caller.fade_frames)
            gap = heard[64 * 20:64 * 32]
            assert np.abs(gap[:100]).max() > 0.05, "cut off instead of faded"
            assert not gap[caller.fade_frames:].any()
            assert caller.audio.late_blocks[0] == 12 and caller.audio.late_frames[0] == 12 * 64
            assert np.array_equal(heard[-64 * 10:], sine(64 * 10, hertz, start=64 * 30, phase=phase))


def test_the_tail_of_a_gap_dies_away():
    caller = Caller()
    caller.feed(np.full((64 * 20, 2), 0.5, np.float32))
    caller.blocks(20)
    tail = caller.blocks(8)[:, 0]
    assert np.all(np.diff(tail) <= 0) and tail[0] < 0.5 and np.all(tail[caller.fade_frames:] == 0)
    assert tail[caller.fade_frames // 2] == pytest.approx(0.25, abs=0.01)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32), block=st.sampled_from([32, 64, 128, 256, 1024]), hertz=st.sampled_from([80.0, 300.0, 1000.0]))
def test_no_pattern_of_gaps_clicks(seed, block, hertz):
    """Blocks come and go at random, gaps shorter than a fade included."""
    rng = np.random.default_rng(seed)
    caller = Caller(block_frames=block)
    heard, at = [], 0
    for _ in range(40):
        if rng.random() < 0.6:
            caller.feed(sine(block, hertz, start=at))
            at += block
        heard.append(caller.call())
    # every part of the mixture is such a sine under a raised cosine; while one tail replaces another they add up
    assert largest_step(np.concatenate(heard)) < 1.5 * steepest(0.5, hertz, caller.fade_frames)


def test_a_slot_that_ends_in_the_middle_of_a_block_does_not_click():
    caller = Caller()
    caller.feed(sine(64 * 10 + 23, 200.0, phase=1.0))
    heard = [caller.blocks(10)]
    caller.rack.synth[0].playing = FINISHED
    heard = np.concatenate([*heard, caller.blocks(8)])
    assert largest_step(heard) < steepest(0.5, 200.0, caller.fade_frames)
    assert caller.audio.finished_blocks[0] == 8 and caller.audio.late_blocks[0] == 0


# ---- two slots


def test_the_crossfade_is_of_equal_power_and_takes_its_time():
    caller = Caller()
    caller.rack.synth[1].playing = PLAYING
    frames = 64 * 100
    for slot, value in ((0, (0.5, 0.0)), (1, (0.0, 0.5))):       # A on the left, B on the right
        caller.feed(np.tile(np.array([value], np.float32), (frames, 1)), slot)
    caller.blocks(20)
    caller.rack.run.mix_frames, caller.rack.run.mix_target = 2400, 1.0
    heard = caller.blocks(60).astype(np.float64) / 0.5
    assert np.allclose((heard ** 2).sum(1), 1.0, atol=1e-5)
    assert np.all(np.diff(heard[:, 0]) <= 0) and np.all(np.diff(heard[:, 1]) >= 0)
    assert largest_step(heard) < 1.01 * np.pi / 2 / 2400
    assert int(np.argmax(heard[:, 1] == 1)) == pytest.approx(2400, abs=3)
    assert list(heard[-1]) == [0, 1] and caller.audio.mix == 1.0
    caller.rack.run.mix_target = 0.5
    heard = caller.blocks(20).astype(np.float64) / 0.5
    assert heard[-1] == pytest.approx([0.5 ** 0.5] * 2, abs=1e-4)


def test_turning_round_in_the_middle_of_a_crossfade_does_not_jump():
    caller = Caller()
    caller.rack.synth[1].playing = PLAYING
    caller.feed(np.full((64 * 100, 2), 0.6, np.float32))
    caller.feed(np.full((64 * 100, 2), -0.6, np.float32), 1)
    caller.rack.run.mix_frames = 2400
    heard = []
    for target in (1.0, 0.0, 0.7, 0.1):
        caller.rack.run.mix_target = target
        heard.append(caller.blocks(7))
    assert largest_step(np.concatenate(heard)) < 1.01 * 0.6 * 2 ** 0.5 * np.pi / 2 / 2400 + 0.6 * np.pi / 2 / caller.fade_frames


def test_a_slot_gone_wild_is_not_heard_through_the_one_that_plays():
    caller = Caller()
    caller.rack.synth[1].playing = PLAYING
    caller.feed(sine(64 * 20))
    caller.feed(np.full((64 * 20, 2), np.nan, np.float32), 1)
    assert np.array_equal(caller.blocks(20)[640:], sine(64 * 20)[640:])
    assert caller.audio.nan_frames == 0


# ---- guard and meters


def test_the_guard_lets_nothing_through_that_hurts():
    caller = Caller()
    music = sine(64 * 20)
    caller.feed(music[:640])
    caller.blocks(10)
    bad = music[640:704].copy()
    bad[3, 0], bad[4, 1], bad[5] = np.nan, np.inf, -np.inf
    bad[10, 0], bad[11] = 1.5, -3.0
    caller.feed(bad)
    heard = caller.call()
    assert np.isfinite(heard).all() and np.abs(heard).max() == 1.0
    assert heard[3, 0] == 0 and heard[4, 1] == 0 and not heard[5].any()
    assert heard[10, 0] == 1.0 and list(heard[11]) == [-1.0, -1.0]
    assert caller.audio.nan_frames == 3 and caller.audio.clipped_frames == 2
    rest = [i for i in range(64) if i not in (3, 4, 5, 10, 11)]
    assert np.array_equal(heard[rest], bad[rest])


def test_meters():
    caller = Caller()
    caller.feed(sine(64 * 20, 750.0) * [1, 0.5])     # a period is a block long
    caller.blocks(20)
    assert caller.audio.peak == pytest.approx([0.5, 0.25], rel=0.01)
    assert caller.audio.rms == pytest.approx([0.5 / 2 ** 0.5, 0.25 / 2 ** 0.5], rel=0.01)
    assert sum(caller.audio.load_histogram) == caller.audio.blocks == caller.audio.callback_count


# ---- input and capture


def test_the_input_reaches_its_ring_bit_by_bit_and_the_monitor_by_its_gain():
    rng = np.random.default_rng(2)
    caller = Caller()
    heard = rng.uniform(-0.5, 0.5, (64 * 30, 2)).astype(np.float32)
    blocks = heard.reshape(30, 64, 2)
    silent = np.concatenate([caller.call(heard=block) for block in blocks[:10]])
    assert not silent.any(), "no monitor was asked for"
    caller.rack.run.monitor_gain = 0.5
    through = np.concatenate([caller.call(heard=block) for block in blocks[10:]])
    assert np.array_equal(through, (np.float32(0.5) * heard[640:]))
    assert np.array_equal(caller.rack.input_frames.read(0), heard)
    assert caller.audio.input_peak == pytest.approx(np.abs(blocks[-1]).max(axis=0))


def test_a_full_input_ring_forgets_the_oldest():
    caller = Caller(block_frames=1024)
    ramp = (np.arange(table.RING_CAPACITY_FRAMES + 4096, dtype=np.float32) / 2**20)[:, None] * [1, -1]
    for start in range(0, len(ramp), 1024):
        caller.call(heard=ramp[start:start + 1024])
    kept = table.RING_CAPACITY_FRAMES - 1024      # the callback may be about to write over the rest
    assert np.array_equal(caller.rack.input_frames.read(len(ramp) - kept), ramp[-kept:].astype(np.float32))
    assert caller.rack.input_frames.read(len(ramp) - kept - 1) is None


def test_the_capture_ring_holds_what_was_played_and_counts_what_it_could_not():
    caller = Caller(block_frames=1024)
    caller.feed(sine(8192))
    caller.blocks(2)
    assert caller.audio.captured_frames == 0
    caller.rack.run.recording = 1
    played = caller.blocks(6)
    assert np.array_equal(caller.rack.capture.pull(1 << 20), played)
    assert (caller.audio.captured_frames, caller.audio.capture_dropped_frames) == (6144, 0)
    caller.rack.synth[0].playing = FINISHED
    caller.blocks(table.CAPTURE_CAPACITY_FRAMES // 1024 + 3)
    assert caller.audio.capture_dropped_frames == 3 * 1024
    assert caller.rack.capture.fill_frames == table.CAPTURE_CAPACITY_FRAMES
