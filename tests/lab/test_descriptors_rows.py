"""Normalisers, rows of clips and crops, and the descriptors beyond the five."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neurorack.lab import descriptors as d
from neurorack.lab.layout import C4_HERTZ, Layout

RATE = 48000
TIME = np.arange(RATE) / RATE


def natural(count=4000, seed=1):
    """Values in physical units whose sharpness mostly follows the centroid, as in nature. float64 [count, 4]."""
    rng = np.random.default_rng(seed)
    centroid = rng.uniform(7, 13, count)
    sharp = 0.05 * (centroid - 6) ** 2 + 0.05 * (centroid - 6) * rng.standard_normal(count)
    return np.stack((centroid, rng.normal(10, 1, count), sharp, rng.beta(2, 5, count)), 1)


KINDS = [("quantile", "plain"), ("quantile", "given-centroid"), ("min-max", "plain")]


@pytest.mark.parametrize("kind", KINDS)
def test_normalisers_go_back_and_survive_their_card(kind):
    normaliser = d.fit_normaliser(natural(), *kind)
    unit = torch.from_numpy(np.random.default_rng(2).uniform(-1, 1, (300, 4))).float()
    torch.testing.assert_close(normaliser.forward(normaliser.inverse(unit)), unit, atol=1e-4, rtol=0)
    again = d.from_card([{"name": "loudness"}] + [{"name": name, **entry} for name, entry in normaliser.to_card().items()])
    torch.testing.assert_close(again.forward(normaliser.inverse(unit)), unit, atol=5e-3, rtol=0)
    assert type(again.to("cpu")) is type(again)


@pytest.mark.parametrize("kind", KINDS)
def test_normalisers_pass_a_finite_gradient(kind):
    values = torch.from_numpy(natural(50)).float().requires_grad_()
    d.fit_normaliser(natural(), *kind).forward(values).sum().backward()
    assert torch.isfinite(values.grad).all() and (values.grad[:, [1, 3]] > 0).any()


def test_min_max_is_a_straight_line():
    values = natural()
    unit = d.fit_normaliser(values, "min-max").forward(torch.from_numpy(values).float()).numpy()
    assert unit.min(0) == pytest.approx(-1, abs=1e-4) and unit.max(0) == pytest.approx(1, abs=1e-4)
    assert np.corrcoef(unit[:, 0], values[:, 0])[0, 1] > 0.99999


def test_sharpness_given_the_centroid_no_longer_follows_it():
    values, like = natural(), natural(2000, 5)
    follows = {kind: np.corrcoef(d.fit_normaliser(values, "quantile", kind).forward(torch.from_numpy(like).float())[:, [0, 2]].T)[0, 1]
               for kind in ("plain", "given-centroid")}
    assert follows["plain"] > 0.9 and abs(follows["given-centroid"]) < 0.1


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(3)
    audio = (rng.standard_normal((2, 32768)) * np.exp(-np.arange(32768) / 6000)).astype(np.float32) * 0.3
    curve = lambda low, high: np.linspace([low, -low], high, 512, axis=1).astype(np.float32)
    return SimpleNamespace(audio=audio, starts=np.array([0, 100]), pitch=curve(-1, 2), harmonicity=curve(-10, 20))


@pytest.fixture(scope="module")
def quantiles(batch):
    return d.fit_normaliser(d.spectral(torch.from_numpy(batch.audio), 500).reshape(-1, 4).numpy())


@pytest.mark.parametrize("hop", [64, 128, 1024])
@pytest.mark.parametrize("pitched", [False, True])
def test_crops_are_parts_of_whole_clips(batch, quantiles, hop, pitched):
    layout, history, frames = Layout(pitched), 6, 8
    crops = d.crop_rows(batch, quantiles, layout, frames, history, hop)
    whole = d.clip_rows(torch.from_numpy(batch.audio), batch.pitch, batch.harmonicity, quantiles, layout, hop)
    assert crops.shape == (2, history + frames, len(layout.conditions))
    near = 0.25 if hop == 64 else 1e-4            # at 64, every second row is a straight line between its neighbours
    torch.testing.assert_close(crops[0, history:], whole[0, :frames], atol=near, rtol=0)
    assert (crops[0, :history, 1:] == 0).all() and (crops[0, :history, 0] == -1.5).all()
    if hop == 64:
        torch.testing.assert_close(crops[1], whole[1, 100 - history:100 + frames], atol=near, rtol=0)
        exact = [0, *range(5, crops.shape[2])]
        torch.testing.assert_close(crops[1][:, exact], whole[1, 100 - history:100 + frames][:, exact])


def test_crops_beyond_a_clip_are_silent(batch, quantiles):
    late = SimpleNamespace(**{**vars(batch), "starts": np.array([500, 530])})
    crops = d.crop_rows(late, quantiles, Layout(True), 40, 4)
    assert (crops[0, 4 + 12:, 0] == -1.5).all() and torch.isfinite(crops).all()


def test_measure_is_what_the_rows_hold_where_it_is_loud(batch, quantiles):
    audio = torch.from_numpy(batch.audio)
    torch.testing.assert_close(d.measure(audio, quantiles, 50), d.clip_rows(audio, None, None, quantiles)[:, :50])
    torch.testing.assert_close(d.measure(audio, quantiles, 12, 4), d.measure(audio, quantiles, 48)[:, ::4])


def tone(hertz, noise=0.0, rate_hz=0.0):
    phase = 2 * np.pi * hertz * TIME + (2.0 * np.sin(2 * np.pi * rate_hz * TIME) if rate_hz else 0)
    sound = sum(np.sin(k * phase + k) / k for k in range(1, int(min(20, 12000 // hertz))))
    return (0.1 * sound / np.std(sound) + 0.1 * noise * np.random.default_rng(4).standard_normal(RATE)).astype(np.float32)


@pytest.mark.parametrize("hertz", [60.0, 110.0, 330.0, 1000.0])
@pytest.mark.parametrize("level_db", [20.0, 5.0, -5.0])
def test_harmonicity_is_the_level_over_the_noise(hertz, level_db):
    audio = torch.from_numpy(tone(hertz, 10 ** (-level_db / 20)))[None].requires_grad_()
    got = d.harmonicity_db(audio, torch.full((1, 180), float(np.log2(hertz / C4_HERTZ))))
    assert abs(float(got[0, 40:150].detach().mean()) - level_db) < 1.5
    got.sum().backward()
    assert torch.isfinite(audio.grad).all()


def test_harmonicity_of_silence_is_finite():
    assert torch.isfinite(d.harmonicity_db(torch.zeros(1, 9600), torch.zeros(1, 30))).all()


@pytest.mark.parametrize("rise_ms", [5, 20, 80])
def test_attack_is_the_time_from_a_tenth_to_nine_tenths(rise_ms):
    samples = np.arange(RATE // 2)
    envelope = np.minimum(samples / (rise_ms * 48), 1) * np.exp(-samples / 24000)
    sound = torch.from_numpy(np.pad(envelope * np.sin(0.4 * samples), (300, 0)).astype(np.float32))[None].requires_grad_()
    got = d.attack_time(sound)
    assert abs(10 ** float(got.detach()) * 1000 / (0.8 * rise_ms) - 1) < 0.2
    got.sum().backward()
    assert torch.isfinite(sound.grad).all() and sound.grad.abs().max() > 0


def test_attack_of_silence_and_of_a_click_is_the_shortest():
    click = torch.zeros(2, 4800)
    click[1, 100:103] = 0.5
    assert 10 ** d.attack_time(click).numpy() * 1000 == pytest.approx(0.5, abs=2.0)


def test_roughness_passes_a_gradient_and_silence_has_none():
    beating = (1 + np.sin(2 * np.pi * 70 * TIME)) * np.sin(2 * np.pi * 1000 * TIME)
    sound = torch.from_numpy(beating.astype(np.float32))[None, :14400].requires_grad_()
    value = d.roughness_asper(sound)
    value.sum().backward()
    assert value.shape == (1, 2) and torch.isfinite(sound.grad).all()
    assert float(d.roughness_asper(torch.zeros(1, 9600)).max()) < 1e-3
    torch.testing.assert_close(d.roughness_asper(0.01 * sound), value, rtol=0.05, atol=0.01)


RESULTS = json.loads((Path(__file__).parents[2] / "benchmarks/results/descriptors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", RESULTS["references"])
def test_values_agree_with_those_other_libraries_gave(name):
    """Centroid, bandwidth and level as librosa has them, sharpness and roughness near mosqito's, of stored synthetic sounds."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    import descriptor_signals

    told, sound = RESULTS["references"][name], torch.from_numpy(descriptor_signals.made()[name])[None]
    values = d.spectral(sound, 46, 16, first=0)[0, 2:-3].median(0).values.tolist()
    centroid, bandwidth, sharp = 2 ** values[0], 2 ** values[1], values[2]
    assert abs(centroid - told["centroid_hz"]) < 15 + 0.03 * told["centroid_hz"]
    wide = np.hypot(told["bandwidth_hz"], 250)        # what our floor of -90 dB, which librosa has not, adds to a pure sound
    assert abs(np.log2(bandwidth / wide)) < (0.45 if told["bandwidth_hz"] < 1000 else 0.02)
    assert abs(float(d.loudness_db(sound)[0, 200:-200].median()) - told["rms_db"]) < 2.2
    assert 0.5 < sharp / told["sharpness_acum"] < 5 if told["sharpness_acum"] < 1 else 0.5 < sharp / told["sharpness_acum"] < 1.6
    assert abs(float(d.roughness_asper(sound[:, 14400:33600]).mean()) - told["roughness_asper"]) < 0.1 + 0.35 * told["roughness_asper"]
