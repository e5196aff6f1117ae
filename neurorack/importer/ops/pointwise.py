"""Operators on each number, or on pairs of numbers by broadcasting."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UnsupportedError
from ..tensors import INTEGERS, Tensor, Value
from . import complexes
from .table import OPERATORS, operator


def one(fn: str, a: float = 0.0, b: float = 0.0):
    """Operator for a function of one real number; integers become float32."""

    def run(ops, x, **options):
        value, dtype = ops.floating(x)
        return ops.fresh(ops.unary(fn, value, a, b), dtype)

    return run


for _names, _fn in {
    "sqrt": "sqrt", "rsqrt": "rsqrt", "reciprocal": "reciprocal", "log": "log", "log1p": "log1p", "expm1 special_expm1": "expm1",
    "sin": "sin", "cos": "cos", "tan": "tan", "asin arcsin": "asin", "acos arccos": "acos", "atan arctan": "atan", "tanh": "tanh",
    "sigmoid special_expit": "sigmoid", "erf special_erf": "erf", "silu": "silu",
}.items():
    operator(*_names.split())(one(_fn))


def formula(*names):
    """Operator for a formula of a real value: ``function(ops, value, *parameters) -> value``."""

    def enter(function):
        def run(ops, x, *parameters, **options):
            value, dtype = ops.floating(x)
            return ops.fresh(function(ops, value, *parameters, **options), dtype)

        operator(*names)(run)
        return function

    return enter


@operator("exp")
def exp(ops, x):
    if x.complex:
        return complexes.exp(ops, x)
    value, dtype = ops.floating(x)
    return ops.fresh(ops.unary("exp", value), dtype)


@formula("log2")
def log2(ops, x):
    return ops.scaled(ops.unary("log", x), 1 / math.log(2))


@formula("log10")
def log10(ops, x):
    return ops.scaled(ops.unary("log", x), 1 / math.log(10))


@formula("exp2", "special_exp2")
def exp2(ops, x):
    return ops.binary("pow", Value(np.asarray(2, x.array.dtype)), x)


@formula("sinh")
def sinh(ops, x):
    return ops.scaled(ops.binary("sub", ops.unary("exp", x), ops.unary("exp", ops.unary("neg", x))), 0.5)


@formula("cosh")
def cosh(ops, x):
    return ops.scaled(ops.binary("add", ops.unary("exp", x), ops.unary("exp", ops.unary("neg", x))), 0.5)


@formula("atanh", "arctanh")
def atanh(ops, x):
    return ops.scaled(ops.binary("sub", ops.unary("log1p", x), ops.unary("log1p", ops.unary("neg", x))), 0.5)


@formula("sinc", "special_sinc")
def sinc(ops, x):
    turned = ops.scaled(x, math.pi)
    zero = ops.binary("eq", x, Value(np.asarray(0, x.array.dtype)))
    return ops.where(zero, Value(np.asarray(1, x.array.dtype)), ops.binary("div", ops.unary("sin", turned), turned))


@formula("erfc", "special_erfc")
def erfc(ops, x):
    return ops.scaled(ops.unary("erf", x), -1, 1)


@formula("asinh", "arcsinh")
def asinh(ops, x):
    """sign(x) log(|x| + sqrt(x^2 + 1)), by log1p for small x."""
    size, square = ops.unary("abs", x), ops.unary("square", x)
    bent = ops.binary("div", square, ops.scaled(ops.unary("sqrt", ops.scaled(square, 1, 1)), 1, 1))
    return ops.binary("mul", ops.unary("sign", x), ops.unary("log1p", ops.binary("add", size, bent)))


@formula("acosh", "arccosh")
def acosh(ops, x):
    return ops.unary("log", ops.binary("add", x, ops.unary("sqrt", ops.scaled(ops.unary("square", x), 1, -1))))


@formula("rad2deg")
def rad2deg(ops, x):
    return ops.scaled(x, 180 / math.pi)


@formula("deg2rad")
def deg2rad(ops, x):
    return ops.scaled(x, math.pi / 180)


@formula("frac")
def frac(ops, x):
    return ops.binary("sub", x, ops.unary("trunc", x))


@formula("logit", "special_logit")
def logit(ops, x, eps=None):
    x = x if eps is None else ops.unary("clamp", x, eps, 1 - eps)
    return ops.unary("log", ops.binary("div", x, ops.scaled(x, -1, 1)))


@formula("softplus")
def softplus(ops, x, beta=1, threshold=20):
    if beta == 1:
        return ops.unary("softplus", x)
    return ops.scaled(ops.unary("softplus", ops.scaled(x, beta)), 1 / beta)


@formula("leaky_relu")
def leaky_relu(ops, x, negative_slope=0.01):
    return ops.unary("leaky_relu", x, negative_slope)


@formula("rrelu")
def rrelu(ops, x, lower=0.125, upper=1 / 3, training=False, generator=None):
    if training:
        raise UnsupportedError("rrelu in training is not known here; export the model in eval mode")
    return ops.unary("leaky_relu", x, (lower + upper) / 2)


@formula("elu")
def elu(ops, x, alpha=1, scale=1, input_scale=1):
    if input_scale != 1:
        raise UnsupportedError("elu with an input scale is not known here")
    return ops.scaled(ops.unary("elu", x, alpha), scale)


@formula("selu")
def selu(ops, x):
    return elu(ops, x, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946)


@formula("celu")
def celu(ops, x, alpha=1.0):
    return ops.scaled(ops.unary("elu", ops.scaled(x, 1 / alpha), 1.0), alpha) if alpha != 1 else ops.unary("elu", x, 1.0)


@formula("gelu")
def gelu(ops, x, approximate="none"):
    if approximate == "tanh":
        cubic = ops.binary("mul", x, ops.scaled(ops.unary("square", x), 0.044715, 1))
        gate = ops.unary("tanh", ops.scaled(cubic, math.sqrt(2 / math.pi)))
    else:
        gate = ops.unary("erf", ops.scaled(x, math.sqrt(0.5)))
    return ops.binary("mul", ops.scaled(x, 0.5), ops.scaled(gate, 1, 1))


@formula("mish")
def mish(ops, x):
    return ops.binary("mul", x, ops.unary("tanh", ops.unary("softplus", x)))


@formula("hardswish")
def hardswish(ops, x):
    return ops.binary("mul", x, ops.scaled(ops.unary("clamp", ops.scaled(x, 1, 3), 0, 6), 1 / 6))


@formula("hardsigmoid")
def hardsigmoid(ops, x):
    return ops.scaled(ops.unary("clamp", ops.scaled(x, 1, 3), 0, 6), 1 / 6)


@formula("log_sigmoid")
def log_sigmoid(ops, x):
    return ops.unary("neg", ops.unary("softplus", ops.unary("neg", x)))


@formula("softsign")
def softsign(ops, x):
    return ops.binary("div", x, ops.scaled(ops.unary("abs", x), 1, 1))


@formula("tanhshrink")
def tanhshrink(ops, x):
    return ops.binary("sub", x, ops.unary("tanh", x))


@formula("hardshrink")
def hardshrink(ops, x, lambd=0.5):
    small = ops.binary("le", ops.unary("abs", x), Value(np.asarray(lambd, x.array.dtype)))
    return ops.where(small, Value(np.asarray(0, x.array.dtype)), x)


@formula("softshrink")
def softshrink(ops, x, lambd=0.5):
    return ops.binary("sub", x, ops.unary("clamp", x, -lambd, lambd))


def keeping(*names, whole=None):
    """Operator for a function that keeps the type; ``whole`` is what it does to integers (None: the same)."""

    def enter(function):
        def run(ops, x, *parameters, **options):
            dtype = ops.promote(x)
            value = ops.read(x)
            if dtype in INTEGERS and whole is not None:
                return ops.fresh(whole(ops, value), dtype)
            return ops.fresh(function(ops, value, *parameters, **options), dtype)

        operator(*names)(run)
        return run

    return enter


for _name in ("floor", "ceil", "trunc"):
    keeping(_name, whole=lambda ops, x: x)(lambda ops, x, _fn=_name: ops.unary(_fn, x))
OPERATORS["fix"] = OPERATORS["trunc"]


@keeping("round", whole=lambda ops, x: x)
def round_(ops, x, decimals=0):
    if not decimals:
        return ops.unary("round", x)
    return ops.scaled(ops.unary("round", ops.scaled(x, 10.0 ** decimals)), 10.0 ** -decimals)


@keeping("neg", "negative")
def neg(ops, x):
    return ops.unary("neg", x)


@keeping("positive")
def positive(ops, x):
    return x


@keeping("sign", "sgn")
def sign(ops, x):
    return ops.unary("sign", x)


@keeping("square")
def square(ops, x):
    return ops.unary("square", x)


@keeping("relu")
def relu(ops, x):
    return ops.unary("relu", x)


@keeping("relu6")
def relu6(ops, x):
    return ops.unary("clamp", x, 0, 6)


@keeping("nan_to_num")
def nan_to_num(ops, x, nan=None, posinf=None, neginf=None):
    most = float(np.finfo(x.array.dtype).max)
    x = ops.where(ops.binary("ne", x, x), ops.constant(nan or 0.0, "f32" if x.array.dtype == np.float32 else "f64"), x)
    if posinf is not None or neginf is not None:
        number = lambda v: Value(np.asarray(v, x.array.dtype))  # noqa: E731
        x = ops.where(ops.binary("eq", x, number(np.inf)), number(most if posinf is None else posinf), x)
        return ops.where(ops.binary("eq", x, number(-np.inf)), number(-most if neginf is None else neginf), x)
    return ops.unary("clamp", x, -most, most)


@operator("abs", "absolute")
def abs_(ops, x):
    return complexes.magnitude(ops, x) if x.complex else ops.fresh(ops.unary("abs", ops.read(x)), ops.promote(x))


@operator("clamp", "clip")
def clamp(ops, x, min=None, max=None):
    low, high = min, max
    dtype = ops.promote(*(v for v in (x, low, high) if v is not None))
    if isinstance(low, Tensor) or isinstance(high, Tensor) or dtype in INTEGERS:
        value = ops.as_value(x, dtype)
        value = value if low is None else ops.binary("max", value, ops.as_value(low, dtype))
        return ops.fresh(value if high is None else ops.binary("min", value, ops.as_value(high, dtype)), dtype)
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    return ops.fresh(ops.unary("clamp", ops.as_value(x, dtype), float(low), float(high)), dtype)


@operator("hardtanh")
def hardtanh(ops, x, min_val=-1.0, max_val=1.0):
    return clamp(ops, x, min_val, max_val)


@operator("clamp_min")
def clamp_min(ops, x, min):
    return clamp(ops, x, min)


@operator("clamp_max")
def clamp_max(ops, x, max):
    return clamp(ops, x, None, max)


@operator("threshold")
def threshold(ops, x, threshold, value):
    small = ops.binary("le", ops.read(x), ops.as_value(threshold, x.dtype))
    return ops.fresh(ops.where(small, ops.as_value(value, x.dtype), ops.read(x)), x.dtype)


@operator("prelu")
def prelu(ops, x, weight):
    slope = ops.read(weight)
    if weight.size > 1:
        slope = ops.reshape(slope, (-1,) + (1,) * (x.ndim - 2)) if x.ndim > 2 else slope
    v = ops.read(x)
    return ops.fresh(ops.where(ops.binary("gt", v, Value(np.asarray(0, v.array.dtype))), v, ops.binary("mul", v, slope)), x.dtype)


@operator("glu")
def glu(ops, x, dim=-1):
    a, b = OPERATORS["chunk"](ops, x, 2, dim)
    return ops.fresh(ops.binary("mul", ops.read(a), ops.unary("sigmoid", ops.read(b))), x.dtype)
