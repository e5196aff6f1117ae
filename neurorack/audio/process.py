"""The audio process: one stream and its watch. The sound itself is made in ``callback.c``."""

from __future__ import annotations

import ctypes
import errno
import os
import time

from neurorack.audio.devices import Card, NullDevice, choose, portaudio, rescan
from neurorack.core import declare
from neurorack.errors import DeviceError, NeurorackError
from neurorack.process import Child

WATCH_SECONDS = 0.02
SILENT_CARD_SECONDS = 0.5     # no callback for so long: the card is gone
RETRY_SECONDS = 1.0
NONE, CARD, NULL_BY_WISH, NULL_WAITING = 0, 1, 2, 3
_P = ctypes.c_void_p


class Output:
    """The stream in use: a card, or the null device by wish or until the card is back."""

    def __init__(self, child: Child):
        self.child, self.rack, config = child, child.rack, child.config
        header = self.rack.header
        self.state = declare("nr_callback_new", _P, _P)(self.rack.base)
        self.restart = declare("nr_callback_restart", None, _P)
        self.wanted = config.get("device")
        self.settings = {"state": self.state, "block_frames": header.block_frames, "input_channels": header.input_channels}
        self.sd = None
        self.device: Card | NullDevice | None = None
        self.retry_at, self.blocks, self.blocks_at = 0.0, 0, time.monotonic()

    def open_first(self) -> None:
        """Open what was asked for. Nothing asked and no card: the null device, with a named warning."""
        if self.wanted == "null":
            return self.use_null(NULL_BY_WISH)
        try:
            self.sd = portaudio()
            found = choose(self.sd, self.wanted)
        except DeviceError as error:
            if self.wanted is not None:
                raise
            self.child.say(f"warning: NoPortAudio: {error}; playing into the null device")
            return self.use_null(NULL_BY_WISH)
        if found is None:
            self.child.say("warning: NoSoundCard: there is no sound card; playing into the null device until one appears")
            return self.use_null(NULL_WAITING)
        if self.config_retry() and self.rack.audio.blocks:
            try:
                return self.use_card(*found)
            except DeviceError as error:
                self.child.say(f"warning: CardBusy: {error}; trying again each second")
                return self.use_null(NULL_WAITING)
        self.use_card(*found)

    def config_retry(self) -> bool:
        """A restarted audio process must not give up on a card that played before."""
        return bool(self.child.config.get("restarted"))

    def use_card(self, index: int, name: str) -> None:
        self.restart(self.state)
        self.device = Card(self.sd, index, name, rate_hz=self.rack.header.sample_rate_hz, **self.settings)
        self.note(CARD)

    def use_null(self, state: int) -> None:
        self.restart(self.state)
        self.device = NullDevice(**self.settings)
        self.note(state)

    def note(self, state: int) -> None:
        self.rack.audio.device_name, self.rack.audio.device_state = self.device.name, state
        self.blocks_at, self.retry_at = time.monotonic() + SILENT_CARD_SECONDS, time.monotonic() + RETRY_SECONDS

    def watch(self) -> None:
        """Called every few milliseconds: notice a lost card, and its return."""
        now, blocks = time.monotonic(), self.rack.audio.blocks
        if blocks != self.blocks:
            self.blocks, self.blocks_at = blocks, max(now, self.blocks_at)
        if self.rack.audio.device_state == CARD:
            if not self.device.alive or now - self.blocks_at > SILENT_CARD_SECONDS:
                self.lost()
        elif self.rack.audio.device_state == NULL_WAITING and now >= self.retry_at:
            self.look_for_card()

    def lost(self) -> None:
        name = self.device.name
        self.child.say(f"warning: CardLost: the sound card {name!r} is gone; playing on into the null device until it is back")
        if not self.device.close():
            raise NeurorackError(f"the driver of {name!r} hangs")   # a fresh process gets a fresh driver
        self.use_null(NULL_WAITING)

    def look_for_card(self) -> None:
        """Scan for cards anew; the null device plays on until one has opened."""
        self.retry_at = time.monotonic() + RETRY_SECONDS
        try:
            if self.sd is None:
                self.sd = portaudio()
            rescan(self.sd)
            found = choose(self.sd, self.wanted)
            if found is None:
                return
            self.device.close()
            self.use_card(*found)
        except DeviceError:
            if not self.device.alive:
                self.use_null(NULL_WAITING)
            return
        self.rack.audio.reconnects = self.rack.audio.reconnects + 1
        self.child.say(f"the sound card {found[1]!r} is here; playing through it")

    def close(self) -> None:
        if self.device:
            self.device.close()


def warn_about_scheduling(child: Child) -> bool:
    """Say once what the audio thread's scheduling is; True when it is known."""
    fifo = child.rack.audio.fifo
    if fifo < 0:
        child.say(f"warning: NoRealTime: the audio thread may not be scheduled in real time ({errno.errorcode.get(-fifo, -fifo)}); "
                  "allow it: `ulimit -r 95`, or a line '@audio - rtprio 95' in /etc/security/limits.conf, then log in again")
    return fifo != 0


def fade_out(child: Child) -> None:
    """Let the callback finish its fade, at most a quarter of a second, and the card play it to its end."""
    rack = child.rack
    if rack.run.state == 1:
        rack.run.state = 2    # the supervisor is gone and cannot ask any more
    deadline = time.monotonic() + 0.25
    while time.monotonic() < deadline and not rack.audio.faded:
        time.sleep(0.002)
    time.sleep(rack.audio.dac_delay_ms / 1000 + 2 * rack.header.block_frames / rack.header.sample_rate_hz)


def run(child: Child) -> None:
    """The process from its first breath to its last: open the output, watch it, fade, close."""
    rack = child.rack
    rack.audio.pid, rack.audio.fifo, rack.audio.device_state = os.getpid(), 0, NONE
    rack.recover("clock")
    output = Output(child)
    output.open_first()
    told = False
    try:
        while child.beat(rack.audio):
            told = told or warn_about_scheduling(child)
            output.watch()
            time.sleep(WATCH_SECONDS)
        fade_out(child)
    finally:
        output.close()
