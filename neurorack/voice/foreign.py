"""Foreign decoders in the voice: whatever runs a block and is no program of the engine.

Such a decoder has ``in_shape`` and ``out_shape`` (rows, channels), ``run(x) -> y`` and ``reset()``, as ``engine.Program``
has; ``run`` may answer None when its block is late. It is called from compiled code, in the render thread, and may wait:
the voice keeps the sound whole when nothing comes (``stage.h``), but blocks are made once and never taken back.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_float, c_int, c_uint32, c_void_p

import numpy as np

from neurorack.errors import ModelError

_Function = ctypes.CFUNCTYPE(c_int, POINTER(c_float), POINTER(c_float))


class StageSpec(ctypes.Structure):
    _fields_ = [("program", c_void_p), ("function", _Function), ("in_rows", c_uint32), ("in_channels", c_uint32),
                ("out_rows", c_uint32), ("out_channels", c_uint32)]


class ForeignModel:
    """What a ``Voice`` needs of a model, for decoders made elsewhere.

    Args:
        path: of the file, for messages and for what is kept beside it.
        card: as a model's card (``voice/card.py``).
        methods: name -> ``engine.model.Method``.
        make: ``make(method, block_frames)`` -> a decoder of its own state.
    """

    def __init__(self, path, card: dict, methods: dict, make, seed: int = 0):
        self.path, self.card, self.methods, self.make, self.seed = path, card, methods, make, seed

    def program(self, method: str = "decode", block_frames: int = 64):
        if method not in self.methods or block_frames not in self.methods[method].blocks:
            raise ModelError(f"{self.path}: has no {method} for blocks of {block_frames} frames")
        return self.make(method, block_frames)

    def tensor(self, name: str):
        raise ModelError(f"{self.path}: there is no tensor {name!r}")


class Stage:
    """A program, of the engine or foreign, as the compiled voice calls it; keep it alive as long as the voice."""

    def __init__(self, program):
        self.program, self.errors, self.last_error = program, 0, None
        self.spec = StageSpec()
        if program is None:
            return
        if hasattr(program, "handle"):
            self.spec.program = program.handle
            return
        self._in_shape, self._out_shape = tuple(program.in_shape), tuple(program.out_shape)
        self.spec.in_rows, self.spec.in_channels = self._in_shape
        self.spec.out_rows, self.spec.out_channels = self._out_shape
        self.spec.function = _Function(self._run)

    def _run(self, from_address, to_address) -> int:
        """No exception may pass through compiled code: one counts as a block that did not come."""
        try:
            y = self.program.run(np.ctypeslib.as_array(from_address, self._in_shape))
            if y is None:
                return 0
            np.ctypeslib.as_array(to_address, self._out_shape)[:] = y
            return 1
        except Exception as error:      # noqa: BLE001 - a decoder that nobody here has written
            self.errors, self.last_error = self.errors + 1, error
            return 0
