"""The remote process: one thread takes all that comes from MIDI and OSC in order, and plays it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import threading
import time

from neurorack.errors import NeurorackError
from neurorack.process import Child, run_as_fifo
from neurorack.remote import osc
from neurorack.remote.midi import Midi
from neurorack.remote.output import Output
from neurorack.remote.ports import FIFO_PRIORITY, Ports
from neurorack.remote.settings import Kept

HEARTBEAT_NS = 100_000_000
FLUSH_NS = 4_000_000              # controls are told at most so often
MOST_WAITING = 4096               # beyond that, what comes is dropped and counted
LOSSY = ("message", "osc")


class Remote:
    """Everything that is played from afar. ``post`` may be called from any thread, the rest belongs to one."""

    def __init__(self, child: Child):
        self.child, self.section = child, child.rack.remote
        config = child.config
        self.out = Output(self.section, socket.socket(fileno=config["edges_fd"]), socket.socket(fileno=config["talk_fd"]))
        self.queue: queue.SimpleQueue = queue.SimpleQueue()
        kept = Kept.load()
        for problem in kept.problems:
            child.say(f"warning: Settings: {problem}")
        self.midi = Midi(self.out, kept)
        self.names: list[str] = []
        self.falls: list[tuple[int, int]] = []        # (ns, gate): ends of triggers
        self.dropped = 0

    def post(self, kind: str, *what) -> None:
        if kind in LOSSY and self.queue.qsize() > MOST_WAITING:
            self.dropped += 1
            return
        self.queue.put((kind, what))

    # -- what is posted

    def wake(self) -> None:
        """It is time to leave."""

    def message(self, ns: int, port: str, message) -> None:
        self.section.messages = self.section.messages + 1
        self.midi.handle(port, message, ns)

    def port(self, name: str, there: bool) -> None:
        if there:
            self.names.append(name)
        else:
            self.names.remove(name)
            self.midi.gone(name, time.monotonic_ns())
        self.section.ports = len(self.names)
        self.child.say(f"MIDI {'in' if there else 'gone'}: {name}")

    def osc(self, ns: int, command: tuple) -> None:
        what, *values = command
        if what == "control":
            self.out.control(*values)
        elif what == "gate":
            self.out.gate(values[0], values[1], ns)
        elif what == "trigger":
            self.out.gate(values[0], True, ns)
            self.falls.append((ns + osc.TRIGGER_NS, values[0]))
        elif what == "cv":
            jack = f"cv{values[0] + 1}"
            self.out.volts(f"osc {jack}", jack, values[1])
        else:
            self.out.wish({"do": "swap", "model": values[0]} if what == "model" else {"do": "next"})

    def count(self, packets: int, bad: int) -> None:
        """In the listener's thread, which alone writes these two."""
        self.section.osc_packets = self.section.osc_packets + packets
        self.section.osc_bad = self.section.osc_bad + bad

    def request(self, number: int, what: dict) -> None:
        """The supervisor asks; ``hand.py`` has looked at its values."""
        def done(**answer):
            self.out.answer(number, **answer)

        try:
            if what["do"] == "learn":
                self.midi.learn(what["control"], what["low"], what["high"], time.monotonic_ns() + round(what["seconds"] * 1e9), done)
            elif what["do"] == "unlearn":
                self.midi.unlearn(what["control"], done)
            elif what.get("voice"):
                self.midi.change(what["voice"], done)
            else:
                done(midi={"ports": self.names, **self.midi.told()})
        except NeurorackError as error:
            done(error=str(error))

    # -- the loop

    def step(self, wait_seconds: float) -> None:
        """Take one thing, or none within that time; then what is due."""
        with contextlib.suppress(queue.Empty):
            kind, what = self.queue.get(timeout=max(0.0, wait_seconds))
            getattr(self, kind)(*what)
        now = time.monotonic_ns()
        while self.falls and self.falls[0][0] <= now:
            ns, gate = self.falls.pop(0)
            self.out.gate(gate, False, ns)
        self.midi.look(now)
        self.section.lost = self.dropped + self.out.sender.lost

    def requests(self) -> None:
        """In a thread of its own: what the supervisor asks."""
        with contextlib.suppress(OSError, ValueError):
            while data := self.out.talk.recv(1 << 16):
                asked = json.loads(data)
                self.post("request", asked["number"], asked["request"])


def run(child: Child) -> None:
    """Play until told to leave."""
    config, section = child.config, child.rack.remote
    section.ports = 0
    section.pid = os.getpid()
    remote = Remote(child)
    child.wake = lambda: remote.post("wake")      # a signal may break off a SimpleQueue's wait in a way that it never ends (CPython)
    remote.out.rest(time.monotonic_ns())
    threads = []
    if config["osc"]:
        threads.append(osc.Listener(tuple(config["osc"]), lambda ns, command: remote.post("osc", ns, command),
                                    remote.count, child.say))
    if config["midi"] is not None:
        threads.append(Ports(config["midi"], config["virtual"], lambda ns, port, message: remote.post("message", ns, port, message),
                             lambda name, there: remote.post("port", name, there), child.say))
    threads.append(threading.Thread(target=remote.requests, daemon=True))
    for thread in threads:
        thread.start()
    run_as_fifo(FIFO_PRIORITY)      # this thread alone: what floods us does not
    beat_at = flush_at = 0
    while True:
        now = time.monotonic_ns()
        if now >= beat_at:
            beat_at = now + HEARTBEAT_NS
            if not child.beat(section):
                break
        if remote.out.pending and now >= flush_at:
            flush_at = now + FLUSH_NS
            remote.out.flush()
        at = min([beat_at] + ([flush_at] if remote.out.pending else []) + [fall for fall, _ in remote.falls[:1]])
        remote.step((at - time.monotonic_ns()) / 1e9)
    remote.out.rest(time.monotonic_ns())
