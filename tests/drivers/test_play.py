"""``neurorack play --board B --simulated``: the whole instrument on simulated chips."""

import json
import subprocess
import sys

import pytest

SCORE = """
seconds: 2.3
events:
  - {at: 0.5, jack: gate1}
  - {at: 0.55, jack: gate1, volts: 0}
  - {at: 1.0, jack: gate1}
  - {at: 1.05, jack: gate1, volts: 0}
  - {at: 1.5, jack: gate1}
  - {at: 1.55, jack: gate1, volts: 0}
  - {at: 1.6, jack: cv2, volts: 4}
  - {at: 2.0, jack: gate1}
  - {at: 2.05, jack: gate1, volts: 0}
"""


@pytest.mark.parametrize("name", ["pi", pytest.param("pi-ads1115", marks=pytest.mark.soak), "classic"])
def test_hits_on_simulated_gates_sound(tone, tmp_path, name):
    import numpy as np
    import soundfile

    score, report, wav = tmp_path / "score.yaml", tmp_path / "report.json", tmp_path / "out.wav"
    score.write_text(SCORE)
    done = subprocess.run([sys.executable, "-m", "neurorack", "play", "--board", name, "--simulated", "--device", "null", "--model", str(tone),
                           "--score", str(score), "--report", str(report), "--record", str(wav)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(report.read_text())
    assert told["board"] == name and told["triggers"] == 4 and told["lost_edges"] == 0 and told["restarts"]["inputs"] == 0
    assert "warning" not in done.stderr
    sound = np.abs(soundfile.read(wav)[0]).max(axis=1)
    loud = sound > 0.02
    quiet_before = np.convolve(loud, np.ones(4800), "full")[: len(loud)] == 0
    assert sum(loud[1:] & quiet_before[:-1]) >= 4, "a tone for each hit"


def test_a_board_that_is_not_there_plays_on_and_says_what_is_missing(tone):
    done = subprocess.run([sys.executable, "-m", "neurorack", "play", "--board", "pi", "--device", "null", "--model", str(tone), "--seconds", "1"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "MCP3208 at spidev0.0 does not answer" in done.stderr and "gates' GPIO does not answer" in done.stderr
