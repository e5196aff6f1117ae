"""What a trim aims at, and what it shows: targets and plans, the rows of a family, the bar."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab.recipe import RecipeError
from neurorack.lab.trim import table, targets
from tests.lab import runs

ROW = {"params": 1000, "removed_parameters": 0.0, "rtf": 0.5, "boards": {"pi4": [0.2, 0.6, 1.0]}}


@pytest.mark.parametrize("text, words", [
    ("half", "one of removed:"), ("removed:2", "a share from"), ("removed:", "a share from"), ("params:0", "whole number"),
    ("params:2.5", "whole number"),
    ("rtf:nan", "above 0"), ("rtf:-1", "above 0"), ("rtf:1e999", "above 0"), ("board:pi44", "did you mean 'pi4'"),
    ("bord:pi4", "did you mean 'board'"),
    ("board:atmega2560", "does not run on atmega2560"),
])
def test_a_target_that_is_none_is_one_line(text, words):
    with pytest.raises(RecipeError, match=words) as error:
        targets.read(text)
    assert "\n" not in str(error.value)


def falling(share):
    """What an even cut of ROW has."""
    left = 1 - share
    return {"params": round(1000 * left), "removed_parameters": share, "rtf": 0.1 + 0.4 * left,
            "boards": {"pi4": [0.1 * left, 0.3 * left, 0.2 + 0.8 * left]}}


@pytest.mark.parametrize("text, last, count", [("removed:0.9", 0.9, 6), ("params:300", 0.7, 3), ("rtf:0.3", 0.5, 2), ("board:pi4", 0.625, 3)])
def test_a_plan_ends_at_the_target(text, last, count):
    target = targets.read(text)
    plan = targets.shares(target, ROW, 0.95, falling)
    assert len(plan) == count and plan == sorted(plan) and plan[-1] == pytest.approx(last, abs=0.01) and target.met(falling(plan[-1]))
    lefts = [1.0] + [1 - share for share in plan]
    assert all(b / a == pytest.approx(lefts[1]) for a, b in zip(lefts, lefts[1:]))        # the same share of what is left each time
    assert len(targets.shares(target, ROW, 0.95, falling, 9)) == 9
    family = [ROW] + [falling(share) for share in plan]
    assert targets.picked(target, family) is family[-1] and targets.picked(target, family[:-1]) is None


@pytest.mark.parametrize("text, words", [
    ("params:1000", "is met already, the model has 1000 parameters"), ("rtf:0.5", "is met already"), ("removed:0.96", "95.0% removed"),
    ("params:49", "the smallest cut has 50 parameters"), ("rtf:0.11", "cannot be reached"),
])
def test_a_target_out_of_reach_is_one_line(text, words):
    with pytest.raises(RecipeError, match=words) as error:
        targets.shares(targets.read(text), ROW, 0.95, falling)
    assert "\n" not in str(error.value)


class Screen:
    """A terminal, or a file, that keeps what is written."""

    def __init__(self, live):
        self.live, self.written = live, ""

    def isatty(self):
        return self.live

    def write(self, text):
        self.written += text

    def flush(self):
        """Nothing to be done."""


def test_the_bar_is_drawn_in_place_and_makes_room_for_lines(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(table.time, "monotonic", lambda: now[0])
    monkeypatch.setenv("COLUMNS", "80")
    for live in (True, False):
        screen, said = Screen(live), []
        bar = table.Bar(said.append, screen)
        for now[0] in (now[0] + 0.6, now[0] + 0.7, now[0] + 31, now[0] + 32):
            bar.show(0.5, 754.0, "round 1 of 2")
        bar.say("a row")
        if live:
            assert screen.written.count("[###############...............] round 1 of 2, 50%, 13 min left") == 3
            assert screen.written.endswith("\r" + " " * len("[###############...............] round 1 of 2, 50%, 13 min left") + "\r")
            assert said == ["a row"]
        else:
            assert screen.written == "" and said == ["round 1 of 2, 50%, 13 min left", "a row"]


@pytest.mark.parametrize("columns", [80, 60, 30])
def test_the_bar_never_wraps(monkeypatch, columns):
    now = [0.0]
    monkeypatch.setattr(table.time, "monotonic", lambda: now[0])
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = Screen(True)
    bar = table.Bar(runs.quiet, screen)
    for now[0], step in ((1.0, 12345), (2.0, 9)):             # the second is shorter, and leaves nothing of the first
        bar.show(0.25, 754.0, f"round 3 of 12, step {step}, spectral 13.68")
    first, second = screen.written.split("\r")[1:]
    assert len(second) == len(first) < columns and ("[" in first) == (columns == 80)
    assert first.endswith("13 min left") == (columns > 30)


def test_a_row_fits_below_its_head():
    row = ROW | {"round": 12, "macs": 31.6e6, "error": 4.5, "multiplier": 1.0, "control": None, "bytes": 1340000}
    for board in (None, "pi4"):
        head, line = table.head(board).splitlines()[-1], table.line(row, board)
        assert len(head) == len(line) < 80 and ("100.00%" in line) == (board == "pi4")
        ends = lambda text: [k for k in range(len(text)) if text[k] != " " and (k + 1 == len(text) or text[k + 1] == " ")]
        assert set(ends(head)) <= set(ends(line))
