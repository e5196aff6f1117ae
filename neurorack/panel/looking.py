"""Makes ``View``s from the shared block and the supervisor's answers. Reading costs no lock and no system call."""

from __future__ import annotations

import ctypes
import math
from collections import deque

import numpy as np

from neurorack.core import declare
from neurorack.panel.view import NOTHING, SCOPE_FRAMES, Control, Route, Slot, View
from neurorack.voice.patch import JACKS

CLOCKS = ("none", "jack", "tapped", "MIDI")
TRAIL = 48                    # points
FALL_DB_PER_S, HOLD_S = 20.0, 1.0
TRAIL_STEP = 0.008            # a point is kept where it is so far from the last


class Looker:
    """Of the panel's process, in its one thread. ``board``: the board file's settings."""

    def __init__(self, rack, board: dict):
        self.rack, self.board = rack, board
        self._read_scope = declare("nr_scope_read", ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)
        self._scope = np.zeros((SCOPE_FRAMES, 2), np.float32)
        self._meter, self._hold, self._hold_at, self._before = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], 0.0
        self._patches: list = [None, None]          # (revision, card, knobs, drives, routes)
        self._trails = [deque(maxlen=TRAIL), deque(maxlen=TRAIL)]
        self._planes: list = [None, None]

    def look(self, now_ns: int, answers, preferences=NOTHING) -> View:
        """This moment."""
        rack, now = self.rack, now_ns / 1e9
        audio, inputs = rack.audio, rack.inputs
        snapshot = rack.read_controls()
        slots = tuple(self._slot(i, answers) for i in range(2))
        volts, gates = (snapshot[0], snapshot[1]) if snapshot else ([0.0] * 8, 0)
        scope = self._look_at_scope(now)
        period = inputs.clock_period_ns
        late = sum(int(sum(slot.late)) for slot in rack.underruns)
        last_late = audio.last_late_ns
        return View(
            now=now, slots=slots, mix=audio.mix, cv_volts=tuple(volts), cv_jacks=self.board["cv"]["jacks"], unpatched=inputs.unpatched, gates_high=gates,
            clock=CLOCKS[min(inputs.clock_running, len(CLOCKS) - 1)], bpm=inputs.tempo_bpm,
            beat=(now_ns - inputs.clock_pulse_ns) / period % 1.0 if inputs.clock_running and period > 0 else 0.0,
            scope=scope, meter=tuple(self._meter), meter_hold=tuple(self._hold), audio_load=audio.load, underruns=late,
            underrun_age=(now_ns - last_late) / 1e9 if last_late else 1e9, recording=bool(rack.run.recording),
            rate_hz=rack.header.sample_rate_hz, block_frames=rack.header.block_frames, device=audio.device_name, device_state=audio.device_state,
            board=self.board["name"], chip_errors=inputs.chip_errors, level_db=float(rack.patch[0].level_db),
            trail=tuple(tuple(trail) for trail in self._trails), answers=answers,
            preferences=preferences)

    def _look_at_scope(self, now: float) -> np.ndarray:
        frames = np.empty((SCOPE_FRAMES, 2), np.float32)
        if self.rack.scope.head_frames >= SCOPE_FRAMES and self._read_scope(self.rack.base, frames.ctypes.data, SCOPE_FRAMES):
            self._scope = frames
        passed, self._before = min(1.0, max(0.0, now - self._before)), now
        fall = 10 ** (-FALL_DB_PER_S * passed / 20)
        peaks = np.abs(self._scope).max(axis=0)
        for channel in range(2):
            peak = float(peaks[channel])
            self._meter[channel] = max(peak, self._meter[channel] * fall if self._meter[channel] > 1e-5 else 0.0)
            if peak >= self._hold[channel] or now - self._hold_at[channel] > HOLD_S:
                self._hold[channel], self._hold_at[channel] = peak, now
        return self._scope

    def _slot(self, index: int, answers) -> Slot:
        synth, name = self.rack.synth[index], "AB"[index]
        model = synth.model_name
        if not model or synth.playing == 0:
            self._trails[index].clear()
            return Slot(name)
        card = answers.get(f"card {name}", {})
        if card.get("pid") != synth.pid:
            card = {}
        controls, routes = self._controls(index, card)
        plane = tuple(card["plane"]) if card.get("plane") else None
        self._follow(index, plane, controls)
        return Slot(name, model, synth.playing == 1, synth.load, synth.load_max, synth.block_frames, synth.block_us, synth.lead_frames, bool(synth.frozen),
                    synth.gesture, controls, routes, plane, card)

    def _controls(self, index: int, card) -> tuple[tuple[Control, ...], tuple[Route, ...]]:
        told, patch = card.get("controls", ()), self.rack.patch[index]
        known = self._patches[index]
        if known is None or known[0] != patch.seq or known[1] is not told:
            known = self._patches[index] = self._patch(patch, told) or known
        if known is None:
            return (), ()
        _, _, knobs, drives, routes = known
        values = self.rack.synth[index].control
        return tuple(Control(c["name"], float(values[i]) if not math.isnan(values[i]) else 0.0, knobs[i], drives[i], c["default"], c["unit"], c["doc"], c["kind"],
                             c["label"]) for i, c in enumerate(told)), routes

    @staticmethod
    def _patch(patch, told):
        """What the slot's patch says, by names; None while it is being written."""
        seq = patch.seq
        names = [c["name"] for c in told]
        knobs, drives = patch.knob.tolist(), patch.drive.tolist()
        routes = tuple(Route(JACKS[jack], names[control], amount, offset, curve, smooth, bool(latched))
                       for jack, control, amount, offset, curve, smooth, latched in zip(
                           patch.route_jack.tolist(), patch.route_control.tolist(), patch.route_amount.tolist(), patch.route_offset.tolist(),
                           patch.route_curve.tolist(), patch.route_smooth_ms.tolist(), patch.route_latched.tolist())
                       if 0 <= jack < len(JACKS) and control < len(names))
        return None if seq & 1 or patch.seq != seq else (seq, told, knobs, drives, routes)

    def _follow(self, index: int, plane, controls) -> None:
        """The trail on the slot's map."""
        trail = self._trails[index]
        if plane != self._planes[index]:
            self._planes[index] = plane
            trail.clear()
        found = {control.name: control.value for control in controls}
        if plane and all(name in found for name in plane):
            point = (found[plane[0]], found[plane[1]])
            if not trail or math.dist(point, trail[-1]) > TRAIL_STEP:
                trail.append(point)
