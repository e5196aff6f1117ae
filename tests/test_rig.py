"""The fake sound card keeps its promises: time, bits, underruns, unplugging. Real-time bounds are medians and counts."""

import json
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from neurorack import build_core
from tests.rig import card as rig
from tests.rig import compile as rig_compile

pytest.importorskip("sounddevice", reason="needs python-sounddevice and libportaudio2", exc_type=(ImportError, OSError))
pytestmark = pytest.mark.skipif(rig.unavailable() is not None, reason=str(rig.unavailable()))

#: Where a stump of a run would be in the way, blocks are 512 frames: that buffer outlasts this machine's own stalls.
#: Every player below starts with this. ``ramp`` plays 1, 2, 3, … / 2**20, exact in float32, channel c scaled by 1 / 2**c.
PREAMBLE = """
import json, os, sys, time
import numpy as np
import sounddevice as sd
try: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))  # what else runs here is not this card's fault
except PermissionError: pass
count, called_ns, flags, ended = [0], [], [], []
def ramp(out, frames, info, status):
    called_ns.append((count[0], time.monotonic_ns()))
    if status: flags.append(str(status))
    x = (np.arange(count[0], count[0] + frames) + 1) / 2**20
    count[0] += frames
    out[:] = (x[:, None] / 2.0 ** np.arange(out.shape[1])).astype(out.dtype) if out.dtype.kind == "f" else np.rint(x * 2**20)[:, None]
def stream(block=128, rate=48000, channels=2, callback=ramp, dtype="float32"):
    return sd.OutputStream(device="rig", samplerate=rate, blocksize=block, channels=channels, latency=block / rate,
                           dtype=dtype, callback=callback, finished_callback=lambda: ended.append(time.monotonic_ns()))
def say(**what): print(json.dumps(what), flush=True)
"""


class Player:
    """A program that plays on ``card``; what it says with say() comes back from ``hear()``, in order."""

    def __init__(self, card, code):
        self.process = subprocess.Popen([sys.executable, "-c", PREAMBLE + textwrap.dedent(code)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **card.env})

    def hear(self):
        line = self.process.stdout.readline()
        assert line, f"the player died (exit {self.process.wait(10)})"
        return json.loads(line)

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def play(card, code):
    with Player(card, code) as player:
        return player.hear()


def longest_run(card):
    """The run to look at: on a machine that stalls, the first may be a stump that ended in an underrun."""
    return max(card.runs(), key=lambda run: run.frames)


def without_zeros(played):
    first = int(np.flatnonzero(played[:, 0])[0])
    return played[first:], first


@pytest.mark.parametrize("block, rate, channels", [(32, 48000, 2), (64, 48000, 1), (128, 44100, 2), (256, 96000, 8)])
def test_what_is_played_comes_out_bit_by_bit(tmp_path, block, rate, channels):
    with rig.FakeCard(tmp_path) as card:
        said = play(card, f"""
            with stream({block}, {rate}, {channels}): time.sleep(0.4)
            say(names=[d["name"] for d in sd.query_devices()], count=count[0])
            """)
        assert said["names"] == ["rig"]
        run = card.runs()[0]
        assert (run.period_frames, run.buffer_frames, run.rate, run.channels) == (block, 2 * block, rate, channels)
        assert run.format == "float"
        heard = np.concatenate([without_zeros(card.raw(one))[0] for one in card.runs() if card.raw(one).any()])
        # An underrun on a busy machine loses frames in the card's buffer between runs; within a run nothing may be lost.
        expected = np.rint(heard[:, :1] * 2.0**20) / 2.0**20 / 2.0 ** np.arange(channels)
        assert np.array_equal(heard, expected.astype(np.float32))
        for one in card.runs():
            steps = np.diff(without_zeros(card.raw(one))[0][:, 0] * 2.0**20) if card.raw(one).any() else np.ones(1)
            assert np.all(steps == 1)
        assert len(card.raw(run)) == run.frames and card.played().shape[1] == channels


def test_portaudio_primes_the_whole_buffer_with_zeros(tmp_path):
    with rig.FakeCard(tmp_path) as card:
        play(card, "with stream(128): time.sleep(0.2)\nsay()")
        run = card.runs()[0]
        assert without_zeros(card.raw(run))[1] == run.buffer_frames == 256


def test_pace_and_jack_time(tmp_path):
    block, rate = 128, 48000
    with rig.FakeCard(tmp_path) as card:
        said = play(card, f"with stream({block}): time.sleep(1.0)\nsay(called=called_ns, ended=ended)")
        called = np.array(said["called"])
        interval_ms = np.diff(called[:, 1]) / 1e6
        assert np.median(interval_ms) == pytest.approx(1e3 * block / rate, rel=0.02)
        run = longest_run(card)
        raw, zeros = without_zeros(card.raw(run))
        first_count = int(raw[0, 0] * 2**20) - 1
        # A block asked for at a period boundary passes the jack when the rest of the buffer, one period, has: never
        # before it was asked for.
        frame = called[:, 0] - first_count
        inside = (frame >= 0) & (frame < len(raw))
        ahead_ms = (run.frame_ns(frame[inside] + zeros) - called[inside, 1]) / 1e6
        assert ahead_ms.min() > 0
        assert np.median(ahead_ms) == pytest.approx(1e3 * block / rate, abs=0.4)
        assert run.frame_ns(rate) - run.start_ns == 1_000_000_000
        assert card.frame_ns(100) == card.runs()[0].frame_ns(100)


@pytest.mark.parametrize("name, dtype", [("s16", "int16"), ("s32", "int32")])
def test_integer_formats_are_kept(tmp_path, name, dtype):
    with rig.FakeCard(tmp_path, formats=(name,)) as card:
        play(card, f"with stream(dtype='{dtype}'): time.sleep(0.2)\nsay()")
        run = longest_run(card)
        heard, _ = without_zeros(card.raw(run))
        assert run.format == name and heard.dtype == np.dtype(dtype)
        assert len(heard) > 1000 and np.all(np.diff(heard[:, 0]) == 1)
        assert card.played().dtype == np.float32 and card.played().max() < 1


def test_a_card_offers_only_its_rates_and_channels(tmp_path):
    with rig.FakeCard(tmp_path, rates=(48000,), channels=(2, 2), periods=(64, 1024)) as card:
        said = play(card, """
            def tried(**how):
                try: stream(**how).close()
                except sd.PortAudioError as error: return str(error)
                return "ok"
            say(other_rate=tried(rate=44100), too_many=tried(channels=4), too_short=tried(block=32), good=tried(),
                most=sd.query_devices("rig")["max_output_channels"])
            """)
    assert "sample rate" in said["other_rate"]
    assert "channels" in said["too_many"]
    assert said["too_short"] != "ok" and said["good"] == "ok" and said["most"] == 2


def test_capture_hears_the_file_from_each_start_on(tmp_path):
    sound = np.stack([np.arange(1, 20001), -np.arange(1, 20001)], 1).astype(np.float32) / 2**20
    code = """
        heard = []
        def both(inp, out, frames, info, status): heard.append(inp.copy()); ramp(out, frames, info, status)
        firsts = []
        for _ in range(2):
            heard.clear()
            with sd.Stream(device="rig", samplerate=48000, blocksize=512, channels=2, latency=3 * 512 / 48000,
                           callback=both): time.sleep(0.6)
            firsts.append(np.concatenate(heard))
        np.save(PATH, firsts[1]); say(flags=flags)
        """
    path = tmp_path / "heard.npy"
    with rig.FakeCard(tmp_path, capture=sound) as card:
        said = play(card, f"PATH = {str(path)!r}\n" + textwrap.dedent(code))
        starts = card.runs(capture=True)
        assert said["flags"] == [] and card.overruns == 0
        assert len(starts) == 2 and all(run.capture for run in starts)
    heard = np.load(path)
    assert len(heard) > 20000
    assert np.array_equal(heard[:20000], sound) and not heard[20000:].any()


@pytest.mark.parametrize("how", ["ends", "spins"])
def test_unplugged_and_back(tmp_path, how):
    code = """
        s = stream(512); s.start(); say(playing=True)
        sys.stdin.readline()
        time.sleep(0.3)
        calls = len(called_ns); time.sleep(0.2)
        active = s.active
        s.abort(ignore_errors=True); s.close(ignore_errors=True)
        say(active=active, ended=ended, calls=len(called_ns) - calls)
        sd._terminate(); sd._initialize()
        say(names=[d["name"] for d in sd.query_devices()])
        sys.stdin.readline()
        sd._terminate(); sd._initialize()
        with stream(512): time.sleep(0.3)
        say(names=[d["name"] for d in sd.query_devices()])
        """
    with rig.FakeCard(tmp_path) as card, Player(card, code) as player:
        assert player.hear()["playing"]
        time.sleep(0.2)
        card.unplug(how)
        pulled = time.monotonic_ns()
        player.go_on()
        gone = player.hear()
        assert gone["calls"] == 0, "the card is out and still asks for sound"
        assert gone["active"] == (how == "spins")
        if how == "ends":
            assert 0 < gone["ended"][0] - pulled < 100e6
        first = card.runs()[-1]
        assert first.ended == "unplugged" and abs(first.end_ns - pulled) < 50e6
        assert player.hear()["names"] == []
        card.plug()
        player.go_on()
        assert player.hear()["names"] == ["rig"]
        back = card.runs()[-1]
        assert back.number > first.number and back.frames > 4800 and back.start_ns > first.end_ns


def test_a_late_program_is_a_genuine_underrun(tmp_path):
    code = """
        def late(out, frames, info, status):
            if len(called_ns) == 50: time.sleep(0.05)
            ramp(out, frames, info, status)
        with stream(callback=late): time.sleep(0.5)
        say(flags=flags)
        """
    with rig.FakeCard(tmp_path) as card:
        assert any("underflow" in flag for flag in play(card, code)["flags"])
        assert card.xruns >= 1
        runs = card.runs()
        dry = next(run for run in runs if run.ended == "xrun")
        after = runs[runs.index(dry) + 1]
        assert after.start_ns > dry.end_ns == dry.frame_ns(dry.frames)
        assert len(card.played()) == sum(run.frames for run in runs)
        assert card.frame_ns(sum(run.frames for run in runs[:runs.index(after)])) == after.start_ns


def test_a_punctual_program_has_no_underrun_with_room_to_spare(tmp_path):
    """At 1024 frames the buffer outlasts this machine's own stalls, so a count other than zero is the card's fault."""
    with rig.FakeCard(tmp_path) as card:
        assert play(card, "with stream(1024): time.sleep(1.5)\nsay(flags=flags)")["flags"] == []
        assert card.xruns == 0 and [run.ended for run in card.runs()] == ["stopped"]


def test_stall_and_jump(tmp_path):
    with rig.FakeCard(tmp_path) as card, Player(card, """
            with stream(512): say(playing=True); sys.stdin.readline()
            say(done=True)
            """) as player:
        player.hear()
        time.sleep(0.3)
        card.stall(200)
        time.sleep(0.4)
        run = card.runs()[-1]
        frame, ns = (int(x) for x in run.clock[-1])
        assert len(run.clock) == 2 and run.frame_ns(frame) == ns
        assert run.frame_ns(frame) - run.frame_ns(frame - 1) == pytest.approx(200e6 + 1e9 / 48000, abs=2)
        card.jump(10 * 512)
        time.sleep(0.2)
        jumped = next(one for one in reversed(card.runs()) if len(one.clock) > 1)
        assert jumped.ended == "xrun" and card.xruns >= 1
        assert jumped.clock[-1, 0] - jumped.position_at(jumped.clock[-1, 1] - 1) == 10 * 512 + 1
        player.go_on()
        player.hear()


def test_a_killed_program_leaves_what_it_wrote(tmp_path):
    with rig.FakeCard(tmp_path) as card:
        with Player(card, "s = stream(512); s.start(); time.sleep(0.3); say(); time.sleep(60)") as player:
            player.hear()
        time.sleep(0.1)
        run = card.runs()[-1]
        assert run.ended == "" and sum(one.frames for one in card.runs()) >= 0.2 * 48000
        assert np.array_equal(card.raw(run), card.played()[-run.frames:])
        time.sleep(0.05)
        assert card.runs()[-1].frames == run.frames, "a card nobody feeds plays no more"


def test_the_recording_goes_with_the_card(tmp_path):
    with rig.FakeCard(tmp_path):
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_no_compiler_or_headers_is_a_reason_and_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(rig_compile, "BUILD", tmp_path / "build")

    def none():
        raise build_core.NoCompiler("no C compiler: install gcc")

    monkeypatch.setattr(build_core, "find_compiler", none)
    assert "install gcc" in rig.unavailable()
    fake = tmp_path / "cc"
    fake.write_text("#!/bin/sh\necho \"fatal error: alsa/asoundlib.h: No such file\" >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(build_core, "find_compiler", lambda: [str(fake)])
    assert "libasound2-dev" in rig.unavailable()
