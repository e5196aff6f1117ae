"""The panel's threads that wait for the supervisor, so that drawing and events never do.

Three kinds of waiting: answers that the shown screen wants fresh, one thread; short requests in their order, one thread; requests
that take seconds (models, learning), a thread each. Answers are handed to the panel's thread by ``results``, woken through ``fd``.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from neurorack import control
from neurorack.errors import NeurorackError

#: Kept fresh whatever is shown: name -> (request, seconds between two).
ALWAYS = {"card A": ({"do": "card", "slot": "A"}, 2.0), "card B": ({"do": "card", "slot": "B"}, 2.0),
          "scenes": ({"do": "scenes"}, 2.0), "notices": ({"do": "notices"}, 1.0)}
FRESH_SECONDS = 0.5           # what the shown screen needs
UNKNOWN_SECONDS = 10.0        # before a request is tried again that the supervisor does not know
SLOW = {"swap", "load", "next", "gestures", "program", "learn", "models", "bench", "check", "detect", "calibrate", "scene_recall", "scene_next", "undo", "redo", "power", "release", "lighter_keep"}
MOST_SLOW = 4
ANSWER_SECONDS = 5.0


class Asker:
    """Asks the instrument of process ``pid``.

    Args:
        local: requests that this process answers itself: name of ``do`` -> function of the request.
    """

    def __init__(self, pid: int, local: Mapping[str, Callable[[dict], dict]] = MappingProxyType({})):
        self.pid, self.local = pid, dict(local)
        self.answers: Mapping[str, dict] = MappingProxyType({})
        self.fd, self._bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._results: queue.SimpleQueue = queue.SimpleQueue()
        self._quick: dict[object, tuple] = {}       # key -> (request, then, failed), in order
        self._lock, self._there = threading.Lock(), threading.Condition()
        self._slow = 0
        self._wanted: dict[str, dict] = {}
        self._asked_at: dict[str, float] = {}
        self._soon = threading.Event()
        for work in (self._refresh, self._send):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()

    # -- called by the panel's thread

    def ask(self, request: dict, then=None, failed=None, key: str | None = None) -> None:
        """Ask; ``then(answer)`` or ``failed(text)`` is among the ``results`` later."""
        if request["do"] in SLOW or request["do"] == "morph" and "to" in request:      # models may have to be loaded
            if self._slow >= MOST_SLOW:
                if failed:
                    failed("too much is going on already; wait a moment")
                return
            self._slow += 1
            threading.Thread(target=self._one, args=(request, then, failed, True), name="slow request", daemon=True).start()
            return
        with self._there:
            self._quick[key if key is not None else object()] = (request, then, failed)
            self._there.notify()

    def want(self, needs: tuple) -> None:
        """What the shown screen needs."""
        wanted = {need if isinstance(need, str) else need[0]: {"do": need} if isinstance(need, str) else need[1] for need in needs}
        if wanted != self._wanted:
            self._wanted = wanted
            self._soon.set()

    def again(self) -> None:
        """Everything may have changed: ask anew at once."""
        self._asked_at = {}
        self._soon.set()

    def results(self) -> None:
        """Call back what has come."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)
        with contextlib.suppress(queue.Empty):
            while True:
                call, value = self._results.get_nowait()
                call(value)

    # -- in threads of their own

    def _answer(self, request: dict) -> dict:
        if request["do"] in self.local:
            return self.local[request["do"]](request)
        return control.request(request, self.pid, control.ANSWER_SECONDS if request["do"] in SLOW else ANSWER_SECONDS)

    def _one(self, request: dict, then, failed, slow: bool = False) -> None:
        try:
            answer, call = self._answer(request), then
        except NeurorackError as error:
            answer, call = str(error), failed
        except Exception as error:   # noqa: BLE001 - the panel goes on, and says it
            answer, call = f"{type(error).__name__}: {error}", failed
        if slow:
            self._slow -= 1
        self.again()
        if call:
            self._results.put((call, answer))
            self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._bell, b"!")

    def _send(self) -> None:
        while True:
            with self._there:
                while not self._quick:
                    self._there.wait()
                request, then, failed = self._quick.pop(next(iter(self._quick)))
            self._one(request, then, failed)

    def _refresh(self) -> None:
        while True:
            now, due = time.monotonic(), FRESH_SECONDS
            for name, (request, seconds) in ({**ALWAYS, **{name: (request, FRESH_SECONDS) for name, request in self._wanted.items()}}).items():
                if now - self._asked_at.get(name, -1e9) < seconds * 0.95:
                    continue
                self._asked_at[name] = now
                try:
                    answer = self._answer(request)
                except Exception as error:   # noqa: BLE001 - shown where the answer would be
                    answer = {"error": " ".join(str(error).split()) or type(error).__name__}
                    if "there is no request" in answer["error"]:
                        self._asked_at[name] = now + UNKNOWN_SECONDS
                if answer != self.answers.get(name):
                    self.answers = MappingProxyType({**self.answers, name: MappingProxyType(answer)})
                    self._ring()
            self._soon.wait(due)
            self._soon.clear()
            time.sleep(0.2)       # what changes in a burst is asked for once
