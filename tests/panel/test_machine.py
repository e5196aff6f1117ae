"""What turns and presses mean: short and long ones, quick and fine turning, waking, notices."""

import pytest

from neurorack.panel.canvas import SMALL, Canvas
from neurorack.panel.machine import BLANK, DIM, FULL, SECOND, Machine
from neurorack.panel.screen import Screen
from neurorack.panel.view import View
from neurorack.panel.widgets import Choice, Confirm, Value
from tools.draw.panel_script import Canned

MINUTE = 60 * SECOND


class Told(Screen):
    """Notes what it was told."""

    name, holds = "told", ("back", "save", "home")

    def __init__(self, accelerates=False):
        self.accelerates, self.told = accelerates, []

    def turn(self, steps, fine=False):
        self.told.append(("fine", steps) if fine else steps)

    def press(self):
        self.told.append("press")

    def hold(self, stage):
        self.told.append(f"hold {stage}")

    def draw(self, canvas, view):
        canvas.text(0, 0, "told")


def machine(screen, **more):
    return Machine(SMALL, screen, Canned(), **more)


def pressed(m, seconds, at=SECOND):
    m.press(at)
    for ns in range(at, at + round(seconds * SECOND), SECOND // 20):
        m.tick(ns)
    m.release(at + round(seconds * SECOND))


@pytest.mark.parametrize("seconds, meaning", [(0.02, "press"), (0.29, "press"), (0.31, "hold 1"), (0.99, "hold 1"), (1.01, "hold 2"), (1.99, "hold 2")])
def test_a_press_means_what_its_length_says(seconds, meaning):
    screen = Told()
    pressed(machine(screen), seconds)
    assert screen.told == [meaning]


def test_two_seconds_act_at_once_and_only_once():
    screen = Told()
    m = machine(screen)
    m.press(0)
    m.tick(1_990_000_000)
    assert screen.told == []
    m.tick(2_010_000_000)
    assert screen.told == ["hold 3"], "while it is still down"
    m.tick(3 * SECOND)
    m.release(4 * SECOND)
    assert screen.told == ["hold 3"]


def test_a_turn_while_pressed_cancels_the_press_and_is_fine():
    screen = Told(accelerates=True)
    m = machine(screen)
    m.press(0)
    m.turn(2, 100_000_000)
    m.release(500_000_000)
    assert screen.told == [("fine", 2)]


@pytest.mark.parametrize("gap_ms, factor", [(5, 6), (12, 4), (25, 2), (50, 1)])
def test_quick_turning_goes_faster_in_values_only(gap_ms, factor):
    value, listed = Told(accelerates=True), Told()
    for screen in (value, listed):
        m = machine(screen)
        for number in range(4):
            m.turn(1, SECOND + number * gap_ms * 1_000_000)
    assert value.told == [1, factor, factor, factor] and listed.told == [1, 1, 1, 1]


def test_it_dims_and_goes_dark_and_the_control_that_wakes_it_does_only_that():
    screen = Told()
    m = machine(screen)
    m.tick(4 * MINUTE)
    assert m.light == FULL
    m.tick(6 * MINUTE)
    assert m.light == DIM
    m.turn(1, 7 * MINUTE)
    assert screen.told == [1] and m.light == FULL, "a dim display still takes what it is told"
    m.tick(28 * MINUTE)
    assert m.light == BLANK
    pressed(m, 0.1, at=28 * MINUTE)
    assert screen.told == [1] and m.light == FULL
    pressed(m, 0.1, at=28 * MINUTE + SECOND)
    assert screen.told == [1, "press"]
    m.tick(60 * MINUTE)
    m.turn(-3, 60 * MINUTE)
    assert screen.told == [1, "press"]
    m.dim_minutes = m.blank_minutes = 0
    m.tick(600 * MINUTE)
    assert m.light == FULL, "0: never"


def test_a_cv_wakes_nothing():
    m = machine(Told())
    m.draw(View(cv_volts=(1.0,) * 8), 30 * MINUTE)
    m.draw(View(cv_volts=(5.0,) * 8, gates_high=3), 30 * MINUTE + SECOND)
    assert m.light == BLANK


def test_a_press_reads_a_notice_first():
    screen = Told()
    m = machine(screen)
    m.notice("something failed", "do this")
    m.notice("something failed", "do this")
    assert len(m.notices) == 1
    pressed(m, 0.1)
    assert screen.told == [] and not m.notices
    pressed(m, 0.1)
    assert screen.told == ["press"]


def test_an_answer_that_failed_is_a_notice():
    m = machine(Told())
    m.asker.canned["mix"] = "slot B is empty: load a model into it first"
    m.ask({"do": "mix", "value": 0.5})
    m.asker.deliver()
    assert "slot B is empty" in m.notices[0].text


def test_the_ring_shows_while_the_button_is_down():
    m = machine(Told())
    before = m.draw(View(), 0).image.tobytes()
    m.press(0)
    assert m.draw(View(), 100_000_000).image.tobytes() == before
    pictures = {m.draw(View(), ns * 1_000_000).image.tobytes() for ns in (300, 600, 900, 1200, 1600, 1900)}
    assert len(pictures) == 6 and before not in pictures


def test_a_value_begins_where_it_stands_and_goes_on_from_there():
    told = []
    value = Value("x", lambda view: view.mix, told.append, default=0.5)
    m = machine(Told())
    m.push(value)
    m.draw(View(mix=0.3), 0)
    assert told == [], "opening changes nothing"
    m.draw(View(mix=0.8), SECOND)
    m.turn(1, 2 * SECOND)
    assert told == [pytest.approx(0.31)]
    m.press(3 * SECOND)
    m.turn(1, 3 * SECOND)
    m.release(3 * SECOND + 1)
    assert told[-1] == pytest.approx(0.311), "fine"
    m.turn(-1000, 4 * SECOND)
    assert told[-1] == 0.0, "no further than its limit"
    pressed(m, 1.5, at=5 * SECOND)
    assert told[-1] == 0.5, "its default"


def test_a_question_begins_at_no():
    done = []
    m = machine(Told())
    m.push(Confirm("Delete?", lambda: done.append(1)))
    pressed(m, 0.1)
    assert not done and m.screen.name == "told"
    m.push(Confirm("Delete?", lambda: done.append(1)))
    m.turn(1, 3 * SECOND)
    pressed(m, 0.1, at=4 * SECOND)
    assert done == [1] and m.screen.name == "told"


def test_a_choice_shows_the_present_one_and_takes_another():
    taken = []
    m = machine(Told())
    m.push(Choice("gate 2", [("hit", 1), ("freeze", 2), ("next", 3)], 2, taken.append))
    assert m.screen.item.mark == "●"
    m.turn(1, SECOND)
    pressed(m, 0.1, at=2 * SECOND)
    assert taken == [3] and m.screen.name == "told"


def test_lists_end_at_their_ends():
    m = machine(Told())
    m.push(Choice("long", [(str(i), i) for i in range(40)], 0, lambda what: None))
    m.turn(500, SECOND)
    assert m.screen.item.what == 39
    Canvas(SMALL)
    m.draw(View(), 2 * SECOND)
    m.turn(-500, 3 * SECOND)
    assert m.screen.item.what == 0
