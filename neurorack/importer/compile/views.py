"""Views on memory of any number of dimensions, brought to the four that an operation of the engine takes."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from neurorack.engine.opset import MAX_DIMS
from neurorack.engine.value import Value, _restride
from neurorack.importer.errors import UnsupportedError

EXACT_INTEGER = 1 << 24     # whole numbers a float32 holds
MOST_PIECES = 256     # calls that one operation of many dimensions may become


def at(value: Value, shape, strides, offset: int = 0) -> Value:
    return replace(value, shape=tuple(shape), strides=tuple(strides), offset=value.offset + offset)


def broadcast(value: Value, shape) -> Value:
    """numpy's broadcasting, by strides of 0."""
    missing = len(shape) - len(value.shape)
    strides = [0] * missing + [0 if n == 1 else s for n, s in zip(value.shape, value.strides)]
    return at(value, shape, strides)


def restrided(value: Value, shape) -> Value | None:
    """The same numbers in another shape on the same memory, or None where that takes a copy."""
    if not shape:
        return at(value, (), ())
    if not value.shape:
        return at(value, shape, (0,) * len(shape))
    strides = _restride(value.shape, value.strides, tuple(shape))
    return None if strides is None else at(value, shape, strides)


def fresh_strides(shape, order) -> tuple[int, ...]:
    """Strides of dense memory whose dimensions lie in ``order``, outermost first."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def order_of(shape, strides) -> tuple[int, ...]:
    """Dimensions by falling stride; those of one element stay before the dimension they are before, or come last."""
    order = sorted((i for i, n in enumerate(shape) if n > 1), key=lambda i: -abs(strides[i]))
    for i in reversed(range(len(shape))):
        if shape[i] == 1:
            after = [place for place, j in enumerate(order) if j > i]
            order.insert(after[0] if after else len(order), i)
    return tuple(order)


def together(values: list[Value]) -> list[list[Value]]:
    """Values of one shape, with as few dimensions as all of them allow; more than once where that is more than four.

    Returns one list of values for each call that is needed.
    """
    shape = values[0].shape
    axes = [i for i, n in enumerate(shape) if n > 1]
    axes.sort(key=lambda i: -abs(values[0].strides[i]))
    dims: list[list] = []      # [count, stride of each value]
    for i in axes:
        steps = [v.strides[i] for v in values]
        if dims and all(outer == step * shape[i] for outer, step in zip(dims[-1][1], steps)):
            dims[-1] = [dims[-1][0] * shape[i], steps]
        else:
            dims.append([shape[i], steps])
    dims = dims or [[1, [1] * len(values)]]
    extra, inner = dims[:-MAX_DIMS], dims[-MAX_DIMS:]
    pieces = prod(n for n, _ in extra)
    if pieces > MOST_PIECES:
        raise UnsupportedError(f"an operation on {len(dims)} dimensions {tuple(n for n, _ in dims)} that do not merge")
    calls = []
    for piece in range(pieces):
        offsets = [0] * len(values)
        for n, steps in reversed(extra):
            piece, place = divmod(piece, n)
            offsets = [o + place * s for o, s in zip(offsets, steps)]
        calls.append([at(v, [n for n, _ in inner], [steps[k] for _, steps in inner], offsets[k]) for k, v in enumerate(values)])
    return calls


def common_shape(one, two) -> tuple[int, ...] | None:
    """The coarsest shape that both shapes can be split into, or None where there is none."""
    sizes, before = [], 1
    for end in sorted(_ends(one) | _ends(two)):
        if end % before:
            return None
        sizes.append(end // before)
        before = end
    return tuple(reversed(sizes))


def _ends(shape) -> set[int]:
    """How many numbers the innermost dimensions hold, one after another."""
    ends, product = set(), 1
    for n in reversed(shape):
        product *= n
        ends.add(product)
    return ends - {1}
