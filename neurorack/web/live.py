"""The WebSocket ``/live``: the pages that are open, and the loops that fill their outboxes while somebody looks."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from operator import itemgetter
from socket import SO_SNDBUF, SOL_SOCKET

from aiohttp import WSMsgType, web

from neurorack import __version__
from neurorack.web import PROTOCOL, limits, messages
from neurorack.web.hand import LOG_LINES
from neurorack.web.now import Moving
from neurorack.web.outbox import Page

TICK_SECONDS = 1 / 30
#: Parts of the state, and how often each is looked at while a page is open; at once after a wish.
PARTS = {"status": 0.5, "scenes": 1.0, "sources": 1.0, "takes": 1.0, "cables": 1.0, "notices": 1.0, "panel": 1.0, "midi": 3.0, "preferences": 2.0,
         "statistics": 2.0, "log": 0.5, "lighter": 1.0}
#: What a wish may have changed, looked at at once; "status" and "scenes" (what can be undone) where nothing is said.
AFTER = {"gate": (), "hit": (), "tap": (), "key": ("cables",), "cable": ("cables",), "volts": ("cables",), "panel": ("panel",), "notice_seen": ("notices",),
         "record": ("takes", "status"), "take_delete": ("takes",), "preference": ("preferences",), "midi": ("midi",), "learn": ("midi",), "unlearn": ("midi",),
         "lighter_make": ("lighter",), "lighter_keep": ("lighter",), "lighter_discard": ("lighter",),
         "source": ("sources", "scenes"), "undo": ("status", "scenes", "sources"), "redo": ("status", "scenes", "sources"),
         "scene_recall": ("status", "scenes", "sources"), "scene_next": ("status", "scenes", "sources"), "program": ("status", "scenes", "sources")}
SOON_SECONDS, AGAIN_SECONDS, ABSENT_SECONDS = 0.05, 0.25, 15.0     # after a wish; since the last look at least; for a part there is none of
MODELS_SECONDS = 1.0


class Hub:
    """All pages, and what they are told."""

    def __init__(self, child, control, network: bool, guard):
        self.rack, self.control, self.network, self.guard = child.rack, control, network, guard
        self.section, self.library = child.rack.web, None
        jacks = child.config.get("jacks", {"cv": 4, "gate": 2})
        self.hello = {"type": "hello", "version": __version__, "protocol": PROTOCOL, "network": network,
                      "rate": self.rack.header.sample_rate_hz, "jacks": jacks}
        self.moving = Moving(self.rack, jacks["cv"], jacks["gate"])
        self.pages: set[Page] = set()
        self.tasks: set[asyncio.Task] = set()
        self.values, self.parts, self.due, self.looked, self.frame = {}, {}, {}, {}, {}
        self.lines: deque[str] = deque(maxlen=LOG_LINES)
        self.log_count = 0
        self.somebody = asyncio.Event()

    # -- one page

    async def serve(self, request: web.Request, token: str | None = None) -> web.WebSocketResponse:
        """Answer a page until it goes or is dropped. ``token``: the hash it came in with, where pairing is asked for."""
        socket = web.WebSocketResponse(max_msg_size=limits.MOST_MESSAGE_BYTES, compress=False, heartbeat=15.0)
        await socket.prepare(request)
        if connection := request.transport and request.transport.get_extra_info("socket"):
            connection.setsockopt(SOL_SOCKET, SO_SNDBUF, limits.SEND_BUFFER_BYTES)       # what a page does not take is soon noticed
        page = Page(socket, request.transport)
        page.token = token
        page.events.append(self.hello)
        if self.lines:
            page.events.append({"type": "log", "lines": list(self.lines)})
        page.now, page.parts = dict(self.values), dict(self.parts)
        page.pictures = dict(self.frame)
        page.filled.set()
        self.pages.add(page)
        self.section.clients = len(self.pages)
        self.soon()
        self.somebody.set()
        sender = asyncio.create_task(self._send(page))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    page.drop("a page sends text only")
                    break
                self._take(page, message.data)
                if page.dropped:
                    break
                if page.ignored:
                    await asyncio.sleep(0)       # whoever floods gets its answers, and nobody waits for it
            if page.dropped:
                await sender           # it says why
        finally:
            self.pages.discard(page)
            self.section.clients = len(self.pages)
            sender.cancel()
            for held in list(page.held):
                self._let_go(page, held)
            if page.dropped:
                self.section.dropped = self.section.dropped + 1
            if not self.pages:
                self.somebody.clear()
        return socket

    async def _send(self, page: Page) -> None:
        try:
            await page.send()
        except TimeoutError:
            page.dropped = "it has taken nothing for too long"
        except (ConnectionError, RuntimeError):
            page.dropped = page.dropped or None
        finally:
            if page.transport and not page.socket.closed:
                page.transport.abort()        # wakes the reader, whatever the other end does

    def _take(self, page: Page, text: str) -> None:
        if not page.bucket.take():
            page.ignored += 1
            if page.ignored > limits.MOST_IGNORED:
                return page.drop("it asks for too much")
        number = None
        try:
            number, request = messages.parse(text)
            if page.ignored and page.bucket.level < 1:
                raise messages.Refused(f"too many requests: at most {limits.WISHES_A_SECOND:g} a second", number)
            if page.waiting >= limits.MOST_WAITING:
                raise messages.Refused(f"{page.waiting} requests are waiting for their answers; wait for them", number)
        except messages.Refused as error:
            return page.event({"type": "answer", "id": error.id, "ok": False, "error": str(error)})
        page.waiting += 1
        self._begin(self._ask(page, number, request))
        return None

    def _begin(self, work) -> None:
        """Goes on even if its page goes: what was asked for is done."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _ask(self, page: Page, number, request: dict) -> None:
        try:
            answer = await self.do(request)
        finally:
            page.waiting -= 1
        if request["do"] in ("gate", "key") and answer.get("ok"):
            held = request["do"], request.get("jack"), request.get("note")
            page.held.pop(held, None)
            if request["high"]:
                page.held[held] = {**request, "high": False}
                if page not in self.pages:
                    self._let_go(page, held)
        page.event({"type": "answer", "id": number, **answer})

    def _let_go(self, page: Page, held: tuple) -> None:
        """A page that is gone holds no gate and no key."""
        self._begin(self.control.ask(page.held.pop(held)))

    async def do(self, request: dict) -> dict:
        """What a page may ask for (it was checked), from wherever: the answer."""
        for key in ("model", "encoder"):
            if request.get(key) and not await self.library.has(request[key]):
                return {"ok": False, "error": f"the library has no model {request[key]!r}"}
        answer = await self.control.ask(request)
        self.soon(AFTER.get(request["do"], ("status", "scenes")))
        return answer

    def drop_unpaired(self) -> None:
        """Pages whose token was taken back."""
        for page in self.pages:
            if page.token and not self.guard.tokens.has(page.token):
                page.drop("this browser is not paired any more")

    # -- everybody

    def soon(self, parts=PARTS) -> None:
        """Look at these parts now, or as soon as they may be looked at again."""
        now = time.monotonic()
        for part in parts:
            at = max(now + SOON_SECONDS, self.looked.get(part, 0.0) + AGAIN_SECONDS)
            self.due[part] = min(self.due.get(part, at), at)

    def tell(self, what: dict) -> None:
        for page in self.pages:
            page.event(what)

    def part(self, name: str, value) -> None:
        """A part of the state as it is now; told if it is another than before."""
        if self.parts.get(name) != value:
            self.parts[name] = value
            for page in self.pages:
                page.parts[name] = value
                page.filled.set()

    async def tick(self) -> None:
        """What moves, 30 times a second while a page is open."""
        at = time.monotonic()
        while True:
            await self.somebody.wait()
            at = max(at + TICK_SECONDS, time.monotonic())
            await asyncio.sleep(at - time.monotonic())
            found = self.moving.values()
            changed = {key: value for key, value in found.items() if key not in self.values or self.values[key] != value}
            self.values.update(changed)
            pictures = {name: picture for name, picture in (("frame", self.moving.frame()), ("scope", self.moving.scope())) if picture}
            self.frame.update((name, picture) for name, picture in pictures.items() if name == "frame")
            for page in self.pages if changed or pictures else ():
                page.now.update(changed)
                page.pictures.update(pictures)
                page.filled.set()

    async def look(self) -> None:
        """The parts of the state, one after the other as they fall due, while a page is open."""
        while True:
            await self.somebody.wait()
            now = time.monotonic()
            part = min(PARTS, key=lambda part: self.due.get(part, 0.0))
            wait = self.due.get(part, 0.0) - now
            if wait > 0:
                await asyncio.sleep(min(wait, SOON_SECONDS))      # a wish may come meanwhile
                continue
            answer = await self.control.look({"do": part, "after": self.log_count} if part == "log" else {"do": part})
            self.looked[part] = time.monotonic()
            self.due[part] = self.looked[part] + (ABSENT_SECONDS if str(answer.get("error", "")).startswith("there is no request") else PARTS[part])
            if not answer.pop("ok", False):
                continue
            if part == "log":
                self._log(answer)
            else:
                self.part(part, STILL.get(part, dict)(answer))
                if part == "status":
                    self.moving.controls = [len(slot["controls"]) if slot else 0 for slot in answer["slots"].values()]

    def _log(self, answer: dict) -> None:
        """New lines; ``count`` says how many were ever said."""
        self.log_count = answer["count"]
        if answer["lines"]:
            self.lines.extend(answer["lines"])
            self.tell({"type": "log", "lines": answer["lines"]})

    async def models(self) -> None:
        """The library's list, whenever its folder changed."""
        while True:
            await self.somebody.wait()
            if (found := await self.library.changed()) is not None:
                self.part("models", found)
            await asyncio.sleep(MODELS_SECONDS)


def still(status: dict) -> dict:
    """The status without what moves by itself."""
    told = {key: value for key, value in status.items() if key not in ("blocks", "mix", "underruns", "held_blocks")}
    told["inputs"] = {key: value for key, value in status["inputs"].items() if key not in ("scans", "tempo_bpm")}
    told["slots"] = {name: slot and {**{key: value for key, value in slot.items() if not key.startswith(("load", "block_us", "block_high", "underruns", "held", "lead", "quick"))},
                                     "controls": list(slot["controls"])} for name, slot in status["slots"].items()}
    return told


def still_sources(answer: dict) -> dict:
    """The modulators without the volts of the moment."""
    return {**answer, "sources": [{key: value for key, value in source.items() if key != "now_volts"} for source in answer["sources"]]}


def still_takes(answer: dict) -> dict:
    """Without the folder, which is nobody's business; free room in steps that can be seen."""
    free_bytes, free_seconds = answer["free_bytes"] // 10**8 * 10**8, answer["free_seconds"] // 60 * 60
    return {key: value for key, value in answer.items() if key != "folder"} | {"free_bytes": free_bytes, "free_seconds": free_seconds}


def still_panel(answer: dict) -> dict:
    """Without the frame's number and the light, which ``now`` and the picture carry."""
    return {key: value for key, value in answer.items() if key not in ("frame", "led", "light")}


STILL = {"lighter": itemgetter("lighter"), "status": still, "panel": still_panel, "sources": still_sources, "takes": still_takes}
