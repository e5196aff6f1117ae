"""What modulators and routes do to a model's controls, through the compiled voice."""

import dataclasses
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neurorack.desk.hands import ScoreHand
from neurorack.errors import PatchError, ScoreError
from neurorack.inputs import quantise
from neurorack.render import render
from neurorack.score import parse
from neurorack.voice.patch import CV_JACKS, JACKS, MODULATORS, Patch, Route, followed, parse_route
from tests.voice.drive import HOP, Driven
from tests.voice.models import held, probe

SIZES = (32, 64, 100, 128, 256, 512, 1024)
FIRST_ROW = 100     # the output's level has faded in by then
NEAR = {"rel": 3e-3, "abs": 3e-3}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return probe(tmp_path_factory.mktemp("voice") / "probe.safetensors")


def driven(model, *routes, knob=0.5):
    return Driven(model, patch=Patch(knobs={"a": knob}, drives={"a": 1.0}, routes=list(routes)))


def settled(one, rows=40) -> float:
    """The driven control, through the sound, when all has settled."""
    return float(held(one.run(rows * HOP))[-1, 0])


def begun(model, *routes, **more):
    one = driven(model, *routes, **more)
    one.run(FIRST_ROW * HOP)
    return one


@pytest.mark.parametrize("name", MODULATORS)
def test_a_modulator_moves_a_control_as_a_jack_does(model, name):
    one = begun(model, Route(name, "a", 0.05, smooth_ms=0))
    one.sources[:] = 9.0
    one.sources[MODULATORS.index(name)] = -4.0
    assert settled(one) == pytest.approx(0.3, **NEAR)
    other = begun(model, Route("cv2", "a", 0.05, smooth_ms=0))
    other.sources[:], other.cv[1] = 9.0, -4.0
    assert settled(other) == pytest.approx(0.3, **NEAR)


def test_a_latched_modulator_is_taken_with_the_hit(model):
    one = begun(model, Route("mod2", "a", 0.05, smooth_ms=0, latched=True))
    one.sources[1] = 4.0
    one.hit((FIRST_ROW + 10) * HOP)
    one.sources[1] = -9.0
    assert settled(one) == pytest.approx(0.7, **NEAR)


# ---- limits


@pytest.mark.parametrize("knob, volts, want", [(0.5, 0, 0.5), (0.5, 10, 0.6), (0.5, -10, 0.3), (0.9, 0, 0.6), (0.1, 0, 0.3), (0.9, -5, 0.4)])
def test_by_a_route_a_control_stays_within_its_limits(model, knob, volts, want):
    one = begun(model, Route("mod1", "a", 0.1, smooth_ms=0, low=0.3, high=0.6), knob=knob)
    one.sources[0] = volts
    assert settled(one) == pytest.approx(want, **NEAR)


def test_routes_without_limits_add_up_beyond_the_ends_on_the_way(model):
    one = begun(model, Route("mod1", "a", 0.1, smooth_ms=0), Route("mod2", "a", 0.1, smooth_ms=0))
    one.sources[:2] = 8.0, -9.0
    assert settled(one) == pytest.approx(0.4, **NEAR)
    limited = begun(model, Route("mod1", "a", 0.1, smooth_ms=0, high=0.7), Route("mod2", "a", 0.1, smooth_ms=0))
    limited.sources[:2] = 8.0, -3.0
    assert settled(limited) == pytest.approx(0.4, **NEAR), "each within its own limits, in order"


# ---- quantised


def test_a_control_takes_so_many_values(model):
    one = begun(model, Route("mod1", "a", 0.1, smooth_ms=0, low=0.2, high=0.8, quantise=4))
    seen = []
    for volts in np.arange(-4, 4.01, 0.5):
        one.sources[0] = volts
        seen.append(settled(one, 3))
    assert np.unique(np.round(seen, 2)) == pytest.approx([0.2, 0.4, 0.6, 0.8], abs=0.005) and np.all(np.diff(seen) > -0.005)


def test_noise_does_not_make_a_value_flicker(model):
    one = begun(model, Route("mod1", "a", 0.1, smooth_ms=0, quantise=3))
    one.sources[0] = 2.5                       # half way between 0.5 and 1
    first, seen = settled(one, 3), set()
    for volts in np.random.default_rng(0).uniform(2.3, 2.7, 40):
        one.sources[0] = volts
        seen.add(round(settled(one, 2), 2))
    assert seen == {round(first, 2)}


@pytest.mark.parametrize("scale, allowed", [("major", {0, 2, 4, 5, 7, 9, 11}), ("D minor", {2, 4, 5, 7, 9, 10, 0}), ("octaves", {0})])
def test_volts_go_to_the_notes_of_a_scale(model, scale, allowed):
    one = begun(model, Route("mod1", "a", 0.2, smooth_ms=0, quantise=scale), knob=0.0)
    for volts in np.arange(0.05, 3.5, 0.173):
        one.sources[0] = volts
        semitones = settled(one, 3) / 0.2 * 12
        assert semitones == pytest.approx(round(semitones), abs=0.15) and round(semitones) % 12 in allowed
        assert abs(semitones - 12 * volts) <= (1.2 if scale != "octaves" else 6.3) + 0.15


@pytest.mark.parametrize("bad, what", [({"quantise": 1}, "from 2 to 64"), ({"quantise": 65}, "from 2 to 64"), ({"quantise": "blue"}, "quantise is 'blue'"),
                                       ({"quantise": True}, "quantise is True"), ({"quantise": "H minor"}, "quantise"), ({"quantise": ["off"]}, "quantise"),
                                       ({"low": 0.7, "high": 0.3}, "low is 0.7, above high, 0.3"), ({"low": -0.1}, "low is -0.1"), ({"jack": "mod9"}, "cv1 to cv8, mod1 to mod8"),
                                       ({"jack": None}, "jack is None"), ({"curve": 9}, "curve is 9")])
def test_a_route_that_cannot_be_is_said(bad, what):
    with pytest.raises(PatchError, match=what):
        parse_route({"jack": "mod1", "control": "a", **bad})


def test_plain_data_makes_the_route_it_says():
    route = parse_route({"do": "route", "jack": "mod8", "control": "a", "amount_per_volt": -1, "quantise": "12", "low": 0.25, "latched": True})
    assert route == Route("mod8", "a", -1.0, latched=True, low=0.25, quantise=12)
    assert JACKS == CV_JACKS + MODULATORS and len(JACKS) == 16


numbers = st.floats(0, 1, allow_nan=False)


class Volts:
    """A block whose every jack carries the same."""

    def __init__(self, volts: float):
        self.volts = lambda name: volts


@settings(max_examples=50, deadline=None)
@given(volts=st.floats(-10, 10), knob=numbers, amount=st.floats(-1, 1), offset=st.floats(-0.5, 0.5), curve=st.sampled_from([0.5, 1.0, 2.0]),
       ends=st.tuples(numbers, numbers), quantised=st.sampled_from(["off", 2, 5, "minor", "G blues"]))
def test_mix_and_morph_are_moved_as_the_models_controls_are(model, volts, knob, amount, offset, curve, ends, quantised):
    """The rule in Python for the instrument's own controls is the compiled one."""
    route = Route("mod1", "a", amount, offset, curve, 0.0, low=min(ends), high=max(ends), quantise=quantised)
    want = {round(followed(knob, [route], Volts(volts + nudge)), 3) for nudge in (-1e-3, 0.0, 1e-3)}
    assume(max(want) < 0.93)          # the limiter holds what is louder
    one = begun(model, route, knob=knob)
    one.sources[0] = volts
    assert any(settled(one) == pytest.approx(value, abs=4e-3) for value in want)


def test_the_nearest_note_is_found_in_every_scale():
    for name in list(quantise.SCALES)[1:]:
        mask = quantise.mask(name)
        for semitones in np.arange(-30, 30, 0.37):
            note = quantise.nearest(mask, 4, float(semitones))
            assert (note - 4) % 12 in quantise.SCALES[name] and abs(note - semitones) <= 6


# ---- scores


def score(seconds=2.0, **more) -> dict:
    return {"seconds": seconds, "seed": 5, "tempo_bpm": 150,
            "events": [{"at": at, "jack": "gate1", "volts": volts} for k in range(5) for at, volts in ((0.31 * k + 0.101, 5), (0.31 * k + 0.2, 0))],
            "curves": {"cv2": [[0, -3], [seconds, 4]]},
            "sources": {"mod1": {"kind": "lfo", "pace": "clock", "multiply": 3, "shape": "random"}, "mod2": {"kind": "envelope", "attack_ms": 40},
                        "mod3": {"kind": "sample_hold"}, "mod4": {"kind": "slew", "input": "cv2"}, "mod5": {"kind": "walk", "rate_hz": 20},
                        "mod6": {"kind": "steps", "trigger": "clock", "glide_ms": 30}, "mod7": {"kind": "slew", "input": "mod3"}},
            "routes": [{"jack": "mod1", "control": "a", "amount_per_volt": 0.05}, {"jack": "mod2", "control": "b"},
                       {"jack": "mod3", "control": "which", "latched": True, "quantise": 3}, {"jack": "mod4", "control": "speed", "amount_per_volt": 0.02},
                       {"jack": "mod5", "control": "morph", "low": 0.1, "high": 0.6}, {"jack": "mod6", "control": "a", "amount_per_volt": 0.02},
                       {"jack": "mod7", "control": "b", "amount_per_volt": 0.05}], **more}


@pytest.mark.parametrize("rate", [48000, 44100])
def test_a_score_with_modulators_sounds_the_same_at_every_block_size(model, rate):
    sounds = {size: render(parse(score()), model=str(model.path), block_frames=size, rate_hz=rate)[0] for size in SIZES}
    assert np.abs(sounds[32]).max() > 0.1
    for size in SIZES[1:]:
        assert np.array_equal(sounds[size], sounds[32]), f"block {size}"


def test_another_seed_sounds_otherwise_and_the_same_one_the_same(model):
    first, again, other = (render(parse(score(1.0)), model=str(model.path), seed=seed)[0] for seed in (5, None, 6))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_score_holds_no_more_than_it_may():
    for entry, what in (({"sources": {"mod9": {"kind": "lfo"}}}, "no modulator 'mod9'"), ({"sources": {"mod1": {"kind": "lfo", "rate_hz": 0}}}, "sources: mod1: rate_hz is 0"),
                        ({"sources": [1]}, "sources must be a mapping"), ({"routes": {"jack": 1}}, "routes must be a list"), ({"tempo_bpm": 20}, "tempo_bpm is 20"),
                        ({"routes": [{"jack": "mod1", "control": "a", "amount": 1}]}, "route 1 has no 'amount'"), ({"routes": [{"jack": "mod1"}]}, "route 1: control is None")):
        with pytest.raises(ScoreError, match=what):
            parse({"seconds": 1, **entry})


def test_a_scores_route_takes_the_place_of_the_models_own():
    patch = Patch(routes=[Route("cv1", "a", 0.3), Route("cv2", "b")])
    own = Route("cv1", "a", 0.1)
    made = parse({"seconds": 1, "routes": [{"jack": "cv1", "control": "a"}, {"jack": "mod1", "control": "b"}]}).patched(patch)
    assert made.routes == [Route("cv2", "b"), own, Route("mod1", "b")] and dataclasses.asdict(own)["quantise"] == "off"


def test_a_tempo_is_counted_in_by_two_taps_exactly_a_beat_apart():
    taps, begun = [], []
    hand = ScoreHand(parse({"seconds": 0.05, "tempo_bpm": 240}), None, tap=taps.append, begun=lambda: begun.append(time.monotonic_ns()))
    hand.start()
    assert hand.done.wait(10)
    hand.finish()
    assert np.diff(taps) == [250_000_000] and len(begun) == 1 and begun[0] >= taps[1]
