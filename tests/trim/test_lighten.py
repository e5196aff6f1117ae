"""Lightening: what is superfluous is found and taken out without being heard; what is not stays."""

import numpy as np
import pytest

from neurorack.engine import Model, ModelWriter
from neurorack.trim import TrimError, choose, compensate, drive, lighten, quality, readers
from neurorack.trim.activations import Body, collect
from neurorack.trim.lighten import Lighter

HOP, RATE, LATENTS = 64, 48000, 4


def card(name):
    return {"name": name, "sample_rate_hz": RATE, "hop_frames": HOP, "channels": 1, "delay_frames": 0, "author": "tests", "licence": "CC0-1.0",
            "inputs": [{"name": f"latent {i + 1}", "rest": 0.0} for i in range(LATENTS)],
            "controls": [{"name": f"latent {i + 1}", "default": 0.5, "links": [{"input": f"latent {i + 1}", "low": -3.0, "high": 3.0}]} for i in range(LATENTS)]}


def write(path, width=16, copies=True, seed=0):
    """A small decoder; with ``copies`` the second half of its hidden channels are those of the first, scaled."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((width, LATENTS, 3)).astype(np.float32) / 3
    up = rng.standard_normal((width, 8, 2 * HOP)).astype(np.float32) / 8
    wide, narrow = (rng.standard_normal((8, 8, n)).astype(np.float32) / 5 for n in (3, 1))
    if copies:
        half = width // 2
        first[half:] = first[:half]
    bias = np.concatenate([rng.standard_normal(width // 2)] * 2 if copies else [rng.standard_normal(width)]).astype(np.float32)

    def decode(b):
        x = b.conv1d(b.input(), first, bias, act="leaky_relu", a=0.2)
        x = b.conv_transpose1d(x, up, np.zeros(8, np.float32), stride=HOP)
        h = b.conv1d(b.leaky_relu(x, 0.2), wide, np.ones(8, np.float32) / 10, act="leaky_relu", a=0.2)
        x = b.conv1d(h, narrow, np.full(8, 0.1, np.float32), residual=x)
        noise = b.affine(b.random(x.rows, 1, seed=5), 0.02, -0.01)
        b.output(b.tanh(b.conv1d(x, np.ones((1, 8, 1), np.float32) / 8, residual=noise)))

    writer = ModelWriter(card(path.stem))
    writer.method("decode", decode, blocks=[128, 1024], in_channels=LATENTS, in_ratio=HOP)
    writer.save(path)
    return path


@pytest.fixture
def quick(monkeypatch):
    """Short inputs and a short search."""
    for module, name, value in ((compensate, "LEAST_SECONDS", 3.0), (compensate, "MOST_SECONDS", 6.0), (compensate, "LEAST_ROWS", 512),
                                (lighten, "TEST_STRETCHES", 12), (lighten, "PROBE_STRETCHES", 6), (lighten, "SEARCH_STEPS", 3)):
        monkeypatch.setattr(module, name, value)


def test_copies_go_unheard_and_what_is_left_makes_up_for_them(quick, tmp_path):
    path = write(tmp_path / "twice.safetensors")
    lighter = Lighter(path)
    course = max(zip(lighter.groups, lighter.courses), key=lambda pair: len(pair[0].units))[1]
    assert len(course.order) == 16 and course.errors[8] < 1e-2 * course.errors[12], "one of each two is as good as free"
    with_less = lighter.at(0.8)
    assert 0.6 < with_less.kept <= 0.8 and with_less.quality.distance_db < 0.3
    assert with_less.quality.bound_db is None, "too few stretches for a bound"
    model = lighter.write(with_less, tmp_path / "once.safetensors", {**lighter.card, "name": "once"})
    rows = lighter.test_signal
    for block in (128, 1024):
        apart = quality.compare(lighter.sound, model.program("decode", block).stream(rows), RATE, 12)
        assert apart.distance_db == pytest.approx(with_less.quality.distance_db, abs=0.02)
    told = lighter.figures(with_less)
    assert told["times_lighter"] > 1.15 and 0 < told["removed_units"] < 1 and model.card["name"] == "once"
    assert lighter.core_share(with_less.removed) > 0
    lighter.way = compensate.fold
    assert lighter.at(0.8).quality.distance_db > 5 * with_less.quality.distance_db, "what is left was fitted to make up for it"


def test_where_nothing_can_go_nothing_goes(quick, tmp_path):
    lighter = Lighter(write(tmp_path / "net.safetensors", copies=False))
    found, tried = lighter.lightest(0.01)
    assert found is None and len(tried) == 3 and all(c.quality.distance_db > 0.01 or c.kept > lighten.WORTH for c in tried)


def test_a_model_without_units_is_said(tmp_path):
    writer = ModelWriter(card("bare"))
    writer.method("decode", lambda b: b.output(b.conv_transpose1d(b.input(), np.ones((LATENTS, 1, HOP), np.float32), stride=HOP)), blocks=[128],
                  in_channels=LATENTS, in_ratio=HOP)
    writer.save(tmp_path / "bare.safetensors")
    with pytest.raises(TrimError, match="bare has no units .* stays as it is"):
        Lighter(tmp_path / "bare.safetensors")


def products_net(b):
    rng = np.random.default_rng(2)
    w = lambda *shape: rng.standard_normal(shape).astype(np.float32) / 4
    x = b.conv1d(b.input(), w(6, LATENTS, 3), w(6), dilation=2, act="tanh")
    x = b.gru(x, w(15, 6), w(15, 5), w(15), w(15))
    x = b.conv_transpose1d(x, w(5, 4, 8), w(4), stride=4)
    x = b.conv1d(x, w(7, 4, 3), w(7), stride=2)
    b.output(b.conv1d(x, w(1, 7, 1), w(1)))


def test_a_reader_is_a_product_of_what_it_gets_and_what_it_has(tmp_path):
    writer = ModelWriter(card("products"))
    writer.method("decode", products_net, blocks=[256], in_channels=LATENTS, in_ratio=HOP, out_ratio=HOP // 2)
    model = writer.save(tmp_path / "products.safetensors")
    listing = model.listing("decode", 256)
    body = Body(listing, model.arrays(listing))
    found = readers.readers(listing)
    assert [r.op for r in found] == ["conv1d", "gru", "gru", "conv_transpose1d", "conv1d", "conv1d"]
    signal = np.random.default_rng(0).standard_normal((12 * listing.in_shape[0], LATENTS)).astype(np.float32)
    for reader in found:
        (taken,) = collect(body, *readers.wanted(listing, reader), signal, 100)
        chosen = np.arange(readers.past(listing, reader) + 2, 12 * reader.rows)
        stored = readers.tensor_of(body, reader.weight)
        right = readers.matrix(listing, reader, stored)
        assert (readers.put(listing, reader, stored, right) == stored).all()
        if reader.op == "gru":
            continue
        made = readers.left(listing, reader, taken, chosen) @ right + np.tile(readers.tensor_of(body, reader.bias), right.shape[1] // reader.outs)
        view = listing.calls[reader.call].views[4 if reader.op == "conv1d" else 3]
        (played,) = collect(body, [view], [reader.call + 1], signal, 100)
        played = played[0].reshape(-1, right.shape[1])[chosen]
        assert np.abs((np.tanh(made) if reader is found[0] else made) - played).max() < 1e-4


def test_least_squares_find_what_was_there():
    rng = np.random.default_rng(0)
    x, right = rng.standard_normal((400, 6)) + 1, rng.standard_normal((6, 3))
    target = x @ right + np.array([1.0, -2.0, 0.5])
    made, offset = compensate.solve(x, target, np.zeros((6, 3)), np.ones(400), True)
    assert np.abs(made - right).max() < 0.02 and np.abs(offset - [1.0, -2.0, 0.5]).max() < 0.05
    kept, offset = compensate.fold(x[:, :5], target, right[:5], np.ones(400), True)
    assert (kept == right[:5]).all() and np.abs(offset - (target - x[:, :5] @ right[:5]).mean(0)).max() < 1e-9


def test_a_course_keeps_whole_vectors_and_its_least():
    course = choose.Course(np.arange(32), np.append(np.arange(31) ** 2.0, np.inf), 2)
    assert course.gone(0.0) == 0 and course.gone(1e9) == 28
    assert all((32 - course.gone(price)) % 4 == 0 for price in (1, 10, 30, 50))


def test_made_up_inputs_stay_in_range_and_differ_by_seed(tmp_path):
    model = Model.load(write(tmp_path / "net.safetensors"))
    made = drive.Drive(model, "decode")
    one, again, other = (made.stretches(16, seed) for seed in (1, 1, 2))
    assert one.shape == (16 * made.stretch_rows, LATENTS) and (one == again).all() and not (one == other).all()
    assert np.abs(one).max() <= 3 and one.std() > 0.3
    still = [piece for piece in one.reshape(16, made.stretch_rows, LATENTS) if np.ptp(piece, axis=0).max() == 0]
    assert len(still) == 4, "held and at rest"


def test_distance_is_that_of_levels():
    noise = 0.1 * np.random.default_rng(0).standard_normal((RATE * 3, 1)).astype(np.float32)
    apart = quality.compare(noise, 2 * noise, RATE, 60)
    assert apart.distance_db == pytest.approx(6.02, abs=0.01) and apart.bound_db == pytest.approx(6.02, abs=0.05)
    assert apart.loudness_db == pytest.approx(6.02, abs=0.05) and apart.snr_db == pytest.approx(0, abs=0.01)
    assert quality.compare(noise, noise, RATE, 6) == quality.Quality(0.0, None, quality.MOST_DB, 0.0)
    assert quality.compare(0 * noise, 0 * noise, RATE, 60).distance_db == 0
    assert quality.compare(noise, noise * np.nan, RATE, 6).distance_db == np.inf
    low = noise.copy()
    low[RATE // 2:RATE] *= 10                                # one of six stretches is 20 dB louder
    assert 2 < quality.compare(noise, low, RATE, 6).distance_db < 20 / 6 + 1
