"""Operators on pairs of numbers by broadcasting: arithmetic, comparisons, logic."""

from __future__ import annotations

import numpy as np

from ..errors import UnsupportedError
from ..tensors import BOOL, COMPLEX, COMPLEXES, DOUBLE, FLOAT, FLOATS, HELD, INT64, Tensor, Value
from . import complexes
from .table import operator


def both(ops, fn, a, b, dtype=None):
    dtype = ops.promote(a, b) if dtype is None else dtype
    return ops.fresh(ops.binary(fn, ops.as_value(a, dtype), ops.as_value(b, dtype)), dtype)


def _times(ops, b, alpha):
    if alpha == 1:
        return b
    return mul(ops, b, alpha) if isinstance(b, Tensor) else b * alpha


@operator("add")
def add(ops, a, b, alpha=1):
    b = _times(ops, b, alpha)
    dtype = ops.promote(a, b)
    if dtype == BOOL:
        return ops.fresh(ops.binary("or", ops.as_value(a, BOOL), ops.as_value(b, BOOL)), BOOL)
    return complexes.both(ops, "add", a, b, dtype) if dtype in COMPLEXES else both(ops, "add", a, b, dtype)


@operator("sub", "subtract")
def sub(ops, a, b, alpha=1):
    b = _times(ops, b, alpha)
    dtype = ops.promote(a, b)
    return complexes.both(ops, "sub", a, b, dtype) if dtype in COMPLEXES else both(ops, "sub", a, b, dtype)


@operator("rsub")
def rsub(ops, a, b, alpha=1):
    return sub(ops, b, _times(ops, a, alpha))


@operator("mul", "multiply")
def mul(ops, a, b):
    dtype = ops.promote(a, b)
    if dtype in COMPLEXES:
        return complexes.mul(ops, a, b, dtype)
    if dtype == BOOL:
        return ops.fresh(ops.binary("and", ops.as_value(a, BOOL), ops.as_value(b, BOOL)), BOOL)
    return both(ops, "mul", a, b, dtype)


@operator("div", "divide", "true_divide")
def div(ops, a, b, rounding_mode=None):
    dtype = ops.promote(a, b)
    if dtype in COMPLEXES:
        return complexes.div(ops, a, b, dtype)
    if dtype in FLOATS:
        result = ops.binary("div", ops.as_value(a, dtype), ops.as_value(b, dtype))
        if rounding_mode == "floor":
            return floor_divide(ops, a, b)
        return ops.fresh(ops.unary("trunc", result) if rounding_mode == "trunc" else result, dtype)
    if rounding_mode == "floor":
        return floor_divide(ops, a, b)
    if rounding_mode == "trunc" or ops.version < 4:
        quotient = ops.unary("trunc", ops.binary("div", ops.as_value(a, DOUBLE), ops.as_value(b, DOUBLE)))
        return ops.fresh(ops.cast(quotient, HELD[dtype]), dtype)
    return ops.fresh(ops.binary("div", ops.as_value(a, FLOAT), ops.as_value(b, FLOAT)), FLOAT)


@operator("floor_divide")
def floor_divide(ops, a, b):
    """As torch has it: (a - remainder(a, b)) / b, rounded."""
    dtype = ops.promote(a, b)
    inside = dtype if dtype in FLOATS else DOUBLE
    va, vb = ops.as_value(a, inside), ops.as_value(b, inside)
    quotient = ops.unary("round", ops.binary("div", ops.binary("sub", va, ops.binary("remainder", va, vb)), vb))
    return ops.fresh(ops.cast(quotient, HELD[dtype]), dtype)


for _names, _fn in {"fmod": "fmod", "remainder": "remainder", "maximum": "max", "minimum": "min", "fmax": "max",
                    "fmin": "min"}.items():
    operator(_names)(lambda ops, a, b, _fn=_fn: both(ops, _fn, a, b))


@operator("atan2", "arctan2")
def atan2(ops, a, b):
    dtype = ops.promote(a, b)
    return both(ops, "atan2", a, b, dtype if dtype in FLOATS else FLOAT)


@operator("hypot")
def hypot(ops, a, b):
    dtype = ops.promote(a, b)
    squares = [ops.unary("square", ops.as_value(v, dtype)) for v in (a, b)]
    return ops.fresh(ops.unary("sqrt", ops.binary("add", *squares)), dtype)


@operator("pow")
def pow_(ops, a, b):
    dtype = ops.promote(a, b)
    if dtype in COMPLEXES:
        raise UnsupportedError("pow of complex numbers is not known here")
    if not isinstance(b, Tensor):
        if b in (2, 0.5, -1, -0.5, 1) and (dtype in FLOATS or b in (1, 2)):
            fn = {2: "square", 0.5: "sqrt", -1: "reciprocal", -0.5: "rsqrt", 1: "copy"}[b]
            return ops.fresh(ops.unary(fn, ops.as_value(a, dtype)), dtype)
    return both(ops, "pow", a, b, dtype)


@operator("logaddexp")
def logaddexp(ops, a, b):
    dtype = ops.promote(a, b)
    va, vb = ops.as_value(a, dtype), ops.as_value(b, dtype)
    apart = ops.unary("neg", ops.unary("abs", ops.binary("sub", va, vb)))
    return ops.fresh(ops.binary("add", ops.binary("max", va, vb), ops.unary("log1p", ops.unary("exp", apart))), dtype)


@operator("copysign")
def copysign(ops, a, b):
    dtype = ops.promote(a, b)
    va, vb = ops.unary("abs", ops.as_value(a, dtype)), ops.as_value(b, dtype)
    return ops.fresh(ops.where(ops.binary("lt", vb, Value(np.asarray(0, vb.array.dtype))), ops.unary("neg", va), va), dtype)


@operator("xlogy", "special_xlogy")
def xlogy(ops, a, b):
    dtype = ops.promote(a, b)
    va, vb = ops.as_value(a, dtype), ops.as_value(b, dtype)
    zero = Value(np.asarray(0, va.array.dtype))
    return ops.fresh(ops.where(ops.binary("eq", va, zero), zero, ops.binary("mul", va, ops.unary("log", vb))), dtype)


@operator("lerp")
def lerp(ops, a, b, weight):
    dtype = ops.promote(a, b)
    va, vb, vw = (ops.as_value(v, dtype) for v in (a, b, weight))
    return ops.fresh(ops.binary("add", va, ops.binary("mul", vw, ops.binary("sub", vb, va))), dtype)


@operator("addcmul")
def addcmul(ops, x, tensor1, tensor2, value=1):
    return add(ops, x, mul(ops, tensor1, tensor2), value)


@operator("addcdiv")
def addcdiv(ops, x, tensor1, tensor2, value=1):
    return add(ops, x, div(ops, tensor1, tensor2), value)


# comparisons and logic


def _compare(fn):
    def run(ops, a, b):
        dtype = ops.promote(a, b)
        if dtype in COMPLEXES:
            raise UnsupportedError("comparison of complex numbers is not known here")
        dtype = INT64 if dtype == BOOL else dtype
        return ops.fresh(ops.binary(fn, ops.as_value(a, dtype), ops.as_value(b, dtype)), BOOL)

    return run


for _fn, _more in {"eq": "", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}.items():
    operator(_fn, *_more.split())(_compare(_fn))


def _truths(ops, x) -> Value:
    return ops.as_value(x, BOOL)


@operator("logical_and")
def logical_and(ops, a, b):
    return ops.fresh(ops.binary("and", _truths(ops, a), _truths(ops, b)), BOOL)


@operator("logical_or")
def logical_or(ops, a, b):
    return ops.fresh(ops.binary("or", _truths(ops, a), _truths(ops, b)), BOOL)


@operator("logical_xor")
def logical_xor(ops, a, b):
    return ops.fresh(ops.binary("ne", _truths(ops, a), _truths(ops, b)), BOOL)


@operator("logical_not")
def logical_not(ops, x):
    return ops.fresh(ops.unary("not", _truths(ops, x)), BOOL)


def _bitwise(truth, number):
    """Bits of numbers that are known, or truths."""

    def run(ops, a, b):
        dtype = ops.promote(a, b)
        if dtype == BOOL:
            return truth(ops, a, b)
        known = [ops.known(x, "bits") if isinstance(x, Tensor) else x for x in (a, b)]
        return ops.fresh(Value(np.asarray(number(*known), np.int64)), dtype)

    return run


operator("bitwise_and", "__and__")(_bitwise(logical_and, np.bitwise_and))
operator("bitwise_or", "__or__")(_bitwise(logical_or, np.bitwise_or))
operator("bitwise_xor", "__xor__")(_bitwise(logical_xor, np.bitwise_xor))
operator("bitwise_left_shift", "__lshift__")(_bitwise(None, np.left_shift))
operator("bitwise_right_shift", "__rshift__")(_bitwise(None, np.right_shift))


@operator("bitwise_not", "__invert__")
def bitwise_not(ops, x):
    if x.dtype == BOOL:
        return logical_not(ops, x)
    value = ops.read(x)
    return ops.fresh(ops.binary("sub", Value(np.asarray(-1)), value), x.dtype)


@operator("isnan")
def isnan(ops, x):
    value = ops.read(x)
    return ops.fresh(ops.binary("ne", value, value), BOOL)


@operator("isinf")
def isinf(ops, x):
    value = ops.unary("abs", ops.read(x))
    return ops.fresh(ops.binary("eq", value, Value(np.asarray(np.inf, value.array.dtype))), BOOL)


@operator("isfinite")
def isfinite(ops, x):
    value = ops.unary("abs", ops.as_value(x, x.dtype if x.dtype in FLOATS else FLOAT))
    return ops.fresh(ops.binary("lt", value, Value(np.asarray(np.inf, value.array.dtype))), BOOL)


@operator("where")
def where(ops, condition, self=None, other=None):
    if self is None:
        places = np.nonzero(ops.known(condition, "where with one argument"))
        return tuple(ops.fresh(Value(np.asarray(p, np.int64))) for p in places)
    dtype = ops.promote(self, other)
    a, b = ops.as_value(self, dtype), ops.as_value(other, dtype)
    c = ops.as_value(condition, BOOL)
    if dtype in COMPLEXES:
        c = ops.reshape(c, c.array.shape + (1,))
    return ops.fresh(ops.where(c, a, b), dtype)


@operator("masked_fill")
def masked_fill(ops, x, mask, value):
    return where(ops, mask, ops.fresh(ops.as_value(value, x.dtype), x.dtype), x)


@operator("heaviside")
def heaviside(ops, x, values):
    v, zero = ops.read(x), Value(np.asarray(0, ops.read(x).array.dtype))
    step = ops.cast(ops.binary("gt", v, zero), HELD[x.dtype])
    return ops.fresh(ops.where(ops.binary("eq", v, zero), ops.as_value(values, x.dtype), step), x.dtype)


@operator("complex")
def complex_(ops, real, imag):
    return complexes.joined(ops, ops.read(real), ops.read(imag), COMPLEX)
