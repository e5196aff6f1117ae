"""Notes become one gate and one pitch: last note first, 1 V an octave, middle C (note 60) = 0 V.

MPE (MIDI Polyphonic Expression 1.0, MMA 2018): a zone has a manager channel (1 or 16) and members beside it, one note each. A
note's bend, pressure and wheel are its member channel's; the manager's bend is added, of the others the larger counts.
"""

from __future__ import annotations

from neurorack.remote.settings import VoiceSettings

MIDDLE_C = 60
MEMBER_BEND_SEMITONES = 48.0
BEND_RANGE, MPE_CONFIGURATION = 0, 6      # RPNs
PRESSURE_VOLTS = WHEEL_VOLTS = 5.0


def velocity_volts(value: int) -> float:
    """0..127 -> -5..+5 V, 64 exactly 0: what a jack without a cable has."""
    return (value - 64) / (64 if value < 64 else 63) * 5.0


class Notes:
    """The mono voice.

    Args:
        out: ``gate(gate, high, ns)`` and ``volts(name, volts)`` with the names pitch, velocity, pressure and wheel.
    """

    def __init__(self, out, settings: VoiceSettings = VoiceSettings()):
        self.out = out
        self.held: list[tuple[str, int, int]] = []          # (port, channel, note), the last struck last
        self.channel, self.note = None, None                 # whose bend counts; None before the first
        self._bend, self._pressure, self._wheel = {}, {}, {}           # channel -> -1..1, 0..1, 0..1
        self._poly: dict[tuple[int, int], float] = {}                   # (channel, note) -> 0..1
        self.use(settings)

    def use(self, settings: VoiceSettings) -> None:
        """Settings from now on; what a sender set before is forgotten."""
        self.settings = settings
        self.zones = {1: settings.mpe_members} if settings.mpe_members else {}       # manager channel -> members
        self._ranges: dict[int, float] = {}                 # channel (a zone's members: minus its manager) -> semitones

    def manager(self, channel: int) -> int | None:
        """The manager of a member channel, None for any other."""
        for manager, members in self.zones.items():
            if 0 < (channel - manager if manager == 1 else manager - channel) <= members:
                return manager
        return None

    def hears(self, channel: int) -> bool:
        return bool(self.zones) or self.settings.channel in ("all", channel)

    # -- keys

    def on(self, port: str, channel: int, note: int, velocity: int, ns: int) -> None:
        """A key was struck; velocity 0 means released."""
        if velocity == 0:
            self.off(port, channel, note, ns)
            return
        if not self.hears(channel):
            return
        key, others = (port, channel, note), bool(self.held)
        if key in self.held:
            self.held.remove(key)
        self.held.append(key)
        self._poly.pop((channel, note), None)
        self.channel, self.note = channel, note
        self.out.volts("velocity", velocity_volts(velocity))
        self._tell()
        if others and self.settings.mode == "legato":
            return
        if others:
            self.out.gate(0, False, ns)
        self.out.gate(0, True, ns)

    def off(self, port: str, channel: int, note: int, ns: int) -> None:
        self._release([(port, channel, note)], ns)

    def _release(self, keys: list[tuple[str, int, int]], ns: int) -> None:
        """The pitch goes back to the key that is held still; that is no hit."""
        left = [key for key in self.held if key not in keys]
        if len(left) == len(self.held):
            return
        self.held = left
        if left:
            _, self.channel, self.note = left[-1]
            self._tell()
        else:
            self.out.gate(0, False, ns)

    def all_off(self, channel: int, ns: int) -> None:
        """Of a channel; of a zone, where it is its manager's."""
        self._release([key for key in self.held if channel in (key[1], self.manager(key[1]))], ns)

    def gone(self, port: str, ns: int) -> None:
        """A port was pulled: nobody will release its keys."""
        self._release([key for key in self.held if key[0] == port], ns)

    # -- expression

    def bend(self, channel: int, value: float) -> None:
        """-1..1 of the range."""
        self._express(self._bend, channel, value)

    def pressure(self, channel: int, value: float) -> None:
        self._express(self._pressure, channel, value)

    def wheel(self, channel: int, value: float) -> None:
        self._express(self._wheel, channel, value)

    def key_pressure(self, channel: int, note: int, value: float) -> None:
        self._express(self._poly, channel, value, (channel, note))

    def reset(self, channel: int) -> None:
        """All controllers of a channel back to rest."""
        for values in (self._bend, self._pressure, self._wheel):
            values.pop(channel, None)
        self._poly = {key: value for key, value in self._poly.items() if key[0] != channel}
        self._tell()

    def _express(self, values: dict, channel: int, value: float, key=None) -> None:
        if not self.hears(channel):
            return
        values[channel if key is None else key] = value
        if self.note is None:
            self.channel = channel      # nothing was played yet: what moves is what counts
        self._tell()

    def parameter(self, channel: int, number: int, value: float) -> None:
        """An RPN; the value is its coarse half, and the fine one as hundredths of semitones in 128 steps."""
        if number == BEND_RANGE:
            manager = self.manager(channel)
            self._ranges[channel if manager is None else -manager] = min(96.0, int(value) + (value % 1) * 1.28)
            self._tell()
        elif number == MPE_CONFIGURATION and channel in (1, 16):
            members = min(15, int(value))
            self.zones = {manager: count for manager, count in self.zones.items() if manager != channel}
            if members:
                # the newer zone takes channels from the older one
                self.zones = {manager: min(count, 14 - members) for manager, count in self.zones.items() if members < 14}
                self.zones[channel] = members
            self._ranges = {}
            self._tell()

    @property
    def pitch_volts(self) -> float:
        """Of the note that counts, bent."""
        semitones = (MIDDLE_C if self.note is None else self.note) - MIDDLE_C
        manager = self.manager(self.channel)
        usual = self.settings.bend_semitones
        if manager is None:
            semitones += self._bend.get(self.channel, 0.0) * self._ranges.get(self.channel, usual)
        else:
            semitones += self._bend.get(self.channel, 0.0) * self._ranges.get(-manager, MEMBER_BEND_SEMITONES)
            semitones += self._bend.get(manager, 0.0) * self._ranges.get(manager, usual)
        return semitones / 12

    def _tell(self) -> None:
        if self.channel is None:
            return
        both = (self.channel, self.manager(self.channel))
        self.out.volts("pitch", self.pitch_volts)
        pressed = max(self._poly.get((self.channel, self.note), 0.0), *(self._pressure.get(c, 0.0) for c in both))
        self.out.volts("pressure", PRESSURE_VOLTS * pressed)
        self.out.volts("wheel", WHEEL_VOLTS * max(self._wheel.get(c, 0.0) for c in both))
