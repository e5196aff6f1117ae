"""Cards that come and go, cards that are not there, and what the card is told to be."""

import time

import numpy as np
import pytest

from tests.conftest import no_card
from tests.play.runs import hits, onsets, until, write_score
from tests.rig.card import FakeCard

EVERY = 0.15


@pytest.fixture
def score(tmp_path):
    return write_score(tmp_path / "score.yaml", 60, hits(60, EVERY))


# ---- unplugged


@pytest.mark.parametrize("how", ["ends", "spins"])
def test_unplugged_while_playing_and_back(play, card, tone, score, how):
    """The instrument keeps running and says so; hits are heard again once the card is back."""
    run = play("--model", tone, "--score", score, card=card).sounding()
    rack = run.rack
    until(lambda: rack.synth[0].triggers >= 3, 20, "the third hit")
    card.unplug(how)
    until(lambda: rack.audio.device_state == 3, 10, "the null device")
    triggers = rack.synth[0].triggers
    until(lambda: rack.synth[0].triggers > triggers + 2, 10, "hits, though nobody hears them")
    blocks, began = rack.audio.blocks, time.monotonic()
    time.sleep(0.5)
    assert (rack.audio.blocks - blocks) / (time.monotonic() - began) == pytest.approx(48000 / 128, rel=0.15), "it keeps the card's pace"
    assert "CardLost: the sound card 'rig' is gone" in run.said
    heard = len(onsets(card.played()))
    card.plug()
    until(lambda: rack.audio.device_state == 1, 10, "the card")
    until(lambda: len(onsets(card.played())) >= heard + 4, 15, "four hits heard", every=0.1)
    assert rack.audio.reconnects == 1 and "the sound card 'rig' is here; playing through it" in run.said
    at = np.array([card.frame_ns(int(i)) / 1e9 for i in onsets(card.played())[heard + 1:]])
    assert np.median(np.diff(at)) == pytest.approx(EVERY, abs=0.02)
    assert len(run.pids) == 3 and run.stop() < 1.5
    assert run.report["restarts"] == {"audio": 0, "synth": 0, "inputs": 0}
    assert not card.played()[-64:].any()


# ---- not there


def test_no_card_is_a_named_warning_and_the_card_that_appears_is_taken(play, card, tone, score):
    card.unplug()
    run = play("--model", tone, "--score", score, card=card, device="").sounding()
    assert run.rack.audio.device_state == 3
    assert "warning: NoSoundCard: there is no sound card; playing into the null device until one appears" in run.said
    until(lambda: "plays on null" in run.said, 10, "the word that it plays")
    card.plug()
    until(lambda: run.rack.audio.device_state == 1, 10, "the card")
    until(lambda: len(onsets(card.played())) >= 2, 15, "hits heard", every=0.1)
    run.stop()
    assert run.report["device"] == "rig" and run.report["reconnects"] == 1


@pytest.fixture
def no_portaudio(tmp_path):
    """Environment in which python-sounddevice does not find its library."""
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    return {"PYTHONPATH": f"{folder}:{__file__.rsplit('/tests/', 1)[0]}"}


def test_no_portaudio_is_a_named_warning_with_its_remedy(play, tone, no_portaudio):
    run = play("--model", tone, "--seconds", 0.3, device="", env=no_portaudio)
    assert run.finish()["device"] == "null"
    assert "warning: NoPortAudio: PortAudio is missing (PortAudio library not found): run `make setup`, or: sudo apt-get install libportaudio2" in run.said


def test_a_device_asked_for_and_no_portaudio_is_an_error(play, tone, no_portaudio):
    run = play("--model", tone, device="rig", env=no_portaudio)
    assert run.process.wait(20) == 2 and "PortAudio is missing" in run.said and "Traceback" not in run.said


def test_an_unknown_device_is_an_error_that_names_the_known_ones(play, card, tone):
    for name in ("kazoo", "17"):
        run = play("--model", tone, card=card, device=name)
        assert run.process.wait(20) == 2
        assert f"there is no output device '{name}'; the outputs are: rig (or null, for none)" in run.said
        assert "Traceback" not in run.said and not run.report_path.exists()


def test_a_rate_the_card_does_not_play_is_an_error(play, tmp_path, tone):
    if why := no_card():
        pytest.skip(why)
    with FakeCard(tmp_path, rates=(48000,)) as card:
        run = play("--model", tone, "--rate", 96000, card=card)
        assert run.process.wait(20) == 2
        assert "'rig' does not play 96000 Hz in blocks of 128" in run.said and "try another --rate" in run.said


def test_a_driver_that_crashes_ends_the_run_with_a_remedy(play, tone, tmp_path):
    """PortAudio 19.6 aborts under this configuration."""
    (tmp_path / "alsa.conf").write_text("pcm.none { type null hint { show off } }")
    run = play("--model", tone, device="", env={"ALSA_CONFIG_PATH": str(tmp_path / "alsa.conf"), "JACK_NO_START_SERVER": "1"})
    try:
        code = run.process.wait(20)
    except Exception:
        if run.attach().audio.blocks:
            pytest.skip("this PortAudio does not crash")
        raise
    assert code == 2 and "5 times before the first sound" in run.said and "--device null" in run.said
    assert run.left_over() == []


# ---- rates and blocks


def pitch(piece: np.ndarray, rate: int) -> float:
    """Of its strongest partial, Hz."""
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 1 << 16))
    return float(np.argmax(spectrum)) * rate / (1 << 16)


@pytest.mark.parametrize("rate, block", [pytest.param(44100, 128, marks=pytest.mark.soak), (96000, 256), (48000, 32), (48000, 1024),
                                         pytest.param(48000, 100, marks=pytest.mark.soak), (44100, 480)])
def test_every_rate_and_block(play, card, tone, tmp_path, rate, block):
    score = write_score(tmp_path / "score.yaml", 60, hits(60, 0.2))
    run = play("--model", tone, "--score", score, "--rate", rate, "--block", block, card=card).sounding()
    until(lambda: len(onsets(card.played(), quiet_frames=rate // 32)) >= 6, 30, "six hits", every=0.1)
    run.stop()
    report, played = run.report, card.played()
    last = max(card.runs(), key=lambda one: one.frames)
    assert (last.rate, last.period_frames) == (rate, block) and (report["rate"], report["block"]) == (rate, block)
    assert report["triggers"] >= 6 and report["late_edges"] <= report["triggers"] // 2, "with the times wrong it would be all"
    heard = onsets(played, quiet_frames=rate // 32)[:-1]      # the last one may have been cut short
    pitches = [pitch(played[first + rate // 100:first + rate // 25, 0], rate) for first in heard]
    assert np.median(pitches) == pytest.approx(1000, abs=5), "a late block may tear one hit, not most"
    assert np.median(np.diff(heard)) / rate == pytest.approx(0.2, abs=0.02)
    assert report["blocks"] * block == pytest.approx(len(played), rel=0.2, abs=rate // 4)


def test_the_shallowest_ring_still_plays(play, card, tone, tmp_path):
    for block in (100, 128):
        score = write_score(tmp_path / "score.yaml", 0.8, hits(0.7, 0.2))
        report = play("--model", tone, "--score", score, "--lead", 16, "--block", block, card=card).finish()
        assert report["triggers"] == 3 and report["underruns"]["late"] < 0.2 * report["blocks"]


# ---- audio input


def test_the_input_is_heard_through_the_monitor(play, tmp_path, tone):
    if why := no_card():
        pytest.skip(why)
    rng = np.random.default_rng(6)
    sound = (0.25 * rng.standard_normal((48000 * 3, 2))).clip(-0.9, 0.9).astype(np.float32)
    with FakeCard(tmp_path, capture=sound) as card:
        silent = write_score(tmp_path / "score.yaml", 1.2)
        run = play("--model", tone, "--score", silent, "--block", 512, "--monitor-db", 0, card=card)
        rack = run.attach()
        until(lambda: rack.audio.input_peak[0] > 0.1, 20, "the input's meter")
        run.finish()
        played = card.played()
    middle = played[len(played) // 2:len(played) // 2 + 4096]
    spectrum = np.fft.rfft(sound[:, 0], 1 << 19) * np.conj(np.fft.rfft(middle[:, 0], 1 << 19))
    at = int(np.argmax(np.fft.irfft(spectrum)))
    assert np.array_equal(middle, sound[at:at + len(middle)]), "bit by bit at 0 dB"


def test_the_input_alone_is_not_heard(play, tmp_path, tone):
    if why := no_card():
        pytest.skip(why)
    with FakeCard(tmp_path, capture=np.full((48000 * 3, 2), 0.5, np.float32)) as card:
        run = play("--model", tone, "--score", write_score(tmp_path / "score.yaml", 0.6), "--block", 512, "--input", card=card)
        rack = run.attach()
        until(lambda: rack.audio.input_peak[0] == 0.5, 20, "the input's meter")
        run.finish()
        assert rack.input_ring.head_frames > 4800 and not card.played().any()
