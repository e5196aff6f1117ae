"""The governor: how far a synth works ahead, from what a block of its model costs on this machine.

Before a model plays, some blocks are made and measured. While it plays, blocks that came late deepen the look-ahead.
That costs no latency where sound can be taken back (``synth/loop.h``); a voice that cannot be saved pays for it.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass

from neurorack.core import declare
from neurorack.errors import NeurorackError
from neurorack.shm import table

DEFAULT_LEAD_SECONDS = 0.0107   # how long the machine may stand still unheard
LEAST_LEAD_FRAMES, LEAST_QUICK_FRAMES = 16, 64
WAKE_SECONDS = 0.001            # from being due to being at work
COST_ROOM = 1.5                 # a block may cost so much more than measured
MEASURE_SECONDS, MEASURE_BLOCKS = 0.04, (3, 24)     # whichever comes first, but no fewer and no more blocks
DEEPEN, MOST_DEEPER = 1.5, 4.0  # by this factor at once; by that in all
DEEPEN_PAUSE_SECONDS = 0.25
OVERLOAD = 0.95                 # of the block's duration: no depth helps a model that costs more
_P, _U32 = ctypes.c_void_p, ctypes.c_uint32
MOST_LEAD_FRAMES = table.RING_CAPACITY_FRAMES // 2


def can_save(voice) -> bool:
    """Whether what this voice has made can be taken back and made anew."""
    return bool(declare("nr_voice_can_save", ctypes.c_int, _P)(voice.handle))


def block_seconds(voice) -> float:
    """Time of one block in this thread, the largest of a few: the processor's, or all of it where a stage may work elsewhere.

    The voice is as it was afterwards, where it can be saved.
    """
    handle, times, began = voice.handle, [], time.monotonic()
    keeps = can_save(voice)
    clock_ns = time.thread_time_ns if keeps else time.monotonic_ns
    if keeps:
        memory = ctypes.create_string_buffer(declare("nr_voice_state_bytes", ctypes.c_size_t, _P)(handle) + 64)
        state = (ctypes.addressof(memory) + 63) & ~63
        declare("nr_voice_save", None, _P, _P)(handle, state)
    voice.render()       # the first one fills caches
    least, most = MEASURE_BLOCKS
    while len(times) < least or (len(times) < most and time.monotonic() - began < MEASURE_SECONDS):
        before = clock_ns()
        voice.render()
        times.append(clock_ns() - before)
    if keeps:
        declare("nr_voice_restore", None, _P, _P)(handle, state)
    return sorted(times)[-2 if len(times) > 8 else -1] / 1e9


@dataclass(frozen=True)
class Leads:
    """Frames at the card's rate: ``lead`` kept ready beyond the callback's need, ``quick`` of it for making a block anew."""

    lead: int
    quick: int


def quick_frames(cost_frames: float, rate_hz: int) -> int:
    """Frames that leave time to make a block anew."""
    return max(LEAST_QUICK_FRAMES, round(COST_ROOM * cost_frames + WAKE_SECONDS * rate_hz))


def first_leads(wanted: int | None, block_frames: int, cost_frames: float, rate_hz: int, can_save: bool) -> Leads:
    """What to begin with.

    Args:
        wanted: frames the musician asked for; None leaves it to us. Raises ``NeurorackError`` outside its limits.
        block_frames, cost_frames: of the model, at the card's rate.
    """
    quick = quick_frames(cost_frames, rate_hz)
    if wanted is not None:
        limit = table.RING_CAPACITY_FRAMES // 4
        if not LEAST_LEAD_FRAMES <= wanted <= limit:
            raise NeurorackError(f"lead is {wanted} frames; it must lie from {LEAST_LEAD_FRAMES} to {limit}")
        return Leads(wanted, min(quick, wanted))
    lead = max(round(DEFAULT_LEAD_SECONDS * rate_hz), quick + block_frames if can_save else quick)
    return Leads(min(lead, MOST_LEAD_FRAMES), min(quick, lead))


class Governor:
    """Watches one slot from its own process and deepens its look-ahead. ``look()`` every few milliseconds."""

    def __init__(self, rack, slot: int, loop: int, leads: Leads, fixed: bool):
        self.audio, self.section, self.slot, self.loop, self.leads, self.fixed = rack.audio, rack.synth[slot], slot, loop, leads, fixed
        self.rate_hz, self.most = rack.header.sample_rate_hz, min(round(MOST_DEEPER * leads.lead), MOST_LEAD_FRAMES)
        self._set = declare("nr_synth_set_leads", None, _P, _U32, _U32)
        self._set(loop, leads.lead, leads.quick)
        self.late, self.late_edges, self.rest_until = self._late(), self.section.late_edges, 0.0

    def _late(self) -> int:
        """Blocks that came late, or would have."""
        return int(self.audio.late_blocks[self.slot]) - int(self.audio.stalled_blocks[self.slot]) + self.section.held_blocks

    def look(self) -> bool:
        """True when something was changed."""
        now, section = time.monotonic(), self.section
        if now < self.rest_until:
            return False
        (late, late_edges), (lead, quick) = (self._late(), section.late_edges), (self.leads.lead, self.leads.quick)
        if late > self.late and not self.fixed and section.block_us * self.rate_hz / 1e6 < OVERLOAD * section.block_frames:
            lead = min(round(DEEPEN * lead), self.most)
        if late_edges > self.late_edges:     # a longer way from jack to sound, so not without need
            quick = max(quick, quick_frames(section.block_high_us * self.rate_hz / 1e6, self.rate_hz))
        self.late, self.late_edges = late, late_edges
        if (lead, quick) == (self.leads.lead, self.leads.quick):
            return False
        self.leads, self.rest_until = Leads(lead, min(quick, lead)), now + DEEPEN_PAUSE_SECONDS
        self._set(self.loop, lead, quick)
        return True
