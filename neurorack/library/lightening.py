"""Makes a lighter model in a process of its own: ``python -m neurorack.library.lightening make NAME [--quality DB | --keep SHARE]``.

It runs at a low priority, beside an instrument that plays on. It prints a line of JSON for every step,
``{"stage", "share"}``, at last ``{"made": {…}}`` or ``{"error": "one line"}``; ``Work`` reads them. ``keep NAME`` takes what was made
into the library and prints ``{"kept": {…}}`` or the error; ``kept`` reads it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from neurorack.errors import NeurorackError
from neurorack.library.background import PR_SET_PDEATHSIG

TOLD_SECONDS = 0.25          # between two steps that are told
KEEP_SECONDS = 80.0          # for the check of what is kept
NICE = 15                    # the sound's threads have real-time priority; this is for all the others


class Work:
    """Lightens one model at a time. ``changed(state)`` is called from a thread of its own whenever ``state`` has changed.

    state: ``model``; ``phase``: "working" (with ``stage`` and ``share``), "made" (with ``line``: how much lighter, how far from the
    original), "failed" (with ``line``: why) or "cancelled".
    """

    def __init__(self, changed: Callable[[dict], None] = lambda state: None):
        self.changed, self.state = changed, {}
        self._child: subprocess.Popen | None = None
        self._ending = False                  # cancelled, but its process is still there
        self._lock = threading.Lock()

    def start(self, name: str, **options: float) -> None:
        """Begin; ``quality`` in dB or ``keep``, a share, as ``neurorack models lighter`` has them. Raises ``NeurorackError`` while another
        is being made."""
        with self._lock:
            if self.state.get("phase") == "working":
                raise NeurorackError(f"{self.state['model']} is being made lighter; wait for it, or cancel it")
            if self._ending:
                raise NeurorackError(f"{self.state['model']} is being stopped; try again in a moment")
            self.state = {"model": name, "phase": "working", "stage": "starting", "share": 0.0}
        arguments = [name, *(word for key, value in options.items() for word in (f"--{key}", f"{value:g}"))]
        threading.Thread(target=self._work, args=(arguments,), daemon=True, name="lightening").start()

    def cancel(self) -> bool:
        """Stop it; False where nothing is being made."""
        with self._lock:
            working = self.state.get("phase") == "working"
            if working:
                self._to({"phase": "cancelled", "line": f"{self.state['model']} stays as it is"})
                self._ending = True
            if self._child:
                self._child.terminate()
        return working

    def _to(self, told: dict) -> None:
        self.state = {"model": self.state["model"], **told}

    def _work(self, arguments: list[str]) -> None:
        """In the thread that starts the child: the child ends when this one does."""
        self.changed(dict(self.state))
        child = subprocess.Popen([sys.executable, "-m", "neurorack.library.lightening", "make", *arguments], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        with self._lock:
            self._child = child
            if self.state["phase"] != "working":
                child.terminate()
        last = {"error": "the work broke off; try again"}
        for text in child.stdout:
            with contextlib.suppress(ValueError):
                last = json.loads(text)
            if "stage" in last:
                with self._lock:
                    if self.state["phase"] == "working":
                        self._to({"phase": "working", **last})
                self.changed(dict(self.state))
        child.wait()
        with self._lock:
            self._child, self._ending = None, False
            if self.state["phase"] == "working":
                made = last.get("made")
                self._to({"phase": "made", "line": made["line"]} if made else {"phase": "failed", "line": last.get("error", "the work broke off; try again")})
        self.changed(dict(self.state))


def kept(name: str) -> dict:
    """``lighter.keep`` in a process of its own, because the model is checked. Raises ``NeurorackError``."""
    try:
        done = subprocess.run([sys.executable, "-m", "neurorack.library.lightening", "keep", name], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=KEEP_SECONDS)
        told = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        raise NeurorackError(f"the lighter {name} was not checked within {KEEP_SECONDS:g} s, and is not kept; try again when less plays") from None
    if "error" in told:
        raise NeurorackError(told["error"])
    return told["kept"]


def main(arguments: list[str]) -> int:
    from neurorack.library import lighter
    from neurorack.process import name_process

    name_process("neurorack: lighter")
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return 3
    os.nice(NICE)
    what, name, *words = arguments
    options = dict(zip((word.removeprefix("--") for word in words[::2]), map(float, words[1::2])))
    try:
        if what == "keep":
            told = {"kept": lighter.keep(name)}
            if told["kept"]["name"] is None:
                raise NeurorackError(f"it was not kept; {told['kept']['verdict']['line']}")
        else:
            told = {"made": lighter.make(name, quality_db=options.get("quality"), keep=options.get("keep"), say=_teller())}
    except NeurorackError as error:
        print(json.dumps({"error": " ".join(str(error).split())}), flush=True)
        return 2
    print(json.dumps(told), flush=True)
    return 0


def _teller():
    told = ["", 0.0]

    def say(stage: str, share: float) -> None:
        if stage != told[0] or time.monotonic() - told[1] > TOLD_SECONDS:
            told[:] = stage, time.monotonic()
            print(json.dumps({"stage": stage, "share": round(share, 3)}), flush=True)

    return say


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
