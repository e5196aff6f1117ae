"""An instrument of a test's own: folders apart, requests answered in this process."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from tests.play.runs import Playing, until

ASK_SECONDS = 90.0


class Own(Playing):
    """One run with folders of its own below ``folder``; ``env`` adds more."""

    def __init__(self, folder, *options, env: dict | None = None, **more):
        self.home = Path(folder)
        places = {name: self.home / name.lower() for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME")}
        for place in places.values():
            place.mkdir(exist_ok=True)
        super().__init__(folder, *options, env={**{name: str(place) for name, place in places.items()}, **(env or {})}, panel=True, **more)

    @property
    def state(self) -> Path:
        return self.home / "xdg_state_home" / "neurorack"

    @property
    def socket_path(self) -> Path:
        return self.home / "xdg_runtime_dir" / "neurorack" / f"{self.pid}.sock"

    def try_ask(self, do: str, **fields) -> dict:
        """The whole answer, ``ok`` and ``error`` included."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(ASK_SECONDS)
            client.connect(str(self.socket_path))
            client.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")
            with client.makefile("rb") as stream:
                return json.loads(stream.readline())

    def ask(self, do: str, **fields) -> dict:
        answer = self.try_ask(do, **fields)
        assert answer["ok"], answer["error"]
        return answer

    def refused(self, do: str, **fields) -> str:
        """Why it is not done."""
        answer = self.try_ask(do, **fields)
        assert not answer["ok"], answer
        return answer["error"]

    def sounding(self) -> Own:
        super().sounding()
        until(lambda: self.ask("status")["blocks"], 20, "an answer")
        return self
