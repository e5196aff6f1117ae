"""The panel can be drilled: nothing collides, everything lies between the rails, the width follows from the parts."""

import re
from itertools import combinations

import pytest

from neurorack.drivers import board
from tools.draw import panel

LEAST_METAL_MM = 2.0


def overlap(a, b, gap=0.0):
    return a[0] < b[2] + gap and b[0] < a[2] + gap and a[1] < b[3] + gap and b[1] < a[3] + gap


def distance(a, b):
    """Metal between two holes; windows count as their rectangle."""
    if a.window[0] or b.window[0]:
        (la, ta, ra, ba), (lb, tb, rb, bb) = a.opening(), b.opening()
        return max(max(la - rb, lb - ra), max(ta - bb, tb - ba))
    return ((a.x - b.x) ** 2 + (a.y - b.y) ** 2) ** 0.5 - (a.diameter + b.diameter) / 2


@pytest.mark.parametrize("cv_jacks", [4, 8])
def test_holes_and_bodies_keep_apart(cv_jacks):
    found = panel.holes(cv_jacks)
    for a, b in combinations(found, 2):
        assert distance(a, b) >= LEAST_METAL_MM, (a.name, b.name)
        if a.body[0] and b.body[0]:
            assert not overlap(a.behind(), b.behind()), (a.name, b.name)


def test_all_but_the_rail_screws_lie_between_the_rails_and_inside_the_panel():
    for hole in panel.holes():
        if hole.name == "rail screw":
            assert hole.y in (3.0, panel.HEIGHT - 3.0)
            continue
        for left, top, right, bottom in [hole.opening(), *([hole.behind()] if hole.body[0] else [])]:
            assert top >= panel.RAIL and bottom <= panel.HEIGHT - panel.RAIL, hole.name
            assert left >= 0.5 and right <= panel.WIDTH - 0.5, hole.name


def test_it_is_3u_and_the_width_follows_from_the_parts():
    assert panel.HEIGHT == 128.5 and panel.width_hp() == 12 and panel.WIDTH == pytest.approx(60.6)
    assert (panel.width_hp() - 1) * panel.HP_MM - panel.SLACK < panel.COMPUTER_MM + 2 * panel.COMPUTER_AIR <= panel.WIDTH
    screws = sorted({hole.x for hole in panel.holes() if hole.name == "rail screw"})
    assert (screws[1] - screws[0]) / panel.HP_MM == pytest.approx(round((screws[1] - screws[0]) / panel.HP_MM), abs=0.01)


@pytest.mark.parametrize("name", ["pi", "pi-ads1115", "classic"])
def test_a_hole_for_every_jack_of_the_board(name):
    settings = board.load(name)
    jacks = {hole.name for hole in panel.holes(settings["cv"]["jacks"]) if hole.kind == "jack"}
    assert jacks == {f"CV {i + 1}" for i in range(settings["cv"]["jacks"])} | {"GATE 1", "GATE 2", "IN L", "IN R", "OUT L", "OUT R"}


def test_the_drawing_has_its_true_size_and_every_hole():
    svg = (board.HARDWARE / "panel.svg").read_text()
    width, height = re.search(r'width="([\d.]+)mm" height="([\d.]+)mm"', svg).groups()
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()
    assert (width, height) == box, "one unit is one millimetre"
    circles = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', svg)
    places = {(round(float(x) - 4, 2), round(float(y) - 4, 2), float(r)) for x, y, r in circles}
    for hole in panel.holes():
        assert hole.window[0] or (hole.x, hole.y, round(hole.diameter / 2, 2)) in places, hole.name
