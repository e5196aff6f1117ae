"""Is the running instrument well? And what of it must not be lost when it is started anew.

For the deployment, with the environment of the service::

    python -m neurorack.health watch [--seconds 20] [--patience 60]    exit code 1 and one line for each trouble
    python -m neurorack.health keep FILE        writes patch, mix and models of the running instrument
    python -m neurorack.health restore FILE     gives them back to the one that runs now
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from neurorack import control
from neurorack.errors import NeurorackError
from neurorack.library import files

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


def kept(told: dict) -> dict:
    """What of a status is the musician's: the patch, the mix, the models by name, and which slot is heard."""
    return {"patch": told["patch"], "mix": told["mix"], "heard": told["heard"],
            "models": {name: slot["model"] for name, slot in told["slots"].items() if slot and not slot["leaving"]}}


def restore(was: dict, request: Callable[[dict], dict] = control.request) -> list[str]:
    """Give it back, piece by piece; returns one line for each piece that could not be."""
    failed = []

    def wish(**what) -> None:
        try:
            request(what)
        except NeurorackError as error:
            failed.append(str(error))
    now = request({"do": "status"})
    heard, other = was["heard"], "BA"["AB".index(was["heard"])]
    model = was["models"].get(heard)
    if model and model != now["slots"][now["heard"]]["model"]:
        wish(do="swap", model=model)
    patch = was["patch"]
    for name, value in patch["knobs"].items():
        wish(do="set", control=name, value=value, drive=patch["drives"].get(name))
    wish(do="level", db=patch["level_db"])
    for route in now["patch"]["routes"]:
        wish(do="unroute", jack=route["jack"], control=route["control"])
    for route in patch["routes"]:
        wish(do="route", **route)
    if was["models"].get(other):
        beside = "BA"["AB".index(request({"do": "status"})["heard"])]
        wish(do="load", slot=beside, model=was["models"][other])
        wish(do="mix", value=was["mix"] if beside == other else 1 - was["mix"])
    return failed


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="neurorack.health")
    does = parser.add_subparsers(dest="do", required=True)
    looking = does.add_parser("watch")
    looking.add_argument("--seconds", type=float, default=20.0)
    looking.add_argument("--patience", type=float, default=60.0)
    for name in ("keep", "restore"):
        does.add_parser(name).add_argument("file", type=Path)
    args = parser.parse_args(argv)
    try:
        if args.do == "watch":
            told = watch(args.seconds, args.patience)
        elif args.do == "keep":
            files.write_json(args.file, kept(ask()))
            told = []
        else:
            told = restore(files.read_json(args.file))
    except NeurorackError as error:
        told = [str(error)]
    for line in told:
        print(line, file=sys.stderr)
    return int(bool(told))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
