"""A lighter model from the panel: begun, followed, kept or discarded, whoever began it."""

from dataclasses import replace

from neurorack.panel.canvas import SMALL
from tools.draw import panel_script, screens
from tools.draw.panel_view import VIEW, with_answers

AT = "p 1 p 2 p 5"          # the row of the model birds


def known(**told):
    return with_answers(lighter={"lighter": {"birds": told} if told else {}})


def play(script, view=VIEW, **answers):
    player = panel_script.Player(SMALL, view, {**screens.ANSWERS, **answers})
    player.play(script)
    return player


def asked(player):
    return [request for request in player.asker.asked if request["do"].startswith("lighter")]


def test_a_press_begins_it_and_what_goes_on_already_is_only_shown():
    player = play(f"{AT} p", known())
    assert asked(player) == [{"do": "lighter_make", "model": "birds"}] and player.machine.screen.name == "lighter"
    player = play(f"{AT} p", known(phase="working", stage="listening", share=0.4))
    assert not asked(player) and player.machine.stack[-2].item.value == "40%"
    player.play("p")
    assert asked(player) == [{"do": "lighter_discard", "model": "birds"}] and player.machine.screen.name == "model"


def test_what_is_refused_is_said():
    player = play(f"{AT} p", known(), lighter_make="water is being made lighter; wait for it, or cancel it")
    assert player.machine.screen.name == "model" and player.machine.notices[0].text.startswith("water is being made lighter")


def test_what_was_made_waits_and_is_kept_or_discarded():
    made = known(phase="made", line="1.9x lighter, 0.9 dB")
    player = play(f"{AT} p b b p 5 p p", made)
    assert asked(player) == [{"do": "lighter_keep", "model": "birds"}] and player.machine.screen.name == "model"
    assert "birds-light is in the library" in player.machine._toast
    assert asked(play(f"{AT} p 1 p", made)) == [{"do": "lighter_discard", "model": "birds"}]
    player = play(f"{AT} p p", made, lighter_keep="it was not kept; refused: too slow")
    assert player.machine.screen.name == "lighter" and player.machine.notices and player.machine.screen.keeping is False


def test_the_choice_does_not_pass_from_one_state_to_the_next():
    player = play(f"{AT} p 1", known(phase="made", line="1.9x lighter, 0.9 dB"))
    assert player.machine.screen.index == 1
    player.view = known(phase="failed", line="it broke off")
    player.play("p")
    assert asked(player) == [{"do": "lighter_discard", "model": "birds"}]
    player = play(f"{AT} p", known(phase="working", stage="listening", share=0.4))
    player.view = known()                    # the page was quicker
    player.play("w1")
    before = player.step().image.tobytes()
    player.view = replace(player.view, answers=known(phase="made", line="1.9x lighter, 0.9 dB").answers)
    assert player.step().image.tobytes() != before
    player.view = known()
    player.play("w1 p")
    assert not asked(player) and player.machine.screen.name == "model"


def test_only_what_the_engine_plays_has_the_row():
    for row, there in ((2, True), (3, False), (4, False), (5, True)):
        player = play(f"p 1 p {row} p", known())
        assert any(item.label == "Lighter" for item in player.machine.screen.items(player.view)) == there


def test_the_list_tells_what_goes_on():
    player = play("p 1 p", known(phase="working", stage="listening", share=0.4))
    assert player.machine.screen.right(player.view) == "birds lighter: 40%"
    assert [item.mark for item in player.machine.screen.items(player.view) if item.label == "birds"] == ["○"]
