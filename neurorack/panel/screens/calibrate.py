"""Calibration step by step, and the jack detective: what is patched into each jack, accepted or not."""

from __future__ import annotations

from functools import partial

from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.screens.fields import shown, words
from neurorack.panel.screens.jacks import LABELS, UNITS
from neurorack.panel.view import View
from neurorack.panel.widgets import Item, ListScreen, Text

WATCH_SECONDS = 5.0
PHASES = ("patch", "measuring", "verify", "over", "kept")      # of a calibration's step, in their order


def cv_names(view: View) -> list[str]:
    return [f"cv{i + 1}" for i in range(view.cv_jacks)]


class Calibrate(ListScreen):
    """Which jack, or all."""

    name, title = "calibrate", "Calibrate"

    def items(self, view: View) -> list[Item]:
        each = [Item(jack, f"{view.cv_volts[number]:+.2f} V", what=partial(self._begin, jack)) for number, jack in enumerate(cv_names(view))]
        return [Item("all jacks", "0, 1, 3 V", what=partial(self._begin, "all")), *each]

    def _begin(self, jack: str) -> None:
        self.panel.push(Calibration(jack))


class Calibration(Screen):
    """The steps: patch, press, look, keep. Leaving it changes nothing."""

    name = "calibration"
    holds = ("cancel", "skip jack", "home")
    needs = (("calibrate", {"do": "calibrate"}),)

    def __init__(self, jack: str):
        self.jack, self.told, self.top = jack, {}, 0
        self.title = "calibrate" if jack == "all" else f"calibrate {jack}"

    def shown(self) -> None:
        if not self.told:
            self.panel.ask({"do": "calibrate", "step": "begin", "jack": self.jack}, self._take, failed=self._refused)

    def left(self) -> None:
        if self.told.get("phase") in ("patch", "measuring", "verify"):
            self.panel.ask({"do": "calibrate", "step": "cancel"})

    def _take(self, answer: dict) -> None:
        told = answer.get("calibration")
        if told and (not self.told or self._place(told) >= self._place(self.told)):
            self.told = told

    def _refused(self, text: str) -> None:
        self.panel.notice(text)
        if self.panel.screen is self:
            self.panel.back()

    def _step(self, step: str) -> None:
        self.panel.ask({"do": "calibrate", "step": step}, self._take)

    def _look(self, view: View) -> None:
        """Take what has come, if it is news: an answer may be older than what was done here."""
        latest = view.answer("calibrate").get("calibration")
        if latest and self.told and latest["number"] == self.told["number"] and self._place(latest) >= self._place(self.told):
            self.told = latest

    @staticmethod
    def _place(told: dict) -> tuple[int, int]:
        return told["step"], PHASES.index(told["phase"])

    def turn(self, steps: int, fine: bool = False) -> None:
        self.top = max(0, self.top + steps)

    def press(self) -> None:
        phase = self.told.get("phase")
        if phase == "patch":
            self.told = {**self.told, "phase": "measuring"}
            self._step("measure")
        elif phase == "verify":
            self.panel.ask({"do": "calibrate", "step": "keep"}, self._kept)
        elif phase in ("over", "kept"):
            self.panel.back()

    def _kept(self, answer: dict) -> None:
        self._take(answer)
        self.panel.toast("kept")

    def hold(self, stage: int) -> None:
        if stage == 2 and self.told.get("phase") == "patch":
            self._step("skip")
        else:
            super().hold(stage)

    def draw(self, canvas: Canvas, view: View) -> None:
        self._look(view)
        lay, told = canvas.layout, self.told
        phase = told.get("phase", "")
        y = canvas.title(self.title, f"{told['step']}/{told['steps']}" if phase in ("patch", "measuring") else "")
        foot = canvas.height - canvas.font("tiny").height - 1
        if phase in ("verify", "kept"):
            self._verify(canvas, y, foot)
            hint = "press: keep   hold: throw away" if phase == "verify" else "kept   press: back"
        elif phase == "over":
            lines = [why if jack in why else f"{jack}: {why}" for jack, why in told["failed"].items()] or [told["error"] or told["line"]]
            canvas.lines(lay.margin, y + lay.gap, "\n".join(filter(None, lines)) or "Nothing was changed.", "regular", most=(foot - y) // (canvas.font("regular").height + 2))
            hint = "old values stay   press: back"
        elif phase == "patch":
            canvas.lines(lay.margin, y + 2 * lay.gap, told["line"], most=4)
            hint = "press: measure   1 s: skip"
        else:
            canvas.text(0, y + (foot - y) // 2 - canvas.font("regular").cap, "measuring…", width=canvas.width, align="centre")
            hint = "do not touch the cables"
        canvas.text(lay.margin, foot, hint, "tiny", "dim", canvas.width - 2 * lay.margin, scroll=True)

    def _verify(self, canvas: Canvas, y: int, foot: int) -> None:
        """A row for each jack: the largest error before and after, and what it reads now."""
        lay, face = canvas.layout, canvas.font("regular")
        pitch = face.height + lay.gap
        rows = max(1, (foot - y - canvas.font("tiny").cap - 2 * lay.gap) // pitch)
        found = list(self.told["found"].items())
        self.top = max(0, min(self.top, len(found) - rows))
        x = [lay.margin + canvas.width * share // 100 for share in (0, 21, 48, 74)]
        for at, text in zip(x, ("cents", "before", "after", "now")):
            canvas.text(at, y + 1, text, "tiny", "dim")
        y += canvas.font("tiny").cap + 2 * lay.gap
        for name, one in found[self.top: self.top + rows]:
            before, after = (max((point[key] for point in one["points"]), key=abs) for key in ("before_cents", "after_cents"))
            live = self.told["live"].get(name)
            texts = (name, f"{before:+.0f}", f"{after:+.1f}", f"{live['cents']:+.1f}" if live else "")
            for at, text, colour in zip(x, texts, ("fg", "dim", "good", "accent")):
                canvas.text(at, y, text, colour=colour)
            y += pitch


class Detective(ListScreen):
    """Watches every jack for five seconds; a press on a finding accepts what it proposes."""

    name, title = "detective", "Detective"
    needs = (("detect", {"do": "detect"}),)
    holds = ("back", "again", "home")
    empty = ""

    def __init__(self):
        super().__init__()
        self.told: dict = {}
        self._asked = False

    def shown(self) -> None:
        if not self._asked:
            self._begin()

    def _begin(self) -> None:
        self._asked, self.told = True, {"watching": True, "progress": 0.0, "findings": [], "kept": [], "error": ""}
        self.panel.ask({"do": "detect", "step": "begin", "jack": "all", "seconds": WATCH_SECONDS}, self._take)

    def _take(self, answer: dict) -> None:
        self.told = answer.get("detective") or self.told

    def items(self, view: View) -> list[Item]:
        latest = view.answer("detect").get("detective")
        if latest and self.told and latest["number"] == self.told.get("number") and len(latest["kept"]) >= len(self.told["kept"]):
            self.told = latest
        return [Item(one["jack"], words(one["role"]), what=one, mark="✓" if one["jack"] in self.told["kept"] else "") for one in self.told.get("findings", [])]

    def right(self, view: View) -> str:
        return "" if not self.told.get("watching") else "watching"

    def chosen(self, item: Item) -> None:
        self.panel.push(Found(item.what, self._keep))

    def _keep(self, jack: str) -> None:
        self.panel.ask({"do": "detect", "step": "keep", "jack": jack}, self._accepted)

    def _accepted(self, answer: dict) -> None:
        self._take(answer)
        self.panel.toast("accepted")

    def hold(self, stage: int) -> None:
        if stage == 2 and not self.told.get("watching"):
            self._begin()
        elif stage != 2:
            super().hold(stage)

    def draw(self, canvas: Canvas, view: View) -> None:
        super().draw(canvas, view)
        lay = canvas.layout
        if self.told.get("error"):
            canvas.lines(lay.margin, lay.title + lay.gap, self.told["error"])
        elif self.told.get("watching"):
            canvas.lines(lay.margin, lay.title + lay.gap, "Play what is patched: turn, hit, let it run.")
            canvas.bar(lay.margin, canvas.height - 3 * lay.bar, canvas.width - 2 * lay.margin, lay.bar, self.told["progress"], "accent")


class Found(ListScreen):
    """One finding: why, and what is proposed."""

    name = "finding"

    def __init__(self, finding: dict, keep):
        super().__init__()
        self.finding, self._keep, self.title = finding, keep, f"{finding['jack']}: {words(finding['role'])}"

    def items(self, view: View) -> list[Item]:
        proposed = self.finding["settings"]
        items = [Item("accept", what=self._accept)] if proposed else []
        items.append(Item("why", "→", what=self._why))
        return items + [Item(LABELS.get(name) or words(name), shown(value, UNITS.get(name, ""))) for name, value in proposed.items()]

    def _accept(self) -> None:
        self.panel.back()
        self._keep(self.finding["jack"])

    def _why(self) -> None:
        numbers = "\n".join(f"{words(name)}: {value:g}" for name, value in self.finding["numbers"].items())
        self.panel.push(Text(self.title, f"{self.finding['because']}\n{numbers}"))
