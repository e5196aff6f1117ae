"""One slot: the model it holds, the process that plays it, and the patch as that model understands it."""

from __future__ import annotations

import time
from pathlib import Path

from neurorack import causes
from neurorack.shm.rack import Rack
from neurorack.voice.patch import CV_JACKS, Patch, Route, default_patch
from neurorack.watched import Spare, Watched

DETACHED, PLAYING = 0, 1
LEAVE_SECONDS = 0.5           # a synth that was told to leave and does not is killed
MIX, MORPH = "mix", "morph"   # the instrument's own controls beside the model's
FREE_JACKS = CV_JACKS[:4]


def fitted(patch: Patch, card: dict, listens: bool = False) -> Patch:
    """The present patch for another model: knobs and routes go by name; jacks it leaves free get the card's own routes,
    but for those that the musician took the routes of."""
    own, names, cleared = default_patch(card, listens), [c["name"] for c in card.get("controls", [])], patch.left_free
    routes = [route for route in patch.routes if route.control in names]
    taken = {route.control for route in routes} | cleared
    free = [jack for jack in FREE_JACKS if jack not in {route.jack for route in patch.routes if route in routes or route.control in (MIX, MORPH)} | cleared]
    for route in own.routes:
        if route.control in taken or not free:
            continue
        jack = route.jack if route.jack in free else free[0]
        free.remove(jack)
        taken.add(route.control)
        routes.append(Route(**{**route.__dict__, "jack": jack}))
    return Patch(knobs={**own.knobs, **patch.knobs}, drives=patch.drives, routes=routes, level_db=patch.level_db, gates=patch.gates)


class Slot:
    """One of the two."""

    def __init__(self, rack: Rack, index: int, throttle: causes.Throttle):
        self.rack, self.index, self.name = rack, index, "AB"[index]
        self.section = rack.synth[index]
        self.child: Watched | None = None
        self.spare: Spare | None = None      # the end of its socket, where it came as a spare
        self.path: Path | None = None
        self.title = ""
        self.card: dict = {}
        self.leaving_at: float | None = None
        self.watch = causes.Watch(rack, index, throttle)
        self.revision = 0
        self.places: dict[tuple[str, str], int] = {}      # of the routes in the shared block
        self.own: Patch | None = None        # a patch of its own, while a scene comes in over another
        self.faults: dict[str, int] = {}

    @property
    def holds(self) -> bool:
        """A model is in it, and is to stay."""
        return self.child is not None and self.leaving_at is None

    @property
    def playing(self) -> bool:
        return self.section.playing == PLAYING

    def publish(self, patch: Patch) -> None:
        """The patch, or the one of its own, as this slot's model understands it."""
        own = fitted(self.own or patch, self.card, self.rack.header.input_channels > 0)
        own.revision = self.revision
        own.publish(self.rack.patch[self.index], self.card["controls"], self.places)
        self.revision = own.revision

    def config(self, path: Path, settings, title: str, encoder: Path | None = None) -> dict:
        """For a synth of this slot. ``encoder``: of another model, to follow the audio input."""
        return {"called": ("synth", "synth b")[self.index], "slot": self.index, "model": str(Path(path).absolute()), "title": title,
                "lead_frames": settings.lead_frames, "seed": settings.seed,
                "encoder": str(Path(encoder).absolute()) if encoder else None}

    def take(self, path: Path, card: dict, patch: Patch, settings, title: str | None = None, encoder: Path | None = None,
             own: Patch | None = None) -> None:
        """Hold this model from now on; its process is started or adopted next. ``title``: how to call it (default: as its card does)."""
        self.own = own
        self.title = title or card.get("name", "?")
        self.path, self.card, self.leaving_at, self.spare = Path(path), card, None, None
        self.section.playing = DETACHED
        self.watch.begin()
        self.publish(patch)
        self.child = Watched("synth", 1 + self.index, self.section, self.config(path, settings, self.title, encoder),
                             working_ns=lambda: self.section.render_ns)

    def leave(self) -> None:
        """Its process ends, and its memory is free with that."""
        self.leaving_at = time.monotonic()
        if self.spare:
            self.spare.order(leave=1)
        elif self.child and self.child.process:
            self.child.process.kill()      # started straight into the slot: nobody hears it any more

    def look_after_leaving(self) -> None:
        process = self.child.process if self.child else None
        if process is not None and process.poll() is None:
            if time.monotonic() - self.leaving_at > LEAVE_SECONDS:
                process.kill()
            return
        self.clear()

    def clear(self) -> None:
        """Nobody writes its section any more, so the supervisor may."""
        if self.spare:
            self.spare.end()
        self.section.playing = DETACHED
        self.section.model_name = ""
        self.child = self.spare = self.path = self.leaving_at = self.own = None
        self.card = {}
