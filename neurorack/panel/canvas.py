"""What screens draw on: one set of calls for 128x64 on or off and for 240x240 in colour.

Screens name fonts ("tiny", "regular", "title", "big") and colours (``COLOURS``) and take sizes from the ``Layout``; they never
count pixels of one display. Text always fits: it is measured, then shortened with an ellipsis, or scrolled.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from PIL import Image, ImageDraw

from neurorack.panel import fonts

#: Name -> red, green, blue. Multiples of four: an ST7789 shows 18 bits.
COLOURS = {"bg": (0, 0, 0), "fg": (240, 240, 232), "dim": (132, 136, 148), "faint": (44, 48, 56), "accent": (252, 180, 32), "good": (64, 208, 128),
           "warn": (252, 180, 32), "bad": (252, 72, 72), "a": (64, 196, 252), "b": (252, 116, 188),
           "cv1": (252, 132, 84), "cv2": (128, 216, 92), "cv3": (92, 176, 252), "cv4": (204, 140, 252)}
DARK = ("bg", "faint")              # what is off on a display without shades
SCROLL_PAUSE_S, SCROLL_PIXELS_PER_S = 1.2, 24.0


@dataclass(frozen=True)
class Layout:
    """One display. ``width`` and ``height`` are what screens may use: an OLED keeps a column and a row free, by which all
    pixels are shifted now and then."""

    name: str
    size: tuple[int, int]
    mode: str               # as Pillow calls it: "1" or "RGB"
    width: int
    height: int
    margin: int             # beside text
    gap: int                # between things that do not belong together
    line: int               # thickness of a line that is to be seen
    row: int                # of a list
    title: int              # height of the title bar
    bar: int                # height of a bar

    @property
    def colour(self) -> bool:
        return self.mode == "RGB"

    @property
    def fonts(self) -> dict[str, fonts.Font]:
        return fonts.large() if self.colour else fonts.small()

    @property
    def rows(self) -> int:
        """Rows of a list below a title."""
        return (self.height - self.title) // self.row


SMALL = Layout("128x64", (128, 64), "1", 127, 63, margin=2, gap=2, line=1, row=10, title=11, bar=3)
LARGE = Layout("240x240", (240, 240), "RGB", 240, 240, margin=6, gap=6, line=2, row=30, title=34, bar=8)
LAYOUTS = {layout.size: layout for layout in (SMALL, LARGE)}


@functools.lru_cache(2048)
def _bits(font: fonts.Font, text: str) -> Image.Image:
    return font.mask(text).convert("1", dither=Image.Dither.NONE)


class Canvas:
    """One picture. ``x`` and ``y`` count from the top left; rectangles are ``x, y, width, height``. ``now``: seconds, for what moves."""

    def __init__(self, layout: Layout, now: float = 0.0):
        self.layout, self.now = layout, now
        self.width, self.height = layout.width, layout.height
        self.image = Image.new(layout.mode, layout.size)
        self.draw = ImageDraw.Draw(self.image)
        self.draw.fontmode = "1"
        self.moves = False      # something on it scrolls or blinks: it looks different at another time

    def ink(self, colour: str):
        """What Pillow is to be told for a colour's name."""
        return COLOURS[colour] if self.layout.colour else int(colour not in DARK)

    def font(self, name: str) -> fonts.Font:
        return self.layout.fonts[name]

    # -- shapes

    def fill(self, x: int, y: int, width: int, height: int, colour: str = "fg") -> None:
        if width > 0 and height > 0:
            self.draw.rectangle((x, y, x + width - 1, y + height - 1), fill=self.ink(colour))

    def frame(self, x: int, y: int, width: int, height: int, colour: str = "fg", line: int = 1) -> None:
        if width > 0 and height > 0:
            self.draw.rectangle((x, y, x + width - 1, y + height - 1), outline=self.ink(colour), width=line)

    def line(self, points: list[tuple[float, float]], colour: str = "fg", width: int = 1) -> None:
        self.draw.line(points, fill=self.ink(colour), width=width)

    def shape(self, points: list[tuple[float, float]], colour: str = "fg") -> None:
        """A filled polygon."""
        self.draw.polygon(points, fill=self.ink(colour), outline=self.ink(colour))

    def dot(self, x: int, y: int, radius: int, colour: str = "fg", filled: bool = True) -> None:
        box = (x - radius, y - radius, x + radius, y + radius)
        self.draw.ellipse(box, fill=self.ink(colour) if filled else None, outline=self.ink(colour))

    def dotted(self, x: int, y: int, width: int, step: int = 2, colour: str = "dim") -> None:
        """A horizontal line of dots."""
        self.draw.point([(at, y) for at in range(x, x + width, step)], fill=self.ink(colour))

    def ring(self, x: int, y: int, radius: int, share: float, colour: str = "fg", width: int | None = None) -> None:
        """A part of a circle, from the top to the right: on an OLED a slice in a circle, else an arc on a faint one."""
        box, end = (x - radius, y - radius, x + radius, y + radius), -90 + 360 * min(1.0, share)
        if self.layout.colour:
            self.draw.arc(box, 0, 360, fill=self.ink("faint"), width=width or 2 * self.layout.line)
            self.draw.arc(box, -90, end, fill=self.ink(colour), width=width or 2 * self.layout.line)
        else:
            self.draw.ellipse(box, outline=self.ink(colour))
            self.draw.pieslice(box, -90, end, fill=self.ink(colour))

    def bar(self, x: int, y: int, width: int, height: int, value: float, colour: str = "fg", origin: float = 0.0, mark: float | None = None) -> None:
        """A value from 0 to 1 in its track, filled from ``origin``; ``mark``: a second value, a line across."""
        if self.layout.colour:
            self.fill(x, y, width, height, "faint")
        else:
            self.dotted(x, y + height // 2, width, 3)
        low, high = sorted((min(1.0, max(0.0, value)), origin))
        left, right = round(low * (width - 1)), round(high * (width - 1))
        self.fill(x + left, y, right - left + 1, height, colour)
        if mark is not None:
            at = round(min(1.0, max(0.0, mark)) * (width - self.layout.line))
            self.fill(x + at, y - 1, self.layout.line, height + 2, "fg")

    # -- text

    def text(self, x: int, y: int, text: str, font: str = "regular", colour: str = "fg", width: int | None = None, align: str = "left", scroll: bool = False) -> int:
        """Text whose capitals' top is at ``y``, within ``width`` (default: to the right edge); returns the pixels it takes.

        ``align``: "left", "right" or "centre" within that width. ``scroll``: what does not fit moves instead of being shortened.
        """
        face = self.font(font)
        width = self.width - x if width is None else width
        if width <= 0 or not text:
            return 0
        if face.width(text) > width and scroll:
            return self._scrolled(x, y, text, face, colour, width)
        text = face.fit(text, width)
        taken = face.width(text)
        x += (width - taken) // (2 if align == "centre" else 1) if align != "left" else 0
        self._put(x, y, text, face, colour)
        return taken

    def _put(self, x: int, y: int, text: str, face: fonts.Font, colour: str) -> None:
        if text:
            mask = face.mask(text) if self.layout.colour else _bits(face, text)
            self.image.paste(self.ink(colour), (x, y, x + mask.width, y + mask.height), mask)

    def _scrolled(self, x: int, y: int, text: str, face: fonts.Font, colour: str, width: int) -> int:
        """Rests, moves to its end, rests, and begins again."""
        self.moves = True
        mask = face.mask(text) if self.layout.colour else _bits(face, text)
        way = mask.width - width
        speed = SCROLL_PIXELS_PER_S * (2 if self.layout.colour else 1)
        at = self.now % (2 * SCROLL_PAUSE_S + way / speed) - SCROLL_PAUSE_S
        part = mask.crop((offset := round(min(way, max(0.0, at * speed))), 0, offset + width, mask.height))
        self.image.paste(self.ink(colour), (x, y, x + part.width, y + part.height), part)
        return width

    def text_width(self, text: str, font: str = "regular") -> int:
        return self.font(font).width(text)

    def middle(self, y: int, height: int, font: str = "regular") -> int:
        """Where capitals stand in the middle of so much height."""
        return y + (height - self.font(font).cap) // 2

    # -- parts that every screen has

    def title(self, text: str, right: str = "", colour: str = "accent") -> int:
        """The title bar; returns the y below it."""
        lay = self.layout
        at, room = self.middle(0, lay.title - lay.line - 1, "title"), 0
        if right:
            room = self.text(0, self.middle(0, lay.title - lay.line - 1, "tiny"), right, "tiny", "dim", self.width - lay.margin, "right") + 2 * lay.margin
        self.text(lay.margin, at, text, "title", colour, self.width - 2 * lay.margin - room, scroll=True)
        if lay.colour:
            self.fill(0, lay.title - lay.line - 2, self.width, 1, "faint")
        else:
            self.dotted(0, lay.title - 2, self.width, 2)
        return lay.title

    def row(self, y: int, label: str, value: str = "", selected: bool = False, mark: str = "", colour: str = "fg", width: int | None = None) -> None:
        """A row of a list: ``mark`` (a sign) and label on the left, a value on the right; inverted when it is selected."""
        lay, width = self.layout, self.width if width is None else width
        if selected:
            self.fill(0, y, width, lay.row - (lay.colour), "accent" if lay.colour else "fg")
        ink = "bg" if selected else colour
        at, left = self.middle(y, lay.row - 1), lay.margin
        if mark:
            self.text(left, at, mark, colour=ink)
            left += self.text_width("●") + lay.margin + 1
        right = width - lay.margin
        if value:
            most = max((right - left) // 2, right - left - self.text_width(label) - 2 * lay.margin)
            right -= self.text(right - most, at, value, colour="bg" if selected else "dim", width=most, align="right") + 2 * lay.margin
        self.text(left, at, label, colour=ink, width=right - left, scroll=selected)

    def scroll_bar(self, y: int, height: int, first: int, shown: int, count: int) -> None:
        """At the right edge, where there is more than is shown."""
        if count > shown:
            at, length = round(height * first / count), max(3, round(height * shown / count))
            self.fill(self.width - self.layout.line, y, self.layout.line, height, "faint")
            self.fill(self.width - self.layout.line, y + min(at, height - length), self.layout.line, length, "fg")

    def lines(self, x: int, y: int, text: str, font: str = "regular", colour: str = "fg", width: int | None = None, most: int | None = None) -> int:
        """Text over several lines, at most ``most``, the last shortened; returns the y below it."""
        face, width = self.font(font), self.width - x - self.layout.margin if width is None else width
        lines = face.wrap(text, width)
        if most is not None and len(lines) > most:
            lines = lines[:most - 1] + [face.fit(" ".join(lines[most - 1:]), width)]
        for line in lines:
            self.text(x, y, line, font, colour, width)
            y += face.height + (2 if self.layout.colour else 1)
        return y

    def box(self, width: int, height: int, colour: str = "fg") -> tuple[int, int, int, int]:
        """An empty window in the middle, over what is there; its inside."""
        x, y, line = (self.width - width) // 2, (self.height - height) // 2, self.layout.line
        self.fill(x - line, y - line, width + 2 * line, height + 2 * line, "bg")
        self.frame(x, y, width, height, colour, line)
        inside = line + self.layout.margin
        return x + inside, y + inside, width - 2 * inside, height - 2 * inside
