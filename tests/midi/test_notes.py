"""Notes to gate and pitch, with real mido messages."""

import pytest

mido = pytest.importorskip("mido")

from neurorack.remote.midi import Midi  # noqa: E402
from neurorack.remote.settings import Kept, parse_voice  # noqa: E402
from tests.midi import Heard  # noqa: E402


class Player:
    """Sends messages, each a nanosecond after the other."""

    def __init__(self, **voice):
        self.heard = Heard()
        self.midi = Midi(self.heard, Kept(voice=parse_voice(voice)))
        self.ns = 0

    def send(self, kind, port="keys", **values):
        self.ns += 1
        self.midi.handle(port, mido.Message(kind, **values), self.ns)

    def rpn(self, channel, number, coarse):
        for control, value in ((101, number >> 7), (100, number & 127), (6, coarse), (101, 127), (100, 127)):
            self.send("control_change", channel=channel, control=control, value=value)

    @property
    def pitch(self):
        return self.heard.jacks["pitch"][1]

    @property
    def gates(self):
        return [high for gate, high, _ in self.heard.edges if gate == 0]


def test_the_last_note_struck_sounds():
    player = Player()
    for note in (60, 72, 48):
        player.send("note_on", note=note, velocity=100)
    assert player.pitch == -1.0 and player.gates == [True, False, True, False, True], "each key struck is a hit"
    player.send("note_off", note=72)
    assert player.pitch == -1.0, "a key that does not sound leaves unheard"
    player.send("note_off", note=48)
    assert player.pitch == 0.0 and len(player.gates) == 5, "back to the key still held, without a hit"
    player.send("note_on", note=60, velocity=0)
    assert player.gates[-1] is False and player.pitch == 0.0, "the pitch stays for what still rings"
    player.send("note_off", note=99)
    assert len(player.gates) == 6


def test_legato_moves_the_pitch_alone():
    player = Player(mode="legato")
    player.send("note_on", note=60, velocity=100)
    player.send("note_on", note=67, velocity=20)
    assert player.gates == [True] and player.pitch == pytest.approx(7 / 12, abs=1e-6)
    player.send("note_off", note=60)
    player.send("note_off", note=67)
    assert player.gates == [True, False]


def test_edges_carry_the_time_of_their_message_and_voltages_come_first():
    player = Player()
    seen = []
    player.heard.gate = lambda gate, high, ns: seen.append((high, ns, dict(player.heard.jacks)))
    player.send("note_on", note=72, velocity=127)
    high, ns, jacks = seen[0]
    assert high and ns == 1 and jacks["pitch"] == ("cv1", 1.0) and jacks["velocity"] == ("cv2", 5.0)


def test_velocity_64_is_what_an_empty_jack_has():
    player = Player()
    for velocity, volts in ((127, 5.0), (64, 0.0), (1, -4.921875)):
        player.send("note_on", note=60, velocity=velocity)
        player.send("note_off", note=60)
        assert player.heard.jacks.get("velocity", ("cv2", 0.0)) == ("cv2", volts)


def test_bend_pressure_wheel_and_pedal():
    player = Player(bend_semitones=12, pedal="gate2", wheel="cv7", pressure="off")
    player.send("note_on", note=60, velocity=64)
    player.send("pitchwheel", pitch=8191)
    assert player.pitch == 1.0
    player.send("pitchwheel", pitch=-8192)
    assert player.pitch == -1.0
    player.rpn(0, 0, 24)
    assert player.pitch == -2.0, "the sender sets the bend's range"
    player.send("aftertouch", value=127)
    assert player.heard.jacks["pressure"] == ("off", 5.0)
    player.send("aftertouch", value=0)
    player.send("polytouch", note=61, value=127)
    assert player.heard.jacks["pressure"][1] == 0.0, "of another key"
    player.send("polytouch", note=60, value=127)
    assert player.heard.jacks["pressure"][1] == 5.0
    player.send("control_change", control=1, value=127)
    player.send("control_change", control=64, value=127)
    player.send("control_change", control=64, value=0)
    assert player.heard.jacks["wheel"] == ("cv7", 5.0) and [e[:2] for e in player.heard.edges[-2:]] == [(1, True), (1, False)]
    player.send("control_change", control=121, value=0)
    assert player.heard.jacks["wheel"][1] == 0.0 and player.pitch == 0.0, "all controllers at rest"


def test_one_channel_alone():
    player = Player(channel=3)
    player.send("note_on", note=60, velocity=100)
    player.send("control_change", control=1, value=127)
    assert not player.gates and "wheel" not in player.heard.jacks
    player.send("note_on", note=60, velocity=100, channel=2)
    assert player.gates == [True]


def test_nothing_hangs_when_a_port_is_pulled_or_notes_are_cut():
    player = Player()
    player.send("note_on", port="a", note=60, velocity=100)
    player.send("note_on", port="b", note=72, velocity=100)
    player.midi.gone("b", 99)
    assert player.pitch == 0.0 and player.gates[-1] is True
    player.midi.gone("a", 99)
    assert player.gates[-1] is False
    player.send("note_on", note=60, velocity=100)
    player.send("control_change", control=123, value=0)
    assert player.gates[-1] is False


@pytest.mark.parametrize("told", ["by the sender", "by setting"])
def test_mpe_bends_each_note_by_itself(told):
    player = Player(mpe_members=0 if told == "by the sender" else 15)
    if told == "by the sender":
        player.rpn(0, 6, 15)
    player.send("note_on", channel=1, note=60, velocity=100)
    player.send("note_on", channel=2, note=72, velocity=100)
    player.send("pitchwheel", channel=1, pitch=8191)
    assert player.pitch == 1.0, "another note's bend"
    player.send("pitchwheel", channel=2, pitch=4096)
    assert player.pitch == pytest.approx(1 + 48 * 4096 / 8191 / 12, abs=1e-5)
    player.send("pitchwheel", channel=2, pitch=0)
    player.send("pitchwheel", channel=0, pitch=8191)
    assert player.pitch == pytest.approx(1 + 2 / 12, abs=1e-5), "the manager's bend is everyone's, over its own range"
    player.rpn(5, 0, 12)
    player.send("pitchwheel", channel=2, pitch=8191)
    assert player.pitch == pytest.approx(1 + 2 / 12 + 1, abs=1e-5), "a range told to one member holds for all"
    player.send("aftertouch", channel=1, value=127)
    assert player.heard.jacks.get("pressure", ("", 0.0))[1] == 0.0
    player.send("aftertouch", channel=2, value=127)
    assert player.heard.jacks["pressure"][1] == 5.0
    player.send("note_off", channel=2, note=72)
    assert player.pitch == pytest.approx(4 - (48 - 12) / 12 + 2 / 12, abs=1e-5), "the held note's own bend"


def test_mpe_zones_share_the_channels():
    player = Player()
    player.rpn(0, 6, 15)
    player.rpn(15, 6, 5)
    assert player.midi.notes.zones == {1: 9, 16: 5}
    assert [player.midi.notes.manager(c) for c in (1, 2, 10, 11, 15, 16)] == [None, 1, 1, 16, 16, None]
    player.rpn(15, 6, 0)
    assert player.midi.notes.zones == {1: 9}


def test_a_program_is_a_wish():
    player = Player()
    player.send("program_change", program=4)
    assert player.heard.wishes == [{"do": "program", "number": 5}]
