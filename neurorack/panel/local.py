"""What the panel's own threads answer, because it is read from disk or measured, not known to the supervisor."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from neurorack.errors import NeurorackError
from neurorack.panel.waypoints import waypoint, waypoints
from neurorack.process import ONE_THREAD

BENCH_SECONDS = 120.0


def models(request: dict) -> dict:
    """The library's rows, as ``neurorack models list`` has them."""
    from neurorack.library import describe

    return {"models": describe.rows()}


def model(request: dict) -> dict:
    """Everything known of one model, as ``neurorack models info``."""
    from neurorack.library import describe, entries

    found = entries.entry(request["model"])
    return {"model": describe.info(found), "page": describe.page(describe.info(found))}


def bench(request: dict) -> dict:
    """How fast this board plays a model; another process, with what time the sound leaves."""
    command = [sys.executable, "-m", "neurorack", "bench", "--model", request["model"], "--seconds", "0.5", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BENCH_SECONDS, env={**os.environ, **ONE_THREAD}, preexec_fn=lambda: os.nice(9))
        if done.returncode:
            raise NeurorackError(done.stderr.strip().split("\n")[-1].removeprefix("neurorack: ") or "it could not be measured")
        return {"bench": json.loads(done.stdout)}
    except (subprocess.TimeoutExpired, ValueError):
        raise NeurorackError(f"it was not measured within {BENCH_SECONDS:g} s; try again when less plays") from None


LOCAL = {"models": models, "model": model, "bench": bench, "waypoints": waypoints, "waypoint": waypoint}
