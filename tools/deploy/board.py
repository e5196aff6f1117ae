"""The half of a deployment that runs on the board; Python's standard library only. ``deploy.py`` starts it.

    board.py install     the request, a JSON object, on standard input

The work (``steps.py``) is done in a session of its own, with its words in BASE/deploy.log, which this program follows: a cut
connection ends the following and nothing else. A deployment killed at any point leaves the old version in charge, or the
new one on trial, which guard.sh ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "setup")]
from releases import Refused, sync_folder  # noqa: E402
from steps import Deployment  # noqa: E402

END = "end: "


def work(request: dict, staging: Path) -> None:
    """In the session of its own; the last line tells how it ended."""
    deployment = Deployment(request, staging)
    try:
        deployment.work()
        print(f"{END}done", flush=True)
    except Refused as why:
        print(f"{END}refused: {' '.join(str(why).split())}", flush=True)
    except Exception as error:   # noqa: BLE001 - whoever follows must hear of it
        print(f"{END}refused: {type(error).__name__}: {error}", flush=True)


def follow(log: Path, worker: int) -> int:
    """Copy the log to standard output until it ends; exit code 0 for done."""
    with open(log) as lines:
        text, ended = "", False
        while True:
            piece = lines.readline()
            text += piece
            if text.endswith("\n"):
                print(text, end="", flush=True)
                if text.startswith(END):
                    return int(text != f"{END}done\n")
                text = ""
            elif not piece:
                if ended:
                    print(f"{END}refused: the deployment was killed; run deploy.sh again", flush=True)
                    return 1
                ended = os.waitpid(worker, os.WNOHANG)[0] != 0      # then what it wrote last is still to be read
                time.sleep(0.05)


def main() -> int:
    try:
        request = json.loads(sys.stdin.read())
    except ValueError:
        print(f"{END}refused: the request did not arrive whole; run deploy.sh again")
        return 1
    base, staging = Path(request["base"]), HERE.parents[1]
    base.mkdir(parents=True, exist_ok=True)
    lock = open(base / "deploy.lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print(f"{END}refused: another deployment is going on here; its words are in {base}/deploy.log")
        return 1
    log = base / "deploy.log"
    log.unlink(missing_ok=True)
    log.touch()
    sync_folder(base)
    worker = os.fork()
    if worker:
        lock.close()
        return follow(log, worker)
    os.setsid()
    out = os.open(log, os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(out, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    work(request, staging)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
