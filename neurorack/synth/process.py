"""The synth process: loads a model, then lets the compiled render thread (``loop.c``) keep its slot's ring filled."""

from __future__ import annotations

import ctypes
import os
import threading
import time

from neurorack.core import declare
from neurorack.engine import Model
from neurorack.errors import NeurorackError
from neurorack.process import Child
from neurorack.shm import table
from neurorack.voice.voice import Voice

HEARTBEAT_SECONDS = 0.02
FADE_PATIENCE_SECONDS = 0.6
LEAVE = 3                          # of run.state
LEAST_LEAD_FRAMES = 16
DEFAULT_LEAD_SECONDS = 0.0107      # how long the machine may stand still unheard
_P, _U32 = ctypes.c_void_p, ctypes.c_uint32


def lead_frames(wanted: int | None, voice: Voice) -> int:
    """Frames kept ready beyond the callback's need: what was asked for, else 10 ms, or the model's block where that is longer."""
    if wanted is None:
        return max(round(DEFAULT_LEAD_SECONDS * voice.out_rate_hz), round(voice.block_frames * voice.out_rate_hz / voice.sample_rate_hz))
    limit = table.RING_CAPACITY_FRAMES // 4
    if not LEAST_LEAD_FRAMES <= wanted <= limit:
        raise NeurorackError(f"lead is {wanted} frames; it must lie from {LEAST_LEAD_FRAMES} to {limit}")
    return wanted


def play_to_the_end_of_the_fade(rack) -> None:
    """Give the callback something to fade."""
    deadline = time.monotonic() + FADE_PATIENCE_SECONDS
    while time.monotonic() < deadline and not rack.audio.faded:
        time.sleep(0.002)


def run(child: Child) -> None:
    """Load, start the render thread, and keep its heart beating."""
    rack, config = child.rack, child.config
    slot = config["slot"]
    section = rack.synth[slot]
    section.pid = os.getpid()
    model = Model.load(config["model"], config["seed"])
    encoder = Model.load(config["encoder"], config["seed"]) if config.get("encoder") else None
    block_frames = rack.header.block_frames
    voice = Voice(model, block_frames, rack.header.sample_rate_hz, encoder=encoder, listen=rack.header.input_channels > 0,
                  cushion_frames=block_frames)
    section.model_name = model.card.get("name", "?")
    new = declare("nr_synth_new", _P, _P, _U32, _P, _U32)
    loop = new(rack.base, slot, voice.handle, lead_frames(config.get("lead_frames"), voice))
    stop = _U32(0)
    render = threading.Thread(target=declare("nr_synth_run", None, _P, _P), args=(loop, ctypes.byref(stop)), name="render")
    render.start()
    while child.beat(section) and render.is_alive():
        time.sleep(HEARTBEAT_SECONDS)
    if rack.run.state != LEAVE:      # nobody asked: the supervisor was killed, and audio fades out by itself
        play_to_the_end_of_the_fade(rack)
    stop.value = 1
    render.join(1)
