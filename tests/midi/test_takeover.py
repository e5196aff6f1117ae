"""Controllers and controls that do not stand at the same place: pick-up, scale, jump."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurorack.remote.takeover import NEAR, Takeover

SIXTEENTHS = st.integers(0, 16).map(lambda n: n / 16)


class Hand:
    """One control, its controller, and others who move it."""

    def __init__(self, value, low=0.0, high=1.0, mode="pickup"):
        self.value, self.ends, self.mode = value, (low, high), mode
        self.takeover = Takeover(lambda name: self.value)

    def move(self, *places):
        for at in places:
            moved = self.takeover.moved("x", at, *self.ends, self.mode)
            self.value = self.value if moved is None else moved
        return self.value


def test_picked_up_where_it_stands_or_is_passed():
    hand = Hand(0.6)
    assert hand.move(0.1, 0.3, 0.55) == 0.6 and hand.takeover.waits("x") == (0.55, 0.6)
    assert hand.move(0.7) == 0.7 and hand.takeover.waits("x") is None
    assert hand.move(0.1, 0.9) == 0.9
    hand.value = 0.2
    assert hand.move(0.8) == 0.2, "a recall lets go of it"
    assert hand.move(0.205) == 0.205, "near enough"
    assert hand.move(0.9) == 0.9


def test_it_is_followed_from_where_both_stand():
    hand = Hand(0.3)
    hand.move(0.3)
    hand.value = 0.8
    hand.move(0.81)
    hand.value = 0.805
    assert hand.move(0.4) == 0.4, "both stood at the same place but for a step of the controller"


def test_scale_goes_the_same_way_and_meets_at_the_end():
    hand = Hand(0.8, mode="scale")
    assert hand.move(0.5) == 0.8, "where it was before is not known"
    assert hand.move(0.25) == pytest.approx(0.4) and hand.move(0.35) == pytest.approx(0.48) and hand.move(1.0) == 1.0
    assert hand.move(0.3) == 0.3


@pytest.mark.parametrize("mode", ["pickup", "scale"])
def test_a_control_beyond_the_range_is_met_at_its_end(mode):
    hand = Hand(0.9, low=0.7, high=0.2, mode=mode)
    assert hand.move(0.3, 0.4) >= 0.7 and hand.move(0.7) == 0.7 and hand.move(0.3) == 0.3


def test_jump_and_a_control_nobody_knows():
    assert Hand(0.9, mode="jump").move(0.1) == 0.1
    takeover = Takeover(lambda name: None)
    assert takeover.moved("x", 0.1, 0, 1, "pickup") == 0.1 and takeover.waits("x") is None


def test_what_was_learned_by_moving_is_followed_at_once():
    hand = Hand(0.9)
    hand.takeover.take("x")
    assert hand.move(0.2) == 0.2
    hand.takeover.forget("x")
    assert hand.move(0.6) == 0.2


@given(st.sampled_from(["pickup", "scale"]), SIXTEENTHS, st.lists(st.one_of(SIXTEENTHS, SIXTEENTHS.map(lambda value: ("set", value))), max_size=30))
def test_never_a_jump(mode, first, moves):
    """However it is moved: a step of the control is no larger than the controller's own, or than its way to where the two meet."""
    hand, at = Hand(first, mode=mode), None
    for move in moves:
        if isinstance(move, tuple):
            hand.value = move[1]
            continue
        was, before, at = hand.value, at, move
        now = hand.move(at)
        if now == was:
            continue
        if before is None:
            assert now == at and abs(at - was) <= NEAR
        elif now == at and min(before, at) - NEAR <= was <= max(before, at) + NEAR:
            assert abs(now - was) <= abs(at - before) + NEAR, "they met on its way"
        else:
            assert mode == "scale" and (now - was) * (at - before) > 0 and min(was, at, 0) <= now <= max(was, at, 1)


@given(SIXTEENTHS, SIXTEENTHS, st.sampled_from(["pickup", "scale"]))
def test_from_end_to_end_it_is_always_taken_over(value, start, mode):
    hand = Hand(value, mode=mode)
    hand.move(start, *(n / 128 for n in range(129)))
    assert hand.value == 1.0 and hand.move(0.4) == 0.4
