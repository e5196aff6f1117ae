"""OSC over UDP (M. Wright, The Open Sound Control 1.0 Specification, 2002), read with python-osc.

    /neurorack/control/NAME f      a named control, 0..1; or /neurorack/control s f, for names with spaces
    /neurorack/gate/1 i            gate 1 or 2 up (not 0) and down (0)
    /neurorack/trigger             a hit of 10 ms at gate 1; with an i: at that gate
    /neurorack/cv/1 f              volts added to a CV jack, -10..10
    /neurorack/model s             change to a model of the library
    /neurorack/next                change to the library's next model

Bundles are played as they come, whatever their time says. What is not one of these is counted and forgotten.
"""

from __future__ import annotations

import math
import socket
import threading
import time

from neurorack.errors import NeurorackError
from neurorack.shm import table

ADDRESS, PORT = "127.0.0.1", 7400
PREFIX = "/neurorack/"
TRIGGER_NS = 10_000_000
RETRY_SECONDS = 5.0
MOST_BYTES = 65536
VOLTS_LIMIT = 10.0


def parse_address(text: str) -> tuple[str, int]:
    """``[ADDRESS:]PORT``, or ``ADDRESS`` alone. Raises ``NeurorackError``."""
    address, _, port = text.rpartition(":")
    if not port.isdigit():
        address, port = text, str(PORT)
    try:
        socket.inet_aton(address or ADDRESS)
        if not 1 <= int(port) <= 65535:
            raise OSError
    except OSError:
        raise NeurorackError(f"--osc is {text!r}; it must be PORT or ADDRESS:PORT, as {ADDRESS}:{PORT} (0.0.0.0 listens everywhere)") from None
    return address or ADDRESS, int(port)


def commands(data: bytes) -> tuple[list[tuple], int]:
    """What a packet asks for, and how many of its messages (or the packet itself) were bad.

    ``("control", name, value)``, ``("gate", gate, high)``, ``("trigger", gate)``, ``("cv", jack, volts)``, ``("model", name)``, ``("next",)``;
    gates and jacks count from 0.
    """
    from pythonosc.osc_packet import OscPacket

    try:
        messages = [timed.message for timed in OscPacket(data).messages]
    except Exception:   # noqa: BLE001 - a stranger's bytes: whatever they broke in the parser, they are bad
        return [], 1
    found, bad = [], 0
    for message in messages:
        try:
            found.append(_command(message.address, list(message.params)))
        except (ValueError, TypeError, LookupError):
            bad += 1
    return found, bad


def _command(address: str, values: list) -> tuple:
    """Raises one of several errors for what is no command."""
    if not address.startswith(PREFIX):
        raise ValueError
    what, _, rest = address.removeprefix(PREFIX).partition("/")
    if what == "control":
        name = rest or values.pop(0)
        return "control", _name(name), _number(values, 0, 1)
    if what == "gate":
        return "gate", _index(rest, table.GATE_JACKS), bool(_number(values, -1e9, 1e9))
    if what == "trigger" and not rest:
        return "trigger", _index(str(int(_number(values, 1, 2))) if values else "1", table.GATE_JACKS)
    if what == "cv":
        return "cv", _index(rest, table.CV_JACKS), _number(values, -VOLTS_LIMIT, VOLTS_LIMIT)
    if what == "model" and not rest:
        return "model", _name(values[0])
    if what == "next" and not rest:
        return ("next",)
    raise ValueError


def _name(value) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _index(text: str, count: int) -> int:
    index = int(text) - 1
    if not 0 <= index < count:
        raise ValueError
    return index


def _number(values: list, low: float, high: float) -> float:
    value = float(values[0])
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError
    return value


class Listener(threading.Thread):
    """Reads packets and hands their commands on: ``put(ns, command)``. ``count(packets, bad)`` is told of each."""

    def __init__(self, address: tuple[str, int], put, count, say):
        super().__init__(name="osc", daemon=True)
        self.address, self.put, self.count, self.say = address, put, count, say
        self.stopping = threading.Event()

    def run(self) -> None:
        """A port that is taken is said once and tried again."""
        told = False
        while not self.stopping.is_set():
            try:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.bind(self.address)
                    sock.settimeout(0.2)
                    told = False
                    self.say(f"OSC in: {self.address[0]}:{self.address[1]}")
                    self._serve(sock)
            except OSError as error:
                if not told:
                    self.say(f"warning: Osc: cannot listen on {self.address[0]}:{self.address[1]} ({error.strerror}); it is tried again")
                told = True
                self.stopping.wait(RETRY_SECONDS)

    def _serve(self, sock: socket.socket) -> None:
        while not self.stopping.is_set():
            try:
                data = sock.recv(MOST_BYTES)
            except TimeoutError:
                continue
            ns = time.monotonic_ns()
            found, bad = commands(data)
            self.count(1, bad)
            for command in found:
                self.put(ns, command)
