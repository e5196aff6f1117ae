"""Models are checked while the sound goes on: it takes no notice."""

import os
import subprocess
import sys
import time

from neurorack.library import FACTORY
from tests.play.runs import hits, write_score

SECONDS = 12
CHECK = """
import sys
from neurorack.importer.admit import admit
while True:
    verdict = admit(sys.argv[1], out_folder=sys.argv[2], progress=lambda line: print(line, flush=True))
    print(f"{verdict.seconds:.1f} s {verdict.line}", flush=True)
"""

def test_no_underrun_while_models_are_checked(play, tone, tmp_path):
    """One admission after the other, with TorchScript where it is; no ring underrun but the machine's own stalls."""
    score = write_score(tmp_path / "score.yaml", SECONDS, hits(SECONDS))
    model, out = FACTORY / "impacts" / "impacts.safetensors", tmp_path / "out"
    out.mkdir()
    try:
        from tests import zoo

        model = zoo.path("v2", capacity=16)
    except ImportError:
        pass                          # without torch the factory's model is checked
    run = play("--model", tone, "--score", score, "--seconds", SECONDS, "--block", 128, device="null").sounding()
    with open(tmp_path / "checks.txt", "w") as log:
        checking = subprocess.Popen([sys.executable, "-c", CHECK, model, out], stdout=log, stderr=log)
    try:
        report = run.finish()
    finally:
        checking.kill()
        checking.wait()
    told = f"{report['underruns']} of {report['blocks']} blocks; {(tmp_path / 'checks.txt').read_text()}"
    print(told)
    assert "decode" in told and "Traceback" not in told and report["triggers"] == len(hits(SECONDS)) // 2, told
    if run.rack.audio.fifo == 1 and run.rack.synth[0].fifo == 1:
        assert report["underruns"]["late"] == 0, told
    else:
        assert report["underruns"]["late"] < report["blocks"] / 200, told
    end = time.monotonic() + 5       # the check's children end with it
    while (left := fenced_children()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left

def fenced_children() -> list[int]:
    """Processes inside a fence whose check is gone: they have no parent but init."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                command = open(f"/proc/{name}/cmdline", "rb").read()
                parent = int(open(f"/proc/{name}/stat").read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if b"neurorack.importer.fenced" in command and parent == 1:
                found.append(int(name))
    return found

