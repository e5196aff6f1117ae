"""The whole instrument played over MIDI and OSC: edges, latency, learning, program change, a run without sound jacks' help."""

import os
import socket
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from neurorack import control
from neurorack.desk.cables import Cables
from neurorack.drivers import board as boards
from neurorack.drivers.desk import Wires
from neurorack.errors import NeurorackError
from neurorack.inputs.conditioner import Conditioner
from neurorack.inputs.process import Scanner
from neurorack.remote import wire
from neurorack.remote.hand import Remote
from neurorack.shm.rack import Rack
from tests.midi.jack import Keys
from tests.play.runs import Playing, until, write_score


def ctl(run, *arguments):
    return subprocess.run([sys.executable, "-m", "neurorack", "ctl", "--pid", str(run.pid), *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def playing(server, tone, tmp_path_factory):
    """A run whose jacks stay silent, and a keyboard."""
    folder = tmp_path_factory.mktemp("midi")
    score = write_score(folder / "score.yaml", 120)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        osc = free.getsockname()[1]
    keys, state = Keys("keys"), folder / "state"
    state.mkdir()
    (state / "midi.yaml").write_text("kind: midi\nformat: 1\ncontrols:\n  sharpness: {source: cc, channel: 4, number: 74, high: 0.75}\n"
                                     "  a knob: {source: cc, channel: 6, number: 74}\n")
    with Playing(folder, "--model", str(tone), "--score", str(score), "--midi", "keys", "--osc", str(osc), env={"STATE_DIRECTORY": str(state)}) as run:
        run.keys, run.state, run.osc = keys, state, ("127.0.0.1", osc)
        run.sounding()
        until(lambda: run.rack.remote.ports == 1, 15, "the keyboard's port")
        yield run
    keys.close()


def test_a_note_sounds(playing):
    rack, hits = playing.rack, 8
    edges, triggers, notes = rack.edge_reader(), rack.synth[0].triggers, rack.remote.notes
    sent, loud = {}, 0.0
    for note in range(60, 60 + hits):
        sent[note] = playing.keys.send("note_on", note=note, velocity=100)
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            loud = max(loud, float(rack.audio.peak[0]))
            time.sleep(0.001)
        playing.keys.send("note_off", note=note)
        time.sleep(0.02)
    until(lambda: rack.synth[0].triggers - triggers == rack.remote.notes - notes >= hits - 3, 5, "a hit for each note that came")
    assert loud > 0.01
    rises = []
    while edge := edges.next():
        if edge.rising:
            rises.append((60 + round(12 * edge.cv_volts[0]), edge.edge_ns, edge.publish_ns, edge.cv_volts[1]))
    assert len(rises) == rack.remote.notes - notes and {rise[0] for rise in rises} <= set(sent), "each edge carries its pitch"
    assert all(abs(rise[3] - 36 / 63 * 5) < 0.05 for rise in rises), "and its velocity; a converter's noise beside it"
    stamped = statistics.median(edge_ns - sent[note] for note, edge_ns, _, _ in rises) / 1e6
    published = statistics.median(publish_ns - edge_ns for _, edge_ns, publish_ns, _ in rises) / 1e6
    print(f"note sent to edge: {stamped:.2f} ms; edge to published: {published:.2f} ms")
    assert 0 < stamped < 25, "two periods of JACK are 10.7 ms"
    assert published < 20


def pressed(playing) -> None:
    """A key goes down and its gate is up; again, should a message be lost on its way."""
    def press():
        playing.keys.send("note_on", note=60, velocity=1)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            if playing.rack.read_controls()[1] & 1:
                return True
            time.sleep(0.002)
        playing.keys.send("note_off", note=60)
        time.sleep(0.1)
        return False
    until(press, 15, "the gate")


def released(playing) -> bool:
    playing.keys.send("note_off", note=60)
    time.sleep(0.1)
    return not playing.rack.read_controls()[1] & 1


def test_the_gate_is_held_from_afar_and_by_nobody_else(playing):
    pressed(playing)
    until(lambda: released(playing), 5, "its end")


def test_learning_by_moving(playing):
    name = next(iter(control.request({"do": "status"}, playing.pid)["slots"]["A"]["controls"]))
    learn = subprocess.Popen([sys.executable, "-m", "neurorack", "ctl", "--pid", str(playing.pid), "learn", name, "--low", "0.2", "--high", "0.9", "--inverted", "--seconds", "20"],
                             stdout=subprocess.PIPE, text=True)
    value = 0
    while learn.poll() is None:
        value = (value + 1) % 60
        playing.keys.send("control_change", control=21, value=value)
        time.sleep(0.03)
    assert learn.returncode == 0 and f"{name} follows controller 21 on channel 1, from 0.9 to 0.2" in learn.stdout.read()
    until(lambda: playing.keys.send("control_change", control=21, value=127) and control.request({"do": "status"}, playing.pid)["patch"]["knobs"].get(name) == 0.2, 10, "the control")
    assert "number: 21" in (playing.state / "midi.yaml").read_text()
    told = ctl(playing, "midi", "mode=legato", "bend_semitones=12")
    assert told.returncode == 0 and "legato" in told.stdout
    told = ctl(playing, "midi")
    assert "keys" in told.stdout and "mode legato" in told.stdout and f"{name}: controller 21" in told.stdout
    refused = ctl(playing, "learn", "no such control")
    assert refused.returncode == 2 and name in refused.stderr and refused.stderr.count("\n") == 1
    assert ctl(playing, "unlearn", name).returncode == 0


def test_a_learned_controller_does_not_make_its_control_jump(playing):
    """It was moved by another hand: the fader is followed once it gets there, or (scale) from where it stands."""
    def ask(**what):
        return control.request(what, playing.pid)

    def move(*values):
        for value in values:
            messages = playing.rack.remote.messages
            playing.keys.send("control_change", control=74, channel=5, value=value)
            until(lambda: playing.rack.remote.messages > messages, 5, "the message")
            time.sleep(0.1)
        return ask(do="status")["patch"]["knobs"]["a knob"]

    ask(do="set", control="a knob", value=0.5)
    assert move(10, 20, 30) == 0.5 and "the control at 0.50" in ctl(playing, "midi").stdout
    assert move(70) == pytest.approx(70 / 127) and move(127) == 1.0, "it has passed, and is followed"
    ask(do="set", control="a knob", value=0.2)
    ask(do="midi", voice={"takeover": "scale"})
    assert 0.1 < move(120, 64) < 0.2 and move(0) == 0.0 and move(127) == 1.0
    ask(do="set", control="a knob", value=0.5)
    ask(do="midi", voice={"takeover": "jump"})
    assert move(0) == 0.0


def test_osc_plays_the_same_things(playing):
    from tests.midi.test_osc import packet

    rack, remote = playing.rack, playing.rack.remote
    triggers, bad = rack.synth[0].triggers, remote.osc_bad
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for data in (packet("/neurorack/trigger"), b"\xff" * 40, packet("/neurorack/nothing"), packet("/neurorack/cv/3", 2.5), packet("/neurorack/control/mix", 0.7)):
            sender.sendto(data, playing.osc)
        until(lambda: rack.synth[0].triggers == triggers + 1, 5, "the hit")
        until(lambda: abs(rack.get_cv(2) - 2.5) < 0.1, 5, "the voltage")
        sender.sendto(packet("/neurorack/cv/3", 0.0), playing.osc)
    assert remote.osc_bad == bad + 2


def test_a_killed_remote_process_leaves_no_note_hanging(playing):
    rack = playing.rack
    pressed(playing)
    pid = rack.remote.pid
    os.kill(pid, 9)
    until(lambda: rack.run.restarts[4] == 1 and not rack.read_controls()[1] & 1, 15, "the gate's fall")
    until(lambda: rack.remote.pid != pid and rack.remote.ports == 1, 15, "the port again")
    assert list(rack.run.restarts)[:4] == [0, 0, 0, 0]


def test_midi_clock_gives_the_tempo(playing):
    section, remote = playing.rack.inputs, playing.rack.remote
    before = remote.messages

    def start():
        playing.keys.send("start")
        time.sleep(0.1)
        return remote.messages > before
    until(start, 5, "the start")
    before = remote.messages
    at = time.monotonic()
    for i in range(48):
        playing.keys.send("clock")
        time.sleep(max(0.0, at + (i + 1) * 0.02 - time.monotonic()))
    assert section.clock_running == 3 and section.tempo_bpm == pytest.approx(125, rel=0.1) 
    until(lambda: section.clock_pulses == remote.messages - before > 20, 5, "every pulse that came")
    assert control.request({"do": "status"}, playing.pid)["inputs"]["clock"] == "MIDI"


def test_a_program_is_a_scene_and_what_was_learned_survives_it(playing):
    """The run's file of learned controls knows ``sharpness``, which the first model does not have."""
    def ask(**what):
        return control.request(what, playing.pid)

    until(lambda: playing.keys.send("control_change", control=74, channel=3, value=127) and ask(do="status")["patch"]["knobs"].get("sharpness") == 0.75, 10, "the control")
    with pytest.raises(NeurorackError, match="there is no scene 7"):
        ask(do="program", number=7)
    told = ask(do="status")
    first = told["slots"][told["heard"]]["file"]
    ask(do="swap", model="impacts")
    ask(do="scene_save", number=7)
    ask(do="swap", model=first)
    playing.keys.send("program_change", program=6)
    told = until(lambda: (t := ask(do="status"))["swaps"]["done"] == 3 and t, 20, "the scene's model")
    slot = told["slots"][told["heard"]]
    assert slot["model"] == "impacts" and slot["controls"]["sharpness"] == pytest.approx(0.75, abs=0.01)
    until(lambda: playing.keys.send("control_change", control=74, channel=3, value=0) and ask(do="status")["slots"][told["heard"]]["controls"]["sharpness"] < 0.3, 10, "the control")


def test_the_built_in_patch_lets_go_of_a_jack_that_is_played():
    rack = Rack.create(sample_rate_hz=48000, block_frames=64)
    wires = Wires(rack, boards.load("desk"))
    cables = Cables(wires)
    cables.play_built_in(True)
    cables.plug("cv3", {"kind": "voltage", "volts": 1.0})
    remote = Remote(SimpleNamespace(cables=cables, settings=None, preferences={}))
    wires.set_cv(1, 3.0)
    for jack in (1, 2, 7):
        remote._let_go(jack)
    assert set(cables.sources) == {"gate1", "cv1", "cv3", "cv4"} and rack.desk.cv_wire_volts[1] == 0


def test_it_plays_a_real_boards_gates_too(server, tone, tmp_path):
    keys = Keys("stage")
    try:
        with Playing(tmp_path, "--model", str(tone), "--board", "pi", "--simulated", "--score", str(write_score(tmp_path / "s.yaml", 60)), "--midi", "stage") as run:
            run.sounding()
            until(lambda: run.rack.remote.ports == 1, 15, "the port")
            edges, before = run.rack.edge_reader(), run.rack.synth[0].triggers
            until(lambda: keys.send("note_on", note=72, velocity=100) and time.sleep(0.2) is None and run.rack.synth[0].triggers > before, 10, "the hit")
            edge = edges.next()
            assert edge.jack == 0 and edge.rising and abs(edge.cv_volts[0] - 1.0) < 0.1
            keys.send("note_off", note=72)
    finally:
        keys.close()


def test_edges_from_afar_and_from_the_jack_hold_one_gate():
    rack = Rack.create(sample_rate_hz=48000, block_frames=64)
    settings = boards.load("desk")
    wires = Wires(rack, settings)
    child = SimpleNamespace(rack=rack, config={}, say=print)
    scanner = Scanner(child, boards.open_board(settings, rack, {"gate_fd": wires.far.detach()}), Conditioner(settings["cv"]))
    near, far = wire.pair()
    scanner.remote, sender, edges = wire.Receiver(far.detach()), wire.Sender(near), rack.edge_reader()

    def seen():
        time.sleep(0.002)
        scanner.take_edges()
        scanner.take_remote()
        now = time.monotonic_ns() + 10_000_000
        scanner.take_due(now)
        scanner.publish_settled(now)
        found = []
        while edge := edges.next():
            found.append((edge.jack, edge.rising))
        return found

    sender.send(time.monotonic_ns(), 0, True)
    assert seen() == [(0, 1)]
    wires.set_gate(0, 5.0)
    assert seen() == [(0, 1)], "a hit at the jack while a key is down"
    sender.send(time.monotonic_ns(), 0, False)
    assert seen() == [], "the cable holds it still"
    wires.set_gate(0, 0.0)
    assert seen() == [(0, 0)]
    sender.send(time.monotonic_ns(), 1, False)
    assert seen() == [], "what nobody holds does not fall"
