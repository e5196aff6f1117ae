"""What is asked for of scenes, over the control socket: ``control.py`` lists it. In the asker's thread, which may wait for the disk."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime

from neurorack.errors import PatchError
from neurorack.patches import models, schema
from neurorack.patches.present import OF_A_FILE, same


SOUGHT_SECONDS = 2.0         # panels and pages ask often


class Asked:
    """Of the ``Scenes`` of a run. ``requests``: name -> handler of ``Wishes``."""

    def __init__(self, scenes):
        self.scenes, self.run, self.history, self.bank = scenes, scenes.run, scenes.history, scenes.bank
        self._towards_scene: int | None = None       # where the way that is gone leads, for who asks for the next one meanwhile
        self._towards_state: int | None = None
        self._there: dict[tuple, bool] = {}          # which models are in the library
        self._sought = 0.0
        self.requests = {"scenes": self._scenes, "scene_save": self._save, "scene_recall": self._recall, "scene_next": self._next,
                         "scene_rename": self._rename, "scene_copy": self._copy, "scene_delete": self._delete, "undo": self._undo, "redo": self._redo,
                         "program": self._recall}

    @property
    def current(self) -> int | None:
        return self.history.notes.get("current")

    def _scenes(self, request: dict) -> dict:
        listed = []
        if time.monotonic() - self._sought > SOUGHT_SECONDS:
            self._there, self._sought = {}, time.monotonic()
        there = self._there
        for place, (document, wrong) in self.bank.all().items():
            document = document or {"models": {}}
            entry = {"number": place, "name": document.get("name", f"Scene {place}"), "models": {}, "missing": [], "saved_at": document.get("saved_at")}
            for letter, model in models.of(document).items():
                key = model["name"], model.get("sha256"), model.get("file")
                if key not in there:
                    there[key] = models.found(model, make=False) is not None
                entry["models"][letter] = model["name"]
                entry["missing"] += [] if there[key] else [model["name"]]
            listed.append(entry | ({"wrong": wrong} if wrong else {}))
        return {"scenes": listed, "current": self.current, "changed": self._changed(), "undo": self.history.undo_label, "redo": self.history.redo_label,
                "morph": self.scenes.morphing.told()}

    def _changed(self) -> bool:
        """Whether the current scene has been edited since it was saved or recalled."""
        with contextlib.suppress(PatchError):
            return self.current is None or not same(self.bank.get(self.current), self.run.call(self.scenes.meant))
        return True

    def _save(self, request: dict) -> dict:
        place = number(request) if request.get("number") is not None else self.bank.free()
        name = scene_name(request["name"]) if request.get("name") else self._name_of(place)
        for slot in self.run.slots.slots:
            if slot.path:
                self.scenes.names.look(slot.path, slot.title)
        document = self.run.call(self.scenes.meant)
        document = {"kind": schema.KIND, "format": schema.FORMAT, "name": name, "saved_at": now_text(), **document}
        before = self.bank.text(place)
        after = self.bank.put(place, schema.cleaned(document))

        def note() -> None:
            if before is not None and place != self.current:
                self.history.step(f"save over scene {place}", self.scenes.meant(), (place, before, after))
            self.history.note(current=place)
        self.run.call(note)
        return {"number": place, "name": name}

    def _name_of(self, place: int) -> str:
        with contextlib.suppress(PatchError):
            return self.bank.get(place).get("name", f"Scene {place}")
        return f"Scene {place}"

    def _recall(self, request: dict) -> dict:
        place = number(request)
        document = self.bank.get(place)
        if wrong := self.bank.wrong(place):
            self.run.say(f"warning: Scene: {place}: {wrong}")
        name = document.get("name", f"Scene {place}")
        document = {key: value for key, value in document.items() if key not in OF_A_FILE}
        self._towards_scene, self._towards_state = place, None

        def heard(way) -> None:
            self.history.step(f"recall {name}", self.scenes.there(way))
            self.history.note(current=place)
        return {"number": place, "name": name, **self.scenes.travel(document, request, heard)}

    def _next(self, request: dict) -> dict:
        places = self.bank.numbers()
        if not places:
            raise PatchError("no scene has been saved yet (`neurorack ctl scene_save`)")
        last = (self._towards_scene if self.scenes.way else None) or self.current or 0
        return self._recall({**request, "number": next((place for place in places if place > last), places[0])})

    def _rename(self, request: dict) -> dict:
        place, name = number(request), scene_name(request.get("name"))
        self._replace(place, {**self.bank.get(place), "name": name}, f"rename scene {place}")
        return {"number": place, "name": name}

    def _copy(self, request: dict) -> dict:
        place, to = number(request), number(request, "to") if request.get("to") is not None else self.bank.free()
        if place == to:
            raise PatchError(f"scene {place} cannot be copied onto itself")
        self._replace(to, {**self.bank.get(place), "saved_at": now_text()}, f"copy scene {place} to {to}")
        return {"number": to}

    def _delete(self, request: dict) -> dict:
        place = number(request)
        if self.bank.text(place) is None:
            self.bank.get(place)      # says that there is none
        self._replace(place, None, f"delete {self._name_of(place)}")
        return {}

    def _replace(self, place: int, document: dict | None, label: str) -> None:
        """Change a scene's file, as a step that can be undone."""
        before = self.bank.text(place)
        after = None if document is None else self.bank.put(place, schema.cleaned(document))
        if document is None:
            self.bank.write(place, None)

        def note() -> None:
            self.history.step(label, self.scenes.meant(), (place, before, after))
            if document is None and self.current == place:
                self.history.note(current=None)
        self.run.call(note)

    # -- undo

    def _undo(self, request: dict) -> dict:
        return self._move(request, -1, "nothing is left to undo")

    def _redo(self, request: dict) -> dict:
        return self._move(request, 1, "nothing was undone that could be done again")

    def _move(self, request: dict, by: int, none: str) -> dict:
        """A step back or forth. Where the last one is still on its way, from where that leads."""
        history = self.history
        self.run.call(self.scenes.look_now)
        with history.lock:
            at = history.at if self._towards_state is None or not self.scenes.way else self._towards_state
            to = at + by
            if not 0 <= to < len(history.steps):
                raise PatchError(none)
            step, document = history.steps[max(to, at)], schema.cleaned(history.state(to))
            self._towards_scene, self._towards_state = None, to
        if step.bank:
            place, before, after = step.bank
            self.bank.write(place, before if by < 0 else after)

        def heard(way) -> None:
            history.do(op="move", to=to)
            history.amend(self.scenes.there(way))
        return {"undone" if by < 0 else "redone": step.label, **self.scenes.travel(document, request, heard)}


def scene_name(name) -> str:
    """Raises ``PatchError``."""
    tidy = " ".join(name.split()) if isinstance(name, str) else ""
    if not 0 < len(tidy) <= schema.NAME_LETTERS or not tidy.isprintable():
        raise PatchError(f"name is {name!r}; it must be a text of at most {schema.NAME_LETTERS} letters")
    return tidy


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def number(request: dict, key: str = "number") -> int:
    """A place of the bank in the request. Raises ``NeurorackError``."""
    from neurorack.wishes import number as in_request

    return int(in_request(request, key, 1, schema.SCENES))
