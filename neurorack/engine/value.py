"""Values of a program being built: views on memory that is laid out when the list is finished."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import ModelError
from .listing import dense_strides


@dataclass
class Room:
    """Memory of a value: its rows, and in front of them ``head_rows`` of its past once somebody asks for it."""

    index: int
    kind: str
    shape: tuple[int, ...]
    tensor: str | None = None
    generator: str | None = None
    head_rows: int = 0

    @property
    def row(self) -> int:
        return dense_strides(self.shape)[0]

    @property
    def head(self) -> int:
        return self.head_rows * self.row

    @property
    def size(self) -> int:
        return self.shape[0] * self.row + self.head


@dataclass(frozen=True, eq=False)
class Value:
    """Numbers of shape ``shape`` in a program; ``delay`` in rows of its own rate. Arithmetic makes new values."""

    builder: object
    room: Room
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    delay: int = 0

    @property
    def rows(self) -> int:
        return self.shape[0]

    @property
    def channels(self) -> int:
        return self.shape[1]

    @property
    def is_whole(self) -> bool:
        """All of its memory, in order."""
        return self.offset == 0 and self.strides == dense_strides(self.shape) and \
            self.shape[0] * self.strides[0] == self.room.shape[0] * self.room.row

    def moved(self, offset: int) -> Value:
        return replace(self, offset=self.offset + offset)

    def __getitem__(self, key) -> Value:
        """Slices (with steps, also negative ones), whole numbers (the axis goes) and None (a new axis of 1)."""
        keys = list(key if isinstance(key, tuple) else (key,))
        offset, shape, strides, axis = self.offset, [], [], 0
        for k in keys:
            if k is None:
                shape.append(1)
                strides.append(0)
                continue
            n, s = self.shape[axis], self.strides[axis]
            axis += 1
            if isinstance(k, slice):
                start, stop, step = k.indices(n)
                count = len(range(start, stop, step))
                if not count:
                    raise ModelError(f"slice {k} of {self.shape} is empty")
                offset += start * s
                shape.append(count)
                strides.append(s * step)
            else:
                offset += range(n)[k] * s
        return replace(self, offset=offset, shape=(*shape, *self.shape[axis:]), strides=(*strides, *self.strides[axis:]))

    def transposed(self, *axes: int) -> Value:
        axes = axes or tuple(reversed(range(len(self.shape))))
        return replace(self, shape=tuple(self.shape[a] for a in axes), strides=tuple(self.strides[a] for a in axes))

    def reshape(self, *shape) -> Value:
        """Another shape of the same numbers; copied first if its memory has gaps or another order."""
        shape = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        size = dense_strides(self.shape)[0] * self.shape[0] if self.shape else 1
        known = 1
        for n in shape:
            known *= n if n != -1 else 1
        shape = tuple(size // known if n == -1 else n for n in shape)
        if dense_strides(shape)[0] * shape[0] != size:
            raise ModelError(f"{self.shape} cannot become {shape}")
        strides = _restride(self.shape, self.strides, shape)
        if strides is None:
            return self.builder.copy(self).reshape(shape)
        return replace(self, shape=shape, strides=strides)

    def expand(self, *shape: int) -> Value:
        """Axes of 1 repeated to a shape, without a copy."""
        strides = tuple(0 if n == 1 and m != 1 else s for n, s, m in zip(self.shape, self.strides, shape))
        if len(shape) != len(self.shape) or any(n not in (1, m) for n, m in zip(self.shape, shape)):
            raise ModelError(f"{self.shape} cannot be repeated to {tuple(shape)}")
        return replace(self, shape=tuple(shape), strides=strides)

    def past(self, rows: int) -> Value:
        """The value with its last ``rows`` rows of the runs before in front, [rows + own rows, …]."""
        if not rows:
            return self
        value = self
        rooted = self.strides[0] == self.room.row and self.shape[0] == self.room.shape[0] and 0 <= self.offset < max(self.room.row, 1)
        if self.room.kind not in ("scratch",) or not rooted:
            value = self.builder.kept_copy(self)
        value.room.head_rows = max(value.room.head_rows, rows)
        return replace(value, offset=value.offset - rows * value.strides[0], shape=(rows + value.shape[0], *value.shape[1:]))

    def delayed(self, rows: int) -> Value:
        """The value ``rows`` rows late."""
        return replace(self.past(rows)[:self.shape[0]], delay=self.delay + rows) if rows else self

    def __add__(self, other): return self.builder.binary("add", self, other)
    def __radd__(self, other): return self.builder.binary("add", other, self)
    def __sub__(self, other): return self.builder.binary("sub", self, other)
    def __rsub__(self, other): return self.builder.binary("sub", other, self)
    def __mul__(self, other): return self.builder.binary("mul", self, other)
    def __rmul__(self, other): return self.builder.binary("mul", other, self)
    def __truediv__(self, other): return self.builder.binary("div", self, other)
    def __rtruediv__(self, other): return self.builder.binary("div", other, self)
    def __pow__(self, other): return self.builder.binary("pow", self, other)
    def __neg__(self): return self.builder.unary("neg", self)


def _restride(old_shape, old_strides, shape):
    """Strides of ``shape`` on the same memory, or None where a copy is needed."""
    runs = []  # [numbers, stride] of maximal runs of memory
    for n, s in zip(old_shape, old_strides):
        if n == 1:
            continue
        if runs and runs[-1][1] == s * n:
            runs[-1] = [runs[-1][0] * n, s]
        else:
            runs.append([n, s])
    strides = [0] * len(shape)
    axis = len(shape) - 1
    for count, stride in reversed(runs):
        while count > 1:
            if axis < 0 or count % shape[axis]:
                return None
            strides[axis] = stride
            stride *= shape[axis]
            count //= shape[axis]
            axis -= 1
    return tuple(s if n > 1 else dense_strides(shape)[i] for i, (n, s) in enumerate(zip(shape, strides)))
