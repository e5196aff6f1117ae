"""What a foreign file may cost: sizes, steps, depth, seconds. Every limit that is passed becomes one ``ModelError`` naming it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..errors import ModelError

MIB = 1024 * 1024
CLOCK_STEPS = 512  # steps between two looks at the clock


@dataclass(frozen=True)
class Limits:
    """Budgets for reading and running one archive. The defaults leave a 150 MB RAVE ten times what it needs."""

    file_bytes: int = 2048 * MIB
    entries: int = 50_000
    source_bytes: int = 64 * MIB  # all printed source together
    pickle_bytes: int = 64 * MIB  # data.pkl and constants.pkl together
    unpacked_ratio: float = 20.0  # unpacked against packed size, beyond 64 MiB
    steps: int = 5_000_000  # statements run in one call of a method
    depth: int = 100  # calls within calls
    items: int = 1_000_000  # of one list or text
    made_items: int = 50_000_000  # of all lists and texts made in one call together
    tensor_bytes: int = 1024 * MIB  # of one tensor
    made_bytes: int = 128 * 1024 * MIB  # of all tensors made in one call together, views included
    seconds: float = 20.0  # of computing, in one call


class Budget:
    """What is left of ``Limits`` during one call; ``steps_left`` is counted down by the blocks of the program themselves."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.start()

    def start(self) -> None:
        """A new call: everything is full again."""
        self.steps_left = self.limits.steps
        self.steps_to_clock = CLOCK_STEPS
        self.depth = 0
        self.made_bytes = 0
        self.made_items = 0
        self.end_s = time.process_time() + self.limits.seconds

    def step(self, count: int) -> None:
        """``count`` more statements are about to run."""
        self.steps_to_clock -= count
        if self.steps_to_clock < 0:
            self._look()

    def _look(self) -> None:
        self.steps_left -= CLOCK_STEPS - self.steps_to_clock
        self.steps_to_clock = CLOCK_STEPS
        if self.steps_left < 0:
            raise ModelError(f"the model runs more than {self.limits.steps} statements in one call; it may never end")
        self.clock()

    def clock(self) -> None:
        """The call has taken too long?"""
        if time.process_time() > self.end_s:
            raise ModelError(f"the model needs more than {self.limits.seconds:g} s of computing for one call")

    def items(self, count: int) -> None:
        """A list or text of ``count`` items is about to be made, or was."""
        self.made_items += count
        if count > self.limits.items or self.made_items > self.limits.made_items:
            raise ModelError(f"the model makes a list or text of {count} items (limits: {self.limits.items} in one, "
                             f"{self.limits.made_items} in all those of one call)")

    def tensor(self, size_bytes: int) -> None:
        """A tensor of ``size_bytes`` is about to be made."""
        if size_bytes > self.limits.tensor_bytes:
            raise ModelError(f"the model asks for a tensor of {size_bytes / MIB:.0f} MiB, more than "
                             f"{self.limits.tensor_bytes // MIB}; it was made for another use")
        self.made_bytes += size_bytes
        if self.made_bytes > self.limits.made_bytes:
            raise ModelError(f"the model makes more than {self.limits.made_bytes // MIB} MiB of tensors in one call")
