"""Circuit symbols on a ``Sheet``, on a grid of 10 pixels. Two-ended parts are drawn from one point to another."""

from __future__ import annotations

from tools.draw.svg import INK, QUIET, Sheet

BODY = 34          # length of a resistor's box
LINE = {"stroke_width": 1.6}


class Circuit:
    """A sheet for a circuit. Points are ``(x, y)``; parts lie flat or upright, never askew."""

    def __init__(self, width: float, height: float, title: str, note: str = ""):
        self.sheet = Sheet(width, height, title)
        self.sheet.words(20, 30, title, 17, bold=True)
        if note:
            self.sheet.words(20, 50, note, 11.5, colour=QUIET)

    def wire(self, *points: tuple[float, float]) -> None:
        self.sheet.path(*points, **LINE)

    def dot(self, x: float, y: float) -> None:
        self.sheet.circle(x, y, 3, fill=INK)

    def _ends(self, start, end, gap: float):
        """Leads up to a body of length ``gap`` in the middle; returns (middle, upright)."""
        (x0, y0), (x1, y1) = start, end
        upright, mx, my = x0 == x1, (x0 + x1) / 2, (y0 + y1) / 2
        half = gap / 2
        if upright:
            sign = 1 if y1 > y0 else -1
            self.wire(start, (x0, my - sign * half))
            self.wire((x0, my + sign * half), end)
        else:
            sign = 1 if x1 > x0 else -1
            self.wire(start, (mx - sign * half, y0))
            self.wire((mx + sign * half, y0), end)
        return mx, my, upright

    def _label(self, mx: float, my: float, upright: bool, value: str, name: str, away: float = 14) -> None:
        if upright:
            self.sheet.words(mx + away, my - (2 if name else -4), value, 11.5)
            self.sheet.words(mx + away, my + 12, name, 10, colour=QUIET)
        else:
            self.sheet.words(mx, my - away, value, 11.5, "middle")
            self.sheet.words(mx, my + away + 9, name, 10, "middle", QUIET)

    def resistor(self, start, end, value: str, name: str = "") -> None:
        mx, my, upright = self._ends(start, end, BODY)
        width, height = (13, BODY) if upright else (BODY, 13)
        self.sheet.rect(mx - width / 2, my - height / 2, width, height, fill="#ffffff", stroke_width=1.6)
        self._label(mx, my, upright, value, name)

    def fuse(self, start, end, value: str) -> None:
        mx, my, upright = self._ends(start, end, BODY)
        self.sheet.rect(mx - BODY / 2, my - 6.5, BODY, 13, fill="#ffffff", stroke_width=1.6)
        self.wire((mx - BODY / 2, my), (mx + BODY / 2, my))
        self._label(mx, my, upright, value, "")

    def capacitor(self, start, end, value: str, name: str = "") -> None:
        mx, my, upright = self._ends(start, end, 8)
        for side in (-4, 4):
            dx, dy = (12, 0) if upright else (0, 12)
            x, y = (mx, my + side) if upright else (mx + side, my)
            self.sheet.path((x - dx, y - dy), (x + dx, y + dy), stroke_width=2)
        self._label(mx, my, upright, value, name, 18)

    def diode(self, start, end, value: str = "", schottky: bool = False) -> None:
        """Conducts from ``start`` to ``end``."""
        mx, my, upright = self._ends(start, end, 16)
        sign = (1 if end[1] > start[1] else -1) if upright else (1 if end[0] > start[0] else -1)
        if upright:
            self.sheet.path((mx - 9, my - 8 * sign), (mx + 9, my - 8 * sign), (mx, my + 8 * sign), close=True, fill="#ffffff")
            self.sheet.path((mx - 9, my + 8 * sign), (mx + 9, my + 8 * sign), stroke_width=2)
        else:
            self.sheet.path((mx - 8 * sign, my - 9), (mx - 8 * sign, my + 9), (mx + 8 * sign, my), close=True, fill="#ffffff")
            self.sheet.path((mx + 8 * sign, my - 9), (mx + 8 * sign, my + 9), stroke_width=2)
        self._label(mx, my, upright, value, "Schottky" if schottky else "")

    def ground(self, x: float, y: float) -> None:
        self.wire((x, y), (x, y + 8))
        for i, half in enumerate((11, 7, 3)):
            self.wire((x - half, y + 8 + 4 * i), (x + half, y + 8 + 4 * i))

    def supply(self, x: float, y: float, name: str, down: bool = False) -> None:
        """A rail above (or below) a point."""
        sign = 1 if down else -1
        self.wire((x, y), (x, y + 10 * sign))
        self.wire((x - 9, y + 10 * sign), (x + 9, y + 10 * sign))
        self.sheet.words(x, y + (24 if down else -15), name, 11, "middle", "#b8500b", bold=True)

    def jack(self, x: float, y: float, name: str, output: bool = False) -> None:
        """A socket whose tip is at (x, y)."""
        side = 1 if output else -1
        self.wire((x, y), (x + 16 * side, y))
        self.sheet.circle(x + 28 * side, y, 12, fill="#ffffff", stroke_width=1.6)
        self.sheet.circle(x + 28 * side, y, 4.5, fill=INK)
        self.sheet.words(x + 28 * side, y - 20, name, 11.5, "middle", bold=True)

    def port(self, x: float, y: float, name: str, left: bool = False) -> None:
        """Where a wire leaves the drawing."""
        sign = -1 if left else 1
        self.sheet.path((x, y - 8), (x + 10 * sign, y), (x, y + 8), close=True, fill="#e8eef6")
        self.sheet.words(x + 16 * sign, y + 4, name, 11.5, "end" if left else "start", bold=True)

    def amplifier(self, x: float, y: float, name: str, minus_above: bool = True) -> tuple:
        """A triangle with its output at (x, y); returns the places of (-), (+) and output."""
        self.sheet.path((x, y), (x - 70, y - 40), (x - 70, y + 40), close=True, fill="#ffffff", stroke_width=1.6)
        above, below = (x - 70, y - 20), (x - 70, y + 20)
        for (px, py), sign in ((above, "−" if minus_above else "+"), (below, "+" if minus_above else "−")):
            self.sheet.words(px + 6, py + 5, sign, 14)
        self.sheet.words(x - 60, y + 4, name, 10)
        return (above, below, (x, y)) if minus_above else (below, above, (x, y))

    def box(self, x: float, y: float, width: float, height: float, *lines: str) -> None:
        self.sheet.rect(x, y, width, height, fill="#f8f9fb", rx=4, stroke_width=1.6)
        for i, line in enumerate(lines):
            self.sheet.words(x + width / 2, y + height / 2 + 4 + 15 * (i - (len(lines) - 1) / 2), line, 11.5, "middle", bold=i == 0)

    def says(self, x: float, y: float, *lines: str, size: float = 11.5) -> None:
        for i, line in enumerate(lines):
            self.sheet.words(x, y + 16 * i, line, size, colour=QUIET)

    def text(self) -> str:
        return self.sheet.text()
