"""Operators that change a tensor's type, tell what is known of it, or fill it in place."""

from __future__ import annotations

import numpy as np

from ..errors import UnsupportedError
from ..tensors import BOOL, COMPLEXES, DOUBLE, FLOAT, FLOATS, INT64, Tensor, Value
from .arguments import axis_of
from .table import operator


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
