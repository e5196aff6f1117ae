"""The supervisor's end of the web process: starts it, and keeps what outlives it. Imports nothing heavy."""

from __future__ import annotations

import socket
import time
from collections import deque

from neurorack.errors import NeurorackError
from neurorack.watched import Watched
from neurorack.web import PORT

INDEX = 6                      # in run.restarts
LOG_LINES = 200


class Web:
    """Of one run. ``requests``: what the control socket can ask for."""

    def __init__(self, run):
        self.run = run
        self.child: Watched | None = None
        self.said: deque[str] = deque(maxlen=LOG_LINES)
        self.said_count = 0
        self.requests = {"log": self._log}

    def start(self) -> None:
        """The process, where a page is wanted."""
        where = parse_address(self.run.settings.web)
        if where is None:
            return
        address, port, any_port = where
        config = {"address": address, "port": port, "any_port": any_port, "jacks": {kind: self.run.board[section]["jacks"] for kind, section in (("cv", "cv"), ("gate", "gates"))}}
        self.child = Watched("web", INDEX, self.run.rack.web, config, ornament=True)
        self.child.start(self.run.rack)
        self.run.others.append(self.child)
        self.run.note_children()

    def note(self, line: str) -> None:
        """A line that the instrument said, for ``log``. From any thread."""
        self.said.append(f"{time.strftime('%H:%M:%S')} {line}")
        self.said_count += 1

    def _log(self, request: dict) -> dict:
        return {"lines": list(self.said), "count": self.said_count}

    def status(self) -> dict:
        """For ``status``."""
        port = self.run.rack.web.port if self.child else 0
        return {"address": self.child.config["address"] if self.child else None, "port": port or None, "listening": bool(port), "pages": self.run.rack.web.clients}


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
        if not 1 <= number <= 65535:
            raise ValueError
    except (OSError, ValueError):
        raise NeurorackError(f"--web is {text!r}; it must be none, PORT or HOST:PORT, as 127.0.0.1:{PORT} (0.0.0.0:{PORT} serves the network, with pairing)") from None
    return found, number, not port
