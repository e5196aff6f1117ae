"""Text always fits: it never leaves its place, and what is said of it is drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack.panel.canvas import LARGE, SMALL, Canvas

LAYOUTS = pytest.mark.parametrize("layout", [SMALL, LARGE], ids=lambda layout: layout.name)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=40)
fonts = st.sampled_from(["tiny", "regular", "title", "big"])


@LAYOUTS
@settings(max_examples=120, deadline=None)
@given(text=words, font=fonts, x=st.integers(0, 60), width=st.integers(1, 60), align=st.sampled_from(["left", "right", "centre"]), scroll=st.booleans(), now=st.floats(0, 100))
def test_nothing_is_drawn_beside_its_place(layout, text, font, x, width, align, scroll, now):
    canvas = Canvas(layout, now)
    taken = canvas.text(x, 2, text, font, width=width, align=align, scroll=scroll)
    lit = np.asarray(canvas.image.convert("L")) > 0
    assert taken <= width
    assert not lit[:, :x].any() and not lit[:, x + width:].any()


@LAYOUTS
@settings(max_examples=80, deadline=None)
@given(text=words, font=fonts, width=st.integers(30, 240))
def test_lines_hold_every_word_that_fits(layout, text, font, width):
    face = Canvas(layout).font(font)
    lines = face.wrap(text, width)
    assert all(face.width(line) <= width or len(line) == 1 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@LAYOUTS
def test_a_long_text_ends_in_an_ellipsis_and_a_scrolled_one_shows_its_end(layout):
    canvas = Canvas(layout)
    face = canvas.font("regular")
    assert face.fit("a rather long name", 40).endswith("…") and face.width(face.fit("a rather long name", 40)) <= 40
    assert face.fit("short", 200) == "short"

    def scrolled(now):
        canvas = Canvas(layout, now)
        canvas.text(0, 0, "a rather long name.|", width=40, scroll=True)
        return canvas.image.tobytes()

    assert len({scrolled(now / 10) for now in range(60)}) > 5


@LAYOUTS
def test_every_letter_is_drawn_or_replaced(layout):
    for font in ("tiny", "regular", "title", "big"):
        face = Canvas(layout).font(font)
        for letter in "AZaz09äÖéłœçñ→●µ°±½€中":
            assert face.width(letter) > 0
        assert face.glyph("é") is not None and face.glyph("中") is face.glyphs["?"]
