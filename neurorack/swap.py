"""One change of model: prepared beside the sound, proven at work, faded in, and taken back if it does not hold its deadline.

    loading    a spare process loads the model and measures it
    waiting    it is ready; its slot is still busy with what was there before
    filling    it has the slot and fills its ring
    proving    the callback takes its sound already, unheard: it must keep its deadline for a while
    fading     the crossfade
    holding    the old model plays on, unheard: for a second the new one must keep its deadline
    done, failed
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from neurorack.voice.patch import Patch

PREPARING = ("loading", "waiting", "filling", "proving")
HEARD = ("fading", "holding", "returning")
PROVE_SECONDS, PROVE_BLOCKS = 0.06, 2
PROVE_PATIENCE_SECONDS = 3.0
HOLD_SECONDS, HOLD_PATIENCE_SECONDS = 1.0, 5.0
LOAD_PATIENCE_SECONDS = 60.0
FADE_LIMITS_MS = (1.0, 10000.0)
OWN_FAULTS = ("slow", "throttled", "swap", "died")     # what "stall" is not: the model's


@dataclass
class Job:
    """A model to be loaded into a slot, and for a swap to be faded to."""

    name: str
    path: Path
    fade_ms: float | None = 50.0      # None: load only
    slot: int | None = None
    encoder: Path | None = None       # another model's, to follow the audio input
    patch: Patch | None = None        # what it is to play with, from the fade on the present one
    phase: str = "loading"
    error: str | None = None
    card: dict | None = None
    spare: object = None
    times: dict[str, float] = field(default_factory=lambda: {"asked": time.monotonic()})
    ended: threading.Event = field(default_factory=threading.Event)

    def enter(self, phase: str) -> None:
        """Go on to this phase; the time of it is kept."""
        self.phase = phase
        self.times[phase] = time.monotonic()
        if phase in ("done", "failed"):
            self.ended.set()

    def seconds(self) -> float:
        """In this phase."""
        return time.monotonic() - self.times.get(self.phase, self.times["asked"])

    def fail(self, why: str) -> None:
        self.error = why

    def told(self) -> dict:
        """For status and replies: milliseconds from the request to each phase."""
        asked = self.times["asked"]
        return {"model": self.name, "slot": None if self.slot is None else "AB"[self.slot], "phase": self.phase, "error": self.error,
                "ms": {name: round(1e3 * (at - asked), 1) for name, at in self.times.items() if name != "asked"}}


def too_slow(section, rate_hz: int) -> str | None:
    """Why this slot's model cannot play here; None where it can."""
    if section.blocks == 0 or section.block_us <= 0:
        return None
    block_ms, cost_ms = 1e3 * section.block_frames / rate_hz, section.block_us / 1e3
    if cost_ms < block_ms:
        return None
    return f"it is {cost_ms / block_ms:.1f} times too slow for this machine: a block of {block_ms:.1f} ms takes {cost_ms:.1f} ms"


def proven(job: Job, section, faults: dict[str, int], rate_hz: int) -> bool:
    """True once it has kept its deadline long enough to be let in. Sets ``job.error`` when it will not."""
    if why := too_slow(section, rate_hz):
        job.fail(why)
    elif job.seconds() > PROVE_PATIENCE_SECONDS:
        job.fail("it does not keep its deadline")
    since = job.times.setdefault("kept", job.times["proving"])
    if faults:
        job.times["kept"] = since = time.monotonic()
    needed = max(PROVE_SECONDS, PROVE_BLOCKS * section.block_frames / rate_hz)
    return job.error is None and time.monotonic() - since >= needed


def held(job: Job, section, faults: dict[str, int], rate_hz: int) -> bool:
    """True once it may stay for good. Sets ``job.error`` when it must go; what the machine did is not laid to its charge."""
    if why := too_slow(section, rate_hz):
        job.fail(why)
    elif faults.keys() & set(OWN_FAULTS):
        count = sum(faults[cause] for cause in faults.keys() & set(OWN_FAULTS))
        job.fail(f"it did not keep its deadline: {count} blocks came late ({', '.join(sorted(faults.keys() & set(OWN_FAULTS)))})")
    since = job.times.setdefault("steady", job.times["holding"])
    if faults:
        job.times["steady"] = since = time.monotonic()
    return job.error is None and (time.monotonic() - since >= HOLD_SECONDS or job.seconds() >= HOLD_PATIENCE_SECONDS)
