"""Hands that play the simulated jacks are threads of the supervisor: here a score in real time; ``cables.py``, ``keyboard.py`` are others."""

from __future__ import annotations

import math
import threading
import time

import numpy as np

from neurorack.score import Score

TICK_SECONDS = 0.004
TRIGGER_SECONDS = 0.01
LEAST_STEP_SECONDS = 0.0008     # a hand that the machine held up catches up no faster: that would be contact bounce


class Hand(threading.Thread):
    """A thread with a stop; ``play`` does the work and looks at ``stopping`` often."""

    def __init__(self, name: str):
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()

    def run(self) -> None:
        self.play()

    def play(self) -> None:
        """To be written by each hand."""

    def wait_until(self, at: float) -> bool:
        """Sleep until this monotonic time; False when the hand should stop."""
        return not self.stopping.wait(max(0.0, at - time.monotonic()))

    def finish(self) -> None:
        self.stopping.set()
        if self.is_alive():
            self.join(1)


class ScoreHand(Hand):
    """A score in real time: its steps at their times, its curves every 4 ms, its controls driven in the patch, its wishes
    (swaps, the mix) told to ``wish``; ``begun`` is called as it begins, ``tap`` with the
    times (CLOCK_MONOTONIC nanoseconds) of the taps that make its tempo."""

    def __init__(self, score: Score, wires, drive=None, wish=None, begun=None, tap=None):
        super().__init__("score")
        self.score, self.wires, self.drive, self.wish, self.begun, self.tap = score, wires, drive, wish, begun, tap
        self.edge_ns: list[int] = []    # when gate 1 really rose
        self.done = threading.Event()

    def play(self) -> None:
        """Wait for each step and tick in turn; sleeps on its stop, so that it ends at once."""
        start = self._begin()
        steps = [(at, "gate", gate, volts) for at, gate, volts in self.score.gate_steps()]
        wishes = list(self.score.wishes) if self.wish else []
        moving = bool(self.score.curves or self.score.controls or any(j.startswith("cv") for _, j, _ in self.score.events))
        next_tick, ticks, free_at = 0.0, 0, [0.0, 0.0]
        while True:
            next_step = steps[0][0] if steps else math.inf
            next_wish = wishes[0][0] if wishes else math.inf
            at = min(next_step, next_wish, next_tick if moving else math.inf, self.score.seconds)
            if not self.wait_until(start + at):
                return
            if at >= self.score.seconds:
                break
            if at == next_tick and moving:
                ticks += 1
                next_tick = ticks * TICK_SECONDS
                self._move(at)
            if at == next_wish:
                threading.Thread(target=self.wish, args=(wishes.pop(0)[1],), daemon=True).start()     # finding a model may take a while
            if at == next_step:
                _, _, gate, volts = steps.pop(0)
                if not self.wait_until(free_at[gate]):
                    return
                edge_ns = self.wires.set_gate(gate, volts)
                free_at[gate] = time.monotonic() + LEAST_STEP_SECONDS
                if gate == 0 and volts >= 1.6:
                    self.edge_ns.append(edge_ns)
        self.done.set()

    def _begin(self) -> float:
        """When it begins: at once, or with the second of two taps that make its tempo."""
        start_ns = time.monotonic_ns()
        if self.score.tempo_bpm and self.tap:
            self.tap(start_ns)
            start_ns += round(60e9 / self.score.tempo_bpm)
            self.wait_until(start_ns / 1e9)
            self.tap(start_ns)
        if self.begun:
            self.begun()
        return start_ns / 1e9

    def _move(self, at: float) -> None:
        for jack, volts in enumerate(self.score.cv_volts(np.array([at]))[0]):
            self.wires.set_cv(jack, float(volts))
        if self.drive:
            for name in self.score.controls:
                self.drive(name, float(self.score.control_values(name, np.array([at]))[0]))
