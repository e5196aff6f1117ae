"""Recording: states are found, in-place writes become values, what depends on data is refused; the replay is the model."""

import numpy as np
import pytest

from neurorack.errors import ModelError
from neurorack.importer.archive import open_archive
from neurorack.importer.errors import UnsupportedError
from neurorack.importer.record import Interpreted, record
from neurorack.importer.replay import Replay
from neurorack.importer.tensors import Random

torch = pytest.importorskip("torch")
nn = torch.nn

BLOCK = 16


class TorchRandom:
    """Draws as TorchScript does: from torch's generator, in its order."""

    def reset(self):
        pass

    def uniform(self, shape, call_index):
        return torch.rand(shape).numpy()

    def normal(self, shape, call_index):
        return torch.randn(shape).numpy()


@pytest.fixture
def archive(tmp_path):
    def make(module):
        path = tmp_path / "model.ts"
        torch.jit.save(torch.jit.script(module.eval()), str(path))
        return open_archive(path)

    torch.manual_seed(1)
    with torch.no_grad():
        yield make


def written(archive, **options):
    return record(archive, "forward", BLOCK, in_channels=2, in_ratio=1, **options)


def blocks(count=20, channels=2):
    return np.random.default_rng(5).standard_normal((count, BLOCK, channels)).astype(np.float32)


def check(archive, count=20, **options):
    """The trace; TorchScript, interpretation and replay agree over many blocks."""
    trace = written(archive, **options)
    script = torch.jit.load(str(archive.path))
    for name, value in options.get("attributes", {}).items():
        getattr(script, f"set_{name}")(value)
    by_torch = Interpreted(archive, "forward", BLOCK, in_channels=2, in_ratio=1, random=TorchRandom(), **options)
    reference = Interpreted(archive, "forward", BLOCK, in_channels=2, in_ratio=1, **options)
    replay = Replay(trace)
    for i, x in enumerate(blocks(count)):
        torch.manual_seed(i)
        want = script(torch.from_numpy(x.T.copy())[None])[0].numpy().T
        torch.manual_seed(i)
        np.testing.assert_allclose(by_torch.run(x), want, 1e-5, 1e-5)
        np.testing.assert_array_equal(replay.run(x), reference.run(x))
    replay.reset(), reference.reset()
    np.testing.assert_array_equal(replay.run(x), reference.run(x))
    return trace


def ops(trace):
    return [node.op for node in trace.nodes if node.op not in ("constant", "state", "input", "random")]


def state_shapes(trace):
    return {trace.nodes[s].params["name"]: trace.nodes[s].shape for s in trace.next_state}


class Cached(nn.Module):
    """A convolution that keeps the tail of the block before, for ``rows`` batches."""

    def __init__(self, rows=1, fill=0.0):
        super().__init__()
        self.conv = nn.Conv1d(2, 2, 5)
        self.register_buffer("cache", torch.full((rows, 2, 4), fill))

    def forward(self, x):
        n = x.shape[0]
        y = torch.cat([self.cache[:n], x], -1)
        self.cache[:n].copy_(y[..., -4:])
        return self.conv(y)


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("cache", torch.rand(1, 2, 4))

    def forward(self, x):
        y = torch.cat([self.cache, x], -1)
        self.cache.copy_(x[..., -4:])
        return y[..., :-4].relu_().mul_(2.0)


def test_a_state_written_whole_is_what_was_written(archive):
    trace = check(archive(Whole()))
    assert "assign" not in ops(trace) and state_shapes(trace) == {"cache": (1, 2, 4)}
    (state, following), = trace.next_state.items()
    assert trace.nodes[following].op == "slice" and trace.nodes[following].inputs == tuple(trace.inputs)
    assert trace.nodes[state].params["value"].any()


@pytest.mark.parametrize("rows", [1, 8, 64])
def test_caches_of_many_rows_are_cut_to_the_first(archive, rows):
    trace = check(archive(Cached(rows)))
    assert sorted(ops(trace)) == ["cat", "conv1d", "slice"] and state_shapes(trace) == {"cache": (1, 2, 4)}


def test_a_cache_full_of_nan_starts_silent(archive):
    made = archive(Cached(64, float("nan")))
    trace = written(made)
    assert not trace.nodes[next(iter(trace.next_state))].params["value"].any()
    x = blocks(1)[0]
    y = Replay(trace).run(x)
    assert np.isfinite(y).all()
    np.testing.assert_array_equal(y, Interpreted(made, "forward", BLOCK, in_channels=2, in_ratio=1).run(x))


class Rebound(nn.Module):
    """Attributes that are bound anew: a tensor, a tuple, an item of a list, one in a part of the model."""

    def __init__(self):
        super().__init__()
        self.last = torch.zeros(1, 2, 3)
        self.pair = (torch.zeros(1, 2, 1), torch.ones(1))
        self.many = [torch.zeros(1, 2, 1), torch.zeros(1, 2, 2)]

    def forward(self, x):
        y = x + self.last[..., :1] + self.pair[0] * self.pair[1] + self.many[1].sum()
        self.last = x[..., -3:]
        self.pair = (y[..., :1] * 0.5, self.pair[1])
        self.many[1] = x[..., 4:6] * 0.1
        return y


def test_attributes_bound_anew_are_states(archive):
    trace = check(archive(Rebound()))
    assert set(state_shapes(trace)) == {"last", "pair.0", "many.1"}


class Shared(nn.Module):
    """Two buffers over one storage, written through one and read through the other."""

    def __init__(self):
        super().__init__()
        both = torch.zeros(2, 2, 6)
        self.register_buffer("a", both[0])
        self.register_buffer("b", both.view(4, 6)[1:3])

    def forward(self, x):
        y = x + self.b.mean()
        self.a.copy_(x[0, :, -6:])
        self.b[1].mul_(0.5).add_(1.0)
        return y


def test_buffers_of_one_storage_are_one_state(archive):
    trace = check(archive(Shared()))
    assert len(trace.next_state) == 1


class Shifted(nn.Module):
    """A line longer than the block, moved within itself."""

    def __init__(self):
        super().__init__()
        self.register_buffer("line", torch.zeros(1, 2, 50))

    def forward(self, x):
        n = x.shape[-1]
        self.line[..., :-n] = self.line[..., n:].clone()
        self.line[..., -n:] = x
        return self.line[..., 3:3 + n] + x


def test_a_line_longer_than_the_block(archive):
    check(archive(Shifted()))


class Counting(nn.Module):
    """Counts its calls, in a tensor or a number, to no, some or a rare effect."""

    def __init__(self, way: str):
        super().__init__()
        self.way = way
        self.calls = 0
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))
        self.register_buffer("scale", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        self.count.add_(1)
        if self.way == "tensor":
            return x * torch.sin(self.count * 0.1)
        if self.way == "number":
            return x * self.calls
        if self.way == "branch" and self.calls % 2 == 0:
            return x * 2
        if self.way == "seldom" and self.calls % 30 == 0:
            return x * 2
        if self.way == "late" and self.calls > 900:
            return x * 2
        if self.way == "item" and bool(self.count > 3):
            return x * 2
        if self.way == "still":
            self.scale.copy_(torch.clamp(self.scale + 0.5, 0.0, 1.0))
            return x * self.scale
        if self.way == "once":
            if not bool(self.ready):
                self.scale.fill_(3.0)
                self.ready.fill_(True)
            return x * self.scale
        return x


def test_a_count_that_is_a_tensor_is_a_state(archive):
    trace = check(archive(Counting("tensor")))
    assert set(state_shapes(trace)) == {"count"}


def test_a_count_without_effect_is_dropped(archive):
    assert not written(archive(Counting("nothing"))).next_state


@pytest.mark.parametrize("way", ["number", "branch", "seldom", "late"])
def test_counts_outside_of_tensors_are_refused(archive, way):
    with pytest.raises(UnsupportedError, match="every call"):
        written(archive(Counting(way)))


def test_a_state_that_stands_still_later_starts_as_in_the_file(archive):
    made = archive(Counting("still"))
    trace = written(made)
    assert set(state_shapes(trace)) == {"scale"}
    ones = np.ones((BLOCK, 2), np.float32)
    replay = Replay(trace)
    assert [float(replay.run(ones)[0, 0]) for _ in range(3)] == [0.5, 1.0, 1.0]


def test_what_is_set_up_in_the_first_call_is_constant_later(archive):
    assert not check(archive(Counting("once"))).next_state


class Deciding(nn.Module):
    def __init__(self, way: str):
        super().__init__()
        self.way = way
        self.register_buffer("level", torch.zeros(1))

    def forward(self, x):
        if self.way == "input" and bool((x > 0).any()):
            return x * 2
        if self.way == "chance" and float(torch.rand(1)) > 0.5:
            return x * 2
        if self.way == "item":
            return x * self.level.add_(x.mean()).item()
        if self.way == "length":
            return x[..., :int(x.abs().sum()) % 3 + 1]
        return x


@pytest.mark.parametrize("way", ["input", "chance", "item", "length"])
def test_decisions_by_data_are_refused_by_name(archive, way):
    with pytest.raises(UnsupportedError, match="depends on the input, a state or chance"):
        written(archive(Deciding(way)))


def test_decisions_by_data_can_still_be_interpreted(archive):
    y = Interpreted(archive(Deciding("input")), "forward", BLOCK, in_channels=2, in_ratio=1).run(blocks(1)[0])
    np.testing.assert_allclose(y, 2 * blocks(1)[0])


class Noisy(nn.Module):
    def forward(self, x):
        unused = torch.rand(3)
        noise = torch.randn_like(x) * 0.1 + torch.rand(1, 1, 1)
        return x + noise + unused.numel() + torch.empty_like(x).uniform_(-1.0, 1.0)


def test_random_numbers_go_on_from_block_to_block(archive):
    made = archive(Noisy())
    trace = check(made)
    streams = {(node.params["stream"], node.params["kind"]) for node in trace.nodes if node.op == "random"}
    assert streams == {(1, "normal"), (2, "uniform"), (3, "uniform")}
    replay, zeros = Replay(trace), np.zeros((BLOCK, 2), np.float32)
    first, second = replay.run(zeros), replay.run(zeros)
    assert np.abs(first - second).min() > 0
    other = Replay(written(made, seed=7)).run(zeros)
    assert np.abs(first - other).min() > 0


def test_random_sequences_do_not_depend_on_how_they_are_cut():
    a, b = Random(3), Random(3)
    whole = a.normal((40,), 2)
    np.testing.assert_array_equal(whole, np.concatenate([b.normal((n,), 2) for n in (7, 13, 20)]))
    assert abs(Random(1).normal((20000,), 0).std() - 1) < 0.05 and abs(Random(1).uniform((20000,), 1).mean() - 0.5) < 0.02


class Settable(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = (1.0,)

    def forward(self, x):
        return x * self.gain[0]

    @torch.jit.export
    def get_gain(self) -> float:
        return self.gain[0]

    @torch.jit.export
    def set_gain(self, value: float) -> int:
        self.gain = (value,)
        return 0


def test_attributes_are_set_before(archive):
    trace = check(archive(Settable()), attributes={"gain": 0.25})
    assert [(n.params["fn"], n.params["a"]) for n in trace.nodes if n.op == "unary"] == [("affine", 0.25)]


class Grown(nn.Module):
    def __init__(self):
        super().__init__()
        self.past = torch.zeros(1, 2, 1)

    def forward(self, x):
        self.past = torch.cat([self.past, x], -1)
        return x + self.past.mean()


class Lasting(nn.Module):
    """Settles only in the second call: its state has another shape at first."""

    def __init__(self):
        super().__init__()
        self.past = torch.zeros(0)

    def forward(self, x):
        if self.past.numel() == 0:
            self.past = torch.zeros_like(x)
        y = x + self.past
        self.past = x
        return y


def test_a_state_that_grows_is_refused(archive):
    with pytest.raises(UnsupportedError, match="shape"):
        written(archive(Grown()))


def test_a_state_made_in_the_first_call(archive):
    assert state_shapes(check(archive(Lasting()))) == {"past": (1, 2, BLOCK)}


class Wrong(nn.Module):
    def __init__(self, way: int):
        super().__init__()
        self.way = way

    def forward(self, x):
        if self.way == 0:
            return torch.zeros(1, 2, 16)
        if self.way == 1:
            return x[0]
        raise ValueError("not today")


def test_constant_and_malformed_results(archive):
    trace = written(archive(Wrong(0)))
    assert not ops(trace) and not Replay(trace).run(blocks(1)[0]).any()
    with pytest.raises(ModelError, match="expected"):
        written(archive(Wrong(1)))
    with pytest.raises(ModelError, match="not today"):
        written(archive(Wrong(2)))
    with pytest.raises(ModelError, match="multiple"):
        record(archive(Wrong(0)), "forward", 24, in_channels=2, in_ratio=16)


def test_weights_computed_in_every_call_are_constants(archive):
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.utils.weight_norm(nn.Conv1d(2, 2, 3, padding=1))

        def forward(self, x):
            return self.conv(x)

    torch.manual_seed(0)
    module = Normed()
    if not hasattr(module.conv, "weight_g"):
        pytest.skip("this torch has no weight_norm of the old kind")
    trace = written(archive(torch.jit.trace(module.eval(), torch.randn(1, 2, BLOCK))))
    assert ops(trace) == ["conv1d"]
