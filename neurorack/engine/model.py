"""Models and their programs: load a file, pick a method and a block length, run it block by block.

>>> model = Model.load("models/impacts.safetensors")          # doctest: +SKIP
>>> program = model.program("decode", block_frames=64)        # doctest: +SKIP
>>> audio = program.run(controls)                             # doctest: +SKIP
"""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from . import generate, listing, native
from .store import Store
from .stored import Stored

FORMAT = 1


@dataclass(frozen=True)
class Method:
    """One method of a model: a row of its input covers ``in_ratio`` audio frames, one of its output ``out_ratio``."""

    name: str
    in_channels: int
    in_ratio: int
    out_channels: int
    out_ratio: int
    blocks: tuple[int, ...]
    delay_frames: int


class Model:
    """A model file: ``card`` (dict), ``methods`` (name to ``Method``), programs on demand.

    Weights are packed once and shared by all programs of the model. Raises ``ModelError`` in one line for anything but a
    whole, valid model of this format.
    """

    def __init__(self, store: Store, seed: int = 0):
        self._store, self.seed = store, seed
        self._pool = None
        self._generated: dict[str, np.ndarray] = {}
        data = self._description()
        self.card: dict = data["card"]
        self.generators: dict = data.get("generators", {})
        self._listings: dict[tuple[str, int], listing.Listing] = {}
        self.methods: dict[str, Method] = {}
        self._parse(data["methods"])

    @classmethod
    def load(cls, path, seed: int = 0) -> Model:
        """``seed`` is added to every seed in the file: other noise of the same kind."""
        return cls(Store(path), seed)

    @property
    def path(self):
        return self._store.path

    def _description(self) -> dict:
        path, text = self.path, self._store.metadata.get("neurorack")
        if text is None:
            raise ModelError(f"{path}: a safetensors file, but not of a model of this instrument")
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise ModelError(f"{path}: its description is not JSON") from None
        version = data.get("format") if isinstance(data, dict) else None
        if version != FORMAT:
            raise ModelError(
                f"{path}: format {str(version)[:20]}; this version reads format {FORMAT}: update the instrument or export again"
            )
        for key in ("card", "methods", "generators"):
            if not isinstance(data.get(key, {} if key == "generators" else None), dict):
                raise ModelError(f"{path}: its description has no {key!r}")
        return data

    def _parse(self, methods: dict) -> None:
        try:
            shapes = {name: generate.shape(spec) for name, spec in self.generators.items()}
            for name, data in methods.items():
                self.methods[name] = self._method(name, data, shapes)
        except ModelError as error:
            raise ModelError(f"{self.path}: {error}") from None
        if not self.methods:
            raise ModelError(f"{self.path}: has no methods")

    def _method(self, name, data, generators) -> Method:
        if not isinstance(data, dict) or not isinstance(data.get("programs"), dict) or not data["programs"]:
            raise ModelError(f"method {name!r} has no programs")
        numbers = [data.get(key) for key in ("in_channels", "in_ratio", "out_channels", "out_ratio")]
        if not all(type(n) is int and 0 < n < 1 << 20 for n in numbers):
            raise ModelError(f"method {name!r} lacks its channels and ratios")
        delays = set()
        for key, program in data["programs"].items():
            try:
                if not key.isascii() or not key.isdigit() or not 0 < int(key) <= 1 << 20:
                    raise ModelError("a block is 1 to 1048576 frames")
                parsed = listing.parse(program, self._store.shapes, generators)
                want = (int(key) // numbers[1], numbers[0]), (int(key) // numbers[3], numbers[2])
                if (parsed.in_shape, parsed.out_shape) != want or int(key) % numbers[1] or int(key) % numbers[3]:
                    raise ModelError(
                        f"input {parsed.in_shape} and output {parsed.out_shape} do not fit the method's {want}"
                    )
            except ModelError as error:
                raise ModelError(f"{name} at {key[:10]} frames: {error}") from None
            for call in parsed.calls:
                if self.seed and "seed" in call.params:
                    call.params["seed"] = (call.params["seed"] + self.seed) & 0xFFFFFFFF
            self._listings[name, int(key)] = parsed
            delays.add(parsed.delay_frames)
        return Method(name, *numbers, tuple(sorted(int(k) for k in data["programs"])), max(delays))

    def listing(self, method: str, block_frames: int) -> listing.Listing:
        """The flat list of one program. Raises ``ModelError`` naming what there is instead."""
        if method not in self.methods:
            raise ModelError(f"{self.path}: no method {method!r}; it has {', '.join(self.methods)}")
        blocks = self.methods[method].blocks
        if block_frames not in blocks:
            raise ModelError(
                f"{self.path}: {method} has no program for blocks of {block_frames} frames; it has {', '.join(map(str, blocks))}"
            )
        return self._listings[method, block_frames]

    def tensor(self, name: str) -> np.ndarray:
        """A tensor of the file as float32, read-only; raises ``ModelError`` where there is none of this name."""
        if name not in self._store.shapes:
            raise ModelError(f"{self.path}: there is no tensor {name!r}")
        return self._store.array(name)

    def stored(self, name: str) -> Stored:
        """A tensor as the file keeps it: its ``dtype``, ``shape``, ``nbytes`` there, ``scale``. Raises ``ModelError`` likewise."""
        if name not in self._store.shapes:
            raise ModelError(f"{self.path}: there is no tensor {name!r}")
        return self._store.stored(name)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all tensors in the file, by name."""
        return self._store.shapes

    def arrays(self, program: listing.Listing, narrow: bool = False) -> dict[int, np.ndarray | Stored]:
        """Buffer number to float32 array, for constants and initial states; with ``narrow``, constants that the file keeps in what
        the kernels compute with (BF16, I8 with scales) as they are."""
        found = {}
        for i, buffer in enumerate(program.buffers):
            if buffer.tensor is not None:
                kept = self._store.stored(buffer.tensor)
                as_it_is = narrow and buffer.kind == "constant" and (kept.dtype == "BF16" or kept.scale is not None)
                found[i] = kept if as_it_is else self._store.array(buffer.tensor)
            elif buffer.generator is not None:
                if buffer.generator not in self._generated:
                    spec = self.generators[buffer.generator]
                    if self.seed and generate.has_seed(spec):
                        spec = {**spec, "seed": (spec.get("seed", 0) + self.seed) & 0xFFFFFFFF}
                    self._generated[buffer.generator] = generate.array(spec)
                found[i] = self._generated[buffer.generator]
        return found

    def program(self, method: str = "decode", block_frames: int = 64) -> Program:
        """A program of its own state, ready to run."""
        program = self.listing(method, block_frames)
        if self._pool is None:
            self._pool = native.Pool()
        try:
            handle = native.load(program, self.arrays(program, narrow=True), self._pool)
        except ModelError as error:
            raise ModelError(f"{self.path}: {method} at {block_frames} frames: {error}") from None
        self._store.release_pages()
        return Program(handle, self._pool, program)

    def reference(self, method: str = "decode", block_frames: int = 64):
        """The same program in plain numpy (slow, and with no compiled code)."""
        from .reference import ReferenceProgram

        program = self.listing(method, block_frames)
        return ReferenceProgram(program, self.arrays(program))

    @property
    def weight_bytes(self) -> int:
        """Memory of the packed weights so far."""
        return native.functions().pool_bytes(self._pool.handle) if self._pool else 0


class Program:
    """One running method. Not for two threads at once.

    ``input`` float32 [in_rows, in_channels] and ``output`` [out_rows, out_channels] are the engine's own memory;
    ``handle`` is the ``nr_program *`` for compiled code (keep the Program alive while it is used).
    """

    def __init__(self, handle: int, pool: native.Pool, program: listing.Listing):
        self._owner = _Handle(handle, pool)
        self.handle, self.delay_frames = handle, program.delay_frames
        self._functions = native.functions()
        self.in_shape, self.out_shape = program.in_shape, program.out_shape
        self.input = _array(self._owner, self._functions.input(handle), self.in_shape)
        self.output = _array(self._owner, self._functions.output(handle), self.out_shape)

    def run(self, x=None) -> np.ndarray:
        """One block. ``x`` [in_rows, in_channels] is copied to the input (else the input stays as it is); the result is a
        copy. Raises ``ValueError`` for another shape."""
        if x is not None:
            if np.shape(x) != self.in_shape:
                raise ValueError(f"a block of {np.shape(x)} was given; this program takes {self.in_shape}")
            self.input[:] = x
        self._functions.run(self.handle)
        return self.output.copy()

    def stream(self, x) -> np.ndarray:
        """A longer signal [n * in_rows, in_channels], block by block."""
        x = np.asarray(x, np.float32)
        if x.ndim != 2 or x.shape[1] != self.in_shape[1] or len(x) % self.in_shape[0]:
            raise ValueError(f"a signal of {x.shape} was given; this program takes whole blocks of {self.in_shape}")
        return np.concatenate([self.run(block) for block in x.reshape(-1, *self.in_shape)])

    def reset(self) -> None:
        """State back to its initial values, input and output to zero."""
        self._functions.reset(self.handle)

    @property
    def memory_bytes(self) -> int:
        """Memory of its own: state, scratch and the ready operations, without the shared weights."""
        return self._functions.bytes(self.handle)


def program_of(program: listing.Listing, weights) -> Program:
    """A program from a builder's listing and ``Weights``, with no file between; its packed weights are its own."""
    arrays = {}
    for i, buffer in enumerate(program.buffers):
        if buffer.tensor is not None:
            arrays[i] = weights.tensors[buffer.tensor]
        elif buffer.generator is not None:
            arrays[i] = generate.array(weights.generators[buffer.generator])
    pool = native.Pool()
    return Program(native.load(program, arrays, pool), pool, program)


class _Handle:
    """The engine's program; freed when neither the Program nor an array on its memory is left."""

    def __init__(self, address: int, pool: native.Pool):
        self.address, self.pool = address, pool

    def __del__(self):
        native.functions().free(self.address)


def _array(owner: _Handle, address: int, shape) -> np.ndarray:
    memory = (ctypes.c_float * (shape[0] * shape[1])).from_address(address)
    memory.owner = owner
    return np.frombuffer(memory, np.float32).reshape(shape)
