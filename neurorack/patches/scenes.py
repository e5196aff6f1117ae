"""Patches and scenes of the running instrument: what it plays with is noted as it is edited; scenes are saved, recalled, morphed.

Requests come in threads of their own, which may wait for the disk; ``tick`` belongs into the supervisor's loop and never waits.
"""

from __future__ import annotations

import contextlib
import threading
import time

from neurorack.errors import NeurorackError, PatchError
from neurorack.patches import models, schema
from neurorack.patches.asked import Asked
from neurorack.patches.bank import Bank
from neurorack.patches.edits import described
from neurorack.patches.morph import between
from neurorack.patches.morphing import Morphing
from neurorack.patches.present import capture, patch_of, play_beside, unknown
from neurorack.patches.recall import GLIDE_SECONDS, Wanted, Way
from neurorack.patches.turned import Turned
from neurorack.patches.waking import Beginning, found_models

LEAST_GLIDE_STEPS = 16
LOOK_SECONDS, MORPH_LOOK_SECONDS = 0.1, 0.5      # between two looks for edits
JOIN_SECONDS = 1.0           # edits of one thing that follow each other so soon are one step
WAIT_SECONDS = 80.0
MISSING_SECONDS = 1.0        # between two looks for a missing model


class Scenes:
    """Of one run, which began so."""

    def __init__(self, run, beginning: Beginning):
        self.run, self.beginning, self.history = run, beginning, beginning.history
        self.bank, self.names = Bank(), models.Names()
        self.more: dict = {}
        if beginning.document:
            self.more = unknown(beginning.document)
            monitor = {"monitor_db": run.settings.monitor_db} if run.settings.monitor_db is not None else {}
            play_beside(run, {**beginning.document, **monitor})
        self.way: Way | None = None
        self._patched, self._before = False, {}
        self._gone = False                       # somewhere, ever
        self._heard = self._arrival = None       # what to do once it is heard, and once there
        self._glide: list | None = None          # from, to, how far, when last
        self._turned = Turned(self)
        self._glided = threading.Event()         # no glide is under way
        self.waiting: dict | None = None         # a document some of whose models are missing, and what plays instead
        self._instead: list | None = None
        self._missing: set[str] = set()          # slots of that document
        self._looked = self._edited = 0.0
        self._key: object = None
        self._searching = False
        self.morphing = Morphing(self)
        #: what the control socket can ask for: name -> handler of ``Wishes``
        self.requests = {**Asked(self).requests, **self.morphing.requests}

    # -- in the supervisor's loop

    def begin(self) -> None:
        """The first sound has come: what the run began with is the present state, and the other slot's model follows."""
        start = self.beginning
        for words in start.words:
            self.run.say(words)
        if self._gone:               # somebody was quicker
            return
        if start.label:
            self.history.note(current=None, morph=None)
            self.history.step(start.label, self.now())
        if start.document and start.document["models"]:
            document = {**self.now(), "models": start.document["models"], "mix": start.document["mix"]}      # with what was edited meanwhile
            self.go(document, start.found, arrival=self._woken)
            self._tell_missing([model["name"] for letter, model in models.of(start.document).items() if letter not in start.found])

    def _woken(self, way: Way) -> None:
        self.history.amend(self.there(way))
        if noted := self.history.notes.get("morph"):
            self.morphing.again(noted)

    def end(self) -> None:
        """The run is over: the last edits go to the disk."""
        if self.beginning.journal:
            self.look_now()
            self.beginning.journal.close()

    @property
    def busy(self) -> bool:
        """Something goes on that wants to be looked at often."""
        return bool(self._glide or self.way or self.morphing.busy)

    @property
    def still(self) -> bool:
        """What plays is what is meant."""
        slots = self.run.slots
        return not (self.way or self._glide or slots.job or slots.next_job or slots.emptying is not None)

    def tick(self, now: float) -> None:
        """One look at everything. What goes wrong here must not end the sound."""
        try:
            self._tick(now)
        except Exception as error:   # noqa: BLE001
            self.run.say(f"warning: Scene: given up ({type(error).__name__}: {error})")
            if self.way:
                self.way.end("something went wrong; the instrument's messages tell more")
            self.way = self._glide = self.morphing.morph = None
            self._glided.set()

    def _tick(self, now: float) -> None:
        if self.way:
            self._step(self.way, now)
        if self._glide:
            self._gliding(now)
        self.morphing.tick(now)
        if now - self._looked >= (MORPH_LOOK_SECONDS if self.morphing.morph else LOOK_SECONDS) and self.still and self.run.sounding_at is not None:
            self._looked = now
            self._look(now)

    def now(self) -> dict:
        """What plays as a document."""
        slots = self.run.slots
        told = {slot.name: self.names.told(slot.path, slot.title) | ({"encoder": slot.child.config["encoder"]} if slot.child.config.get("encoder") else {})
                for slot in slots.slots if slot.holds}
        document = capture(self.run, told, self.more)
        if self.waiting:
            if self._instead == self.playing():
                return {**document, "models": self.waiting["models"], "mix": self.waiting["mix"]}
            self.waiting = None
        return document

    def meant(self) -> dict:
        """As ``now``, once all that is on its way has come. In the supervisor's loop."""
        if self.way and not self.way.patched:
            return self.way.here
        now = end = self.now()
        if self._glide:
            self._turned.look()
            end = self._turned.on(self._glide[1])
        at = self.way.here if self.way else now
        return schema.cleaned({**end, "models": at["models"], "mix": at["mix"]})

    def there(self, way: Way) -> dict:
        """The document that was gone for, as it lies in the slots."""
        if self.waiting or not way.ended.is_set():
            return way.here
        return schema.cleaned({**way.here, "models": self.now()["models"], "mix": self.run.slots.knob})

    def playing(self) -> list:
        return [slot.path if slot.holds else None for slot in self.run.slots.slots]

    def look_now(self) -> None:
        """Note what was edited just now, where that can be told."""
        if self.still and self.run.sounding_at is not None:
            self._look(time.monotonic())

    def _look(self, now: float) -> None:
        """Note what was edited since the last look."""
        document, before = self.now(), self.history.now
        if document == before:
            return
        if not before:
            self.history.step("", document)
            return
        label, key = described(before, document)
        if key is not None and (morph := self.morphing.morph):
            label, key = self.morphing.label, id(morph)
            if morph.numbers[0]:
                self.history.note(morph=self.morphing.told())
        if key is None:                          # a model's sha256 has become known
            self.history.amend(document)
        elif key == self._key and (self.morphing.morph or now - self._edited < JOIN_SECONDS) and self.history.at:
            self.history.join(document)
        else:
            self.history.step(label, document)
        self._key, self._edited = key, now

    def go(self, document: dict, found: dict[str, Wanted], heard=None, arrival=None) -> Way:
        """Set out for a document; ``heard(way)`` is called once it begins to be heard, ``arrival(way)`` once there."""
        if self.way and not self.way.ended.is_set():
            self.way.end("another patch was asked for")
        self.run.slots.give_up("another patch was asked for")
        self._glide, self._gone = None, True
        self._glided.set()
        self.way, self._heard, self._arrival = Way(document, found), heard, arrival
        self._patched = False
        return self.way

    def _leave_morph_and_go(self, *what) -> Way:
        if self.morphing.morph:
            self.morphing.end()
        return self.go(*what)

    def _step(self, way: Way, now: float) -> None:
        way.step(self.run.slots, now)
        if way.patched and not self._patched:
            self._patched, self._before = True, self.now()
            if way.glides:
                self._glided.clear()
                self._turned = Turned(self)
                self._turned.remember(self._before)
                self._glide = [self._before, way.here, 0.0, now]
            else:
                play_beside(self.run, way.here)
            self.more = unknown(way.document)
            if self._heard:
                self._heard(way)
            self._key = None
        if not way.ended.is_set():
            return
        self.way = None
        if way.error:
            if way.patched:
                play_beside(self.run, self._before)
            self._missing -= way.models.keys()       # one that came and cannot be played is not tried again
            return
        for slot in self.run.slots.slots:
            for letter, wanted in way.models.items():
                if wanted.lies_in(slot):
                    self.names.learn(slot.path, slot.title, way.document["models"][letter])
        self._missing = models.of(way.document).keys() - way.models.keys()
        self.waiting, self._instead = (way.document, self.playing()) if self._missing else (None, None)
        if self._heard:
            self.history.amend(self.there(way))
        if self._arrival:
            self._arrival(way)
        self._key = None

    def _gliding(self, now: float) -> None:
        one, other, x, last = self._glide
        self._turned.look()
        x = min(1.0, x + min(now - last, GLIDE_SECONDS / LEAST_GLIDE_STEPS) / GLIDE_SECONDS)     # late, it glides longer
        self._glide[2:] = x, now
        self.play(document := self._turned.on(between(one, other, x, self.defaults())))
        self._turned.remember(document)
        if x >= 1:
            self._glide = None
            self._glided.set()

    def play(self, document: dict) -> None:
        """What of a document is no model and no mix, at once."""
        before = self.run.patch.copy()
        try:
            self.run.patch.become(patch_of(document))
            self.run.slots.publish()
            play_beside(self.run, document)
        except NeurorackError as error:      # more routes than a model can follow
            self.run.patch.become(before)
            self.run.slots.publish()
            self.run.say(f"warning: Patch: {error}")

    def defaults(self) -> dict[str, float]:
        """Control to where its knob stands that nobody has turned."""
        found: dict[str, float] = {}
        for slot in self.run.slots.slots:
            if slot.holds:
                own = (slot.card.get("patch") or {}).get("knobs") or {}
                found = {c["name"]: own.get(c["name"], c.get("default", 0.5)) for c in slot.card.get("controls", [])} | found
        return found

    # -- recall, in the asker's thread

    def travel(self, document: dict, request: dict, heard=None, arrival=None, found: dict[str, Wanted] | None = None) -> dict:
        """Go there and wait for the arrival, unless told not to. The answer's fields. Raises ``NeurorackError``."""
        found = found_models(document) if found is None else found
        missing = [model["name"] for letter, model in models.of(document).items() if letter not in found]
        way = self.run.call(self._leave_morph_and_go, document, found, heard, arrival)
        if request.get("wait", True) and way.ended.wait(WAIT_SECONDS) and way.glides:
            self._glided.wait(1.0)
        if way.error:
            raise PatchError(way.error)
        self._tell_missing(missing)
        return {"missing": missing}

    def _tell_missing(self, missing: list[str]) -> None:
        """Say so, and take them when they come, from a thread of its own."""
        if missing:
            self.run.say(f"warning: Scene: {', '.join(missing)} is missing and waited for; add it: neurorack models add FILE")
        if missing and not self._searching:
            self._searching = True
            threading.Thread(target=self._searcher, name="missing models", daemon=True).start()

    def _searcher(self) -> None:
        while self.run.leaving is None:
            time.sleep(MISSING_SECONDS)
            with contextlib.suppress(NeurorackError, TimeoutError):
                document = self.run.call(lambda: self.now() if self.waiting and self.still else None)
                if document is None:
                    if self.waiting is None and self.way is None:
                        break
                    continue
                found = found_models(document)
                if came := self._missing & found.keys():
                    self.run.say(f"{', '.join(found[letter].name for letter in came)}: there now")
                    self.run.call(self.go, document, found, lambda way: None)
        self._searching = False
