"""Scenes: recall with a press; save, rename, copy, delete, undo, and the morph between two of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from neurorack.panel.screens.controls import Knob, percent
from neurorack.panel.screens.fields import Name
from neurorack.panel.screens.routes import Origins, RouteScreen, new_route, routes_of
from neurorack.panel.view import View
from neurorack.panel.widgets import Choice, Confirm, Item, ListScreen

MOST_SCENES = 64
BEATS = (1, 2, 4, 8, 16, 32, 64)
MORPH, HERE = "morph", "what plays now"


def told(view: View) -> dict:
    return view.answer("scenes")


def scene(view: View, number: int | None) -> dict | None:
    return next((one for one in told(view).get("scenes", []) if one["number"] == number), None)


def title_of(one: dict) -> str:
    return f"{one['number']} {one['name']}"


class Scenes(ListScreen):
    """The bank. A press recalls; 1 s opens what else can be done with a scene."""

    name, title = "scenes", "Scenes"
    needs = ("scenes",)
    holds = ("back", "more", "home")

    def __init__(self):
        super().__init__()
        self._placed = False

    def items(self, view: View) -> list[Item]:
        now = told(view)
        if "scenes" not in now:
            return [Item(now.get("error", "…"))]
        found = [Item("save as new", what=self._save_new)]
        if now.get("current") is not None:
            found.insert(0, Item(f"save into {now['current']}", "changed" if now.get("changed") else "", what=partial(self._save, now["current"])))
        if now.get("undo"):
            found.append(Item("undo", now["undo"], what=partial(self._step, "undo")))
        if now.get("redo"):
            found.append(Item("redo", now["redo"], what=partial(self._step, "redo")))
        if now["scenes"] or now.get("morph"):
            found.append(Item("morph", percent(now["morph"]["value"]) if now.get("morph") else "off", what=lambda: self.panel.push(Morph())))
        current = now.get("current")
        return found + [Item(title_of(one), self._trouble(one), what=one, mark="●" if one["number"] == current else "○") for one in now["scenes"]]

    @staticmethod
    def _trouble(one: dict) -> str:
        return "model missing" if one["missing"] else "damaged" if one.get("wrong") else ""

    def right(self, view: View) -> str:
        return "changed" if told(view).get("changed") else ""

    def draw(self, canvas, view: View) -> None:
        if not self._placed and "scenes" in told(view):
            current = told(view).get("current")
            places = [number for number, item in enumerate(self.items(view)) if isinstance(item.what, dict) and item.what["number"] == current]
            self.index, self._placed = places[0] if places else self.index, True
        super().draw(canvas, view)

    def chosen(self, item: Item) -> None:
        if isinstance(item.what, dict):
            self.panel.ask({"do": "scene_recall", "number": item.what["number"]}, lambda answer: self.panel.toast(title_of(item.what)))
        else:
            super().chosen(item)

    def hold(self, stage: int) -> None:
        item = self.item
        if stage == 2 and item and isinstance(item.what, dict):
            self.panel.push(Scene(item.what["number"]))
        elif stage == 2:
            self.press()
        else:
            super().hold(stage)

    def _save(self, number: int) -> None:
        self.panel.ask({"do": "scene_save", "number": number}, lambda answer: self.panel.toast(f"saved into {number}"))

    def _save_new(self) -> None:
        def keep(name: str) -> None:
            self.panel.ask({"do": "scene_save", "name": name}, lambda answer: self.panel.toast(f"saved: {name}"))
        free = next(number for number in range(1, MOST_SCENES + 2) if scene(self.panel.view, number) is None)
        self.panel.push(Name("new scene", f"Scene {free}", keep))

    def _step(self, way: str) -> None:
        what = told(self.panel.view).get(way)
        self.panel.ask({"do": way}, lambda answer: self.panel.toast(f"{way}: {what}"))


class Scene(ListScreen):
    """One scene, and what can be done with it."""

    name = "scene"
    needs = ("scenes",)

    def __init__(self, number: int):
        super().__init__()
        self.number, self.title = number, f"Scene {number}"

    def items(self, view: View) -> list[Item]:
        one = scene(view, self.number)
        if one is None:
            return []
        self.title = title_of(one)
        items = [Item("recall", what=self._recall), Item("save into it", what=self._save), Item("rename", what=partial(self._rename, one["name"])),
                 Item("copy", what=self._copy), Item("delete", what=partial(self._delete, one["name"]))]
        models = " + ".join(name for name in one["models"].values() if name)
        items.append(Item("plays", models or "nothing"))
        return items + [Item("missing", name, colour="bad") for name in one["missing"]]

    def _recall(self) -> None:
        self.panel.ask({"do": "scene_recall", "number": self.number}, self._back("recalled"))

    def _save(self) -> None:
        def save() -> None:
            self.panel.ask({"do": "scene_save", "number": self.number}, self._back("saved"))
        self.panel.push(Confirm(f"save into {self.number}?", save, "What it holds is replaced."))

    def _rename(self, name: str) -> None:
        def keep(new: str) -> None:
            self.panel.ask({"do": "scene_rename", "number": self.number, "name": new}, lambda answer: self.panel.toast(new))
        self.panel.push(Name(f"rename {self.number}", name, keep))

    def _copy(self) -> None:
        view = self.panel.view
        places = [(f"{number} {(scene(view, number) or {'name': 'free'})['name']}", number) for number in range(1, MOST_SCENES + 1) if number != self.number]
        free = next((number for label, number in places if scene(view, number) is None), None)
        self.panel.push(Choice(f"copy {self.number} to", places, free, self._copy_to))

    def _copy_to(self, to: int) -> None:
        def copy() -> None:
            self.panel.ask({"do": "scene_copy", "number": self.number, "to": to}, lambda answer: self.panel.toast(f"copied to {to}"))
        taken = scene(self.panel.view, to)
        if taken:
            self.panel.push(Confirm(f"replace {to}?", copy, taken["name"]))
        else:
            copy()

    def _delete(self, name: str) -> None:
        def gone(answer: dict) -> None:
            self.panel.toast(f"deleted: {name}")
            if self.panel.screen is self:
                self.panel.back()
        self.panel.push(Confirm(f"delete {self.number}?", lambda: self.panel.ask({"do": "scene_delete", "number": self.number}, gone), name))

    def _back(self, text: str) -> Callable[[dict], None]:
        def done(answer: dict) -> None:
            self.panel.toast(f"{text}: {self.title}")
            if self.panel.screen is self:
                self.panel.back()
        return done


class Morph(ListScreen):
    """From one scene to another: by hand, by the clock, by a jack."""

    name, title = MORPH, "Morph"
    needs = ("scenes", "status")

    def items(self, view: View) -> list[Item]:
        now, scenes = told(view).get(MORPH), told(view).get("scenes", [])
        if not now:
            return [Item("begin: from", "scene →", what=lambda: self.panel.push(self._scenes("morph from", None, self._from)))]
        names = {one["number"]: one["name"] for one in scenes}
        items = [Item("by hand", percent(now["value"]), what=lambda: self.panel.push(Knob(MORPH))),
                 *(Item(end, HERE if now[end] is None else f"{now[end]} {names.get(now[end], '')}", what=partial(self._end, now, end)) for end in ("from", "to")),
                 Item("by the clock", f"{now['beats']:g} beats" if now.get("beats") else "→", what=partial(self._clock, now.get("beats")))]
        for route in routes_of(view, control=MORPH):
            items.append(Item(f"← {route['jack']}", "→", what=partial(self._route, route)))
        items.append(Item("add a jack", "→", what=lambda: self.panel.push(Origins("morph: from", lambda jack: new_route(self, jack, MORPH)))))
        return items + [Item("end", what=lambda: self.panel.ask({"do": MORPH, "to": None}, lambda answer: self.panel.toast("the morph has ended")))]

    def _scenes(self, title: str, present: int | None, take) -> Choice:
        here = [(HERE, None)] if title.endswith("from") else []
        return Choice(title, here + [(title_of(one), one["number"]) for one in told(self.panel.view).get("scenes", [])], present, take)

    def _from(self, first: int | None) -> None:
        self.panel.push(self._scenes("morph to", None, lambda last: self.panel.ask({"do": MORPH, "from": first, "to": last, "value": 0.0})))

    def _end(self, now: dict, which: str) -> None:
        def take(number: int | None) -> None:
            self.panel.ask({"do": MORPH, "from": now["from"], "to": now["to"], which: number, "value": now["value"]})
        self.panel.push(self._scenes(f"morph {which}", now[which], take))

    def _clock(self, present: float | None) -> None:
        self.panel.push(Choice("in how many beats", [(str(beats), beats) for beats in BEATS], present, self._beats))

    def _beats(self, beats: int) -> None:
        self.panel.ask({"do": MORPH, "beats": beats}, lambda answer: self.panel.toast(f"morphs in {beats} beats"))

    def _route(self, route: dict) -> None:
        self.panel.push(RouteScreen(route["jack"], route["control"], route))
