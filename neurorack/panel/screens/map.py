"""Map: the main plane of the model that is heard, the point where its CVs and knobs put it, the trail behind it, saved places, and,
where the model's card draws them, the clips it was trained on, the nearest by name.

Turning chooses: the sign + (keep the present place) or a place; a press keeps or goes there.
"""

from __future__ import annotations

from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.screens.clips import clips_on_map, nearest
from neurorack.panel.view import Slot, View


class Map(Screen):
    name = "map"

    def __init__(self):
        self.index = 0              # 0: keep the present place; i: place i

    @property
    def holds(self) -> tuple[str, str, str]:
        return "back", "delete" if self.index else "", "home"

    @property
    def needs(self) -> tuple:
        slot = self.panel.view.slot
        return (("waypoints", {"do": "waypoints", "model": slot.model, "plane": list(slot.plane)}),) if slot.plane else ()

    # -- controls

    def _points(self, view: View) -> list:
        return view.answer("waypoints").get("points", [])

    def turn(self, steps: int, fine: bool = False) -> None:
        self.index = max(0, min(len(self._points(self.panel.view)), self.index + steps))

    def _edit(self, said: str, **change) -> None:
        slot = self.panel.view.slot
        self.panel.ask({"do": "waypoint", "model": slot.model, "plane": list(slot.plane), **change}, lambda answer: self.panel.toast(said))

    def press(self) -> None:
        view = self.panel.view
        slot, points = view.slot, self._points(view)
        here = self._here(slot)
        if here is None:
            return
        if self.index == 0:
            self._edit(f"kept as place {len(points) + 1}", at=list(here))
        elif self.index <= len(points):
            self._go(slot, points[self.index - 1])

    def _go(self, slot: Slot, point) -> None:
        """Turn both knobs so that the point comes to lie there, with the CVs as they are."""
        for name, target in zip(slot.plane, point):
            control = slot.control(name)
            knob = min(1.0, max(0.0, control.knob + target - control.value))
            self.panel.ask({"do": "set", "control": name, "value": round(knob, 4)}, key=f"set {name}")
        self.panel.toast(f"place {self.index}")

    def hold(self, stage: int) -> None:
        if stage == 2:
            if self.index:
                self._edit(f"place {self.index} is forgotten", delete=self.index - 1)
        else:
            super().hold(stage)

    # -- picture

    @staticmethod
    def _here(slot: Slot) -> tuple[float, float] | None:
        found = [slot.control(name) for name in slot.plane or ()]
        return (found[0].value, found[1].value) if len(found) == 2 and all(found) else None

    def draw(self, canvas: Canvas, view: View) -> None:
        lay, slot = canvas.layout, view.slot
        here = self._here(slot)
        if here is None:
            y = canvas.title("Map", slot.model)
            canvas.lines(lay.margin, y + lay.gap, "this model has no two controls to draw a map of" if slot.card else "…", colour="dim")
            return
        points = self._points(view)
        self.index = max(0, min(self.index, len(points)))
        tiny = canvas.font("tiny")
        y = canvas.title("Map", slot.model) if lay.colour else 0
        foot = tiny.height + 2 * lay.line
        side = 0 if lay.colour else 24
        area = (0, y, canvas.width - side, canvas.height - y - foot - (lay.row + lay.margin if lay.colour else 0))
        self._plane(canvas, view, here, points, area)
        self._axes(canvas, slot, canvas.height - (tiny.height if lay.colour else tiny.cap) - lay.line)
        if lay.colour:
            self._places(canvas, points, lay.margin, area[1] + area[3] + lay.margin, True)
        else:
            self._places(canvas, points, canvas.width - side + 4, 0, False)

    def _plane(self, canvas: Canvas, view: View, here, points, area) -> None:
        lay, (left, top, width, height) = canvas.layout, area
        inner = 3 * lay.line

        def place(point) -> tuple[int, int]:
            return (left + inner + round(point[0] * (width - 1 - 2 * inner)), top + height - 1 - inner - round(point[1] * (height - 1 - 2 * inner)))

        canvas.frame(left, top, width, height, "faint" if lay.colour else "dim")
        across, down = place((0.5, 0.5))
        canvas.dotted(left + 2, down, width - 4, 6 * lay.line)
        for at in range(top + 2, top + height - 2, 6 * lay.line):
            canvas.fill(across, at, 1, 1, "dim")
        clips = clips_on_map(view.slot)
        near = nearest(clips, here)
        for clip in clips:
            self._clip(canvas, *place(clip), clip is near)
        trail = view.trail[view.heard]
        if len(trail) > 1:
            where = [place(point) for point in trail]
            fresh = max(0, len(where) - len(where) // 3)
            if lay.colour:
                canvas.line(where[:fresh + 1], "dim", 1)
                canvas.line(where[fresh:], "b" if view.heard else "a", 2)
            else:
                for x, y in where[:fresh:2]:
                    canvas.fill(x, y, 1, 1)
                canvas.line(where[fresh:], "fg")
        for number, point in enumerate(points, 1):
            self._place(canvas, *place(point), str(number), number == self.index)
        x, y = place(here)
        radius = 2 * lay.line + lay.colour
        canvas.dot(x, y, radius + 1 + lay.line, "bg")
        canvas.dot(x, y, radius, "accent")
        canvas.fill(x - radius - 3 * lay.line, y, 2 * lay.line, 1, "accent")
        canvas.fill(x + radius + 1 + lay.line, y, 2 * lay.line, 1, "accent")
        canvas.fill(x, y - radius - 3 * lay.line, 1, 2 * lay.line, "accent")
        canvas.fill(x, y + radius + 1 + lay.line, 1, 2 * lay.line, "accent")

        if near:
            self._named(canvas, near[2], left + 2 * lay.line, top + 2 * lay.line, place(here))

    @staticmethod
    def _clip(canvas: Canvas, x: int, y: int, is_near: bool) -> None:
        """A clip of the training data: a speck; the nearest one a ring."""
        lay = canvas.layout
        if is_near:
            canvas.dot(x, y, 2 + lay.line, "fg")
            canvas.dot(x, y, 1 + lay.line, "bg")
            canvas.fill(x, y, lay.line, lay.line, "fg")
        else:
            canvas.fill(x, y, 1 + lay.colour, 1 + lay.colour, "dim")

    @staticmethod
    def _named(canvas: Canvas, name: str, x: int, y: int, here) -> None:
        """The nearest clip's name in a corner of the plane; below, where the point itself is above."""
        lay, tiny = canvas.layout, canvas.font("tiny")
        width = min(canvas.text_width(name, "tiny"), canvas.width // 2)
        if here[1] < y + tiny.height + 6 * lay.line and here[0] < x + width + 12 * lay.line:
            x = canvas.width - width - 8 * lay.line - (0 if lay.colour else 24)
        canvas.fill(x, y, width + 2 * lay.line, tiny.cap + 3 * lay.line, "bg")
        canvas.text(x + lay.line, y + lay.line, name, "tiny", "fg", width)

    @staticmethod
    def _place(canvas: Canvas, x: int, y: int, text: str, selected: bool) -> None:
        """A numbered place, in the middle of its box."""
        tiny, lay = canvas.font("tiny"), canvas.layout
        width, height = canvas.text_width(text, "tiny") + 4 * lay.line, tiny.cap + 4 * lay.line
        x, y = max(0, min(canvas.width - width, x - width // 2)), max(0, y - height // 2)
        canvas.fill(x, y, width, height, "accent" if selected else "bg")
        canvas.frame(x, y, width, height, "accent" if selected else "dim")
        canvas.text(x + 2 * lay.line, y + 2 * lay.line, text, "tiny", "bg" if selected else "fg")

    def _places(self, canvas: Canvas, points, x: int, y: int, across: bool) -> None:
        """What turning chooses from."""
        lay = canvas.layout
        words = ["+", *(str(number) for number in range(1, len(points) + 1))]
        size = lay.row - 1 if across else lay.row - 1
        shown = (canvas.width - 2 * lay.margin) // (size + lay.margin) if across else canvas.height // lay.row
        first = max(0, min(self.index - shown + 1 if self.index >= shown else 0, len(words) - shown))
        for index, word in enumerate(words[first: first + shown], first):
            selected = index == self.index
            width = size if across else canvas.width - x
            if selected:
                canvas.fill(x, y, width, size, "accent")
            elif across:
                canvas.frame(x, y, width, size, "faint")
            canvas.text(x, canvas.middle(y, size), "keep" if word == "+" and not across else word, colour="bg" if selected else "fg", width=width, align="centre")
            x, y = (x + size + lay.margin, y) if across else (x, y + lay.row)

    @staticmethod
    def _axes(canvas: Canvas, slot: Slot, y: int) -> None:
        half = canvas.width // 2
        for number, (sign, name) in enumerate(zip("→↑", slot.plane)):
            control = slot.control(name)
            canvas.text(canvas.layout.margin * canvas.layout.colour + number * half, y, f"{sign} {control.label or name}", "tiny", "dim", half - 2)
