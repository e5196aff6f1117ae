"""The supervisor's end of the web process: starts it, and keeps what outlives it. Imports nothing heavy."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections import deque

from neurorack.errors import NeurorackError
from neurorack.process import tell
from neurorack.watched import Watched
from neurorack.web import PORT
from neurorack.web.pairing import Pairing

INDEX = 6                      # in run.restarts
LOG_LINES = 200
RESTART_SECONDS, LEAVE_SECONDS = 0.5, 2.0


class Web:
    """Of one run. ``requests``: what the control socket can ask for."""

    def __init__(self, run):
        self.run = run
        self.child: Watched | None = None
        self.said: deque[str] = deque(maxlen=LOG_LINES)
        self.said_count = 0
        self.pairing = Pairing(run, lambda line: tell(f"neurorack: {line}\n"))      # to the terminal, not into the log
        self.requests = {"log": self._log, **self.pairing.requests}

    def where(self) -> tuple[str, int, bool] | None:
        """Address, port, and whether the next free one will do; None for no page. By the command line, else by preference."""
        if self.run.settings.web is not None:
            return parse_address(self.run.settings.web)
        values = self.run.upkeep.values
        address = {"off": None, "local": "127.0.0.1", "network": "0.0.0.0"}[values["web.network"]]
        return (address, values["web.port"], True) if address else None

    def start(self) -> None:
        """The process, where a page is wanted."""
        self.run.rack.web.port = self.run.rack.web.clients = 0
        where = self.where()
        if where is None:
            return
        address, port, any_port = where
        jacks = {"cv": self.run.board["cv"]["jacks"], "gate": self.run.board["gates"]["jacks"]}
        config = {"address": address, "port": port, "any_port": any_port, "jacks": jacks}
        self.child = Watched("web", INDEX, self.run.rack.web, config, ornament=True)
        self.child.start(self.run.rack)
        self.run.others.append(self.child)
        self.run.note_children()

    def restart(self) -> None:
        """A preference has changed: soon, so that the page that changed it gets its answer. From any thread."""
        if self.run.settings.web is None and self.run.sounding_at is not None:
            threading.Timer(RESTART_SECONDS, self._restart).start()

    def _restart(self) -> None:
        with contextlib.suppress(TimeoutError):
            if (process := self.run.call(self._release)) is not None:
                process.terminate()
                try:
                    process.wait(LEAVE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            self.run.call(self.start)

    def _release(self):
        """Watched no more; its process, if it has one."""
        child, self.child = self.child, None
        if child is None:
            return None
        self.run.others.remove(child)
        return child.process

    def note(self, line: str) -> None:
        """A line that the instrument said, for ``log``. From any thread."""
        self.said.append(f"{time.strftime('%H:%M:%S')} {line}")
        self.said_count += 1

    def _log(self, request: dict) -> dict:
        """The last lines; with ``after``, those that came since so many had been said."""
        after, lines, count = request.get("after", 0), list(self.said), self.said_count
        new = count - after if isinstance(after, int) and 0 <= after <= count else count
        return {"lines": lines[max(0, len(lines) - new):], "count": count}

    def status(self) -> dict:
        """For ``status``: the address as a browser takes it."""
        port = self.run.rack.web.port if self.child else 0
        address = self.child.config["address"] if self.child else None
        return {"address": f"http://{shown(address)}:{port}/" if port else None, "listening": bool(port), "network": bool(port) and not address.startswith("127."),
                "pages": self.run.rack.web.clients}


def shown(address: str) -> str:
    """The address as a browser takes it; of this machine where it listens at all of them."""
    if address == "0.0.0.0":
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))        # nothing is sent: it asks which address would
            return probe.getsockname()[0]
        return "127.0.0.1"
    return f"[{address}]" if ":" in address else address


def parse_address(text: str | None) -> tuple[str, int, bool] | None:
    """``--web``: ``none``, PORT, HOST or HOST:PORT; ``(address, port, any port will do)``. Raises ``NeurorackError``."""
    if text is None:
        return "127.0.0.1", PORT, True
    if text == "none":
        return None
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = ("", text) if text.isdigit() else (text, "")
    host = host.strip("[]")
    try:
        found = socket.getaddrinfo(host or "127.0.0.1", None, type=socket.SOCK_STREAM)[0][4][0]
        number = int(port) if port else PORT
        if not 1 <= number <= 65535 or not (host or port):
            raise ValueError
    except (OSError, ValueError):
        raise NeurorackError(f"--web is {text!r}; it must be none, PORT or HOST:PORT, as 127.0.0.1:{PORT} (0.0.0.0:{PORT} serves the network, with pairing)") from None
    return found, number, not port
