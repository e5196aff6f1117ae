"""``neurorack calibrate``: guided calibration of the CV jacks on the terminal.

Zero with empty jacks, then one or two known volts into each jack; averaged, checked, fitted, shown in cents, kept.
A jack that fails keeps its old values; others go on.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable
from typing import TextIO

import numpy as np

from neurorack.errors import BoardError, NeurorackError
from neurorack.inputs import calibration
from neurorack.inputs.calibration import CENTS, Correction, Reading
from neurorack.inputs.watching import Jacks, open_jacks

SETTLE_SECONDS = 0.1            # after a cable was patched: ends of a person's movement, and the converter's last value
LIMIT_VOLTS = 10.0
VERIFY_SECONDS = 0.3


def points_of(text: str) -> list[float]:
    """"0,1,3" -> [0.0, 1.0, 3.0]. Raises ``NeurorackError``."""
    try:
        points = [float(part) for part in text.split(",")]
    except ValueError:
        raise NeurorackError(f"--points is {text!r}; it must be volts with commas between, as 0,1,3") from None
    if not 2 <= len(points) <= 3 or not all(abs(p) <= LIMIT_VOLTS for p in points) or max(points) - min(points) < calibration.LEAST_SPREAD_VOLTS:
        raise NeurorackError(f"--points is {text}; it must be two or three volts within ±{LIMIT_VOLTS:g}, "
                             f"at least {calibration.LEAST_SPREAD_VOLTS:g} V apart")
    return points


def jacks_of(text: str, names: list[str]) -> list[int]:
    """Indices of the CV jacks that ``--jack`` names."""
    if text == "all":
        return list(range(len(names)))
    name = f"cv{text}" if text.isdigit() else text
    if name not in names:
        raise NeurorackError(f"there is no CV jack {text!r}; the board has {', '.join(names)}")
    return [names.index(name)]


class Session:
    """One calibration of some jacks.

    Args:
        ask: shows a line and waits for Enter; returns what was typed, or None when nobody is there.
        say: shows a line.
    """

    def __init__(self, jacks: Jacks, which: list[int], points: list[float], seconds: float,
                 ask: Callable[[str], str | None], say: Callable[[str], None]):
        self.jacks, self.which, self.points, self.seconds, self.ask, self.say = jacks, which, points, seconds, ask, say
        self.readings: dict[int, list[Reading]] = {jack: [] for jack in which}
        self.failed: dict[int, str] = {}
        #: On such a board an open jack does not lie at 0 V.
        self.floats = jacks.board["cv"].get("unpatched_volts") is not None

    def measure(self) -> dict[str, tuple[Correction, list[Reading]]]:
        """Go through the points; returns what was found for each good jack. The others are in ``failed``."""
        if 0.0 in self.points and not self.floats:
            self._patch(self.which, 0.0, "Take the cables out of the CV jacks")
            self._take(self.which, 0.0)
        for jack in self.which:
            for volts in self.points:
                if (volts != 0.0 or self.floats) and jack not in self.failed:
                    self._patch([jack], volts, f"Patch {volts:g} V into {self._name(jack)}, nothing into the others")
                    self._take([jack], volts)
        found = {}
        for jack in self.which:
            if jack not in self.failed:
                try:
                    found[self._name(jack)] = (calibration.fit(self._name(jack), self.readings[jack]), self.readings[jack])
                except BoardError as error:
                    self._fail(jack, error)
        return found

    def _name(self, jack: int) -> str:
        return f"cv{jack + 1}"

    def _patch(self, jacks: list[int], volts: float, line: str) -> None:
        if self.jacks.wires is None:
            if self.ask(f"{line}, then press Enter (s and Enter skips): ") == "s":
                for jack in jacks:
                    self._fail(jack, "skipped")
            return
        for jack in range(len(self.jacks.cv_names)):
            self.jacks.wires.set_cv(jack, volts if jack in jacks else 0.0)

    def _take(self, jacks: list[int], volts: float) -> None:
        jacks = [jack for jack in jacks if jack not in self.failed]
        if not jacks:
            return
        _, rows = self.jacks.scans(self.seconds, SETTLE_SECONDS)
        for jack in jacks:
            try:
                self.readings[jack].append(calibration.measure(self._name(jack), volts, rows[:, jack].astype(float)))
            except BoardError as error:
                self._fail(jack, error)

    def _fail(self, jack: int, why) -> None:
        self.failed[jack] = str(why)
        self.say(f"  {why}; {self._name(jack)} keeps its old values")


def page(found: dict[str, tuple[Correction, list[Reading]]]) -> str:
    """The verify page: each point before and after, in cents."""
    lines = ["", "jack   gain      offset      point   before      after   noise"]
    for name, (correction, readings) in found.items():
        head = f"{name:5}  {correction.gain:.5f}  {1000 * correction.offset_volts:+7.1f} mV"
        for r in readings:
            before, after = (CENTS * (volts - r.patched_volts) for volts in (r.converted_volts, correction(r.converted_volts)))
            lines.append(f"{head:26}  {r.patched_volts:+5.1f} V  {before:+7.1f}    {after:+7.2f}  {CENTS * r.noise_volts:6.1f}   cents")
            head = ""
    return "\n".join(lines)


def live(jacks: Jacks, found: dict[str, tuple[Correction, list[Reading]]], say: Callable[[str], None], keys: TextIO) -> None:
    """What the calibrated jacks read now, with the distance from the nearest semitone, until Enter comes from ``keys``."""
    say("Verify: patch notes into the jacks and look at the cents from the nearest semitone; Enter goes on.")
    while not select.select([keys], [], [], 0)[0]:
        _, rows = jacks.scans(VERIFY_SECONDS)
        parts = []
        for name, (correction, _) in found.items():
            volts = correction(float(np.mean(rows[:, int(name[2:]) - 1])))
            semitones = 12 * volts
            parts.append(f"{name} {volts:+.4f} V {100 * (semitones - round(semitones)):+5.1f} ct")
        sys.stdout.write("\r" + "   ".join(parts)[:150] + "\x1b[K")
        sys.stdout.flush()
    keys.readline()
    say("")


def _ask(line: str) -> str | None:
    sys.stdout.write(line)
    sys.stdout.flush()
    typed = sys.stdin.readline()
    if not typed:
        raise NeurorackError("nobody is at the terminal to patch the volts: calibrate from a terminal, or try it with --simulated")
    return typed.strip().lower()


def run(args) -> int:
    """Calibrate; 0 when every jack asked for was."""
    points = points_of(args.points)
    if not 0.05 <= args.seconds <= 60:
        raise NeurorackError(f"--seconds is {args.seconds:g}; it must lie from 0.05 to 60")
    with open_jacks(args.board, args.simulated, args.pid) as jacks:
        print(f"Calibrating {jacks.where()}.")
        session = Session(jacks, jacks_of(args.jack, jacks.cv_names), points, args.seconds, _ask, print)
        found = session.measure()
        if not found:
            raise NeurorackError("no jack was calibrated; the old values stay")
        print(page(found))
        if not args.yes:
            if sys.stdin.isatty() and jacks.wires is None:
                live(jacks, found, print, sys.stdin)
            if _ask("Keep these values (y/n)? ") != "y":
                print("Nothing was changed.")
                return 1
        where = calibration.save(jacks.name, found, time.strftime("%Y-%m-%dT%H:%M:%S"))
        print(f"Kept in {where}.")
    return 1 if session.failed else 0
