"""However a run ends, it ends in time, with a fade, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from neurorack import runfiles
from neurorack.runfiles import started_at
from tests.models import tone as write_tone
from tests.play.runs import children, hits, second_difference, until, write_score

FADE_SECONDS = 0.02      # of the callback


@pytest.fixture(scope="session")
def drone(tmp_path_factory):
    """A tone that lasts for seconds: an end without a fade would be heard in it."""
    path = tmp_path_factory.mktemp("drone") / "drone.safetensors"
    write_tone(path, hertz=200.0, hit_seconds=20.0)
    return path


@pytest.fixture
def droning(play, card, drone, tmp_path):
    """An instrument in the middle of a long sound, recorded."""
    score = write_score(tmp_path / "score.yaml", 30, hits(0.2))
    run = play("--model", drone, "--score", score, "--record", tmp_path / "take.wav", card=card).sounding()
    until(lambda: run.rack.audio.peak[0] > 0.3, 20, "the sound")
    time.sleep(0.3)
    return run


def check_the_fade(run, card, path) -> None:
    """``path``: of the recording; None where it ended before."""
    recorded = soundfile.read(path, dtype="float32")[0] if path else card.played()
    for audio in (card.played(), recorded):
        assert np.abs(audio).max() > 0.3
        assert np.abs(audio[-16:]).max() == 0, "cut off"
        loud = np.flatnonzero(np.abs(audio).max(axis=1) > 0.2)[-1]
        silent = np.flatnonzero(np.abs(audio).max(axis=1) > 1e-4)[-1]
        assert 0.2 * FADE_SECONDS < (silent - loud) / 48000 < 3 * FADE_SECONDS
    if not run.rack.audio.late_blocks[0]:      # where this machine stood still there is a gap of its own
        assert second_difference(recorded[-9600:]).max() < 0.002, "a break in the sound"


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak), signal.SIGHUP])
def test_a_signal_ends_it_with_a_fade_in_under_a_second(droning, card, tmp_path, number):
    took = droning.stop(number)
    assert took < 1 and droning.process.returncode == 0
    assert droning.left_over() == [] and not (runfiles.folder() / f"{droning.pid}.json").exists()
    assert droning.report["seconds"] > 0
    check_the_fade(droning, card, tmp_path / "take.wav")


def test_ctrl_c_reaches_the_whole_group_and_still_ends_with_a_fade(droning, card, tmp_path):
    """The terminal sends SIGINT to every process; only the supervisor answers it."""
    droning.seen.update(droning.pids)
    os.killpg(os.getpgid(droning.pid), signal.SIGINT)
    assert droning.stop(0) < 1 and droning.process.returncode == 0 and droning.left_over() == []
    assert not (runfiles.folder() / f"{droning.pid}.json").exists() and droning.report["seconds"] > 0
    check_the_fade(droning, card, tmp_path / "take.wav")


def test_ctrl_c_while_a_spare_starts_prints_no_traceback(play, tone):
    """Right after the first sound the spare synth and others still import."""
    run = play("--model", tone).sounding()
    until(lambda: len(Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()) > 3, 20, "a fourth child", every=0.001)
    os.killpg(os.getpgid(run.pid), signal.SIGINT)
    assert run.process.wait(5) == 0 and "Traceback" not in run.said


def test_a_signal_that_comes_while_the_machine_stands_still_ends_it_too(play, tone):
    """The wait that it breaks off must not go on for ever because its end has passed meanwhile."""
    run = play("--model", tone).sounding()
    until(lambda: "plays on" in run.said, 20, "the word that it plays")
    for number in (signal.SIGSTOP, signal.SIGTERM):
        os.kill(run.pid, number)
    time.sleep(0.2)
    os.kill(run.pid, signal.SIGCONT)
    assert run.process.wait(5) == 0


def test_when_the_supervisor_is_killed_its_children_fade_out_and_leave_within_a_second(droning, card, play, tone, tmp_path):
    before = set(os.listdir("/dev/shm"))
    pids = droning.pids
    assert len(pids) == 3
    os.kill(droning.pid, signal.SIGKILL)
    droning.process.wait()
    until(lambda: not droning.left_over(), 1.0, "the children's end")
    check_the_fade(droning, card, None)      # the recorder died with the supervisor
    assert set(os.listdir("/dev/shm")) <= before
    left = runfiles.folder() / f"{droning.pid}.json"
    assert left.exists()
    later = play("--model", tone, "--seconds", 0.2, folder=tmp_path)
    later.finish()
    assert f"cleaned up after a run that was killed (process {droning.pid})" in later.said and not left.exists()


def test_children_that_outlived_their_killed_run_are_ended_by_the_next(play, tone, tmp_path):
    """They cannot, but a process that hangs in a driver might: the next start ends it, and no stranger with its number."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"], stdout=subprocess.PIPE)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert sleeper.stdout.readline()
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        path = runfiles.folder() / f"{dead.pid}.json"
        path.write_text('{"pid": %d, "started": "1", "children": {"audio": [%d, "%s"], "synth": [%d, "1"]}}'
                        % (dead.pid, sleeper.pid, started_at(sleeper.pid), stranger.pid))
        run = play("--model", tone, "--seconds", 0.2)
        run.finish()
        assert f"ended the audio process {sleeper.pid}" in run.said and f"{stranger.pid}" not in run.said
        assert sleeper.wait(5) == -signal.SIGKILL and stranger.poll() is None and not path.exists()
    finally:
        for process in (sleeper, stranger):
            process.kill()
            process.wait()
        sleeper.stdout.close()


def test_its_time_is_over_and_a_broken_run_file_is_no_harm(play, tone):
    path = runfiles.folder() / "999999999.json"
    path.write_text('{"pid": 1')
    try:
        assert play("--model", tone, "--seconds", 0.7).finish()["seconds"] == pytest.approx(0.7, abs=0.4)
    finally:
        path.unlink(missing_ok=True)


def test_a_score_ends_the_run(play, tone, tmp_path):
    run = play("--model", tone, "--score", write_score(tmp_path / "score.yaml", 0.6, hits(0.5)))
    report = run.finish()
    assert report["seconds"] == pytest.approx(0.6, abs=0.4) and report["triggers"] == 2


def test_a_second_instrument_plays_beside_the_first(play, tone, tmp_path):
    score = write_score(tmp_path / "score.yaml", 30, hits(30, 0.1))
    first = play("--model", tone, "--score", score).sounding()
    (tmp_path / "second").mkdir()
    second = play("--model", tone, "--seconds", 0.5, folder=tmp_path / "second")
    assert second.finish()["underruns"]["restart"] == 0 and "killed" not in second.said
    before = first.rack.synth[0].triggers
    until(lambda: first.rack.synth[0].triggers > before + 2, 10, "the first one's next hits")
    assert first.stop() < 1 and first.report["restarts"] == {"audio": 0, "synth": 0, "inputs": 0}


def test_a_log_that_nobody_reads_any_more_ends_nothing(tone, tmp_path):
    """The reader of its messages leaves: it plays on, and still replaces what dies."""
    reader, writer = os.pipe()
    process = subprocess.Popen([sys.executable, "-m", "neurorack", "play", "--model", str(tone), "--device", "null"], stdin=subprocess.DEVNULL, stdout=writer, stderr=writer)
    os.close(writer)
    try:
        assert os.read(reader, 20).startswith(b"neurorack")
        os.close(reader)
        before = until(lambda: len(found := children(process.pid)) == 3 and found, 20, "three processes")
        time.sleep(0.5)
        os.kill(before["inputs"], signal.SIGKILL)
        after = until(lambda: len(found := children(process.pid)) == 3 and found["inputs"] != before["inputs"] and found, 10, "the new one")
        assert after["audio"] == before["audio"] and process.poll() is None
        process.terminate()
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("after", [0.05, 0.25, 0.45, 0.65])
def test_a_signal_in_the_middle_of_the_start(play, tone, after):
    run = play("--model", tone)
    time.sleep(after)
    run.seen.update(children(run.pid))
    assert run.stop(signal.SIGTERM) < 1.5
    assert run.process.returncode in (0, -signal.SIGTERM) and "Traceback" not in run.said
    until(lambda: not run.left_over(), 1, "the children's end")
