"""Starts the instrument as a person would and looks at it from outside: processes, shared block, card, report."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml

from neurorack.runfiles import started_at
from neurorack.shm.rack import Rack
from tests.stalls import waited_us

START_SECONDS = 20.0      # patience on a busy machine; how fast a start is has a test of its own
ROLES = ("audio", "synth", "inputs")


def until(found, seconds: float, what: str = "it", every: float = 0.005):
    """The first true result of ``found()``; fails with ``what`` after so long."""
    deadline = time.monotonic() + seconds
    while True:
        result = found()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds:g} s")
        time.sleep(every)


def children(pid: int) -> dict[str, int]:
    """Role -> process id of a supervisor's living children, by the names they give themselves."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            title = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0].decode()
            role = title.removeprefix("neurorack: ")
            if role in ROLES and started_at(int(child)):      # one just spawned still bears its parent's title
                found[role] = int(child)
    return found


def hits(seconds: float, every: float = 0.2, first: float = 0.1, jack: str = "gate1", length: float = 0.01) -> list[dict]:
    """Events of a score: a trigger every so many seconds."""
    events = []
    for i in range(max(0, int((seconds - first - length) / every) + 1)):
        at = first + i * every
        events += [{"at": round(at, 5), "jack": jack, "volts": 5}, {"at": round(at + length, 5), "jack": jack, "volts": 0}]
    return events


def write_score(path: Path, seconds: float, events=None, **more) -> Path:
    path.write_text(yaml.safe_dump({"seconds": seconds, "events": events or [], **more}))
    return path


class Seen(dict):
    """Process ids ever seen, with the kernel's start time of each: a number may be given to a stranger."""

    def update(self, found: dict[str, int]) -> None:
        super().update({pid: started for pid in found.values() if (started := started_at(pid))})

    def alive(self) -> list[int]:
        return [pid for pid, started in self.items() if started_at(pid) == started]


class Playing:
    """One run of ``neurorack play``; leaves nothing behind when the ``with`` block ends.

    Args:
        folder: for its report and its messages.
        options: of the command line, after ``play``.
        card: a ``FakeCard``, or None for ``--device null``; ``device`` overrules both ("" gives none).
        env: more environment.
        page: with the page where the preferences say; else there is none without ``--web`` among the options.
        panel: with the display's process, whose pictures nobody looks at in most tests; it is there as well where a page is.
    """

    def __init__(self, folder, *options, card=None, device: str | None = None, env: dict | None = None, quiet: bool = False, page: bool = False, panel: bool = False):
        self.folder, self.card = Path(folder), card
        self.report_path, self.log = self.folder / "report.json", self.folder / "stderr.txt"
        device = device if device is not None else "rig" if card else "null"
        command = [sys.executable, "-m", "neurorack", "play", "--report", str(self.report_path), *map(str, options)]
        command += ["--device", device] if device else []
        if not page:
            page = "--web" in options and options[options.index("--web") + 1] != "none"
            command += [] if "--web" in options else ["--web", "none"]
        command += [] if page or panel or "--display" in options else ["--display", "none"]
        self.env = {"XDG_STATE_HOME": str(self.folder / "state"), **os.environ, **(card.env if card else {}), **(env or {})}
        self.command = command + (["--quiet"] if quiet else [])
        self.began = time.monotonic()
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(self.command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pid = self.process.pid
        self.rack: Rack | None = None
        self.seen = Seen()

    def __enter__(self) -> Playing:
        return self

    def __exit__(self, *exc) -> None:
        with contextlib.suppress(OSError):
            self.seen.update(children(self.pid))
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pid in self.seen.alive():       # those that outlived it in spite of everything; tests have looked by now
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # -- looking

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def report(self) -> dict:
        return json.loads(self.report_path.read_text())

    @property
    def pids(self) -> dict[str, int]:
        self.seen.update(found := children(self.pid))
        return found

    def attach(self) -> Rack:
        """The run's shared block, as soon as there is one."""
        def found():
            assert self.process.poll() is None, f"the instrument left with {self.process.returncode}: {self.said}"
            with contextlib.suppress(Exception):
                self.rack = Rack.attach_to(self.pid)
            return self.rack
        return self.rack or until(found, START_SECONDS, "the shared block")

    def sounding(self) -> Playing:
        """Wait until the instrument plays."""
        rack = self.attach()

        def playing():
            assert self.process.poll() is None, f"the instrument left with {self.process.returncode}: {self.said}"
            return rack.synth[0].playing == 1 and rack.audio.blocks > 0
        until(playing, START_SECONDS, "the first block")
        until(lambda: len(self.pids) == 3, START_SECONDS, "the third process")
        return self

    # -- ending

    def stop(self, number: int = signal.SIGTERM, patience: float = 15) -> float:
        """End it by a signal; seconds it took, without those in which something on this machine waited for a core."""
        self.seen.update(children(self.pid))
        began, waited = time.monotonic(), waited_us() or 0
        self.process.send_signal(number)
        self.process.wait(patience)
        return time.monotonic() - began - ((waited_us() or 0) - waited) / 1e6

    def finish(self, patience: float = 60) -> dict:
        """Wait for its own end; the report."""
        self.process.wait(patience)
        assert self.process.returncode == 0, self.said
        return self.report

    def left_over(self) -> list[int]:
        """Children ever seen that still live."""
        return self.seen.alive()


def onsets(audio: np.ndarray, threshold: float = 1e-3, quiet_frames: int = 1500) -> np.ndarray:
    """First frames of sounds with at least so many quiet frames before them."""
    loud = np.flatnonzero(np.abs(audio).max(axis=1) > threshold)
    if not len(loud):
        return loud
    return loud[np.concatenate([[True], np.diff(loud) > quiet_frames])]


def second_difference(audio: np.ndarray) -> np.ndarray:
    """|x[n-1] - 2 x[n] + x[n+1]| over both channels: large where a waveform breaks."""
    return np.abs(np.diff(np.asarray(audio, np.float64), 2, axis=0)).max(axis=1)
