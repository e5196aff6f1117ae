"""Fourier transforms, as products with matrices of sines and cosines."""

from __future__ import annotations

import functools

import numpy as np

from ..errors import UnsupportedError
from ..tensors import COMPLEX, DOUBLE, FLOAT, Tensor, Value
from . import joins, products, sampling, views
from .arguments import axis_of
from .table import operator

MOST_POINTS = 8192  # of a transform: its matrix would be too large


@functools.lru_cache(maxsize=16)
def _matrix(kind: str, n: int, scale: float) -> np.ndarray:
    """[n, 2 bins] for "real", [2 bins, n] for "back", [2 n, 2 n] for "forward" and "inverse"; parts of a bin side by side."""
    if n > MOST_POINTS or kind in ("forward", "inverse") and n > MOST_POINTS // 2:
        raise UnsupportedError(f"a Fourier transform of {n} points is not followed here (at most {MOST_POINTS})")
    bins = n // 2 + 1 if kind in ("real", "back") else n
    turn = (np.arange(n)[:, None] * np.arange(bins)[None] % n) * (2 * np.pi / n)
    cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
    if kind == "real":
        return np.stack([cos, -sin], 2).reshape(n, 2 * bins).astype(np.float32)
    if kind == "back":
        weight = np.where((np.arange(bins) == 0) | (2 * np.arange(bins) == n), 1.0, 2.0)
        quiet = np.where((np.arange(bins) == 0) | (2 * np.arange(bins) == n), 0.0, -2.0)
        return np.stack([cos * weight, sin * quiet], 2).reshape(n, 2 * bins).T.astype(np.float32)
    sin = sin if kind == "inverse" else -sin
    whole = np.empty((n, 2, n, 2))
    whole[:, 0, :, 0], whole[:, 0, :, 1], whole[:, 1, :, 0], whole[:, 1, :, 1] = cos, sin, -sin, cos
    return whole.reshape(2 * n, 2 * n).astype(np.float32)


def _scale(norm, n: int, forward: bool) -> float:
    if norm == "ortho":
        return n ** -0.5
    return 1.0 if forward == (norm in (None, "backward")) else 1.0 / n


def _fitted(ops, value: Value, axis: int, n: int) -> Value:
    """Cropped, or filled with zeros, to n."""
    have, dims = value.array.shape[axis], value.array.ndim
    if have > n:
        return ops.cut(value, axis, 0, n)
    return ops.pad(value, (0,) * dims, tuple(n - have if i == axis else 0 for i in range(dims)), 0)


def _moved(ops, x: Tensor, dim: int):
    """The dimension as the last one; and the way back."""
    axis = axis_of(dim, x.ndim)
    return views.movedim(ops, x, axis, -1), lambda y: views.movedim(ops, y, -1, axis)


def _single(x: Tensor) -> None:
    if x.dtype in (DOUBLE, 10):
        raise UnsupportedError("Fourier transforms in double precision are not known here")


@operator("fft_rfft")
def fft_rfft(ops, x, n=None, dim=-1, norm=None):
    _single(x)
    x, back = _moved(ops, x, dim)
    n = x.shape[-1] if n is None else n
    value = _fitted(ops, ops.as_value(x, FLOAT), x.ndim - 1, n)
    y = ops.run("matmul", [value, Value(_matrix("real", n, _scale(norm, n, True)))])
    return back(ops.fresh(ops.reshape(y, (*x.shape[:-1], n // 2 + 1, 2)), COMPLEX))


@operator("fft_irfft")
def fft_irfft(ops, x, n=None, dim=-1, norm=None):
    _single(x)
    x, back = _moved(ops, x, dim)
    n = 2 * (x.shape[-1] - 1) if n is None else n
    value = _fitted(ops, ops.as_value(x, COMPLEX), x.ndim - 1, n // 2 + 1)
    value = ops.reshape(value, (*x.shape[:-1], 2 * (n // 2 + 1)))
    return back(ops.fresh(ops.run("matmul", [value, Value(_matrix("back", n, _scale(norm, n, False)))])))


def _full(kind):
    def run(ops, x, n=None, dim=-1, norm=None):
        _single(x)
        x, back = _moved(ops, x, dim)
        n = x.shape[-1] if n is None else n
        value = _fitted(ops, ops.as_value(x, COMPLEX), x.ndim - 1, n)
        value = ops.reshape(value, (*x.shape[:-1], 2 * n))
        y = ops.run("matmul", [value, Value(_matrix(kind, n, _scale(norm, n, kind == "forward")))])
        return back(ops.fresh(ops.reshape(y, (*x.shape[:-1], n, 2)), COMPLEX))

    return run


operator("fft_fft")(_full("forward"))
operator("fft_ifft")(_full("inverse"))


@operator("fft_rfftfreq")
def fft_rfftfreq(ops, n, d=1.0, **options):
    return ops.fresh(Value(np.fft.rfftfreq(n, d).astype(np.float32)))


@operator("fft_fftfreq")
def fft_fftfreq(ops, n, d=1.0, **options):
    return ops.fresh(Value(np.fft.fftfreq(n, d).astype(np.float32)))


@operator("fft_fftshift")
def fft_fftshift(ops, x, dim=None):
    dims = list(range(x.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return joins.roll(ops, x, [x.shape[d] // 2 for d in dims], dims)


@operator("fft_ifftshift")
def fft_ifftshift(ops, x, dim=None):
    dims = list(range(x.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return joins.roll(ops, x, [-(x.shape[d] // 2) for d in dims], dims)


def _window(ops, window, length: int, n_fft: int) -> np.ndarray:
    """The window, in the middle of n_fft."""
    known = np.ones(length) if window is None else ops.known(window, "a window").astype(float)
    left = (n_fft - length) // 2
    return np.pad(known, (left, n_fft - length - left))


def _bins(n_fft: int, onesided: bool) -> int:
    return n_fft // 2 + 1 if onesided else n_fft


def _basis(n_fft: int, bins: int, window: np.ndarray, sign: float) -> np.ndarray:
    """Windowed cosines and sines, [2 bins, n_fft], parts of a bin side by side."""
    turn = (np.arange(bins)[:, None] * np.arange(n_fft)[None] % n_fft) * (2 * np.pi / n_fft)
    return np.stack([np.cos(turn) * window, sign * np.sin(turn) * window], 1).reshape(2 * bins, n_fft)


@operator("stft")
def stft(ops, input, n_fft, hop_length=None, win_length=None, window=None, *rest, center=False, pad_mode="reflect",
         normalized=False, onesided=None, return_complex=None, align_to_window=None):
    """One convolution: hops are its stride, windowed sines and cosines its kernels."""
    if len(rest) > 1 and isinstance(rest[1], str):  # the form that pads by itself
        (center, pad_mode), rest = rest[:2], rest[2:]
    normalized, onesided, return_complex = [*rest, *(normalized, onesided, return_complex)[len(rest):]][:3]
    if input.complex or n_fft > MOST_POINTS:
        raise UnsupportedError(f"stft of {n_fft} points is not followed here")
    hop, length = hop_length or n_fft // 4, win_length or n_fft
    x = input if input.ndim == 2 else views.unsqueeze(ops, input, 0)
    x = views.unsqueeze(ops, x, 1)
    if center:
        x = sampling.pad(ops, x, [n_fft // 2, n_fft // 2], pad_mode)
    bins = _bins(n_fft, onesided is not False)
    basis = _basis(n_fft, bins, _window(ops, window, length, n_fft), -1.0) * (n_fft ** -0.5 if normalized else 1.0)
    y = products.conv1d_value(ops, ops.read(x), Value(basis[:, None].astype(np.float32)), None, hop, (0, 0), 1, 1)
    n, _, frames = y.array.shape
    y = ops.permute(ops.reshape(y, (n, bins, 2, frames)), (0, 1, 3, 2))
    result = ops.fresh(y, COMPLEX)
    result = result if input.ndim == 2 else views.squeeze(ops, result, 0)
    return result if return_complex else views.view_as_real(ops, result)


@operator("istft")
def istft(ops, input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, onesided=None,
          length=None, return_complex=False):
    """One transposed convolution, divided by the sum of the squared windows."""
    if return_complex or not input.complex or n_fft > MOST_POINTS:
        raise UnsupportedError(f"istft of {n_fft} points in this form is not known here")
    hop, width = hop_length or n_fft // 4, win_length or n_fft
    x = input if input.ndim == 3 else views.unsqueeze(ops, input, 0)
    n, bins, frames = x.shape
    shape = _window(ops, window, width, n_fft)
    weights = np.where((np.arange(bins) == 0) | (2 * np.arange(bins) == n_fft), 1.0, 2.0 if bins < n_fft else 1.0)
    basis = _basis(n_fft, bins, shape, -1.0) * np.repeat(weights, 2)[:, None] / (n_fft ** 0.5 if normalized else n_fft)
    value = ops.reshape(ops.permute(ops.read(x), (0, 1, 3, 2)), (n, 2 * bins, frames))
    whole = (frames - 1) * hop + n_fft
    y = ops.run("conv_transpose1d", [value, Value(basis[:, None].astype(np.float32))], (n, 1, whole), stride=hop, padding=(0, 0),
                output_padding=0, dilation=1, groups=1)
    envelope = np.zeros(whole)
    for k in range(frames):
        envelope[k * hop:k * hop + n_fft] += shape ** 2
    start = n_fft // 2 if center else 0
    end = whole - start if length is None else min(start + length, whole)
    part = ops.cut(y, 2, start, end)
    part = ops.binary("div", part, Value(np.maximum(envelope[start:end], 1e-11).astype(np.float32)))
    if length is not None and end - start < length:
        part = ops.pad(part, (0, 0, 0), (0, 0, length - (end - start)), 0)
    part = ops.reshape(part, (n, part.array.shape[2]))
    return ops.fresh(part if input.ndim == 3 else ops.reshape(part, part.array.shape[1:]))
