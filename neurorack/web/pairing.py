"""Pairing: how a browser beyond this machine comes by its token. Lives in the supervisor; the web process reads the file.

Someone asks for a code; the display and the terminal show six digits for two minutes; who types them in has the instrument in sight. They
get a random token of 256 bits, of which only the SHA-256 is kept (``paired.yaml`` in the state folder). Guessing is limited for each
address and in all (OWASP Authentication Cheat Sheet, "login throttling"): fifteen tries in ten minutes at a million codes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import yaml

from neurorack.errors import NeurorackError
from neurorack.inputs import store

VALID_SECONDS, DIGITS = 120.0, 6
WINDOW_SECONDS = 600.0
TRIES_OF_AN_ADDRESS, TRIES_OF_A_CODE, TRIES_IN_ALL, CODES_IN_ALL = 5, 5, 15, 30      # in that time
MOST_PAIRED = 32
FORMAT, MOST_BYTES, MOST_NAME = 1, 1 << 16, 60


def digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def plain(text, most: int = MOST_NAME) -> str:
    """What a browser calls itself, fit to be shown."""
    return " ".join("".join(letter if letter.isprintable() and letter.isascii() else " " for letter in str(text)).split())[:most] or "a browser"


class Codes:
    """The code of the moment, and who has tried what. ``clock``: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock = clock
        self.code, self.until, self.asked_by, self.wrong = None, 0.0, "", 0
        self.tries: deque[tuple[float, str]] = deque()
        self.made: deque[float] = deque()

    def now(self) -> str | None:
        """The code while it is good."""
        if self.code and self.clock() >= self.until:
            self.code = None
        return self.code

    def _forget(self) -> None:
        before = self.clock() - WINDOW_SECONDS
        while self.tries and self.tries[0][0] < before:
            self.tries.popleft()
        while self.made and self.made[0] < before:
            self.made.popleft()

    def pause(self, address: str = "") -> float:
        """Seconds until somebody (at this address) may try again; 0: now."""
        self._forget()
        of_address = [at for at, other in self.tries if other == address]
        until = [0.0]
        for times, most in (([at for at, _ in self.tries], TRIES_IN_ALL), (of_address, TRIES_OF_AN_ADDRESS)):
            if len(times) >= most:
                until.append(times[-most] + WINDOW_SECONDS - self.clock())
        return max(until)

    def _not_now(self, address: str) -> None:
        if (pause := self.pause(address)) > 0:
            raise NeurorackError(f"too many wrong codes; try again in {max(1, round(pause / 60))} minutes")

    def begin(self, address: str) -> str:
        """The code to show, a new one where none is good. Raises ``NeurorackError`` in a pause."""
        self._not_now(address)
        if self.now() is None:
            if len(self.made) >= CODES_IN_ALL:
                raise NeurorackError(f"too many codes were asked for; try again in {max(1, round((self.made[0] + WINDOW_SECONDS - self.clock()) / 60))} minutes")
            self.code, self.until, self.asked_by, self.wrong = f"{secrets.randbelow(10 ** DIGITS):0{DIGITS}d}", self.clock() + VALID_SECONDS, address, 0
            self.made.append(self.clock())
        return self.code

    def attempt(self, given, address: str) -> None:
        """Use the code up. Raises ``NeurorackError`` where it is not the one."""
        self._not_now(address)
        code = self.now()
        if code is None:
            raise NeurorackError("no code is shown now: ask for one first; it is good for two minutes")
        if isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), code.encode()):
            self.code = None
            self.tries = deque((at, other) for at, other in self.tries if other != address)
            return
        self.tries.append((self.clock(), address))
        self.wrong += 1
        if self.wrong >= TRIES_OF_A_CODE:
            self.code = None
        raise NeurorackError("this is not the code that the display shows" + ("" if self.code else "; ask for a new one"))


class Paired:
    """The file of paired browsers, read again when it has changed: ``[{"id", "name", "address", "at", "sha256"}]``. For one process."""

    def __init__(self, path: Path | None = None):
        self.path = path or store.folder() / "paired.yaml"
        self._stamp: object = ()
        self._all: list[dict] = []

    def all(self) -> list[dict]:
        try:
            stat = os.stat(self.path)
            stamp = stat.st_mtime_ns, stat.st_ino, stat.st_size
        except OSError:
            stamp = None
        if stamp != self._stamp:
            self._stamp, self._all = stamp, self._read()
        return self._all

    def _read(self) -> list[dict]:
        """Nobody is paired by a file that cannot be used."""
        try:
            with open(self.path, "rb") as file:
                content = yaml.safe_load(file.read(MOST_BYTES).decode())
            if content["kind"] != "paired" or content["format"] != FORMAT:
                return []
            return [{key: str(one[key]) for key in ("id", "name", "address", "at", "sha256")} for one in content["browsers"]]
        except (OSError, ValueError, TypeError, KeyError, RecursionError, yaml.YAMLError):
            return []

    def known(self, token: str) -> str | None:
        """The hash of a token that is good."""
        wanted = digest(token)
        return next((one["sha256"] for one in self.all() if hmac.compare_digest(one["sha256"], wanted)), None)

    def has(self, sha256: str) -> bool:
        """Whether the token of this hash is still good."""
        return any(one["sha256"] == sha256 for one in self.all())

    def write(self, browsers: list[dict]) -> None:
        """Raises ``NeurorackError``."""
        content = yaml.safe_dump({"kind": "paired", "format": FORMAT, "browsers": browsers[-MOST_PAIRED:]}, sort_keys=False)
        store.replace(self.path, f"# Neurorack: browsers that may open the page; `neurorack ctl unpair ID` takes one out\n{content}")

    def add(self, name: str, address: str) -> str:
        """A new token; the oldest browser gives way where there are too many. Raises ``NeurorackError``."""
        token = secrets.token_urlsafe(32)
        sha256 = digest(token)
        self.write([*self.all(), {"id": sha256[:6], "name": name, "address": address, "at": time.strftime("%Y-%m-%dT%H:%M:%S"), "sha256": sha256}])
        return token


class Pairing:
    """Of one run: what the control socket can ask for. The web process asks in the name of browsers."""

    NOTICE = "pairing"

    def __init__(self, run, tell: Callable[[str], None]):
        self.run, self.tell = run, tell
        self.codes, self.paired, self._lock = Codes(), Paired(), threading.Lock()
        self.requests = {"pairing": self._pairing, "pairing_begin": self._begin, "pairing_try": self._try, "paired": self._paired, "unpair": self._unpair}

    def _pairing(self, request: dict) -> dict:
        """For the display."""
        with self._lock:
            code = self.codes.now()
            left = max(0.0, self.codes.until - self.codes.clock()) if code else 0.0
            if code is None:
                self.run.upkeep.notices.over(self.NOTICE)
            return {"code": code, "until_s": round(left, 1), "asked_by": self.codes.asked_by if code else None, "pause_s": round(self.codes.pause(), 1)}

    def _begin(self, request: dict) -> dict:
        address = plain(request.get("address", ""))
        with self._lock:
            before = self.codes.now()
            code = self.codes.begin(address)
            if code != before:
                self.tell(f"pairing code {code}: type it into the page within two minutes ({address} asks for it)")
                self.run.upkeep.notices.put(self.NOTICE, f"pairing code {code}", "type it into the page", "info")
                threading.Timer(VALID_SECONDS + 0.1, self._pairing, ({},)).start()
            return {"until_s": round(self.codes.until - self.codes.clock(), 1)}

    def _try(self, request: dict) -> dict:
        address = plain(request.get("address", ""))
        with self._lock:
            try:
                self.codes.attempt(request.get("code"), address)
            finally:
                if self.codes.now() is None:
                    self.run.upkeep.notices.over(self.NOTICE)
            token = self.paired.add(plain(request.get("name", "")), address)
        self.run.say(f"paired a browser at {address}: neurorack ctl paired lists them")
        return {"token": token}

    def _paired(self, request: dict) -> dict:
        return {"paired": [{key: one[key] for key in ("id", "name", "address", "at")} for one in self.paired.all()]}

    def _unpair(self, request: dict) -> dict:
        wanted = request.get("id")
        with self._lock:
            browsers = self.paired.all()
            left = [] if wanted == "all" else [one for one in browsers if one["id"] != wanted]
            if wanted != "all" and len(left) == len(browsers):
                raise NeurorackError(f"no paired browser is {str(wanted)[:20]!r}; there are {', '.join(one['id'] for one in browsers) or 'none'}")
            self.paired.write(left)
        return {"text": f"{len(browsers) - len(left)} unpaired; their pages are closed at once"}
