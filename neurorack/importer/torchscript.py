"""The fallback: a TorchScript file played by torch, in a warm worker process behind a fence.

>>> with TorchScript("model.ts", method="decode", block_frames=2048) as player:      # doctest: +SKIP
...     y = player.run(x)       # [out_rows, out_channels], or None: player.cause says why   # doctest: +SKIP

For files that cannot be lifted, where torch is installed. Foreign code runs only in the worker: it can read its own file and
Python's, write nothing, reach nobody. The caller never waits longer than it wants: a late or dead worker gives None.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import time

import numpy as np

from neurorack.errors import ModelError
from neurorack.importer import channel
from neurorack.importer.fence import Fence, FenceError, Limits

START_SECONDS = 20.0                      # for loading and priming; more for a large file
START_WALL = 5                            # so many times of it by the wall, for a worker that gives way to everything
MEMORY_MB, MEMORY_PER_FILE = 2048, 6      # torch maps about a gigabyte of itself
NEVER_SECONDS = 10_000_000                # a worker that plays may compute for ever
_ADD_SEALS, _SEAL_ALL = 1033, 0b111       # size and seals of the shared memory stand


def why_not() -> str | None:
    """Why TorchScript cannot be played here; None where it can."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed here: install it (pip install torch), or use a model that can be lifted"
    return None


class TorchScript:
    """A method of a ``.ts`` file, playing.

    Args:
        path: the file.
        method: decode, encode, forward, prior ...
        block_frames: a multiple of the method's ratios; None: the largest ratio of any of its methods.
        attributes: name -> values for its setter.
        seed: of torch's random numbers.
        patience_seconds: how long ``run`` waits for a block at most; None: as long as the block lasts at 48 kHz.
        low_priority: for checking; a worker that is heard runs like everything else.
        cpu_seconds: computing time it may use up in all.

    ``in_shape`` and ``out_shape`` are (rows, channels); ``described`` is what the file says of itself; ``layers`` are those of its fence.
    Raises ``ModelError`` where torch is missing, or the file is none that can be played.
    """

    def __init__(self, path, *, method: str = "decode", block_frames: int | None = None, attributes: dict | None = None, seed: int = 0,
                 patience_seconds: float | None = None, low_priority: bool = False, cpu_seconds: int = NEVER_SECONDS):
        if why := why_not():
            raise ModelError(f"{path}: {why}")
        self.path, self.cause = os.path.abspath(path), None
        self._arguments = {"path": self.path, "method": method, "block_frames": block_frames, "attributes": attributes or {}, "seed": seed}
        megabytes = os.path.getsize(path) // (1 << 20)
        memory_mb, self.start_seconds = MEMORY_MB + MEMORY_PER_FILE * megabytes, START_SECONDS + megabytes / 4
        self._fence = Fence(read=[self.path], write=None, low_priority=low_priority,
                            limits=Limits(memory_mb=memory_mb, cpu_seconds=cpu_seconds, file_mb=64))
        self._patience_seconds, self._child, self._ends, self.channel = patience_seconds, None, (), None
        self._start()

    def _start(self) -> None:
        self._ends = channel.make_ends()
        try:
            self._child = self._fence.start("neurorack.importer.torchworker:play", {**self._arguments, "ends": list(self._ends)}, self._ends)
            self.described = self._ready()
            self.in_shape, self.out_shape = tuple(self.described["in_shape"]), tuple(self.described["out_shape"])
            fcntl.fcntl(self._ends[0], _ADD_SEALS, _SEAL_ALL)
            if os.fstat(self._ends[0]).st_size != channel.size(self.in_shape, self.out_shape):
                raise FenceError("its worker's memory has another size than it says")
            self.channel = channel.Channel(channel.Ends(*self._ends, self._child.line), self.in_shape, self.out_shape)
        except BaseException as error:
            self.close()
            if isinstance(error, ModelError):
                raise type(error)(f"{self.path}: {error}") from None
            raise
        self.block_frames = self.described["block_frames"]
        self.patience_seconds = self._patience_seconds or self.block_frames / 48000

    def _ready(self) -> dict:
        clock = channel.computing_clock(self._child.pid) if self._fence.low_priority else time.monotonic
        began, deadline = clock(), time.monotonic() + START_WALL * self.start_seconds
        while clock() - began < self.start_seconds and time.monotonic() < deadline:
            message = self._child.message(channel.LOOK_MS / 1000)
            if message and "ready" in message:
                return message["ready"]
        raise FenceError(f"its first blocks did not come within {self.start_seconds:.0f} s: it may never end")

    def settings(self, block_frames: int) -> dict:
        """Arguments for another worker like this one, at another block."""
        told = {name: value for name, value in self._arguments.items() if name != "path"}
        return {**told, "block_frames": block_frames, "low_priority": self._fence.low_priority, "cpu_seconds": self._fence.limits.cpu_seconds}

    @property
    def layers(self) -> dict[str, str]:
        """Layers of the fence around the worker."""
        return self._child.layers

    @property
    def pid(self) -> int:
        """Of the worker."""
        return self._child.pid

    @property
    def cpu_ns(self) -> int:
        """Computing time of the last block, in the worker."""
        return self.channel.cpu_ns

    def run(self, x: np.ndarray, timeout_seconds: float | None = None) -> np.ndarray | None:
        """One block [in_rows, in_channels] -> [out_rows, out_channels]; None where there is none in time: ``cause`` says why.

        While the worker is still busy with a block that came late, new ones are not given to it: they are None as well.
        """
        if np.shape(x) != self.in_shape:
            raise ValueError(f"a block of {np.shape(x)} was given; this program takes {self.in_shape}")
        return self.channel.output.copy() if self._order(channel.RUN, x, timeout_seconds) else None

    def reset(self, pinned: bool = False) -> bool:
        """State as loaded. ``pinned``: from now on random numbers are the engine's, for comparing. False: see ``cause``."""
        return self._order(channel.PIN if pinned else channel.RESET, None, self.start_seconds)

    def _order(self, order: int, block, timeout_seconds: float | None) -> bool:
        self.cause = self.channel.order(order, block, self.patience_seconds if timeout_seconds is None else timeout_seconds)
        if self.cause == channel.DEAD:
            self.cause = f"{channel.DEAD}: {self._child.why_it_went()}"
        return self.cause is None

    def restart(self) -> None:
        """A new worker in the old one's place; takes as long as loading. Raises ``ModelError``."""
        self.close()
        self.cause = None
        self._start()

    def close(self) -> None:
        """End the worker."""
        if self._child:
            self._child.kill()
        for end in self._ends:
            os.close(end)
        self._ends, self.channel = (), None      # its memory goes with the last block that looks at it

    def __enter__(self) -> TorchScript:
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    def __del__(self):
        if getattr(self, "_ends", ()):
            self.close()
