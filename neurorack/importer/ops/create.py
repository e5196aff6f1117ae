"""Operators that make tensors, tell about them, or change their type; random numbers."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UnsupportedError
from ..tensors import BOOL, COMPLEXES, FLOAT, HELD, INT64, Tensor, Value
from ..trace import DTYPES
from .arguments import whole
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
_window("kaiser_window", lambda turn, beta=12.0: np.i0(beta * np.sqrt(np.maximum(1 - (turn / np.pi - 1) ** 2, 0))) / np.i0(beta))
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
