"""Settings as rows and editors, made from what declares them: a default, and ``choices`` or ``low`` and ``high`` with a ``unit``.

Modulators, jacks and preferences are declared elsewhere and answered by requests; no screen repeats their ranges.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.view import View
from neurorack.panel.widgets import Choice, Item, Value

LETTERS = " ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+.,'&!#()"
LONGEST_NAME = 24
SHARES = ("cycle", "level", "step")       # units of what is told as a share, 0..1


def words(name: str) -> str:
    """A field's or choice's name for people: ``attack_ms`` -> ``attack``, ``saw_up`` -> ``saw up``."""
    text = str(name)
    for unit in ("_ms", "_hz", "_volts", "_minutes", "_semitones", "_db"):
        text = text.removesuffix(unit)
    return text.rpartition(".")[2].replace("_", " ")


def shown(value, unit: str = "") -> str:
    """A value with its unit, as short as it can be understood."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return f"{len(value)} steps"
    if not isinstance(value, (int, float)):
        return words(value)
    if unit == "ms" and abs(value) >= 1000:
        return f"{value / 1000:.3g} s"
    if unit == "V":
        return "0 V" if not value else f"{1000 * value:.0f} mV" if 0 < value < 0.1 else f"{value:+.2f} V"
    if unit in SHARES:
        return f"{100 * value:.0f} %"
    text = f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:g}"
    return f"{text} {unit}".rstrip()


class Scaled(Value):
    """A value of a wide range, whose steps grow with it: from 1 ms to 20 s in two turns."""

    def turn(self, steps: int, fine: bool = False) -> None:
        self._begin(self.panel.view)
        for _ in range(abs(steps) if self.value is not None else 0):
            up = steps > 0
            wide = max(self.step, abs(self.value) * (0.01 if fine else 0.05) / (1 if up else 1.05))
            self.set(float(f"{self.value + (wide if up else -wide):.3g}"))

    def _share(self, value: float) -> float:
        return ((value - self.low) / (self.high - self.low)) ** 0.33


def step_of(spec: dict) -> float:
    """What one detent changes."""
    span = spec["high"] - spec["low"]
    if "step" in spec:
        return spec["step"]
    if spec.get("whole") or isinstance(spec["default"], int) and not isinstance(spec["default"], bool) and span >= 2:
        return 1.0
    return 0.1 if spec.get("unit") == "V" and span >= 10 else span / 100 if span <= 20 else 1.0


def wide(spec: dict) -> bool:
    """Its values span several powers of ten."""
    return spec.get("unit") in ("ms", "Hz") and spec["high"] - max(spec["low"], 0) >= 40


def number_editor(title: str, spec: dict, value: float, take: Callable[[float], None], live=None) -> Value:
    """Turn the number; ``take`` gets each value."""
    whole = spec.get("whole") or isinstance(spec["default"], int)

    def tell(number: float) -> None:
        take(round(number) if whole else number)
    kind = Scaled if wide(spec) else Value
    step = 1.0 if spec.get("unit") == "ms" else 0.01 if spec.get("unit") == "Hz" else step_of(spec)
    return kind(title, lambda view: value, tell, low=spec["low"], high=spec["high"], step=step, show=lambda number: shown(round(number) if whole else number, spec.get("unit", "")),
                live=live, default=spec["default"], doc=spec.get("doc", ""))


class WholeChoice(Choice):
    """A choice whose labels are made for people."""

    def __init__(self, title: str, choices: list, present, take: Callable[[object], None], label: Callable[[object], str] = shown):
        super().__init__(title, [(label(one), one) for one in choices], present, take)


def editor(title: str, spec: dict, value, take: Callable[[object], None]) -> Screen:
    """The screen that changes a field."""
    if "choices" in spec:
        return WholeChoice(title, spec["choices"], value, take)
    if "most" in spec:
        from neurorack.panel.screens.modulators import Steps

        return Steps(title, spec, value, take)
    return number_editor(title, spec, value, take)


def row(screen: Screen, name: str, spec: dict, value, take: Callable[[object], None], label: str = "") -> Item:
    """A row of a list that shows a field and opens its editor."""
    label = label or words(name)
    return Item(label, shown(value, spec.get("unit", "")), what=partial(_open, screen, label, spec, value, take))


def _open(screen: Screen, label: str, spec: dict, value, take) -> None:
    screen.panel.push(editor(label, spec, value, take))


class Name(Screen):
    """A name, letter by letter: turn for the letter, press for the next place."""

    name = "letters"

    @property
    def holds(self) -> tuple[str, str, str]:
        return "delete" if self.text else "cancel", "keep" if self.text else "", "cancel"

    def __init__(self, title: str, text: str, keep: Callable[[str], None]):
        self.title, self._keep = title, keep
        self.letters = [letter if letter in LETTERS else "-" for letter in text.rstrip()[:LONGEST_NAME]] or ["A"]
        self.at = len(self.letters) - 1

    @property
    def text(self) -> str:
        return "".join(self.letters).strip()

    def turn(self, steps: int, fine: bool = False) -> None:
        self.letters[self.at] = LETTERS[(LETTERS.index(self.letters[self.at]) + steps) % len(LETTERS)]

    def press(self) -> None:
        if len(self.letters) < LONGEST_NAME:
            self.at += 1
            self.letters.insert(self.at, " ") if self.at == len(self.letters) else None

    def hold(self, stage: int) -> None:
        if stage == 1:
            if not self.text:
                self.panel.back()
            elif len(self.letters) > 1:
                self.letters.pop(self.at)
                self.at = max(0, self.at - 1)
            else:
                self.letters = [" "]
        elif stage == 2 and self.text:
            self.panel.back()
            self._keep(self.text)
        elif stage == 3:
            self.panel.back()

    def draw(self, canvas: Canvas, view: View) -> None:
        lay = canvas.layout
        y = canvas.title(self.title, f"{len(self.text)}/{LONGEST_NAME}")
        font = "big" if canvas.text_width("".join(self.letters), "big") < canvas.width - 4 * lay.margin else "title"
        face, gap = canvas.font(font), max(1, lay.line)
        widths = [max(canvas.text_width(letter, font), face.space + gap, 3) + gap for letter in self.letters]
        left = sum(widths[:self.at])
        shift = max(0, left + widths[self.at] - (canvas.width - 4 * lay.margin))
        x, at = 2 * lay.margin - shift, y + 4 * lay.gap
        for place, letter in enumerate(self.letters):
            if place == self.at:
                canvas.fill(x - gap, at - lay.gap - 1, widths[place] + gap, face.cap + 2 * lay.gap + 2, "accent" if lay.colour else "fg")
            if x >= 0:
                canvas.text(x, at, letter, font, "bg" if place == self.at else "fg")
            x += widths[place]
        place = LETTERS.index(self.letters[self.at])
        near = "".join(LETTERS[(place + offset) % len(LETTERS)] for offset in range(-7, 8))
        line = at + face.cap + 4 * lay.gap + lay.margin
        _carousel(canvas, near, line)
        foot = canvas.height - canvas.font("tiny").height - 1
        canvas.text(lay.margin, foot, "press: next   hold: delete, keep", "tiny", "dim", canvas.width - 2 * lay.margin, scroll=True)


def _carousel(canvas: Canvas, letters: str, y: int) -> None:
    """The alphabet around the chosen letter, which stands in the middle."""
    lay, middle = canvas.layout, len(letters) // 2
    pitch = (canvas.width - 2 * lay.margin) // len(letters)
    for number, letter in enumerate(letters):
        x = canvas.width // 2 + (number - middle) * pitch - pitch // 2
        canvas.text(x, y, letter, colour="accent" if number == middle else "dim", width=pitch, align="centre")
    mark = canvas.width // 2 - pitch // 2
    canvas.fill(mark, y + canvas.font("regular").cap + lay.gap, pitch, lay.line, "accent")
