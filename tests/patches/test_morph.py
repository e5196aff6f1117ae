"""Between two patches: the ends exactly, numbers on their way in between, all else changes over at half."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurorack.patches import schema
from neurorack.patches.edits import described
from neurorack.patches.morph import between
from neurorack.patches.morphing import together
from neurorack.patches.present import heard_slot, mirrored, patch_of
from neurorack.voice.patch import followed
from tests.patches.documents import DOCUMENTS

OFTEN = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def whole(**given_) -> dict:
    return schema.cleaned(given_)


@OFTEN
@given(DOCUMENTS, DOCUMENTS, st.floats(0, 1))
def test_all_that_lies_between_two_patches_is_a_patch(one, other, x):
    one, other = schema.cleaned(one), schema.cleaned(other)
    assert between(one, other, 0.0, {}) == one and between(one, other, 1.0, {}) == other
    made = between(one, other, x, {})
    problems: list[str] = []
    schema.cleaned(made, problems)
    assert not [line for line in problems if not line.startswith("mod")], problems
    patch_of(made)
    for name in ("mix", "level_db"):
        assert min(one[name], other[name]) - 1e-9 <= made[name] <= max(one[name], other[name]) + 1e-9


def test_numbers_glide_each_in_its_way():
    one = whole(mix=0.2, level_db=-20, monitor_db=-10, knobs={"a": 0.0, "b": 1.0}, drives={"a": 1.0},
                sources={"mod1": {"kind": "lfo", "rate_hz": 0.1, "level_volts": 2, "multiply": 1, "shape": "sine"}, "mod2": {"kind": "steps", "steps": [0, 2]}})
    other = whole(mix=0.6, level_db=0, knobs={"a": 1.0, "c": 0.0},
                  sources={"mod1": {"kind": "lfo", "rate_hz": 10, "level_volts": 4, "multiply": 8, "shape": "square"}, "mod2": {"kind": "steps", "steps": [1, 4]}})
    made = between(one, other, 0.5, {"c": 0.8})
    assert made["mix"] == pytest.approx(0.4) and made["level_db"] == pytest.approx(-10) and made["monitor_db"] == pytest.approx(-50), "off is as low as it goes"
    assert made["knobs"] == pytest.approx({"a": 0.5, "b": 0.75, "c": 0.4}), "one that is not turned comes from where it stands"
    assert made["drives"] == pytest.approx({"a": 0.5})
    lfo = made["sources"]["mod1"]
    assert lfo["rate_hz"] == pytest.approx(1.0), "by equal factors" 
    assert lfo["level_volts"] == pytest.approx(3) and lfo["multiply"] == 8 and lfo["shape"] == "square"
    assert made["sources"]["mod2"]["steps"] == pytest.approx([0.5, 3.0])
    assert between(one, other, 0.49, {})["sources"]["mod1"]["shape"] == "sine"


def test_a_route_comes_and_goes_by_its_amount_and_the_others_keep_their_places():
    one = whole(routes=[{"jack": "cv1", "control": "a", "amount_per_volt": 0.4, "smooth_ms": 10}, {"jack": "cv2", "control": "b", "offset": 0.5}])
    other = whole(routes=[{"jack": "cv3", "control": "c", "amount_per_volt": -0.2}, {"jack": "cv1", "control": "a", "amount_per_volt": 0.2, "smooth_ms": 1000, "latched": True}])
    made = between(one, other, 0.5, {})["routes"]
    assert [(route["jack"], route["control"]) for route in made] == [("cv1", "a"), ("cv2", "b"), ("cv3", "c")]
    assert made[0]["amount_per_volt"] == pytest.approx(0.3) and made[0]["smooth_ms"] == pytest.approx(100) and made[0]["latched"]
    assert made[1]["amount_per_volt"] == pytest.approx(0.05) and made[1]["offset"] == pytest.approx(0.25)
    assert made[2]["amount_per_volt"] == pytest.approx(-0.1)


A, B, C = ({"name": name, "sha256": name * 8} for name in "abc")


@pytest.mark.parametrize("one, other, models, mixes", [
    ({"A": A}, {"A": B}, {"A": A, "B": B}, (0.0, 1.0)),
    ({"A": A}, {"B": A}, {"A": A}, (0.0, 0.0)),
    ({"B": A}, {"A": A, "B": B}, {"A": B, "B": A}, (1.0, 0.7)),
    ({"A": A, "B": B}, {"A": B}, {"A": A, "B": B}, (0.3, 1.0)),
    ({"A": A, "B": B}, {"A": B, "B": A}, {"A": A, "B": B}, (0.3, 0.7)),
    ({"A": A, "B": B}, {"A": C}, None, None),
    ({}, {}, {}, (0.0, 0.0)),
])
def test_both_ends_models_lie_in_the_same_slots_where_two_are_enough(one, other, models, mixes):
    def mix(held):
        return 0.3 if len(held) == 2 else float("B" in held)

    pair = together(*(whole(models=held, mix=mix(held)) for held in (one, other)))
    if models is None:
        assert pair is None
    else:
        assert [end["models"] for end in pair] == [models, models] and [end["mix"] for end in pair] == pytest.approx(list(mixes))


def test_mirrored_it_sounds_the_same_also_where_a_jack_moves_the_mix():
    class Rack:
        def volts(self, jack):
            return 2.0

    one = whole(models={"A": A, "B": B}, mix=0.2, routes=[{"jack": "cv1", "control": "mix", "amount_per_volt": 0.15, "low": 0.1, "high": 0.45, "quantise": 8}])
    other = mirrored(one)
    assert other["models"] == {"A": B, "B": A} and heard_slot(one) == "A" and heard_slot(other) == "B"
    assert followed(one["mix"], patch_of(one).routes, Rack()) == pytest.approx(1 - followed(other["mix"], patch_of(other).routes, Rack()))


def test_edits_are_called_as_a_musician_would():
    start = whole(models={"A": A}, knobs={"a": 0.5}, routes=[{"jack": "cv1", "control": "a"}])
    for changes, label in (({"knobs": {"a": 0.6}}, "set a"), ({"level_db": -3}, "level"), ({"models": {"B": B}, "mix": 1.0}, "play b"), ({"routes": []}, "unroute cv1 from a"),
                           ({"routes": [{"jack": "cv1", "control": "a", "offset": 0.1}]}, "route cv1 to a"), ({"gates": {"gate2": "record"}}, "gate2 does record"),
                           ({"sources": {"mod3": {"kind": "lfo"}}}, "mod3"), ({"knobs": {"a": 0.1, "b": 0.2, "c": 0.3}}, "set a, set b and 1 more")):
        assert described(start, whole(**{**start, **changes}))[0] == label
    known = whole(**{**start, "models": {"A": {**A, "sha256": "other"}}})
    assert described(start, known) == ("", None), "nothing is heard of that"


def test_a_route_keeps_its_place_in_the_synth_when_others_come_and_go():
    """What is smoothed there belongs to the place."""
    controls, places = [{"name": "a"}, {"name": "b"}], {}

    def lie(*routes):
        struct = patch_of(whole(routes=[{"jack": jack, "control": control} for jack, control in routes])).to_struct(controls, places)
        return [(struct.route_jack[i], struct.route_control[i]) for i in range(3)]

    assert lie(("cv1", "a"), ("cv2", "b")) == [(0, 0), (1, 1), (-1, 0)]
    assert lie(("cv3", "a"), ("cv2", "b")) == [(2, 0), (1, 1), (-1, 0)]
    assert lie(("cv2", "b"), ("cv1", "a"), ("cv3", "a")) == [(2, 0), (1, 1), (0, 0)]
    assert lie() == [(-1, 0)] * 3
