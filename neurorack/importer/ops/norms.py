"""Normalisations: softmax, and layers that take mean and variance out."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UnsupportedError
from ..tensors import DOUBLE, FLOAT, HELD, Value
from .arguments import axes_of, axis_of
from .folds import mean_value, norm_value, squeezed, variance_value
from .table import operator


@operator("logsumexp", "special_logsumexp")
def logsumexp(ops, x, dim, keepdim=False):
    value, dtype = ops.floating(x)
    axes = axes_of(dim, x.ndim)
    most = ops.reduce("max", value, axes)
    total = ops.reduce("add", ops.unary("exp", ops.binary("sub", value, most)), axes)
    return ops.fresh(squeezed(ops, ops.binary("add", ops.unary("log", total), most), axes, keepdim), dtype)


def softmax_value(ops, x: Value, axis: int) -> Value:
    powers = ops.unary("exp", ops.binary("sub", x, ops.reduce("max", x, (axis,))))
    return ops.binary("div", powers, ops.reduce("add", powers, (axis,)))


@operator("softmax", "_softmax", "special_softmax")
def softmax(ops, x, dim, dtype=None):
    value, kind = ops.floating(x)
    kind = dtype if dtype in (FLOAT, DOUBLE) else kind
    value = ops.cast(value, HELD[kind])
    return ops.fresh(softmax_value(ops, value, axis_of(dim, x.ndim)) if x.ndim else ops.scaled(value, 0, 1), kind)


@operator("log_softmax", "_log_softmax", "special_log_softmax")
def log_softmax(ops, x, dim, dtype=None):
    value, kind = ops.floating(x)
    axis = (axis_of(dim, x.ndim),)
    low = ops.binary("sub", value, ops.reduce("max", value, axis))
    total = ops.unary("log", ops.reduce("add", ops.unary("exp", low), axis))
    return ops.fresh(ops.binary("sub", low, total), kind)


def _normal(ops, x: Value, axes, eps) -> Value:
    spread, middle = variance_value(ops, x, axes, 0)
    return ops.binary("mul", ops.binary("sub", x, middle), ops.unary("rsqrt", ops.scaled(spread, 1, eps)))


def _weighted(ops, x: Value, weight, bias, shape) -> Value:
    for fn, v in (("mul", weight), ("add", bias)):
        if v is not None:
            x = ops.binary(fn, x, ops.reshape(ops.read(v), shape))
    return x


@operator("layer_norm", "native_layer_norm")
def layer_norm(ops, x, normalized_shape, weight=None, bias=None, eps=1e-5, cudnn_enable=True):
    axes = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    return ops.fresh(_weighted(ops, _normal(ops, ops.read(x), axes, eps), weight, bias, normalized_shape), x.dtype)


@operator("rms_norm")
def rms_norm(ops, x, normalized_shape, weight=None, eps=None):
    axes, value = tuple(range(x.ndim - len(normalized_shape), x.ndim)), ops.read(x)
    eps = float(np.finfo(value.array.dtype).eps) if eps is None else eps
    power = mean_value(ops, ops.unary("square", value), axes)
    value = ops.binary("mul", value, ops.unary("rsqrt", ops.scaled(power, 1, eps)))
    return ops.fresh(_weighted(ops, value, weight, None, normalized_shape), x.dtype)


@operator("group_norm")
def group_norm(ops, x, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
    value = ops.reshape(ops.read(x), (x.shape[0], num_groups, x.size // (x.shape[0] * num_groups)))
    value = ops.reshape(_normal(ops, value, (2,), eps), x.shape)
    return ops.fresh(_weighted(ops, value, weight, bias, (x.shape[1],) + (1,) * (x.ndim - 2)), x.dtype)


def _running(ops, x, weight, bias, mean, variance, eps):
    """With statistics of training: a factor and an offset for each channel."""
    factor = ops.unary("rsqrt", ops.scaled(ops.read(variance), 1, eps))
    factor = factor if weight is None else ops.binary("mul", factor, ops.read(weight))
    offset = ops.unary("neg", ops.binary("mul", ops.read(mean), factor))
    offset = offset if bias is None else ops.binary("add", offset, ops.read(bias))
    shape = (x.shape[1],) + (1,) * (x.ndim - 2)
    value = ops.binary("mul", ops.read(x), ops.reshape(factor, shape))
    return ops.fresh(ops.binary("add", value, ops.reshape(offset, shape)), x.dtype)


@operator("batch_norm")
def batch_norm(ops, input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled=True):
    if training or running_mean is None:
        raise UnsupportedError("batch_norm in training is not known here; export the model in eval mode")
    return _running(ops, input, weight, bias, running_mean, running_var, eps)


@operator("instance_norm")
def instance_norm(ops, input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled=True):
    if not use_input_stats:
        return _running(ops, input, weight, bias, running_mean, running_var, eps)
    value = _normal(ops, ops.read(input), tuple(range(2, input.ndim)), eps)
    return ops.fresh(_weighted(ops, value, weight, bias, (input.shape[1],) + (1,) * (input.ndim - 2)), input.dtype)


@operator("normalize")
def normalize(ops, x, p=2.0, dim=1, eps=1e-12):
    size = norm_value(ops, ops.read(x), p, (axis_of(dim, x.ndim),), True)
    return ops.fresh(ops.binary("div", ops.read(x), ops.unary("clamp", size, eps, math.inf)), x.dtype)


@operator("norm_except_dim")
def norm_except_dim(ops, v, pow=2, dim=0):
    axes = tuple(i for i in range(v.ndim) if i != dim % v.ndim)
    return ops.fresh(norm_value(ops, ops.read(v), float(pow), axes, True), v.dtype)


@operator("_weight_norm", "_weight_norm_interface")
def weight_norm(ops, v, g, dim=0):
    size = ops.read(norm_except_dim(ops, v, 2, dim))
    return ops.fresh(ops.binary("mul", ops.read(v), ops.binary("div", ops.read(g), size)), v.dtype)
