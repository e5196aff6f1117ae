"""A chip that may be missing, fail, or come late: opened when it is needed, let go when it fails, tried again with patience."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 2.0
MISSES_IN_A_ROW = 3           # a single missed acknowledge is no failure yet


class Part:
    """One chip under its name for people. ``opener`` makes its driver (with a ``close``); ``note`` is told of every change
    in a line, ``count`` of every failed transfer; ``meanwhile`` tells a person what that means. Belongs to one thread."""

    def __init__(self, name: str, opener: Callable, note: Callable[[str], None], count: Callable[[], None],
                 meanwhile: str = "its jacks hold their last values"):
        self.name, self._opener, self._note, self._count, self._meanwhile = name, opener, note, count, meanwhile
        self._driver, self._misses, self._pause = None, 0, FIRST_PAUSE_SECONDS
        self.again_at = 0.0       # time.monotonic() of the next attempt
        self.failing = ""         # why, or empty

    def get(self):
        """Its driver, or None while it is away and not due for another attempt."""
        if self._driver is None and time.monotonic() >= self.again_at:
            try:
                self._driver = self._opener()
            except OSError as error:
                self._let_go(error)
        return self._driver

    def worked(self) -> None:
        """A transfer succeeded."""
        self._misses = 0
        if self.failing:
            self.failing, self._pause = "", FIRST_PAUSE_SECONDS
            self._note(f"{self.name} answers again")

    def missed(self, error: OSError) -> bool:
        """A transfer failed. True when that was one too many: the driver is closed and opened again after a pause."""
        self._misses += 1
        if self._misses < MISSES_IN_A_ROW:
            self._count()
            return False
        self._let_go(error)
        return True

    def _let_go(self, error: OSError) -> None:
        self.close()
        self._count()
        self._misses = 0
        if not self.failing:
            self._note(f"warning: ChipError: {self.name} does not answer ({error}); {self._meanwhile}")
        self.failing = str(error)
        self.again_at = time.monotonic() + self._pause
        self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2)

    def close(self) -> None:
        if self._driver is not None:
            with contextlib.suppress(OSError):
                self._driver.close()
        self._driver = None


class ErrorCount:
    """Failed transfers of all parts of a board; any thread may count. ``publish`` is told the new sum."""

    def __init__(self, publish: Callable[[int], None], start: int = 0):
        self._publish, self.total, self._lock = publish, start, threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.total += 1
            self._publish(self.total)
