"""The audio input: through an encoder into latents, through another model's encoder, or straight through an effect."""

import ctypes

import numpy as np
import pytest
import soundfile

from neurorack.core import declare
from neurorack.engine import Model
from neurorack.errors import ModelError, NeurorackError
from neurorack.render import render
from neurorack.score import parse
from neurorack.shm import table
from neurorack.shm.rack import Rack
from neurorack.voice.patch import Patch, default_patch
from neurorack.voice.voice import Voice
from tests.voice.drive import Driven
from tests.voice.models import codec
from tests.voice.test_drone import NEAR, SHIFT, rows

HOP = 512
HEARS = {"wander": 0.0, "input": 1.0}


def levels(count, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 0.9, count).astype(np.float32)


def held(values, hop=HOP):
    """A square wave of these levels, a hop each, stereo."""
    signal = np.repeat(values, hop) * (-1.0) ** np.arange(len(values) * hop)
    return np.stack([signal, signal], 1).astype(np.float32)


@pytest.mark.parametrize("block", [512, 2048])
def test_the_encoder_s_latents_drive_the_decoder_frame_for_frame(loaded, block):
    want = levels(60)
    play = Driven(loaded["codec"], block_frames=block, patch=Patch(knobs=HEARS), listen=True)
    seen = rows(play.run(56 * HOP, held(want)))
    assert seen[8:55, 0] == pytest.approx(want[8:55], rel=0.02, abs=0.01)
    assert seen[8:55, 1] == pytest.approx(0.5 * want[8:55], rel=0.02, abs=0.01)


def test_knobs_bend_what_was_heard_and_a_half_open_input_mixes(loaded):
    knobs = {**HEARS, "latent 1": 0.5 + 0.1 / 6, "input": 0.5}
    seen = rows(Driven(loaded["codec"], block_frames=HOP, patch=Patch(knobs=knobs), listen=True).run(40 * HOP, held(np.full(50, 0.6))))
    assert seen[10:, 0] == pytest.approx(0.5 * 0.3 + 0.5 * 0.6 + 0.1, **NEAR)


def test_without_an_input_nothing_is_encoded_and_silence_is_the_rest_s_business(loaded):
    voice = Voice(loaded["codec"], HOP)
    assert not voice.listens and voice.encode.program is None
    heard = rows(Driven(loaded["codec"], block_frames=HOP, patch=Patch(knobs=HEARS), listen=True).run(20 * HOP))
    assert heard[8:].max() < 1e-3, "the encoder heard silence"


@pytest.mark.parametrize("rate", [44100, 96000])
def test_the_input_comes_at_the_model_s_rate(loaded, rate):
    """A tone's rectified mean is its own at any rate."""
    t = np.arange(rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 1000 * t)[:, None] * np.ones(2)
    play = Driven(loaded["codec"], block_frames=HOP, rate_hz=rate, patch=Patch(knobs={**HEARS, "decay": 1.0}), listen=True)
    play.run(40000, tone.astype(np.float32))
    assert play.voice.input_frames == pytest.approx(48000 - 79 * HOP, abs=64)
    assert play.voice.encode.program.output[0, 0] == pytest.approx(0.5 * 2 / np.pi, rel=0.02)


def test_live_input_that_comes_late_is_silence_and_then_flows_again(loaded):
    play = Driven(loaded["codec"], block_frames=HOP, patch=Patch(knobs={**HEARS, "decay": 1.0}), listen=True, cushion_frames=128)
    piece = held(np.full(1, 0.5), 128)
    for block in range(120):
        for _ in range(4 if not 40 <= block < 50 else 0):
            play.voice.write_input(piece)
        play.run(HOP)
        if block in (39, 119):
            assert play.voice.encode.program.output[0, 0] == pytest.approx(0.5, rel=0.01)
        if block == 48:
            assert play.voice.encode.program.output[0, 0] == 0
    assert play.voice.input_frames <= HOP + 128, "no more delay than it needs"


def test_the_shared_ring_is_followed_by_each_from_its_own_place(loaded):
    rack = Rack.create(sample_rate_hz=48000, block_frames=128)
    follow = declare("nr_voice_follow_input", None, ctypes.c_void_p, ctypes.c_void_p)
    a, b = (Driven(loaded["codec"], block_frames=HOP, patch=Patch(knobs={**HEARS, "decay": 1.0}), listen=True, cushion_frames=128) for _ in range(2))
    for block in range(200):
        rack.input_frames.write(held(np.full(1, 0.5), 512))
        for play, every in ((a, 1), (b, 4)):
            if block % every == every - 1:
                follow(play.voice.handle, rack.base)
            play.run(HOP)
    for play in (a, b):
        assert play.voice.encode.program.output[0, 0] == pytest.approx(0.5, rel=0.01)


def test_one_that_looked_too_late_goes_on_with_what_is_whole(loaded):
    """Two rings' length later it hears the newest half of one, in order."""
    rack = Rack.create(sample_rate_hz=48000, block_frames=128)
    follow = declare("nr_voice_follow_input", None, ctypes.c_void_p, ctypes.c_void_p)
    play = Driven(loaded["codec"], block_frames=HOP, patch=Patch(knobs={**HEARS, "decay": 1.0}), listen=True, cushion_frames=128)
    follow(play.voice.handle, rack.base)
    rack.input_frames.write(held(np.full(1, 0.9), 2 * table.RING_CAPACITY_FRAMES))
    rack.input_frames.write(held(np.full(1, 0.25), table.RING_CAPACITY_FRAMES // 2))
    follow(play.voice.handle, rack.base)
    assert play.voice.input_frames == table.RING_CAPACITY_FRAMES // 2
    play.run(HOP)
    assert play.voice.encode.program.output[0, 0] == pytest.approx(0.25, rel=0.01)


# ---- another model's encoder, and effects


def test_another_model_s_encoder_feeds_this_decoder(loaded, tmp_path):
    deaf = codec(tmp_path / "deaf.safetensors", methods=("decode",))
    want = levels(40)
    play = Driven(deaf, block_frames=HOP, patch=Patch(), listen=True, encoder=loaded["codec"])
    assert rows(play.run(38 * HOP, held(want)))[8:36, 0] == pytest.approx(want[8:36], rel=0.02, abs=0.01)


@pytest.mark.parametrize("make, what", [
    (lambda path: codec(path, methods=("decode",)), "needs a method encode"),
    (lambda path: codec(path, hop=1024, blocks=(1024, 2048)), "1024 frames a latent against 512"),
    (lambda path: codec(path, rate=44100), "44100 Hz against 48000"),
    (lambda path: codec(path, blocks=(4096,)), "blocks of 4096 frames against 512, 1024, 2048")])
def test_a_pair_that_does_not_agree_is_refused_by_what_does_not(loaded, tmp_path, make, what):
    with pytest.raises(ModelError, match=what):
        Voice(loaded["codec"], HOP, encoder=make(tmp_path / "other.safetensors"), listen=True)


def test_a_model_with_forward_alone_plays_the_input(loaded):
    play = Driven(loaded["effect"], block_frames=256, patch=Patch(), listen=True)
    t = np.arange(48000) / 48000
    tone = np.repeat(0.6 * np.sin(2 * np.pi * 440 * t)[:, None], 2, axis=1)
    audio = play.run(40000, tone.astype(np.float32))
    assert audio[8000:, 0] == pytest.approx(0.5 * tone[8000 - 16: len(audio) - 16, 0], abs=1e-2)
    assert np.abs(Driven(loaded["effect"], block_frames=256, patch=Patch()).run(4096)).max() == 0, "no input, no sound"


def test_the_patch_opens_the_input_where_there_is_one(loaded):
    card = loaded["codec"].card
    assert default_patch(card, listens=True).knobs == {"input": 1.0} and default_patch(card).knobs == {}
    assert default_patch({**card, "patch": {"knobs": {"input": 0.2}}}, listens=True).knobs == {"input": 0.2}


# ---- render


def test_render_follows_a_file(made, tmp_path):
    score = parse({"seconds": 1.0})
    loud = np.concatenate([np.zeros(24000), 0.8 * np.sin(np.arange(24000) * 0.13)])
    soundfile.write(tmp_path / "in.wav", loud, 48000)
    audio, report = render(score, model=str(made["codec"]), block_frames=512, input_path=tmp_path / "in.wav")
    assert np.abs(audio[12000:23000]).max() < 0.01 < 0.3 < np.abs(audio[26000:]).max() and report["nan_count"] == 0
    slower, _ = render(score, model=str(made["codec"]), block_frames=1024, input_path=tmp_path / "in.wav")
    assert np.abs(audio - slower).max() < 1e-5, "the same at every block size"
    soundfile.write(tmp_path / "in44.wav", loud[::2], 24000)
    other, _ = render(score, model=str(made["codec"]), block_frames=512, input_path=tmp_path / "in44.wav")
    assert np.abs(other[26000:]).max() == pytest.approx(np.abs(audio[26000:]).max(), rel=0.05)


def test_render_says_when_there_is_nothing_to_follow_with(made, tmp_path):
    soundfile.write(tmp_path / "in.wav", np.zeros(100), 48000)
    with pytest.raises(NeurorackError, match="no encoder for its inputs"):
        render(parse({"seconds": 0.1}), model=str(made["tone"]), input_path=tmp_path / "in.wav")
    with pytest.raises(ModelError, match="cannot be read as sound"):
        render(parse({"seconds": 0.1}), model=str(made["codec"]), input_path=tmp_path / "gone.wav")


def test_render_from_the_command_line(made, tmp_path, capsys):
    from neurorack.cli import main

    (tmp_path / "score.yaml").write_text("seconds: 0.5\n")
    soundfile.write(tmp_path / "in.wav", 0.5 * np.sin(np.arange(24000) * 0.1), 48000)
    arguments = ["render", str(tmp_path / "score.yaml"), str(tmp_path / "out.wav"), "--model", str(made["codec"]), "--block", "512"]
    assert main([*arguments, "--input", str(tmp_path / "in.wav"), "--encoder", str(made["codec"])]) == 0
    assert np.abs(soundfile.read(tmp_path / "out.wav")[0]).max() > 0.1
    assert main([*arguments, "--input", str(tmp_path / "none.wav")]) == 2 and "cannot be read as sound" in capsys.readouterr().err
