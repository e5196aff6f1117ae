"""MIDI input ports as they come and go, through python-rtmidi. Messages are mido's."""

from __future__ import annotations

import importlib.util
import os
import threading
import time
from pathlib import Path

from neurorack.audio.devices import quiet_stderr
from neurorack.process import new_threads_as_fifo

SEQUENCER = Path("/dev/snd/seq")
CLIENT = "neurorack"
LOOK_SECONDS = 1.0
FIFO_PRIORITY = 50


def wanted_api() -> str:
    """As mido is told: MIDO_BACKEND=mido.backends.rtmidi/UNIX_JACK chooses JACK; ALSA's sequencer otherwise."""
    return os.environ.get("MIDO_BACKEND", "").partition("/")[2] or "LINUX_ALSA"


def unavailable() -> tuple[str, str] | None:
    """Why there is no MIDI here, and what to do about it; None where there can be."""
    for module, package in (("mido", "mido"), ("rtmidi", "python-rtmidi")):
        if importlib.util.find_spec(module) is None:
            return f"{package} is not installed", "pip install mido python-rtmidi (or the distribution's python3-mido and python3-rtmidi)"
    if wanted_api() == "LINUX_ALSA" and not SEQUENCER.exists():
        return f"this system has no ALSA sequencer ({SEQUENCER})", "sudo modprobe snd-seq, where a MIDI device is to be played; containers have none"
    return None


class Ports(threading.Thread):
    """Keeps every wanted port open.

    Args:
        wanted: parts of port names; empty for all.
        virtual: name of a port of our own that others may connect to, or None.
        put: called from rtmidi's threads with ``(ns, port, message)``.
        changed: called with ``(port, True)`` when one came and ``(port, False)`` when it went.
        say: tells what cannot be opened.
    """

    def __init__(self, wanted: list[str], virtual: str | None, put, changed, say):
        super().__init__(name="midi ports", daemon=True)
        import mido
        import rtmidi

        self._rtmidi, self._message = rtmidi, mido.Message
        self.wanted, self.virtual, self.put, self.changed, self.say = [name.lower() for name in wanted], virtual, put, changed, say
        self.open: dict[str, object] = {}
        self.stopping = threading.Event()
        self._said: set[str] = set()
        self._probe = None

    def run(self) -> None:
        while True:
            self._look()
            if self.stopping.wait(LOOK_SECONDS):
                break
        for name in list(self.open):
            self._close(name)

    def _client(self):
        with quiet_stderr():      # ALSA and JACK tell of what is not there
            return self._rtmidi.MidiIn(getattr(self._rtmidi, f"API_{wanted_api()}"), CLIENT)

    def _look(self) -> None:
        """Open what has come, close what has gone. What rtmidi cannot do is said once, and tried again."""
        try:
            if self._probe is None:
                self._probe = self._client()
                if self.virtual:
                    self._open(self.virtual, lambda port: port.open_virtual_port(self.virtual))
            names = [name for name in self._probe.get_ports() if not self.wanted or any(part in name.lower() for part in self.wanted)]
        except Exception as error:   # noqa: BLE001 - rtmidi has its own SystemError, and others beside
            self._tell("MIDI", error)
            self._probe, names = None, []
        for name in list(self.open):
            if name not in names and name != self.virtual:
                self._close(name)
                self.changed(name, False)
        for name in names:
            if name not in self.open:
                try:
                    self._open(name, lambda port, name=name: port.open_port(port.get_ports().index(name), "in"))
                except Exception as error:   # noqa: BLE001 - as above; or it has just gone
                    self._tell(name, error)

    def _open(self, name: str, connect) -> None:
        port = self._client()
        port.ignore_types(sysex=True, timing=False, active_sense=True)
        port.set_callback(self._receive, name)
        with new_threads_as_fifo(FIFO_PRIORITY):
            connect(port)
        self.open[name] = port
        self._said.discard(name)
        self.changed(name, True)

    def _receive(self, event, name: str) -> None:
        """In rtmidi's thread: the time first."""
        ns = time.monotonic_ns()
        try:
            message = self._message.from_bytes(event[0])
        except ValueError:
            return      # no MIDI message: a cable was pulled in the middle of one
        self.put(ns, name, message)

    def _close(self, name: str) -> None:
        port = self.open.pop(name)
        port.cancel_callback()
        port.close_port()
        port.delete()

    def _tell(self, what: str, error: Exception) -> None:
        if what not in self._said:
            self._said.add(what)
            self.say(f"warning: MidiPort: {what!r} cannot be opened ({' '.join(str(error).split())}); it is tried again")
