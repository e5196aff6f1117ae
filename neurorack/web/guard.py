"""Who may ask: every request passes here first. Host and origin, tokens, rates, and the headers of every answer.

A page of another site can make a browser send requests to us. It cannot choose their Host and Origin headers: a name that was bent
to our address (DNS rebinding) shows in Host, another site in Origin or Sec-Fetch-Site (W3C Fetch Metadata). Programs that are no
browsers send neither of the last two.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from aiohttp import web

from neurorack.errors import NeurorackError
from neurorack.web import limits

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' {live}; font-src 'self'; "
          "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
           "Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY", "Server": "neurorack"}
SITES = ("same-origin", "none")         # none: typed in, or a bookmark


def refuse(status: int, text: str) -> web.Response:
    return web.json_response({"ok": False, "error": text}, status=status)


def split_host(host: str) -> tuple[str, int]:
    """``NAME[:PORT]`` or ``[v6][:PORT]``; port 80 where none is said. Raises ``ValueError``."""
    name, port = (host[1:].partition("]")[0], host.partition("]")[2]) if host.startswith("[") else (host.partition(":")[0], host[len(host.partition(":")[0]):])
    if port and not (port.startswith(":") and port[1:].isdigit()):
        raise ValueError(host)
    return name.lower().rstrip("."), int(port[1:]) if port else 80


def loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class Guard:
    """One server's rules.

    Args:
        address, port: where it listens.
        tokens: a ``pairing.Tokens`` where pairing is asked for; None where only this machine can reach it.
    """

    def __init__(self, address: str, port: int, tokens=None):
        self.address, self.port, self.tokens = address, port, tokens
        self.names = {"localhost", "127.0.0.1", "::1", address}
        if tokens:
            name = socket.gethostname().lower()
            self.names |= {name, name.partition(".")[0], f"{name.partition('.')[0]}.local"}
        self.rates = limits.Buckets(limits.REQUESTS_A_SECOND, limits.REQUESTS_AT_ONCE)
        self.cookie = f"neurorack-{port}"          # cookies do not tell ports apart
        self.active: dict = {}

    def host_is_ours(self, request: web.Request) -> bool:
        """Named as one of ours; or by the very address that the connection came to, which no rebinding can do."""
        try:
            name, port = split_host(request.headers.get("Host", ""))
        except ValueError:
            return False
        here = request.transport.get_extra_info("sockname") if request.transport else None
        return port == self.port and (name in self.names or bool(here) and name == here[0])

    def from_our_page(self, request: web.Request) -> bool:
        """Not from another site's page."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        if origin is not None:
            return origin.lower() == f"http://{request.headers['Host'].lower()}"
        if site is None or site in SITES:
            return True
        # a link on another page may lead here: the page itself and nothing else
        return request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate" and request.path == "/"

    def token(self, request: web.Request) -> str | None:
        """The hash of the token that the request brings, if it is a good one."""
        given = request.cookies.get(self.cookie)
        return self.tokens.known(given) if self.tokens and given else None

    @web.middleware
    async def middleware(self, request: web.Request, handler) -> web.StreamResponse:
        protocol = request.protocol
        self.active[protocol] = self.active.get(protocol, 0) + 1
        try:
            answer = await self._answer(request, handler)
        finally:
            self.active[protocol] -= 1
            if not self.active[protocol]:
                del self.active[protocol]
        return answer

    async def _answer(self, request: web.Request, handler) -> web.StreamResponse:
        if not self.host_is_ours(request):
            return refuse(421, f"this is not {request.headers.get('Host', '')[:60]!r}: open the page by the address the instrument printed")
        if not self.from_our_page(request):
            return refuse(403, "this request comes from another site's page")
        if not self.rates.take(request.remote or ""):
            return refuse(429, f"too many requests: at most {limits.REQUESTS_A_SECOND:g} a second")
        if self.tokens and not self.token(request) and not getattr(handler, "open_to_all", False):
            return refuse(401, "this browser is not paired: open the page and type the code that the display shows")
        try:
            return await handler(request)
        except NeurorackError as error:
            return refuse(400, " ".join(str(error).split()))
        except TimeoutError:
            return refuse(408, "the request did not come to its end in time")
        except web.HTTPRequestEntityTooLarge as error:
            return refuse(413, f"the request is too large: at most {error.max_size if hasattr(error, 'max_size') else limits.MOST_MESSAGE_BYTES} bytes")
        except web.HTTPException as error:
            return refuse(error.status, (error.text or error.reason or "").strip()) if error.status >= 400 else error

    async def headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """A signal: the headers of every answer."""
        for name, value in HEADERS.items():
            response.headers[name] = value
        if request.remote and loopback(request.remote):      # elsewhere there is no encryption, and browsers leave it aside with a complaint
            response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        host = request.headers.get("Host", "") if self.host_is_ours(request) else f"127.0.0.1:{self.port}"
        response.headers["Content-Security-Policy"] = POLICY.format(live=f"ws://{host}")
        response.headers.setdefault("Cache-Control", "no-store")


def open_to_all(handler):
    """Marks what a browser that is not paired gets an answer from."""
    handler.open_to_all = True
    return handler


async def body(request: web.Request, most_bytes: int) -> bytes:
    """The whole body. Raises ``HTTPRequestEntityTooLarge``, ``TimeoutError``."""
    if (request.content_length or 0) > most_bytes:
        raise web.HTTPRequestEntityTooLarge(max_size=most_bytes, actual_size=request.content_length)
    async with asyncio.timeout(limits.BODY_SECONDS):
        data = bytearray()
        while piece := await request.content.readany():
            data += piece
            if len(data) > most_bytes:
                raise web.HTTPRequestEntityTooLarge(max_size=most_bytes, actual_size=len(data))
    return bytes(data)
