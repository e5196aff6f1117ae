"""Plays again, offline, what an instrument played: same edges, same frames, same controls.

On which frame exactly an edge fell is known to a few frames only (from the card's clock), so the frames around are tried
and the best one kept. That is the one freedom: everything else must agree by itself.
"""

from __future__ import annotations

import threading
import time

import numpy as np

from neurorack.shm.rack import Rack
from tests.voice.drive import Driven
from tests.voice.test_blocks import Saved

BLOCK = 64
PLACEMENT_FRAMES = 16 + 2 * 64      # an edge is taken by the row before it at the earliest


class Watch:
    """Notes edges and the card's clock of a running instrument until its end."""

    def __init__(self, rack: Rack):
        self.rack, self.reader = rack, rack.edge_reader(True)
        self.hits_ns: list[int] = []
        self._clock: list[tuple[float, int, int]] = []      # (callback_ns, frame of the recording, ring frame)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            while edge := self.reader.next():
                if edge.jack == 0 and edge.rising:
                    self.hits_ns.append(edge.edge_ns)
            self._look()
            time.sleep(0.003)

    def _look(self) -> None:
        clock = self.rack.clock
        seq = clock.seq
        seen = clock.callback_ns, clock.frame, int(clock.ring_frame[0])
        if seq % 2 == 0 and clock.seq == seq and seen[2] and (not self._clock or seen[2] > self._clock[-1][2]):
            self._clock.append(seen)

    def finish(self) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def shifts(self) -> set[int]:
        """Frames of the recording before ring frame 0; one value where the ring never ran dry."""
        return {frame - ring for _, frame, ring in self._clock}

    def places(self) -> np.ndarray:
        """Ring frames at which the hits are expected, to a few frames."""
        ns, _, ring = np.array(self._clock, np.float64).T
        return np.interp(self.hits_ns, ns, ring) + self.rack.synth[0].edge_delay_frames


def again(model, recorded: np.ndarray, places: np.ndarray, shift: int, *, reach: int = 96, drive=None) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """(offline audio, recorded audio beside it, frames of the edges).

    ``drive(driven, frame)`` may set controls before the block at a frame.
    """
    driven, frames = Driven(model, block_frames=BLOCK), []
    want = recorded[shift:].astype(np.float64)
    parts: list[np.ndarray] = []

    def run(until: int) -> None:
        while len(parts) * BLOCK < until:
            if drive:
                drive(driven, len(parts) * BLOCK)
            parts.append(driven.run(1))

    for i, place in enumerate(places):
        guess, until = int(round(place)), places[i + 1] - 2 * reach - PLACEMENT_FRAMES if i + 1 < len(places) else len(want)
        run((guess - reach - PLACEMENT_FRAMES) // BLOCK * BLOCK)
        start, saved = len(parts) * BLOCK, Saved(driven)
        blocks = int(min(1024, max(until - start, 512))) // BLOCK

        def best(candidates) -> tuple[float, int]:
            errors = []
            for frame in candidates:
                saved.restore()
                driven.hit(frame)
                heard = np.concatenate([driven.run(1) for _ in range(blocks)])
                errors.append((float(((heard - want[start:start + len(heard)]) ** 2).sum()), frame))
            return min(errors)

        error, frame = best(range(guess - reach, guess + reach + 1))
        if error > 1e-5 * (want[start:start + blocks * BLOCK] ** 2).sum():      # the machine stood still: the edge was late
            error, frame = min((error, frame), best(range(guess + reach + 1, guess + 1500)))
        saved.restore()
        frames.append(frame)
        driven.hit(frames[-1])
    run(len(want) - 4096)
    offline = np.concatenate(parts)
    n = min(len(offline), len(want))
    return offline[:n], want[:n], frames
