"""What each gate does to the voice: as patched, and what it began ends with it."""

import numpy as np
import pytest

from neurorack.voice.patch import Patch
from tests.voice.models import FRAMES
from tests.voice.test_modulation import FIRST_ROW, NEAR, SILENCE, falling, play

SWAPPED = {"gate1": "freeze", "gate2": "trigger"}


def changed(gates):
    """A change of the driven voice's patch."""
    def change(driven):
        driven.patch.gates = gates
        driven.set_patch(driven.patch)
    return change


def test_the_gates_change_places(loaded):
    hits = (FIRST_ROW, 1, True), (FIRST_ROW + 60, 0, True), (FIRST_ROW + 300, 0, False)
    seen = play(loaded["probe"], rows=500, hits=hits, patch=Patch(gates=SWAPPED))
    plain = play(loaded["probe"], rows=500, hits=[(row, 1 - jack, rising) for row, jack, rising in hits])
    assert np.array_equal(seen, plain)
    assert seen[:55, 0] == pytest.approx(falling(55), **NEAR) and seen[60:300, 0].min() > 0.3, "a hit, then held"


@pytest.mark.parametrize("action", ["none", "scene", "record", "tap"])
def test_what_is_not_the_voices_leaves_it_alone(loaded, action):
    hits = (FIRST_ROW, 0, True), (FIRST_ROW + 20, 1, True), (FIRST_ROW + 30, 0, False), (FIRST_ROW + 60, 1, False)
    seen = play(loaded["probe"], hits=hits, patch=Patch(gates={"gate2": action}))
    assert np.array_equal(seen, play(loaded["probe"], hits=(hits[0], hits[2])))
    silent = play(loaded["probe"], hits=hits, patch=Patch(gates={"gate1": action, "gate2": action}))
    assert np.abs(silent).max() < SILENCE


def test_both_may_freeze_and_the_last_lets_go(loaded):
    hits = (FIRST_ROW, 0, True), (FIRST_ROW + 40, 1, True), (FIRST_ROW + 60, 0, True), (FIRST_ROW + 200, 1, False), (FIRST_ROW + 400, 0, False)
    seen = play(loaded["probe"], rows=700, hits=hits, patch=Patch(gates={"gate1": "freeze"}), later={1: changed({"gate1": "trigger"}), FIRST_ROW + 50: changed({"gate1": "freeze"})})
    assert seen[60:400, 0].min() > 0.3, "gate 1 still holds it"
    assert seen[400 + FRAMES:].max() < SILENCE


def test_a_freeze_ends_with_its_gate_though_the_gate_does_something_else_now(loaded):
    hits = (FIRST_ROW, 0, True), (FIRST_ROW + 60, 1, True), (FIRST_ROW + 300, 1, False)
    seen = play(loaded["probe"], rows=600, hits=hits, later={FIRST_ROW + 100: changed({"gate2": "record"})})
    assert seen[60:300, 0].min() > 0.3 and seen[300 + FRAMES:].max() < SILENCE
