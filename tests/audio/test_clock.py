"""The card's time as the callback filters it, and the paced null device. Time is made up, so every figure is exact."""

import ctypes
import threading

import numpy as np
import pytest

from tests.audio.calling import Caller


def follow(caller: Caller, lateness_ns) -> tuple[np.ndarray, np.ndarray]:
    """Calls whose n-th comes ``lateness_ns[n]`` after n blocks; errors of the published time (ns), published rates (Hz)."""
    start, errors, rates = caller.now_ns, [], []
    for n, late in enumerate(lateness_ns, 1):
        due = start + n * caller.block_ns
        caller.call(wait_ns=due + late - caller.now_ns)
        at, rate, _ = caller.clock()
        errors.append(at - due)
        rates.append(rate)
    return np.array(errors), np.array(rates)


def test_the_clock_of_an_even_card_is_exact():
    caller = Caller()
    errors, rates = follow(caller, np.zeros(500))
    assert np.abs(errors).max() < 2000 and np.abs(rates / 48000 - 1).max() < 1e-5
    assert caller.rack.clock.running == 1 and caller.rack.clock.seq % 2 == 0


def test_it_tells_which_ring_frame_belongs_to_the_callback():
    caller = Caller()
    caller.feed(np.zeros((64 * 10, 2)))
    caller.blocks(5)
    tail, frames = caller.rack.ring[0].tail_frames, caller.audio.frames
    caller.call()
    assert caller.clock()[2] == tail == 64 * 5 and caller.rack.clock.frame == frames


def test_jitter_of_the_machine_does_not_reach_the_clock():
    """Callbacks come late by chance, a millisecond now and then; the clock moves by microseconds."""
    rng = np.random.default_rng(3)
    errors, rates = follow(Caller(), rng.exponential(40_000, 4000) + (rng.random(4000) < 0.02) * 1_000_000)
    settled = errors[1500:]
    assert np.percentile(np.abs(settled), 99) < 100_000
    assert np.abs(np.diff(settled)).max() < 100_000
    assert np.abs(rates[1500:] / 48000 - 1).max() < 2e-3


@pytest.mark.parametrize("late_ms", [1.0, 4.0, 8.0])
def test_one_late_callback_pulls_gently(late_ms):
    lateness = np.zeros(600)
    lateness[300] = late_ms * 1e6
    errors, _ = follow(Caller(), lateness)
    assert errors[300] < 0.004 * late_ms * 1e6 and np.abs(errors[301:]).max() < 50_000


def test_an_early_callback_corrects_at_once():
    """Nothing comes early but a clock that was wrong: 300 us of it are gone with one call."""
    lateness = np.concatenate([np.full(400, 300_000.0), np.zeros(50)])
    errors, _ = follow(Caller(), lateness)
    assert errors[399] > 50_000
    assert abs(errors[400]) < 2000 and np.abs(errors[401:]).max() < 20_000


def test_callbacks_in_pairs_keep_the_rate():
    """Some drivers ask for two blocks at once: every other call comes a whole block early."""
    caller = Caller()
    block = caller.block_ns
    errors, rates = follow(caller, [0 if n % 2 else -block for n in range(3000)])
    assert abs(np.median(rates[1000:]) / 48000 - 1) < 5e-3
    assert np.abs(np.diff(errors[1000:])).max() < 1.1 * block      # its time never jumps by more than the pair does


@pytest.mark.parametrize("ppm", [100, -100])
def test_a_card_with_another_rate_is_followed(ppm):
    """Crystals are so far off at most: the time of each callback stays right, in either direction."""
    caller = Caller()
    errors, _ = follow(caller, -1e-6 * ppm * caller.block_ns * np.arange(12000))
    errors += 1e-6 * ppm * caller.block_ns * np.arange(12000)
    assert np.abs(errors).max() < 60_000 and np.abs(errors[6000:]).max() < 10_000


def test_after_a_pause_the_clock_starts_afresh():
    caller = Caller()
    follow(caller, np.zeros(300))
    caller.call(wait_ns=500e6)
    at, rate, _ = caller.clock()
    assert at == caller.now_ns and rate == pytest.approx(48000)


def test_the_null_device_keeps_the_pace_and_loses_the_time_the_machine_stood_still():
    caller = Caller(block_frames=128)
    made, audio = caller.made, caller.rack.audio
    stop = ctypes.c_uint32(0)
    before = audio.blocks
    caller.feed(np.zeros((8192, 2)))
    start = caller.now_ns
    made.made_stall(start + 100_000_000, 300_000_000)
    runner = threading.Thread(target=made.nr_null_device_run, args=(caller.state, 128, 0, ctypes.byref(stop)))
    runner.start()
    while audio.blocks - before < 400:
        pass
    stop.value = 1
    runner.join()
    at, rate, _ = caller.clock()
    blocks = audio.blocks - before - 1      # the first at once
    assert at - start == pytest.approx(300_000_000 + blocks * caller.block_ns, abs=caller.block_ns)
    assert rate == pytest.approx(48000, rel=1e-3)


def test_a_card_that_ran_dry_begins_anew_and_so_does_its_time():
    """After an underrun of the card its blocks come at other times than before: nothing of the old time is kept."""
    caller = Caller()
    for _ in range(400):
        caller.call()
    caller.call(wait_ns=caller.block_ns * 1.7, flags=4)     # PortAudio's paOutputUnderflow
    assert abs(caller.clock()[0] - caller.now_ns) < 2000
    for _ in range(50):
        caller.call()
        assert abs(caller.clock()[0] - caller.now_ns) < 2000
