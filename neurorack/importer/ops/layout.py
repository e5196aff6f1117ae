"""In which order torch would lay a new tensor out in memory: later reshapes are views of it or copies accordingly."""

from __future__ import annotations

from ..tensors import Tensor


def strides_of_result(shape: tuple[int, ...], operands: list[Tensor]) -> tuple[int, ...]:
    """Strides of what a function of each number gives for these operands, as torch's TensorIterator finds them.

    Dimensions are sorted by the operands' strides, the first operand that tells two of them apart decides.
    """
    ndim = len(shape)
    known = []
    for x in operands:
        lead = ndim - x.ndim
        known.append([0 if i < lead or x.shape[i - lead] == 1 != shape[i] else x.strides[i - lead] for i in range(ndim)])

    def wrong(a: int, b: int) -> int:
        for strides in known:
            if not strides[a] or not strides[b]:
                continue
            if strides[a] != strides[b]:
                return -1 if strides[a] < strides[b] else 1
            if shape[a] > shape[b]:
                return 1
        return 0

    order = list(reversed(range(ndim)))  # the fastest first
    for i in range(1, ndim):
        place = i
        for j in reversed(range(i)):
            found = wrong(order[j], order[place])
            if found > 0:
                order[j], order[place] = order[place], order[j]
                place = j
            elif found < 0:
                break
    strides, count = [0] * ndim, 1
    for axis in order:
        strides[axis] = count
        count *= max(shape[axis], 1)
    return tuple(strides)
