"""The output stage and the resampler: what every model passes through."""

import numpy as np
import pytest

from neurorack.engine import Model
from neurorack.render import render
from neurorack.score import parse
from neurorack.voice.patch import Patch
from neurorack.voice.voice import match_gain_db
from tests.models import tone
from tests.voice.drive import Driven

CEILING = 0.966     # -0.3 dBFS


def fit_sine(audio, hertz, rate_hz):
    """(level, phase in radians at frame 0, signal-to-noise ratio in dB) of the best sine of this pitch."""
    x, n = np.asarray(audio, np.float64), np.arange(len(audio))
    basis = np.stack([np.sin(2 * np.pi * hertz * n / rate_hz), np.cos(2 * np.pi * hertz * n / rate_hz)], 1)
    (s, c), *_ = np.linalg.lstsq(basis, x, rcond=None)
    noise = x - basis @ [s, c]
    return np.hypot(s, c), np.arctan2(c, s), 10 * np.log10((x ** 2).mean() / (noise ** 2).mean())


def steady(model, level: float, frames: int = 24000, *, level_db: float = 0.0, rate_hz: int = 48000, block: int = 64) -> np.ndarray:
    """A driven, steady level of the tone model, from a quarter of a second on."""
    driven = Driven(model, block_frames=block, rate_hz=rate_hz, patch=Patch(knobs={"level": level}, drives={"level": 1.0}, level_db=level_db))
    driven.run(12000)
    return driven.run(frames).copy()


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """Hertz -> a tone model of that pitch."""
    folder = tmp_path_factory.mktemp("tones")
    return {hertz: tone(folder / f"{hertz}.safetensors", hertz=hertz) for hertz in (5.0, 30.0, 100.0, 997.0, 10000.0, 19000.0)}


# ---- level and limiter


@pytest.mark.parametrize("level_db", [-20.0, -6.0, 0.0, 6.0])
def test_the_level_is_in_decibels(tones, level_db):
    level, _, snr = fit_sine(steady(tones[997.0], 0.3, level_db=level_db)[:, 0], 997.0, 48000)
    assert level == pytest.approx(0.3 * 10 ** (level_db / 20), rel=2e-3) and snr > 90


def test_a_level_of_minus_90_db_is_silence(tones):
    assert np.abs(steady(tones[997.0], 0.9, level_db=-90)).max() == 0


def test_a_level_that_jumps_is_a_glide(tones):
    driven = Driven(tones[100.0], patch=Patch(knobs={"level": 0.5}, drives={"level": 1.0}))
    before = driven.run(12000)
    driven.set_patch(Patch(knobs={"level": 0.5}, drives={"level": 1.0}, level_db=-40))
    after = driven.run(4800)
    step = np.abs(np.diff(np.concatenate([before[-10:], after])[:, 0])).max()
    assert step < 0.5 * 2 * np.pi * 100 / 48000 + 0.5 / (0.01 * 48000) * 1.1
    assert np.abs(after[-480:]).max() == pytest.approx(0.005, rel=0.05)


@pytest.mark.parametrize("level_db", [6.0, 12.0])
@pytest.mark.parametrize("hertz", [30.0, 997.0, 10000.0])
def test_nothing_passes_the_ceiling_and_the_limiter_does_not_click(tones, hertz, level_db):
    heard = steady(tones[hertz], 1.0, level_db=level_db)
    assert np.abs(heard).max() <= CEILING * (1 + 1e-6) and np.abs(heard).max() > 0.9 * CEILING
    slope = 10 ** (level_db / 20) * 2 * np.pi * hertz / 48000
    assert np.abs(np.diff(heard[:, 0])).max() <= slope * 1.01


def test_a_loud_burst_is_held_and_let_go_without_a_jump(tones):
    gain = 10 ** (12 / 20)
    quiet, loud = (Patch(knobs={"level": v}, drives={"level": 1.0}, level_db=12) for v in (0.05, 1.0))
    driven = Driven(tones[100.0], patch=quiet)
    parts = [driven.run(12000)]
    for patch in (loud, quiet, loud, quiet):
        driven.set_patch(patch)
        parts.append(driven.run(6000))
    heard = np.concatenate(parts)[:, 0]
    assert np.abs(heard).max() <= CEILING * (1 + 1e-6)
    assert np.abs(np.diff(heard)).max() < gain * (2 * np.pi * 100 / 48000 + 1.05 / 64)
    assert np.abs(heard[-1000:]).max() == pytest.approx(0.05 * gain, rel=0.02), "the gain has come back"


def test_the_limiter_leaves_what_is_below_the_ceiling_alone(tones):
    level, _, snr = fit_sine(steady(tones[997.0], 0.95)[:, 0], 997.0, 48000)
    assert level == pytest.approx(0.95, rel=2e-3) and snr > 90


def test_the_limiter_turns_both_sides_down_alike(loaded):
    driven = Driven(loaded["probe"], patch=Patch(knobs={"a": 1.0, "b": 0.5}, drives={"a": 1.0, "b": 1.0}, level_db=12))
    heard = np.abs(driven.run(48000)[-640:])
    assert heard[:, 0].max() == pytest.approx(CEILING, rel=1e-3)
    assert heard[:, 1].max() == pytest.approx(CEILING / 4, rel=1e-3)


# ---- DC, loudness, what is not a number


def test_direct_current_is_blocked_and_bass_is_not(tones, loaded):
    driven = Driven(loaded["steps"])
    driven.run(4096)
    driven.hit(4200)
    heard = driven.run(48000)[:, 0]
    assert np.abs(heard[24000:]).max() < 1e-3, "what is left of a step dies away"
    for hertz, most_db, least_db in ((5.0, -6.0, -8.0), (30.0, 0.0, -0.6), (100.0, 0.0, -0.1)):
        level, _, _ = fit_sine(steady(tones[hertz], 0.5, 96000)[:, 0], hertz, 48000)
        assert least_db < 20 * np.log10(level / 0.5) <= most_db + 0.01, hertz


def test_models_are_matched_in_loudness(tmp_path):
    assert match_gain_db({}) == 0 and match_gain_db({"loudness_lufs": -20.0}) == pytest.approx(4.0)
    assert match_gain_db({"loudness_lufs": -60.0}) == 12.0 and match_gain_db({"loudness_lufs": 5.0}) == -12.0
    model = tone(tmp_path / "quiet.safetensors", hertz=997.0, more={"loudness_lufs": -22.0})
    level, _, _ = fit_sine(steady(model, 0.2)[:, 0], 997.0, 48000)
    assert level == pytest.approx(0.2 * 10 ** (6 / 20), rel=2e-3)


def test_a_model_gone_wild_is_silent_and_counted_and_comes_back(made):
    model = Model.load(made["wild"])
    driven = Driven(model, patch=Patch(knobs={"heat": 0.3}, drives={"heat": 1.0}))
    driven.run(9600)
    driven.set_patch(Patch(knobs={"heat": 0.9}, drives={"heat": 1.0}))
    wild = driven.run(9600)
    assert np.isfinite(wild).all() and np.abs(wild[4800:]).max() < 0.05
    assert driven.voice.nan_values >= 2 * 9500
    driven.set_patch(Patch(knobs={"heat": 0.3}, drives={"heat": 1.0}))
    back = driven.run(9600)[4800:]
    level, _, snr = fit_sine(back[:, 0], 500.0, 48000)
    assert level == pytest.approx(0.3, rel=5e-3) and snr > 60


def test_a_mono_model_plays_on_both_sides_and_a_stereo_model_keeps_them(loaded):
    mono = steady(loaded["tone"], 0.4)
    assert np.array_equal(mono[:, 0], mono[:, 1])
    driven = Driven(loaded["probe"], patch=Patch(knobs={"a": 0.5, "b": 0.5}, drives={"a": 1.0, "b": 1.0}))
    heard = np.abs(driven.run(24000)[-64:])
    assert heard[:, 0] == pytest.approx(0.5, rel=1e-3) and heard[:, 1] == pytest.approx(0.25, rel=1e-3)


# ---- resampler


@pytest.mark.parametrize("rate", [44100, 96000])
@pytest.mark.parametrize("hertz, least_snr_db", [(100.0, 80), (997.0, 80), (10000.0, 75), (19000.0, 70)])
def test_a_tone_stays_a_tone_at_the_card_s_rate(tones, rate, hertz, least_snr_db):
    heard = steady(tones[hertz], 0.5, 48000, rate_hz=rate)
    level, _, snr = fit_sine(heard[:, 0], hertz, rate)
    assert snr > least_snr_db
    blocked_db = -10 * np.log10(1 + (10 / hertz) ** 2)      # the DC blocker, 10 Hz
    assert 20 * np.log10(level / 0.5) == pytest.approx(blocked_db, abs=0.03 if hertz < 15000 else 1.0)


@pytest.mark.parametrize("rate", [44100, 96000])
def test_a_second_makes_a_second_of_frames_in_any_blocks(tones, rate):
    for block in (64, 512):
        driven = Driven(tones[997.0], block_frames=block, rate_hz=rate)
        sizes = [len(driven.run(1)) for _ in range(48000 * 3 // block)]
        made, want = sum(sizes), len(sizes) * block * rate / 48000
        assert abs(made - want) <= 1 and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("rate", [44100, 96000])
def test_the_delay_is_the_declared_one(tones, rate, tmp_path):
    """A tone rendered at another rate has the phase it has at 48 kHz, to a part of a frame."""
    tone(tmp_path / "tone.safetensors", hertz=200.0)
    score = parse({"seconds": 0.8, "controls": {"level": [[0, 0.5], [0.8, 0.5]]}})
    phases = {}
    for at in (48000, rate):
        audio, _ = render(score, model=str(tmp_path / "tone.safetensors"), rate_hz=at)
        start = at // 4
        _, phase, _ = fit_sine(audio[start:start + at // 4, 0], 200.0, at)
        phases[at] = phase
    frames = (phases[rate] - phases[48000] + np.pi) % (2 * np.pi) - np.pi
    assert abs(frames / (2 * np.pi * 200.0) * rate) < 0.6
