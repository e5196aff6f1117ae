"""Recording a run: rotation, earlier takes, a disk that fills up, and the null device."""

import json
import subprocess
import sys

import numpy as np
import soundfile

from neurorack.audio.recorder import numbered
from tests.play.runs import hits, write_score

#: An instrument whose recorder has other limits.
SCRIPT = """
import sys
from pathlib import Path
from neurorack import score
from neurorack.instrument import Instrument, Settings
model, record, played, report, *limits = sys.argv[1:]
played = score.load(played)
run = Instrument(Settings(model=model, device="null", score=played, seconds=played.seconds, record=Path(record), report=Path(report)))
run.takes.limits = {name: int(value) for name, value in (limit.split("=") for limit in limits)}
run.play()
"""


def recorded(tone, tmp_path, seconds, *limits):
    """What such a run says and reports."""
    score = write_score(tmp_path / "score.yaml", seconds, hits(seconds - 0.2, 0.2))
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tone), str(tmp_path / "take.wav"), str(score), str(tmp_path / "report.json"), *limits],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr, json.loads((tmp_path / "report.json").read_text())


def test_a_full_disk_ends_the_recording_and_not_the_sound(tone, tmp_path):
    said, report = recorded(tone, tmp_path, 3.0, f"keep_free_bytes={1 << 60}")
    assert said.count("RecordingStopped: the disk is full") == 1 and "are kept in" in said
    assert report["triggers"] >= 13 and report["restarts"] == {"audio": 0, "synth": 0, "inputs": 0}
    kept = soundfile.info(tmp_path / "take.wav").frames
    assert 0.3 * 48000 < kept < 2.5 * 48000


def test_a_recording_rotates_without_a_gap(tone, tmp_path):
    said, report = recorded(tone, tmp_path, 2.0, "rotate_bytes=300000")
    parts = [numbered(tmp_path / "take.wav", n) for n in range(1, 9)]
    parts = [part for part in parts if part.exists()]
    assert len(parts) >= 3 and len(parts) == len(list(tmp_path.glob("take*.wav")))
    audio = np.concatenate([soundfile.read(part, dtype="float32")[0] for part in parts])
    assert abs(len(audio) / 48000 - report["recorded_seconds"]) < 1e-3
    steepest = 0.5 * 2 * np.pi * 1000 / 48000 + 0.5 / 64
    assert np.abs(audio).max() > 0.3 and np.abs(np.diff(audio, axis=0)).max() < 1.2 * steepest
    assert "Traceback" not in said


def test_an_earlier_take_stays(play, tone, tmp_path):
    (tmp_path / "take.wav").write_bytes(b"an earlier take")
    play("--model", tone, "--seconds", 0.4, "--record", tmp_path / "take.wav").finish()
    assert (tmp_path / "take.wav").read_bytes() == b"an earlier take"
    assert soundfile.info(tmp_path / "take-002.wav").frames > 0.3 * 48000


def test_a_run_at_another_rate_says_so_in_its_file(play, tone, tmp_path):
    play("--model", tone, "--seconds", 0.4, "--rate", 96000, "--record", tmp_path / "take.wav").finish()
    info = soundfile.info(tmp_path / "take.wav")
    assert (info.samplerate, info.channels, info.subtype) == (96000, 2, "FLOAT")
