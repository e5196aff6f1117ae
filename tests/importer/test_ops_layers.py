"""Layers against torch: convolutions, products, places, padding, Fourier transforms, complex numbers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack.importer.errors import UnsupportedError
from neurorack.importer.tensors import Value
from tests.importer.bench import Bench, aten, check, compare, normal, whole

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(3)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.sampled_from([(1, 1, 1), (4, 6, 2), (4, 4, 4), (3, 5, 1), (6, 12, 6)]), st.integers(1, 7), st.integers(1, 4),
       st.integers(0, 5), st.integers(1, 3), st.booleans())
def test_convolutions(n, channels, taps, stride, padding, dilation, biased):
    ins, outs, groups = channels
    t = dilation * (taps - 1) + 1 + stride * 3
    w, b = normal(outs, ins // groups, taps), normal(outs) if biased else None
    check("conv1d", normal(n, ins, t), w, b, [stride], [padding], [dilation], groups, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2), st.sampled_from([(1, 1, 1), (4, 6, 2), (3, 5, 1), (4, 4, 4)]), st.integers(1, 9), st.integers(1, 5),
       st.integers(0, 2), st.integers(1, 2), st.integers(0, 3), st.booleans())
def test_transposed_convolutions(n, channels, taps, stride, padding, dilation, extra, biased):
    ins, outs, groups = channels
    extra = min(extra, max(stride, dilation) - 1)
    if 4 * stride - 2 * padding + dilation * (taps - 1) + extra + 1 < 1:
        return
    w, b = normal(ins, outs // groups, taps), normal(outs) if biased else None
    check("conv_transpose1d", normal(n, ins, 5), w, b, [stride], [padding], [extra], groups, [dilation], atol=1e-4)


def test_other_convolutions():
    x, w = normal(1, 3, 20), normal(4, 3, 5)
    check("_convolution", x, w, None, [2], [1], [1], False, [0], 1, False, False, True, True)
    check("convolution", x, normal(3, 4, 4), normal(4), [2], [1], [1], True, [0], 1)
    check("conv1d", x, w, None, [1], "same", [1], 1)
    check("conv1d", normal(3, 20), w)
    check("conv2d", normal(2, 4, 6, 7), normal(6, 2, 3, 2), normal(6), [2, 1], [1, 1], [1, 2], 2, atol=1e-4)
    check("conv_transpose2d", normal(2, 4, 3, 5), normal(4, 3, 4, 3), normal(6), [2, 1], [1, 0], [1, 0], 2, [1, 2], atol=1e-4)
    check("conv_transpose2d", normal(1, 2, 3, 5), normal(2, 3, 2, 4), None, [2, 2], atol=1e-4)
    check("conv2d", normal(1, 2, 5, 9), normal(3, 2, 3, 3), None, [1, 2], "valid", [1, 1], 1)


def test_products():
    check("linear", normal(2, 3, 5), normal(4, 5), normal(4))
    check("matmul", normal(2, 3, 5), normal(5, 4))
    check("matmul", normal(5), normal(5))
    check("mm", normal(3, 5), normal(5, 4))
    check("bmm", normal(2, 3, 5), normal(2, 5, 4))
    check("addmm", normal(4), normal(3, 5), normal(5, 4), beta=0.5, alpha=2)
    check("baddbmm", normal(2, 3, 4), normal(2, 3, 5), normal(2, 5, 4))
    check("matmul", whole(3, 4), whole(4, 2))
    check("outer", normal(3), normal(4))
    check("bilinear", normal(2, 7, 3), normal(2, 7, 5), normal(4, 3, 5), normal(4))
    check("scaled_dot_product_attention", normal(1, 2, 5, 8), normal(1, 2, 7, 8), normal(1, 2, 7, 8))
    check("scaled_dot_product_attention", normal(1, 2, 5, 8), normal(1, 2, 5, 8), normal(1, 2, 5, 8), is_causal=True)
    check("scaled_dot_product_attention", normal(1, 2, 5, 8), normal(1, 2, 5, 8), normal(1, 2, 5, 8), torch.rand(5, 5) > 0.3)
    check("cdist", normal(2, 5, 3), normal(2, 4, 3), torch_name="cdist")


@pytest.mark.parametrize("equation, shapes", [
    ("bct,cd->bdt", [(2, 3, 4), (3, 5)]), ("ij,jk->ik", [(3, 4), (4, 5)]), ("bhqd,bhkd->bhqk", [(1, 2, 3, 4), (1, 2, 5, 4)]),
    ("i,j->ij", [(3,), (4,)]), ("ij->ji", [(3, 4)]), ("ij->", [(3, 4)]), ("...ij,jk", [(2, 3, 4), (4, 5)]),
    ("...c,cd->...d", [(2, 3, 4), (4, 5)]), ("bi,oij,bj->bo", [(2, 3), (4, 3, 5), (2, 5)]), ("bij,bjk->bi", [(2, 3, 4), (2, 4, 5)])])
def test_einsum(equation, shapes):
    check("einsum", equation, [normal(*s) for s in shapes])


def test_picking_by_places():
    x = normal(4, 5, 6)
    check("index_select", x, 1, torch.tensor([3, 0, 0]))
    check("index_select", x, 2, torch.arange(1, 6, 2))
    check("embedding", normal(7, 3), whole(2, 4, low=0, high=7))
    check("gather", x, 1, whole(4, 2, 6, low=0, high=5))
    check("take", x, whole(7, low=0, high=100))
    check("index", x, [torch.tensor([1, -1])])
    check("index", x, [None, torch.tensor([[1, 2], [0, 3]])])
    check("index", x, [torch.tensor([0, 2]), None, torch.tensor([1, 5])])
    check("index", x, [None, torch.tensor([0, 2]), torch.tensor([[1], [5]])])
    check("one_hot", whole(5, low=0, high=4), 4, torch_name="one_hot")
    bench, mask = Bench(), torch.rand(4, 5) > 0.5
    known = bench.ops.fresh(Value(mask.numpy()))
    compare(bench, bench.run("index", x, [known]), x[mask])
    compare(bench, bench.run("masked_select", x, bench.run("unsqueeze", known, -1)), x[mask[..., None].expand_as(x)])


def test_putting_at_places():
    x = normal(4, 5)
    place = torch.tensor([3, 1])
    for name, args in {"index_put_": ([place], normal(2, 5)), "index_copy_": (0, place, normal(2, 5)), "index_fill_": (1, place, 2.0),
                       "index_add_": (0, place, normal(2, 5)), "scatter_": (1, torch.tensor([[0, 2], [1, 3]]), normal(2, 2))}.items():
        bench, want = Bench(), aten(name)(x.clone(), *args)
        ours = bench.tensor(x)
        given = [bench.ops.fresh(Value(place.numpy())) if a is place else [bench.ops.fresh(Value(place.numpy()))] if isinstance(a, list)
                 else bench.ops.fresh(Value(a.numpy())) if isinstance(a, torch.Tensor) and a.dtype == torch.int64 else bench.give(a)
                 for a in args]
        bench.ops.call(name, [ours, *given])
        compare(bench, ours, want)


def test_putting_at_places_that_depend_on_data():
    x = normal(3, 5)
    place = torch.stack([torch.randperm(5)[:3] for _ in range(3)])
    check("scatter", x, 1, place, normal(3, 3))
    check("scatter", x, 0, torch.stack([torch.randperm(3)[:2] for _ in range(5)], 1), normal(2, 5))
    check("scatter", torch.zeros(3, 5), 1, place, 1.0)
    with pytest.raises(UnsupportedError, match="scatter"):
        Bench().run("scatter", normal(3, 999), 1, whole(3, 99, low=0, high=9), 1.0)


def test_padding_pooling_interpolation():
    x = normal(2, 3, 11)
    check("pad", x, [2, 3], "constant", 1.5)
    check("constant_pad_nd", x, [-2, 3, 1, 0], 0)
    check("pad", x, [4, 3], "reflect")
    check("pad", x, [2, 5], "replicate")
    check("pad", x, [4, 3], "circular")
    check("reflection_pad1d", x, [1, 2])
    check("avg_pool1d", x, [3], [2], [1])
    check("avg_pool1d", x, [4], [3], [1], True, False)
    check("max_pool1d", x, [3], [2], [1], [2])
    check("max_pool1d", x, [2])
    check("adaptive_avg_pool1d", x, [4])
    check("adaptive_avg_pool1d", normal(1, 2, 12), [4])
    for count in (22, 33, 7, 16):
        check("upsample_nearest1d", x, [count])
        check("upsample_linear1d", x, [count], False)
        check("upsample_linear1d", x, [count], True)
    check("upsample_nearest1d", x, None, [4.0])
    check("upsample_linear1d", x, None, False, [2.5])
    check("_upsample_nearest_exact1d", x, [17])
    image = normal(2, 3, 4, 5)
    check("upsample_nearest2d", image, [8, 15])
    check("upsample_nearest2d", image, None, [2.0, 3.0])
    check("upsample_bilinear2d", image, [8, 7], False)
    check("col2im", normal(2, 12, 7), [1, 22], [1, 4], [1, 1], [0, 0], [1, 3])
    check("col2im", normal(2, 12, 7), [20, 1], [4, 1], [1, 1], [1, 0], [3, 1])
    check("im2col", normal(2, 3, 1, 20), [1, 4], [1, 2], [0, 1], [1, 3])


def test_fourier_transforms():
    x, z = normal(2, 3, 16), torch.randn(2, 9, dtype=torch.complex64)
    check("fft_rfft", x)
    check("fft_rfft", x, 12, -1, "ortho")
    check("fft_rfft", x, 20, 1)
    check("fft_irfft", z)
    check("fft_irfft", z, 15)
    check("fft_irfft", z, 16, -1, "forward")
    check("fft_fft", x)
    check("fft_fft", z, None, 0)
    check("fft_ifft", z)
    check("fft_rfftfreq", 16, 1 / 48000)
    check("fft_fftshift", normal(7))
    check("fft_rfft", normal(1, 2048), atol=1e-3)
    window = torch.hann_window(32)
    signal = normal(2, 200)
    for options in ({}, {"normalized": True}, {"center": False}):
        want = torch.stft(signal, 32, 8, 32, window, return_complex=True, **options)
        bench = Bench()
        ours = bench.ops.call("stft", [bench.give(signal), 32, 8, 32, bench.ops.fresh(Value(window.numpy()))],
                              {"center": True, "return_complex": True, **options})
        compare(bench, ours, want, 1e-4)
        if options.get("center", True):
            bench = Bench()
            back = bench.ops.call("istft", [bench.give(want), 32, 8, 32, bench.ops.fresh(Value(window.numpy()))],
                                  {"normalized": options.get("normalized", False), "length": 190})
            compare(bench, back, torch.istft(want, 32, 8, 32, window, length=190, **options), 1e-4)


def test_complex_numbers():
    a, b = torch.randn(3, 4, dtype=torch.complex64), torch.randn(4, dtype=torch.complex64)
    for name in ("add", "sub", "mul", "div"):
        check(name, a, b)
        check(name, a, normal(3, 1))
        check(name, a, 2.0)
    check("mul", normal(4), a)
    check("abs", a)
    check("angle", a)
    check("exp", a)
    check("conj_physical", a)
    check("real", a)
    check("imag", a)
    check("polar", torch.rand(3), normal(3))
    check("complex", normal(3), normal(3))
    check("slice", a, 1, 1, 3, 1)
    check("permute", a, [1, 0])
    check("reshape", a, [4, 3])
    check("cat", [a, a], 0)
    check("sum", torch.view_as_real(a), [0])
