"""Whatever is turned and pressed: no screen fails, and there is always a way back."""

import random

import pytest

from neurorack.panel.canvas import LARGE, SMALL
from neurorack.panel.machine import DEEPEST
from tools.draw import panel_shots, screens
from tools.draw.panel_script import Player

EVENTS = 1000
WORDS = ("p", "p", "p", "1", "1", "-1", "2", "-3", "20", "-20", "b", "s", "h", "w1", "w15")


def leads_home(player, word, most):
    """This control, at most so often, leads to Home."""
    player.play("w1" if not player.machine.notices else "w13 w13 w13 w13")
    for _ in range(most):
        if player.machine.screen.name == "home":
            return
        player.play(word)
    assert player.machine.screen.name == "home", player.machine.screen.name


@pytest.mark.parametrize("seed", [0, 3, *(pytest.param(seed, marks=pytest.mark.soak) for seed in (1, 2, *range(4, 20)))])
def test_a_thousand_presses_and_turns(seed):
    rng = random.Random(seed)
    layout, view = (SMALL, LARGE)[seed % 2], (screens.VIEW, screens.BOTH, screens.with_answers(panel_shots.FACE, waypoints=screens.PLACES), panel_shots.MORPHING)[seed % 4]
    player = Player(layout, view, screens.ANSWERS)
    answers = {name: answer for name, answer in player.asker.canned.items()}
    seen = set()
    for number in range(EVENTS):
        if seed % 4 == 3:      # a supervisor that refuses everything, now and then
            player.asker.canned = answers if number % 40 < 20 else dict.fromkeys([*answers, *(request["do"] for request in player.asker.asked)], "it cannot be done now")
        player.play(rng.choice(WORDS))
        seen.add(player.machine.screen.name)
        if number % 100 == 50:
            leads_home(player, "b", DEEPEST)
        if number % 100 == 99:
            leads_home(player, "h", 2)
    assert len(seen) >= 8, seen
