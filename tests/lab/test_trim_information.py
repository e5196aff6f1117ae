"""EDGE against closed forms, and as a criterion: it finds what has nothing to do with the target, and tells its bias."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from neurorack.lab.trim.criteria import Context, score
from neurorack.lab.trim.criteria.information import CORRELATIONS, bands, edge, gaussian_check, principal
from neurorack.trim.units import Group, Member, Unit


def pair(r, samples, dimensions, seed):
    """Gaussians x [n, 1] and y [n, d], of which the first is correlated with x by r; and their information."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((samples, 1)), rng.standard_normal((samples, dimensions))
    y[:, :1] = r * x + math.sqrt(1 - r * r) * y[:, :1]
    return x, y, -0.5 * math.log(1 - r * r)


@pytest.mark.parametrize("dimensions, samples, band", [(1, 200, 0.15), (1, 1000, 0.08), (1, 5000, 0.04),
                                                       (2, 1000, 0.16), (2, 5000, 0.1)])
def test_edge_is_within_a_band_of_the_closed_form(dimensions, samples, band):
    for r in CORRELATIONS:
        told = []
        for seed in range(3):
            x, y, truth = pair(r, samples, dimensions, seed)
            told.append(edge(x, y, np.random.default_rng(100 + seed)))
        assert abs(np.mean(told) - truth) < band, (r, told, truth)


def test_edge_of_what_is_independent_is_near_nothing():
    for seed in range(5):
        x, y, _ = pair(0, 2000, 2, seed)
        assert abs(edge(x, y, np.random.default_rng(seed))) < 0.05


def test_edge_knows_what_no_correlation_shows_and_not_the_scale():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((3000, 1))
    y = x ** 2 + 0.1 * rng.standard_normal((3000, 1))
    assert abs(np.corrcoef(x[:, 0], y[:, 0])[0, 1]) < 0.1
    one = edge(x, y, np.random.default_rng(5))
    assert one > 0.8 and one == edge(1000 * np.exp(x), y - 7, np.random.default_rng(5))      # of a value, whatever its unit
    assert edge(x, y, np.random.default_rng(6)) == pytest.approx(one, abs=0.1)


def test_bands_are_the_targets_at_the_moments_asked_for():
    t = np.arange(48000) / 48000
    sound = np.where(t < 0.5, np.sin(2 * np.pi * 300 * t), 0.01 * np.sin(2 * np.pi * 5000 * t))
    found = bands(torch.from_numpy(sound)[None].float(), 256, 150)      # the last 38400 samples: from 0.2 s on
    assert found.shape == (1, 150, 8)
    change = round((0.5 - 0.2) * 48000 / 256)
    assert (found[0, :change - 3].argmax(1) == 1).all() and (found[0, change + 3:].argmax(1) == 5).all()
    assert np.ptp(found[0, :change - 3, 1]) < 0.5
    assert principal(found[0]).shape == (150, 2)


class Loud(nn.Module):
    """Units at the hop rate: 0 and 1 follow the loudness, 2 hears what has nothing to do with the target, 3 is dead."""

    hop, history, layout = 64, 0, SimpleNamespace(width=2)

    def __init__(self):
        super().__init__()
        self.entry, self.head = nn.Conv1d(2, 4, 1), nn.Conv1d(4, 64, 1)
        with torch.no_grad():
            self.entry.weight[..., 0] = torch.tensor([[1.0, 0], [-0.5, 0.3], [0, 1], [0, 0]])
            self.entry.bias.zero_()

    def play(self, rows, rng):
        return self.head(torch.tanh(self.entry(rows.transpose(1, 2)))).transpose(1, 2).flatten(1)


def test_units_that_know_of_the_target_are_told_from_those_that_do_not():
    noise = torch.Generator().manual_seed(1)

    def batches():
        rows = torch.randn(8, 16, 2, generator=noise).repeat_interleave(16, 1)
        level = torch.exp(rows[..., :1]).repeat(1, 1, 64).flatten(1)
        return rows, 0.05 * level * torch.randn(8, 256 * 64, generator=noise)

    net = Loud()
    units = tuple(Unit((Member("entry.weight", 0, k, "out"), Member("entry.bias", 0, k, "out"), Member("head.weight", 1, k, "in")))
                  for k in range(4))
    made = Context(net, [Group("entry", units)], batches, rng=np.random.default_rng(2))
    scores = score("mutual-information", made)
    values, notes = scores["entry"], scores.notes["entry"]
    assert values[0] > values[1] > 0.2 and abs(values[2]) < 0.1 and abs(values[3]) < 0.1
    assert notes["samples"] == 2000 and notes["shuffled"].shape == (4,) and np.abs(notes["shuffled"]).max() < 0.1
    assert [truth for truth, _ in notes["gaussian"]] == [truth for truth, _ in gaussian_check(200, 2, np.random.default_rng(0))]
    assert all(abs(told - truth) < 0.2 for truth, told in notes["gaussian"])
