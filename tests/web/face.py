"""An instrument with its page, started as a person would, and clients that talk to it over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from tests.play.runs import Playing, until

PAGE_SECONDS = 30.0
PATIENCE_SECONDS = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Face:
    """One instrument. ``url(path)``; ``run`` is the ``Playing``."""

    def __init__(self, run: Playing, port: int, home: Path):
        self.run, self.port, self.home = run, port, home
        self.base = f"http://127.0.0.1:{port}"
        self.rack = run.attach()

    def url(self, path: str = "") -> str:
        return self.base + path

    def ask(self, what: dict) -> dict:
        """By the control socket, as the command line does."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(self.home / "run" / "neurorack" / f"{self.run.pid}.sock"))
            client.sendall(json.dumps(what).encode() + b"\n")
            return json.loads(client.makefile("rb").readline())

    @property
    def models(self) -> Path:
        return self.home / "data" / "neurorack" / "models"


@contextlib.contextmanager
def playing(home: Path, *options, address: str = "127.0.0.1", port: int | None = None, env: dict | None = None):
    """A ``Face`` with folders of its own below ``home``."""
    port, home = port or free_port(), Path(home)
    folders = {"XDG_RUNTIME_DIR": "run", "XDG_STATE_HOME": "state", "XDG_DATA_HOME": "data"}
    for folder in folders.values():
        (home / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    own = {name: str(home / folder) for name, folder in folders.items()}
    with Playing(home, "--midi", "none", "--web", f"{address}:{port}", *options, env={**own, **(env or {})}) as run:
        run.sounding()
        face = Face(run, port, home)
        until(lambda: face.rack.web.port, PAGE_SECONDS, "the page")
        yield face


class Live:
    """A page's socket: collects what comes. ``async with live(face) as page``."""

    def __init__(self, socket):
        self.socket, self.messages, self.pictures, self.now, self.parts = socket, [], [], {}, {}
        self.number = 0

    async def next(self, seconds: float = PATIENCE_SECONDS) -> dict | bytes | None:
        """One message; None when the connection has ended."""
        message = await self.socket.receive(timeout=seconds)
        if message.type is aiohttp.WSMsgType.BINARY:
            self.pictures.append(message.data)
            return message.data
        if message.type is not aiohttp.WSMsgType.TEXT:
            return None
        told = json.loads(message.data)
        self.messages.append(told)
        if told["type"] == "now":
            self.now.update(told)
        if told["type"] == "state":
            self.parts[told["part"]] = told["value"]
        return told

    async def until(self, found, seconds: float = PATIENCE_SECONDS, what: str = "it"):
        """The first message of which ``found(message)`` is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                message = await self.next(max(0.01, end - time.monotonic()))
            except TimeoutError:
                break
            assert message is not None, f"the connection ended before {what} came; last: {self.messages[-1:]}"
            if result := found(message):
                return message if result is True else result
        raise AssertionError(f"{what} did not come within {seconds:g} s")

    async def ask(self, **request) -> dict:
        self.number += 1
        await self.socket.send_str(json.dumps({"id": self.number, **request}))
        return await self.until(lambda m: isinstance(m, dict) and m.get("id") == self.number, what=f"the answer to {request}")


@contextlib.asynccontextmanager
async def live(face: Face, session: aiohttp.ClientSession | None = None, **more):
    async with contextlib.AsyncExitStack() as stack:
        session = session or await stack.enter_async_context(aiohttp.ClientSession())
        yield Live(await stack.enter_async_context(session.ws_connect(face.url("/live"), **more)))


def asks(face: Face, method: str, path: str, **more) -> tuple[int, Mapping, bytes]:
    """One HTTP request: status, headers, body."""
    async def work():
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session, session.request(method, face.url(path), allow_redirects=False, **more) as answer:
            return answer.status, answer.headers, await answer.read()
    return asyncio.run(work())


def told(face: Face, method: str, path: str, **more) -> tuple[int, dict]:
    """The same for an answer in JSON."""
    status, _, data = asks(face, method, path, **more)
    return status, json.loads(data)


def cpu_seconds(pid: int) -> float:
    """Of a process and all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
