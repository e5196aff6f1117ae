"""Patches and cards are refused by what is wrong with them; loudness and onsets are measured right."""

import numpy as np
import pytest

from neurorack.errors import ModelError, PatchError
from neurorack.shm.rack import Rack
from neurorack.voice.card import check_card, drone_card
from neurorack.voice.loudness import lufs, onsets_seconds
from neurorack.voice.patch import Patch, Route, default_patch

CONTROLS = [{"name": "a", "default": 0.3}, {"name": "b"}]


def test_a_patch_in_the_shared_block_is_the_patch(loaded):
    rack = Rack.create(sample_rate_hz=48000, block_frames=64)
    patch = Patch(knobs={"b": 2.0}, drives={"a": 0.5}, level_db=-6, gates={"gate2": "next"}, routes=[
        Route("cv3", "b", 0.2, -0.1, 2.0, 30.0, True), Route("cv1", "unknown")])
    patch.publish(rack.patch[0], CONTROLS)
    shared = rack.patch[0]
    assert list(shared.knob[:2]) == [0.3, 1.0] and list(shared.drive[:2]) == [0.5, 0]
    assert (shared.route_jack[0], shared.route_control[0], shared.route_amount[0], shared.route_offset[0]) == (2, 1, 0.2, -0.1)
    assert (shared.route_curve[0], shared.route_smooth_ms[0], shared.route_latched[0]) == (2.0, 30.0, 1)
    assert shared.route_jack[1] == -1, "a route to a control that this model lacks waits for a model that has it"
    assert (shared.level_db, list(shared.gate_action), shared.revision) == (-6, [2, 1], 1)
    patch.publish(rack.patch[0], CONTROLS)
    assert shared.revision == 2 and shared.seq % 2 == 0


@pytest.mark.parametrize("patch, what", [
    (Patch(level_db=13), "13 dB; it must lie from -90 to 12"), (Patch(gates={"gate2": "explode"}), "explode.*freeze, next, trigger"),
    (Patch(routes=[Route("gate1", "a")]), "no jack 'gate1'; there are cv1 to cv8, mod1 to mod8"), (Patch(routes=[Route("cv1", "a")] * 33), "33 routes; at most 32")])
def test_what_does_not_fit_is_named(patch, what):
    with pytest.raises(PatchError, match=what):
        patch.to_struct(CONTROLS)


def test_the_patch_of_a_card_and_the_one_without():
    card = {"controls": [{"name": n} for n in "pqrst"]}
    assert [(r.jack, r.control) for r in default_patch(card).routes] == [("cv1", "p"), ("cv2", "q"), ("cv3", "r"), ("cv4", "s")]
    card["patch"] = {"routes": [{"jack": "cv2", "control": "t"}], "gate2": "trigger"}
    assert [(r.jack, r.control) for r in default_patch(card).routes] == [("cv2", "t")] and default_patch(card).gates == {"gate2": "trigger"}


GOOD = {"name": "x", "sample_rate_hz": 48000, "hop_frames": 64, "inputs": [{"name": "in"}], "controls": [{"name": "c", "links": [{"input": "in", "low": 0, "high": 1}]}]}


@pytest.mark.parametrize("change, what", [
    ({"sample_rate_hz": None}, "'sample_rate_hz'"), ({"sample_rate_hz": 100}, "100 Hz; it must lie from 8000"), ({"hop_frames": 0}, "hop of 0"),
    ({"hop_frames": 8193}, "hop of 8193 frames; it must lie from 1 to 8192"), ({"plays": "loud"}, "plays 'loud'; it must be one of hits, drone, input"),
    ({"inputs": []}, "0 inputs"), ({"inputs": [{"name": "in"}, {"name": "in"}]}, "name of its own"), ({"inputs": ["in"]}, "name of its own"),
    ({"controls": [{"name": f"c{i}"} for i in range(33)]}, "33 controls; at most 32"), ({"controls": [{}]}, "control needs a name"),
    ({"controls": [{"name": "c", "links": [{"input": "gone", "low": 0, "high": 1}]}]}, "linked to 'gone'"),
    ({"gestures": [{"name": "g"}]}, "needs its tensor")])
def test_a_card_that_cannot_be_played_is_named(change, what):
    check_card(GOOD, "good")
    with pytest.raises(ModelError, match=what):
        check_card({**GOOD, **change}, "bad")


def test_a_foreign_card_is_made_playable():
    """Its own knobs first, as many as fit; the voice's behind them; what an input is said to rest at stays."""
    raw = {"name": "x", "sample_rate_hz": 44100, "hop_frames": 8192, "inputs": [{"name": f"latent {i}", "rest": 0.5} for i in range(256)], "controls": []}
    card = drone_card(raw, ["decode", "encode", "prior"])
    check_card(card, "foreign")
    names = [c["name"] for c in card["controls"]]
    assert len(names) == 32 and names[:2] == ["latent 0", "latent 1"] and {"wander", "decay", "position", "input", "prior", "temperature"} <= set(names)
    assert card["inputs"][0] == {"rest": 0.5, "wander": 1.0, "name": "latent 0"}
    assert drone_card(card, ["decode", "encode", "prior"]) == card, "once is enough"
    assert "prior" not in [c["name"] for c in drone_card(raw, ["decode"])["controls"]]
    effect = drone_card({**raw, "hop_frames": 1, "method": "forward"}, ["forward"])
    check_card(effect, "effect")
    assert effect["plays"] == "input" and effect["inputs"] == [] and [c["name"] for c in effect["controls"]] == ["attack", "decay"]


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_loudness_of_the_standard_s_own_tone(rate):
    """BS.1770: a 997 Hz sine at full scale on one channel measures -3.01 LUFS; on both, 3 dB more."""
    sine = np.sin(2 * np.pi * 997 * np.arange(3 * rate) / rate)
    assert lufs(np.stack([sine, 0 * sine], 1), rate) == pytest.approx(-3.01, abs=0.05)
    assert lufs(0.1 * np.stack([sine, sine], 1), rate) == pytest.approx(-20.0, abs=0.05)
    assert lufs(np.zeros((rate, 2)), rate) is None
    gated = np.concatenate([0.1 * sine, np.zeros(20 * rate)])
    assert lufs(np.stack([gated, gated], 1), rate) == pytest.approx(-20.0, abs=0.4), "silence does not count"


def test_onsets_are_found_where_they_are():
    rate, rng = 48000, np.random.default_rng(5)
    audio, times = np.zeros(3 * rate), [0.1, 0.5003, 0.9, 1.37, 2.2]
    for at in times:
        n = np.arange(8000)
        audio[int(at * rate):int(at * rate) + 8000] += rng.standard_normal(8000) * np.exp(-n / 1500) * 0.3
    assert onsets_seconds(audio, rate) == pytest.approx(times, abs=0.001)
    assert onsets_seconds(np.zeros(rate), rate) == []
