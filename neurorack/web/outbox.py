"""What waits for one page: bounded whatever it does, and sent as fast as it takes it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections import deque

from aiohttp import web

from neurorack.web import limits

MOST_WAITING_EVENTS = 256                    # answers and lines of the log that a page has not taken


def dumps(what: dict) -> str:
    """As every browser reads it: JSON has no numbers that are none."""
    try:
        return json.dumps(what, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return dumps(_finite(what))


def _finite(what):
    if isinstance(what, dict):
        return {key: _finite(value) for key, value in what.items()}
    if isinstance(what, (list, tuple)):
        return [_finite(value) for value in what]
    return None if isinstance(what, float) and not math.isfinite(what) else what


class Page:
    """One open page. What waits for it is bounded: the newest of each kind, and a short queue of answers."""

    def __init__(self, socket: web.WebSocketResponse, transport):
        self.socket, self.transport = socket, transport
        self.now, self.parts, self.pictures = {}, {}, {}
        self.events: deque[dict] = deque()
        self.waiting, self.ignored = 0, 0
        self.bucket = limits.Bucket(limits.WISHES_A_SECOND, limits.WISHES_AT_ONCE)
        self.filled, self.dropped, self.token = asyncio.Event(), None, None
        self.held: dict[tuple, dict] = {}        # gates and keys that are down: what lets them go

    def event(self, what: dict) -> None:
        if len(self.events) >= MOST_WAITING_EVENTS:
            self.drop("it does not read")
        self.events.append(what)
        self.filled.set()

    def drop(self, reason: str) -> None:
        """End it, without waiting for what it has not taken."""
        self.dropped = self.dropped or reason
        self.filled.set()

    async def send(self) -> None:
        """Its sender: takes the outbox as it is and sends it; ends when the page is dropped."""
        while True:
            await self.filled.wait()
            self.filled.clear()
            if self.dropped:
                break
            now, parts, pictures, events = self.now, self.parts, self.pictures, self.events
            self.now, self.parts, self.pictures, self.events = {}, {}, {}, deque()
            texts = [dumps(event) for event in events] + [dumps({"type": "state", "part": part, "value": value}) for part, value in parts.items()]
            texts += [dumps({"type": "now", **now})] if now else []
            async with asyncio.timeout(limits.SEND_SECONDS):
                for text in texts:
                    await self.socket.send_str(text)
                for picture in pictures.values():
                    await self.socket.send_bytes(picture)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1.0):
                await self.socket.send_str(dumps({"type": "bye", "reason": self.dropped}))
                await self.socket.close(code=1008, message=self.dropped.encode()[:120])
