"""Operators that make tensors, tell about them, or change their type; random numbers."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UnsupportedError
from ..tensors import BOOL, COMPLEXES, DOUBLE, FLOAT, FLOATS, HELD, INT64, Tensor, Value
from ..trace import DTYPES
from .arguments import axis_of, whole
from .table import operator


def _filled(ops, shape, number, dtype) -> Tensor:
    shape = tuple(whole(n, ops) for n in shape)
    if math.prod(shape) > ops.most_elements:
        raise UnsupportedError(f"a tensor of {list(shape)} is too large; at most {ops.most_elements} numbers are allowed")
    if dtype in COMPLEXES:
        number, shape = [complex(number).real, complex(number).imag], shape + (2,)
    return ops.fresh(Value(np.broadcast_to(np.asarray(number, DTYPES[HELD[dtype]]), shape)), dtype)


@operator("zeros", "empty")
def zeros(ops, size, dtype=None, **options):
    return _filled(ops, size, 0, FLOAT if dtype is None else dtype)


@operator("ones")
def ones(ops, size, dtype=None, **options):
    return _filled(ops, size, 1, FLOAT if dtype is None else dtype)


def _type_of(ops, number) -> int:
    return number.dtype if isinstance(number, Tensor) else ops.promote(number)


@operator("full")
def full(ops, size, fill_value, dtype=None, **options):
    return _filled(ops, size, ops.number(fill_value), _type_of(ops, fill_value) if dtype is None else dtype)


@operator("zeros_like", "empty_like")
def zeros_like(ops, x, dtype=None, **options):
    return _filled(ops, x.shape, 0, x.dtype if dtype is None else dtype)


@operator("ones_like")
def ones_like(ops, x, dtype=None, **options):
    return _filled(ops, x.shape, 1, x.dtype if dtype is None else dtype)


@operator("full_like")
def full_like(ops, x, fill_value, dtype=None, **options):
    return _filled(ops, x.shape, ops.number(fill_value), x.dtype if dtype is None else dtype)


@operator("new_zeros", "new_empty")
def new_zeros(ops, x, size, dtype=None, **options):
    return _filled(ops, size, 0, x.dtype if dtype is None else dtype)


@operator("new_ones")
def new_ones(ops, x, size, dtype=None, **options):
    return _filled(ops, size, 1, x.dtype if dtype is None else dtype)


@operator("new_full")
def new_full(ops, x, size, fill_value, dtype=None, **options):
    return _filled(ops, size, ops.number(fill_value), x.dtype if dtype is None else dtype)


@operator("eye")
def eye(ops, n, m=None, dtype=None, **options):
    dtype = FLOAT if dtype is None else dtype
    return ops.fresh(Value(np.eye(n, n if m is None else m, dtype=DTYPES[HELD[dtype]])), dtype)


@operator("arange")
def arange(ops, start, end=None, step=1, dtype=None, **options):
    start, end, step = (ops.number(x) for x in (start, end, step))
    if end is None:
        start, end = 0, start
    whole_numbers = all(isinstance(x, int) for x in (start, end, step))
    dtype = (INT64 if whole_numbers else FLOAT) if dtype is None else dtype
    if (end - start) / step > ops.most_elements:
        raise UnsupportedError(f"arange makes too many numbers; at most {ops.most_elements} are allowed")
    numbers = np.arange(start, end, step) if whole_numbers else start + step * np.arange(math.ceil((end - start) / step))
    return ops.fresh(Value(numbers.astype(DTYPES[HELD[dtype]])), dtype)


@operator("linspace")
def linspace(ops, start, end, steps=100, dtype=None, **options):
    dtype = FLOAT if dtype is None else dtype
    numbers = np.linspace(ops.number(start), ops.number(end), whole(steps, ops))
    return ops.fresh(Value(numbers.astype(DTYPES[HELD[dtype]])), dtype)


@operator("logspace")
def logspace(ops, start, end, steps=100, base=10.0, dtype=None, **options):
    dtype = FLOAT if dtype is None else dtype
    numbers = np.logspace(ops.number(start), ops.number(end), whole(steps, ops), base=base)
    return ops.fresh(Value(numbers.astype(DTYPES[HELD[dtype]])), dtype)


def _window(name, make):
    """Windows, periodic unless asked otherwise."""

    def run(ops, window_length, periodic=True, *parameters, dtype=None, **options):
        n = whole(window_length, ops)
        dtype = FLOAT if dtype is None else dtype
        turn = np.arange(n) * 2 * np.pi / max(n if periodic else n - 1, 1)
        return ops.fresh(Value(make(turn, *parameters).astype(DTYPES[HELD[dtype]])), dtype)

    operator(name)(run)


_window("hann_window", lambda turn: 0.5 - 0.5 * np.cos(turn))
_window("hamming_window", lambda turn, alpha=0.54, beta=0.46: alpha - beta * np.cos(turn))
_window("blackman_window", lambda turn: 0.42 - 0.5 * np.cos(turn) + 0.08 * np.cos(2 * turn))
_window("bartlett_window", lambda turn: 1 - np.abs(turn / np.pi - 1))


def _numbers(ops, data) -> list | int | float:
    return [_numbers(ops, x) for x in data] if isinstance(data, (list, tuple)) else ops.number(data)


@operator("tensor", "scalar_tensor", "as_tensor", "NumToTensor", "scalar_to_tensor", "asarray")
def tensor(ops, data, dtype=None, **options):
    """From a number or nested lists of numbers; torch takes Python's floats as float32."""
    if isinstance(data, Tensor):
        return data if dtype in (None, data.dtype) else ops.fresh(ops.as_value(data, dtype), dtype)
    numbers = _numbers(ops, data)
    array = np.asarray(numbers)
    if dtype is None:
        dtype = BOOL if array.dtype == bool else INT64 if array.dtype.kind == "i" else FLOAT
    if dtype in COMPLEXES or array.dtype.kind == "c":
        raise UnsupportedError("a complex tensor from numbers is not known here")
    return ops.fresh(Value(array.astype(DTYPES[HELD[dtype]])), dtype)


# types


@operator("to")
def to(ops, x, *places, dtype=None, non_blocking=False, copy=False, **options):
    """Another type; devices are all the same here. Forms: a type, a device and a type, another tensor."""
    for place in places:
        if isinstance(place, Tensor):
            dtype = place.dtype
        elif isinstance(place, int) and not isinstance(place, bool) and dtype is None:
            dtype = place
    if dtype is None or dtype == x.dtype:
        return ops.fresh(ops.read(x), x.dtype) if copy is True else x
    if x.complex and dtype not in COMPLEXES:
        raise UnsupportedError("a complex tensor is made real by a change of type; use its real part")
    return ops.fresh(ops.as_value(x, dtype), dtype)


@operator("type_as")
def type_as(ops, x, other):
    return to(ops, x, other)


for _name, _code in {"float": FLOAT, "double": DOUBLE, "long": INT64, "int": 3, "bool": BOOL, "half": 5, "bfloat16": 15}.items():
    operator(f"_cast_{_name.capitalize()}")(lambda ops, x, *rest, _code=_code: to(ops, x, dtype=_code))


@operator("cpu", "data", "cuda")
def same(ops, x, *rest, **options):
    return x


# what is known of a tensor


@operator("size")
def size(ops, x, dim=None):
    return list(x.shape) if dim is None else x.shape[axis_of(dim, x.ndim)]


@operator("shape")
def shape(ops, x):
    return list(x.shape)


@operator("dtype")
def dtype_(ops, x):
    return x.dtype


@operator("device")
def device(ops, x):
    return "cpu"


@operator("layout")
def layout(ops, x):
    return 0


@operator("tolist")
def tolist(ops, x, *types):
    return ops.known(x, "a list of numbers").tolist()


@operator("numel")
def numel(ops, x):
    return x.size


@operator("dim", "ndimension")
def dim(ops, x):
    return x.ndim


@operator("len")
def length(ops, x):
    return x.shape[0]


@operator("stride")
def stride(ops, x, dim=None):
    return list(x.strides) if dim is None else x.strides[dim]


@operator("storage_offset")
def storage_offset(ops, x):
    return x.offset


@operator("is_contiguous")
def is_contiguous(ops, x, memory_format=None):
    return x.contiguous()


@operator("is_floating_point")
def is_floating_point(ops, x):
    return x.dtype in FLOATS


@operator("is_tensor")
def is_tensor(ops, x):
    return isinstance(x, Tensor)


@operator("is_cuda", "is_quantized", "is_sparse", "is_mkldnn", "is_inference", "is_conj", "is_neg", "requires_grad", "is_nested",
          "is_xla", "is_mps", "is_meta", "is_vulkan", "is_ipu", "is_leaf")
def no(ops, x):
    return False


@operator("is_signed")
def is_signed(ops, x):
    return x.dtype not in (0, BOOL)


@operator("item", "Float", "Int", "Bool", "FloatImplicit", "IntImplicit", "ScalarImplicit", "ComplexImplicit")
def item(ops, x):
    return ops.number(x)


@operator("equal")
def equal(ops, a, b):
    if a.shape != b.shape:
        return False
    return bool((ops.known(a, "a comparison of tensors") == ops.known(b, "a comparison of tensors")).all())


@operator("allclose")
def allclose(ops, a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    return bool(np.allclose(ops.known(a, "a comparison"), ops.known(b, "a comparison"), rtol, atol, equal_nan))


@operator("nonzero")
def nonzero(ops, x):
    return ops.fresh(Value(np.argwhere(ops.known(x, "nonzero")).astype(np.int64)))


# in place


@operator("copy_")
def copy_(ops, x, other, non_blocking=False):
    return ops.write(x, ops.as_value(other, x.dtype))


@operator("set_")
def set_(ops, x, source=None, *rest):
    if not isinstance(source, Tensor) or rest:
        raise UnsupportedError("set_ with a storage is not known here")
    x.storage, x.chain, x.shape, x.strides = source.storage, source.chain, source.shape, source.strides
    x.offset, x.dtype, x.version = source.offset, source.dtype, -1
    return x


@operator("fill_", "fill")
def fill_(ops, x, value):
    return ops.write(x, ops.as_value(value, x.dtype))


@operator("zero_")
def zero_(ops, x):
    return ops.write(x, ops.as_value(0, x.dtype))


# random numbers


def _drawn(ops, shape, kind, dtype):
    dtype = FLOAT if dtype is None else dtype
    shape = [whole(n, ops) for n in shape]
    return ops.fresh(ops.cast(ops.draw(shape, kind), HELD[dtype]), dtype)


@operator("rand")
def rand(ops, size, dtype=None, **options):
    return _drawn(ops, size, "uniform", dtype)


@operator("randn")
def randn(ops, size, dtype=None, **options):
    return _drawn(ops, size, "normal", dtype)


@operator("rand_like")
def rand_like(ops, x, dtype=None, **options):
    return _drawn(ops, x.shape, "uniform", x.dtype if dtype is None else dtype)


@operator("randn_like")
def randn_like(ops, x, dtype=None, **options):
    return _drawn(ops, x.shape, "normal", x.dtype if dtype is None else dtype)


@operator("normal")
def normal(ops, mean, std=1.0, size=None, dtype=None, **options):
    from .pointwise import add, mul

    if size is None:
        size = np.broadcast_shapes(*(v.shape for v in (mean, std) if isinstance(v, Tensor)))
    return add(ops, mul(ops, _drawn(ops, size, "normal", dtype), std), mean)


@operator("normal_")
def normal_(ops, x, mean=0.0, std=1.0, generator=None):
    return ops.write(x, ops.scaled(ops.draw(x.shape, "normal"), std, mean))


@operator("uniform_", "uniform")
def uniform_(ops, x, from_=0.0, to=1.0, generator=None):
    return ops.write(x, ops.scaled(ops.draw(x.shape, "uniform"), to - from_, from_))


def _whole_drawn(ops, low, high, shape, dtype):
    numbers = ops.unary("floor", ops.scaled(ops.draw(shape, "uniform"), high - low, low))
    return ops.fresh(ops.cast(numbers, HELD[dtype]), dtype)


@operator("randint")
def randint(ops, low, high, size=None, dtype=None, **options):
    if isinstance(high, (list, tuple)):
        low, high, size = 0, low, high
    return _whole_drawn(ops, low, high, size, INT64 if dtype is None else dtype)


@operator("randint_like")
def randint_like(ops, x, low, high=None, dtype=None, **options):
    low, high = (0, low) if high is None else (low, high)
    return _whole_drawn(ops, low, high, x.shape, x.dtype if dtype is None else dtype)


@operator("bernoulli")
def bernoulli(ops, x, p=None, generator=None):
    below = x if p is None else p
    return ops.fresh(ops.cast(ops.binary("lt", ops.draw(x.shape, "uniform"), ops.as_value(below, FLOAT)), HELD[x.dtype]), x.dtype)


@operator("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout")
def dropout(ops, x, p, train):
    if train:
        raise UnsupportedError("dropout in training is not known here; export the model in eval mode")
    return x
