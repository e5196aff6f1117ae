"""The web process: an HTTP server beside the sound, at low priority. Imports aiohttp only here and in its own modules."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

from neurorack.errors import NeurorackError
from neurorack.process import BAD_INPUT, Child
from neurorack.web.hand import shown

NICE = 10
HEARTBEAT_SECONDS = 0.2
MORE_PORTS = 20                    # tried after the usual one, where no port was asked for
AGAIN_SECONDS = (1.0, 2.0, 5.0, 15.0, 60.0)     # pauses between attempts to listen
THREADS = 2                        # for what waits for a disk


def run(child: Child) -> None:
    """Serve until told to leave. Raises ``NeurorackError`` where it never can."""
    os.nice(NICE)
    try:
        from neurorack.web import server
    except ImportError as error:
        if child.config.get("restarted"):
            raise SystemExit(BAD_INPUT) from None      # it has been said
        raise NeurorackError(f"there is no page: {error.name} is not installed; pip install {error.name}, or switch it off with --web none") from None
    section = child.rack.web
    section.pid, section.port, section.clients = os.getpid(), 0, 0
    asyncio.run(_serve(child, server))


async def _serve(child: Child, server) -> None:
    beating = asyncio.create_task(_beat(child))
    serving = asyncio.create_task(_listen(child, server))
    done, _ = await asyncio.wait((beating, serving), return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError, TimeoutError):
        async with asyncio.timeout(0.3):
            await serving
    for task in done:
        task.result()


async def _beat(child: Child) -> None:
    while child.beat(child.rack.web):
        await asyncio.sleep(HEARTBEAT_SECONDS)


async def _listen(child: Child, server) -> None:
    """Open the door, again and again if it has to be, and serve."""
    address, port, any_port = child.config["address"], child.config["port"], child.config["any_port"]
    tries = 0
    while True:
        try:
            door = open_door(address, port, any_port)
            break
        except OSError as error:
            if tries == 0 and not child.config.get("restarted"):
                child.say(f"warning: WebPort: there is no page yet: {address}:{port} cannot be listened at ({error.strerror}); it is tried again, "
                          "or choose another with --web HOST:PORT")
            await asyncio.sleep(AGAIN_SECONDS[min(tries, len(AGAIN_SECONDS) - 1)])
            tries += 1
    port = door.getsockname()[1]
    child.rack.web.port = port
    if not child.config.get("restarted"):
        child.say(f"the page is at http://{shown(address)}:{port}/"
                  + (" and on every other address of this machine; browsers are paired with a code" if address == "0.0.0.0" else ""))
    await server.Server(child, address, port).serve(door)


def open_door(address: str, port: int, any_port: bool = False) -> socket.socket:
    """A listening socket at this port, or at one of the next where any will do. Raises ``OSError``."""
    for more in range(MORE_PORTS if any_port else 1):
        door = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind((address, min(65535, port + more)))
            door.listen(64)
            door.setblocking(False)
            return door
        except OSError as error:
            door.close()
            failed = error
    raise failed

