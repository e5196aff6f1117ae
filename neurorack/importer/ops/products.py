"""Convolutions and matrix products."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UnsupportedError
from ..tensors import DOUBLE, FLOAT, HELD, Value
from . import views
from .arguments import axis_of, pair
from .folds import squeezed
from .norms import softmax_value
from .table import operator


def _no_bias(bias):
    return None if bias is None or bias.shape == (0,) else bias


def _same(n, taps, stride, dilation) -> tuple[int, int]:
    """Padding "same": as torch has it, the odd one at the end."""
    if stride != 1:
        raise ValueError('padding "same" with a stride')
    total = dilation * (taps - 1)
    return total // 2, total - total // 2


def conv1d_value(ops, x: Value, w: Value, bias: Value | None, stride, padding, dilation, groups) -> Value:
    n, c, t = x.array.shape
    outs, ins, taps = w.array.shape
    frames = (t + sum(padding) - dilation * (taps - 1) - 1) // stride + 1
    if c != ins * groups or frames < 1:
        raise ValueError(f"a convolution of {outs, ins, taps} in {groups} groups over {n, c, t}")
    inputs = [x, w] if bias is None else [x, w, bias]
    return ops.run("conv1d", inputs, (n, outs, frames), stride=stride, padding=padding, dilation=dilation, groups=groups)


@operator("conv1d")
def conv1d(ops, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """x [n, c, t] or [c, t]."""
    if input.ndim == 2:
        return views.squeeze(ops, conv1d(ops, views.unsqueeze(ops, input, 0), weight, bias, stride, padding, dilation, groups), 0)
    dtype = ops.promote(input, weight)
    (stride,), (dilation,), bias = pair(stride), pair(dilation), _no_bias(bias)
    if isinstance(padding, str):
        padding = _same(input.shape[2], weight.shape[2], stride, dilation) if padding == "same" else (0, 0)
    else:
        padding = pair(padding, 1) * 2
    values = [ops.as_value(v, dtype) if v is not None else None for v in (input, weight, bias)]
    return ops.fresh(conv1d_value(ops, *values, stride, padding, dilation, groups), dtype)


@operator("conv_transpose1d")
def conv_transpose1d(ops, input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    if input.ndim == 2:
        whole = conv_transpose1d(ops, views.unsqueeze(ops, input, 0), weight, bias, stride, padding, output_padding, groups, dilation)
        return views.squeeze(ops, whole, 0)
    dtype = ops.promote(input, weight)
    (stride,), (padding,), (extra,), (dilation,) = pair(stride), pair(padding), pair(output_padding), pair(dilation)
    (n, c, t), (ins, each, taps), bias = input.shape, weight.shape, _no_bias(bias)
    frames = (t - 1) * stride - 2 * padding + dilation * (taps - 1) + extra + 1
    if c != ins or frames < 1 or c % groups:
        raise ValueError(f"a transposed convolution of {ins, each, taps} in {groups} groups over {n, c, t}")
    inputs = [ops.as_value(v, dtype) for v in (input, weight) + (() if bias is None else (bias,))]
    return ops.fresh(ops.run("conv_transpose1d", inputs, (n, each * groups, frames), stride=stride, padding=(padding, padding),
                             output_padding=extra, dilation=dilation, groups=groups), dtype)


@operator("conv2d")
def conv2d(ops, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """x [n, c, h, t], as one convolution along t over all rows that a kernel's height covers."""
    if input.ndim == 3:
        return views.squeeze(ops, conv2d(ops, views.unsqueeze(ops, input, 0), weight, bias, stride, padding, dilation, groups), 0)
    dtype = ops.promote(input, weight)
    stride, dilation = pair(stride, 2), pair(dilation, 2)
    if isinstance(padding, str):
        down, along = [_same(input.shape[i], weight.shape[i], stride[i - 2], dilation[i - 2]) if padding == "same" else (0, 0)
                       for i in (2, 3)]
    else:
        padding = pair(padding, 2)
        down, along = (padding[0],) * 2, (padding[1],) * 2
    x, w = ops.as_value(input, dtype), ops.as_value(weight, dtype)
    x = ops.pad(x, (0, 0, down[0], 0), (0, 0, down[1], 0))
    n, c, h, t = x.array.shape
    outs, ins, high, taps = w.array.shape
    rows = (h - dilation[0] * (high - 1) - 1) // stride[0] + 1
    if c != ins * groups or rows < 1:
        raise ValueError(f"a convolution of {outs, ins, high, taps} in {groups} groups over {n, c, h, t}")
    lines = []  # for each row of the kernel, the input rows it meets: n * rows, c, 1, t
    for k in range(high):
        first = k * dilation[0]
        part = ops.cut(x, 2, first, first + (rows - 1) * stride[0] + 1, stride[0])
        lines.append(ops.reshape(ops.permute(part, (0, 2, 1, 3)), (n * rows, c, 1, t)))
    lines = ops.reshape(ops.cat(lines, 2), (n * rows, c * high, t))
    kernels = ops.reshape(w, (outs, ins * high, taps))
    b = None if _no_bias(bias) is None else ops.as_value(bias, dtype)
    y = conv1d_value(ops, lines, kernels, b, stride[1], along, dilation[1], groups)
    y = ops.reshape(y, (n, rows, outs, y.array.shape[2]))
    return ops.fresh(ops.permute(y, (0, 2, 1, 3)), dtype)


def _transposed(ops, x: Value, w: Value, stride, dilation, groups, frames) -> Value:
    return ops.run("conv_transpose1d", [x, w], (x.array.shape[0], w.array.shape[1] * groups, frames), stride=stride, padding=(0, 0),
                   output_padding=0, dilation=dilation, groups=groups)


@operator("conv_transpose2d")
def conv_transpose2d(ops, input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Along t for every row of the kernel at once, then those rows added up along h by a kernel of ones."""
    if input.ndim == 3:
        whole = conv_transpose2d(ops, views.unsqueeze(ops, input, 0), weight, bias, stride, padding, output_padding, groups, dilation)
        return views.squeeze(ops, whole, 0)
    dtype = ops.promote(input, weight)
    stride, padding, extra, dilation = (pair(v, 2) for v in (stride, padding, output_padding, dilation))
    (n, c, h, t), (ins, each, high, taps) = input.shape, weight.shape
    if c != ins or c % groups:
        raise ValueError(f"a transposed convolution of {ins, each, high, taps} in {groups} groups over {n, c, h, t}")
    outs, size = each * groups, [0, 0]
    whole = [(m - 1) * stride[i] + dilation[i] * (k - 1) + 1 for i, (m, k) in enumerate(((h, high), (t, taps)))]
    for i in (0, 1):
        size[i] = whole[i] - 2 * padding[i] + extra[i]
    lines = ops.reshape(ops.permute(ops.as_value(input, dtype), (0, 2, 1, 3)), (n * h, c, t))
    wide = _transposed(ops, lines, ops.reshape(ops.as_value(weight, dtype), (c, each * high, taps)), stride[1], dilation[1], groups, whole[1])
    wide = ops.permute(ops.reshape(wide, (n, h, outs * high, whole[1])), (0, 3, 2, 1))
    ones = np.tile(np.eye(high, dtype=wide.array.dtype)[:, None], (outs, 1, 1))
    y = _transposed(ops, ops.reshape(wide, (n * whole[1], outs * high, h)), Value(ones), stride[0], dilation[0], outs, whole[0])
    y = ops.permute(ops.reshape(y, (n, whole[1], outs, whole[0])), (0, 2, 3, 1))
    for i in (0, 1):
        missing = max(padding[i] + size[i] - whole[i], 0)
        y = ops.pad(y, (0,) * 4, tuple(missing * (d == 2 + i) for d in range(4)), 0)
        y = ops.cut(y, 2 + i, padding[i], padding[i] + size[i])
    if _no_bias(bias) is not None:
        y = ops.binary("add", y, ops.reshape(ops.as_value(bias, dtype), (outs, 1, 1)))
    return ops.fresh(y, dtype)


@operator("_convolution", "convolution")
def convolution(ops, input, weight, bias, stride, padding, dilation, transposed, output_padding, groups, *flags):
    lines = weight.ndim == 3
    if weight.ndim not in (3, 4):
        raise UnsupportedError(f"a convolution with weights of {weight.ndim} dimensions is not known here")
    if transposed:
        return (conv_transpose1d if lines else conv_transpose2d)(ops, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return (conv1d if lines else conv2d)(ops, input, weight, bias, stride, padding, dilation, groups)


@operator("linear")
def linear(ops, input, weight, bias=None):
    dtype = ops.promote(input, weight)
    w = ops.as_value(weight, dtype)
    y = ops.run("matmul", [ops.as_value(input, dtype), ops.permute(w, (1, 0)) if weight.ndim == 2 else w])
    return ops.fresh(y if bias is None else ops.binary("add", y, ops.as_value(bias, dtype)), dtype)


@operator("matmul", "mm", "bmm", "mv", "dot")
def matmul(ops, a, b):
    dtype = ops.promote(a, b)
    if dtype not in (FLOAT, DOUBLE):
        if dtype in (9, 10):
            raise UnsupportedError("matmul of complex numbers is not known here")
        wide = ops.run("matmul", [ops.as_value(v, DOUBLE) for v in (a, b)])
        return ops.fresh(ops.cast(wide, HELD[dtype]), dtype)
    return ops.fresh(ops.run("matmul", [ops.as_value(v, dtype) for v in (a, b)]), dtype)


def _plus(ops, x, product, beta, alpha):
    product = ops.scaled(ops.read(product), alpha) if alpha != 1 else ops.read(product)
    if beta == 0:
        return ops.fresh(product)
    x = ops.read(x) if beta == 1 else ops.scaled(ops.read(x), beta)
    return ops.fresh(ops.binary("add", x, product))


@operator("addmm", "baddbmm", "addmv")
def addmm(ops, input, a, b, beta=1, alpha=1):
    return _plus(ops, input, matmul(ops, a, b), beta, alpha)


@operator("outer", "ger")
def outer(ops, a, b):
    dtype = ops.promote(a, b)
    va, vb = ops.as_value(a, dtype), ops.as_value(b, dtype)
    return ops.fresh(ops.binary("mul", ops.reshape(va, (a.size, 1)), vb), dtype)


@operator("bilinear")
def bilinear(ops, input1, input2, weight, bias=None):
    y = einsum(ops, "...i,oij,...j->...o", [input1, weight, input2])
    return y if bias is None else ops.fresh(ops.binary("add", ops.read(y), ops.read(bias)))


@operator("einsum")
def einsum(ops, equation, tensors, path=None):
    """Pairs of operands are multiplied from the left, each as one product of matrices."""
    left, _, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if "->" not in equation:
        right = "..." * ("." in left) + "".join(sorted(c for c in set(left) if left.count(c) == 1 and c.isalpha()))
    if "." in left:
        terms, right = _spelled(terms, right, tensors)
    dtype = ops.promote(*tensors)
    values = [_diagonal_free(ops, ops.as_value(x, dtype), term) for x, term in zip(tensors, terms)]
    value, have = values[0], terms[0]
    for i, (other, term) in enumerate(zip(values[1:], terms[1:]), 2):
        later = set("".join(terms[i:]) + right)
        value, have = _product(ops, value, have, other, term, later)
    gone = [k for k, c in enumerate(have) if c not in right]
    if gone:
        value = ops.reduce("add", value, gone)
        value = ops.reshape(value, [n for k, n in enumerate(value.array.shape) if k not in gone])
        have = "".join(c for c in have if c in right)
    return ops.fresh(ops.permute(value, [have.index(c) for c in right]), dtype)


def _spelled(terms, right, tensors):
    """Give the dimensions that ``...`` stands for letters of their own."""
    free = [chr(c) for c in range(0x3B1, 0x3B1 + 20)]
    result, most = [], 0
    for term, x in zip(terms, tensors):
        count = x.ndim - len(term.replace("...", ""))
        most = max(most, count if "..." in term else 0)
        result.append(term.replace("...", "".join(free[20 - count:]) if count else ""))
    return result, right.replace("...", "".join(free[20 - most:]) if most else "")


def _diagonal_free(ops, value, term):
    if len(set(term)) != len(term):
        raise UnsupportedError("einsum with a letter twice in one operand is not known here")
    return value


def _product(ops, a, ta, b, tb, later):
    """a and b, summed over the letters that nothing later needs, as one matmul: [both, of a, summed] x [both, summed, of b]."""
    for value_index, (v, t, other) in enumerate(((a, ta, tb), (b, tb, ta))):
        gone = [k for k, c in enumerate(t) if c not in other and c not in later]
        if gone:
            v = ops.reduce("add", v, gone)
            v = ops.reshape(v, [n for k, n in enumerate(v.array.shape) if k not in gone])
            t = "".join(c for c in t if c in other or c in later)
            a, ta, b, tb = (v, t, b, tb) if value_index == 0 else (a, ta, v, t)
    size = {**dict(zip(ta, a.array.shape)), **dict(zip(tb, b.array.shape))}
    both = [c for c in ta if c in tb and c in later]
    summed = [c for c in ta if c in tb and c not in later]
    own_a, own_b = [c for c in ta if c not in tb], [c for c in tb if c not in ta]
    count = lambda letters: math.prod(size[c] for c in letters)  # noqa: E731
    a = ops.permute(a, [ta.index(c) for c in both + own_a + summed])
    b = ops.permute(b, [tb.index(c) for c in both + summed + own_b])
    a = ops.reshape(a, [count(both), count(own_a), count(summed)])
    b = ops.reshape(b, [count(both), count(summed), count(own_b)])
    y = ops.run("matmul", [a, b])
    have = both + own_a + own_b
    return ops.reshape(y, [size[c] for c in have]), "".join(have)


@operator("scaled_dot_product_attention")
def scaled_dot_product_attention(ops, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    if dropout_p or enable_gqa:
        raise UnsupportedError("attention with dropout or grouped heads is not known here")
    q, k, v = (ops.read(x) for x in (query, key, value))
    n = k.array.ndim
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = ops.scaled(ops.run("matmul", [q, ops.permute(k, [*range(n - 2), n - 1, n - 2])]), scale)
    if is_causal:
        rows, columns = scores.array.shape[-2:]
        low = np.where(np.tri(rows, columns, dtype=bool), 0, -np.inf).astype(scores.array.dtype)
        scores = ops.binary("add", scores, Value(low))
    if attn_mask is not None and attn_mask.dtype == 11:
        scores = ops.where(ops.read(attn_mask), scores, Value(np.asarray(-np.inf, scores.array.dtype)))
    elif attn_mask is not None:
        scores = ops.binary("add", scores, ops.read(attn_mask))
    return ops.fresh(ops.run("matmul", [softmax_value(ops, scores, scores.array.ndim - 1), v]), query.dtype)


@operator("cdist")
def cdist(ops, x1, x2, p=2.0, compute_mode=None):
    if p != 2:
        raise UnsupportedError("cdist with p other than 2 is not known here")
    a, b = ops.read(x1), ops.read(x2)
    n = a.array.ndim
    a = ops.reshape(a, (*x1.shape[:-1], 1, x1.shape[-1]))
    b = ops.reshape(b, (*x2.shape[:-2], 1, *x2.shape[-2:]))
    squares = ops.reduce("add", ops.unary("square", ops.binary("sub", a, b)), (n,))
    return ops.fresh(ops.reshape(ops.unary("sqrt", squares), squares.array.shape[:-1]), x1.dtype)


@operator("cosine_similarity")
def cosine_similarity(ops, x1, x2, dim=1, eps=1e-8):
    a, b = ops.read(x1), ops.read(x2)
    axis = axis_of(dim, x1.ndim)
    norm = lambda v: ops.unary("clamp", ops.unary("sqrt", ops.reduce("add", ops.unary("square", v), (axis,))), eps, math.inf)  # noqa: E731
    a, b = ops.binary("div", a, norm(a)), ops.binary("div", b, norm(b))
    return ops.fresh(squeezed(ops, ops.reduce("add", ops.binary("mul", a, b), (axis,)), (axis,), False), x1.dtype)
