"""What the instrument wants a person to know, each with what to do about it: for the panel and the page, which have no terminal.

Collected from what is said as a warning, from the library's watcher, and by a look every few seconds at the chips, the processor's
heat and supply, the disk and the underruns. A notice is one matter: said again, it is renewed and counted, not doubled. One that
was seen is gone until the matter comes up again; one whose matter is over goes by itself.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from neurorack import causes, tuning
from neurorack.inputs import store

INFO, WARNING = "info", "warning"
LOOK_SECONDS, SLOW_LOOK_SECONDS = 2.0, 10.0
MOST = 50                     # the oldest give way
EXPECTED = "warning: NoBoard:"     # whoever looks at a simulated panel knows
LOW_DISK_BYTES, FULL_DISK_BYTES = 500 << 20, 100 << 20
CHIP_CALM_SECONDS = 6.0       # without a failed transfer for so long, the chips answer
#: section of the shared block -> what its failed transfers mean
CHIPS = {"inputs": "a converter or gate line of the board does not answer; its jacks hold their last values", "panel": "the display or the encoder does not answer"}
#: cause of an underrun -> (in words, remedy)
UNDERRUNS = {
    "slow": ("the model is too slow for this machine", "play a smaller model, or one with larger blocks"),
    "stall": ("the machine stood still", "end other programs; `neurorack doctor` looks for what holds it up"),
    "throttled": ("the processor was slowed down", "give it air, and a stronger supply"),
    "swap": ("a change of model took long", "change models less often, or choose smaller ones"),
    "died": ("a process of the sound died", "it was started again; the log says why"),
}


@dataclass
class Notice:
    id: str
    text: str
    remedy: str
    level: str
    at_ns: int
    count: int = 1

    def told(self) -> dict:
        return {"id": self.id, "text": self.text, "remedy": self.remedy, "level": self.level, "at_ns": self.at_ns, "count": self.count}


def split(line: str) -> tuple[str, str]:
    """A line of ours as text and remedy: what to do stands behind its last semicolon."""
    text, semicolon, remedy = line.rpartition("; ")
    return (text, remedy) if semicolon else (line, "")


class Notices:
    """Of one run; any thread may call. ``start`` begins the looks."""

    def __init__(self, run):
        self.run = run
        self._lock = threading.Lock()
        self._notices: dict[str, Notice] = {}
        self._stop = threading.Event()
        self._chip_errors: dict[str, int] = {}
        self._chip_at: dict[str, float] = {}      # when a section last counted a failed transfer
        self._underruns = dict.fromkeys(UNDERRUNS, 0)
        self._slow_at, self._slow = -SLOW_LOOK_SECONDS, {}

    def start(self, beside: Callable[[], None] = lambda: None) -> None:
        """``beside`` is called with each look."""
        threading.Thread(target=self._work, args=(beside,), name="notices", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    # -- what comes in

    def put(self, id: str, text: str, remedy: str = "", level: str = WARNING) -> None:
        """A matter came up, or came up again."""
        with self._lock:
            old = self._notices.pop(id, None)
            count = old.count + 1 if old else 1
            self._notices[id] = Notice(id, text, remedy, level, time.monotonic_ns(), count)
            while len(self._notices) > MOST:
                self._notices.pop(next(iter(self._notices)))

    def over(self, id: str) -> None:
        with self._lock:
            self._notices.pop(id, None)

    def said(self, message: str) -> None:
        """A line that ``Instrument.say`` was given."""
        if message.startswith("warning: ") and not message.startswith(EXPECTED):
            line = re.sub(r"^[A-Z]\w+: ", "", message.removeprefix("warning: "))
            matter = re.sub(r"[\d.]+", "0", line)
            self.put("said " + hashlib.sha256(matter.encode()).hexdigest()[:8], *split(line))

    def library(self, line: str) -> None:
        """A line of the library's watcher: a model was admitted or refused."""
        self.run.say(line)
        name, colon, verdict = line.partition(": ")
        if not colon or line.startswith("warning: "):
            return
        if verdict.startswith("plays"):
            self.put(f"model {name}", line, "play it: Models", INFO)
        elif not verdict.startswith("it is being checked"):
            self.put(f"model {name}", *split(line))

    # -- what goes out

    @property
    def requests(self) -> dict:
        return {"notices": lambda request: {"notices": self.told()}, "notice_seen": self._seen}

    def told(self) -> list[dict]:
        """The newest first."""
        with self._lock:
            return [notice.told() for notice in reversed(self._notices.values())]

    def _seen(self, request: dict) -> dict:
        self.over(str(request.get("id")))
        return {"notices": self.told()}

    # -- looking

    def _work(self, beside: Callable[[], None]) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        before: set[str] = set()
        while not self._stop.wait(LOOK_SECONDS):
            found = self._look(time.monotonic())
            for id, (text, remedy, level) in found.items():
                if id not in before:
                    self.put(id, text, remedy, level)
                else:
                    self._change(id, text, remedy)
            for id in before - found.keys():
                self.over(id)
            before = set(found)
            self._count_underruns()
            beside()

    def _change(self, id: str, text: str, remedy: str) -> None:
        """A matter lasts: its words may change, but one that was seen stays away."""
        with self._lock:
            if old := self._notices.get(id):
                old.text, old.remedy = text, remedy

    def _look(self, now: float) -> dict[str, tuple[str, str, str]]:
        """What lasts now: id -> text, remedy, level."""
        found = dict(self._chips(now))
        if now - self._slow_at >= SLOW_LOOK_SECONDS:
            self._slow_at, self._slow = now, {**self._heat(), **self._disk()}
        return found | self._slow

    def _chips(self, now: float):
        for section, words in CHIPS.items():
            errors = int(getattr(self.run.rack, section).chip_errors)
            if errors > self._chip_errors.get(section, errors):
                self._chip_at[section] = now
            self._chip_errors[section] = errors
            if now - self._chip_at.get(section, -CHIP_CALM_SECONDS) < CHIP_CALM_SECONDS:
                yield f"chip {section}", (words, "look at its plug and wires; `neurorack doctor` names the chip", WARNING)

    @staticmethod
    def _heat() -> dict:
        return {"throttling": (one["finding"], one["remedy"], WARNING) for one in tuning.check_throttling(Path("/")) if one["status"] == tuning.WARN}

    @staticmethod
    def _disk() -> dict:
        folder = store.folder()
        if not folder.exists():
            return {}
        free = shutil.disk_usage(folder).free
        if free > LOW_DISK_BYTES:
            return {}
        return {"disk": (f"{free >> 20} MB are left on the disk", "delete takes, or models that are not played",
                         WARNING if free < FULL_DISK_BYTES else INFO)}

    def _count_underruns(self) -> None:
        for cause, count in causes.totals(self.run.rack).items():
            new, self._underruns[cause] = count - self._underruns[cause], count
            if new > 0:
                words, remedy = UNDERRUNS[cause]
                self.put(f"underruns {cause}", f"{count} underrun{'s' * (count != 1)}: {words}", remedy)
