"""The web process's end of the control socket, for asyncio: few connections that stay open, one answer at a time on each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

from neurorack import control
from neurorack.web.messages import PATIENT, SLOW

MOST_ANSWER_BYTES = 4 << 20
SLOW_LINES = 2               # wishes that wait for a model, at once
WISH_SECONDS = 20.0          # patience with the others


class Line:
    """One connection. Requests go through it in the order of their asking; it is opened when needed, and anew when it broke."""

    def __init__(self, path):
        self.path, self.lock = path, asyncio.Lock()
        self.reader = self.writer = None

    async def ask(self, request: dict, seconds: float) -> dict:
        """The answer; one that says why there is none where the instrument gives none."""
        async with self.lock:
            try:
                until = time.monotonic() + control.BUSY_SECONDS
                while (answer := await self._ask(request, seconds)).pop("busy", False) and time.monotonic() < until:
                    self.close()
                    await asyncio.sleep(control.BUSY_PAUSE_SECONDS)
                return answer
            except (OSError, ValueError) as error:      # ValueError: longer than an answer may be
                self.close()
                late = isinstance(error, TimeoutError)
                return {"ok": False, "error": f"the instrument {f'has not answered within {seconds:g} s' if late else 'does not answer'}; look at its log"}
            except asyncio.CancelledError:
                self.close()          # its answer would be taken for the next one's
                raise

    async def _ask(self, request: dict, seconds: float) -> dict:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_unix_connection(str(self.path), limit=MOST_ANSWER_BYTES)
        self.writer.write(json.dumps(request).encode() + b"\n")
        return json.loads(await asyncio.wait_for(self.reader.readline(), seconds))

    def close(self) -> None:
        if self.writer:
            with contextlib.suppress(Exception):
                self.writer.close()
        self.reader = self.writer = None


class Control:
    """``ask`` for wishes, ``look`` for what is looked at again and again: nobody who looks keeps a wish waiting."""

    def __init__(self, supervisor_pid: int):
        path = control.socket_path(supervisor_pid)
        self.wishes, self.patient, self.looks = Line(path), Line(path), Line(path)
        self.slow = [Line(path) for _ in range(SLOW_LINES)]

    async def ask(self, request: dict) -> dict:
        """The answer, ``{"ok": …}``; never raises."""
        if request["do"] not in SLOW:
            return await (self.patient if request["do"] in PATIENT else self.wishes).ask(request, WISH_SECONDS)
        line = next((line for line in self.slow if not line.lock.locked()), None)
        if line is None:
            return {"ok": False, "error": f"{SLOW_LINES} such requests are being waited for already; try again when they are done"}
        return await line.ask(request, control.ANSWER_SECONDS)

    async def look(self, request: dict) -> dict:
        return await self.looks.ask(request, WISH_SECONDS)

    def close(self) -> None:
        for line in (self.wishes, self.patient, self.looks, *self.slow):
            line.close()
