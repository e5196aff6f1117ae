"""Why sound was missing: the supervisor's look at what the callback and the synths counted.

Every underrun gets one cause of ``table.CAUSES``, from what else was counted at the time: *died* while the slot had no
process; *stall* when the callback itself came late or the machine kept the render thread from running; *slow* when
blocks took longer than they last; *throttled* when they did so while the processor was held back; *swap* when nothing
else explains it and a swap was going on.
"""

from __future__ import annotations

import time
from pathlib import Path

from neurorack.shm import table

MEMORY_SECONDS = 0.5          # what happened so long ago may explain an underrun
DEATH_SECONDS = 0.2           # a killed process is seen to be dead only so much later
THROTTLE_LOOK_SECONDS = 0.5
SLOWER = 1.2                  # the same work took so much longer than at its best
SLOW_CLOCK = 0.8              # of the clock the processor could have


class Throttle:
    """Evidence that the processor is held back by heat or a weak supply, where this system tells (``root``: its sysfs)."""

    def __init__(self, root: Path | str = "/sys"):
        root = Path(root)
        cores = sorted((root / "devices/system/cpu").glob("cpu[0-9]*"))
        self.counts = [path for core in cores for path in sorted(core.glob("thermal_throttle/*_throttle_count"))]
        self.clocks = [(core / "cpufreq/scaling_cur_freq", core / "cpufreq/cpuinfo_max_freq") for core in cores
                       if (core / "cpufreq/scaling_cur_freq").exists()]
        self.firmware = next(iter(sorted(root.glob("devices/platform/soc/soc:firmware/get_throttled"))), None)
        self.counted = self._counts()
        self.looked_at, self.answer = 0.0, False

    def _counts(self) -> int:
        return sum(_number(path) or 0 for path in self.counts)

    def now(self) -> bool:
        """Looks at most twice a second."""
        if time.monotonic() - self.looked_at >= THROTTLE_LOOK_SECONDS:
            self.looked_at, self.answer = time.monotonic(), self._look()
        return self.answer

    def _look(self) -> bool:
        counted, before = self._counts(), self.counted
        self.counted = counted
        if counted > before:
            return True
        if self.firmware is not None and (_number(self.firmware, 16) or 0) & 0xF:     # under-voltage, capped, throttled, soft limit: now
            return True
        speeds = [(now, most) for now, most in ((_number(a), _number(b)) for a, b in self.clocks) if now and most]
        return bool(speeds) and all(now < SLOW_CLOCK * most for now, most in speeds)


def _number(path: Path, base: int = 10) -> int | None:
    try:
        return int(path.read_text().split()[0], base)
    except (OSError, ValueError, IndexError):
        return None


class Watch:
    """The counts of one slot since the last look, each given its cause."""

    def __init__(self, rack, slot: int, throttle: Throttle):
        self.rack, self.slot, self.throttle = rack, slot, throttle
        self.seen = self._counts()
        self.recent: dict[str, float] = {}      # "slow", "gone": when last seen
        self.best_us = 0.0
        self.stalled_callbacks = 0              # of the underruns that were heard: the callback itself came late
        self.unexplained: list[tuple[float, str, str, int]] = []   # when, field, cause, count: a death may yet explain them

    def _counts(self) -> dict[str, int]:
        audio, synth = self.rack.audio, self.rack.synth[self.slot]
        return {"late": int(audio.late_blocks[self.slot]), "stalled": int(audio.stalled_blocks[self.slot]),
                "held": synth.held_blocks, "slow": synth.slow_blocks, "gone": synth.gone_blocks}

    def begin(self) -> None:
        """Another model comes into the slot: what its predecessor did explains nothing."""
        self.flush()
        self.seen, self.recent, self.best_us = self._counts(), {}, 0.0

    def look(self, *, alive: bool, swapping: bool, heard: bool) -> dict[str, int]:
        """Callbacks without sound and held blocks since the last look, by cause; counted in the shared block if somebody could hear it."""
        counts, now = self._counts(), time.monotonic()
        new = {key: max(0, counts[key] - self.seen[key]) for key in counts}
        self.seen = counts
        block_us = self.rack.synth[self.slot].block_us
        self.best_us = min(self.best_us or block_us, block_us) if block_us > 0 else self.best_us
        throttled = self.throttle.now()
        for key in ("slow", "gone"):
            if new[key]:
                self.recent[key] = now
        self.flush("died" if not alive else None, now - DEATH_SECONDS if alive else now)
        cause, known = self._cause(alive, swapping, throttled, now)
        found = (("late", "died" if not alive else "stall", True, new["stalled"]), ("late", cause, known, new["late"] - new["stalled"]),
                 ("held", cause, known, new["held"]))
        faults: dict[str, int] = {}
        for field, name, sure, count in found:
            if count > 0:
                faults[name] = faults.get(name, 0) + count
                if heard:
                    self.unexplained.append((0.0 if sure else now, field, name, count))
        self.flush(None, 0.0)
        if heard and alive:
            self.stalled_callbacks += new["stalled"]
        return faults

    def flush(self, cause: str | None = None, until: float = float("inf")) -> None:
        """Count what waits since before ``until`` for its explanation: under ``cause``, or what it seemed to be."""
        for at, field, name, count in self.unexplained:
            if at <= until:
                getattr(self.rack.underruns[self.slot], field)[table.CAUSES.index(cause or name)] += count
        self.unexplained = [one for one in self.unexplained if one[0] > until]

    def _cause(self, alive: bool, swapping: bool, throttled: bool, now: float) -> tuple[str, bool]:
        """The cause, and whether there is evidence for it."""
        if not alive:
            return "died", True
        slow, gone = (now - self.recent.get(key, -1e9) < MEMORY_SECONDS for key in ("slow", "gone"))
        slower = self.best_us > 0 and self.rack.synth[self.slot].block_us > SLOWER * self.best_us
        if slow:
            return ("throttled" if throttled and slower else "slow"), True
        return ("swap" if swapping and not gone else "stall"), gone


def of_slot(rack, slot: int, field: str = "late") -> dict[str, int]:
    """Cause -> underruns ("late") or held blocks ("held") of one slot."""
    return {cause: int(getattr(rack.underruns[slot], field)[i]) for i, cause in enumerate(table.CAUSES)}


def totals(rack, field: str = "late") -> dict[str, int]:
    """The same of both slots."""
    both = [of_slot(rack, slot, field) for slot in range(table.SLOTS)]
    return {cause: sum(one[cause] for one in both) for cause in table.CAUSES}
