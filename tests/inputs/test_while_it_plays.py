"""Calibration and detective beside an instrument that plays on simulated chips."""

import json
import os
import subprocess
import sys
import time

import pytest
import yaml

from neurorack.shm.rack import Rack
from tests.drivers.conftest import until
from tests.inputs.buses import needs_buses

pytestmark = needs_buses


def test_jacks_and_calibrate_look_at_the_playing_instruments_jacks(tmp_path):
    score = tmp_path / "score.yaml"
    score.write_text(yaml.safe_dump({"seconds": 60, "curves": {"cv1": [[0, -4], [60, 4]], "cv2": [[0, 3.0], [60, 3.0]]},
                                     "events": [e for i in range(200) for e in ({"at": 0.1 + i * 0.25, "jack": "gate2", "volts": 5},
                                                                                {"at": 0.15 + i * 0.25, "jack": "gate2", "volts": 0})]}))
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "STATE_DIRECTORY": str(tmp_path / "state")}
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "jacks-pi-simulated.yaml").write_text("kind: jacks\nformat: 1\nboard: pi-simulated\njacks:\n  gate2: {role: clock, pulses_per_beat: 2}\n")

    def neurorack(*arguments, **more):
        return subprocess.run([sys.executable, "-m", "neurorack", *arguments], capture_output=True, text=True, timeout=60, env=environment, **more)
    play = subprocess.Popen([sys.executable, "-m", "neurorack", "play", "--board", "pi", "--simulated", "--device", "null", "--score", str(score), "--quiet"],
                            env=environment, stdin=subprocess.DEVNULL)
    try:
        rack = until(lambda: list(tmp_path.glob("neurorack/*.sock")) and Rack.attach_to(play.pid), 30)
        assert until(lambda: rack.inputs.clock_running == 1, 30)
        told = neurorack("jacks", "all", "--seconds", "1.5", "--json")
        found = {f["jack"]: f for f in json.loads(told.stdout)}
        assert found["cv2"]["numbers"]["low_volts"] == pytest.approx(3.0, abs=0.05) and found["cv1"]["role"] == "modulation"
        assert found["gate2"]["role"] == "clock" and len(found) == 10

        # 3 V stands in cv2 already, where 1 V is asked for first
        done = neurorack("calibrate", "--jack", "cv2", "--points", "1,3", "--seconds", "0.2", "--yes", input="\n\n")
        assert done.returncode == 2 and "of the instrument that plays" in done.stdout and "cv2 keeps its old values" in done.stdout
        assert "no jack was calibrated" in done.stderr and not list((tmp_path / "state").glob("calibration*"))

        status = json.loads(neurorack("ctl", "status", "--json").stdout)["inputs"]
        assert status["board"] == "pi-simulated" and status["clock"] == "jack" and status["tempo_bpm"] == pytest.approx(120, rel=0.05)
        assert "BPM" in neurorack("ctl", "status").stdout
        wrong = neurorack("jacks", "--board", "classic")
        assert wrong.returncode == 2 and "has board pi-simulated, not classic" in wrong.stderr
        scans = rack.inputs.scans
        time.sleep(0.1)
        assert play.poll() is None and rack.inputs.scans > scans, "and it plays on"
    finally:
        play.terminate()
        assert play.wait(10) == 0
