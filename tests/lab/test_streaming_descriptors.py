"""Descriptors of a sound as it comes in: against the offline ones, against tones of known pitch, and with bad input."""

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neurorack.engine import ModelWriter
from neurorack.lab import descriptors as d
from neurorack.lab.descriptors.streaming import DELAYS, encode_method, latent_of, silent_row
from neurorack.lab.encoder import ClipEncoder
from neurorack.lab.layout import C4_HERTZ, Layout

RATE = 48000
PITCHED = Layout(True, 2)
TIME = np.arange(RATE) / RATE


def hits(seed=1, seconds=1.0):
    """Three decaying coloured noises with rings."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    out = np.zeros(count)
    for k in range(3):
        size = count - k * count // 3
        time = np.arange(size) / RATE
        hertz = np.maximum(np.fft.rfftfreq(size, 1 / RATE), 30)
        noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * (hertz / 1000) ** (0.6 - 0.6 * k), size)
        out[-size:] += noise / np.abs(noise).max() * np.exp(-time / 0.08) * 0.5 + 0.2 * np.sin(2 * np.pi * 300 * (k + 1) * time) * np.exp(-time / 0.1)
    return out.astype(np.float32)


def voice(hertz, noise=0.0, partials=10, seed=2):
    """A second of a tone with falling partials below 15 kHz at level 0.1, noise beside it at so many times its RMS."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, TIME.shape)) / RATE
    top = int(min(partials, 15000 // np.max(hertz)))
    tone = sum(np.sin(k * phase + k) / k for k in range(1, top + 1))
    tone *= 0.1 / np.sqrt(np.mean(tone ** 2))
    return (tone + noise * 0.1 * np.random.default_rng(seed).standard_normal(RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def quantiles():
    return d.fit_normaliser(d.spectral(torch.from_numpy(hits())[None], 740)[0].numpy())


def written(tmp_path, layout, normaliser, blocks=(64, 1024), **settings):
    writer = ModelWriter({"name": "ears", "sample_rate_hz": RATE})
    writer.method("encode", encode_method(layout, normaliser, **settings), blocks=blocks, in_channels=1, out_channels=layout.width,
                  out_ratio=settings.get("hop", 64))
    return writer.save(tmp_path / "ears.safetensors")


@pytest.fixture(scope="module")
def ears(quantiles, tmp_path_factory):
    return written(tmp_path_factory.mktemp("ears"), PITCHED, quantiles)


def heard(model, audio, block=1024):
    """Rows of a sound and of 0.1 s of silence behind it."""
    audio = np.concatenate((audio, np.zeros(4800 - (len(audio) + 4800) % 1024 + 1024, np.float32)))
    return model.program("encode", block).stream(audio[:, None].astype(np.float32))


def test_block_lengths_give_the_same_rows(ears):
    audio = hits()
    np.testing.assert_allclose(heard(ears, audio, 64), heard(ears, audio, 1024), atol=2e-3)


def test_compiled_and_reference_agree(ears):
    audio = np.concatenate((voice(300.0)[:2048], hits()[:2048]))[:, None]
    np.testing.assert_allclose(ears.program("encode", 1024).stream(audio), ears.reference("encode", 1024).stream(audio), atol=2e-3)


@pytest.mark.parametrize("kind", [("quantile", "plain"), ("quantile", "given-centroid"), ("min-max", "plain")])
def test_spectral_columns_are_the_offline_ones_later(kind, tmp_path):
    audio = hits(3)
    normaliser = d.fit_normaliser(d.spectral(torch.from_numpy(hits(1))[None], 740)[0].numpy(), *kind)
    offline = d.measure(torch.from_numpy(audio)[None], normaliser)[0].numpy()
    rows = heard(written(tmp_path, Layout(), normaliser, [1024]), audio)
    late = DELAYS["centroid"] // 64
    later, count = rows[late:len(offline)], len(offline) - late
    loud = (offline[:count, 0] > -0.5) & (later[:, 0] > -0.5)       # where neither holds a value because it is quiet
    assert loud.sum() > 300
    np.testing.assert_allclose(later[loud, 1:5], offline[:count, 1:][loud], atol=2e-3)


def test_loudness_follows_the_offline_one(ears, quantiles):
    audio = hits(4)
    offline = d.clip_rows(torch.from_numpy(audio)[None], None, None, quantiles)[0, :, 0].numpy()
    late = DELAYS["loudness"] // 64
    rows = heard(ears, audio)[late:late + len(offline), 0]
    assert np.corrcoef(rows, offline)[0, 1] > 0.95


@pytest.mark.parametrize("hertz", [60, 150, 400, 3000])
def test_loudness_of_a_steady_tone_is_its_level_without_ripple(ears, hertz):
    level = d.loudness_to_db(heard(ears, (0.5 * np.sin(2 * np.pi * hertz * TIME)).astype(np.float32))[100:700, 0])
    assert abs(level.mean() - 20 * np.log10(0.5 / np.sqrt(2))) < 0.4
    assert np.ptp(level) < 2.5


@pytest.mark.parametrize("hertz", [42.0, 110.0, 261.6, 587.3, 1046.5, 2500.0])
@pytest.mark.parametrize("partials", [1, 12])
def test_pitch_of_tones(ears, hertz, partials):
    pitch = heard(ears, voice(hertz, partials=partials))[120:740, 6]
    assert np.abs(1200 * (pitch - np.log2(hertz / C4_HERTZ))).max() < 12


def test_a_glide_is_followed_so_much_later(ears):
    hertz = 200.0 * 2 ** TIME
    pitch = heard(ears, voice(hertz))[:750, 6]
    late = DELAYS["pitch"] // 64
    wanted = np.log2(hertz[64 * np.arange(120 - late, 740 - late)] / C4_HERTZ)
    assert np.abs(1200 * (pitch[120:740] - wanted)).max() < 20


def test_harmonicity_tells_tone_from_noise(ears):
    levels = [np.median(d.unit_to_harmonicity(heard(ears, voice(220.0, noise))[150:700, 5])) for noise in (0.0, 0.1, 0.3, 1.0, 10.0)]
    assert levels[0] > 25 and levels[-1] < 0
    assert all(a > b + 2 for a, b in zip(levels, levels[1:]))


def test_pitch_is_held_through_noise_and_silence(ears):
    audio = np.concatenate((voice(330.0)[:24000], hits()[:12000], np.zeros(12000, np.float32)))
    rows = heard(ears, audio)
    assert abs(1200 * (rows[-1, 6] - np.log2(330 / C4_HERTZ))) < 2400 and rows[-1, 0] == -1.5
    silent = rows[600:]
    assert (silent[:, 1:] == silent[:1, 1:]).all()


@pytest.mark.parametrize("name", ["silence", "constant", "noise", "square", "wild", "broken"])
def test_whatever_comes_in_rows_are_finite_and_within_their_limits(ears, name):
    rng = np.random.default_rng(5)
    broken = hits()
    broken[20000:20003] = np.nan, np.inf, -np.inf
    audio = {"silence": np.zeros(9600), "constant": np.ones(9600), "noise": 0.3 * rng.standard_normal(9600), "square": np.sign(np.sin(TIME * 500)),
             "wild": 1e30 * rng.standard_normal(9600), "broken": broken}[name]
    rows = heard(ears, audio.astype(np.float32))
    assert np.isfinite(rows).all()
    assert rows[:, 0].min() >= -1.5 and rows[:, 0].max() <= 1 and np.abs(rows[:, 1:6]).max() <= 1.5
    if name == "silence":
        assert (rows == silent_row(PITCHED)).all()
    if name == "broken":          # a moment later it is as if nothing had been
        np.testing.assert_allclose(rows[500:], heard(ears, hits())[500:], atol=0.05)


def test_longer_hops_take_every_so_manieth_row(ears, quantiles, tmp_path):
    slow = written(tmp_path, PITCHED, quantiles, [1024], hop=256)
    audio = hits()
    np.testing.assert_allclose(heard(slow, audio), heard(ears, audio)[3::4], atol=1e-5)


def test_the_latent_of_a_steady_sound_is_the_encoders(quantiles, tmp_path):
    torch.manual_seed(1)
    encoder = ClipEncoder(8).eval()
    layout = Layout()
    noise = (0.1 * np.random.default_rng(6).standard_normal(2 * RATE)).astype(np.float32)
    with torch.no_grad():
        encoder.out.weight.mul_(8.0)
        offline = encoder(torch.from_numpy(noise)[None])[0][0].numpy()
    rows = heard(written(tmp_path, layout, quantiles, [1024], latent=latent_of(encoder)), noise)
    assert (rows[0, 5:] == 0).all() or np.abs(rows[0, 5:]).max() < 0.2
    assert np.corrcoef(rows[1400, 5:], offline)[0, 1] > 0.95
    assert np.abs(rows[1400, 5:] - offline).max() < 0.35 * np.abs(offline).max()


def test_building_needs_no_torch():
    code = ("import sys; from neurorack.lab.descriptors.streaming import encode_method; from neurorack.lab import transfer; "
            "sys.exit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
