"""Every screen, reached by turns and presses, looks as its reference picture does, at both sizes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neurorack.panel.canvas import LARGE, SMALL
from tools.draw import panel_script, screens

REFERENCE = Path(__file__).parent / "reference"
NAMES = [shot.name for shot in screens.SHOTS]


def test_each_picture_has_a_name_of_its_own():
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("layout", [SMALL, LARGE], ids=lambda layout: layout.name)
@pytest.mark.parametrize("shot", screens.SHOTS, ids=lambda shot: shot.name)
def test_a_screen_looks_as_it_should(shot, layout, renewing, tmp_path):
    image, path = shot.image(layout), REFERENCE / layout.name / f"{shot.name}.png"
    if renewing:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, optimize=True)
        pytest.fail(f"{path.name} was made anew on purpose; look at it, then run without --renew-references")
    assert path.is_file(), "no reference picture: pytest tests/panel --renew-references makes it"
    expected = Image.open(path).convert(image.mode)
    if not np.array_equal(np.asarray(image), np.asarray(expected)):
        image.save(tmp_path / path.name)
        pytest.fail(f"{shot.name} at {layout.name} looks different: {tmp_path / path.name} instead of {path}; "
                    "if that is meant: pytest tests/panel --renew-references")


@pytest.mark.parametrize("layout", [SMALL, LARGE], ids=lambda layout: layout.name)
def test_the_same_moment_gives_the_same_pixels(layout):
    for shot in screens.SHOTS[:8]:
        assert shot.image(layout).tobytes() == shot.image(layout).tobytes()


def test_no_reference_is_left_over():
    assert {path.stem for path in REFERENCE.glob("*/*.png")} == set(NAMES)


def test_the_last_column_and_row_of_an_oled_stay_free():
    """The picture is shifted by a pixel now and then."""
    for shot in screens.SHOTS:
        pixels = np.asarray(shot.image(SMALL))
        assert not pixels[:, 127].any() and not pixels[63].any(), shot.name


def test_a_script_reaches_what_it_says():
    player = panel_script.Player(SMALL, screens.VIEW, screens.ANSWERS)
    names = []
    for word in ("p", "p", "b", "1", "p", "h"):
        player.play(word)
        names.append(player.machine.screen.name)
    assert names == ["main", "map", "main", "main", "models", "home"]
