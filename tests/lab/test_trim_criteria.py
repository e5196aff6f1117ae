"""Criteria: planted units are found, derivatives agree with brute force, flow is conserved, every engine of the lab can be scored."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional as F

from neurorack.lab import engines
from neurorack.lab.layout import Layout
from neurorack.lab.trim.criteria import NAMES, Context, normalisation, score
from neurorack.lab.trim.criteria.synflow import Flow
from neurorack.lab.trim.engine_units import of_engine
from neurorack.lab.trim.select import TrimError
from neurorack.trim.units import Group, Member, Unit

WIDTH, FRAMES = 6, 24
DEAD, UNREAD = 1, 4         # planted units: nothing makes one, nothing reads the other


class Small(nn.Module):
    """rows [batch, frames, 3] → audio: a convolution, a functional one, a head; smooth, so that derivatives are exact."""

    hop, history, layout = 4, 0, SimpleNamespace(width=3)

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.entry, self.head = nn.Conv1d(3, WIDTH, 3), nn.Conv1d(WIDTH, self.hop, 1)
            self.weight, self.bias = nn.Parameter(torch.randn(WIDTH, WIDTH, 1) * 0.5), nn.Parameter(torch.randn(WIDTH) * 0.1)

    def play(self, rows, rng):
        h = torch.tanh(self.entry(F.pad(rows.transpose(1, 2), (2, 0))))
        h = torch.tanh(F.conv1d(h, self.weight, self.bias))
        return self.head(h).transpose(1, 2).reshape(len(rows), -1)


def unit(k, makers, reader):
    """The unit k that rows of the makers make and columns of the reader read."""
    return Unit((*(Member(name, 0, k, "out") for name in makers), Member(reader, 1, k, "in")))


def groups():
    """The units of `Small`."""
    return [Group("entry", tuple(unit(k, ("entry.weight", "entry.bias"), "weight") for k in range(WIDTH))),
            Group("second", tuple(unit(k, ("weight", "bias"), "head.weight") for k in range(WIDTH)))]


def planted():
    """A net in both of whose groups one unit is dead and one is not read."""
    net = Small()
    with torch.no_grad():
        for weight, bias, reader in ((net.entry.weight, net.entry.bias, net.weight), (net.weight, net.bias, net.head.weight)):
            weight[DEAD], bias[DEAD], reader[:, UNREAD] = 0, 0, 0
    return net


def data(seed=1, kind=torch.float32):
    """(rows, target), the target of another net."""
    rng = np.random.default_rng(seed)
    rows = torch.from_numpy(rng.standard_normal((4, FRAMES, 3))).to(kind)
    return rows, Small(seed=9).to(kind).play(rows, rng).detach()


def apart(net):
    """The loss: mean square of the difference."""
    return lambda rows, target: ((net.play(rows, None) - target) ** 2).mean()


def context(net, **more):
    seeds = iter(range(100))
    return Context(net, groups(), lambda: data(next(seeds)), **({"loss": apart(net)} | more))


def exactly(net):
    """A context in float64 with one batch, and its loss."""
    batch = data(kind=torch.float64)
    return Context(net.double(), groups(), lambda: batch, apart(net), count=1), lambda: apart(net)(*batch)


def slope(parts, measure, step=1e-4):
    """Derivative of `measure()` with respect to a factor on slices (tensor, axis, index), by trying."""
    values = []
    for factor in (1 + step, 1 - step):
        saved = {id(tensor): (tensor, tensor.detach().clone()) for tensor, _, _ in parts}
        with torch.no_grad():
            for tensor, axis, index in parts:
                tensor.select(axis, index).mul_(factor)
        values.append(float(measure().detach()))
        with torch.no_grad():
            for tensor, value in saved.values():
                tensor.copy_(value)
    return (values[0] - values[1]) / (2 * step)


def readers(net, unit):
    """The slices that read a unit: a factor on them is a gate behind it."""
    return [(net.state_dict(keep_vars=True)[m.tensor], m.axis, m.index) for m in unit.members if m.role == "in"]


@pytest.mark.parametrize("name, found", [("magnitude", {DEAD}), ("norm-scale", {DEAD}), ("gradient", {UNREAD}), ("taylor", {DEAD, UNREAD}),
                                         ("snip", {DEAD, UNREAD}), ("grasp", {UNREAD}), ("activation", {DEAD}), ("synflow", {DEAD, UNREAD})])
def test_planted_units_are_found_and_the_net_is_left_as_it_was(name, found):
    net = planted()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    scores = score(name, context(net))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[key], value) and value.grad is None for key, value in net.state_dict(keep_vars=True).items())
    for values in scores.values():
        assert values.dtype == np.float64 and values.shape == (WIDTH,)
        sizes = np.abs(values)          # GraSP's may be below 0
        assert set(np.argsort(sizes)[:len(found)]) == found
        if name != "synflow":           # whose are places
            assert sizes[list(found)].max() < 1e-6 * np.median(sizes)
    again = score(name, context(net))
    assert all(np.array_equal(scores[key], again[key]) for key in scores)


def test_copies_of_a_unit_score_the_same():
    """No measure of one unit at a time can tell that another does the same."""
    net = Small()
    with torch.no_grad():
        net.entry.weight[2], net.entry.bias[2], net.weight[:, 2] = net.entry.weight[3], net.entry.bias[3], net.weight[:, 3]
    for name in ("magnitude", "gradient", "taylor", "snip", "grasp", "activation"):
        values = score(name, context(net))["entry"]
        assert np.isclose(values[2], values[3], rtol=1e-3, atol=1e-3 * np.abs(values).max())


def test_taylor_is_the_square_of_what_a_gate_on_the_unit_costs():
    net = Small()
    made, loss = exactly(net)
    scores = score("taylor", made)
    for group in groups():
        assert np.allclose(scores[group.name], [slope(readers(net, one), loss) ** 2 for one in group.units], rtol=1e-4)


def test_grasp_is_half_of_what_a_gate_costs_the_gradients_squared_length():
    net = Small()
    made, loss = exactly(net)
    scores = score("grasp", made)

    def flow():
        return sum((g ** 2).sum() for g in torch.autograd.grad(loss(), list(net.parameters())))

    for group in groups():
        truth = np.array([slope(readers(net, one), flow) / 2 for one in group.units])
        assert np.abs(scores[group.name] - truth).max() < 0.01 * np.abs(truth).max()


def test_snip_sums_what_each_single_weight_costs():
    net = Small()
    made, loss = exactly(net)
    scores = score("snip", made)["entry"]
    for k in (0, 3):
        flat = net.entry.weight.view(-1)
        costs = [abs(slope([(flat, 0, index)], loss)) for index in range(k * 9, k * 9 + 9)]
        assert np.isclose(scores[k], sum(costs) + abs(slope([(net.entry.bias, 0, k)], loss)), rtol=1e-4)


def test_a_loss_that_is_not_the_same_twice_is_told():
    net, rng = Small(), np.random.default_rng(0)
    with pytest.raises(TrimError, match="on the same batch"):
        score("grasp", context(net, loss=lambda rows, target: apart(net)(rows, target) * (1 + rng.random())))


def test_the_flow_is_the_same_through_every_layer():
    net = Small()
    with torch.no_grad():
        net.entry.bias.zero_(), net.bias.zero_(), net.head.bias.zero_()
    made = context(net)
    products = Flow(made).through(())
    layers = [products[name].sum().item() for name in ("entry.weight", "weight", "head.weight")]
    total = FRAMES * sum(np.linalg.multi_dot([np.abs(net.head.weight.detach().double().numpy()[..., 0]),
                                              np.abs(net.weight.detach().double().numpy()[..., 0]),
                                              np.abs(net.entry.weight.detach().double().numpy()).sum((1, 2))[:, None]]))[0]
    assert layers[0] == pytest.approx(layers[1]) and layers[1] == pytest.approx(layers[2])
    assert layers[0] == pytest.approx(total * Flow(made).rows.shape[1] / FRAMES)


def test_synflow_lets_no_layer_collapse():
    net = Small()
    with torch.no_grad():
        net.weight.mul_(1e-4)            # for magnitude this layer would be the first to go
    made = context(net)
    order = sorted((value, name) for name, values in score("synflow", made).items() for value in values)
    assert {name for _, name in order[-2:]} == {"entry", "second"}
    assert normalisation("synflow") == "none" and normalisation("taylor") == "max"


def test_units_are_heard_where_they_are_read_also_of_gru_and_linear_layers():
    class Other(nn.Module):
        hop, history, layout = 4, 0, SimpleNamespace(width=3)

        def __init__(self):
            super().__init__()
            self.entry, self.gru, self.head = nn.Linear(3, 5), nn.GRU(5, 4, batch_first=True), nn.Linear(4, 4)

        def play(self, rows, rng):
            self.h = torch.relu(self.entry(rows))
            self.y = self.gru(self.h)[0]
            return self.head(self.y).flatten(1)

    net, names = Other(), ("gru.weight_ih_l0", "gru.weight_hh_l0", "gru.bias_ih_l0", "gru.bias_hh_l0")
    made = [Group("entry", tuple(unit(k, ("entry.weight", "entry.bias"), names[0]) for k in range(5))),
            Group("gru", tuple(Unit((*(Member(name, 0, k + 4 * gate, "out") for name in names for gate in range(3)),
                                     Member(names[1], 1, k, "in"), Member("head.weight", 1, k, "in"))) for k in range(4)))]
    with torch.no_grad():
        net.entry.weight[2], net.entry.bias[2] = 0, 0
    batch = (data()[0], torch.zeros(4, FRAMES * 4))
    scored = {name: score(name, Context(net, made, lambda: batch, apart(net), count=1)) for name in ("activation", "synflow", "taylor")}
    assert np.allclose(scored["activation"]["entry"], net.h.detach().abs().mean((0, 1)))
    assert np.allclose(scored["activation"]["gru"], net.y.detach().abs().mean((0, 1)))
    assert scored["synflow"]["entry"].argmin() == 2 and scored["taylor"]["entry"].argmin() == 2
    assert len(set(np.concatenate(list(scored["synflow"].values())))) == 9


ENGINES = {"film": ({"kind": "harmonic", "width": 6, "conditioning": "film"}, Layout(True, 2)),
           "recurrent": ({"kind": "noise-band", "width": 6, "trunk": "recurrent"}, Layout(False, 2)),
           "bands": ({"kind": "convolution", "width": 4, "conditioning": "film"}, Layout(False, 2)),
           "sample rate": ({"kind": "source-filter", "width": 4, "layers": 2, "blocks": 1}, Layout(False, 2))}


def of_the_lab(name):
    """(engine, context) of an engine of the lab with noise as its data."""
    settings, layout = ENGINES[name]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        engine = engines.make(settings, layout)
    noise = torch.Generator().manual_seed(2)
    frames = 24 * 64 // engine.hop
    rows = torch.rand(2, engine.history + frames, layout.width, generator=noise) * 2 - 1
    batch = (rows, torch.randn(2, frames * engine.hop, generator=noise) * 0.1)
    return engine, Context(engine, of_engine(engine), lambda: batch, count=1)


@pytest.mark.parametrize("name", list(ENGINES))
def test_every_criterion_scores_every_engine(name):
    engine, made = of_the_lab(name)
    for criterion in NAMES:
        scores = score(criterion, made)
        assert [(group.name, len(group.units)) for group in made.groups] == [(key, len(values)) for key, values in scores.items()]
        assert all(np.isfinite(values).all() for values in scores.values()), criterion
        assert criterion == "norm-scale" or any(np.ptp(values) > 0 for values in scores.values()), criterion


def test_a_gain_is_that_of_film_or_of_a_norm_else_the_magnitude():
    engine, made = of_the_lab("film")
    with torch.no_grad():
        for film in engine.net.films:
            film.weight[2], film.bias[2] = 0, 0
    scores = score("norm-scale", made)
    (values,), (note,) = scores.values(), scores.notes.values()
    assert values[2] == 0 and (np.delete(values, 2) > 0.5).all() and note == "gain"
    engine, made = of_the_lab("recurrent")
    with torch.no_grad():
        engine.net.entry_norm.weight[4] = 0.25
    scores = score("norm-scale", made)
    assert np.array_equal(scores["net.entry"], [1, 1, 1, 1, 0.25, 1])
    assert set(score("norm-scale", of_the_lab("bands")[1]).notes.values()) == {"gain", "magnitude"}


def test_chance_is_of_its_seed_and_moves_on():
    one, other = context(Small(), rng=np.random.default_rng(3)), context(Small(), rng=np.random.default_rng(3))
    first = score("random", one)
    assert np.array_equal(first["entry"], score("random", other)["entry"])
    assert not np.array_equal(first["entry"], score("random", one)["entry"])


def test_wrong_names_foreign_units_and_unseen_readers_are_told():
    with pytest.raises(TrimError, match="magnitude"):
        score("luck", context(Small()))
    with pytest.raises(TrimError, match="which this engine has not"):
        Context(nn.Conv1d(3, 3, 1), groups())
    with pytest.raises(TrimError, match="reads entry"):
        score("activation", context(Small(), run=lambda rows: None))
    with pytest.raises(TrimError, match="nothing flows out"):
        score("synflow", context(Small(), run=lambda rows: None))
    assert len(NAMES) == 10
