"""The recorder takes everything, rotates, never overwrites, and a full disk ends the recording alone."""

import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from neurorack.audio import recorder
from neurorack.audio.recorder import Recorder, check_target, numbered
from neurorack.errors import NeurorackError
from neurorack.shm.rack import Rack


class Take:
    """A recorder at work, and what it said."""

    def __init__(self, path, **options):
        self.said = []
        self.rack = Rack.create(sample_rate_hz=48000, block_frames=128)
        self.recorder = Recorder(self.rack, path, self.said.append, **options)
        self.rng = np.random.default_rng(4)
        self.played = []

    def play(self, frames: int, at_once: int = 4096) -> None:
        """As the callback does: into the capture ring, faster than real time but never beyond what it holds."""
        for start in range(0, frames, at_once):
            noise = self.rng.uniform(-1, 1, (min(at_once, frames - start), 2)).astype(np.float32)
            while self.rack.capture.capacity_frames - self.rack.capture.fill_frames < at_once:
                time.sleep(0.001)
            self.rack.capture.push(noise)
            self.played.append(noise)

    def end(self) -> np.ndarray:
        self.recorder.finish()
        return np.concatenate(self.played)


def test_every_bit_is_kept(tmp_path):
    take = Take(tmp_path / "take.wav")
    take.play(300_000)
    played = take.end()
    info = soundfile.info(tmp_path / "take.wav")
    assert (info.samplerate, info.channels, info.subtype) == (48000, 2, "FLOAT")
    assert np.array_equal(soundfile.read(tmp_path / "take.wav", dtype="float32")[0], played)
    assert take.said == []


def test_a_new_file_begins_at_the_size_limit_and_not_a_frame_is_lost_between(tmp_path):
    take = Take(tmp_path / "take.wav", rotate_bytes=400_000)
    take.play(200_000)
    played = take.end()
    files = [numbered(tmp_path / "take.wav", n) for n in range(1, 6)]
    assert sorted(tmp_path.iterdir()) == sorted(path for path in files if path.exists()) and files[3].exists()
    parts = [soundfile.read(path, dtype="float32")[0] for path in files if path.exists()]
    assert np.array_equal(np.concatenate(parts), played)
    assert all(path.stat().st_size < 401_000 for path in files if path.exists())


def test_an_earlier_take_is_never_overwritten(tmp_path):
    for number in (1, 2):
        numbered(tmp_path / "take.wav", number).write_bytes(b"an earlier take")
    take = Take(tmp_path / "take.wav", rotate_bytes=100_000)
    numbered(tmp_path / "take.wav", 4).write_bytes(b"another one")
    take.play(20_000)
    played = take.end()
    for number in (1, 2):
        assert numbered(tmp_path / "take.wav", number).read_bytes() == b"an earlier take"
    assert numbered(tmp_path / "take.wav", 4).read_bytes() == b"another one"
    parts = [soundfile.read(numbered(tmp_path / "take.wav", n), dtype="float32")[0] for n in (3, 5)]
    assert np.array_equal(np.concatenate(parts), played)


def test_little_space_ends_the_recording_with_a_warning(tmp_path, monkeypatch):
    free = [1 << 40]
    monkeypatch.setattr(recorder.shutil, "disk_usage", lambda _: SimpleNamespace(free=free[0]))
    take = Take(tmp_path / "take.wav")
    take.play(48_000)
    free[0] = 1 << 20
    deadline = time.monotonic() + 10
    while not take.said and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(take.said) == 1 and "RecordingStopped" in take.said[0] and "1.0 s are kept" in take.said[0]
    kept = soundfile.read(tmp_path / "take.wav", dtype="float32")[0]
    assert np.array_equal(kept, take.end()[:len(kept)]) and len(kept) == 48_000


def test_a_disk_that_is_really_full_ends_the_recording_with_a_warning(tmp_path):
    """A file size limit of the process makes the writes fail half-way, as a full disk does."""
    script = f"""
import resource, signal, sys
from tests.audio.test_recorder import Take
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
take = Take({str(tmp_path / "take.wav")!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
take.play(100_000)
take.end()
print(*take.said)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("RecordingStopped") == 1 and "Traceback" not in done.stderr
    kept, _ = soundfile.read(tmp_path / "take.wav", dtype="float32")
    expected = np.random.default_rng(4).uniform(-1, 1, (4096, 2)).astype(np.float32)
    assert np.array_equal(kept[:4096], expected)


def test_a_kill_costs_a_second_at_most(tmp_path):
    script = f"""
import time
from tests.audio.test_recorder import Take
take = Take({str(tmp_path / "take.wav")!r})
take.play(96_000)
time.sleep(1.5)
print("written", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "written\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert soundfile.info(tmp_path / "take.wav").frames == 96_000


@pytest.mark.parametrize("name, what", [("take.flac", "must end in .wav"), ("gone/take.wav", "there is no folder")])
def test_a_place_that_cannot_be_recorded_to(tmp_path, name, what):
    with pytest.raises(NeurorackError, match=what):
        check_target(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_already(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 << 20))
    with pytest.raises(NeurorackError, match="has 5 MB left; a recording needs 32 MB"):
        check_target(tmp_path / "take.wav")
