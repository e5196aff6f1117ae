"""A bench for operators: each runs in torch, in ours, and again from the operations that were recorded."""

import numpy as np
import pytest

from neurorack.importer.ops.graph import Recorder, tidy
from neurorack.importer.ops.kernels import KERNELS
from neurorack.importer.ops.machine import Ops
from neurorack.importer.tensors import KIND, Tensor, Value
from neurorack.importer.trace import LEAVES, Trace

torch = pytest.importorskip("torch")

CODES = {torch.uint8: 0, torch.int32: 3, torch.int64: 4, torch.float32: 6, torch.float64: 7, torch.complex64: 9, torch.bool: 11}


class Drawn:
    """Random numbers by torch's own generator, in torch's order."""

    def uniform(self, shape, call_index):
        return torch.rand(shape).numpy()

    def normal(self, shape, call_index):
        return torch.randn(shape).numpy()


def code(dtype):
    return CODES[dtype]


class Bench:
    """Runs an operator on tensors that a recorder takes for inputs, and again from the recorded nodes."""

    def __init__(self, version=10):
        self.recorder = Recorder()
        self.ops = Ops(self.recorder, Drawn(), version)
        self.made = []

    def tensor(self, x):
        x = x.detach()
        value = torch.view_as_real(x.resolve_conj()) if x.is_complex() else x
        array = np.array(value.numpy(), order="C")
        array = array.astype(np.int64) if array.dtype.kind in "iu" else array
        node = self.recorder.leaf("input", {"index": len(self.made)}, array.shape, KIND[array.dtype])
        self.made.append((node, array))
        return self.ops.fresh(Value(array, node), code(x.dtype))

    def give(self, x):
        if isinstance(x, Tensor):
            return x
        if isinstance(x, torch.Tensor):
            return self.tensor(x)
        if isinstance(x, torch.dtype):
            return code(x)
        if isinstance(x, (list, tuple)):
            return type(x)(self.give(v) for v in x)
        return x

    def run(self, name, *args, **kwargs):
        return self.ops.call(name, [self.give(a) for a in args], {k: self.give(v) for k, v in kwargs.items()})

    def again(self, x: Tensor):
        """The tensor's array, computed from the tidied trace."""
        value = self.ops.read(x)
        if value.node is None:
            return value.array
        trace = tidy(Trace("", 1, self.recorder.nodes, [n for n, _ in self.made], [value.node]))
        values = []
        for node in trace.nodes:
            if node.op == "constant":
                values.append(node.params["value"])
            elif node.op == "input":
                values.append(self.made[node.params["index"]][1])
            else:
                assert node.op not in LEAVES
                with np.errstate(all="ignore"):
                    values.append(KERNELS[node.op](node.params, node.shape, node.dtype)(*[values[i] for i in node.inputs]))
            assert values[-1].shape == node.shape and KIND[values[-1].dtype] == node.dtype, node
        return values[trace.outputs[0]]


def compare(bench, ours, theirs, atol=2e-5, rtol=2e-5):
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            compare(bench, a, b, atol, rtol)
        return
    if not isinstance(theirs, torch.Tensor):
        assert ours == theirs and type(ours) is type(theirs)
        return
    assert isinstance(ours, Tensor) and ours.shape == tuple(theirs.shape), (ours, theirs.shape)
    assert ours.dtype == code(theirs.dtype), (ours.dtype, theirs.dtype)
    theirs = theirs.detach().resolve_conj()
    want = (torch.view_as_real(theirs) if theirs.is_complex() else theirs).numpy()
    got = bench.ops.read(ours).array
    if want.dtype.kind == "f":
        np.testing.assert_allclose(got, want, rtol, atol)
    else:
        np.testing.assert_array_equal(got, want)
    if got.size and not any(node.op == "random" for node in bench.recorder.nodes):
        np.testing.assert_array_equal(bench.again(ours), got)


def aten(name):
    return getattr(torch.ops.aten, name)


def check(name, *args, torch_name=None, atol=2e-5, version=10, **kwargs):
    bench = Bench(version)
    seed = torch.initial_seed()
    torch.manual_seed(seed)
    ours = bench.run(name, *[a.clone() if isinstance(a, torch.Tensor) else a for a in args], **kwargs)
    torch.manual_seed(seed)
    theirs = aten(torch_name or name)(*args, **kwargs)
    compare(bench, ours, theirs, atol)


def normal(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype)


def whole(*shape, low=-9, high=10):
    return torch.randint(low, high, shape)
