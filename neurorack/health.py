"""Is the running instrument well?

For the deployment, with the environment of the service::

    python -m neurorack.health watch [--seconds 20] [--patience 60]    exit code 1 and one line for each trouble
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from neurorack import control
from neurorack.errors import NeurorackError

LOOK_SECONDS = 0.5


def ask(pid: int | None = None) -> dict:
    """The running instrument's status. Raises ``NeurorackError``."""
    return control.request({"do": "status"}, pid, seconds=10.0)


def problems(told: dict, before: dict | None = None) -> list[str]:
    """What is wrong with this status, alone or beside an earlier one; empty when all is well."""
    found = []
    if not any(slot and slot["playing"] for slot in told["slots"].values()):
        found.append("no slot plays")
    if not told["blocks"]:
        found.append("no block of sound has been taken yet")
    if before:
        if told["pid"] != before["pid"]:
            found.append(f"it was started anew (process {before['pid']}, now {told['pid']})")
        elif told["blocks"] <= before["blocks"]:
            found.append("the sound stands still")
        elif died := sum(told["restarts"]) - sum(before["restarts"]):
            found.append(f"{died} of its processes died")
    return found


def watch(seconds: float, patience_seconds: float, look: Callable[[], dict] = ask) -> list[str]:
    """Wait until the instrument is well, then see whether it stays so; returns what went wrong, empty for nothing.

    Args:
        seconds: how long it must stay well.
        patience_seconds: how long it may take to get well.
    """
    wrong, deadline = ["it does not answer"], time.monotonic() + patience_seconds
    while wrong:
        try:
            first = look()
            wrong = problems(first)
        except NeurorackError as error:
            wrong = [str(error)]
        if wrong and time.monotonic() > deadline:
            return wrong
        time.sleep(LOOK_SECONDS)
    deadline, before = time.monotonic() + seconds, first
    while time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        try:
            now = look()
        except NeurorackError as error:
            return [str(error)]
        if wrong := problems(now, before):
            return wrong
        before = now
    return []


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="neurorack.health")
    looking = parser.add_subparsers(dest="do", required=True).add_parser("watch")
    looking.add_argument("--seconds", type=float, default=20.0)
    looking.add_argument("--patience", type=float, default=60.0)
    args = parser.parse_args(argv)
    told = watch(args.seconds, args.patience)
    for line in told:
        print(line, file=sys.stderr)
    return int(bool(told))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
