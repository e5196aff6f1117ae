"""Lighter models from the page: begun beside a model, followed, then kept or discarded. The work is ``library/lightening.py``'s.

Every page gets the part ``lighter``: name of a model -> ``phase`` ("working" with ``stage`` and ``share``, "made", "failed"), and ``line``
where there is one to read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from aiohttp import web

from neurorack.errors import NeurorackError
from neurorack.library import lighter
from neurorack.library.lightening import Work
from neurorack.web.guard import body

MOST_BODY_BYTES = 256
KEYS = ("quality", "keep")


class Lighter:
    """``part(name, value)`` gets what every page is to know."""

    def __init__(self, part):
        self.part, self.work, self.loop = part, Work(self._changed), None
        self.known: dict[str, dict] = {}

    async def begin(self) -> None:
        """Tells what was made before and waits."""
        self.loop = asyncio.get_running_loop()
        self._waiting(await asyncio.to_thread(lighter.all_waiting))

    def _waiting(self, found: dict[str, str]) -> None:
        going = {name: state for name, state in self.known.items() if state["phase"] != "made"}
        self.known = {name: {"phase": "made", "line": line} for name, line in found.items()} | going
        self.part("lighter", dict(self.known))

    def _changed(self, state: dict) -> None:
        """In the work's thread."""
        with contextlib.suppress(RuntimeError):          # the server has ended
            self.loop.call_soon_threadsafe(self._tell, state)

    def _tell(self, state: dict) -> None:
        name = state.pop("model")
        self.known = {key: value for key, value in self.known.items() if key != name}
        if state["phase"] != "cancelled":
            self.known[name] = state
        self.part("lighter", dict(self.known))

    # -- HTTP

    async def start(self, request: web.Request) -> web.Response:
        """Begins. The body may be ``{"quality": dB}`` or ``{"keep": share}``."""
        given = await body(request, MOST_BODY_BYTES)
        try:
            wanted = dict(json.loads(given or b"{}"))
            options = {key: float(wanted.pop(key)) for key in KEYS if key in wanted}
        except (ValueError, TypeError, AttributeError):
            raise NeurorackError('the body is no wish; send {"quality": 1.0} or {"keep": 0.5}, or nothing') from None
        if wanted or len(options) > 1 or given[:1] == b"[":
            raise NeurorackError('send {"quality": 1.0} or {"keep": 0.5}, or nothing')
        name = await asyncio.to_thread(lighter.named, request.match_info["name"])
        self.work.start(name, **options)
        return web.json_response({"ok": True, "name": name, "line": "it is being made lighter"}, status=202)

    async def keep(self, request: web.Request) -> web.Response:
        """Into the library, as a model of its own; checked first, which takes some seconds."""
        name = request.match_info["name"]
        done = await asyncio.to_thread(lighter.keep, name)
        self._forget(name)
        if done["name"] is None:
            raise NeurorackError(f"it was not kept; {done['verdict']['line']}")
        return web.json_response({"ok": True, "name": done["name"], "line": done["verdict"]["line"]})

    async def discard(self, request: web.Request) -> web.Response:
        """What is being made is stopped; what was made is thrown away."""
        name = request.match_info["name"]
        if not (self.work.state.get("model") == name and self.work.cancel()):
            await asyncio.to_thread(lighter.discard, name)
        self._forget(name)
        return web.json_response({"ok": True, "name": name})

    def _forget(self, name: str) -> None:
        self.known = {key: value for key, value in self.known.items() if key != name}
        self.part("lighter", dict(self.known))
