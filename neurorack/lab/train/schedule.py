"""How long a run is, and its learning rate: by steps, or by minutes of training whatever the machine's speed."""

import math
from dataclasses import dataclass

WARM_STEPS, WARM_PART = 100, 0.02
LAST_SHARE = 0.01


@dataclass(frozen=True)
class Budget:
    """steps or minutes (one is None) of training in all. Elapsed time is kept in the checkpoint, so it survives stops."""

    steps: int | None = None
    minutes: float | None = None

    @classmethod
    def of(cls, settings):
        """The budget of a recipe's `train` section."""
        return cls(settings.get("steps"), settings.get("minutes"))

    def part(self, step, seconds):
        """Which part of the run is over, 0 to 1, after `step` steps and `seconds` of training."""
        return min(1.0, step / self.steps if self.steps else seconds / (60 * self.minutes))

    def left(self, step, seconds):
        """Seconds still to go, as far as can be told; None before the first step."""
        if not self.steps:
            return max(0.0, 60 * self.minutes - seconds)
        return seconds / step * max(0, self.steps - step) if step else None

    def __str__(self):
        return f"{self.steps} steps" if self.steps else f"{self.minutes:g} minutes"


def rate_factor(part, step):
    """Learning rate over the recipe's: a warm-up of 100 steps or 2 % of a short run, constant to the middle, then a cosine down to 1 %."""
    fall = 1.0 if part < 0.5 else LAST_SHARE + (1 - LAST_SHARE) * (0.5 + 0.5 * math.cos(math.pi * (part - 0.5) / 0.5))
    return min(1.0, max((step + 1) / WARM_STEPS, part / WARM_PART)) * fall
