"""The instrument's control socket: requests from the command line, the panel and other programs, as lines of JSON.

The socket ``PID.sock`` lies in the folder of the run files, for its owner alone. Each request is one line, an object with
``do``; each answer one line, ``{"ok": true, ...}`` or ``{"ok": false, "error": "one line"}``.

    {"do": "status"}
    {"do": "swap", "model": "name or file", "fade_ms": 50, "wait": true}
    {"do": "next"}                                the library's next model, as swap
    {"do": "load", "slot": "B", "model": "name"}   beside what plays
    {"do": "gestures", "generate": 4, "like": "kick", "distance": 0.5}   new gestures of the model that is heard; "remove" takes one away, or all
    {"do": "unload", "slot": "A"}
    {"do": "lighter"}                              lighter models that are being made or wait; {"do": "lighter_make", "model": "name", "quality": 1.0} (or "keep": 0.5)
                                                   begins, lighter_keep (model) takes it into the library, lighter_discard (model) cancels or throws away
    {"do": "mix", "value": 0.5}                    0 is slot A, 1 slot B
    {"do": "set", "control": "brightness", "value": 0.7, "drive": null}
    {"do": "route", "jack": "cv2", "control": "brightness", "amount_per_volt": 0.1, ...}   the fields of a Route; control "mix" too, jack "mod1" too
    {"do": "unroute", "jack": "cv2", "control": null}
    {"do": "level", "db": -6}
    {"do": "learn", "control": "brightness", "low": 0, "high": 1, "seconds": 15}   the next MIDI controller that moves drives it
    {"do": "unlearn", "control": "brightness"}
    {"do": "midi", "voice": {"mode": "legato"}}    ports, settings and what was learned; with "voice", settings to change
    {"do": "scenes"}                               those saved, the current one, whether it was edited, what can be undone
    {"do": "scene_save", "number": 3, "name": "Dawn"}    (no number: the next free place), scene_recall, scene_next, scene_rename, scene_copy (to),
                                                   scene_delete, undo, redo; "program" recalls too
    {"do": "morph", "from": 1, "to": 2, "value": 0.3}    from scene to scene (from null: as it is now), then {"do": "morph", "value": 0.5}, {"do": "morph", "beats": 8}
                                                   by the clock to the other end (or to "value"), a route to the control "morph"; "to": null ends it
    {"do": "sources"}                             the modulators, where they stand, and all that can be set
    {"do": "source", "source": "mod1", "kind": "lfo", "rate_hz": 2, ...}   a modulator; fields that are not named stay
    {"do": "tap"}                                  a beat by hand: two make a tempo
    {"do": "record", "on": true}                   a take begins (false: ends; without "on": the other of the two)
    {"do": "takes"}                                what was recorded, what goes on, what room is left
    {"do": "take_delete", "take": "take-2026-11-20-001.wav"}
    {"do": "gate_action", "gate": "gate2", "action": "record"}   trigger, freeze, next, scene, record, tap or none
    {"do": "preferences"}                          all of them, with limits; {"do": "preference", "name": "display.dim_minutes", "value": 5} sets one
    {"do": "notices"}                              what to know and what to do about it; {"do": "notice_seen", "id": "disk"}
    {"do": "statistics"}                           cores, temperature, memory, disk, addresses, versions, uptime, releases
    {"do": "jacks"}                                settings of every jack; {"do": "jack", "jack": "gate2", "role": "clock"} changes them
    {"do": "calibrate", "step": "begin", "jack": "all"}   then measure, skip, keep, cancel; without a step: where it stands
    {"do": "detect", "step": "begin", "jack": "all", "seconds": 5}   the jack detective; {"step": "keep", "jack": "cv1"} accepts what it found
    {"do": "hit", "gate": "gate1"}                 a trigger by hand; with "hold": true up, and down the next time
    {"do": "monitor", "db": -12}                   the audio input in the output; null: off; without "db": how it stands
    {"do": "cables"}                               what is patched into simulated jacks, and what could be
    {"do": "cable", "jack": "cv1", "from": {"kind": "lfo", "rate_hz": 0.5}}   a virtual source; null takes the cable out
    {"do": "volts", "jack": "cv1", "volts": 2.5}   a knob's voltage, in place of the cable; {"do": "gate", "jack": "gate1", "high": true} beside it
    {"do": "key", "note": 60, "high": true}        a key of the virtual keyboard
    {"do": "log", "after": 0}                      the last 200 lines that were said, those after so many alone
    {"do": "pairing"}                              the code that is shown now; {"do": "paired"} who may open the page; {"do": "unpair", "id": "all"}
    {"do": "pairing_begin", "address": "..."}      the web process asks for a code to be shown; pairing_try (code) for a token
    {"do": "power", "what": "shutdown"}            or reboot; {"do": "release", "name": "..."} another installed release
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from neurorack import runfiles
from neurorack.errors import NeurorackError

MOST_LINE_BYTES = 65536
MOST_CLIENTS = 16
ANSWER_SECONDS = 90.0
BUSY_SECONDS, BUSY_PAUSE_SECONDS = 2.0, 0.05      # a client turned away tries again for so long, and so often
BUSY = {"ok": False, "busy": True, "error": f"more than {MOST_CLIENTS} programs talk to the instrument at once; try again, or close one"}


def socket_path(pid: int) -> Path:
    return runfiles.folder() / f"{pid}.sock"


class Server:
    """Listens while the instrument runs.

    Args:
        handle: called with each request, in a thread of its client; returns the answer's fields or raises ``NeurorackError``.
    """

    def __init__(self, handle: Callable[[dict], dict]):
        self.handle, self.path = handle, socket_path(os.getpid())
        self.clients = threading.Semaphore(MOST_CLIENTS)
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self.socket.bind(str(self.path))
        except OSError as error:
            self.socket.close()
            raise NeurorackError(f"cannot open the control socket {self.path}: {error.strerror or error}") from None
        finally:
            os.umask(before)
        self.socket.listen(MOST_CLIENTS)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return      # closed: the run is over
            if self.clients.acquire(blocking=False):
                threading.Thread(target=self._serve, args=(client,), name="control client", daemon=True).start()
            else:
                with contextlib.suppress(OSError), client:
                    client.sendall(json.dumps(BUSY).encode() + b"\n")

    def _serve(self, client: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError, ValueError), client, client.makefile("rb") as lines:
                while line := lines.readline(MOST_LINE_BYTES):
                    client.sendall(json.dumps(self._answer(line)).encode() + b"\n")
        finally:
            self.clients.release()

    def _answer(self, line: bytes) -> dict:
        try:
            request = json.loads(line)
            if not isinstance(request, dict) or not isinstance(request.get("do"), str):
                raise ValueError
        except (ValueError, RecursionError):
            return {"ok": False, "error": f"a request is one line of JSON with \"do\", of at most {MOST_LINE_BYTES} bytes"}
        try:
            return {"ok": True, **self.handle(request)}
        except NeurorackError as error:
            return {"ok": False, "error": " ".join(str(error).split())}

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)     # wakes the thread that waits in accept
        self.socket.close()
        self.path.unlink(missing_ok=True)


def request(what: dict, pid: int | None = None, seconds: float = ANSWER_SECONDS) -> dict:
    """The running instrument's answer. Raises ``NeurorackError``: none runs, it does not answer, or it refuses.

    Turned away because too many programs talk to it, the request is made again for ``BUSY_SECONDS``.
    """
    path, line = socket_path(pid or _running()), json.dumps(what).encode() + b"\n"
    until = time.monotonic() + BUSY_SECONDS
    while (answer := _ask(path, line, seconds)).pop("busy", False) and time.monotonic() < until:
        time.sleep(BUSY_PAUSE_SECONDS)
    if not answer.pop("ok", False):
        raise NeurorackError(answer.get("error", "the instrument refused without a reason"))
    return answer


def _ask(path: Path, line: bytes, seconds: float) -> dict:
    """One connection, one answer. Raises ``NeurorackError`` if none comes."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(seconds)
            try:
                client.connect(str(path))
            except BlockingIOError:      # nobody has taken those who wait at the door yet
                return dict(BUSY)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):      # turned away: the reason can still be read
                client.sendall(line)
            with client.makefile("rb") as stream:
                return json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise NeurorackError(f"the instrument does not answer ({error}); is it still running?") from None


def _running() -> int:
    pids = [data["pid"] for data in runfiles.running()]
    if not pids:
        raise NeurorackError("no instrument is running: start one with `neurorack play`")
    if len(pids) > 1:
        raise NeurorackError(f"{len(pids)} instruments are running ({', '.join(map(str, sorted(pids)))}): say which with --pid")
    return pids[0]
