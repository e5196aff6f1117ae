"""Ends that nobody wished for: the supervisor is killed in the middle of a take, the disk is full."""

import os
import signal
import subprocess
import sys
import time

import pytest
import soundfile

from neurorack.audio.recorder import BEFORE_FRAMES
from neurorack.audio.wave import read_info
from tests.play.runs import hits, until, write_score
from tests.takes.conftest import started


def test_a_kill_in_the_middle_leaves_a_take_that_can_be_read(tmp_path, tone):
    with started(tmp_path, tone, "--score", write_score(tmp_path / "score.yaml", 60, hits(60))) as playing:
        name = playing.ask("record", on=True)["take"]
        until(lambda: playing.ask("takes")["seconds"] > 2.5, 20, "2.5 s", every=0.1)
        os.kill(playing.run.pid, signal.SIGKILL)
        playing.run.process.wait()
    path = playing.folder / name
    audio, rate = soundfile.read(path, dtype="float32")
    assert rate == 48000 and len(audio) > 1.2 * rate and abs(audio).max() > 0.3
    assert read_info(path).frames == len(audio) <= (path.stat().st_size - 44) // 8


def test_record_from_the_command_line_is_ended_and_begun_again_like_any_other(tmp_path, tone):
    with started(tmp_path, tone, "--record", tmp_path / "mine.wav") as playing:
        assert playing.ask("takes")["take"] == "mine.wav" and playing.ask("status")["recording"]["take"] == "mine.wav"
        until(lambda: playing.ask("takes")["seconds"] > 0.3, 20, "0.3 s")
        mine = playing.ask("record", on=False)
        take = playing.ask("record", on=True)["take"]
        until(lambda: playing.ask("takes")["seconds"] > 0.2, 20, "0.2 s")
    lengths = [soundfile.info(path).duration for path in (tmp_path / "mine.wav", playing.folder / take)]
    assert mine["take"] == "mine.wav" and mine["seconds"] == pytest.approx(lengths[0], abs=0.01)
    assert playing.run.report["recorded_seconds"] == pytest.approx(sum(lengths) - BEFORE_FRAMES / 48000, abs=0.1)


#: Records until a disk of 1 MB is full, makes room by deleting the take, and records again. Prints what it found.
FULL = """
import sys, threading, time
from pathlib import Path
from neurorack import score
from neurorack.audio import recorder
from neurorack.instrument import Instrument, Settings
recorder.KEEP_FREE_BYTES = 0                       # only the disk itself says no
model, played = sys.argv[1:]
run = Instrument(Settings(model=model, device="null", score=score.load(Path(played)), seconds=60))
run.takes.limits = {"keep_free_bytes": 0}
ask = lambda do, **more: run.wishes.handle({"do": do, **more})
def play():
    while run.sounding_at is None:
        time.sleep(0.05)
    first = ask("record", on=True)["take"]
    while not ask("takes")["stopped"]:
        time.sleep(0.05)
    told, blocks = ask("takes"), run.rack.audio.blocks
    time.sleep(0.5)
    print("stopped:", told["stopped"])
    print("silent:", told["recording"], run.rack.run.recording, run.rack.audio.blocks > blocks + 100)
    ask("take_delete", take=first)
    ask("record", on=True)
    time.sleep(0.5)
    print("again:", ask("record", on=False)["seconds"] > 0.3)
    run.leave()
threading.Thread(target=play, daemon=True).start()
run.play()
"""


def test_a_small_disk_fills_up_while_it_plays(tmp_path, tone):
    """A real file system of 1 MB, under three seconds of sound (ENOSPC): what was recorded is whole, and room lets it go on."""
    disk, score = tmp_path / "disk", write_score(tmp_path / "score.yaml", 60, hits(60))
    disk.mkdir()
    script = f"""
set -e
mount -t tmpfs -o size=1m tmpfs {disk}
export XDG_DATA_HOME={disk}
exec {sys.executable} -c '{FULL}' {tone} {score}
"""
    began = time.monotonic()
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, timeout=100)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    stopped, silent, again = done.stdout.splitlines()
    assert stopped.startswith("stopped: the disk is full; ") and "s are kept in take-" in stopped and stopped.endswith("free some space (delete old takes) and record again")
    assert silent == "silent: False 0 True" and again == "again: True", done.stderr
    assert done.stderr.count("RecordingStopped") == 1 and "Traceback" not in done.stderr
    assert float(stopped.split()[5]) == pytest.approx(2**20 / (8 * 48000), abs=0.7) and time.monotonic() - began < 60
