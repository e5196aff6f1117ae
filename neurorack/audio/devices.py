"""Sound cards through PortAudio (python-sounddevice), and the paced null device where there is none."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading

from neurorack.core import declare
from neurorack.errors import DeviceError
from neurorack.process import new_threads_as_fifo

FIFO_PRIORITY = 80     # as in callback.c
_P = ctypes.c_void_p


@contextlib.contextmanager
def quiet_stderr():
    """ALSA and JACK write their search for devices to file descriptor 2; keep it off the terminal."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def portaudio():
    """The sounddevice module; raises ``DeviceError`` with the remedy where PortAudio is missing."""
    os.environ.setdefault("JACK_NO_START_SERVER", "1")
    try:
        with quiet_stderr():
            import sounddevice
        return sounddevice
    except (OSError, ImportError) as error:
        raise DeviceError(f"PortAudio is missing ({error}): run `make setup`, or: sudo apt-get install libportaudio2") from None


def rescan(sd) -> None:
    """Look for cards anew; PortAudio lists them only when it starts."""
    with quiet_stderr():
        sd._terminate()
        sd._initialize()


def output_names(sd) -> list[str]:
    return [d["name"] for d in sd.query_devices() if d["max_output_channels"] > 0]


def choose(sd, wanted: str | None) -> tuple[int, str] | None:
    """(index, name) of the wanted output, by number, name or part of a name; the default one for None.

    None where nothing was wanted and there is no card; raises ``DeviceError`` for a name that is not there.
    """
    if wanted is None:
        index = sd.default.device[1]
        outputs = [i for i, d in enumerate(sd.query_devices()) if d["max_output_channels"] >= 2]
        if index is None or index < 0 or index not in outputs:
            if not outputs:
                return None
            index = outputs[0]
        return index, sd.query_devices(index)["name"]
    devices = list(sd.query_devices())
    if wanted.isdigit() and int(wanted) < len(devices):
        found = [int(wanted)]
    else:
        found = [i for i, d in enumerate(devices) if d["name"] == wanted and d["max_output_channels"] > 0]
        found = found or [i for i, d in enumerate(devices) if wanted.lower() in d["name"].lower() and d["max_output_channels"] > 0]
    if not found:
        raise DeviceError(f"there is no output device {wanted!r}; the outputs are: {', '.join(output_names(sd)) or 'none'} (or null, for none)")
    device = devices[found[0]]
    if device["max_output_channels"] < 2:
        raise DeviceError(f"output device {device['name']!r} has {device['max_output_channels']} channel(s); the instrument needs 2")
    return found[0], device["name"]


class Card:
    """A PortAudio stream whose callback is the compiled ``nr_callback``: the interpreter never runs in it."""

    def __init__(self, sd, index: int, name: str, *, state: int, rate_hz: int, block_frames: int, input_channels: int):
        self.sd, self.name = sd, name
        callback = ctypes.cast(declare("nr_callback", ctypes.c_int), _P).value
        duplex = input_channels > 0
        both = (lambda x: (x, x)) if duplex else (lambda x: x)
        try:
            with quiet_stderr():
                self.stream = sd._StreamBase(
                    kind="duplex" if duplex else "output", samplerate=rate_hz, blocksize=block_frames,
                    device=both(index), channels=both(2), dtype=both("float32"), latency=both(block_frames / rate_hz),
                    clip_off=True, dither_off=True, callback=sd._ffi.cast("PaStreamCallback *", callback),
                    userdata=sd._ffi.cast("void *", state), wrap_callback=None)
                with new_threads_as_fifo(FIFO_PRIORITY):    # the card waits for the first block as it does for every other
                    self.stream.start()
        except (sd.PortAudioError, ValueError) as error:
            raise DeviceError(f"output device {name!r} does not play {rate_hz} Hz in blocks of {block_frames}"
                              f"{' with input' if duplex else ''} ({str(error).splitlines()[0]}); try another --rate, --block or --device") from None

    @property
    def alive(self) -> bool:
        return bool(self.stream.active)

    def close(self, patience_seconds: float = 1.0) -> bool:
        """Stop and close; False when the driver hangs (a card that was pulled out can do that)."""
        def work():
            with contextlib.suppress(self.sd.PortAudioError), quiet_stderr():
                self.stream.abort(ignore_errors=True)
                self.stream.close(ignore_errors=True)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(patience_seconds)
        return not thread.is_alive()


class NullDevice:
    """No card: the same callback, paced by the clock in a compiled thread."""

    name = "null"

    def __init__(self, *, state: int, block_frames: int, input_channels: int):
        self._stop = ctypes.c_uint32(0)
        run = declare("nr_null_device_run", None, _P, ctypes.c_uint32, ctypes.c_uint32, _P)
        self._thread = threading.Thread(target=run, args=(state, block_frames, input_channels, ctypes.byref(self._stop)), daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> bool:
        self._stop.value = 1
        self._thread.join(2)
        return not self._thread.is_alive()
