"""What a run says: a line every few seconds, control figures now and then, all of it kept as JSON lines beside it."""

import json
import time

import numpy as np

LINE_SECONDS = 5.0
FIGURES_PARTS = 20          # control figures as often in a run
LEAST_SECONDS = 20.0        # between two of them, and between two previews
LOG = "log.jsonl"


def clock(seconds):
    """A time span in words: 45 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """Collects losses of steps and tells them; only the first process of a team tells."""

    def __init__(self, trainer, log, line_seconds=LINE_SECONDS):
        self.trainer, self.log, self.line_seconds = trainer, log, line_seconds
        self.recent, self.told_at, self.told_step = [], time.monotonic(), trainer.step
        self.done = {}

    def note(self, losses):
        """The losses of one step, a dictionary of floats; tells them when it is time."""
        self.recent.append(losses)
        if time.monotonic() - self.told_at >= self.line_seconds:
            self.tell()

    def due(self, what, part, parts):
        """Is it time for `what`, wanted `parts` times in a run and not too often? part: of the run that is over."""
        number, now = int(part * parts), time.monotonic()
        before, at = self.done.setdefault(what, (number, now))
        if part < 1 and (number <= before or now - at < LEAST_SECONDS):
            return False
        self.done[what] = (number, now)
        return True

    def tell(self):
        """The mean losses since the last line, the pace and the time left."""
        trainer, now = self.trainer, time.monotonic()
        if not self.recent:
            return
        losses = {key: float(np.mean([row[key] for row in self.recent if key in row])) for row in self.recent[-1:] for key in row}
        pace = (trainer.step - self.told_step) / max(1e-6, now - self.told_at)
        left = trainer.budget.left(trainer.step, trainer.seconds)
        words = ", ".join(f"{key} {value:.3f}" for key, value in losses.items())
        self.log(f"step {trainer.step}: {words}; {pace:.1f} steps/s, {clock(left)} left")
        self.keep({"losses": {key: round(value, 5) for key, value in losses.items()}, "steps_per_second": round(pace, 3)})
        self.recent, self.told_at, self.told_step = [], now, trainer.step

    def figures(self, control):
        """Control figures on held-out clips: {descriptor: Spearman}."""
        self.log(f"step {self.trainer.step}: control " + ", ".join(f"{name} {value:.2f}" for name, value in control.items())
                 + " (random curves on held-out clips)")
        self.keep({"control": control})

    def keep(self, row):
        """One line of the run's log."""
        row = {"step": self.trainer.step, "seconds": round(self.trainer.seconds, 2)} | row
        with open(self.trainer.folder / LOG, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
