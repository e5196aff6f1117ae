"""The descriptors against definitions written out again in plain numpy, sample by sample and bin by bin."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neurorack.lab import descriptors as d


RATE = 48000


def noise_hit(seed, samples=24000, decay_s=0.1, colour=0.0):
    """A decaying noise whose spectrum falls or rises with `colour` (power of frequency)."""
    rng = np.random.default_rng(seed)
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 30)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * (hertz / 1000) ** colour, samples)
    hit = noise * np.exp(-np.arange(samples) / RATE / decay_s)
    return (0.5 * hit / np.abs(hit).max()).astype(np.float32)


def plain_frame(audio, centre):
    """Windowed magnitudes without the mean, as a reader would write them."""
    padded = np.concatenate((np.zeros(512), audio.astype(np.float64), np.zeros(2048)))
    windowed = padded[centre:centre + 1024] * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024))
    magnitude = np.abs(np.fft.rfft(windowed))
    magnitude[0] = 0
    return magnitude, np.arange(513) * RATE / 1024


def plain_spectral(audio, centre):
    magnitude, hertz = plain_frame(audio, centre)
    centroid = np.sum(hertz * magnitude) / np.sum(magnitude)
    bandwidth = np.sqrt(np.sum((hertz - centroid) ** 2 * magnitude) / np.sum(magnitude))
    z = 26.81 * hertz / (1960 + hertz) - 0.53
    total = np.sum(magnitude ** 2)
    loud, sharp, boom = 0.0, 0.0, 0.0
    for band in np.arange(0, 24.5, 0.5):
        weight = np.clip(1 - np.abs(z - band) / 0.5, 0, None)
        if band == 24:
            weight[z > 24] = 1
        weight[0] = 0
        specific = (np.sum(weight * magnitude ** 2) + 1e-7 * total) ** 0.23
        loud += specific
        sharp += 0.11 * specific * band * (1.0 if band < 15.8 else 0.15 * np.exp(0.42 * (band - 15.8)) + 0.85)
        boom += specific * min(1.0, max(0.0, (5 - band) / 3))
    return np.array([np.log2(centroid), np.log2(bandwidth), sharp / loud, boom / loud])


@pytest.mark.parametrize("colour", [-1.0, 0.0, 0.5])
def test_spectral_descriptors_equal_their_definition(colour):
    audio = noise_hit(3, colour=colour)
    got = d.spectral(torch.from_numpy(audio)[None], 100)[0].numpy()
    for frame in (0, 1, 7, 50, 99):
        np.testing.assert_allclose(got[frame], plain_spectral(audio, 64 * (frame + 1)), rtol=2e-3)


def test_loudness_is_the_mean_square_of_its_windows():
    audio = noise_hit(4, decay_s=10.0, colour=0.5)
    high = d.split_bands(torch.from_numpy(audio))[1].numpy().astype(np.float64)
    low = d.split_bands(torch.from_numpy(audio))[0].numpy().astype(np.float64)
    got = d.loudness_db(torch.from_numpy(audio))
    for frame in (0, 1, 40, 200):
        centre = 64 * (frame + 1)
        power = sum(np.mean(band[max(0, centre - half):centre + half] ** 2) for band, half in ((high, 128), (low, 768)))
        assert abs(float(got[frame]) - 10 * np.log10(power)) < 0.02


@pytest.mark.parametrize("hertz", [60, 150, 250, 400, 3000])
def test_loudness_of_a_steady_tone_is_its_level_without_ripple(hertz):
    tone = 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(48000) / RATE)
    level = d.loudness_db(tone)[50:-50]
    assert abs(float(level.mean()) - 20 * np.log10(0.5 / np.sqrt(2))) < 0.3
    assert float(level.max() - level.min()) < 2.0


def test_a_clip_is_loud_from_its_first_frame():
    curve = d.clip_rows(torch.from_numpy(noise_hit(5))[None], None, None, d.QuantileMap.fit(np.random.default_rng(0).random((200, 4))))[0]
    assert float(curve[0, 0]) > float(curve[:, 0].max()) - 0.2


def test_tones_are_ordered_by_every_descriptor():
    time = torch.arange(24000) / RATE
    values = torch.stack([d.spectral(torch.sin(2 * torch.pi * f * time)[None], 100)[0, 50] for f in (80, 400, 2000, 9000)])
    assert (values[1:, 0] > values[:-1, 0]).all() and (values[1:, 2] > values[:-1, 2]).all()
    assert (values[1:3, 3] < values[:2, 3]).all()


def test_level_does_not_change_the_spectral_descriptors():
    audio = torch.from_numpy(noise_hit(6))[None]
    torch.testing.assert_close(d.spectral(audio, 60), d.spectral(0.05 * audio, 60), rtol=1e-3, atol=1e-3)


def test_silence_has_no_nan_and_a_finite_gradient():
    audio = torch.zeros(1, 8192, requires_grad=True)
    d.spectral(audio, 100).sum().backward()
    assert torch.isfinite(audio.grad).all()


def test_quantile_map_is_uniform_and_invertible():
    values = np.random.default_rng(1).gamma(2.0, 3.0, (5000, 2))
    table = d.QuantileMap.fit(values)
    unit = table.forward(torch.from_numpy(values).float())
    counts, _ = np.histogram(unit[:, 0].numpy(), bins=8, range=(-1, 1))
    assert counts.min() > 0.09 * counts.sum()
    inside = torch.linspace(-1.3, 1.3, 50)[:, None].expand(-1, 2)
    torch.testing.assert_close(table.forward(table.inverse(inside)), inside, atol=1e-4, rtol=0)


def test_quantile_map_of_a_constant_stays_finite():
    table = d.QuantileMap.fit(np.ones((100, 1)))
    assert torch.isfinite(table.forward(torch.tensor([[0.0], [1.0], [2.0]]))).all()


def test_quiet_frames_hold_the_last_measured_value():
    unit = torch.arange(6.0)[None, :, None]
    loud = torch.tensor([[-1.5, 0.0, 0.0, -1.5, 0.5, -1.5]])
    assert d.hold_quiet(unit, loud)[0, :, 0].tolist() == [1.0, 1.0, 2.0, 2.0, 4.0, 4.0]
