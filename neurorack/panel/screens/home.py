"""Home: what sounds, what moves it, and how the instrument is doing. A press opens the menu; turning and holding do what ``hand.py`` says."""

from __future__ import annotations

from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.screens import MainMenu, made
from neurorack.panel.screens.hand import ACTIONS, SCOPE, Hand, held, turned
from neurorack.panel.screens.pictures import gates, meter, spectrum, wave
from neurorack.panel.view import View

STYLES = ("wave", "spectrum")
FULL_VOLTS = 5.0              # of a CV's bar, either way
FLASH_SECONDS = 1.0


class Home(Screen):
    name = "home"
    needs = ("status",)

    def __init__(self):
        self.style: str | None = None       # as preferred, until it is turned
        self.hand = Hand()

    # -- controls

    @property
    def holds(self) -> tuple[str, str, str]:
        return "map", ACTIONS.get(held(self.panel.view), ACTIONS["save"])[0], "settings"

    @property
    def accelerates(self) -> bool:
        """Where turning moves a value."""
        return turned(self.panel.view) != SCOPE

    def turn(self, steps: int, fine: bool = False) -> None:
        if self.hand.turn(self.panel, steps, fine):
            return
        style = STYLES[max(0, min(len(STYLES) - 1, STYLES.index(self._style(self.panel.view)) + steps))]
        if style != self._style(self.panel.view):
            self.style = style
            self.panel.ask({"do": "preference", "name": "scope.style", "value": style}, key="scope.style")

    def press(self) -> None:
        notices = self.panel.view.answer("notices").get("notices", [])
        if notices:
            self._read(notices[-1])
        else:
            self.panel.push(MainMenu())

    def hold(self, stage: int) -> None:
        if stage == 1:
            self.panel.push(made("map:Map"))
        elif stage == 2:
            if not self.hand.hold(self.panel):
                self.save()
        else:
            self.panel.push(made("settings:Settings") or MainMenu())

    def save(self) -> None:
        """The scene that was recalled last, or the next free one, becomes what plays now."""
        current = self.panel.view.answer("scenes").get("current")
        self.panel.ask({"do": "scene_save", **({"number": current} if current else {})},
                       lambda answer: self.panel.toast(f"saved as scene {answer.get('number', current) or ''}".rstrip()))

    def _read(self, notice: dict) -> None:
        self.panel.notice(notice["text"], notice.get("remedy", ""), notice.get("level", "warning"))
        self.panel.ask({"do": "notice_seen", "id": notice["id"]}, failed=lambda text: None)

    def _style(self, view: View) -> str:
        return self.style or str(view.preferences.get("scope.style", STYLES[0]))

    # -- picture

    def draw(self, canvas: Canvas, view: View) -> None:
        lay = canvas.layout
        y = self._names(canvas, view) + lay.gap // 2
        bottom = self._bottom(canvas, view)
        below = self._cvs(canvas, view, bottom)
        meters = 8 if not lay.colour else 22
        picture, height = (wave, spectrum)[self._style(view) == "spectrum"], below - y - lay.gap
        side = lay.margin if lay.colour else 0
        picture(canvas, view, side, y, canvas.width - meters - lay.gap - 2 * side, height, "b" if view.heard else "a")
        meter(canvas, view, canvas.width - meters - side, y, meters, height)

    def _names(self, canvas: Canvas, view: View) -> int:
        """Models, scene, recording; the y below."""
        lay, (a, b) = canvas.layout, view.slots
        right = canvas.width - lay.margin
        if view.recording:
            radius = 2 if not lay.colour else 7
            canvas.moves = True
            if view.now % 1.0 < 0.7:
                canvas.dot(right - radius, canvas.middle(0, lay.title - 3, "title") + canvas.font("title").cap // 2, radius, "bad")
            right -= 2 * radius + 2 * lay.gap
        if scene := self._scene(view):
            room = min(canvas.width // 3, canvas.text_width(scene, "tiny"))
            canvas.text(right - room, canvas.middle(0, lay.title - 3, "tiny"), scene, "tiny", "dim", room)
            right -= room + 2 * lay.gap
        name = " × ".join(slot.model for slot in (a, b) if slot.playing) or view.slot.model or "no model yet"
        canvas.text(lay.margin, canvas.middle(0, lay.title - 3, "title"), name, "title", "fg", right - lay.margin, scroll=True)
        y = lay.title - 3
        if a.playing and b.playing:       # where the crossfade stands
            canvas.fill(0, y, canvas.width, lay.line, "dim") if lay.colour else canvas.dotted(0, y, canvas.width, 3)
            at, half = round(view.mix * (canvas.width - 1)), 3 * lay.line
            canvas.fill(max(0, at - half), y - lay.line // 2, 2 * half + 1, lay.line * 2, "accent")
        else:
            canvas.fill(0, y, canvas.width, 1, "faint") if lay.colour else canvas.dotted(0, y, canvas.width, 2)
        return y + 2 * lay.line

    @staticmethod
    def _scene(view: View) -> str:
        told = view.answer("scenes")
        number = told.get("current")
        if not number:
            return ""
        name = next((scene.get("name") or "" for scene in told.get("scenes", []) if scene["number"] == number), "")
        return f"{number} {name}".rstrip() + ("*" if told.get("changed") else "")

    def _cvs(self, canvas: Canvas, view: View, bottom: int) -> int:
        """Four jacks, each with the name of what it moves; the y above them."""
        lay = canvas.layout
        moves: dict[str, list[str]] = {}
        for route in view.slot.routes:
            moves.setdefault(route.jack, []).append(route.control)
        jacks = [f"cv{i + 1}" for i in range(view.cv_jacks)]
        shown = sorted(([jack for jack in jacks if jack in moves] + [jack for jack in jacks if jack not in moves])[:4])
        return (self._cv_rows if lay.colour else self._cv_columns)(canvas, view, shown, moves, bottom)

    @staticmethod
    def _label(view: View, jack: str, moves: dict[str, list[str]]) -> str:
        names = moves.get(jack, [])
        if not names:
            return jack
        control = view.slot.control(names[0])
        return (control.label if control and control.label else names[0]) + (f" +{len(names) - 1}" if len(names) > 1 else "")

    @staticmethod
    def _share(view: View, jack: str) -> float:
        return 0.5 + view.cv_volts[int(jack[2:]) - 1] / (2 * FULL_VOLTS)

    def _cv_columns(self, canvas: Canvas, view: View, shown: list[str], moves: dict, bottom: int) -> int:
        """Beside each other, each with its name above."""
        lay = canvas.layout
        tiny = canvas.font("tiny").cap
        top = bottom - lay.gap - tiny - 2 - lay.bar
        width = (canvas.width + 2) // 4
        for number, jack in enumerate(shown):
            x = number * width
            label = self._label(view, jack, moves)
            while canvas.text_width(label, "tiny") > width - 3:
                label = label[:-1]
            canvas.text(x, top, label, "tiny", width=width - 2)
            self._volts(canvas, view, jack, x, top + tiny + 2, width - 3)
        return top - 1

    def _cv_rows(self, canvas: Canvas, view: View, shown: list[str], moves: dict, bottom: int) -> int:
        """Below each other, each with its name on the left."""
        lay = canvas.layout
        pitch, names = canvas.font("tiny").height + 2, canvas.width * 2 // 5
        top = bottom - lay.gap - pitch * len(shown)
        for number, jack in enumerate(shown):
            y = top + number * pitch
            canvas.text(lay.margin, canvas.middle(y, pitch, "tiny"), self._label(view, jack, moves), "tiny", "dim" if jack not in moves else "fg", names - 2 * lay.margin)
            self._volts(canvas, view, jack, names, y + (pitch - lay.bar) // 2, canvas.width - names - lay.margin)
        return top

    def _volts(self, canvas: Canvas, view: View, jack: str, x: int, y: int, width: int) -> None:
        number = int(jack[2:])
        if view.unpatched >> (number - 1) & 1:
            canvas.dotted(x, y + canvas.layout.bar // 2, width, 4)
            return
        canvas.bar(x, y, width, canvas.layout.bar, self._share(view, jack), f"cv{(number - 1) % 4 + 1}", 0.5)

    def _bottom(self, canvas: Canvas, view: View) -> int:
        """The lowest line: a gap in the sound, a notice, or gates, clock, load and underruns; the y above it."""
        lay = canvas.layout
        height = 9 if not lay.colour else 26
        y = canvas.height - height
        notices = view.answer("notices").get("notices", [])
        if view.underrun_age < FLASH_SECONDS:
            lit = view.underrun_age % 0.25 < 0.125
            canvas.moves = True
            canvas.fill(0, y, canvas.width, height, "bad" if lit else "bg")
            canvas.text(0, canvas.middle(y, height), f"Underrun {view.underruns}", colour="bg" if lit else "bad", align="centre")
        elif notices:
            canvas.fill(0, y, canvas.width, height, "accent")
            text = notices[-1]["text"] + (f" → {notices[-1]['remedy']}" if notices[-1].get("remedy") else "")
            canvas.text(lay.margin, canvas.middle(y, height), text, colour="bg", width=canvas.width - 2 * lay.margin, scroll=True)
        else:
            self._state(canvas, view, y, height)
        return y

    @staticmethod
    def _state(canvas: Canvas, view: View, y: int, height: int) -> None:
        """Gates, freeze, clock, load, underruns."""
        lay = canvas.layout
        at = canvas.middle(y - 3 * lay.colour, height, "tiny")
        side = lay.margin if lay.colour else 0
        x = gates(canvas, view, side, y - lay.colour * 2, height - lay.colour * 2) + lay.gap
        if view.slot.frozen:
            clock = "frozen"
        elif view.clock != "none":
            clock = f"{'●' if view.beat < 0.2 else '○'} {view.bpm:.1f}"
        else:
            clock = "no clock"
        canvas.text(x, at, clock, "tiny", "cv3" if view.slot.frozen else "fg")
        load = f"{100 * view.load:.0f}%"
        late = f"!{view.underruns}" if view.underruns else ""
        right = canvas.width - side
        if late:
            right -= canvas.text(0, at, late, "tiny", "bad", right, "right") + 2 * lay.gap
        canvas.text(0, at, f"load {load}", "tiny", "bad" if view.load > 0.8 else "dim", right, "right")
