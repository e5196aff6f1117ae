"""The front panel in millimetres: 3U high, its width worked out from what stands behind it, a drawing and a drill table.

x from the left edge, y from the top edge. Sources: Doepfer's A-100 construction details (128.5 mm, 1 HP = 5.08 mm, holes 3 mm
from the edges, the first 7.5 mm from the left); bodies behind the panel as usual parts have them, to be measured before drilling.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from tools.draw import markdown
from tools.draw.svg import INK, QUIET, Sheet

HEIGHT, HP_MM, SLACK = 128.5, 5.08, 0.36
RAIL = 10.0                              # of the panel's height, above and below, that rails and their nuts may take
COMPUTER_MM, COMPUTER_AIR = 56.0, 1.0    # a Raspberry Pi's short side, upright behind the panel; air on either side
JACK_PITCH, JACKS_ABREAST, JACK_BODY, EDGE = 14.0, 4, (9.0, 13.0), 3.0


def width_hp(computer_mm: float = COMPUTER_MM) -> int:
    """The smallest panel that takes the computer, so wide, and four jacks abreast."""
    computer = computer_mm + 2 * COMPUTER_AIR
    jacks = (JACKS_ABREAST - 1) * JACK_PITCH + JACK_BODY[0] + 2 * EDGE
    return ceil((max(computer, jacks) + SLACK) / HP_MM)


WIDTH = round(width_hp() * HP_MM - SLACK, 2)
CENTRE = WIDTH / 2


@dataclass(frozen=True)
class Hole:
    """``diameter``, or ``window`` (width, height) of a cut-out; ``body`` behind the panel, around the hole unless ``shift`` moves it down."""

    name: str
    kind: str
    x: float
    y: float
    diameter: float = 0.0
    window: tuple[float, float] = (0.0, 0.0)
    body: tuple[float, float] = (0.0, 0.0)
    shift: float = 0.0

    def opening(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the hole itself."""
        w, h = self.window if self.window[0] else (self.diameter, self.diameter)
        return self.x - w / 2, self.y - h / 2, self.x + w / 2, self.y + h / 2

    def behind(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the part's body."""
        w, h = self.body
        return self.x - w / 2, self.y + self.shift - h / 2, self.x + w / 2, self.y + self.shift + h / 2


def _columns() -> list[float]:
    return [round(CENTRE + (i - (JACKS_ABREAST - 1) / 2) * JACK_PITCH, 2) for i in range(JACKS_ABREAST)]


def _jack(name: str, x: float, y: float) -> Hole:
    return Hole(name, "jack", x, y, 6.1, body=JACK_BODY)


def holes(cv_jacks: int = 8) -> list[Hole]:
    """Everything to drill or cut for a board with so many CV jacks (4 or 8)."""
    columns, found = _columns(), []
    for x in (7.5, 7.5 + (width_hp() - 3) * HP_MM):
        found += [Hole("rail screw", "screw", round(x, 2), y, 3.2) for y in (3.0, HEIGHT - 3.0)]
    found.append(Hole("display", "window", CENTRE, 25.5, window=(31.0, 15.6), body=(35.5, 33.5), shift=3.25))
    found += [Hole("display screw", "screw", round(CENTRE + dx, 2), y, 2.2) for dx in (-15.25, 15.25) for y in (14.5, 43.0)]
    found.append(Hole("ENCODER", "encoder", 20.0, 54.2, 7.2, body=(13.0, 13.4)))
    found.append(Hole("BUTTON", "button", 43.0, 54.2, 7.2, body=(12.0, 12.0)))
    found += [_jack("GATE 1", columns[0], 68.5), _jack("GATE 2", columns[3], 68.5)]
    found += [_jack(f"CV {i + 1}", columns[i % 4], 82.0 + 13.5 * (i // 4)) for i in range(cv_jacks)]
    found += [_jack(name, x, 109.0) for name, x in zip(("IN L", "IN R", "OUT L", "OUT R"), columns)]
    return found


def table() -> str:
    rows = []
    for hole in holes():
        size = f"{hole.window[0]:g} × {hole.window[1]:g} window" if hole.window[0] else f"⌀ {hole.diameter:g}"
        boards = "pi" if hole.name in {f"CV {i}" for i in range(5, 9)} else "with an audio input" if hole.name.startswith("IN") else "all"
        rows.append((hole.name, f"{hole.x:g}", f"{hole.y:g}", size, boards))
    return markdown.table(("hole", "x", "y", "size", "for boards"), rows)


def drawing() -> str:
    """The panel at its true size, 4 mm of paper around it."""
    margin = 4.0
    sheet = Sheet(WIDTH + 2 * margin, HEIGHT + 2 * margin + 6, f"Front panel, 3U, {width_hp()} HP: {WIDTH:g} x {HEIGHT:g} mm", unit="mm")

    def words(x: float, y: float, text: str, size: float, **more) -> None:
        sheet.words(x + margin, y + margin, text, size, "middle", **more)

    sheet.rect(margin, margin, WIDTH, HEIGHT, stroke_width=0.35)
    for y in (RAIL, HEIGHT - RAIL):
        sheet.path((margin, margin + y), (margin + WIDTH, margin + y), stroke="#b6bcc3", stroke_width=0.15, stroke_dasharray="1.2 1.2")
    words(CENTRE, 8.6, "NEURORACK", 4.2, bold=True)
    for hole in holes():
        _draw(sheet, hole, margin)
    for label, y in (("hit", 68.5), ("freeze", 72.0)):
        words(CENTRE, y, label, 2.2, colour=QUIET)
    _arrows(sheet, margin)
    words(CENTRE, HEIGHT + 4.2, f"3U, {width_hp()} HP: {WIDTH:g} × {HEIGHT:g} mm, print at 100 %", 2.2, colour=QUIET)
    words(CENTRE, HEIGHT + 7.4, "dashed: the rails' area, and bodies behind the panel", 2.2, colour=QUIET)
    return sheet.text()


def _arrows(sheet: Sheet, margin: float) -> None:
    columns, style = _columns(), {"stroke": QUIET, "stroke_width": 0.25}
    sheet.path((margin + CENTRE - 3, margin + 67.8), (margin + columns[0] + 6, margin + 67.8), **style)
    sheet.path((margin + CENTRE + 5, margin + 71.3), (margin + columns[3] - 6, margin + 71.3), **style)


def _draw(sheet: Sheet, hole: Hole, margin: float) -> None:
    x, y = hole.x + margin, hole.y + margin
    if hole.window[0]:
        left, top, right, bottom = hole.opening()
        sheet.rect(left + margin, top + margin, right - left, bottom - top, rx=0.8, stroke_width=0.3, fill="#eef1f5")
        left, top, right, bottom = hole.behind()
        sheet.rect(left + margin, top + margin, right - left, bottom - top, stroke="#b6bcc3", stroke_width=0.15, stroke_dasharray="0.8 0.8")
        sheet.words(x, y + 1, "1.3 inch display", 2.4, "middle", QUIET)
        return
    sheet.circle(x, y, hole.diameter / 2, stroke_width=0.3, fill="#eef1f5")
    for dx, dy in ((1, 0), (0, 1)):
        reach = hole.diameter / 2 + 0.7
        sheet.path((x - dx * reach, y - dy * reach), (x + dx * reach, y + dy * reach), stroke=QUIET, stroke_width=0.12)
    if hole.kind in ("encoder", "button"):
        encoder = hole.kind == "encoder"
        sheet.circle(x, y, 7 if encoder else 4.6, stroke="#b6bcc3", stroke_width=0.15, stroke_dasharray="0.8 0.8")
        label, dx, dy, anchor = ("TURN", 9.2, 0.8, "start") if encoder else ("PRESS", 0, -6.2, "middle")
        sheet.words(x + dx, y + dy, label, 2.1, anchor, QUIET)
    elif hole.kind == "jack":
        if hole.name.startswith("OUT"):
            sheet.rect(x - 6.2, y - 6.7, 12.4, 12.2, rx=1.2, stroke=INK, stroke_width=0.25)
        sheet.words(x, y - 4.3, hole.name, 2.3, "middle", bold=True)
