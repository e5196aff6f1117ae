"""Inside the fence: plays a TorchScript file with torch. The only code of the instrument, beside lab/, that imports torch."""

from __future__ import annotations

import copy
import os
import re
import resource
import time
import warnings

import numpy as np

from neurorack.engine.reference import _random
from neurorack.errors import ModelError
from neurorack.importer import channel
from neurorack.importer.trace import random_stream

PRIME_BLOCKS = 4
MOST_TO_PRIME, MOST_TO_OPTIMISE = 1.0, 0.25      # seconds: of all priming blocks, of one block worth optimising


def play(talk, path: str, method: str, block_frames: int | None, attributes: dict, seed: int, ends: list[int]) -> None:
    """Load, prime, say "ready", then answer blocks for ever."""
    warnings.filterwarnings("ignore")
    began = time.monotonic()
    player = Player(path, method, block_frames, attributes, seed)
    os.ftruncate(ends[0], channel.size(player.in_shape, player.out_shape))
    line = channel.Channel(channel.Ends(*ends, -1), player.in_shape, player.out_shape)
    player.prime()
    talk.send(ready={**player.described, "in_shape": player.in_shape, "out_shape": player.out_shape, "optimised": player.optimised,
                     "load_seconds": round(time.monotonic() - began, 3),
                     "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024})

    def do(order: int, number: int) -> tuple[int, str]:
        try:
            if order == channel.RUN:
                return player.run(line.input, line.output)
            player.reset(pinned=order == channel.PIN)
            return channel.DONE, ""
        except Exception as error:      # foreign code may raise anything
            return channel.FAILED, last_line(error)

    line.serve(do)


class Player:
    """One method of a loaded file. Raises ``ModelError`` for what is no nn~ model."""

    def __init__(self, path: str, method: str, block_frames: int | None, attributes: dict, seed: int):
        import torch

        self.torch, self.seed, self.optimised, self.pinned = torch, seed, False, None
        self.path, self.attributes, self.method = path, attributes, method
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        self._load()
        methods = declared(self.untouched)
        if method not in methods:
            raise ModelError(f"it has no method {method!r} with four whole numbers in {method}_params; it has {', '.join(methods) or 'none'}")
        in_channels, in_ratio, out_channels, out_ratio = methods[method]
        block_frames = block_frames or max(max(m[1], m[3]) for m in methods.values())
        if block_frames % in_ratio or block_frames % out_ratio:
            raise ModelError(f"a block of {block_frames} frames is no multiple of its ratios, {in_ratio} and {out_ratio}")
        self.in_shape, self.out_shape = (block_frames // in_ratio, in_channels), (block_frames // out_ratio, out_channels)
        self.described = {"methods": methods, "block_frames": block_frames, "sample_rate_hz": sample_rate(self.untouched)}

    def _load(self) -> None:
        try:
            loaded = self.torch.jit.load(self.path, map_location="cpu").eval()
        except Exception as error:
            raise ModelError(f"torch cannot load it: {last_line(error)}") from None
        for name, values in self.attributes.items():
            values = values if isinstance(values, (list, tuple)) else [values]
            if getattr(loaded, f"set_{name}")(*values) not in (0, None):
                raise ModelError(f"its attribute {name!r} does not take {values}")
        clear(self.torch, loaded)
        self.untouched = loaded

    def reset(self, pinned: bool = False) -> None:
        """A copy of the loaded state; the compiled code, being the class's, stays warm."""
        self.model = copy.deepcopy(self.untouched)
        self.call = getattr(self.model, self.method)
        self.torch.manual_seed(self.seed)
        if pinned:
            self.pinned = self.pinned or Pinned(self.torch)
            self.pinned.restart(self.seed)

    def run(self, x: np.ndarray, y: np.ndarray) -> tuple[int, str]:
        """One block: x [rows, channels] to y. Returns a status of the channel and, for a failure, a text."""
        torch = self.torch
        if self.pinned:
            self.pinned.next_block()
        with torch.inference_mode(), torch.jit.optimized_execution(self.optimised):
            made = self.call(torch.from_numpy(np.ascontiguousarray(x.T))[None])
        want = (1, self.out_shape[1], self.out_shape[0])
        if not isinstance(made, torch.Tensor):
            return channel.WRONG_SHAPE, f"it gives a {type(made).__name__} instead of a tensor"
        if tuple(made.shape) != want:
            return channel.WRONG_SHAPE, f"it gives {list(made.shape)} numbers for a block instead of {list(want)}"
        y[:] = made[0].to(torch.float32).numpy().T
        return channel.DONE, ""

    def prime(self) -> None:
        """Run until it is quick, plainly and with optimised execution; what is faster plays."""
        plain = self._primed(optimised=False)
        if plain < MOST_TO_OPTIMISE and self._primed(optimised=True) > 0.9 * plain:
            self.optimised = False
            self._load()                 # code once optimised stays so; this is new
            self._primed(optimised=False)
        self.reset()

    def _primed(self, optimised: bool) -> float:
        """Seconds for a block, once it is quick."""
        self.optimised, random, times = optimised, np.random.default_rng(1), []
        self.reset()
        while len(times) < PRIME_BLOCKS or len(times) < 2 * PRIME_BLOCKS and sum(times) < MOST_TO_PRIME:
            began = time.thread_time()
            try:
                status, text = self.run(random.standard_normal(self.in_shape).astype(np.float32), np.empty(self.out_shape, np.float32))
            except MemoryError:
                raise
            except Exception as error:
                raise ModelError(f"its call {len(times) + 1} fails: {last_line(error)}") from None
            if status != channel.DONE:
                raise ModelError(text)
            times.append(time.thread_time() - began)
        return min(times[-PRIME_BLOCKS:])


class Pinned:
    """Random numbers of the engine's streams instead of torch's, so that a lifted model and its file can be compared number by number."""

    def __init__(self, torch):
        self.torch, self.streams, self.call = torch, {}, 0
        self.library = torch.library.Library("aten", "IMPL")
        self.library.impl("normal_", lambda x, mean=0.0, std=1.0, generator=None: self.fill(x, True, std, mean), "CPU")
        self.library.impl("uniform_", lambda x, a=0.0, b=1.0, generator=None: self.fill(x, False, b - a, a), "CPU")

    def restart(self, seed: int) -> None:
        self.seed, self.streams = seed, {}

    def next_block(self) -> None:
        self.call = 0

    def fill(self, x, normal: bool, scale: float, offset: float):
        counter = self.streams.setdefault(self.call, np.zeros(2, np.float32))
        numbers = np.empty(tuple(x.shape), np.float32)
        _random({"seed": random_stream(self.seed, self.call), "normal": normal}, counter, numbers)
        self.call += 1
        return x.copy_(self.torch.from_numpy(numbers * scale + offset))


def declared(model) -> dict[str, list[int]]:
    """Method -> [in_channels, in_ratio, out_channels, out_ratio], as nn~ finds them."""
    try:
        names = list(model.get_methods())
    except Exception:
        names = [name for name in model._c._method_names()]
    found = {}
    for name in names:
        params = getattr(model, f"{name}_params", None)
        try:
            numbers = [int(n) for n in params.flatten()[:4]]
        except (AttributeError, TypeError, ValueError, RuntimeError):
            continue
        if len(numbers) == 4 and all(0 < n < 1 << 17 for n in numbers) and hasattr(model, name):
            found[name] = numbers
    return found


def sample_rate(model) -> int | None:
    """From any of its places; None where it does not say."""
    for name in ("get_sample_rate", "sampling_rate", "sr", "sample_rate"):
        try:
            value = getattr(model, name)
            rate = int(value() if callable(value) else value)
        except Exception:
            continue
        if rate > 0:
            return rate
    return None


def clear(torch, model) -> None:
    """Caches a file was saved with may hold anything; what is not a number there would stay for ever."""
    with torch.no_grad():
        for buffer in model.buffers():
            if buffer.is_floating_point() and not torch.isfinite(buffer).all():
                buffer.zero_()


def last_line(error: BaseException) -> str:
    """TorchScript's errors are pages long; what was wrong is in their last line."""
    if found := re.search(r"allocate (\d+) bytes", str(error)):
        return f"it asks for {int(found[1]) / 1e9:.1f} GB of memory at once"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    return last.removeprefix("builtins.").removeprefix("RuntimeError: ").split(". ")[0][:200]
