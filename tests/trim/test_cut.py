"""Programs and files lose units: what is left plays what the whole plays with those units silent."""

import copy
import json

import numpy as np
import pytest

from neurorack.engine import Model, ModelWriter, store, stored
from neurorack.trim import Parts, TrimError, cut_model
from neurorack.trim.parts import orthogonal
from neurorack.trim.units import Unit, cut_shapes, masked_tensors

LEAST_DB = 80.0             # of the same sums in another order


def some(groups, rng, share=0.5):
    return [group.units[k] for group in groups for k in rng.permutation(len(group.units))[: max(1, int(share * len(group.units)))]]


def verify(parts, removed, method, rows):
    """Is taking units out the same as silencing them? For each block length of a method, played over ``rows`` [n, channels]: the level of
    the sound over the largest difference of the two, in dB (infinite where there is none).

    Holds for units of groups that are not ``mixed``; a norm hears a silent channel, but not one that is gone.
    """
    cut, silenced = parts.cut(removed), copy.copy(parts)
    silenced.tensors = masked_tensors(parts.tensors, removed)
    found = {}
    for name, block in parts.listings:
        if name == method:
            whole = parts.listings[name, block].in_shape[0]
            one, other = (p.program(name, block).stream(rows[:len(rows) // whole * whole]) for p in (cut, silenced))
            apart = float(np.abs(one - other).max())
            found[block] = 20 * float(np.log10(max(np.abs(one).max(), 1e-30) / apart)) if apart else np.inf
    return found


def block(b, x, rng):
    """A layer or a few that make channels of [rows, channels], of many kinds."""
    w = lambda *shape: (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)
    n, m, kind = x.channels, int(rng.integers(3, 7)), rng.integers(10)
    if kind == 0:
        return b.conv1d(x, w(m, n, 3), w(m), dilation=int(rng.integers(1, 4)), act="leaky_relu", a=0.2)
    if kind == 1:
        h = b.conv1d(b.leaky_relu(x, 0.2), w(m, n, 2), w(m), act="tanh")
        return b.conv1d(h, w(n, m, 1), residual=x, residual_first=bool(rng.integers(2)), act="tanh")
    if kind == 2:
        film = b.conv1d(b.input(), w(2 * n, b.input().channels, 1))
        step = x.rows // film.rows
        film = b.glide(film, step) if step > 1 else film
        return b.ternary("multiply_add", x, b.affine(film[:, :n], 1.0, 1.0), film[:, n:])
    if kind == 3:
        return b.gru(x, w(3 * m, n), w(3 * m, m), w(3 * m), w(3 * m))
    if kind == 4:
        return b.conv1d(x, w(n, 1, 3), w(n), groups=n)
    if kind == 5:
        y, second = b.conv1d(x, w(m, n, 1), w(m), also="tanh")
        return b.concat([b.binary("mul", y, second), x])
    if kind == 6:
        return b.binary("mul", b.conv1d(x, w(m, n, 1)), b.sigmoid(b.conv1d(x, w(m, n, 1), w(m))))
    if kind == 7:
        return b.ternary("snake", x, w(n), w(n))
    if kind == 8:
        return b.binary("add", x, x.delayed(2))
    return b.binary("max", b.conv1d(x, w(2 * m, n, 1))[:, :m][:, ::-1], b.conv1d(x, w(m, n, 1)))


def net(seed):
    """A builder function of a net drawn from a seed: [rows, 4] to [4 rows, 1]."""
    def build(b):
        rng = np.random.default_rng(seed)
        x = b.conv1d(b.input(), rng.standard_normal((6, 4, 3)).astype(np.float32), rng.standard_normal(6).astype(np.float32))
        for _ in range(3):
            x = block(b, x, rng)
        up, bias = (rng.standard_normal((x.channels, 5, 8)) / 4).astype(np.float32), rng.standard_normal(5).astype(np.float32)
        x = b.conv_transpose1d(x, up, bias, stride=4)
        x = block(b, x, rng)
        b.output(b.conv1d(x, (rng.standard_normal((1, x.channels, 1)) / 4).astype(np.float32), act="tanh"))

    return build


def written(path, build, blocks=(8, 32), **more):
    writer = ModelWriter({"name": "x"})
    writer.method("decode", build, blocks=list(blocks), **{"in_channels": 4, "in_ratio": 4} | more)
    return writer.save(path)


@pytest.mark.parametrize("seed", range(12))
def test_a_net_without_some_units_plays_what_it_plays_with_them_silent(tmp_path, seed):
    written(tmp_path / "x.safetensors", net(seed))
    parts, rng = Parts(tmp_path / "x.safetensors"), np.random.default_rng(seed)
    groups = parts.find()
    removed = some(groups, rng)
    rows = rng.standard_normal((64, 4)).astype(np.float32)
    assert removed and all(db > LEAST_DB for db in verify(parts, removed, "decode", rows).values())

    model = cut_model(parts, removed, tmp_path / "y.safetensors", {"name": "y"})
    whole = Model.load(tmp_path / "x.safetensors")
    assert model.card == {"name": "y"} and (tmp_path / "y.safetensors").stat().st_size < (tmp_path / "x.safetensors").stat().st_size
    assert {name: model.tensor(name).shape for name in parts.tensors} == cut_shapes(parts.shapes, removed)
    outputs = [model.program("decode", n).stream(rows) for n in (8, 32)]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5)
    assert np.abs(outputs[0] - whole.program("decode", 8).stream(rows)).max() > 1e-3
    for n in (8, 32):                                        # and the memory is as small as that of a net that never had them
        assert model.program("decode", n).memory_bytes < whole.program("decode", n).memory_bytes


def test_methods_that_share_their_tensors_are_cut_together(tmp_path):
    rng = np.random.default_rng(1)
    a, c, own = (rng.standard_normal(shape).astype(np.float32) for shape in ((6, 4, 3), (1, 6, 1), (2, 6, 1)))
    writer = ModelWriter({"name": "x"})
    writer.method("decode", lambda b: b.output(b.conv1d(b.conv1d(b.input(), a), c)), blocks=[4, 8], in_channels=4)
    writer.method("watch", lambda b: b.output(b.conv1d(b.conv1d(b.input(), a, act="relu"), own)), blocks=[8], in_channels=4, out_channels=2)
    writer.weights.tensors["gesture.one"] = np.ones((3, 2), np.float16)
    writer.save(tmp_path / "x.safetensors")
    parts = Parts(tmp_path / "x.safetensors")
    (group,) = parts.find()
    assert len(group.units) == 6 and len(group.units[0].members) == 3
    model = parts.cut(group.units[1:4]).save(tmp_path / "y.safetensors")
    x, kept = rng.standard_normal((8, 4)).astype(np.float32), [0, 4, 5]
    again = ModelWriter({"name": "x"})
    again.method("decode", lambda b: b.output(b.conv1d(b.conv1d(b.input(), a[kept]), c[:, kept])), blocks=[4], in_channels=4)
    small = again.save(tmp_path / "z.safetensors")
    np.testing.assert_allclose(model.program("decode", 4).stream(x), small.program("decode", 4).stream(x), atol=1e-6)
    assert model.methods["watch"].blocks == (8,) and model.program("watch", 8).run(x).shape == (8, 2)
    assert store.Store(tmp_path / "y.safetensors").dtypes["gesture.one"] == "F16"

    half_a_unit = Unit(tuple(member for member in group.units[0].members if member.role == "out"))
    with pytest.raises(TrimError, match="find them anew"):
        parts.cut([half_a_unit])


def test_a_state_that_starts_from_a_tensor_is_cut_with_its_channels(tmp_path):
    rng = np.random.default_rng(2)
    a, c, begin = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 4, 1), (1, 5, 1), (2, 5)))

    def build(b):
        x, past = b.conv1d(b.input(), a), b.state(2, 5, initial=begin)
        sum_ = b.binary("add", x, past)
        b.call("unary", [x], [past], fn="copy")
        b.output(b.conv1d(sum_, c))

    written(tmp_path / "x.safetensors", build, blocks=(2,), in_ratio=1)
    parts = Parts(tmp_path / "x.safetensors")
    (group,) = parts.find()
    cut = parts.cut([group.units[0], group.units[3]])
    x, kept = rng.standard_normal((4, 4)).astype(np.float32), [1, 2, 4]
    h = x @ a[kept, :, 0].T
    want = (h + np.concatenate((begin[:, kept], h[:2]))) @ c[0, kept, :]
    np.testing.assert_allclose(cut.program("decode", 2).stream(x), want, atol=1e-5)
    cut.save(tmp_path / "y.safetensors")
    states = [b for b in Model.load(tmp_path / "y.safetensors").listing("decode", 2).buffers if b.kind == "state" and b.tensor]
    assert [b.size for b in states] == [6]


def test_a_mean_over_channels_stays_a_mean(tmp_path):
    def build(b):
        rng = np.random.default_rng(3)
        x = b.conv1d(b.input(), rng.standard_normal((6, 4, 1)).astype(np.float32))
        b.output(b.mean(x))

    written(tmp_path / "x.safetensors", build, blocks=(4,), in_ratio=1)
    parts = Parts(tmp_path / "x.safetensors")
    (group,) = parts.find()
    assert group.mixed
    cut = parts.cut(group.units[:3])
    weight = cut.tensors["t0"]
    x = np.ones((4, 4), np.float32)
    np.testing.assert_allclose(cut.program("decode", 4).run(x), np.full((4, 1), weight.sum(1).mean()), rtol=1e-5)


def test_filter_banks_and_transforms_are_told_from_trained_layers(tmp_path):
    from neurorack.engine.filterbank import pqmf_bank

    rng, bank = np.random.default_rng(4), pqmf_bank(16, 60.0)
    turn = np.linalg.qr(rng.standard_normal((8, 8)))[0].astype(np.float32)

    def build(b):
        x = b.conv1d(b.linear(b.input(), turn), rng.standard_normal((16, 8, 3)).astype(np.float32))
        b.output(b.pqmf_synthesis(x, bank))

    writer = ModelWriter({"name": "x"})
    writer.method("decode", build, blocks=[32], in_channels=8, in_ratio=16)
    writer.save(tmp_path / "x.safetensors")
    parts = Parts(tmp_path / "x.safetensors")
    banks = orthogonal(parts.listings["decode", 32], parts.tensors)
    assert [parts.tensors[name].shape[0] for name in banks] == [16] and parts.fixed() == banks
    assert [len(group.units) for group in parts.find()] == [8]          # what the turned latents feed; no band of the bank


@pytest.mark.parametrize("kind", ["BF16", "I8"])
def test_a_narrow_file_stays_narrow(tmp_path, kind):
    rng, writer = np.random.default_rng(7), ModelWriter({"name": "x"})
    for name, shape in (("decoder.a.weight", (6, 4, 3)), ("decoder.b.weight", (1, 6, 1))):
        writer.weights.add(rng.standard_normal(shape).astype(np.float32), name)
    a, c = writer.weights.tensors.values()
    writer.method("decode", lambda b: b.output(b.conv1d(b.conv1d(b.input(), a), c)), blocks=[4], in_channels=4)
    writer.weights.tensors["decoder.a.weight"] = stored.bf16(a) if kind == "BF16" else stored.int8(a, 0)
    model = writer.save(tmp_path / "x.safetensors")
    parts = Parts(model.path)
    (group,) = parts.find()
    parts.cut(group.units[::2]).save(tmp_path / "y.safetensors")
    cut = store.Store(tmp_path / "y.safetensors")
    assert cut.dtypes == {"decoder.a.weight": kind, "decoder.b.weight": "F32"} and cut.shapes["decoder.a.weight"] == (3, 4, 3)
    np.testing.assert_allclose(cut.array("decoder.a.weight"), model.tensor("decoder.a.weight")[1::2], rtol=1e-6)


def test_layers_that_hold_the_same_numbers_lose_the_same_units(tmp_path):
    rng = np.random.default_rng(8)
    a, c, ones = rng.standard_normal((6, 4)).astype(np.float32), rng.standard_normal((1, 6, 1)).astype(np.float32), np.ones(6, np.float32)
    writer = ModelWriter({"name": "x"})
    for name, array in (("decoder.a.weight", a), ("decoder.one", ones), ("decoder.two", ones), ("decoder.c.weight", c)):
        writer.weights.add(array, name)

    def build(b):
        x = b.linear(b.input(), a)                           # in the program with an axis more
        b.output(b.conv1d(b.binary("mul", b.tanh(b.binary("mul", x, ones)), ones), c))

    writer.method("decode", build, blocks=[4], in_channels=4)
    writer.weights.tensors |= {"decoder.a.weight": a, "decoder.one": ones, "decoder.two": ones.copy()}
    writer.save(tmp_path / "x.safetensors")
    parts = Parts(tmp_path / "x.safetensors")
    (group,) = parts.find()
    cut = parts.cut(group.units[:2]).save(tmp_path / "y.safetensors")
    assert {name: cut.tensor(name).shape for name in ("decoder.a.weight", "decoder.one", "decoder.two")} == {
        "decoder.a.weight": (4, 4), "decoder.one": (4,), "decoder.two": (4,)}
    x = rng.standard_normal((4, 4)).astype(np.float32)
    np.testing.assert_allclose(cut.program("decode", 4).run(x), np.tanh(x @ a[2:].T) @ c[0, 2:], atol=1e-5)


def test_tables_of_a_lab_model_are_no_units(tmp_path):
    rng = np.random.default_rng(5)
    writer = ModelWriter({"name": "x"})
    for name, shape in (("decoder.a.weight", (6, 4, 1)), ("decoder.b.weight", (3, 6, 1))):
        writer.weights.add(rng.standard_normal(shape).astype(np.float32), name)
    a, c = writer.weights.tensors.values()
    bank = rng.standard_normal((1, 3, 1)).astype(np.float32)
    writer.method("decode", lambda b: b.output(b.conv1d(b.conv1d(b.conv1d(b.input(), a), c), bank)), blocks=[4], in_channels=4)
    writer.save(tmp_path / "x.safetensors")
    assert [group.name for group in Parts(tmp_path / "x.safetensors").find()] == ["decoder.a"]


@pytest.mark.parametrize("family, capacity", [("v2_small", 4), pytest.param("v2_stereo", 8, marks=pytest.mark.soak),
                                              pytest.param("v1", 8, marks=pytest.mark.soak)])
def test_a_lifted_rave_is_cut_with_its_noise_and_its_two_channels(tmp_path, monkeypatch, family, capacity):
    pytest.importorskip("torch")
    from neurorack.importer import verify as proof
    from neurorack.importer.lift import lift
    from tests import zoo

    monkeypatch.setattr(proof, "PROVEN_SECONDS", 0.2)
    monkeypatch.setattr(proof, "LEAST_BLOCKS", 2)
    lift(zoo.path(family, capacity), into=tmp_path / "x.safetensors")
    parts, rng = Parts(tmp_path / "x.safetensors"), np.random.default_rng(6)
    groups = parts.find()
    assert len(groups) > 10 and not any(group.mixed for group in groups)
    removed = some(groups, rng)
    rows = rng.standard_normal((8, 8)).astype(np.float32)
    assert all(db > LEAST_DB for db in verify(parts, removed, "decode", rows).values())
    model = cut_model(parts, removed, tmp_path / "y.safetensors")
    assert (tmp_path / "y.safetensors").stat().st_size < 0.7 * (tmp_path / "x.safetensors").stat().st_size
    description = json.loads(store.Store(tmp_path / "y.safetensors").metadata["neurorack"])
    assert description["card"] == Model.load(tmp_path / "x.safetensors").card and set(description["methods"]) == set(model.methods)
