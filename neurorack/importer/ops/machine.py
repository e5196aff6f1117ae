"""Runs operators on numpy at once and, with a recorder, writes them down as the pure operations of a trace."""

from __future__ import annotations

import math

import numpy as np

from ...errors import ModelError
from ..errors import UnsupportedError
from ..tensors import (BFLOAT16, BOOL, COMPLEX, COMPLEX_DOUBLE, DOUBLE, FLOAT, FLOATS, HALF, HELD, INT64, INTEGERS, KIND, Random,
                       Storage, Tensor, Value, held, strides_of)
from ..trace import DTYPES
from .layout import strides_of_result
from .operators import ELEMENTWISE, OPERATORS
from .values import Values


class Ops(Values):
    """The engine under an interpreter: ``call`` runs an operator of torch.

    ``recorder`` (see ``graph.Recorder``) is None for plain interpretation. ``random`` draws the random numbers.
    ``version`` is the format of the archive (before 4, division of integers truncates).
    """

    def __init__(self, recorder=None, random=None, version: int = 10):
        self.recorder, self.random, self.version = recorder, random or Random(), version
        self.storages: dict[int, Storage] = {}  # of the archive's tensors, by the address of the memory they came from
        self._kept: list = []
        self.random_calls = 0

    # what an interpreter needs

    def call(self, name: str, args=(), kwargs=None):
        """Run ``torch.name(*args, **kwargs)``. Raises ``UnsupportedError`` for an operator or form that is not known."""
        kwargs = dict(kwargs) if kwargs else {}
        out = kwargs.pop("out", None)
        function = OPERATORS.get(name)
        try:
            if function is not None:
                result = function(self, *args, **kwargs)
                if name in ELEMENTWISE and type(result) is Tensor and result.chain == ():
                    result = self._laid_out(result, [x for x in args if type(x) is Tensor])
            elif name.endswith("_") and name[:-1] in OPERATORS and args and isinstance(args[0], Tensor):
                result = self.store(args[0], OPERATORS[name[:-1]](self, *args, **kwargs))
            else:
                raise UnsupportedError(f"the operator {name} is not known here; export the model without it")
        except ModelError:
            raise
        except (TypeError, AttributeError, IndexError, ValueError, OverflowError, KeyError) as error:
            raise UnsupportedError(f"the operator {name} can't be used this way here ({str(error)[:160]})") from error
        if isinstance(out, Tensor):
            return self.store(out, result)
        return result

    def truth(self, x) -> bool:
        """A tensor as a condition."""
        return bool(self.number(x)) if isinstance(x, Tensor) else bool(x)

    def number(self, x):
        """The one number of a tensor, as Python's. Raises ``UnsupportedError`` where a recording would depend on it."""
        if not isinstance(x, Tensor):
            return x
        if x.size != 1:
            raise UnsupportedError(f"a tensor of {x.size} elements is used as one number")
        numbers = self.known(x, "a number is read from a tensor").reshape(-1).tolist()
        return complex(*numbers) if x.complex else numbers[0]

    def known(self, x: Tensor, what: str) -> np.ndarray:
        """The array of a tensor that does not depend on input, state or chance."""
        value = self.read(x)
        if value.node is not None:
            raise UnsupportedError(f"{what} that depends on the input, a state or chance; the model can't be written down as a list")
        return value.array

    def tensor(self, array: np.ndarray, state_name: str | None = None) -> Tensor:
        """A parameter or buffer of the archive; arrays over the same memory become tensors of one storage."""
        root = array
        while isinstance(getattr(root, "base", None), np.ndarray) or hasattr(getattr(root, "base", None), "__array_interface__"):
            root = root.base
        root = root if isinstance(root, np.ndarray) else np.asarray(root)
        address = root.__array_interface__["data"][0]
        storage = self.storages.get(address) if array.size else None
        whole = array.size == root.size and array.flags.c_contiguous
        if storage is None:
            base = array if whole else root.reshape(-1)
            storage = Storage(Value(held(base)[0]), state_name)
            if array.size:
                self.storages[address] = storage
                self._kept.append(root)
        strides = tuple(s // array.itemsize for s in array.strides)
        offset = (array.__array_interface__["data"][0] - address) // array.itemsize
        return self.over(storage, array.shape, strides, offset, held(array[:0] if array.ndim else array)[1])

    def over(self, storage: Storage, shape, strides, offset, dtype) -> Tensor:
        """A tensor of that shape, strides and offset over a storage, as a chain of simple views where there is one."""
        flat = storage.value.array.shape[:-1] if dtype in (COMPLEX, COMPLEX_DOUBLE) else storage.value.array.shape
        count, size = math.prod(flat), math.prod(shape)
        shape, strides = tuple(int(n) for n in shape), tuple(int(s) for s in strides)
        base = Tensor(storage, flat, strides_of(flat), 0, dtype)
        if shape == flat and (offset == 0 and (base.strides == strides or size <= 1)):
            return base
        line = self.view(base, "reshape", (count,), (1,), 0)
        order = sorted(range(len(shape)), key=lambda i: (-strides[i], -shape[i]))
        dense = tuple(shape[i] for i in order)
        if size and all(n == 1 or s == strides[i] for n, s, i in zip(dense, strides_of(dense), order)) and offset + size <= count:
            part = self.slice_view(line, [(offset, offset + size, 1)])
            tidy = self.view(part, "reshape", dense, strides_of(dense), offset)
            back = tuple(order.index(i) for i in range(len(shape)))
            return self.view(tidy, "permute", shape, strides, offset, order=back)
        places = np.full(shape, offset, np.int64)
        for axis, stride in enumerate(strides):
            places += (np.arange(shape[axis]) * stride).reshape((-1,) + (1,) * (len(shape) - axis - 1))
        if size and not 0 <= places.min() <= places.max() < count:
            raise UnsupportedError(f"as_strided reaches outside its storage of {count} elements")
        if dtype in (COMPLEX, COMPLEX_DOUBLE):
            raise UnsupportedError("as_strided of complex numbers is not known here")
        return Tensor(storage, shape, strides, offset, dtype, (("reshape", {"shape": (count,)}), ("gather", {"places": places})))

    # tensors

    def fresh(self, value: Value, dtype: int | None = None) -> Tensor:
        """A new tensor with a storage of its own."""
        dtype = {"f32": FLOAT, "f64": DOUBLE, "i64": INT64, "bool": BOOL}[KIND[value.array.dtype]] if dtype is None else dtype
        shape = value.array.shape[:-1] if dtype in (COMPLEX, COMPLEX_DOUBLE) else value.array.shape
        return Tensor(Storage(value), shape, strides_of(shape), 0, dtype, (), value)

    def _laid_out(self, result: Tensor, operands: list[Tensor]) -> Tensor:
        """A fresh result in the order in memory that torch gives it: a storage in that order, seen through a permutation."""
        if result.ndim < 2 or result in operands or all(x.contiguous() for x in operands):
            return result
        strides = strides_of_result(result.shape, operands)
        order = sorted(range(result.ndim), key=lambda i: (-strides[i], i))
        if order == list(range(result.ndim)):
            return result
        pair = [result.ndim] * result.complex
        value = self.read(result)
        back = tuple(order.index(i) for i in range(result.ndim)) + tuple(pair)
        stored = Storage(self.permute(value, order + pair))
        return Tensor(stored, result.shape, strides, 0, result.dtype, (("permute", {"order": back}),), value)

    def read(self, x: Tensor) -> Value:
        """The present value of a tensor; complex numbers as pairs in a last dimension."""
        if x.version != x.storage.version:
            value = x.storage.value
            for op, params in x.chain:
                value = self._seen(value, op, params)
            x.value, x.version = value, x.storage.version
        return x.value

    def write(self, x: Tensor, value: Value) -> Tensor:
        """Put ``value``, of the type held and of a shape that spreads to x's, in the place of what ``x`` shows."""
        shape = x.shape + (2,) * x.complex
        value = self.expand(self.cast(value, HELD[x.dtype]), shape)
        x.storage.value = self._put(x.storage.value, x.chain, value)
        x.storage.version += 1
        x.value, x.version = value, x.storage.version
        return x

    def store(self, x: Tensor, result) -> Tensor:
        """In-place form of an operator: x takes the values of its result."""
        if not isinstance(result, Tensor):
            raise UnsupportedError("an in-place operator gave no tensor")
        if result.complex and not x.complex:
            raise UnsupportedError("complex numbers are written into real ones")
        return self.write(x, self.as_value(result, x.dtype))

    def view(self, x: Tensor, op: str, shape, strides, offset=None, dtype=None, **params) -> Tensor:
        """Another view of the storage of x: one of reshape, permute, slice, expand, or none (``op`` empty) for another type."""
        dtype = x.dtype if dtype is None else dtype
        shape = tuple(shape)
        pair = (2,) * (dtype in (COMPLEX, COMPLEX_DOUBLE))
        if op in ("reshape", "expand"):
            params = {"shape": shape + pair}
        elif op == "permute" and pair:
            params = {"order": tuple(params["order"]) + (len(shape),)}
        elif op == "slice" and x.complex:
            params = {"start": params["start"] + (0,), "stop": params["stop"] + (2,), "step": params["step"] + (1,)}
        value = self.read(x)
        chain = x.chain
        idle = not op or op != "slice" and params.get("shape") == value.array.shape or (
            op == "permute" and params["order"] == tuple(range(len(params["order"]))))
        if not idle:
            value, chain = self._seen(value, op, params), chain + ((op, params),)
        return Tensor(x.storage, shape, tuple(strides), x.offset if offset is None else offset, dtype, chain, value)

    def slice_view(self, x: Tensor, parts) -> Tensor:
        """A view by (start, stop, step) for each dimension; 0 <= start, stop <= size, step > 0."""
        shape = tuple(max(0, -(-(b - a) // c)) for a, b, c in parts)
        if shape == x.shape:
            return self.view(x, "", x.shape, x.strides)
        offset = x.offset + sum(a * s for (a, _, _), s in zip(parts, x.strides))
        start, stop, step = (tuple(int(p[i]) for p in parts) for i in range(3))
        return self.view(x, "slice", shape, tuple(s * c for s, (_, _, c) in zip(x.strides, parts)), offset,
                         start=start, stop=stop, step=step)

    def _seen(self, value, op, params):
        if op == "gather":
            return self.run("gather", [value, Value(params["places"])])
        if op in ("reshape", "expand"):
            return self.run(op, [value], params["shape"])
        return self.run(op, [value], **params)

    def _put(self, base: Value, chain, value: Value) -> Value:
        if not chain:
            return value
        op, params = chain[0]
        inner = self._put(self._seen(base, op, params), chain[1:], value) if len(chain) > 1 else value
        if op == "slice":
            return self.run("assign", [base, inner], **params)
        if op == "permute":
            return self.permute(inner, [params["order"].index(i) for i in range(len(params["order"]))])
        if op == "reshape":
            return self.reshape(inner, base.array.shape)
        raise UnsupportedError("an overlapping view is written to")

    # arguments

    def as_value(self, x, dtype: int) -> Value:
        """A tensor or number as the numbers that a tensor of type ``dtype`` holds."""
        kind, pair = HELD[dtype], dtype in (COMPLEX, COMPLEX_DOUBLE)
        if not isinstance(x, Tensor):
            if isinstance(x, complex) or pair:
                x = [complex(x).real, complex(x).imag]
            elif kind == "i64" and isinstance(x, float):
                x = int(x)
            return Value(np.asarray(x, DTYPES[kind]))
        value = self.cast(self.read(x), kind)
        if pair and not x.complex:
            zero = Value(np.zeros(x.shape + (1,), DTYPES[kind]))
            return self.cat([self.reshape(value, x.shape + (1,)), zero], len(x.shape))
        return value

    def promote(self, *args) -> int:
        """Type of a result as torch finds it: of tensors with dimensions, then of those without, then of numbers."""
        best = [None, None, None]
        for x in args:
            if isinstance(x, Tensor):
                place, dtype = (0 if x.shape else 1), x.dtype
                if dtype in (HALF, BFLOAT16):
                    raise UnsupportedError("arithmetic in half precision is not known here; export the model with float32")
            else:
                place = 2
                dtype = BOOL if isinstance(x, bool) else INT64 if isinstance(x, int) else COMPLEX if isinstance(x, complex) else FLOAT
            best[place] = dtype if best[place] is None else _joined(best[place], dtype)
        result = None
        for dtype in best:
            if dtype is None:
                continue
            if result is None:
                result = dtype
            elif _category(dtype) > _category(result):
                result = dtype if result != DOUBLE or dtype != COMPLEX else COMPLEX_DOUBLE
        return result

    def floating(self, x) -> tuple[Value, int]:
        """Argument of a function that gives real numbers: its value and type, integers as float32."""
        dtype = self.promote(x)
        dtype = dtype if dtype in FLOATS else FLOAT
        return self.as_value(x, dtype), dtype

    def draw(self, shape, kind: str) -> Value:
        """The next random call of this block."""
        shape, call = tuple(int(n) for n in shape), self.random_calls
        self.random_calls += 1
        if math.prod(shape) > self.most_elements:
            raise UnsupportedError(f"{math.prod(shape)} random numbers at once; at most {self.most_elements} are allowed")
        array = np.asarray((self.random.uniform if kind == "uniform" else self.random.normal)(shape, call), np.float32)
        node = None if self.recorder is None else self.recorder.leaf("random", {"kind": kind, "stream": call}, shape, "f32")
        return Value(array, node)


def _category(dtype: int) -> int:
    return 0 if dtype == BOOL else 1 if dtype in INTEGERS else 2 if dtype in FLOATS else 3


def _joined(a: int, b: int) -> int:
    if a == b:
        return a
    if _category(a) != _category(b):
        low, high = sorted((a, b), key=_category)
        return COMPLEX_DOUBLE if high == COMPLEX and low == DOUBLE else high
    if _category(a) == 1:
        return INT64 if 0 in (a, b) and 1 in (a, b) else max(a, b)
    return max(a, b, FLOAT)
