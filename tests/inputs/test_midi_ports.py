"""A real MIDI port, through python-rtmidi's JACK side and a JACK server without a card."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time

import pytest

from neurorack.desk.midi import volts
from neurorack.shm.rack import Rack

pytestmark = [
    pytest.mark.skipif(shutil.which("jackd") is None, reason="jackd is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("rtmidi") is None or importlib.util.find_spec("mido") is None, reason="mido and python-rtmidi are not installed"),
]
SERVER = f"neurorack-test-{os.getpid()}"


@pytest.fixture
def jack(monkeypatch):
    for name, value in (("JACK_DEFAULT_SERVER", SERVER), ("JACK_NO_AUDIO_RESERVATION", "1"), ("MIDO_BACKEND", "mido.backends.rtmidi/UNIX_JACK")):
        monkeypatch.setenv(name, value)
    server = subprocess.Popen(["jackd", "-n", SERVER, "-d", "dummy", "-r", "48000", "-p", "256"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    if server.poll() is not None:
        pytest.skip("jackd does not start here")
    yield
    server.terminate()
    server.wait(10)


def until(condition, seconds=8.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    return None


def test_notes_hit_and_controllers_turn(jack):
    import mido

    keys = mido.Backend("mido.backends.rtmidi/UNIX_JACK").open_output("keys", virtual=True)
    play = subprocess.Popen([sys.executable, "-m", "neurorack", "play", "--device", "null"], stderr=subprocess.PIPE, text=True)
    try:
        for line in play.stderr:
            if "MIDI in" in line:
                break
        assert "keys" in line
        rack = Rack.attach_to(play.pid)
        edges, sent = rack.edge_reader(), []
        for note in range(60, 70):
            sent.append(time.monotonic_ns())
            keys.send(mido.Message("note_on", note=note, velocity=100))
            time.sleep(0.03)
            keys.send(mido.Message("note_off", note=note))
            time.sleep(0.06)
        keys.send(mido.Message("control_change", control=22, value=127))
        assert until(lambda: abs(rack.get_cv(2) - 5.0) < 0.1)
        assert abs(rack.get_cv(1) - volts(100)) < 0.1
        rises = []
        while edge := edges.next():
            if edge.jack == 0 and edge.rising:
                rises.append(edge.edge_ns)
        heard = [any(0 <= rise - at < 25_000_000 for rise in rises) for at in sent]
        assert sum(heard) >= 9     # the built-in patch plays the same gate and may cover one
    finally:
        play.terminate()
        assert play.wait(5) == 0
        keys.close()
