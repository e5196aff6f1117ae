"""A JACK server without a card: real MIDI ports for python-rtmidi where the system has no ALSA sequencer.

A client that the machine kept from its period loses that period's messages, so tests compare with what the instrument received.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time

import pytest

API = "mido.backends.rtmidi/UNIX_JACK"


def missing() -> str | None:
    """Why there are no real ports here."""
    if shutil.which("jackd") is None:
        return "jackd is not installed"
    if importlib.util.find_spec("mido") is None or importlib.util.find_spec("rtmidi") is None:
        return "mido and python-rtmidi are not installed"
    import rtmidi

    return None if rtmidi.API_UNIX_JACK in rtmidi.get_compiled_api() else "this python-rtmidi was built without JACK"


@pytest.fixture(scope="package")
def server():
    """Its name is the process environment's while the tests of this folder run, and no longer: others would find its sound card."""
    if why := missing():
        pytest.skip(why)
    more = {"JACK_DEFAULT_SERVER": f"neurorack-test-{os.getpid()}", "JACK_NO_AUDIO_RESERVATION": "1", "MIDO_BACKEND": API}
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    command = ["jackd", "--no-realtime", "-n", more["JACK_DEFAULT_SERVER"], "-d", "dummy", "-r", "48000", "-p", "256"]
    jackd = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    if jackd.poll() is not None:
        pytest.skip("jackd does not start here")
    yield
    jackd.terminate()
    jackd.wait(10)
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


class Keys:
    """A keyboard with a port of its own."""

    def __init__(self, name: str):
        import mido

        self.name, self._message = name, mido.Message
        self.port = mido.Backend(API).open_output(name, virtual=True)

    def send(self, kind: str, **values) -> int:
        """The time it was sent."""
        message = self._message(kind, **values)
        ns = time.monotonic_ns()
        self.port.send(message)
        return ns

    def close(self) -> None:
        self.port.close()
