"""Gestures taken from recordings: how they end."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab.export import TAIL_ROWS, end_softly


def falling(rows, first, last):
    table = torch.zeros(rows, 13)
    table[:, 0] = torch.linspace(first, last, rows)
    table[:, 1] = torch.arange(rows) / rows
    return table


def test_a_gesture_that_breaks_off_is_led_to_silence():
    table = falling(400, 0.8, 0.3)
    table[-10:, 1] = 9.0                                    # the break itself is bright
    soft = end_softly(table, -1.5)
    assert soft[-1, 0] == -1.5 and len(soft) == 401
    steps = soft[1:-1, 0] - soft[:-2, 0]
    assert steps.min() > -2 * 1.4 / TAIL_ROWS and soft[-2, 0] < -0.9
    assert soft[:, 1].max() < 1
    torch.testing.assert_close(soft[:300], table[:300])


def test_a_gesture_that_dies_by_itself_keeps_its_shape():
    table = falling(400, 0.8, -0.99)
    soft = end_softly(table, -1.5)
    torch.testing.assert_close(soft[:-1, 0], table[:, 0], rtol=0, atol=0.02)


def test_a_very_short_gesture_still_ends_at_rest():
    assert end_softly(falling(3, 0.5, 0.4), -1.5)[-1, 0] == -1.5
