"""New gestures from a small generator: like the data, unlike any of it, playable, and made without torch."""

import subprocess
import sys
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack import gesture_generator as made_by      # noqa: E402
from neurorack import library      # noqa: E402
from neurorack.engine import Model, ModelWriter      # noqa: E402
from neurorack.errors import ModelError      # noqa: E402
from neurorack.gesture import changing, gesture_names, gestures_path, load_gestures      # noqa: E402
from neurorack.gesture_shape import end_softly      # noqa: E402
from neurorack.lab.gestures import generator as training      # noqa: E402
from neurorack.lab.gestures.latent_map import clip_kinds, latent_map      # noqa: E402
from neurorack.lab.layout import Layout      # noqa: E402

LAYOUT, HOP_SECONDS = Layout(pitched=True), 64 / 48000


def sound(rng):
    """A struck or a held sound: what is long is dark, what is bright is short, with a little vibrato."""
    held = rng.random() < 0.5
    length = rng.uniform(0.5, 0.9) if held else rng.uniform(0.1, 0.5)
    t = np.arange(round(length / HOP_SECONDS)) * HOP_SECONDS
    table = np.zeros((len(t), LAYOUT.width), np.float32)
    table[:, 0] = rng.uniform(0.3, 0.9) - (0.05 * t if held else 1.5 * t / length) - 2 * np.clip(t - 0.9 * length, 0, 1)
    table[:, 1] = 0.5 - length + 0.2 * np.exp(-8 * t)
    table[:, 2:5] = rng.normal(0, 0.2, 3)
    table[:, 5] = 0.6 if held else -0.3
    table[:, 6] = 0.02 * np.sin(2 * np.pi * 6 * t) if held else 0
    table[:, 7:] = rng.normal(0, 1, 8)
    return end_softly(table, LAYOUT.rest[0], 7, HOP_SECONDS)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    return [sound(rng) for _ in range(80)]


@pytest.fixture(scope="module")
def trained(data):
    steps, training.STEPS = training.STEPS, 500
    yield training.train_generator(data, LAYOUT)
    training.STEPS = steps


INPUTS = [{"name": name, "rest": rest, "low": -4.0 if name == "pitch" else -1.0, "high": 5.0 if name == "pitch" else 1.0,
           **({"knots": [-66, -6]} if name == "loudness" else {"knots": [-20, 30]} if name == "harmonicity" else {})}
          for name, rest in zip(LAYOUT.names, LAYOUT.rest)]


def file(path, data, trained):
    card = {"name": "made", "sample_rate_hz": 48000, "hop_frames": 64, "inputs": INPUTS, "controls": [], "generator": trained[0],
            "gestures": [{"name": f"own {k}", "tensor": f"gesture.{k}"} for k in range(3)]}
    writer = ModelWriter(card)
    writer.method("decode", lambda b: b.output(b.hold(b.input(), 64)[:, :1]), blocks=[64], in_channels=LAYOUT.width, in_ratio=64)
    writer.weights.tensors |= trained[1] | {f"gesture.{k}": data[k] for k in range(3)}
    return writer.save(path)


@pytest.fixture
def model(tmp_path, data, trained):
    return file(tmp_path / "made.safetensors", data, trained)


def test_what_is_made_is_like_the_data_and_unlike_any_of_it(data, trained):
    found = training.judge(*trained, INPUTS, data, data[:3], count=80)
    assert found["bad"] == 0 and found["distance"] < 0.3 and found["nearest"] > 0.3
    noise = [np.where(np.arange(LAYOUT.width) < 7, np.random.default_rng(k).uniform(-1, 1, (300, LAYOUT.width)), 0).astype(np.float32) for k in range(80)]
    tell = lambda some: np.stack([training.summary(table, 7, HOP_SECONDS) for table in some])
    assert training.two_samples(tell(noise), tell(data)).mean() > found["distance"] + 0.2


def test_two_samples():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, (400, 1)), rng.normal(0, 1, (300, 1))
    assert training.two_samples(a, a)[0] == 0 and training.two_samples(a, b)[0] < 0.15
    assert training.two_samples(a, b + 10)[0] == 1 and 0.3 < training.two_samples(a, b + 1)[0] < 0.5


def test_gestures_are_kept_beside_the_model_and_can_be_played(model, data):
    names = made_by.generate_gestures(model.path, 9)
    assert names == [f"new {k}" for k in range(1, 10)] and made_by.generate_gestures(model.path, 1) == ["new 10"]
    found, problem = load_gestures(model.path, LAYOUT.width)
    assert problem is None and list(found) == [*names, "new 10"] and gesture_names(model.path, model.card) == ["own 0", "own 1", "own 2", *found]
    for name, table in found.items():
        assert np.isfinite(table).all() and table[-1, 0] == LAYOUT.rest[0] and table[:, 0].max() > -0.5 and np.abs(table[:, 7:]).max() <= 3
        assert np.abs(np.diff(table[:, 0])).max() < 1.2 and len(table) * HOP_SECONDS < 1.3 and abs(np.median(table[:, 6])) < 0.02
        if name in found.sustain:
            first, last = found.sustain[name]
            assert 0 <= first < last < len(table) and np.ptp(table[first:last, 0]) < 0.4
    assert any(found.sustain)          # half of the data is held
    generator = made_by.Generator(Model.load(model.path))
    places = [generator.components(table) for table in (*found.values(), *data[:3])]
    apart = [np.linalg.norm(a - b) for k, a in enumerate(places) for b in places[:k]]
    assert min(apart) > 0.2 * generator.card["apart"]


def test_a_seed_makes_the_same_and_distance_goes_from_the_gesture_itself_to_others(tmp_path, data, trained):
    tables = {}
    for word, more in (("a", {"seed": 5}), ("b", {"seed": 5}), ("c", {"seed": 6}), *((d, {"seed": 5, "like": "own 1", "distance": d}) for d in (0.0, 0.3, 1.0))):
        model = file(tmp_path / f"{word}.safetensors", data, trained)
        made_by.generate_gestures(model.path, 1, **more)
        tables[word] = next(iter(load_gestures(model.path, LAYOUT.width)[0].values()))
    assert np.array_equal(tables["a"], tables["b"]) and not np.array_equal(tables["a"][:20], tables["c"][:20])
    generator = made_by.Generator(Model.load(model.path))
    own, rows = data[1], int(np.flatnonzero(data[1][:, 0] > -1)[-1]) - 60
    assert abs(len(tables[0.0]) - rows) < 64 and np.abs(tables[0.0][:rows] - own[:rows]).max() < 0.06
    far = [np.linalg.norm(generator.components(tables[d]) - generator.components(own)) for d in (0.0, 0.3, 1.0)]
    assert far[0] < 0.3 * far[1] and far[1] < far[2]


def test_what_cannot_be_made_is_said(model, tmp_path, data, trained, monkeypatch):
    for wrong, line in (({"count": 0}, "1 to 32"), ({"count": 33}, "1 to 32"), ({"count": 1, "seed": -1}, "seed is -1"), ({"count": 1, "like": "nobody"}, "own 0, own 1"), ({"count": 1, "distance": 2.0}, "from 0")):
        with pytest.raises(ModelError, match=line):
            made_by.generate_gestures(model.path, **wrong)
    monkeypatch.setattr(made_by, "MOST_GESTURES", 3)
    made_by.generate_gestures(model.path, 2)
    with pytest.raises(ModelError, match="2 gestures.*--remove"):
        made_by.generate_gestures(model.path, 2)
    with pytest.raises(ModelError, match="'own 0' is in its file"):
        made_by.remove_gesture(model.path, "own 0")
    assert made_by.remove_gesture(model.path, "new 1") == 1 and made_by.remove_gesture(model.path, "all") == 1
    assert list(load_gestures(model.path, LAYOUT.width)[0]) == []
    none = file(tmp_path / "none.safetensors", data, (None, {}))
    with pytest.raises(ModelError, match="has no generator"):
        made_by.generate_gestures(none.path, 1)


@pytest.mark.parametrize("card, tensors", [
    ({"points": 1e9}, {}), ({"points": None}, {}), ({"longest": 1e6}, {}), ({"shortest": 0}, {}), ({"apart": "far"}, {}),
    ({}, {"mean": np.zeros(3)}), ({}, {"basis": np.zeros(4)}), ({}, {"scale": np.zeros(48 * 7 + 9)}), ({}, {"posterior_mean": np.zeros((0, 8))}),
    ({}, {"decoder.2.bias": np.full(32, np.nan)})])
def test_a_broken_generator_is_refused_in_one_line(tmp_path, data, trained, card, tensors):
    wrong = trained[0] | card, trained[1] | {made_by.PREFIX + name: value.astype(np.float32) for name, value in tensors.items()}
    with pytest.raises(ModelError, match="generator is broken"):
        made_by.generate_gestures(file(tmp_path / "wrong.safetensors", data, wrong).path, 1)


def test_two_that_change_the_gestures_of_a_model_wait_for_each_other(model):
    before, seen = len(load_gestures(model.path, LAYOUT.width)[0]), []
    other = threading.Thread(target=lambda: seen.append(made_by.generate_gestures(model.path, 2)))
    with changing(model.path):
        other.start()
        other.join(0.5)
        assert not seen and len(load_gestures(model.path, LAYOUT.width)[0]) == before
    other.join(60)
    assert seen and len(load_gestures(model.path, LAYOUT.width)[0]) == before + 2
    made_by.remove_gesture(model.path, "all")


def test_the_factory_bank_s_are_kept_in_the_own_library(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert gestures_path(library.FACTORY / "impacts" / "impacts.safetensors") == tmp_path / "neurorack" / "models" / ".gestures" / "impacts.gestures.safetensors"
    assert gestures_path(tmp_path / "mine.safetensors") == tmp_path / "mine.gestures.safetensors"


def test_playing_needs_no_torch():
    subprocess.run([sys.executable, "-c", "import sys, neurorack.gesture_generator, neurorack.gesture_hand; sys.exit('torch' in sys.modules)"], check=True)


def test_the_map_spreads_over_the_clips_and_names_them():
    rng = np.random.default_rng(2)
    latents = rng.normal(0, 1, (300, 8))
    drawn = latent_map([f"kit/clip {k}.wav" for k in range(300)], latents, latents[:2], 2.0)
    points = np.array([point[:2] for point in drawn["points"]])
    assert len(points) == 64 and len({point[2] for point in drawn["points"]}) == 64 and (np.abs(points - 0.5) <= 0.75).all()
    k = int(drawn["points"][0][2].removeprefix("clip "))
    assert drawn["points"][0][:2] == pytest.approx(0.5 + latents[k, :2] / 4, abs=1e-3)
    assert drawn["gestures"] == [pytest.approx(0.5 + z[:2] / 4, abs=1e-3) for z in latents[:2]]
    everywhere = np.linalg.norm(0.5 + latents[:, None, :2] / 4 - points[None], axis=2).min(1)
    assert np.quantile(everywhere, 0.9) < 0.12


def test_axes_are_named_after_the_clips_at_their_ends():
    rng = np.random.default_rng(2)
    tables = []
    for _ in range(60):
        table = sound(rng)
        table[:, 7] = len(table) / 300 + rng.normal(0, 0.3)
        table[:, 8] = -table[0, 2]
        table[:, 1] = rng.normal(0, 0.3)
        tables.append(table)
    kinds = clip_kinds(tables, LAYOUT, HOP_SECONDS)
    assert kinds[0][0] > 0.6 and kinds[0][1:] == ("short", "long")
    assert kinds[1][0] < -0.9 and kinds[1][1:] == ("pure", "wide") and abs(kinds[4][0]) < 0.4
