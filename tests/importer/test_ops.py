"""Operators against torch, one by one: value, type and shape, computed at once and replayed from what was recorded."""

import numpy as np
import pytest

from neurorack.importer.errors import UnsupportedError
from neurorack.importer.ops.machine import Ops
from neurorack.importer.tensors import Value
from tests.importer.bench import Bench, check, compare, normal, whole

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(3)


ONE = """abs neg exp log1p sin cos tan tanh sigmoid erf floor ceil trunc round sign square relu relu6 silu selu mish hardswish hardsigmoid
log_sigmoid softplus elu celu gelu leaky_relu expm1 atan sinh cosh exp2 frac isnan isinf isfinite sinc hardtanh softshrink hardshrink
deg2rad rad2deg erfc asinh logical_not nan_to_num sgn reciprocal angle""".split()


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number(name):
    check(name, 2 * normal(3, 17))
    if name not in ("relu6",):
        check(name, torch.tensor([0.5, 1.0, -0.25]))


@pytest.mark.parametrize("name", ["sqrt", "rsqrt", "log", "log2", "log10", "acos", "asin", "atanh", "logit"])
def test_functions_of_a_range(name):
    check(name, torch.rand(5, 7) * 0.9 + 0.05)


@pytest.mark.parametrize("name", ["exp", "sqrt", "sigmoid", "tanh", "floor", "neg", "abs", "round", "sign", "square", "relu"])
def test_functions_of_whole_numbers(name):
    check(name, whole(6).abs() if name == "sqrt" else whole(6))


def test_functions_with_parameters():
    x = 2 * normal(4, 9)
    check("gelu", x, approximate="tanh")
    check("softplus", x, 2.0, 20)
    check("elu", x, 0.7)
    check("leaky_relu", x, 0.2)
    check("celu", x, 1.3)
    check("hardtanh", x, -0.3, 0.6)
    check("clamp", x, -0.5, None)
    check("clamp", x, None, 0.25)
    check("clamp", x, 0.1, 0.2)
    check("clamp", x, normal(4, 9), normal(9))
    check("clamp_min", x, 0.5)
    check("clamp_max", x, 0.5)
    check("clamp", whole(5), 0, 3)
    check("threshold", x, 0.1, 7.0)
    check("round", x, decimals=2)
    check("nan_to_num", torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0]), 0.5, 9.0, -9.0)
    check("glu", normal(3, 8, 5), 1)
    check("prelu", normal(2, 3, 5), torch.rand(3), torch_name="prelu")


NUMBERS = [2, 2.5, True, 0]
TENSORS = [lambda: normal(3, 4), lambda: whole(3, 4), lambda: normal(4), lambda: torch.tensor(1.5), lambda: torch.tensor(2),
           lambda: whole(3, 1) > 0, lambda: normal(3, 4, dtype=torch.float64), lambda: whole(4).to(torch.int32),
           lambda: torch.tensor(0.5, dtype=torch.float64)]


@pytest.mark.parametrize("name", ["add", "mul", "div", "maximum", "lt", "eq", "logical_and", "atan2", "where"])
@pytest.mark.parametrize("a", range(len(TENSORS)))
def test_types_of_results(name, a):
    x = TENSORS[a]()
    for make in TENSORS:
        y = make()
        if name == "where":
            check(name, normal(3, 4) > 0, x, y)
        else:
            check(name, x, y)
    if name in ("add", "mul", "div", "lt", "eq"):
        for number in NUMBERS:
            if name == "add" and number is True or name == "div" and not number:
                continue
            check(name, x, number)


def test_pairs_of_numbers():
    a, b = normal(3, 1, 5), normal(4, 1)
    check("add", a, b, alpha=2.5)
    check("sub", a, b, alpha=3)
    check("rsub", a, 2.0)
    check("rsub", a, 1, 2)
    for mode in ("floor", "trunc"):
        check("div", a * 5, b, rounding_mode=mode)
        check("div", whole(7), whole(7, low=1), rounding_mode=mode)
        check("div", whole(7), 3, rounding_mode=mode)
    check("floor_divide", a * 9, 0.7)
    check("floor_divide", whole(9), -4)
    check("fmod", a * 5, 0.7)
    check("remainder", a * 5, -0.7)
    check("remainder", whole(9), 4)
    check("remainder", a, b)
    check("pow", a.abs(), 1.7)
    check("pow", a, 2)
    check("pow", a, 3)
    check("pow", 2.0, a)
    check("pow", a.abs(), b)
    check("pow", a.abs(), -0.5)
    check("hypot", a, b)
    check("lerp", a, b, 0.3)
    check("lerp", a, b, torch.rand(5))
    check("addcmul", a, a, b, value=0.5)
    check("addcdiv", a, a, b.abs() + 1, value=0.5)
    check("xlogy", a.abs(), b.abs())
    check("logaddexp", a, b)
    check("copysign", a, b)
    check("masked_fill", a, a > 0, 7.0)
    check("bitwise_and", whole(5) > 0, whole(5) > 0)
    check("bitwise_or", whole(5) > 0, whole(5) > 0)
    check("bitwise_xor", whole(5) > 0, whole(5) > 0)
    check("bitwise_not", whole(5) > 0)
    check("heaviside", a, torch.tensor(0.5))
    check("minimum", a, b)


def test_division_of_whole_numbers_in_old_formats():
    bench = Bench(version=3)
    y = bench.run("div", torch.tensor([7, -7, 8]), torch.tensor([2, 2, 3]))
    assert y.dtype == 4 and bench.ops.read(y).array.tolist() == [3, -3, 2]
    bench = Bench(version=4)
    assert bench.run("div", torch.tensor([7]), torch.tensor([2])).dtype == 6


def test_views_and_joins():
    x = normal(2, 3, 4)
    check("slice", x, 1, 1, 9223372036854775807, 2)
    check("slice", x, -1, -3, -1, 1)
    check("slice", x, 2, 3, 1, 1)
    check("select", x, 1, -1)
    check("narrow", x, 2, 1, 2)
    check("reshape", x, [3, -1])
    check("flatten", x, 1, -1)
    check("unsqueeze", x, -1)
    check("squeeze", normal(2, 1, 3, 1))
    check("squeeze", normal(2, 1, 3, 1), 1)
    check("permute", x, [2, 0, 1])
    check("transpose", x, 0, -1)
    check("movedim", x, 0, -1)
    check("t", x[0])
    check("expand", normal(3, 1), [2, -1, 4])
    check("chunk", x, 2, 2)
    check("chunk", normal(7), 3)
    check("split", x, 3, 2)
    check("split_with_sizes", x, [1, 3], 2)
    check("tensor_split", normal(7), 3)
    check("unbind", x, 1)
    check("cat", [x, normal(2, 1, 4)], 1)
    check("cat", [normal(0), normal(3)])
    check("stack", [x, x], -1)
    check("flip", x, [0, 2])
    check("roll", x, [1, -2], [0, 2])
    check("roll", x, [5])
    check("repeat", x, [2, 1, 1, 3])
    check("tile", x, [2, 3])
    check("repeat_interleave", x, 3, 1)
    check("repeat_interleave", x, 2)
    check("unfold", normal(2, 17), 1, 6, 4)
    check("unfold", normal(17, 2), 0, 4, 4)
    check("unfold", normal(3, 12), 1, 5, 1)
    check("diagonal", normal(4, 5), 1)
    check("diag", normal(4), -1)
    check("diag", normal(4, 4))
    check("as_strided", normal(20), [3, 4], [4, 1], 2)
    check("as_strided", normal(20), [4, 3], [1, 4], 5)
    check("as_strided", normal(20), [5, 6], [2, 1], 1)
    check("view_as_real", torch.randn(3, 4, dtype=torch.complex64))
    check("view_as_complex", normal(3, 4, 2))
    check("meshgrid", [normal(3), normal(2)], indexing="ij")
    check("hstack", [normal(3), normal(2)])
    check("tril", normal(3, 4, 5), 1)
    check("triu", normal(4, 5), -1)
    check("pixel_shuffle", normal(1, 8, 2, 3), 2)


def test_what_is_known_of_a_tensor():
    x = normal(2, 3, 4)
    bench = Bench()
    assert bench.run("size", x) == [2, 3, 4] and bench.run("size", x, -1) == 4 and bench.run("dim", x) == 3
    assert bench.run("numel", x) == 24 and bench.run("dtype", x) == 6 and bench.run("is_floating_point", whole(2)) is False
    assert bench.run("len", x) == 2 and bench.run("stride", x) == [12, 4, 1]


def test_types():
    x = 3 * normal(5)
    check("to", x, torch.int64)
    bench = Bench()
    y = bench.run("to", x, "cpu", 4, False, False)
    assert y.dtype == 4
    assert bench.run("to", x, dtype=7, layout=0, device="cpu").dtype == 7
    assert bench.run("to", x, bench.run("ones", [1], dtype=4)).dtype == 4
    check("type_as", x, whole(2))
    check("to", whole(5) > 0, torch.float32)
    check("to", x, torch.bool)


def test_making_tensors():
    for name in ("zeros", "ones"):
        check(name, [2, 3])
        check(name, [2], dtype=torch.int64)
        check(f"{name}_like", normal(3, 2))
    check("full", [2, 2], 1.5)
    check("full", [2], 3)
    check("full_like", normal(3), 2)
    check("new_zeros", whole(3), [2, 2])
    check("arange", 7)
    check("arange", 1, 9, 2)
    check("arange", 0.5, 3.0, 0.25)
    check("arange", 5, dtype=torch.float32)
    check("linspace", -1, 1, 9)
    check("eye", 3)
    check("hann_window", 16)
    check("hann_window", 15, False)
    check("hamming_window", 16)
    check("blackman_window", 16)
    check("kaiser_window", 16)
    check("kaiser_window", 15, False, 8.0)
    bench = Bench()
    assert bench.run("tensor", [[1.0, 2.0], [3.0, 4.0]]).shape == (2, 2)
    assert bench.run("tensor", 3).dtype == 4 and bench.run("tensor", 3.5).dtype == 6 and bench.run("tensor", True).dtype == 11
    assert bench.run("NumToTensor", 3).shape == ()


FOLDS = ["sum", "mean", "amax", "amin", "prod", "std", "var", "logsumexp", "argmax", "argmin", "any", "all"]


@pytest.mark.parametrize("name", FOLDS)
def test_folds(name):
    x = normal(3, 4, 5)
    for dim in ([1], [0, 2], [-1]):
        if name in ("prod", "argmax", "argmin", "any", "all"):
            check(name, x > 1 if name in ("any", "all") else x, dim[0])
            check(name, x, dim[0], True)
        else:
            check(name, x, dim)
            check(name, x, dim, keepdim=True)
    if name not in ("logsumexp", "amax", "amin"):
        check(name, x)


def test_more_folds():
    x = normal(3, 4, 5)
    check("sum", whole(3, 4))
    check("sum", whole(3, 4) > 0)
    check("max", x)
    check("max", x, 1)
    check("min", x, -1, True)
    check("max", x, normal(5))
    check("std", x, False)
    check("var", x, [1], unbiased=False)
    check("var_mean", x, [0, 2], correction=0)
    check("norm", x)
    check("norm", x, 1, [1])
    check("norm", x, 3.0, [1, 2], True)
    check("linalg_vector_norm", x, float("inf"), [2])
    check("softmax", x, 1)
    check("softmax", x, -1, torch.float64)
    check("log_softmax", x, 2)
    check("cumsum", x, -1)
    check("cumprod", x, 0)
    check("cumsum", whole(5), 0)
    check("diff", x)
    check("count_nonzero", whole(9, low=0, high=3))
    check("topk", x, 1, -1)
    check("topk", x, 3, 1)
    check("topk", x, 2, -1, False)
    check("sort", x, 1)
    check("sort", x, -1, True)
    check("argsort", x, 0)
    check("median", x)
    check("median", x, 1)
    check("cosine_similarity", x, normal(3, 4, 5), 2)
    check("_weight_norm", x, torch.rand(3, 1, 1), 0, torch_name="_weight_norm")


def test_places_between_known_boundaries():
    x, edges = normal(3, 4), torch.linspace(-2, 2, 7)
    for right in (False, True):
        bench = Bench()
        known = bench.ops.fresh(Value(edges.numpy()))
        compare(bench, bench.run("bucketize", x, known, False, right), torch.bucketize(x, edges, right=right))
        compare(bench, bench.run("searchsorted", known, x, False, right), torch.searchsorted(edges, x, right=right))
    with pytest.raises(UnsupportedError, match="boundaries"):
        Bench().run("bucketize", x, edges)


def test_a_long_running_sum_is_kept_in_double():
    check("cumsum", torch.rand(1, 200000), -1, atol=1e-2)
    x = torch.full((1, 1 << 20), 0.1)
    bench = Bench()
    got = bench.ops.read(bench.run("cumsum", x, -1)).array[0, -1]
    assert abs(got - 0.1 * (1 << 20)) < 0.02


def test_normalisations():
    x = normal(2, 6, 9)
    w, b, m, v = normal(6), normal(6), normal(6), torch.rand(6) + 0.5
    check("batch_norm", x, w, b, m, v, False, 0.1, 1e-5, True)
    check("instance_norm", x, w, b, None, None, True, 0.1, 1e-5, True)
    check("group_norm", x, 3, w, b, 1e-5, True)
    check("layer_norm", x, [9], normal(9), normal(9), 1e-5, True)
    check("layer_norm", x, [6, 9])
    check("rms_norm", x, [9], normal(9), 1e-6)
    with pytest.raises(UnsupportedError, match="training"):
        Bench().run("batch_norm", x, w, b, m, v, True, 0.1, 1e-5, True)


def test_recurrent_layers():
    for layers, both, first in ((1, False, False), (2, True, True)):
        for kind, make in (("gru", torch.nn.GRU), ("lstm", torch.nn.LSTM)):
            net = make(5, 4, layers, batch_first=first, bidirectional=both).eval()
            x = normal(2, 6, 5) if first else normal(6, 2, 5)
            h = normal(layers * (2 if both else 1), 2, 4)
            hx = h if kind == "gru" else [h, normal(*h.shape)]
            check(kind, x, hx, [w.detach() for w in net._flat_weights], True, layers, 0.0, False, both, first)
    cell = torch.nn.GRUCell(5, 4)
    check("gru_cell", normal(2, 5), normal(2, 4), *[p.detach() for p in cell.parameters()])
    cell = torch.nn.LSTMCell(5, 4)
    check("lstm_cell", normal(2, 5), [normal(2, 4), normal(2, 4)], *[p.detach() for p in cell.parameters()])


def test_random_numbers_come_in_torch_order():
    check("rand", [3, 4])
    check("randn", [40])
    check("rand_like", normal(3))
    check("randn_like", normal(20))
    x = normal(20)
    check("normal_", x, 1.0, 2.0)
    bench = Bench()
    y = bench.ops.read(bench.run("randint", 3, 9, [500])).array
    assert y.min() == 3 and y.max() == 8
    assert 100 < bench.ops.read(bench.run("bernoulli", torch.full((400,), 0.5))).array.sum() < 300


def test_unknown_operators_and_forms_are_named():
    bench = Bench()
    for name in ("from_file", "save", "nosuch", "nosuch_", "_copy_from"):
        with pytest.raises(UnsupportedError, match=name):
            bench.run(name, normal(3))
    with pytest.raises(UnsupportedError, match="conv1d"):
        bench.run("conv1d", normal(1, 3, 9), normal(4, 5, 3))
    with pytest.raises(UnsupportedError, match="reshape"):
        bench.run("reshape", normal(6), [4, 2])
    with pytest.raises(UnsupportedError, match="half"):
        bench.run("add", bench.ops.fresh(Value(np.zeros(3, np.float32)), 5), 1)


def test_memory_is_limited():
    bench = Bench()
    for name, args in (("zeros", [[1 << 40]]), ("randn", [[1 << 33]]), ("arange", [1 << 40]), ("repeat", [normal(4), [1 << 40]])):
        with pytest.raises(UnsupportedError, match="allowed"):
            bench.run(name, *args)


def test_half_precision_may_be_converted():
    ops = Ops()
    x = ops.tensor(np.array([0.5, 1.5], np.float16))
    y = ops.call("to", [x, 6])
    assert y.dtype == 6 and ops.read(y).array.tolist() == [0.5, 1.5]
