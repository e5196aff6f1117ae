"""New gestures for a model that may be playing: made by another process, then the instrument takes the model anew and has them.

A request of the control socket: ``{"do": "gestures", "generate": 4, "like": "kick", "distance": 0.5, "seed": 3}``, or ``{"do": "gestures",
"remove": "new 1"}``; "model" names another than the one that is heard; ``{"do": "gestures", "reload": FILE}`` only has it taken anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from neurorack import control, runfiles
from neurorack.errors import NeurorackError
from neurorack.process import ONE_THREAD

PATIENCE_SECONDS = 60.0


def command(request: dict, path: Path) -> list[str]:
    """The arguments of ``neurorack`` that do what a request asks of a model file. Raises ``NeurorackError``."""
    words = ["models", "gesture", str(path), "--json", "--no-reload"]
    if "remove" in request:
        return [*words, f"--remove={request['remove']}"]
    for key, kind in (("generate", int), ("seed", int), ("distance", (int, float)), ("like", str)):
        value = request.get(key, 4 if key == "generate" else None)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, kind):
            raise NeurorackError(f"{key} is {value!r}; it must be a {'name' if kind is str else 'number'}")
        words.append(f"--{key}={value}")
    return words


def done_elsewhere(words: list[str]) -> dict:
    """What the command line answers, from a process that leaves the sound its time. Raises ``NeurorackError`` with its line."""
    try:
        done = subprocess.run([sys.executable, "-m", "neurorack", *words], capture_output=True, text=True, timeout=PATIENCE_SECONDS,
                              env={**os.environ, **ONE_THREAD}, preexec_fn=lambda: os.nice(9))
        if done.returncode:
            raise NeurorackError(done.stderr.strip().split("\n")[-1].removeprefix("neurorack: ") or "no gestures were made")
        return json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        raise NeurorackError(f"no gestures were made within {PATIENCE_SECONDS:g} s; try again when less plays") from None


def pick_up(path: Path) -> bool:
    """Have a running instrument that is heard playing this file take it anew; whether one did."""
    taken = False
    for pid in [data["pid"] for data in runfiles.running()]:
        with contextlib.suppress(NeurorackError):
            taken |= control.request({"do": "gestures", "reload": str(path)}, pid)["reloaded"]
    return taken
