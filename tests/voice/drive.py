"""Drives a voice frame by frame, as the render thread does."""

from __future__ import annotations

import numpy as np

from neurorack.shm import table
from neurorack.voice.patch import Patch, default_patch
from neurorack.voice.voice import Voice

GLIDE_FRAMES = 16     # of voice.h
HOP, RATE = 64, 48000


class Driven:
    """A voice with a patch; ``run`` renders whole blocks.

    ``cv`` and ``sources`` (float64 [8] each) and the patch's knobs hold for every row of a run, as in real time.
    """

    def __init__(self, model, *, block_frames: int = 64, rate_hz: int = 48000, patch: Patch | None = None, **voice):
        self.voice = Voice(model, block_frames, rate_hz, **voice)
        self.cv, self.sources = np.zeros(table.CV_JACKS), np.zeros(table.MODULATORS)
        self.set_patch(patch or default_patch(model.card))

    def set_patch(self, patch: Patch) -> None:
        self.patch, self.struct = patch, patch.to_struct(self.voice.card["controls"])
        self.voice.set_patch(self.struct)

    def hit(self, frame: int, jack: int = 0, rising: bool = True, cv=None) -> None:
        """An edge whose onset belongs to output frame ``frame`` (model frames)."""
        self.voice.add_edge(frame, jack, rising, list(self.cv) if cv is None else cv, list(self.sources))

    def run(self, frames: int, heard: np.ndarray | None = None) -> np.ndarray:
        """At least so many model frames, in whole blocks: float32 [n, 2]. ``heard``: written to the audio input first."""
        parts = []
        if heard is not None:
            self.voice.write_input(heard)
        for _ in range(-(-frames // self.voice.block_frames)):
            for row in range(self.voice.rows):
                self.voice.set_row(row, self.cv, np.array(self.struct.knob), np.array(self.struct.drive), self.patch.level_db, self.sources)
            parts.append(self.voice.render().copy())
        return np.concatenate(parts) if parts else np.zeros((0, 2), np.float32)
