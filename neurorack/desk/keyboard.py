"""The terminal as a panel: keys for gates and CVs, one status line. Restores the terminal whatever happens."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty

from neurorack.desk.cables import LIMIT_VOLTS
from neurorack.desk.hands import TRIGGER_SECONDS, Hand

HELP = "space hit · f freeze · 1-4 choose a CV · up/down turn it · 0 centre · t tap the tempo · r record · n next model · [ ] mix A and B · p built-in patch on/off · q quit"
STEP_VOLTS, STEP_MIX = 0.25, 0.1


class Keyboard(Hand):
    """Reads keys without waiting for Enter. ``on_quit`` is called for q; ``cables`` are the jacks; ``wish`` takes the requests of ``control.py``."""

    def __init__(self, cables, on_quit, stream=None, wish=None):
        super().__init__("keyboard")
        self.cables, self.on_quit, self.wish = cables, on_quit, wish
        self.stream = stream or sys.stdin
        self.chosen, self.volts, self.frozen = 0, [0.0] * 4, False

    def play(self) -> None:
        fd = self.stream.fileno()
        before = termios.tcgetattr(fd)
        try:
            tty.setcbreak(fd)
            while not self.stopping.is_set():
                if select.select([fd], [], [], 0.1)[0]:
                    data = os.read(fd, 64).decode("utf-8", "ignore")
                    if not data:
                        return
                    self.keys(data)
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)

    def keys(self, data: str) -> None:
        """Act on the characters of one read; arrows come as three."""
        data = data.replace("\x1b[A", "+").replace("\x1b[B", "-").replace("\x1b[C", "+").replace("\x1b[D", "-")
        for key in data:
            if key == " ":
                self.cables.gate("gate1", True)
                time.sleep(TRIGGER_SECONDS)
                self.cables.gate("gate1", False)
            elif key == "f":
                self.frozen = not self.frozen
                self.cables.gate("gate2", self.frozen)
            elif key in "1234":
                self.chosen = int(key) - 1
            elif key in "+-=_0":
                self._turn(key)
            elif key == "p":
                self.cables.play_built_in(not self.cables.first)
            elif key in "n[]" and self.wish:
                self.wish({"do": "next"} if key == "n" else {"do": "mix", "relative": True, "value": STEP_MIX if key == "]" else -STEP_MIX})
            elif key in "tr" and self.wish:
                self.wish({"do": "tap" if key == "t" else "record"})
            elif key in "q\x04":
                self.on_quit()

    def _turn(self, key: str) -> None:
        jack = self.chosen
        change = {"+": STEP_VOLTS, "=": STEP_VOLTS, "-": -STEP_VOLTS, "_": -STEP_VOLTS, "0": -self.volts[jack]}[key]
        self.volts[jack] = min(LIMIT_VOLTS, max(-LIMIT_VOLTS, self.volts[jack] + change))
        self.cables.turn(f"cv{jack + 1}", self.volts[jack])


def status_line(rack, level: float, chosen: int | None) -> str:
    """Meter (peak 0..1 since the last line), gates, CVs, models, load and underruns in one line."""
    audio = rack.audio
    heard = [i for i, share in enumerate((1 - audio.mix, audio.mix)) if share > 0]
    synth = rack.synth[heard[0]]
    names = " + ".join(rack.synth[i].model_name[:12] for i in heard) + (f" mix {audio.mix:.2f}" if len(heard) > 1 else "")
    bar = "#" * min(20, int(20 * level ** 0.5))
    snapshot = rack.read_controls()
    volts, gates = (snapshot[0], snapshot[1]) if snapshot else ([0.0] * 8, 0)
    cvs = " ".join(f"{'>' if i == chosen else ''}cv{i + 1} {volts[i]:+.2f}" for i in range(4))
    late = sum(int(count) for slot in rack.underruns for count in slot.late)
    load = 100 * sum(rack.synth[i].load for i in heard)
    tempo = f"  {rack.inputs.tempo_bpm:.0f} BPM" if rack.inputs.clock_running else ""
    recording = "REC " if rack.run.recording else ""
    return f"[{bar:<20}] {recording}{'G' if gates & 1 else '.'}{'F' if synth.frozen else '.'} {cvs}  {names}  load {load:.0f} %  underruns {late}{tempo}"
