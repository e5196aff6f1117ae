"""Views and what is written through them, against torch; plain work is written down plainly."""

import numpy as np
import pytest

from neurorack.importer.errors import UnsupportedError
from neurorack.importer.ops.graph import tidy
from neurorack.importer.tensors import Value
from neurorack.importer.trace import LEAVES, Trace
from tests.importer.bench import Bench, aten, compare, normal

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(3)


def _view(random, x):
    """A random view: (operator, arguments)."""
    shape, axis = list(x.shape), int(random.integers(x.dim())) if x.dim() else 0
    size = shape[axis] if shape else 1
    ways = [("reshape", [[-1]]), ("unsqueeze", [0]), ("detach", []), ("contiguous", [])]
    if shape:
        a = int(random.integers(size))
        ways += [("slice", [axis, a, int(random.integers(a, size + 1)), 1]), ("slice", [axis, a, None, 2]), ("select", [axis, a]),
                 ("permute", [[int(i) for i in random.permutation(x.dim())]]), ("transpose", [0, -1]), ("flatten", [0, -1]), ("squeeze", []),
                 ("narrow", [axis, a, size - a]), ("permute", [[int(i) for i in random.permutation(x.dim())]])]
    if len(shape) > 1:
        ways += [("diagonal", [0, 0, 1]), ("flatten", [0, 1]), ("reshape", [[shape[1], shape[0], *shape[2:]]])]
    return ways[int(random.integers(len(ways)))]


def _change(random, pairs, x):
    """A random operator in place."""
    fitting = [p for p in pairs if p[0].dim() <= x.dim() and all(n in (1, m) for n, m in zip(reversed(p[0].shape), reversed(x.shape)))
               and p[0].dtype == x.dtype]
    other = fitting[int(random.integers(len(fitting)))] if fitting else None
    ways = [("relu_", []), ("mul_", [0.5]), ("add_", [1.5]), ("zero_", []), ("fill_", [2.0]), ("neg_", []), ("clamp_", [-1.0, 1.0])]
    if other is not None:
        ways += [("copy_", [other]), ("add_", [other]), ("mul_", [other]), ("copy_", [other])]
    return ways[int(random.integers(len(ways)))]


@pytest.mark.parametrize("seed", range(60))
def test_aliases_see_what_is_written_through_any_view(seed):
    random, bench = np.random.default_rng(seed), Bench()
    pairs = []
    for shape in ((4, 6), (2, 3, 4), (6,)):
        x = normal(*shape)
        pairs.append((x.clone(), bench.tensor(x)))
    for _ in range(25):
        mine, ours = pairs[int(random.integers(len(pairs)))]
        if random.random() < 0.6:
            name, args = _view(random, mine)
            made = mine.contiguous() if name == "contiguous" else aten(name)(mine, *args)
            if made.numel() and len(pairs) < 14:
                pairs.append((made, bench.ops.call(name, [ours, *args])))
        elif random.random() < 0.15:
            pairs.append((mine.clone() * 2, bench.run("mul", bench.run("clone", ours), 2)))
        else:
            name, args = _change(random, pairs, mine)
            copied = [a[0].clone() if isinstance(a, tuple) else a for a in args]
            aten(name)(mine, *copied)
            bench.ops.call(name, [ours, *[a[1] if isinstance(a, tuple) else a for a in args]])
    for mine, ours in pairs:
        compare(bench, ours, mine)
        assert list(ours.strides) == list(mine.stride()) or mine.numel() < 2 or 1 in mine.shape


def test_overlapping_views_can_be_read_but_not_written():
    bench = Bench()
    x = bench.tensor(normal(6))
    with pytest.raises(UnsupportedError, match="overlapping"):
        bench.run("add_", bench.run("expand", x, [3, 6]), 1.0)
    with pytest.raises(UnsupportedError, match="overlapping"):
        bench.run("zero_", bench.run("as_strided", x, [3, 3], [1, 1]))


def operations(bench, *results):
    trace = tidy(Trace("", 1, bench.recorder.nodes, [n for n, _ in bench.made], [bench.ops.read(r).node for r in results]))
    return [node.op for node in trace.nodes if node.op not in LEAVES]


def test_plain_work_is_written_down_plainly():
    bench = Bench()
    x = bench.tensor(normal(1, 4, 9))
    y = bench.run("mul_", bench.run("relu_", bench.run("add", x, 1.0)), 0.5)
    assert operations(bench, y) == ["unary"] * 3
    y = bench.run("permute", bench.run("permute", x, [0, 2, 1]), [0, 2, 1])
    assert bench.ops.read(y).node == bench.ops.read(x).node
    parts = bench.run("chunk", x, 2, 1)
    assert bench.ops.read(bench.run("cat", parts, 1)).node == bench.ops.read(x).node
    whole = bench.run("cat", [x, bench.run("relu", x)], 2)
    assert bench.ops.read(bench.run("slice", whole, 2, 0, 9, 1)).node == bench.ops.read(x).node
    assert operations(bench, bench.run("slice", bench.run("slice", x, 2, 2, 9, 1), 2, 1, 3, 1)) == ["slice"]
    part = bench.run("slice", x, 1, 0, 1, 1)
    assert operations(bench, bench.run("expand_as", part, x), bench.run("expand", x, [1, 4, 9])) == ["slice", "expand"]
    assert operations(bench, bench.run("mul", x, bench.ops.fresh(Value(np.full((4, 9), 2.0, np.float32))))) == ["unary"]
    a, b = (bench.ops.read(bench.run("sin", x)).node for _ in range(2))
    assert a == b
