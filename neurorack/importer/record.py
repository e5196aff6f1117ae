"""From an archive to traces: runs a method on recorded tensors until everything that lasts from block to block is known.

>>> trace = record(open_archive("percussion.ts"), "decode", 2048, in_channels=8, in_ratio=2048)      # doctest: +SKIP
"""

from __future__ import annotations

import numpy as np

from ..errors import ModelError
from .errors import UnsupportedError
from .interpret import Interpreter
from .limits import Limits
from .ops.graph import Recorder, same, tidy
from .ops.machine import Ops
from .tensors import KIND, Random, Storage, Tensor, Value
from .trace import Trace

WARM_CALLS = 3
PATIENT_CALLS = 12  # more of them where that was not enough
ROUNDS = 12  # recordings until all states are known
COUNTED_CALLS = 64  # that must be alike where the model counts its calls
FAR_CALLS = 997, 1_000_003  # and so many calls later


class Interpreted:
    """A method run by interpretation, the reference: ``run`` takes [rows, in_channels] and gives [out_rows, out_channels].

    ``random`` draws the random numbers (``tensors.Random`` of ``seed`` by default). State is kept from block to block.
    """

    def __init__(self, archive, method: str, block_frames: int, *, in_channels: int, in_ratio: int, attributes=None, seed: int = 0,
                 random=None, limits: Limits = Limits()):
        if block_frames % in_ratio:
            raise ModelError(f"a block of {block_frames} frames; it must be a multiple of {in_ratio}")
        self.archive, self.method, self.attributes, self.limits = archive, method, attributes or {}, limits
        self.in_shape = (block_frames // in_ratio, in_channels)
        self.random = random or Random(seed)
        self.reset()

    def reset(self) -> None:
        """Back to the state of the file, with the attributes set."""
        self.random.reset()
        self.ops = Ops(random=self.random, version=self.archive.version)
        self.interpreter = Interpreter(self.archive, self.ops, self.limits)
        for name, value in self.attributes.items():
            self.interpreter.set_attribute(name, *(value if isinstance(value, (list, tuple)) else [value]))
        for storage in self.ops.storages.values():
            storage.value = Value(_without_nan(storage.value.array))
            storage.version += 1
            storage.start = storage.value

    def run(self, x) -> np.ndarray:
        x = np.asarray(x, np.float32)
        if x.shape != self.in_shape:
            raise ValueError(f"a block of {x.shape} was given; {self.method} takes {self.in_shape}")
        return np.array(self.block(Value(np.ascontiguousarray(x.T)[None])).array[0].T, np.float32)

    def block(self, x: Value) -> Value:
        """One call with [1, channels, rows]; the result as it comes."""
        self.ops.random_calls = 0
        y = self.interpreter.call(self.method, self.ops.fresh(x))
        if not isinstance(y, Tensor) or y.complex:
            raise UnsupportedError(f"{self.method} does not give one tensor of real numbers")
        value = self.ops.cast(self.ops.read(y), "f32")
        if value.array.ndim != 3 or value.array.shape[0] != 1:
            raise ModelError(f"{self.method} gives {list(value.array.shape)} for one block; [1, channels, rows] is expected")
        return value

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the object tree by its path."""
        return {path: value for path, value in self.interpreter.state().items() if isinstance(value, Tensor)}


def record(archive, method: str, block_frames: int, *, in_channels: int, in_ratio: int, attributes=None, seed: int = 0,
           limits: Limits = Limits(), shelf: dict | None = None) -> Trace:
    """The trace of a method at one block length. Traces that are given the same ``shelf`` share their large constants.

    Raises ``UnsupportedError`` where operations are unknown or depend on data, ``ModelError`` where the model itself fails.
    """
    source = Interpreted(archive, method, block_frames, in_channels=in_channels, in_ratio=in_ratio, attributes=attributes, seed=seed,
                         limits=limits)
    return _Recording(source, block_frames, seed, {} if shelf is None else shelf).trace()


class _Recording:
    def __init__(self, source: Interpreted, block_frames: int, seed: int, shelf: dict):
        self.shelf = shelf
        self.source, self.ops, self.block_frames, self.seed = source, source.ops, block_frames, seed
        self.noise = np.random.default_rng(1)
        self.first = {path: self.ops.read(tensor).array for path, tensor in source.tensors().items()}
        self.of_file = set(self.ops.storages.values())
        self.states: set[str] = set()  # storages that are written and attributes that are bound anew, by path
        self.still: set[str] = set()  # those written with what they hold already, which is not what they held at first

    def trace(self) -> Trace:
        try:
            trace = self._after(WARM_CALLS)
        except UnsupportedError:  # some take longer until every call is like the one before
            self.states, self.still = set(), set()
            trace = self._after(PATIENT_CALLS)
        counts = self.source.interpreter.numbers()
        self._agree(trace)
        self._look_ahead(trace, counts)
        return trace

    def _after(self, calls: int) -> Trace:
        for _ in range(calls):
            self.source.block(Value(self._input()))
        trace = self._settled()
        late = self.still - self.states
        if late:  # what the first calls moved and later ones leave where it is may still be a state: its start counts
            before = set(self.states)
            try:
                self.states |= late
                trace = self._settled()
            except UnsupportedError:
                self.states = before
                trace = self._settled()
        return trace

    def _settled(self) -> Trace:
        """Records until no more states come to light."""
        for _ in range(ROUNDS):
            trace, more = self._recorded()
            if not more:
                return trace
            self.states |= more
        raise UnsupportedError(f"{self.source.method} keeps changing other attributes from call to call")

    def _agree(self, trace: Trace) -> None:
        difference = same(trace, self._recorded()[0])
        if difference:
            raise UnsupportedError(f"{self.source.method} does not do the same in every call ({difference})")

    def _look_ahead(self, trace: Trace, counts: dict) -> None:
        """Whether a model that counts its calls in a plain number does the same in the next calls and far ahead."""
        if self.source.interpreter.numbers() == counts:
            return
        for calls in (*(0,) * COUNTED_CALLS, *FAR_CALLS):
            before = self.source.interpreter.numbers()
            self._agree(trace)
            self.source.interpreter.advance(before, calls)
        self._agree(trace)

    def _input(self) -> np.ndarray:
        rows, channels = self.source.in_shape
        return self.noise.standard_normal((1, channels, rows)).astype(np.float32)

    def _recorded(self) -> tuple[Trace, set[str]]:
        """One recorded call, and what turned out to be a state though it was taken for constant."""
        recorder = Recorder(self.shelf)
        before = self.source.tensors()
        stored: dict[Storage, str] = {}  # storages by the first path that leads to them
        for path, tensor in before.items():
            if path in self.states and tensor.chain and tensor.storage not in self.of_file:
                tensor.storage, tensor.chain, tensor.version = Storage(self.ops.read(tensor), path), (), -1
            stored.setdefault(tensor.storage, path)
        for storage in self.ops.storages.values():
            if storage.name not in before:  # constants of the program; what is bound anew has left its storage behind
                stored.setdefault(storage, storage.name)
        leaves = {}
        for storage, path in stored.items():
            storage.value = Value(storage.value.array)
            if path in self.states:
                leaves[path] = recorder.leaf("state", {"name": path, "value": self._start(storage, path)},
                                             storage.value.array.shape, KIND[storage.value.array.dtype])
                storage.value = Value(storage.value.array, leaves[path])
            storage.version += 1
        known = {storage: storage.value for storage in stored}
        homes = {path: tensor.storage for path, tensor in before.items()}
        x = Value(self._input())
        x.node = recorder.leaf("input", {"index": 0}, x.array.shape, "f32")
        self.ops.recorder = recorder
        try:
            held = {path: self.ops.read(tensor) for path, tensor in before.items()}
            y = self.source.block(x)
            after = self.source.tensors()
            now = {path: self.ops.read(tensor) for path, tensor in after.items()}
        finally:
            self.ops.recorder = None
            values = {storage: storage.value for storage in stored}
            self._forget(stored)
        more, following = set(), {}
        for storage, path in stored.items():
            value = values[storage]
            if path in leaves:
                following[leaves[path]] = recorder.constant(value.array) if value.node is None else value.node
            else:
                self._note(path, known[storage], value, self._start(storage, path), more)
        for path, tensor in after.items():
            if homes.get(path) is tensor.storage:
                continue
            if path not in held or held[path].array.shape != now[path].array.shape:
                raise UnsupportedError(f"the tensor {path} has another shape after every call")
            if path in leaves and stored[homes[path]] == path:
                following[leaves[path]] = recorder.constant(now[path].array) if now[path].node is None else now[path].node
            else:
                self._note(path, held[path], now[path], self.first.get(path), more)
        output = recorder.constant(y.array) if y.node is None else y.node
        trace = Trace(self.source.method, self.block_frames, recorder.nodes, [x.node], [output], following, self.seed)
        return tidy(trace, self.shelf), more

    def _forget(self, stored) -> None:
        """Nodes belong to one recording only."""
        for storage in {*stored, *(tensor.storage for tensor in self.source.tensors().values())}:
            storage.value = Value(storage.value.array)
            storage.version += 1

    def _note(self, path: str, before: Value, after: Value, first: np.ndarray | None, more: set[str]) -> None:
        """What was taken for constant and written: is it a state?"""
        if after is before:
            return
        if after.node is not None or not _equal(before.array, after.array):
            more.add(path)
        elif not _equal(after.array, first):
            self.still.add(path)

    def _start(self, storage: Storage, path: str) -> np.ndarray:
        """A state's value before the first block."""
        array = storage.start.array if storage in self.of_file else self.first.get(path)
        if array is None or array.shape != storage.value.array.shape:
            return np.zeros_like(storage.value.array)
        return _without_nan(array)


def _equal(a: np.ndarray, b: np.ndarray | None) -> bool:
    return b is not None and np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f")


def _without_nan(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f" and np.isnan(array.sum()) and np.isnan(array).any():
        return np.where(np.isnan(array), 0, array).astype(array.dtype)
    return array
