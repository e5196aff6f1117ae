"""Where everything goes that was played from afar: the inputs process, the jacks' added volts, the supervisor."""

from __future__ import annotations

import json
import socket

from neurorack.remote import wire
from neurorack.remote.settings import JACKS, OFF

RAILS_VOLTS = 10.0


class Output:
    """One writer, one thread.

    Args:
        section: the shared block's ``remote``.
        edges: the datagram socket to the inputs process.
        talk: the packet socket to the supervisor.
    """

    def __init__(self, section, edges: socket.socket, talk: socket.socket):
        self.section, self.sender, self.talk = section, wire.Sender(edges), talk
        self.pending: dict[str, dict] = {}         # control -> the newest wish for it, not yet told
        self._added: dict[str, tuple[int, float]] = {}    # what adds to a jack: name -> (jack, volts)
        self._touched: set[int] = set()
        section.cv_volts = 0.0

    def rest(self, ns: int) -> None:
        """Nothing is held: at the start, in case a predecessor died with a key down, and at the end."""
        for gate in range(wire.GATES):
            self.sender.send(ns, gate, False)
        self._added.clear()
        self.section.cv_volts = 0.0

    def gate(self, gate: int, high: bool, ns: int) -> None:
        self.section.notes = self.section.notes + (high and gate == 0)
        self.sender.send(ns, gate, high)

    def clock(self, what: int, ns: int) -> None:
        self.sender.send(ns, what)

    def volts(self, name: str, jack: str, volts: float) -> None:
        """Added to a jack from now on, under this name; to the jack ``off``: to none."""
        before = self._added.pop(name, None)
        if jack != OFF:
            self._added[name] = JACKS.index(jack), volts
            self._touch(JACKS.index(jack))
        for index in {place[0] for place in (before, self._added.get(name)) if place}:
            total = sum(added for at, added in self._added.values() if at == index)
            self.section.cv_volts[index] = min(RAILS_VOLTS, max(-RAILS_VOLTS, total))

    def _touch(self, jack: int) -> None:
        """The built-in patch lets go of a jack that is played from afar."""
        if jack not in self._touched:
            self._touched.add(jack)
            self.wish({"do": "hold", "jack": jack})

    def control(self, name: str, value: float) -> None:
        """Told with the next ``flush``: a controller that floods costs no more than one that moves slowly."""
        self.pending[name] = {"do": "set", "control": name, "value": value}

    def controller(self, name: str, value: float, low: float, high: float, takeover: str) -> None:
        """As ``control``, from a controller with ends, which may have to wait until it stands where its control stands."""
        self.pending[name] = {"do": "move", "control": name, "value": value, "low": low, "high": high, "takeover": takeover}

    def flush(self) -> None:
        while self.pending:
            name = next(iter(self.pending))
            if not self.wish(self.pending[name]):
                return      # the supervisor is busy; the newest values wait
            del self.pending[name]

    def wish(self, request: dict) -> bool:
        return self._send({"wish": request})

    def answer(self, number: int, **answer) -> None:
        self._send({"answer": number, **answer})

    def _send(self, what: dict) -> bool:
        try:
            self.talk.send(json.dumps(what).encode(), socket.MSG_DONTWAIT)
            return True
        except OSError:
            return False
