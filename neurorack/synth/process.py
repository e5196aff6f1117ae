"""The synth process: loads a model, then lets the compiled render thread (``loop.c``) keep a slot's ring filled.

It is started for a slot and a model; or as a spare, with nothing but its imports: then it loads what it is told, beside
the sound, says what it has loaded, and plays once it is given a slot. Orders and answers are lines of JSON on a
socket: ``{"load": {"model": path, "seed": n, "lead_frames": n or null, "encoder": path or null}}``, ``{"play": slot}``,
``{"leave": 1}``; ``{"idle": 1}``, ``{"loaded": card}``, ``{"failed": why}``.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import socket
import threading
import time

from neurorack.core import declare
from neurorack.engine import denormals_off
from neurorack.errors import NeurorackError
from neurorack.governor import Governor, Leads, block_seconds, can_save, first_leads
from neurorack.importer.players import load_model
from neurorack.process import Child, name_process
from neurorack.voice.voice import Voice

HEARTBEAT_SECONDS = 0.02
FADE_PATIENCE_SECONDS = 0.6
LEAVE = 3                          # of run.state
TITLES = ("synth", "synth b")
_P, _U32 = ctypes.c_void_p, ctypes.c_uint32


class Orders:
    """The supervisor's end of a spare's socket, as this process sees it. Without a socket no order ever comes."""

    def __init__(self, fd: int | None):
        self.socket = None if fd is None else socket.socket(fileno=fd)
        self.buffer = b""
        self.closed = False

    def tell(self, **answer) -> None:
        try:
            self.socket.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            self.closed = True

    def next(self, seconds: float) -> dict | None:
        """The next order, waiting so long for it; None when there is none."""
        if self.socket is None or self.closed:
            time.sleep(seconds)
            return None
        if b"\n" not in self.buffer and select.select([self.socket], [], [], seconds)[0]:
            try:
                data = self.socket.recv(65536)
            except OSError:
                data = b""
            self.closed = not data
            self.buffer += data
        if b"\n" in self.buffer:
            line, self.buffer = self.buffer.split(b"\n", 1)
            return json.loads(line)
        return None


class Prepared:
    """A model, ready to play on this machine: loaded, warm, its cost known."""

    def __init__(self, rack, job: dict):
        header, seed = rack.header, job["seed"]
        self.title = job.get("title") or "?"
        self.model = load_model(job["model"], seed)
        encoder = load_model(job["encoder"], seed) if job.get("encoder") else None
        self.voice = Voice(self.model, header.block_frames, header.sample_rate_hz, encoder=encoder, listen=header.input_channels > 0,
                           cushion_frames=header.block_frames)
        rate, wanted = header.sample_rate_hz, job.get("lead_frames")
        self.fixed_lead = wanted is not None
        block_frames = round(self.voice.block_frames * rate / self.voice.sample_rate_hz)
        self.leads: Leads = first_leads(wanted, block_frames, block_seconds(self.voice) * rate, rate, can_save(self.voice))

    @property
    def card(self) -> dict:
        return self.model.card


def play_to_the_end_of_the_fade(rack) -> None:
    """Give the callback something to fade."""
    deadline = time.monotonic() + FADE_PATIENCE_SECONDS
    while time.monotonic() < deadline and not rack.audio.faded:
        time.sleep(0.002)


def begin_section(section, title: str) -> None:
    """The slot is a new model's: what was measured of its predecessor goes; counts go on."""
    section.pid, section.model_name = os.getpid(), title
    section.load_max = section.load = section.block_us = section.block_high_us = 0.0
    section.load_histogram, section.control = 0, 0.0
    section.gesture, section.frozen, section.limited_db = -1, 0, 0.0


def play(child: Child, slot: int, prepared: Prepared, orders: Orders) -> None:
    """Start the render thread and keep its heart beating until told to leave."""
    rack, section = child.rack, child.rack.synth[slot]
    begin_section(section, prepared.title)
    new = declare("nr_synth_new", _P, _P, _U32, _P, _U32)
    loop = new(rack.base, slot, prepared.voice.handle, prepared.leads.lead)
    if not loop:
        raise MemoryError("no memory for a synth")
    governor = Governor(rack, slot, loop, prepared.leads, prepared.fixed_lead)
    stop = _U32(0)
    render = threading.Thread(target=declare("nr_synth_run", None, _P, _P), args=(loop, ctypes.byref(stop)), name="render")
    render.start()
    told_to_leave = False
    while child.beat(section) and render.is_alive() and not told_to_leave:
        order = orders.next(HEARTBEAT_SECONDS)
        told_to_leave = bool(order and order.get("leave"))
        governor.look()
    if rack.run.state != LEAVE and not told_to_leave:      # nobody asked: the supervisor was killed, and audio fades out by itself
        play_to_the_end_of_the_fade(rack)
    stop.value = 1
    render.join(1)


def wait_for(child: Child, orders: Orders, what: str) -> dict | None:
    """The next order that has ``what``; None when it is time to leave."""
    while not (child.leaving or child.orphaned or orders.closed):
        order = orders.next(0.1)
        if order and order.get("leave"):
            return None
        if order and what in order:
            return order
    return None


def run(child: Child) -> None:
    """Play what the configuration says, or wait as a spare for what shall be played."""
    config = child.config
    denormals_off()
    if "model" in config:
        prepared = Prepared(child.rack, config)
        return play(child, config["slot"], prepared, Orders(None))
    orders = Orders(config["orders_fd"])
    orders.tell(idle=1)
    if not (order := wait_for(child, orders, "load")):
        return
    try:
        prepared = Prepared(child.rack, order["load"])
    except NeurorackError as error:
        return orders.tell(failed=" ".join(str(error).split()))
    orders.tell(loaded=prepared.card)
    if not (order := wait_for(child, orders, "play")):
        return
    name_process(f"neurorack: {TITLES[order['play']]}")
    play(child, order["play"], prepared, orders)
