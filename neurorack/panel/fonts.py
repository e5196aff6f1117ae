"""The panel's letters: two pixel fonts of our own for 128x64, drawn as text in ``fonts/*.txt``, and grey ones for colour displays.

The grey ones (``fonts/sans-*.png``) are pictures of DejaVu Sans Condensed, whose licence is in ``fonts/LICENCE.txt``;
``python -m tools.draw.panel_fonts`` makes them. Nothing depends on a font library's version, so a screen has the same pixels everywhere.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parent / "fonts"
ELLIPSIS = "…"
SPACE_SHARE = {"regular": 3, "tiny": 2}       # pixels between words of a pixel font


class Font:
    """``height``: pixels of a line; ``cap``: of a capital letter, whose top is the line's. ``mask(text)``: its picture, mode "L"."""

    def __init__(self, glyphs: dict[str, Image.Image], height: int, cap: int, gap: int, space: int):
        self.glyphs, self.height, self.cap, self.gap, self.space = glyphs, height, cap, gap, space
        self.mask = functools.lru_cache(1024)(self._mask)
        self.width = functools.lru_cache(4096)(self._width)

    def glyph(self, letter: str) -> Image.Image | None:
        """Of a letter; one that is not drawn is shown without its accents, in capitals, or as a question mark. None: a space."""
        if letter.isspace():
            return None
        for tried in (letter, unicodedata.normalize("NFD", letter)[0], letter.upper(), unicodedata.normalize("NFD", letter.upper())[0], "?"):
            if tried in self.glyphs:
                return self.glyphs[tried]
        return None

    def _widths(self, text: str):
        for letter in text:
            glyph = self.glyph(letter)
            yield glyph, self.space if glyph is None else glyph.width

    def _width(self, text: str) -> int:
        """Pixels from the first to the last column."""
        return max(0, sum(width + self.gap for _, width in self._widths(text)) - self.gap)

    def _mask(self, text: str) -> Image.Image:
        mask = Image.new("L", (max(1, self.width(text)), self.height))
        at = 0
        for glyph, width in self._widths(text):
            if glyph is not None:
                mask.paste(glyph, (at, 0))
            at += width + self.gap
        return mask

    def fit(self, text: str, width: int) -> str:
        """The text, or as much of its beginning as fits with an ellipsis after it."""
        if self.width(text) <= width:
            return text
        for end in range(len(text) - 1, 0, -1):
            if self.width(short := text[:end].rstrip() + ELLIPSIS) <= width:
                return short
        return ""

    def wrap(self, text: str, width: int) -> list[str]:
        """Lines that fit, broken at spaces, a word that is too long anywhere."""
        lines = []
        for paragraph in text.split("\n"):
            line = ""
            for word in paragraph.split():
                while self.width(word) > width:
                    end = next(end for end in range(len(word), 0, -1) if end == 1 or self.width(word[:end]) <= width)
                    lines += [line] if line else []
                    lines.append(word[:end])
                    line, word = "", word[end:]
                joined = f"{line} {word}" if line else word
                if self.width(joined) <= width:
                    line = joined
                else:
                    lines.append(line)
                    line = word
            lines.append(line)
        return lines


def _drawn(name: str) -> Font:
    """A pixel font: blocks of a line of letters and their rows side by side."""
    glyphs, rows = {}, 0
    for block in (FOLDER / f"{name}.txt").read_text().strip().split("\n\n"):
        letters, *lines = (line.split(" ") for line in block.split("\n"))
        rows = len(lines)
        for index, letter in enumerate(letters):
            width = len(lines[0][index])
            glyph = Image.new("L", (width, rows))
            glyph.putdata([255 * (lines[row][index][column] == "#") for row in range(rows) for column in range(width)])
            glyphs[letter] = glyph
    return Font(glyphs, rows, {"regular": 7, "tiny": 5}[name], 1, SPACE_SHARE[name])


def _doubled(font: Font) -> Font:
    glyphs = {letter: glyph.resize((2 * glyph.width, 2 * glyph.height), Image.Resampling.NEAREST) for letter, glyph in font.glyphs.items()}
    return Font(glyphs, 2 * font.height, 2 * font.cap, 2, 2 * font.space)


def _pictured(name: str) -> Font:
    """A grey font: one picture of all glyphs beside each other, and where each lies."""
    told = json.loads((FOLDER / f"sans-{name}.json").read_text())
    sheet = Image.open(FOLDER / f"sans-{name}.png").convert("L")
    glyphs = {letter: sheet.crop((x, 0, x + width, sheet.height)) for letter, (x, width) in told["glyphs"].items()}
    return Font(glyphs, sheet.height, told["cap"], 0, told["space"])


@functools.cache
def small() -> dict[str, Font]:
    """For 128x64: regular (7 pixels a capital), tiny (5, capitals only), title, big."""
    regular = _drawn("regular")
    return {"regular": regular, "title": regular, "tiny": _drawn("tiny"), "big": _doubled(regular)}


@functools.cache
def large() -> dict[str, Font]:
    """The same names for 240x240."""
    return {name: _pictured(name) for name in ("regular", "title", "tiny", "big")}
