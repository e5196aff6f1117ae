"""Small helps to read arguments."""

from __future__ import annotations

from ..tensors import Tensor


def axis_of(dim: int, ndim: int) -> int:
    """A dimension counted from the front. Raises ``ValueError`` outside."""
    n = max(ndim, 1)
    if not -n <= dim < n:
        raise ValueError(f"dimension {dim} of a tensor of {ndim}")
    return dim % n


def axes_of(dims, ndim: int) -> tuple[int, ...]:
    """Dimensions to fold: a number, a list, or None or an empty list for all."""
    if dims is None or dims == []:
        return tuple(range(ndim))
    return tuple(axis_of(d, ndim) for d in ([dims] if isinstance(dims, int) else dims)) if ndim else ()


def pair(value, count: int = 1) -> tuple[int, ...]:
    """A number or list of ``count`` numbers as a tuple of that many."""
    value = [value] if isinstance(value, (int, float)) else list(value)
    return tuple(int(v) for v in (value * count if len(value) == 1 else value))


def whole(x, ops) -> int:
    """A size or place that may come as a tensor."""
    return int(ops.number(x) if isinstance(x, Tensor) else x)
