"""What reaches the model: gestures, bends and drives, routes. Seen through a model that shows its inputs."""

import numpy as np
import pytest

from neurorack.voice.patch import Patch, Route
from tests.voice.drive import HOP, RATE, Driven
from tests.voice.models import FRAMES, held

FIRST_ROW = 100     # where the tests hit; the output's level has faded in by then
SILENCE = 5e-4       # what the DC blocker still lets go of
NEAR = {"rel": 2e-3, "abs": 2e-3}


def play(model, rows=400, *, hits=((FIRST_ROW, 0, True),), patch=None, knobs=None, drives=None, cv=None, later=None, block=64):
    """The probe's inputs row by row from the first hit on, float32 [rows, 2]. ``hits``: (row, jack, rising); ``later``:
    row -> a change of the driven voice."""
    driven = Driven(model, block_frames=block, patch=patch or Patch(knobs=knobs or {}, drives=drives or {}))
    for jack, volts in (cv or {}).items():
        driven.cv[jack] = volts
    for row, jack, rising in hits:
        driven.hit(row * HOP + 16, jack, rising)
    parts, at = [], 0
    for row in sorted({*(later or {}), FIRST_ROW + rows}):
        parts.append(driven.run((row - at) * HOP))
        at = row
        if later and row in later:
            later[row](driven)
    parts.append(driven.run(HOP))
    return held(np.concatenate(parts))[FIRST_ROW:FIRST_ROW + rows]


def falling(rows=FRAMES):
    return 0.6 * (1 - np.arange(rows) / FRAMES)


def test_a_trigger_plays_the_gesture_and_rest_follows(loaded):
    seen = play(loaded["probe"])
    assert seen[:FRAMES, 0] == pytest.approx(falling(), **NEAR)
    assert seen[FRAMES:].max() < SILENCE and seen[:, 1].max() < SILENCE


def test_a_falling_edge_is_no_trigger(loaded):
    seen = play(loaded["probe"], hits=((FIRST_ROW, 0, True), (FIRST_ROW + 10, 0, False)))
    assert seen[:FRAMES, 0] == pytest.approx(falling(), **NEAR)


def test_a_hit_restarts_the_gesture(loaded):
    seen = play(loaded["probe"], hits=((FIRST_ROW, 0, True), (FIRST_ROW + 30, 0, True)))
    assert seen[30:30 + FRAMES, 0] == pytest.approx(falling(), **NEAR) and seen[29, 0] == pytest.approx(falling()[29], **NEAR)


# ---- bend and drive


def test_a_knob_bends_the_gesture_by_its_distance_from_its_default(loaded):
    seen = play(loaded["probe"], knobs={"a": 0.7})
    assert seen[:50, 0] == pytest.approx(falling(50) + 0.2, **NEAR)
    seen = play(loaded["probe"], knobs={"a": 0.5, "b": 0.4})      # a stands at its default; b's runs from 0 to 0.5
    assert seen[:50, 0] == pytest.approx(falling(50), **NEAR) and seen[:50, 1] == pytest.approx(0.2, **NEAR)


def test_bends_die_with_the_gesture(loaded):
    seen = play(loaded["probe"], knobs={"b": 1.0})
    fade = round(0.1 * RATE / HOP)
    assert seen[:FRAMES - fade, 1] == pytest.approx(0.5, **NEAR)
    assert np.all(np.diff(seen[FRAMES - fade:FRAMES, 1]) < 0)
    assert seen[FRAMES:].max() < SILENCE, "a raised knob keeps a finished hit sounding"


def test_a_driven_control_sets_its_input_with_or_without_a_gesture(loaded):
    seen = play(loaded["probe"], knobs={"a": 0.3}, drives={"a": 1.0})
    assert seen[:, 0] == pytest.approx(0.3, **NEAR)
    half = play(loaded["probe"], knobs={"a": 0.3}, drives={"a": 0.5})
    bent = falling(50) + 0.5 * (0.3 - 0.5)
    assert half[:50, 0] == pytest.approx(bent + 0.5 * (0.3 - bent), **NEAR)
    assert half[FRAMES + 5:, 0] == pytest.approx(0.15, **NEAR)


def test_rest_values_stand_where_no_gesture_runs(tmp_path):
    from tests.voice.models import probe

    model = probe(tmp_path / "rested.safetensors", rests=(0.11, 0.22, 0.0, 0.0))
    assert play(model)[FRAMES + 1:] == pytest.approx(np.tile([0.11, 0.22], (400 - FRAMES - 1, 1)), **NEAR)


# ---- gestures


def test_the_gesture_control_chooses_and_clamps(loaded):
    for knob, first, second in ((0.0, 0.6, 0.0), (0.32, 0.6, 0.0), (0.34, 0.2, 0.3), (0.67, 0.4, 0.0), (1.0, 0.4, 0.0)):
        seen = play(loaded["probe"], rows=10, knobs={"which": knob})
        assert seen[0] == pytest.approx([first, second], **NEAR), knob


@pytest.mark.parametrize("knob, factor", [(0.0, 0.25), (0.25, 0.5), (0.5, 1.0), (0.75, 2.0), (1.0, 4.0)])
def test_speed(loaded, knob, factor):
    seen = play(loaded["probe"], rows=700, knobs={"speed": knob})
    rows = int(FRAMES / factor) - 2
    assert seen[:rows, 0] == pytest.approx(np.maximum(0.6 * (1 - np.minimum(np.arange(rows) * factor, FRAMES - 1) / FRAMES), 0), **NEAR)
    assert seen[int(FRAMES / factor) + 2:].max() < SILENCE


def test_morph_goes_to_the_next_gesture(loaded):
    seen = play(loaded["probe"], knobs={"morph": 1.0})
    assert seen[:FRAMES] == pytest.approx(np.tile([0.2, 0.3], (FRAMES, 1)), **NEAR)
    half = play(loaded["probe"], knobs={"morph": 0.5})
    assert half[:FRAMES, 0] == pytest.approx(0.5 * (falling() + 0.2), **NEAR) and half[:FRAMES, 1] == pytest.approx(0.15, **NEAR)


def test_morphing_with_a_longer_gesture_lasts_as_long_as_that(loaded):
    seen = play(loaded["probe"], knobs={"which": 0.9, "morph": 0.5})      # 20 rows of 0.4, then the falling line of 150
    assert seen[100, 0] == pytest.approx(0.5 * 0.4 + 0.5 * falling()[100], **NEAR)
    assert seen[FRAMES + 1:].max() < SILENCE


def test_gate_2_freezes_and_lets_go(loaded):
    rows = (FIRST_ROW, 0, True), (FIRST_ROW + 60, 1, True), (FIRST_ROW + 300, 1, False)
    seen = play(loaded["probe"], rows=600, hits=rows)
    loop = 0.05 * RATE / HOP       # 37.5 rows, there and back
    frozen = seen[60:300, 0]
    assert frozen.max() <= falling()[int(60 - loop) - 1] and frozen.min() >= falling()[62]
    assert np.ptp(frozen) == pytest.approx(0.6 * loop / FRAMES, rel=0.05)
    steps = np.abs(np.diff(frozen))
    assert steps.max() < 2 * 0.6 / FRAMES, "the loop jumps"
    turns = np.flatnonzero(np.diff(np.sign(np.diff(frozen))))
    assert np.diff(turns).mean() == pytest.approx(loop, abs=1)
    after = seen[300:, 0]
    assert after[:80].max() <= frozen.max() and seen[300 + FRAMES:].max() < SILENCE


def test_a_hit_under_freeze_holds_its_own_beginning(loaded):
    seen = play(loaded["probe"], rows=500, hits=((FIRST_ROW - 5, 1, True), (FIRST_ROW, 0, True)))
    assert seen[:500, 0].min() > 0.6 * (1 - (0.05 * RATE / HOP + 2) / FRAMES), "a frozen hit does not end"


def test_gate_2_as_next_gesture_and_as_second_trigger(loaded):
    hits = (FIRST_ROW, 0, True), (FIRST_ROW + 20, 1, True), (FIRST_ROW + 30, 1, False), (FIRST_ROW + 40, 1, True), (FIRST_ROW + 60, 1, False), (FIRST_ROW + 70, 1, True)
    seen = play(loaded["probe"], hits=hits, patch=Patch(gates={"gate2": "next"}))
    assert seen[0] == pytest.approx([0.6, 0], **NEAR) and seen[20] == pytest.approx([0.2, 0.3], **NEAR)
    assert seen[40] == pytest.approx([0.4, 0], **NEAR) and seen[70] == pytest.approx([0.6, 0], **NEAR)
    again = play(loaded["probe"], hits=hits, patch=Patch(gates={"gate2": "trigger"}))
    for row in (0, 20, 40, 70):
        assert again[row] == pytest.approx([0.6, 0], **NEAR)


# ---- routes


def steady(model, volts, **route):
    """The first input under a route onto ``a`` alone, driven, long after every smoothing."""
    patch = Patch(knobs={"a": 0.5}, drives={"a": 1.0}, routes=[Route("cv1", "a", **route)])
    return play(model, rows=600, hits=(), patch=patch, cv={0: volts})[-1, 0]


@pytest.mark.parametrize("volts", [-5.0, -1.0, 0.0, 2.5, 4.0])
def test_amount_and_offset(loaded, volts):
    assert steady(loaded["probe"], volts) == pytest.approx(np.clip(0.5 + 0.1 * volts, 0, 1), **NEAR)
    assert steady(loaded["probe"], volts, amount_per_volt=-0.05, offset=0.1) == pytest.approx(0.6 - 0.05 * volts, **NEAR)


def test_a_control_is_clamped_whatever_the_routes_add_up_to(loaded):
    assert steady(loaded["probe"], 10.0) == pytest.approx(0.966, rel=0.02)      # 1, held by the limiter
    assert steady(loaded["probe"], -10.0) == 0


@pytest.mark.parametrize("curve", [0.25, 0.5, 2.0, 4.0])
def test_a_curve_keeps_sign_and_ends(loaded, curve):
    for volts in (-8.0, -2.0, 3.0, 7.0):
        want = 0.5 + 0.04 * np.sign(volts) * 10 * (abs(volts) / 10) ** curve
        assert steady(loaded["probe"], volts, amount_per_volt=0.04, curve=curve) == pytest.approx(want, **NEAR)


def test_routes_onto_one_control_add_up(loaded):
    patch = Patch(drives={"a": 1.0}, routes=[Route("cv1", "a", 0.1), Route("cv2", "a", 0.05), Route("cv2", "b", 0.1)])
    seen = play(loaded["probe"], hits=(), patch=patch, cv={0: 1.0, 1: -2.0})
    assert seen[-1, 0] == pytest.approx(0.5 + 0.1 - 0.1, **NEAR)


@pytest.mark.parametrize("smooth_ms", [0.0, 20.0, 100.0])
def test_smoothing_is_a_time_constant(loaded, smooth_ms):
    patch = Patch(knobs={"a": 0.2}, drives={"a": 1.0}, routes=[Route("cv1", "a", 0.1, smooth_ms=smooth_ms)])
    seen = play(loaded["probe"], rows=600, hits=(), patch=patch, later={FIRST_ROW + 10: lambda d: d.cv.__setitem__(0, 4.0)})[10:, 0]
    ms = (np.arange(len(seen)) + 1) * 1000 * HOP / RATE
    want = 0.2 + 0.4 * (1 - np.exp(-ms / smooth_ms)) if smooth_ms else np.full(len(seen), 0.6)
    assert seen == pytest.approx(want, rel=5e-3, abs=5e-3)


def test_a_latched_route_is_read_at_the_trigger_alone_and_from_its_own_reading(loaded):
    """The edge brings the CVs as they settled; what the jack does meanwhile is not heard."""
    patch = Patch(knobs={"b": 0.0}, routes=[Route("cv2", "b", 0.1, smooth_ms=0.0, latched=True)])
    driven = Driven(loaded["probe"], patch=patch)
    driven.cv[1] = 9.0
    volts = [0.0] * 8
    volts[1] = 4.0
    driven.hit(FIRST_ROW * HOP + 16, cv=volts)
    volts[1] = 8.0
    driven.hit((FIRST_ROW + 40) * HOP + 16, cv=volts)
    seen = held(driven.run((FIRST_ROW + 300) * HOP))[FIRST_ROW:, 1]
    assert seen[:40] == pytest.approx(0.2, **NEAR) and seen[40:60] == pytest.approx(0.4, **NEAR)


def test_the_gesture_is_chosen_by_the_controls_of_its_own_trigger(loaded):
    patch = Patch(routes=[Route("cv3", "which", 0.1, smooth_ms=0.0, latched=True)])
    driven = Driven(loaded["probe"], patch=patch)
    for i, volt in enumerate((0.0, 5.0, 9.0, 0.0)):
        volts = [0.0] * 8
        volts[2] = volt
        driven.hit((FIRST_ROW + 50 * i) * HOP + 16, cv=volts)
    seen = held(driven.run((FIRST_ROW + 220) * HOP))[FIRST_ROW:]
    assert [round(float(seen[50 * i, 0]), 2) for i in range(4)] == [0.6, 0.2, 0.4, 0.6]


def test_a_route_to_nothing_is_no_harm(loaded):
    patch = Patch(routes=[Route("cv1", "a", 0.1)])
    driven = Driven(loaded["probe"], patch=patch)
    driven.struct.route_control[0], driven.struct.route_jack[1] = 31, 77
    driven.voice.set_patch(driven.struct)
    driven.hit(FIRST_ROW * HOP + 16)
    assert held(driven.run((FIRST_ROW + 60) * HOP))[FIRST_ROW:, 0][:50] == pytest.approx(falling(50), **NEAR)
