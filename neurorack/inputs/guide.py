"""Calibration and the jack detective for those who cannot wait: panel and page ask how far they are, and say what to do next.

The work itself is ``calibrate.Session`` and ``jacks.watch``, each in a thread of its own; nothing here blocks its asker.
"""

from __future__ import annotations

import dataclasses
import itertools
import queue
import threading
import time
from collections.abc import Callable

import numpy as np

from neurorack.errors import NeurorackError
from neurorack.inputs import calibrate, calibration, jacks
from neurorack.inputs.calibration import CENTS
from neurorack.inputs.watching import Jacks
from neurorack.shm import table

POINT_SECONDS = 1.0
LIVE_SCANS = 256              # the verify page shows the mean of so many
SECONDS_LIMITS = (0.5, 60.0)
SKIP, CANCEL = "s", None
_numbers = itertools.count(1)     # so that an answer about an earlier one is not taken for news


class _Cancelled(Exception):
    """Somebody gave up; nothing was changed."""


class Calibrating:
    """One guided calibration. ``told()`` says where it stands, ``answer`` goes on.

    ``phase``: "patch" (a person is to patch ``volts`` into ``jack``), "measuring", "verify" (look, then keep or not), "kept", "over".
    """

    def __init__(self, here: Jacks, which: list[int], points: list[float], seconds: float = POINT_SECONDS):
        self.here, self.phase, self.line, self.error, self.number = here, "measuring", "", "", next(_numbers)
        self.found: dict = {}
        self._answers: queue.SimpleQueue = queue.SimpleQueue()
        self.asked = 0
        self.session = calibrate.Session(here, which, points, seconds, self._ask, lambda line: None)
        asked_once = int(0.0 in points and not self.session.floats)
        self.steps = asked_once + len(which) * (len(points) - asked_once)
        self._thread = threading.Thread(target=self._work, name="calibration", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self.found = self.session.measure()
            self.phase = "verify" if self.found else "over"
            self.line = "" if self.found else "no jack was calibrated; the old values stay"
        except _Cancelled:
            self.phase = "over"
        except NeurorackError as error:
            self.phase, self.error = "over", str(error)

    def _ask(self, line: str) -> str:
        self.line, self.phase = line.partition(", then press")[0], "patch"
        self.asked += 1
        answer = self._answers.get()
        if answer is CANCEL:
            raise _Cancelled
        self.phase = "measuring"
        return answer

    # -- what a person does

    def measure(self) -> None:
        """It is patched."""
        self._go_on("")

    def skip(self) -> None:
        """Not this jack."""
        self._go_on(SKIP)

    def _go_on(self, answer: str) -> None:
        if self.phase != "patch":
            raise NeurorackError("the calibration waits for nothing now")
        self.phase = "measuring"
        self._answers.put(answer)

    def keep(self) -> None:
        """Write what was found. Raises ``NeurorackError``."""
        if self.phase != "verify":
            raise NeurorackError("there is nothing to keep yet")
        calibration.save(self.here.name, self.found, time.strftime("%Y-%m-%dT%H:%M:%S"))
        self.phase = "kept"

    def cancel(self) -> None:
        """Nothing is changed."""
        if self.phase in ("patch", "measuring"):
            self._answers.put(CANCEL)
        if self.phase != "kept":
            self.phase = "over"

    # -- for people

    def told(self) -> dict:
        found = {name: {"gain": round(correction.gain, 5), "offset_volts": round(correction.offset_volts, 5),
                        "points": [self._point(correction, reading) for reading in readings]} for name, (correction, readings) in self.found.items()}
        return {"number": self.number, "phase": self.phase, "line": self.line, "error": self.error, "step": self.asked, "steps": self.steps, "found": found,
                "failed": {f"cv{jack + 1}": why for jack, why in self.session.failed.items()}, "live": self._live() if self.phase == "verify" else {}}

    @staticmethod
    def _point(correction, reading) -> dict:
        before, after = (CENTS * (volts - reading.patched_volts) for volts in (reading.converted_volts, correction(reading.converted_volts)))
        return {"volts": reading.patched_volts, "before_cents": round(before, 2), "after_cents": round(after, 2), "noise_cents": round(CENTS * reading.noise_volts, 2)}

    def _live(self) -> dict:
        """What the jacks read now with the new values: volts, and cents from the nearest semitone."""
        section = self.here.rack.inputs
        at = np.arange(max(0, section.scans - LIVE_SCANS), section.scans) % table.RAW_SCANS
        means = section.raw_volts.reshape(table.RAW_SCANS, table.CV_JACKS)[at].mean(axis=0, dtype=float)
        live = {}
        for name, (correction, _) in self.found.items():
            volts = float(correction(means[int(name[2:]) - 1]))
            live[name] = {"volts": round(volts, 4), "cents": round(100 * (12 * volts - round(12 * volts)), 1)}
        return live


class Detecting:
    """The detective at work; ``findings`` when ``done``."""

    def __init__(self, here: Jacks, names: list[str], seconds: float):
        self.here, self.names, self.seconds, self.began, self.number = here, names, seconds, time.monotonic(), next(_numbers)
        self.findings, self.done, self.error, self.kept = [], False, "", []
        threading.Thread(target=self._work, name="detective", daemon=True).start()

    def _work(self) -> None:
        try:
            self.findings = jacks.watch(self.here, self.seconds, self.names)
        except NeurorackError as error:
            self.error = str(error)
        self.done = True

    def keep(self, name: str) -> None:
        """Accept what is proposed for one jack. Raises ``NeurorackError``."""
        finding = next((one for one in self.findings if one.jack == name), None)
        if finding is None or not finding.settings:
            raise NeurorackError(f"nothing is proposed for {name}")
        jacks.keep(self.here, {name: finding.settings})
        self.kept.append(name)

    def told(self) -> dict:
        progress = 1.0 if self.done else min(0.99, (time.monotonic() - self.began) / self.seconds)
        return {"number": self.number, "watching": not self.done, "progress": round(progress, 2), "error": self.error, "kept": self.kept,
                "findings": [dataclasses.asdict(one) for one in self.findings]}


class Guide:
    """The one calibration and the one detective of an instrument, as requests. ``here()`` gives its jacks."""

    def __init__(self, here: Callable[[], Jacks]):
        self.here = here
        self.calibrating: Calibrating | None = None
        self.detecting: Detecting | None = None
        self.requests = {"calibrate": self._calibrate, "detect": self._detect}

    def _calibrate(self, request: dict) -> dict:
        """``step``: begin (``jack``, ``points``), measure, skip, keep, cancel; without one: where it stands."""
        step, now = request.get("step"), self.calibrating
        if step == "begin":
            here = self.here()
            which = calibrate.jacks_of(str(request.get("jack", "all")), here.cv_names)
            points = calibrate.points_of(",".join(map(str, request.get("points", (0, 1, 3)))))
            if now:
                now.cancel()
            self.calibrating = Calibrating(here, which, points)
        elif step in ("measure", "skip", "keep", "cancel"):
            if now is None:
                raise NeurorackError("no calibration is going on; begin one")
            getattr(now, step)()
        elif step is not None:
            raise NeurorackError(f"step is {step!r}; it must be begin, measure, skip, keep or cancel")
        return {"calibration": self.calibrating.told() if self.calibrating else None}

    def _detect(self, request: dict) -> dict:
        """``step``: begin (``jack``, ``seconds``) or keep (``jack``); without one: what was found."""
        step = request.get("step")
        if step == "begin":
            here, seconds = self.here(), request.get("seconds", 5.0)
            low, high = SECONDS_LIMITS
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not low <= seconds <= high:
                raise NeurorackError(f"seconds is {seconds!r}; it must be a number from {low:g} to {high:g}")
            if self.detecting and not self.detecting.done:
                raise NeurorackError("the detective is at work; wait for its end")
            self.detecting = Detecting(here, jacks.named(str(request.get("jack", "all")), here.cv_names + here.gate_names), seconds)
        elif step == "keep":
            if self.detecting is None or not self.detecting.done:
                raise NeurorackError("nothing was found yet")
            self.detecting.keep(str(request.get("jack")))
        elif step is not None:
            raise NeurorackError(f"step is {step!r}; it must be begin or keep")
        return {"detective": self.detecting.told() if self.detecting else None}
