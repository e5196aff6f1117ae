"""MIDI into the simulated jacks, where mido and python-rtmidi are installed and a port is there.

Note on: gate 1 rises; note off: it falls. Velocity goes to cv2, controllers 20 to 23 to cv1 to cv4 (0..127 becomes
-5..+5 V), the sustain pedal (64) to gate 2.
"""

from __future__ import annotations

import queue

from neurorack.audio.devices import quiet_stderr
from neurorack.desk.hands import Hand

FIRST_CONTROLLER, SUSTAIN = 20, 64


def volts(value: int) -> float:
    """0..127 -> -5..+5 V, 64 exactly 0."""
    return (value - 64) / (64 if value < 64 else 63) * 5.0


class MidiHand(Hand):
    def __init__(self, wires, ports, patch=None):
        super().__init__("midi")
        self.wires, self.ports, self.patch = wires, ports, patch
        self.messages: queue.SimpleQueue = queue.SimpleQueue()
        self.held: list[int] = []
        for port in ports:
            port.callback = self.messages.put

    @classmethod
    def if_any(cls, wires, say, patch=None) -> MidiHand | None:
        """A hand on every input port there is; None, with the reason told where it helps, where there is none."""
        try:
            with quiet_stderr():     # ALSA tells of a missing sequencer
                import mido

                names = mido.get_input_names()
        except (ImportError, OSError):
            return None
        except Exception as error:   # rtmidi's own SystemError: no sequencer on this system
            if type(error).__module__.split(".")[0] not in ("rtmidi", "_rtmidi"):
                raise
            return None
        ports = []
        for name in names:
            try:
                ports.append(mido.open_input(name))
            except (OSError, ValueError) as error:
                say(f"warning: MidiPort: cannot open {name!r}: {error}")
        if not ports:
            return None
        say(f"MIDI in: {', '.join(port.name for port in ports)}")
        return cls(wires, ports, patch)

    def play(self) -> None:
        while not self.stopping.is_set():
            try:
                self.handle(self.messages.get(timeout=0.1))
            except queue.Empty:
                continue
        for port in self.ports:
            port.close()

    def handle(self, message) -> None:
        """One mido message."""
        if message.type == "note_on" and message.velocity > 0:
            self._set_cv(1, volts(message.velocity))
            if self.held:
                self.wires.set_gate(0, 0.0)    # every new note is a hit
            self.held.append(message.note)
            self.wires.set_gate(0, 5.0)
        elif message.type in ("note_on", "note_off"):
            if message.note in self.held:
                self.held.remove(message.note)
            if not self.held:
                self.wires.set_gate(0, 0.0)
        elif message.type == "control_change":
            if FIRST_CONTROLLER <= message.control < FIRST_CONTROLLER + 4:
                self._set_cv(message.control - FIRST_CONTROLLER, volts(message.value))
            elif message.control == SUSTAIN:
                self.wires.set_gate(1, 5.0 if message.value >= 64 else 0.0)

    def _set_cv(self, jack: int, value: float) -> None:
        if self.patch:
            self.patch.hold[jack] = True
        self.wires.set_cv(jack, value)
