"""Models brought while the sound plays: how long their admission takes, and whether it is heard.

``python benchmarks/admission.py [--capacity 32] [--block 128]`` as root or with real-time rights; TorchScript is compared with where torch is installed.

The instrument plays hits on the paced fake card. Beside it ``neurorack models check`` looks at a v2-shaped file, as the
instrument itself does for a new file: fenced and at the lowest priority. Seconds by the clock and of computing; underruns of the
ring meanwhile, with the stalls of the machine itself beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.realtime import playing  # noqa: E402
from neurorack import control  # noqa: E402
from tests import zoo  # noqa: E402
from tests.rig.card import FakeCard  # noqa: E402

TARGET_SECONDS = 15.0


def check(file: Path, home: Path) -> dict:
    """One check from the command line, its verdict and what it took."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([sys.executable, "-m", "neurorack", "models", "check", str(file), "--json"], capture_output=True, text=True,
                          env={**os.environ, "XDG_DATA_HOME": str(home), "PYTHONPATH": str(HERE.parent)}, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    verdict = json.loads(done.stdout)
    return {"file_mb": round(file.stat().st_size / 1e6, 1), "seconds": round(time.monotonic() - began, 1),
            "computing_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
            **{key: verdict[key] for key in ("line", "snr_db", "reference", "speedup")}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--capacity", type=int, nargs="+", default=[16, 28])
    parser.add_argument("--block", type=int, default=128)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "admission.json")
    arguments = parser.parse_args()
    files = [zoo.path("v2", capacity=n) for n in arguments.capacity]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with FakeCard(home) as card, playing(home, card, "--block", arguments.block) as (run, _):
            for file in files:
                before = control.request({"do": "status"}, run.pid)["underruns"]
                rows.append({**check(file, home / "data"), "underruns": _difference(before, control.request({"do": "status"}, run.pid)["underruns"])})
                print(json.dumps(rows[-1]), flush=True)
    arguments.out.write_text(json.dumps({"block": arguments.block, "target_seconds": TARGET_SECONDS, "checks": rows}, indent=1) + "\n")
    print("\n| file, MB | seconds | of computing | ring underruns meanwhile | verdict |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['file_mb']} | {row['seconds']} | {row['computing_seconds']} | {row['underruns']} | {row['line']} |")


def _difference(before: dict, after: dict) -> dict:
    return {cause: after[cause] - before.get(cause, 0) for cause in after if after[cause] != before.get(cause, 0)}


if __name__ == "__main__":
    main()
