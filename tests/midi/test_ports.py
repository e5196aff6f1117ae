"""Real MIDI ports: they come, go and come back; what cannot be had is said."""

import subprocess
import sys
import time

import pytest

from neurorack.remote import ports
from tests.midi.jack import Keys
from tests.play.runs import until


class Open:
    """``Ports`` with everything it tells noted down."""

    def __init__(self, wanted=(), virtual=None):
        self.messages, self.changes, self.said = [], [], []
        self.ports = ports.Ports(list(wanted), virtual, lambda *what: self.messages.append(what), lambda *what: self.changes.append(what), self.said.append)
        self.ports.start()

    def close(self):
        self.ports.stopping.set()
        self.ports.join(5)


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(ports, "LOOK_SECONDS", 0.1)


def test_a_port_goes_and_comes_back(server, fast):
    keys, ears = Keys("piano"), Open(["PIANO"])
    try:
        until(lambda: len(ears.changes) == 1, 10)
        name = ears.changes[0][0]
        assert "piano" in name
        sent = keys.send("note_on", note=61, velocity=9)
        until(lambda: ears.messages, 10)
        ns, port, message = ears.messages.pop()
        assert port == name and message.note == 61 and sent <= ns <= time.monotonic_ns()
        keys.close()
        until(lambda: (name, False) in ears.changes, 10)
        keys = Keys("piano")
        until(lambda: ears.changes.count((name, True)) == 2, 10)
        keys.send("clock")
        until(lambda: ears.messages, 10)
        assert ears.messages[0][2].type == "clock" and not ears.said
    finally:
        keys.close()
        ears.close()
    assert not ears.ports.open


def test_only_the_wanted_ports_are_opened(server, fast):
    keys, ears = [Keys("left"), Keys("right")], Open(["righ"])
    try:
        until(lambda: ears.changes, 10)
        time.sleep(0.3)
        assert len(ears.changes) == 1 and "right" in ears.changes[0][0]
    finally:
        for one in keys:
            one.close()
        ears.close()


def test_a_port_of_our_own(server, fast):
    import mido

    ears = Open(["nothing that exists"], virtual="modular")
    try:
        until(lambda: ("modular", True) in ears.changes, 10)
        other = mido.Backend("mido.backends.rtmidi/UNIX_JACK")
        name = until(lambda: next((n for n in other.get_output_names() if "modular" in n), None), 10)
        with other.open_output(name) as port:
            port.send(mido.Message("note_on", note=60))
            until(lambda: ears.messages, 10)
        assert ears.messages[0][1] == "modular"
    finally:
        ears.close()


def test_without_a_sequencer_there_is_no_midi_and_no_error(monkeypatch, tmp_path):
    monkeypatch.delenv("MIDO_BACKEND", raising=False)
    monkeypatch.setattr(ports, "SEQUENCER", tmp_path / "seq")
    why, remedy = ports.unavailable()
    assert ("sequencer" in why or "not installed" in why) and remedy


def test_doctor_says_it_in_one_line():
    program = "from neurorack.doctor import check_midi; print(check_midi())"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stderr == "" and said.stdout.count("'midi'") == 1 and "'ok'" in said.stdout
