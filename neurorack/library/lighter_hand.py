"""The supervisor's end of lighter models: what is being made, what waits to be kept or discarded, for the panel, the page and ``ctl`` alike.

The work is ``lightening.py``'s, in a process of its own; here it is begun, told and ended.
"""

from __future__ import annotations

import threading
import time

from neurorack.errors import NeurorackError
from neurorack.library import files, lightening, lighter
from neurorack.notices import INFO
from neurorack.wishes import number, text

LOOK_SECONDS = 5.0          # between two looks at what waits, where nothing seems to have changed


class Lightening:
    """Of one run. ``requests``: of the control socket, called in the asker's thread.

    ``{"do": "lighter"}`` answers name of a model -> ``phase`` ("working" with ``stage`` and ``share``, "made", "failed"), and ``line``
    where there is one to read.
    """

    def __init__(self, run):
        self.run, self.work = run, lightening.Work(self._changed)
        self.requests = {"lighter": lambda request: {"lighter": self.told()}, "lighter_make": self._make, "lighter_keep": self._keep,
                         "lighter_discard": self._discard}
        self._lock = threading.Lock()
        self._going: dict[str, dict] = {}          # being made, or could not be
        self._waiting: dict[str, str] = {}         # made -> the line about it
        self._stamp, self._looked = None, 0.0
        self._keeping: set[str] = set()

    def told(self) -> dict[str, dict]:
        with self._lock:
            self._look()
            return {**{name: {"phase": "made", "line": line} for name, line in self._waiting.items()}, **self._going}

    def _look(self) -> None:
        """Read anew what waits, where that may be something else. The lock is held."""
        folder = files.own() / files.LIGHTER
        stamp, now = folder.stat().st_mtime_ns if folder.is_dir() else None, time.monotonic()
        if stamp != self._stamp or stamp and now - self._looked > LOOK_SECONDS:
            self._stamp, self._looked, self._waiting = stamp, now, lighter.all_waiting() if stamp else {}

    def _changed(self, state: dict) -> None:
        """In the work's thread."""
        name, phase = state.pop("model"), state["phase"]
        with self._lock:
            self._going.pop(name, None)
            self._stamp = None
            if phase in ("working", "failed"):
                self._going[name] = state
        if phase in ("made", "failed"):
            self.run.say(f"{name}: {state['line']}")
            remedy = "keep or discard it: Models" if phase == "made" else "it plays on as it is"
            self.run.upkeep.notices.put(f"lighter {name}", f"{name}: {state['line']}", remedy, INFO)

    def _make(self, request: dict) -> dict:
        limits = {"quality": lighter.QUALITY_DB, "keep": lighter.KEEP}
        options = {key: number(request, key, *within) for key, within in limits.items() if request.get(key) is not None}
        if len(options) > 1:
            raise NeurorackError("give a quality or a share to keep, not both")
        name = lighter.named(text(request, "model"))
        self.run.upkeep.notices.over(f"lighter {name}")
        self.work.start(name, **options)
        return {"name": name, "line": "it is being made lighter"}

    def _keep(self, request: dict) -> dict:
        """Into the library as a model of its own, checked first: some seconds."""
        name = lighter.named(text(request, "model"))
        with self._lock:
            if name in self._keeping:
                raise NeurorackError(f"the lighter {name} is being kept already; wait for it")
            self._keeping.add(name)
        try:
            done = lightening.kept(name)
        finally:
            self._keeping.discard(name)
        self._forget(name)
        return {"name": done["name"], "line": done["verdict"]["line"]}

    def _discard(self, request: dict) -> dict:
        """What is being made is stopped; what was made is thrown away."""
        name = text(request, "model")
        if name not in self.told():
            raise NeurorackError(f"nothing lighter is being made of {name[:80]!r}, and nothing waits")
        if name in self._keeping:
            raise NeurorackError(f"the lighter {name} is being kept; remove it afterwards, if need be")
        if not (self.work.state.get("model") == name and self.work.cancel()):
            lighter.discard(name)
        self._forget(name)
        return {"name": name}

    def _forget(self, name: str) -> None:
        with self._lock:
            self._going.pop(name, None)
            self._stamp = None
        self.run.upkeep.notices.over(f"lighter {name}")
