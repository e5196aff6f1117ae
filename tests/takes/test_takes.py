"""Takes begun and ended while it plays: what the card got, sample for sample; names, lists, deletions; the audio process dies."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import soundfile

from neurorack import control
from neurorack.audio.recorder import BEFORE_FRAMES
from neurorack.errors import NeurorackError
from tests.play.runs import until

FRAME = 8
NAME = r"take-\d{4}-\d\d-\d\d-\d{3}\.wav"


def place(audio: bytes, within: bytes) -> int:
    """The frame at which these frames lie within those; -1 nowhere."""
    at = within.find(audio)
    while at > 0 and at % FRAME:
        at = within.find(audio, at + 1)
    return at // FRAME


def kept(playing, name: str):
    """Frames of a take, float32 [frames, 2]."""
    return soundfile.read(playing.folder / name, dtype="float32")[0]


def take(playing, seconds: float) -> str:
    """Record for so long; the take's name."""
    name = playing.ask("record", on=True)["take"]
    time.sleep(seconds)
    told = playing.ask("record", on=False)
    assert told["take"] == name and told["seconds"] == pytest.approx(len(kept(playing, name)) / 48000, abs=0.01)
    return name


def undisturbed(playing, record) -> object:
    """The result of ``record()`` in a while in which the card did not run dry: what it drops then, the recorder has."""
    for _ in range(10):
        xruns, result, blocks = playing.card.xruns, record(), playing.run.rack.audio.blocks
        until(lambda: playing.run.rack.audio.blocks > blocks + 100, 20, "the rest through the card", every=0.05)
        if playing.card.xruns == xruns:
            return result
    pytest.skip("the machine stands still too often for a card to be fed")


def test_takes_are_what_the_card_got(playing):
    """On, off, on again: not a sample is missing in either."""
    names = undisturbed(playing, lambda: [take(playing, seconds) for seconds in (0.5, 1.0)])
    heard, ends = playing.card.played().tobytes(), 0
    for name, seconds in zip(names, (0.5, 1.0)):
        audio = kept(playing, name)
        assert 0.8 * seconds < len(audio) / 48000 < seconds + 1.0 and abs(audio).max() > 0.3
        at = place(audio.tobytes(), heard)
        assert at >= ends - BEFORE_FRAMES, "a take must be a piece of what was played, behind the one before but for its first moment"
        ends = at + len(audio)
    assert [re.fullmatch(NAME, name) is not None for name in names] == [True, True] and names == sorted(names)
    assert playing.run.rack.audio.capture_dropped_frames == 0 and not playing.run.rack.run.recording


def test_a_take_begins_a_moment_before_it_was_asked_for(playing):
    """Else the hit that asked for it would have lost its beginning. (That it is the sound of that moment, the test above says.)"""
    audio = playing.run.rack.audio
    until(lambda: audio.frames > 2 * BEFORE_FRAMES, 20, "enough to begin before")

    def before():
        captured = audio.captured_frames
        return len(kept(playing, take(playing, 0.2))) - (audio.captured_frames - captured)
    assert BEFORE_FRAMES in [before() for _ in range(3)]


def test_the_list_tells_what_is_there_and_what_goes_on(playing):
    name = playing.ask("record")["take"]
    assert playing.ask("record", on=True)["take"] == name, "one that goes on, goes on"
    told = until(lambda: (told := playing.ask("takes"))["seconds"] > 0.3 and told, 10, "0.3 s")
    assert told["recording"] and told["take"] == name and told["folder"] == str(playing.folder) and told["stopped"] is None
    assert told["takes"][0]["name"] == name and told["takes"][0]["about"] == "tone"
    assert told["free_seconds"] == pytest.approx((told["free_bytes"] - (32 << 20)) / (48000 * FRAME), rel=0.01)
    assert playing.ask("status")["recording"]["take"] == name
    playing.ask("record")
    told = playing.ask("takes")
    assert (told["recording"], told["take"], playing.ask("status")["recording"]) == (False, None, None)
    first = told["takes"][0]
    assert first["bytes"] == (playing.folder / name).stat().st_size and first["seconds"] == pytest.approx(len(kept(playing, name)) / 48000, abs=0.01)
    assert playing.ask("record", on=False) == {"recording": False, "take": None, "seconds": 0.0}


def test_a_take_is_deleted_by_its_name_and_nothing_else_is(playing):
    name = take(playing, 0.2)
    outside = playing.folder.parent / "outside.wav"
    outside.write_bytes(b"not yours")
    (playing.folder / "link.wav").symlink_to(outside)
    for wrong in ("../outside.wav", str(outside), "link.wav", ".", "", "none.wav", 7, None):
        with pytest.raises(NeurorackError):
            playing.ask("take_delete", take=wrong)
    assert outside.read_bytes() == b"not yours" and (playing.folder / name).exists()
    playing.ask("take_delete", take=name)
    assert not (playing.folder / name).exists() and name not in playing.names()
    name = playing.ask("record", on=True)["take"]
    with pytest.raises(NeurorackError, match="is being recorded: stop the recording first"):
        playing.ask("take_delete", take=name)
    playing.ask("record", on=False)


def test_the_command_line_says_it_in_a_line(playing):
    def ctl(*words):
        done = subprocess.run([sys.executable, "-m", "neurorack", "ctl", "--pid", str(playing.run.pid), *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout
    assert re.fullmatch(f"recording into {NAME}\n", ctl("record", "on"))
    assert re.fullmatch(rf"recorded \d\.\d s into {NAME}\n", ctl("record"))
    *takes, room = ctl("takes").splitlines()
    assert len(takes) == len(playing.names()) and re.fullmatch(rf"{NAME}  0:0\d  \d\.\d MB  [-0-9]+ [:0-9]+  tone", takes[0])
    assert re.fullmatch(rf"room for [\d:]+ \(\d+ MB free\) in {playing.folder}", room)


@pytest.mark.parametrize("on", ["yes", 1, []])
def test_what_is_neither_on_nor_off(playing, on):
    with pytest.raises(NeurorackError, match="it must be true or false"):
        playing.ask("record", on=on)


def test_a_take_goes_on_in_a_next_file_when_the_audio_process_dies(playing):
    rack = playing.run.rack

    def killed():
        name, restarts = playing.ask("record", on=True)["take"], int(rack.run.restarts[0])
        time.sleep(0.6)
        os.kill(playing.run.pids["audio"], signal.SIGKILL)
        until(lambda: playing.ask("takes")["take"] != name, 20, "the next file", every=0.05)
        time.sleep(0.4)
        assert int(rack.run.restarts[0]) == restarts + 1
        told = playing.ask("record", on=False)
        assert told["take"] == name.replace(".wav", "-002.wav")
        return name, told
    name, told = undisturbed(playing, killed)
    parts = [kept(playing, part) for part in (name, told["take"])]
    assert told["seconds"] == pytest.approx(sum(map(len, parts)) / 48000, abs=0.01)
    heard = playing.card.played().tobytes()
    first = place(parts[0][:-2048].tobytes(), heard)      # what died in the card's buffer nobody heard
    second = place(parts[1].tobytes(), heard)
    assert 0 <= first < first + len(parts[0]) - 2048 <= second
    assert control.request({"do": "takes"}, playing.run.pid)["takes"][0]["name"] == told["take"]
