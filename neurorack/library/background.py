"""Checks one model of the library on behalf of a playing instrument: ``python -m neurorack.library.background NAME``.

Prints the verdict's line. Runs at the priority it was started with, and ends when the instrument does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from neurorack.errors import NeurorackError
from neurorack.process import name_process

_PR_SET_PDEATHSIG = 1


def main(name: str) -> int:
    name_process("neurorack: library")
    parent = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))     # so that scratch is cleared up
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return 3
    from neurorack.library import check, entries

    try:
        record = check.check_entry(entries.entry(name), again=False)
    except NeurorackError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    print(record["verdict"]["line"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
