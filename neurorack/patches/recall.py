"""The way from what plays to another patch: models by swap and load, numbers by a short glide; never a jump.

One look after the other, in the supervisor's loop, each doing what can be done next. Which slot a model lies in is not worth a
change of model: where the heard one lies in the other slot already, or must come in there, the patch is played mirrored.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from neurorack.errors import NeurorackError
from neurorack.patches.present import heard_slot, mirrored, patch_of
from neurorack.slots import Slots
from neurorack.swap import HEARD, Job

GLIDE_SECONDS = 0.08
PATIENCE_SECONDS = 75.0      # for all models together


@dataclass
class Wanted:
    """A model that is to play: its name, its file here, and an encoder's."""

    name: str
    path: Path
    encoder: Path | None = None

    def lies_in(self, slot) -> bool:
        encoder = str(Path(self.encoder).absolute()) if self.encoder else None
        return slot.holds and slot.path.absolute() == self.path.absolute() and slot.child.config.get("encoder") == encoder


@dataclass
class Way:
    """Towards ``document``. ``models``: slot of the document to what plays there, of those that are not missing.

    ``ended`` once there, or given up: then ``error`` says why. ``patched``: the models play it from now on, at the end of the way or
    since its model fades in; ``glides``: that is for the one who looks after it to do, from the present patch to ``here``.
    """

    document: dict
    models: dict[str, Wanted]
    fade_ms: float = 50.0
    began: float = field(default_factory=time.monotonic)
    error: str | None = None
    turned: bool = False
    patched: bool = False
    glides: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    _job: Job | None = None

    def end(self, error: str | None = None) -> None:
        self.error = error
        self.ended.set()

    @property
    def here(self) -> dict:
        """The document as it lies in the slots."""
        return mirrored(self.document) if self.turned else self.document

    @property
    def _heard(self) -> str | None:
        """The slot of the document that is heard more of, and whose model is there."""
        letter = heard_slot(self.document)
        return letter if letter in self.models else next(iter(self.models), None)

    def step(self, slots: Slots, now: float) -> None:
        """Do what can be done now. Never waits."""
        if self._job:
            self.patched = self.patched or (self._job.patch is not None and self._job.phase in (*HEARD, "done"))
            if not self._job.ended.is_set():
                return
            if self._job.error:
                self.end(f"{self._job.name} is not played: {self._job.error}")
                return
            self._job = None
        if now - self.began > PATIENCE_SECONDS:
            self.end("its models took too long")
        elif slots.job and slots.job.times["asked"] > self.began:
            self.end("another model was asked for")
        elif not (slots.job or slots.next_job or slots.emptying is not None):
            try:
                self._next(slots)
            except NeurorackError as error:
                self.end(str(error))

    def _next(self, slots: Slots) -> None:
        letter, at = self._heard, slots.heard
        if letter:
            wanted = self.models[letter]
            at = next((i for i in (slots.heard, 1 - slots.heard) if wanted.lies_in(slots.slots[i])), None)
            self.turned = letter != "AB"[1 - slots.heard if at is None else at]
            if at is None:
                self._job = slots.swap(wanted.name, wanted.path, self.fade_ms, wanted.encoder, None if self.patched else patch_of(self.here))
                return
        if not self.patched:
            self.patched = self.glides = True
        if letter and not self._beside(slots, at, next((one for name, one in self.models.items() if name != letter), None)):
            return
        slots.knob = self.here["mix"] if all(slot.holds for slot in slots.slots) else float(slots.heard)
        self.end()

    def _beside(self, slots: Slots, at: int, other: Wanted | None) -> bool:
        """True once the other slot holds what it shall."""
        slot = slots.slots[1 - at]
        if slot.holds and not (other and other.lies_in(slot)):
            slots.unload(1 - at)         # the mix leaves it first
        elif other and slot.child is None:
            self._job = slots.load(1 - at, other.name, other.path, other.encoder)
        return slot.leaving_at is None and bool(slot.playing) if other else not slot.holds
