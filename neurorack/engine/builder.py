"""Building programs: a function that describes one method is called with each block length and leaves a flat list.

Values are channels-last: rows (time) by channels. Slices, delays and the past of a value are views and cost nothing; a
value whose past is used gets a window with its cache in front and one copy at the end of the program that carries it.

>>> def decode(b):                                      # b: ProgramBuilder                  # doctest: +SKIP
...     x = b.input()                                   # [block_frames / in_ratio, in_channels]
...     h = b.conv1d(x, w1, bias1, act="leaky_relu", a=0.2)
...     b.output(b.linear(h, w2, bias2, act="tanh"))
>>> writer = ModelWriter(card)                                                               # doctest: +SKIP
>>> writer.method("decode", decode, blocks=[64, 128], in_channels=5, in_ratio=64)            # doctest: +SKIP
>>> writer.save("model.safetensors")                                                         # doctest: +SKIP
"""

from __future__ import annotations

import hashlib

import numpy as np

from ..errors import ModelError
from .layers import Layers
from .listing import Buffer, Call, Listing, View, check_access, default_of, dense_strides, reach
from .opset import OPS
from .value import Room, Value


class ProgramBuilder(Layers):
    """Collects the operations of one method at one block length. See ``Layers`` for what it offers beyond the basics.

    ``weights`` is shared by all programs of a model: arrays are stored once, by content.
    """

    def __init__(
        self,
        weights: Weights,
        block_frames: int,
        in_channels: int,
        in_ratio: int = 1,
        out_channels: int = 1,
        out_ratio: int = 1,
    ):
        for name, ratio in (("in_ratio", in_ratio), ("out_ratio", out_ratio)):
            if block_frames % ratio:
                raise ModelError(f"a block of {block_frames} frames is no multiple of {name} {ratio}")
        self.weights, self.block_frames = weights, block_frames
        self.in_shape = (block_frames // in_ratio, in_channels)
        self.out_shape = (block_frames // out_ratio, out_channels)
        self.out_ratio = out_ratio
        self.rooms: list[Room] = []
        self.calls: list[tuple[str, list[Value | None], dict]] = []
        self.result: Value | None = None
        self._input = self.new(*self.in_shape, kind="input")
        self._constants: dict[str, Value] = {}
        self._seeds = 0

    # values

    def new(
        self,
        *shape: int,
        kind: str = "scratch",
        tensor: str | None = None,
        generator: str | None = None,
        delay: int = 0,
    ) -> Value:
        """A fresh value of a shape (the first axis is time)."""
        room = Room(len(self.rooms), kind, tuple(shape), tensor, generator)
        self.rooms.append(room)
        return Value(self, room, 0, tuple(shape), dense_strides(shape), delay)

    def input(self) -> Value:
        """The method's input, [block_frames / in_ratio, in_channels]."""
        return self._input

    def constant(self, array, name: str | None = None) -> Value:
        """A constant of the array's shape, stored once however often it is used. uint32 is kept as it is, in a float's place."""
        array = _floats(array)
        key = self.weights.add(array, name)
        if key not in self._constants:
            self._constants[key] = self.new(*(array.shape or (1,)), kind="constant", tensor=key)
        return self._constants[key].reshape(array.shape or (1,))

    def generated(self, **spec) -> Value:
        """A constant made at load, e.g. ``generated(kind="erb_noise_bands", bands=64, length=16384, sample_rate=48000)``."""
        key, shape = self.weights.generate(spec)
        if key not in self._constants:
            self._constants[key] = self.new(*shape, kind="constant", generator=key)
        return self._constants[key]

    def state(self, *shape: int, initial=None) -> Value:
        """Memory that lasts from run to run, zero or ``initial`` (array of the shape) after a reset."""
        if initial is None:
            return self.new(*shape, kind="state")
        return self.new(*shape, kind="state", tensor=self.weights.add(_floats(initial).reshape(shape)))

    def value(self, x) -> Value:
        """``x`` itself, or a constant of a number or array."""
        return x if isinstance(x, Value) else self.constant(x)

    def call(self, op: str, inputs, outputs, **params) -> None:
        """Append an operation as ``opset.OPS`` defines it; missing operands are None."""
        spec = OPS[op]
        views = [
            *inputs,
            *[None] * (len(spec.inputs) - len(inputs)),
            *outputs,
            *[None] * (len(spec.outputs) - len(outputs)),
        ]
        for name, view in zip(spec.operands, views):
            if view is None and "?" not in name:
                raise ModelError(f"{op} lacks {name}")
        unknown = set(params) - set(spec.ints) - set(spec.floats)
        if unknown:
            raise ModelError(f"{op} has no parameter {sorted(unknown)[0]!r}")
        self.calls.append((op, views, {k: params.get(k, default_of(spec, k)) for k in (*spec.ints, *spec.floats)}))

    def output(self, value: Value) -> None:
        """Name the method's result, [block_frames / out_ratio, out_channels]."""
        if value.shape != self.out_shape:
            raise ModelError(f"the result is {value.shape}, the method's output {self.out_shape}")
        self.result = value

    # the finished list

    def listing(self) -> Listing:
        """The flat list; the builder is used up."""
        if self.result is None:
            raise ModelError("the method names no output")
        self._place_output()
        for room in self.rooms:
            if room.head_rows and room.kind == "scratch":
                room.kind = "state"
        for room in [r for r in self.rooms if r.head_rows]:
            head = Value(self, room, -room.head, (room.head_rows, room.row), (room.row, 1), 0)
            tail = head.moved(room.shape[0] * room.row)
            self.calls.append(("unary", [tail, head], {"fn": "copy", "a": 0.0, "b": 0.0}))
        used = sorted(
            {v.room.index for _, views, _ in self.calls for v in views if v is not None}
            | {r.index for r in self.rooms if r.kind in ("input", "output")}
        )
        number = {index: i for i, index in enumerate(used)}
        buffers = [Buffer(r.kind, r.size, r.tensor, r.generator) for r in (self.rooms[i] for i in used)]
        calls = [
            Call(
                op,
                [v and View(number[v.room.index], v.offset + v.room.head, v.shape, v.strides) for v in views],
                params,
            )
            for op, views, params in self.calls
        ]
        for i, call in enumerate(calls):
            check_access(OPS[call.op], call.views, buffers, f"operation {i} ({call.op})")
            for view in call.views:
                if view is not None and (reach(view)[0] < 0 or reach(view)[1] >= buffers[view.buffer].size):
                    raise ModelError(f"operation {i} ({call.op}) reaches outside its buffer")
        return Listing(self.in_shape, self.out_shape, buffers, calls, self.result.delay * self.out_ratio)

    def _place_output(self) -> None:
        """The result's own memory becomes the output where that is possible, else it is copied there."""
        value, room = self.result, self.result.room
        if room.kind == "scratch" and not room.head_rows and value.is_whole:
            room.kind = "output"
        else:
            out = self.new(*self.out_shape, kind="output")
            self.call("unary", [value], [out], fn="copy")


class Weights:
    """The tensors and generated constants of a model, each stored once."""

    def __init__(self):
        self.tensors: dict[str, np.ndarray] = {}
        self.generators: dict[str, dict] = {}
        self._by_content: dict[tuple, str] = {}

    def add(self, array: np.ndarray, name: str | None = None) -> str:
        """The name under which the array is stored; ``name`` is a wish."""
        array = np.ascontiguousarray(array, np.float32)
        content = (array.shape, hashlib.blake2b(array.data, digest_size=16).digest())
        if content not in self._by_content:
            name = name or f"t{len(self.tensors)}"
            while name in self.tensors:
                name += "_"
            self.tensors[name] = array
            self._by_content[content] = name
        return self._by_content[content]

    def generate(self, spec: dict) -> tuple[str, tuple[int, ...]]:
        from . import generate

        for name, known in self.generators.items():
            if known == spec:
                return name, generate.shape(spec)
        name = f"g{len(self.generators)}"
        self.generators[name] = dict(spec)
        return name, generate.shape(spec)


def _floats(array) -> np.ndarray:
    array = np.asarray(array)
    return array.view(np.float32) if array.dtype == np.uint32 else array.astype(np.float32, copy=False)
