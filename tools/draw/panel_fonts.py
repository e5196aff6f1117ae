"""``python -m tools.draw.panel_fonts``: pictures of DejaVu Sans Condensed for the colour display, into ``neurorack/panel/fonts``.

Needs Debian's fonts-dejavu. The licence of the letters is in ``fonts/LICENCE.txt`` there.
"""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from neurorack.panel.fonts import FOLDER

SOURCE = Path("/usr/share/fonts/truetype/dejavu")
LETTERS = ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:;!?-+=_/\\()[]<>*#%&@'\"|~^`{}$"
           "–—−·…°±×µ²→←↑↓▶◀●○■□♪✓✗≤≥≈§äöüÄÖÜßéèêàâçñøåæœóíúášžłő")
SIZES = {"tiny": ("DejaVuSansCondensed.ttf", 14), "regular": ("DejaVuSansCondensed.ttf", 18), "title": ("DejaVuSansCondensed-Bold.ttf", 18),
         "big": ("DejaVuSansCondensed-Bold.ttf", 38)}


def make(name: str) -> None:
    """One picture, a glyph's cell as wide as it moves on and as high as a line; the line begins at the top of the capitals."""
    file, size = SIZES[name]
    font = ImageFont.truetype(SOURCE / file, size, layout_engine=ImageFont.Layout.BASIC)
    top, bottom = font.getbbox("H")[1], font.getbbox("H")[3]
    above = max(0, top - font.getbbox("Ä")[1])
    height = max(font.getbbox("gjpqy|")[3], bottom) - top + above
    cells, at = {}, 0
    for letter in LETTERS:
        width = max(round(font.getlength(letter)), font.getbbox(letter)[2])
        cells[letter] = (at, width)
        at += width
    sheet = Image.new("L", (at, height))
    for letter, (x, width) in cells.items():
        cell = Image.new("L", (width, height))       # what reaches out of its cell is cut off
        ImageDraw.Draw(cell).text((0, above - top), letter, fill=255, font=font)
        sheet.paste(cell, (x, 0))
    sheet.save(FOLDER / f"sans-{name}.png", optimize=True)
    told = {"cap": above + bottom - top, "space": round(font.getlength(" ")), "glyphs": cells}
    (FOLDER / f"sans-{name}.json").write_text(json.dumps(told, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    for each in SIZES:
        make(each)
