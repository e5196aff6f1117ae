"""The HTTP server: its addresses, its connections, and the tasks beside them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from neurorack.web import limits, messages
from neurorack.web.asking import Control
from neurorack.web.guard import Guard, body, loopback, open_to_all, refuse
from neurorack.web.live import Hub
from neurorack.web.lighter import Lighter
from neurorack.web.models import Library
from neurorack.web.outbox import dumps
from neurorack.web.pages import OPEN, Files
from neurorack.web.pairing import Paired
from neurorack.web.process import THREADS
from neurorack.web.transfer import Scenes, Takes

REAP_SECONDS = 2.0
COOKIE_SECONDS = 400 * 86400      # browsers keep none for longer
STUCK_MS = 30_000                 # a connection whose other end takes nothing for so long is broken off by the kernel


class Closed(asyncio.Protocol):
    """For a connection too many."""

    def connection_made(self, transport) -> None:
        transport.abort()


class Server:
    """One run of the web process."""

    def __init__(self, child, address: str, port: int):
        self.child, self.network = child, not loopback(address)
        self.control = Control(child.parent)
        self.files = Files()
        self.guard = Guard(address, port, Paired() if self.network else None)
        self.hub = Hub(child, self.control, self.network, self.guard)
        self.library = self.hub.library = Library(self.hub.tell)
        self.lighter = Lighter(self.hub.do)
        self.takes, self.scenes = Takes(self.control), Scenes(self.control, self.hub.soon)
        self.quiet_since: dict = {}

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self.guard.middleware], client_max_size=limits.MOST_MESSAGE_BYTES)
        application.on_response_prepare.append(self.guard.headers)
        add = application.router
        add.add_get("/", self.page)
        add.add_get("/live", self.live)
        add.add_post("/api/do", self.do)
        add.add_get("/api/pair", self.paired)
        add.add_post("/api/pair", self.pair)
        for part in ("status", "log", "statistics"):
            add.add_get(f"/api/{part}", self.told)
        add.add_get("/api/models", self.library.list)
        add.add_post("/api/models", self.library.upload)
        add.add_get("/api/models/{name}", self.library.info)
        add.add_delete("/api/models/{name}", self.library.remove)
        add.add_post("/api/models/{name}/lighter", self.lighter.start)
        add.add_delete("/api/models/{name}/lighter", self.lighter.discard)
        add.add_post("/api/models/{name}/lighter/keep", self.lighter.keep)
        add.add_get("/api/takes", self.takes.list)
        add.add_get("/api/takes/{name}", self.takes.download)
        add.add_delete("/api/takes/{name}", self.takes.delete)
        add.add_get("/api/scenes", self.scenes.list)
        add.add_post("/api/scenes", self.scenes.bring_in)
        add.add_get("/api/scenes/{number}", self.scenes.bring_out)
        add.add_put("/api/scenes/{number}", self.scenes.bring_in)
        add.add_get("/{name:[A-Za-z0-9_./-]+}", self.file)
        return application

    # -- the page

    @open_to_all
    async def page(self, request: web.Request) -> web.StreamResponse:
        paired = self.guard.token(request) or not self.network
        return self.files.answer("index.html" if paired else "pair.html", request)

    @open_to_all
    async def file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if self.network and not self.guard.token(request) and name not in OPEN:
            return refuse(401, "this browser is not paired: open the page and type the code that the display shows")
        return self.files.answer(name, request)

    @open_to_all
    async def paired(self, request: web.Request) -> web.Response:
        """Whether this browser may come in."""
        return web.json_response({"ok": True, "needed": self.network, "paired": bool(self.guard.token(request)) or not self.network})

    @open_to_all
    async def pair(self, request: web.Request) -> web.Response:
        """Without a code: have one shown. With the right one: the token, as a cookie that no script can read."""
        if not self.network:
            return refuse(400, "no pairing is needed on this machine")
        data = await body(request, 1024)
        try:
            code = json.loads(data or b"{}").get("code")
        except (ValueError, AttributeError, RecursionError):
            return refuse(400, "send {} for a code to be shown, then {\"code\": \"123456\"}")
        wish = {"address": request.remote or "", "name": request.headers.get("User-Agent", "")}
        answer = await self.control.ask({"do": "pairing_begin", **wish} if code is None else {"do": "pairing_try", "code": code, **wish})
        token = answer.pop("token", None)
        response = self.answer(answer, 403)
        if token:
            response.set_cookie(self.guard.cookie, token, max_age=COOKIE_SECONDS, httponly=True, samesite="Strict", path="/")
        return response

    async def live(self, request: web.Request) -> web.StreamResponse:
        if len(self.hub.pages) >= limits.MOST_CLIENTS:
            return refuse(503, f"{limits.MOST_CLIENTS} pages are open already: close one")
        return await self.hub.serve(request, self.guard.token(request))

    # -- requests

    async def do(self, request: web.Request) -> web.Response:
        _, wish = messages.parse(await body(request, limits.MOST_MESSAGE_BYTES))
        return self.answer(await self.hub.do(wish))

    async def told(self, request: web.Request) -> web.Response:
        return self.answer(await self.control.look({"do": request.path.rpartition("/")[2]}))

    def answer(self, answer: dict, refused: int = 400) -> web.Response:
        return web.Response(text=dumps(answer) + "\n", status=200 if answer.get("ok") else refused, content_type="application/json")

    # -- the run

    async def serve(self, door: socket.socket) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(THREADS, "disk"))
        runner = web.AppRunner(self.application(), handle_signals=False, access_log=None, keepalive_timeout=limits.IDLE_SECONDS, shutdown_timeout=0.1)
        await runner.setup()
        self.http = runner.server
        listening = await loop.create_server(self._connection, sock=door)
        tasks = [asyncio.create_task(work()) for work in (self.hub.tick, self.hub.look, self.hub.models, self._reap)]
        try:
            await asyncio.gather(*tasks)
        finally:
            listening.close()
            for task in tasks:
                task.cancel()
            for page in self.hub.pages:
                page.drop("the instrument ends")
            self.control.close()
            await runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return Closed() if len(self.http.connections) >= limits.MOST_CONNECTIONS else self.http()

    async def _reap(self) -> None:
        """Connections that ask nothing, or never come to the end of their question, are closed; so are those of an address that holds too many."""
        while True:
            await asyncio.sleep(REAP_SECONDS)
            self.hub.drop_unpaired()
            now, addresses = time.monotonic(), {}
            idle = [handler for handler in self.http.connections if handler not in self.guard.active]
            self.quiet_since = {handler: self.quiet_since.get(handler, now) for handler in idle}
            for handler in self.http.connections:
                if (transport := handler.transport) is None:
                    continue
                sock, peer = transport.get_extra_info("socket"), transport.get_extra_info("peername")
                if handler not in addresses and sock is not None:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_MS)
                address = peer[0] if peer else ""
                addresses[address] = addresses.get(address, 0) + 1
                if now - self.quiet_since.get(handler, now) > limits.IDLE_SECONDS or addresses[address] > limits.MOST_OF_ONE_ADDRESS and not loopback(address):
                    transport.abort()
