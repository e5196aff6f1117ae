"""Lighter models from the page: begun beside a model, then kept or discarded. The work and what is known of it are the instrument's
(``library/lighter_hand.py``), whose ``lighter`` every page gets as a part of the state.
"""

from __future__ import annotations

import json

from aiohttp import web

from neurorack.errors import NeurorackError
from neurorack.web.guard import body

MOST_BODY_BYTES = 256
KEYS = ("quality", "keep")


class Lighter:
    """``do(request)`` asks the instrument, as a page may."""

    def __init__(self, do):
        self.do = do

    async def _asked(self, what: str, request: web.Request, **more) -> dict:
        answer = await self.do({"do": what, "model": request.match_info["name"], **more})
        if not answer.get("ok"):
            raise NeurorackError(answer["error"])
        return answer

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
        return web.json_response(await self._asked("lighter_make", request, **options), status=202)

    async def keep(self, request: web.Request) -> web.Response:
        """Into the library, as a model of its own; checked first, which takes some seconds."""
        return web.json_response(await self._asked("lighter_keep", request))

    async def discard(self, request: web.Request) -> web.Response:
        """What is being made is stopped; what was made is thrown away."""
        return web.json_response(await self._asked("lighter_discard", request))
