"""The supervisor: starts the processes, watches them, starts them again, and ends the run with a fade.

It owns the shared block and the patch. It never stops the sound because something else failed. Models, slots and the mix
are in ``slots.py``; what others ask for comes through ``wishes.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from neurorack import library, runfiles
from neurorack.audio.recorder import check_target
from neurorack.control import Server
from neurorack.desk.cables import CableRequests, Cables
from neurorack.desk.hands import ScoreHand
from neurorack.desk.keyboard import HELP, Keyboard, status_line
from neurorack.drivers import board as boards
from neurorack.errors import NeurorackError
from neurorack.gate_actions import GateActions
from neurorack.inputs.sources_hand import Sources
from neurorack.library.lighter_hand import Lightening
from neurorack.library.watch import Watcher
from neurorack.notify import Notifier
from neurorack.panel.hand import PanelHand
from neurorack.patches.present import patch_of
from neurorack.patches.scenes import Scenes
from neurorack.patches.waking import begin
from neurorack.process import BAD_INPUT, name_process, tell
from neurorack.render import check_audio_settings, drive_indices, write_atomically
from neurorack.remote.hand import Remote
from neurorack.report import play_report
from neurorack.score import Score
from neurorack.shm.rack import Rack
from neurorack.slot import PLAYING
from neurorack.slots import Slots
from neurorack.takes import Takes
from neurorack.tuning import leave_isolated_core
from neurorack.upkeep import Upkeep
from neurorack.voice.patch import default_patch
from neurorack.watched import Watched
from neurorack.web.hand import Web
from neurorack.wishes import Wishes

WATCH_SECONDS, ROUTED_SECONDS, BUSY_SECONDS = 0.02, 0.004, 0.002    # between two looks: usually; the mix follows a jack; a model changes
FAILURES_AT_START = 5         # so many before the first sound end the run
INPUTS_PATIENCE_SECONDS = 2.0
FADE_PATIENCE_SECONDS = 0.25
LEAVE_PATIENCE_SECONDS = 0.5
LEAVE_RECORDING_SECONDS = 2.0   # for a slow disk to take the last of a recording
PLAY, FADE, LEAVE = 1, 2, 3


@dataclass
class Settings:
    """What ``neurorack play`` was asked for."""

    model: str | None = None
    device: str | None = None
    board: str | None = None
    simulated: bool = False       # the board's chips are simulated, and played from here
    rate_hz: int = 48000
    block_frames: int = 128
    lead_frames: int | None = None
    settle_us: int | None = None  # the board's
    input_channels: int = 0
    monitor_db: float | None = None
    seconds: float | None = None
    midi: list[str] | None = None         # parts of port names; None: all; ["none"]: no MIDI
    midi_virtual: str | None = None
    osc: tuple[str, int] | None = None
    display: str | None = None            # "128", "240" or "none"; None: the board's, else 128x64 without a chip
    web: str | None = None                # HOST:PORT, PORT, HOST or none; None: this machine alone, the usual port or the next
    score: Score | None = None
    patch: Path | None = None             # a patch file to begin with
    fresh: bool = False                   # begin with the model's own patch, not as it was
    record: Path | None = None
    report: Path | None = None
    seed: int = 0
    quiet: bool = False


class Instrument:
    """One run, from start to fade-out."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.web, self.panel = Web(self), PanelHand(self)
        check_audio_settings(settings.block_frames, settings.rate_hz)
        score = settings.score
        self.beginning = begin(settings, self.say)
        self.model_path, self.card = self.beginning.model_path, self.beginning.card
        self.controls = [c["name"] for c in self.card["controls"]]
        if score:
            drive_indices(score, self.controls)
        name, self.warning = (settings.board, None) if settings.board else boards.detect()
        self.board = boards.load(name)
        if settings.record:
            check_target(settings.record)
        self.rack = Rack.create(sample_rate_hz=settings.rate_hz, block_frames=settings.block_frames,
                                input_channels=settings.input_channels,
                                settle_us=self.board["cv"].get("settle_us", 1000) if settings.settle_us is None else settings.settle_us)
        if settings.monitor_db is not None:
            self.rack.run.monitor_gain = 10 ** (settings.monitor_db / 20)
        document = self.beginning.document
        self.patch = patch_of(document) if document else default_patch(self.card, listens=settings.input_channels > 0)
        if score:
            score.patched(self.patch)
        self.upkeep, self.lightening = Upkeep(self), Lightening(self)
        self.slots = Slots(self.rack, settings, self.patch, self.say, self.note_children)
        self.slots.begin(self.model_path, self.card, self.beginning.encoder)
        self.posted: queue.SimpleQueue = queue.SimpleQueue()
        self.wires = boards.wires(self.board, self.rack, settings.simulated)
        self.remote = Remote(self)
        self.run_file = runfiles.RunFile()
        self.leaving = self.sounding_at = None
        self.hands: list = []
        self.cables: Cables | None = None
        self.cable_requests = CableRequests(self)
        self.takes, self.gate_actions = Takes(self), GateActions(self)
        self.sources = Sources(self)
        self.scenes = Scenes(self, self.beginning)
        self.wishes = Wishes(self)
        self.server: Server | None = None
        self.watcher = Watcher(self.upkeep.notices.library)
        self.notifier = Notifier()
        self.others = self._others()

    def _others(self) -> list[Watched]:
        """The children beside the synths."""
        s, rack = self.settings, self.rack
        inputs, pass_fds = {"board": self.board, "remote_fd": self.remote.edges_fd}, (self.remote.edges_fd,)
        if self.board["driver"] == "desk":
            inputs["gate_fd"] = self.wires.far.fileno()
            pass_fds += (inputs["gate_fd"],)
        elif self.wires:
            inputs["environment"] = self.wires.environment()
        return [
            Watched("audio", 0, rack.audio, {"device": s.device}, working_ns=lambda: rack.clock.callback_ns),
            Watched("inputs", 3, rack.inputs, inputs, pass_fds),
        ]

    @property
    def children(self) -> list[Watched]:
        """Everyone who is watched now; a synth that was told to leave is not."""
        return [slot.child for slot in self.slots.slots if slot.holds] + self.others

    # -- the run

    def play(self) -> dict:
        """Play until told to stop; returns the report. Raises ``NeurorackError`` when a child refused its settings."""
        name_process("neurorack: supervisor")
        leave_isolated_core()
        for line in runfiles.recover():
            self.say(line)
        if self.warning:
            self.say(f"warning: {self.warning}")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.leave())
        self.began = time.monotonic()
        if self.settings.record:
            self.takes.begin(self.settings.record)
        try:
            for child in self.children:
                child.start(self.rack)
            self.note_children()
            self._listen()
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
            self.posted.put(lambda: None)    # a SimpleQueue whose wait a signal breaks off may wait on for ever (CPython forgets a deadline that has passed)

    def say(self, message: str) -> None:
        self.web.note(message)
        self.upkeep.notices.said(message)
        if not self.settings.quiet:
            tell(f"neurorack: {message}\n")

    def note_children(self) -> None:
        others = {c.role: c.process.pid for c in self.others if c.process}
        self.run_file.write(others | self.slots.processes)

    def _listen(self) -> None:
        try:
            self.server = Server(self.wishes.handle)
        except NeurorackError as error:      # it plays without
            self.say(f"warning: ControlSocket: {error}")

    def call(self, function: Callable, *arguments):
        """Run this in the supervisor's loop and return its result, or raise its error. From any other thread."""
        done: Future = Future()

        def work() -> None:
            try:
                done.set_result(function(*arguments))
            except Exception as error:   # noqa: BLE001 - it belongs to the caller
                done.set_exception(error)
        self.posted.put(work)
        return done.result(10)

    def _wait(self) -> None:
        """Until the next look, or until something is posted; then do it."""
        pause = BUSY_SECONDS if self.slots.busy or self.scenes.busy else ROUTED_SECONDS if self.slots.mix_routes else WATCH_SECONDS
        with contextlib.suppress(queue.Empty):
            self.posted.get(timeout=pause)()
            while True:
                self.posted.get_nowait()()

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
            self.slots.tick()
            self.scenes.tick(now)
            self.gate_actions.tick()
            self.notifier.tick(self, now)
            self._wait()

    def _ready(self, now: float) -> bool:
        """True once sound flows, and the jacks are looked at (or will not be for a while: that must not keep the sound back)."""
        return (self.rack.synth[0].playing == PLAYING and self.rack.audio.blocks > 0 and self.rack.audio.device_state != 0
                and (self.rack.inputs.scans > 0 or now - self.began > INPUTS_PATIENCE_SECONDS))

    def _sounding(self, now: float) -> None:
        """Everything runs: say what plays, and let the hands play."""
        self.sounding_at = now
        self.slots.good.append(Path(self.model_path))
        self.slots.want_spare = True
        self.watcher.start()
        audio, s = self.rack.audio, self.settings
        device = audio.device_name or "?"
        self.say(f"{self.card.get('name')} plays on {device}, {s.rate_hz} Hz in blocks of {s.block_frames}, board {self.board['name']} "
                 f"({now - self.began:.1f} s after the start)")
        self.upkeep.start()
        self.scenes.begin()
        self.remote.start()
        self.web.start()
        self.panel.start()
        if self.wires is None:
            return
        if s.score:
            self.hands.append(ScoreHand(s.score, self.wires, self.drive, self.wishes.from_a_hand, self._score_begun, self._tap))
        else:
            self.cables = Cables(self.wires, self.board["cv"]["jacks"], self.board["gates"]["jacks"], s.seed)
            self.cables.play_built_in(True)
            self.hands.append(self.cables)
            if sys.stdin is not None and sys.stdin.isatty():
                self.hands.append(Keyboard(self.cables, self.leave, wish=self.wishes.from_a_hand))
                self.say(HELP)
        for hand in self.hands:
            hand.start()

    def _score_begun(self) -> None:
        """Its modulators begin with it."""
        self.posted.put(lambda: self.sources.restore(self.settings.score.sources))

    def _tap(self, ns: int) -> None:
        self.rack.run.tap_ns = ns

    def drive(self, control: str, value: float) -> None:
        """Set one of the models' named controls absolutely, 0..1; from any thread."""
        self.posted.put(lambda: self._drive(control, value))

    def _drive(self, control: str, value: float) -> None:
        self.patch.knobs[control], self.patch.drives[control] = value, 1.0
        self.slots.publish()

    # -- watching

    def _watch(self, child: Watched, now: float) -> None:
        state = child.state(now)
        if state == "runs":
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
        slot = next((slot for slot in self.slots.slots if slot.child is child), None)
        if slot and not self.slots.lost(slot, reason, code == BAD_INPUT):
            return
        if child.role == "audio":
            self.takes.audio_is_gone()
        self.rack.run.restarts[child.index] += 1
        child.plan_restart(now)
        if not child.mourned:
            self.say(f"warning: the {child.role} process {reason}; " + ("the sound goes on without it; it is tried again" if child.ornament else "starting it again"))
        child.mourned = child.ornament

    # -- the end

    def _stop(self) -> None:
        self.notifier.stopping()
        for hand in self.hands:
            hand.stopping.set()
        self.slots.end()
        self.rack.run.state = FADE
        audio = self.others[0]
        deadline = time.monotonic() + FADE_PATIENCE_SECONDS
        while time.monotonic() < deadline and not self.rack.audio.faded and audio.process and audio.process.poll() is None and self.sounding_at:
            time.sleep(0.002)
        self.ended = time.monotonic()
        self.rack.run.state = LEAVE
        everyone = self.others + [slot.child for slot in self.slots.slots if slot.child]
        alive = [c.process for c in everyone if c.process and c.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + LEAVE_PATIENCE_SECONDS
        for process in alive:
            try:
                process.wait(max(0.01, deadline - time.monotonic()))
            except Exception:   # noqa: BLE001 - whatever it is waiting for, it must not outlive us
                process.kill()
                process.wait()
        self.takes.end(LEAVE_RECORDING_SECONDS)
        for hand in self.hands:
            hand.finish()
        if self.server:
            self.server.close()
        self.scenes.end()
        self.watcher.stop()
        self.run_file.remove()
        if self.hands and sys.stderr.isatty() and not self.settings.quiet:
            tell("\n")
