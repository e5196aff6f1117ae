"""Every MIDI message has its meaning here: notes, expression, controllers (learned or not), programs, the clock."""

from __future__ import annotations

from neurorack.errors import NeurorackError
from neurorack.remote import wire
from neurorack.remote.controllers import Controllers, Source, chosen, title
from neurorack.remote.notes import Notes
from neurorack.remote.settings import OFF, Kept, Learned, parse_voice

WHEEL, PEDAL, ALL_SOUND_OFF, RESET, ALL_NOTES_OFF = 1, 64, 120, 121, 123
NEXT = "next"                       # what a button can learn beside the controls: the library's next model
LISTEN_NS = 400_000_000             # a moved controller is listened to for so long before it counts as learned
_CLOCK = {"clock": wire.CLOCK, "start": wire.START, "continue": wire.CONTINUE, "stop": wire.STOP}


class Learning:
    """A control that waits for its controller; ``done`` is called with ``text`` or ``error``."""

    def __init__(self, control: str, low: float, high: float, until_ns: int, done):
        self.control, self.low, self.high, self.until_ns, self.done = control, low, high, until_ns, done
        self.moved: list[Source] = []
        self.enough_ns: int | None = None


class Midi:
    """All ports together.

    Args:
        out: ``gate(gate, high, ns)``, ``volts(name, jack, volts)``, ``clock(what, ns)``, ``controller(name, value, low, high, takeover)`` and
            ``wish(request)``.
    """

    def __init__(self, out, kept: Kept):
        self.out, self.kept = out, kept
        self.notes = Notes(self, kept.voice)
        self.controllers: dict[str, Controllers] = {}       # by port
        self.learning: Learning | None = None
        self._pressed: set[Source] = set()
        self._volts: dict[str, float] = {}

    # -- what the notes play

    def gate(self, gate: int, high: bool, ns: int) -> None:
        self.out.gate(gate, high, ns)

    def volts(self, name: str, volts: float) -> None:
        if self._volts.get(name, 0.0) != volts:
            self._volts[name] = volts
            self.out.volts(name, getattr(self.kept.voice, name), volts)

    # -- messages

    def handle(self, port: str, message, ns: int) -> None:
        """One mido message, and when it came."""
        kind, notes = message.type, self.notes
        if kind in _CLOCK:
            self.out.clock(_CLOCK[kind], ns)
            return
        channel = getattr(message, "channel", None)
        if channel is None:
            return
        channel += 1
        if kind == "note_on":
            notes.on(port, channel, message.note, message.velocity, ns)
        elif kind == "note_off":
            notes.off(port, channel, message.note, ns)
        elif kind == "polytouch":
            notes.key_pressure(channel, message.note, message.value / 127)
        elif kind == "aftertouch":
            notes.pressure(channel, message.value / 127)
        elif kind == "pitchwheel":
            notes.bend(channel, message.pitch / (8192 if message.pitch < 0 else 8191))
        elif kind == "program_change":
            self.out.wish({"do": "program", "number": message.program + 1})
        elif kind == "control_change":
            self._controller(port, channel, message.control, message.value, ns)

    def gone(self, port: str, ns: int) -> None:
        """A port was pulled."""
        self.notes.gone(port, ns)
        self.controllers.pop(port, None)

    def _controller(self, port: str, channel: int, number: int, value: int, ns: int) -> None:
        if number >= ALL_SOUND_OFF:
            if number == RESET:
                self.notes.reset(channel)
            elif number == ALL_SOUND_OFF or number >= ALL_NOTES_OFF:     # those above it imply it
                self.notes.all_off(channel, ns)
            return
        taken = False
        for source, moved in self.controllers.setdefault(port, Controllers()).feed(channel, number, value):
            if source[0] == "rpn":
                self.notes.parameter(source[1], source[2], moved)
                return
            source = self._as_heard(source)
            if source is None:
                return
            self._listen(source, ns)
            taken |= self._learned(source, moved)
        if taken or self.learning:
            return
        if number == WHEEL:
            self.notes.wheel(channel, value / 127)
        elif number == PEDAL and self.kept.voice.pedal != OFF and self.notes.hears(channel):
            self.out.gate(int(self.kept.voice.pedal == "gate2"), value >= 64, ns)

    def _as_heard(self, source: Source) -> Source | None:
        """In an MPE zone a member's controllers are its manager's, as far as its note is the one that sounds."""
        kind, channel, number = source
        manager = self.notes.manager(channel)
        if manager is None:
            return source
        return (kind, manager, number) if channel == self.notes.channel else None

    def _learned(self, source: Source, moved: float) -> bool:
        taken = False
        for name, learned in self.kept.controls.items():
            if learned.source != source:
                continue
            taken = True
            if name != NEXT:
                self.out.controller(name, learned.value(moved), learned.low, learned.high, self.kept.voice.takeover)
            elif moved < 0.5:
                self._pressed.discard(source)
            elif source not in self._pressed:
                self._pressed.add(source)
                self.out.wish({"do": "next"})
        return taken

    # -- learning

    def learn(self, control: str, low: float, high: float, until_ns: int, done) -> None:
        """The next controller that is moved drives this control from ``low`` to ``high``."""
        if self.learning:
            self.learning.done(error=f"{control} is learned instead")
        self.learning = Learning(control, low, high, until_ns, done)

    def _listen(self, source: Source, ns: int) -> None:
        if self.learning:
            self.learning.moved.append(source)
            self.learning.enough_ns = self.learning.enough_ns or ns + LISTEN_NS

    def look(self, now: int) -> None:
        """Let time pass: what was being learned is learned, or nobody moved anything."""
        learning = self.learning
        if learning is None:
            return
        if learning.enough_ns is not None and now >= learning.enough_ns:
            self.learning, source = None, chosen(learning.moved)
            self.kept.controls[learning.control] = Learned(source, learning.low, learning.high)
            if learning.control != NEXT:
                self.out.wish({"do": "learned", "control": learning.control})
            self._saved(learning.done, f"{learning.control} follows {title(source)}, from {learning.low:g} to {learning.high:g}")
        elif now >= learning.until_ns:
            self.learning = None
            learning.done(error=f"no controller was moved, so {learning.control} has learned nothing")

    def unlearn(self, control: str, done) -> None:
        if self.kept.controls.pop(control, None) is None:
            done(error=f"{control!r} has learned no controller; those that have: {', '.join(sorted(self.kept.controls)) or 'none'}")
        else:
            self._saved(done, f"{control} follows no controller any more")

    def change(self, voice: dict, done) -> None:
        """Settings of the voice. Raises ``PatchError``."""
        before, self.kept.voice = self.kept.voice, parse_voice(voice, self.kept.voice)
        for name in self._volts:
            if getattr(before, name) != getattr(self.kept.voice, name):
                self.out.volts(name, getattr(self.kept.voice, name), self._volts[name])
        self.notes.use(self.kept.voice)
        self._saved(done, ", ".join(f"{key} {value}" for key, value in voice.items()))

    def _saved(self, done, text: str) -> None:
        try:
            self.kept.save()
        except NeurorackError as error:
            done(error=f"{text}, until the instrument ends: {error}")
        else:
            done(text=text)

    def told(self) -> dict:
        """Settings and what was learned, for a person."""
        learned = {name: {"source": title(one.source), "low": one.low, "high": one.high} for name, one in sorted(self.kept.controls.items())}
        return {"voice": vars(self.kept.voice), "zones": self.notes.zones, "learned": learned}
