"""When to stop and from where to begin again: early-bird detection, and the barrier between two children of a checkpoint."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from neurorack.lab.trim.connectivity import Line, between, earliest, line, of_children
from neurorack.lab.trim.early_bird import EarlyBird, chance, distance, keep
from neurorack.lab.trim.select import TrimError
from neurorack.trim.units import Group, Member, Unit


def test_keeps_are_compared_unit_by_unit_and_with_chance():
    units = [Unit((Member("weight", 0, k, "out"),)) for k in range(10)]
    groups = [Group("one", tuple(units[:4])), Group("two", tuple(units[4:]))]
    one, other = keep(groups, units[:2]), keep(groups, units[1:3])
    assert one.tolist() == [False] * 2 + [True] * 8 and distance(one, other) == pytest.approx(0.2) and distance(one, one) == 0
    rng = np.random.default_rng(1)
    few = [rng.random(20000) < share for share in (0.05, 0.3)]
    assert distance(*few) == pytest.approx(chance(*few), abs=0.01)


def test_a_ticket_is_drawn_when_a_full_queue_agrees_and_not_before():
    same = np.arange(100) < 5
    bird = EarlyBird(length=4)
    assert [bird.add(same) for _ in range(5)] == [False, False, False, True, True]
    bird = EarlyBird(length=4)
    for _ in range(3):
        bird.add(same)
    assert not bird.add(np.roll(same, 3)) and distance(same, np.roll(same, 3)) < 0.1       # near, but as far as two of 5 % may be
    rng = np.random.default_rng(2)
    bird = EarlyBird(length=3)
    assert not any(bird.add(rng.random(400) < 0.05) for _ in range(30))


def test_a_keep_that_comes_to_rest_settles():
    values, rng, bird, distances = np.linspace(0, 1, 50), np.random.default_rng(3), EarlyBird(), []
    for epoch in range(40):
        noisy = values + rng.standard_normal(50) * 2.0 ** -epoch
        settled = bird.add(noisy > np.median(noisy))
        distances.append(bird.farthest)
        if settled:
            break
    assert settled and 4 < epoch < 39 and distances[-1] < 0.2 <= min(distances[:-1])


def test_a_barrier_is_the_top_of_the_line_over_its_ends():
    one, other = {"w": torch.tensor([-1.0]), "n": torch.tensor([3])}, {"w": torch.tensor([1.0]), "n": torch.tensor([5])}
    assert between(one, other, 0.25) == {"w": torch.tensor([-0.5]), "n": torch.tensor([3])}
    hill = line(one, other, lambda state: 2 - float(state["w"]) ** 2, points=5)
    assert hill.errors == pytest.approx((1, 1.75, 2, 1.75, 1)) and hill.barrier == pytest.approx(1) and hill.relative == pytest.approx(1)
    valley = line(one, other, lambda state: float(state["w"]) ** 2)
    assert valley.barrier == 0 and Line((1.0, 1.5, 2.0)).barrier == 0.5
    with pytest.raises(TrimError, match="w is not of the same shape"):
        between(one, {"w": torch.zeros(2)}, 0.5)


def _task():
    """(train(state, seed, steps), error(state)): a small net on points of two dimensions, trained by random batches."""
    truth = torch.Generator().manual_seed(5)
    points = torch.randn(256, 2, generator=truth)
    goal = torch.sin(3 * points[:, :1]) * torch.cos(2 * points[:, 1:])
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))

    def train(state, seed, steps=200):
        net.load_state_dict(state)
        optimizer, noise = torch.optim.Adam(net.parameters(), 1e-2), torch.Generator().manual_seed(seed)
        for _ in range(steps):
            chosen = torch.randint(0, 256, (16,), generator=noise)
            optimizer.zero_grad()
            ((net(points[chosen]) - goal[chosen]) ** 2).mean().backward()
            optimizer.step()
        return {name: value.detach().clone() for name, value in net.state_dict().items()}

    def error(state):
        net.load_state_dict(state)
        with torch.no_grad():
            return ((net(points) - goal) ** 2).mean()

    def fresh(seed):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return {name: torch.randn_like(value) / max(1, value.shape[-1]) ** 0.5 for name, value in net.state_dict().items()}

    return train, error, fresh


@pytest.mark.soak
def test_children_of_different_beginnings_are_apart_and_those_of_a_trained_net_are_not():
    train, error, fresh = _task()
    begun = fresh(1)
    apart = line(train(begun, 1), train(fresh(2), 1), error)
    trained = train(begun, 3, 600)
    near = of_children(trained, lambda state, seed: train(state, seed, 40), error)
    assert apart.relative > 0.5 and near.relative < 0.25 * apart.relative


def test_the_earliest_checkpoint_without_a_barrier_is_found_and_no_later_one_is_tried():
    asked = []

    def train(checkpoint, seed):
        asked.append((checkpoint, seed))
        return {"w": torch.tensor([(-1.0 if seed == 1 else 1.0) / checkpoint])}

    error = lambda state: 3 - float(state["w"]) ** 2              # a hill between the two, the lower the nearer they are
    place, lines = earliest([1, 2, 16, 32], train, error)
    assert place == 2 and len(lines) == 3 and asked == [(c, s) for c in (1, 2, 16) for s in (1, 2)]
    assert [found.relative for found in lines] == sorted((found.relative for found in lines), reverse=True)
    assert earliest([1, 2], train, error)[0] is None
