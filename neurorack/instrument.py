"""The supervisor: starts the processes, watches them, starts them again, and ends the run with a fade.

It owns the shared block and the patch. It never stops the sound because something else failed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from neurorack import library, runfiles
from neurorack.audio.recorder import check_target
from neurorack.desk.hands import BuiltInPatch, ScoreHand
from neurorack.desk.keyboard import HELP, Keyboard, status_line
from neurorack.drivers import board as boards
from neurorack.drivers.desk import Wires
from neurorack.engine import Model
from neurorack.errors import NeurorackError
from neurorack.process import BAD_INPUT, name_process, spawn, tell
from neurorack.render import check_audio_settings, drive_indices, write_atomically
from neurorack.report import play_report
from neurorack.score import Score
from neurorack.shm.rack import Rack
from neurorack.voice.card import check_card
from neurorack.voice.patch import default_patch

WATCH_SECONDS = 0.02
START_SECONDS = 30.0          # a child that has not beaten by then hangs; a large model from a slow card takes its time
STALE_SECONDS = 1.0           # a child without any sign of life for so long hangs
SLEEPY_SECONDS = 10.0         # its compiled thread works, but its interpreter does not come to its turn
RESTART_PAUSE_SECONDS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
FAILURES_AT_START = 5         # so many before the first sound end the run
INPUTS_PATIENCE_SECONDS = 2.0
CALM_SECONDS = 30.0           # after so long without a failure the pauses start over
FADE_PATIENCE_SECONDS = 0.25
LEAVE_PATIENCE_SECONDS = 0.5
PLAY, FADE, LEAVE = 1, 2, 3
DETACHED, PLAYING = 0, 1


@dataclass
class Settings:
    """What ``neurorack play`` was asked for."""

    model: str | None = None
    device: str | None = None
    board: str | None = None
    rate_hz: int = 48000
    block_frames: int = 128
    lead_frames: int | None = None
    settle_us: int = 1000
    input_channels: int = 0
    monitor_db: float | None = None
    seconds: float | None = None
    score: Score | None = None
    record: Path | None = None
    report: Path | None = None
    seed: int = 0
    quiet: bool = False


class Watched:
    """One child: its process, its heartbeat, its restarts."""

    def __init__(self, role: str, index: int, section, config: dict, pass_fds: tuple[int, ...] = (), working_ns=lambda: 0):
        self.role, self.index, self.section, self.config, self.pass_fds = role, index, section, config, pass_fds
        self.working_ns = working_ns     # when its compiled thread last did its work
        self.process = None
        self.failures, self.failed_at, self.start_at, self.started_at = 0, 0.0, 0.0, 0.0

    def start(self, rack: Rack) -> None:
        self.section.heartbeat_ns = 0
        self.process = spawn(self.role, rack, self.config, self.pass_fds)
        self.started_at = time.monotonic()

    def state(self, now: float) -> str:
        """"runs", "hangs", "died" (with ``self.process.returncode``) or "waits" for its next start."""
        if self.process is None:
            return "waits"
        if self.process.poll() is not None:
            return "died"
        beat = self.section.heartbeat_ns
        if beat == 0:
            return "hangs" if now - self.started_at > START_SECONDS else "runs"
        asleep, still = now - beat / 1e9, now - max(beat, self.working_ns()) / 1e9
        return "hangs" if still > STALE_SECONDS or asleep > SLEEPY_SECONDS else "runs"

    def plan_restart(self, now: float) -> None:
        self.failures = 0 if now - self.failed_at > CALM_SECONDS else self.failures
        self.failed_at, self.process = now, None
        self.start_at = now + RESTART_PAUSE_SECONDS[min(self.failures, len(RESTART_PAUSE_SECONDS) - 1)]
        self.failures += 1
        self.config["restarted"] = True


class Instrument:
    """One run, from start to fade-out."""

    def __init__(self, settings: Settings):
        self.settings = settings
        check_audio_settings(settings.block_frames, settings.rate_hz)
        score = settings.score
        self.model_path = library.find(settings.model or (score.model if score else None), score.folder if score else None)
        self.card = Model.load(self.model_path).card
        check_card(self.card, self.model_path)
        self.controls = [c["name"] for c in self.card["controls"]]
        if score:
            drive_indices(score, self.controls)
        name, self.warning = (settings.board, None) if settings.board else boards.detect()
        self.board = boards.load(name)
        if settings.record:
            check_target(settings.record)
        self.rack = Rack.create(sample_rate_hz=settings.rate_hz, block_frames=settings.block_frames,
                                input_channels=settings.input_channels, settle_us=settings.settle_us)
        if settings.monitor_db is not None:
            self.rack.run.monitor_gain = 10 ** (settings.monitor_db / 20)
        self.rack.run.recording = int(settings.record is not None)
        self.patch = default_patch(self.card, listens=settings.input_channels > 0)
        self.patch.publish(self.rack.patch[0], self.card["controls"])
        self.wires = Wires(self.rack, self.board)
        self.run_file = runfiles.RunFile()
        self.leaving = self.sounding_at = None
        self.hands: list = []
        self.restart_late_blocks = self._late_seen = 0
        self.children = self._children()

    def _children(self) -> list[Watched]:
        s, rack, gate_fd = self.settings, self.rack, self.wires.far.fileno()
        audio = {"device": s.device, "record": str(Path(s.record).absolute()) if s.record else None}
        synth = {"slot": 0, "model": str(Path(self.model_path).absolute()), "lead_frames": s.lead_frames, "seed": s.seed}
        return [
            Watched("synth", 1, rack.synth[0], synth, working_ns=lambda: rack.synth[0].render_ns),
            Watched("audio", 0, rack.audio, audio, working_ns=lambda: rack.clock.callback_ns),
            Watched("inputs", 3, rack.inputs, {"board": self.board, "gate_fd": gate_fd}, (gate_fd,)),
        ]

    # -- the run

    def play(self) -> dict:
        """Play until told to stop; returns the report. Raises ``NeurorackError`` when a child refused its settings."""
        name_process("neurorack: supervisor")
        for line in runfiles.recover():
            self.say(line)
        if self.warning:
            self.say(f"warning: {self.warning}")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.leave())
        self.began = time.monotonic()
        try:
            for child in self.children:
                child.start(self.rack)
            self.note_children()
            self._loop()
        finally:
            self._stop()
        report = play_report(self)
        if self.settings.report:
            write_atomically(self.settings.report, lambda path: Path(path).write_text(json.dumps(report, indent=2) + "\n"))
        return report

    def leave(self) -> None:
        """Ask for the end; safe from a signal handler and from any thread."""
        if self.leaving is None:
            self.leaving = time.monotonic()

    def say(self, message: str) -> None:
        if not self.settings.quiet:
            tell(f"neurorack: {message}\n")

    def note_children(self) -> None:
        self.run_file.write({c.role: c.process.pid for c in self.children if c.process})

    def _loop(self) -> None:
        show_at, level = 0.0, 0.0
        while self.leaving is None:
            now = time.monotonic()
            self.rack.run.heartbeat_ns = time.monotonic_ns()
            for child in self.children:
                self._watch(child, now)
            if self.sounding_at is None and self._ready(now):
                self._sounding(now)
            if self.sounding_at is not None and self.settings.seconds is not None and now - self.sounding_at >= self.settings.seconds:
                self.leave()
            level = max(level, *map(float, self.rack.audio.peak))
            if now >= show_at and self.hands and not self.settings.quiet and sys.stderr.isatty():
                keyboard = next((hand for hand in self.hands if isinstance(hand, Keyboard)), None)
                line = status_line(self.rack, level, keyboard.chosen if keyboard else None)
                tell("\r" + line[:118] + "\x1b[K")
                show_at, level = now + 0.2, 0.0
            time.sleep(WATCH_SECONDS)

    def _ready(self, now: float) -> bool:
        """True once sound flows, and the jacks are looked at (or will not be for a while: that must not keep the sound back)."""
        return (self.rack.synth[0].playing == PLAYING and self.rack.audio.blocks > 0 and self.rack.audio.device_state != 0
                and (self.rack.inputs.scans > 0 or now - self.began > INPUTS_PATIENCE_SECONDS))

    def _sounding(self, now: float) -> None:
        """Everything runs: say what plays, and let the hands play."""
        self.sounding_at = now
        audio, s = self.rack.audio, self.settings
        device = audio.device_name or "?"
        self.say(f"{self.card.get('name')} plays on {device}, {s.rate_hz} Hz in blocks of {s.block_frames}, board {self.board['name']} "
                 f"({now - self.began:.1f} s after the start)")
        if self.board["driver"] != "desk":
            return
        if s.score:
            self.hands.append(ScoreHand(s.score, self.wires, self.drive))
        else:
            patch = BuiltInPatch(self.wires, seed=s.seed)
            self.hands.append(patch)
            if sys.stdin is not None and sys.stdin.isatty():
                self.hands.append(Keyboard(self.wires, self.leave, patch))
                self.say(HELP)
            from neurorack.desk.midi import MidiHand

            midi = MidiHand.if_any(self.wires, self.say, patch)
            if midi:
                self.hands.append(midi)
        for hand in self.hands:
            hand.start()

    def drive(self, control: str, value: float) -> None:
        """Set one of the model's named controls absolutely, 0..1."""
        self.patch.knobs[control], self.patch.drives[control] = value, 1.0
        self.patch.publish(self.rack.patch[0], self.card["controls"])

    # -- watching

    def _watch(self, child: Watched, now: float) -> None:
        state = child.state(now)
        if state == "runs":
            if child.role == "synth":
                self._late_seen = int(self.rack.audio.late_blocks[0])
            return
        if state == "waits":
            if now >= child.start_at:
                child.start(self.rack)
                self.note_children()
            return
        if state == "hangs":
            child.process.kill()
            child.process.wait()
        code = child.process.returncode
        reason = "does not answer" if state == "hangs" else f"was killed (signal {-code})" if code < 0 else f"ended (code {code})"
        if self.sounding_at is None:
            if code == BAD_INPUT:
                raise NeurorackError("")       # the child has said why
            if child.failures + 1 >= FAILURES_AT_START:
                raise NeurorackError(f"the {child.role} process {reason}, {FAILURES_AT_START} times before the first sound; "
                                     f"look with `neurorack doctor`{' or try --device null' if child.role == 'audio' else ''}")
        if child.role == "synth":
            self._detach_synth()
        self.rack.run.restarts[child.index] += 1
        child.plan_restart(now)
        self.say(f"warning: the {child.role} process {reason}; starting it again")

    def _detach_synth(self) -> None:
        """Its writer is dead, so the supervisor may write the slot: silence from now on is no longer an underrun."""
        self.rack.synth[0].playing = DETACHED
        self.restart_late_blocks += int(self.rack.audio.late_blocks[0]) - self._late_seen

    # -- the end

    def _stop(self) -> None:
        for hand in self.hands:
            hand.stopping.set()
        self.rack.run.state = FADE
        audio = next(c for c in self.children if c.role == "audio")
        deadline = time.monotonic() + FADE_PATIENCE_SECONDS
        while time.monotonic() < deadline and not self.rack.audio.faded and audio.process and audio.process.poll() is None and self.sounding_at:
            time.sleep(0.002)
        self.ended = time.monotonic()
        self.rack.run.state = LEAVE
        alive = [c.process for c in self.children if c.process and c.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + LEAVE_PATIENCE_SECONDS
        for process in alive:
            try:
                process.wait(max(0.01, deadline - time.monotonic()))
            except Exception:   # noqa: BLE001 - whatever it is waiting for, it must not outlive us
                process.kill()
                process.wait()
        for hand in self.hands:
            hand.finish()
        self.run_file.remove()
        if self.hands and sys.stderr.isatty() and not self.settings.quiet:
            tell("\n")
