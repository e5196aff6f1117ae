"""Checks one model in a process of its own: ``python -m neurorack.library.background NAME``, or ``--file PATH``.

So the instrument that asks for it stays small, and the check has the priority it was started with. Prints the verdict's line, and
ends when the instrument does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from neurorack.errors import ModelError, NeurorackError

PR_SET_PDEATHSIG = 1


def start(*arguments: str) -> subprocess.Popen:
    """Start a check; its standard output and error are to be read. It ends when the thread that started it does."""
    return subprocess.Popen([sys.executable, "-m", "neurorack.library.background", *arguments], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def reason(process: subprocess.Popen, error: str) -> str:
    """Why a check gave no verdict."""
    lines = error.strip().splitlines()
    return lines[-1] if lines else f"the check ended with code {process.returncode}"


def run(*arguments: str) -> None:
    """Start a check and wait for it. Raises ``ModelError`` where there is no verdict."""
    process = start(*arguments)
    _, error = process.communicate()
    if process.returncode != 0:
        raise ModelError(reason(process, error))


def main(arguments: list[str]) -> int:
    from neurorack.process import name_process

    name_process("neurorack: library")
    parent = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))     # so that scratch is cleared up
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return 3
    from neurorack.library import check, entries, files

    try:
        if arguments[0] == "--file":
            file = Path(arguments[1])
            record = check.checked(file, files.sha256_of(file), {})
        else:
            record = check.check_entry(entries.entry(arguments[0]))
    except NeurorackError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    print(record["verdict"]["line"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
