"""The two slots: what each holds, how a model comes into one and leaves it, and the mix between them.

Everything here runs in the supervisor's one loop (``tick``); other threads post their wishes to it. A model is prepared
in a process of its own; only when that has proven itself does the mix move. The death of one slot's process never
touches the other.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from neurorack import causes, library, swap
from neurorack.errors import NeurorackError
from neurorack.importer.players import load_model
from neurorack.shm import table
from neurorack.shm.rack import Rack
from neurorack.slot import DETACHED, MIX, Slot
from neurorack.swap import HEARD, PREPARING, Job
from neurorack.voice.patch import Patch, Route, followed
from neurorack.watched import Spare

SPARE_PAUSE_SECONDS = 1.0     # before another one, when a spare died
HAND_MS, RESCUE_MS = 20.0, 10.0


class Slots:
    """Both slots, the spare process, the mix, and the change of model that is going on.

    Args:
        settings: of the run (``lead_frames``, ``seed``).
        patch: the present one; edit it, then call ``publish``.
        say: tells the person at the terminal.
        changed: called when a child came or went.
    """

    def __init__(self, rack: Rack, settings, patch: Patch, say: Callable[[str], None], changed: Callable[[], None]):
        self.rack, self.settings, self.patch, self.say, self.changed = rack, settings, patch, say, changed
        throttle = causes.Throttle()
        self.slots = [Slot(rack, i, throttle) for i in range(table.SLOTS)]
        self.heard = 0
        self.knob = 0.0
        self.spare: Spare | None = None
        self.want_spare, self.spare_at = False, 0.0
        self.job: Job | None = None
        self.next_job: Job | None = None
        self.emptying: int | None = None
        self.good: list[Path] = []     # models that have played, the latest last
        self.swaps_done = self.swaps_failed = 0

    # -- what others ask for; in the supervisor's loop

    def begin(self, path: Path, card: dict, encoder: Path | None = None) -> None:
        """The first model, into slot A."""
        self.slots[0].take(path, card, self.patch, self.settings, encoder=encoder)

    def swap(self, name: str, path: Path, fade_ms: float = 50.0, encoder: Path | None = None, patch: Patch | None = None) -> Job:
        """Change to another model; the old one leaves once the new one has proven itself. ``patch``: the present one from the fade on."""
        low, high = swap.FADE_LIMITS_MS
        if not low <= fade_ms <= high:
            raise NeurorackError(f"fade is {fade_ms:g} ms; it must lie from {low:g} to {high:g}")
        return self._ask(Job(name, path, fade_ms, encoder=encoder, patch=patch))

    def load(self, index: int, name: str, path: Path, encoder: Path | None = None) -> Job:
        """Put a model into a slot, beside what plays; the mix stays."""
        if index == self.heard and self.slots[index].holds:
            raise NeurorackError(f"slot {'AB'[index]} is what is heard: load into slot {'BA'[index]}, or swap")
        return self._ask(Job(name, path, None, index, encoder=encoder))

    def give_up(self, why: str) -> None:
        """What is being prepared is wanted no more; what is heard already stays."""
        if self.next_job:
            self._end(self.next_job, why)
        if self.job and self.job.phase in PREPARING:
            self._abandon(why)

    def unload(self, index: int) -> None:
        """Empty a slot; the mix leaves it first."""
        if self.job:
            raise NeurorackError("a change of model is going on; wait for its end")
        if not self.slots[index].holds or not self.slots[1 - index].holds:
            raise NeurorackError(f"slot {'AB'[index]} is {'all that plays' if self.slots[index].holds else 'empty'}: there is nothing to unload")
        self.emptying = index

    def mix(self, value: float) -> None:
        """The mix by hand: 0 is slot A alone, 1 slot B."""
        if not 0 <= value <= 1:
            raise NeurorackError(f"mix is {value:g}; it must lie from 0 (slot A) to 1 (slot B)")
        if self.job and self.job.fade_ms is not None:
            raise NeurorackError("a swap is going on; wait for its end")
        empty = next((slot for slot in self.slots if not slot.holds), None)
        if empty and value != float(self.heard):
            raise NeurorackError(f"slot {empty.name} is empty: load a model into it first")
        self.knob = value

    def publish(self) -> None:
        """The patch was edited."""
        for slot in self.slots:
            if slot.holds:
                slot.publish(self.patch)

    def _ask(self, job: Job) -> Job:
        self.give_up("another model was asked for")
        if self.job:
            self.next_job = job
        else:
            self.job = job
        job.spare, self.spare = self.spare or Spare(self.rack), None
        job.spare.hurry()
        job.spare.order(load=self.slots[0].config(job.path, self.settings, job.name, job.encoder))
        self.changed()
        return job

    # -- the loop

    @property
    def busy(self) -> bool:
        """Something goes on that wants to be looked at often."""
        return bool(self.job or self.next_job or self.emptying is not None or any(slot.leaving_at for slot in self.slots))

    @property
    def processes(self) -> dict[str, int]:
        """Role -> process id, for the run's file."""
        spares = {"spare": self.spare, "spare b": self.job and self.job.spare, "spare c": self.next_job and self.next_job.spare}
        found = {name: spare.process.pid for name, spare in spares.items() if spare}
        return found | {f"synth {slot.name}": slot.child.process.pid for slot in self.slots if slot.child and slot.child.process}

    def tick(self) -> None:
        """One look at everything. Never waits."""
        mix = self.rack.audio.mix
        for slot in self.slots:
            if slot.leaving_at is not None:
                slot.look_after_leaving()
                if not slot.child:
                    self.changed()
            alive = bool(slot.child and slot.child.process and slot.child.process.poll() is None)
            share = mix if slot.index else 1 - mix
            slot.faults = slot.watch.look(alive=alive, swapping=self.job is not None, heard=share > 0 and slot.leaving_at is None)
        self._spare()
        if self.job:
            self._step(self.job)
        if self.job is None and self.next_job:
            self.job, self.next_job = self.next_job, None
        if self.emptying is not None and mix == float(1 - self.emptying) and self.rack.run.mix_target == mix:
            self.slots[self.emptying].leave()
            self.emptying = None
        self._mix()

    def _spare(self) -> None:
        if self.spare and not self.spare.alive:
            self.spare.end()
            self.spare, self.spare_at = None, time.monotonic() + SPARE_PAUSE_SECONDS
        wanted = self.want_spare and time.monotonic() >= self.spare_at and (self.job is None or self.job.phase == "holding")
        if wanted and self.spare is None:
            self.spare = Spare(self.rack)
            self.changed()

    def _mix(self) -> None:
        """Where the mix shall go, and how quickly."""
        job, ms = self.job, HAND_MS
        if job and job.phase in HEARD and job.fade_ms is not None:
            target, ms = float(job.slot if job.phase != "returning" else 1 - job.slot), job.fade_ms
            if job.phase == "returning" and not self.slots[job.slot].playing:
                ms = RESCUE_MS
        elif self.emptying is not None:
            target = float(1 - self.emptying)
        elif all(slot.holds and slot.playing for slot in self.slots) and not (job and job.fade_ms is not None):
            target = followed(self.knob, self.mix_routes, self.rack)
        else:
            target = self.knob = float(self.heard)
        if not (job and job.phase in HEARD):
            self.heard = round(target) if target != 0.5 else self.heard
        run = self.rack.run
        if run.mix_target != target:
            run.mix_frames, run.mix_target = max(1, round(ms / 1e3 * self.rack.header.sample_rate_hz)), target

    @property
    def mix_routes(self) -> list[Route]:
        return [route for route in self.patch.routes if route.control == MIX]

    # -- a change of model, step by step

    def _step(self, job: Job) -> None:
        if job.phase == "loading":
            self._loading(job)
        if job.phase == "waiting":
            self._waiting(job)
        slot, rate = self.slots[job.slot or 0], self.rack.header.sample_rate_hz
        if job.phase == "filling" and slot.playing and slot.section.heartbeat_ns:
            job.enter("proving")
        if job.phase == "proving" and swap.proven(job, slot.section, slot.faults, rate):
            job.enter("fading" if job.fade_ms is not None else "done")
            if job.patch:
                self._hand_over(job)
        elif job.phase == "fading" and self.rack.audio.mix == float(job.slot):
            job.enter("holding")
            self.say(f"{job.name} plays")
        elif job.phase == "holding" and swap.held(job, slot.section, slot.faults, rate):
            self.slots[1 - job.slot].leave()
            self.heard, self.knob = job.slot, float(job.slot)
            job.enter("done")
        elif job.phase == "returning" and (self.rack.audio.mix == float(1 - job.slot) or not self.slots[1 - job.slot].holds):
            self._abandon(job.error)
            return
        if job.phase == "done":
            self.swaps_done += job.fade_ms is not None
            self.good.append(Path(job.path))
            self._end(job, None)
        elif job.error and job.phase in PREPARING:
            self._abandon(job.error)
        elif job.error and job.phase in ("fading", "holding"):
            self._turn_back(job)

    def _loading(self, job: Job) -> None:
        for answer in job.spare.answers():
            if "failed" in answer:
                job.fail(answer["failed"])
            elif "loaded" in answer:
                job.card = answer["loaded"]
                job.enter("waiting")
        if job.phase == "loading" and not job.error:
            if not job.spare.alive:
                job.fail("the process that loaded it was killed")
            elif job.seconds() > swap.LOAD_PATIENCE_SECONDS:
                job.fail(f"it was not loaded within {swap.LOAD_PATIENCE_SECONDS:g} s")

    def _waiting(self, job: Job) -> None:
        if not job.spare.alive:
            job.fail("the process that loaded it was killed")
            return
        index = (1 - self.heard) if job.slot is None else job.slot
        slot = self.slots[index]
        if slot.child is None:
            job.slot = index
            slot.take(job.path, job.card, self.patch, self.settings, job.name, job.encoder, job.patch)
            slot.child.adopt(job.spare.process)
            slot.spare, job.spare = job.spare, None
            slot.spare.order(play=index)
            job.enter("filling")
            self.changed()
        elif slot.holds and self.emptying is None:
            self.emptying = index

    def _hand_over(self, job: Job) -> None:
        """The new model's patch is the present one; the old model plays on with its own until it has gone."""
        old, new = self.slots[1 - job.slot], self.slots[job.slot]
        old.own, new.own = self.patch.copy(), None
        self.patch.become(job.patch)

    def _turn_back(self, job: Job) -> None:
        """Back to the old model and its patch, while there is one."""
        old, new = self.slots[1 - job.slot], self.slots[job.slot]
        if old.holds:
            if old.own:
                new.own = self.patch.copy()
                self.patch.become(old.own)
                old.own = None
                old.publish(self.patch)
            job.enter("returning")
        else:
            job.error = None      # there is nothing to go back to: what plays is what there is

    def _abandon(self, why: str) -> None:
        """Give the change up; what plays is untouched."""
        job = self.job
        if job.slot is not None and job.phase in ("filling", "proving", "returning"):
            slot = self.slots[job.slot]
            if slot.child and slot.child.process and slot.child.process.poll() is None:
                slot.leave()
            else:
                slot.clear()
        self._end(job, why)

    def _end(self, job: Job, why: str | None) -> None:
        if job.spare:
            job.spare.end()
            job.spare = None
        if why:
            job.error = why
            self.swaps_failed += 1
            self.say(f"warning: {job.name} is not played: {why}")
            job.enter("failed")
        self.job = None if job is self.job else self.job
        self.next_job = None if job is self.next_job else self.next_job
        self.changed()

    # -- when a process died

    def lost(self, slot: Slot, why: str, refused: bool) -> bool:
        """A slot's process died. True when it is to be started again; then ``slot.child``'s configuration is the one to use."""
        job = self.job
        if slot.leaving_at is not None:
            return False
        if job and job.slot == slot.index and self.slots[1 - slot.index].holds:
            slot.clear()
            job.error = job.error or f"its process {why}"
            if job.phase in HEARD:
                self._turn_back(job)
            self.tick()
            return False
        slot.section.playing = DETACHED
        if slot.spare:
            slot.spare.end()
            slot.spare = None
        if refused or not slot.path.is_file():
            self._fall_back(slot)
        return True

    def _fall_back(self, slot: Slot) -> None:
        """Its file is gone or no longer good: the last model that played and is there, else the factory's."""
        self.good = [path for path in self.good if path != slot.path]
        choices = list(reversed(self.good))
        with contextlib.suppress(NeurorackError):
            choices.append(library.find(None))
        for path in choices:
            try:
                card = load_model(path).card
            except NeurorackError:
                continue
            self.say(f"warning: {slot.path} cannot be loaded again; {card.get('name')} plays instead")
            child = slot.child
            slot.path, slot.card, slot.title = path, card, card.get("name", "?")
            slot.publish(self.patch)
            child.config = slot.config(path, self.settings, slot.title) | {"restarted": True}
            return

    def end(self) -> None:
        """The run is over: the spare and what is being prepared go."""
        for slot in self.slots:
            slot.watch.flush()
        for spare in (self.spare, self.job and self.job.spare, self.next_job and self.next_job.spare):
            if spare:
                spare.end()
        for job in (self.job, self.next_job):
            if job and not job.ended.is_set():
                job.error = job.error or "the instrument ended"
                job.enter("failed")
