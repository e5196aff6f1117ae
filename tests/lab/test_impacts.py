"""The factory model "impacts", as it plays: through the engine, at every block length."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from scipy.stats import spearmanr
from neurorack.engine import Model
from neurorack.lab.export import agreement_db
from neurorack.lab.descriptors import HOP, NAMES, QuantileMap, db_to_loudness, loudness_db, spectral
from neurorack.lab.train import random_curve
from neurorack.voice.card import check_card


FOLDER = Path(__file__).resolve().parents[2] / "models" / "impacts"


@pytest.fixture(scope="module")
def model():
    return Model.load(FOLDER / "impacts.safetensors")


@pytest.fixture(scope="module")
def rest(model):
    return np.array([entry["rest"] for entry in model.card["inputs"]], np.float32)


def gestures(model):
    return {g["name"]: np.array(model.tensor(g["tensor"])) for g in model.card["gestures"]}


def asked_curves(model, count, frames, seed):
    """Five random curves at once over the latents of the gestures: float32 [count, frames, inputs]."""
    rng = np.random.default_rng(seed)
    latents = np.stack([table[0, 5:] for table in gestures(model).values()])
    rows = np.stack([random_curve((count, frames), rng).numpy() for _ in NAMES], -1)
    z = latents[np.arange(count) % len(latents)][:, None].repeat(frames, 1)
    return np.concatenate((rows, z), -1).astype(np.float32)


def test_the_file_is_small_and_its_card_complete(model):
    assert (FOLDER / "impacts.safetensors").stat().st_size < 4_000_000
    check_card(model.card, model.path)
    for key in ("author", "licence", "version", "description", "data", "channels", "loudness_lufs", "measured"):
        assert model.card[key] not in (None, ""), key
    assert model.card["delay_frames"] == model.methods["decode"].delay_frames == 0
    assert {"loudness", "centroid", "bandwidth", "sharpness", "booming", "gesture", "decay"} <= {
        control["name"] for control in model.card["controls"]}
    assert all(len(control["label"]) <= 10 and 0 <= control["default"] <= 1 for control in model.card["controls"])


def test_every_gesture_comes_from_a_listed_recording(model):
    table = (FOLDER / "LICENCES.md").read_text()
    assert len(model.card["gestures"]) >= 16
    for gesture in model.card["gestures"]:
        origin = gesture["from"].rsplit(" (", 1)[0]
        assert f"| {origin} |" in table, gesture["name"]


def test_at_rest_the_model_is_exactly_silent(model, rest):
    program = model.program("decode", block_frames=64)
    assert not program.stream(np.repeat(rest[None], 500, 0)).any()
    for name, table in gestures(model).items():
        audio = program.stream(np.concatenate((table, np.repeat(rest[None], 400, 0))))
        assert not audio[(len(table) + 1) * HOP:].any(), name


def test_loudness_at_its_lowest_is_silence_whatever_the_rest_is(model):
    rows = asked_curves(model, 4, 256, 5)
    rows[..., 0] = -1.0
    program = model.program("decode", block_frames=256)
    for row in rows:
        assert not program.stream(row).any()


def test_gestures_strike_at_once_and_die_away(model):
    program = model.program("decode", block_frames=64)
    for name, table in gestures(model).items():
        program.reset()
        audio = program.stream(table)[:, 0]
        level = np.sqrt(np.convolve(audio ** 2, np.ones(480) / 480, mode="full")[:len(audio)])
        assert np.abs(audio[:64]).max() > 0.003, name
        assert level[:4800].max() > 0.25 * level.max() > 0.01, name
        assert np.abs(audio[-64:]).max() < 0.01, name


def test_a_step_of_loudness_sounds_within_its_hop(model, rest):
    for table in gestures(model).values():
        rows = np.repeat(rest[None], 96, 0)
        rows[40:] = table[2]
        rows[40:, 0] = 0.8
        audio = model.program("decode", block_frames=64).stream(rows)[:, 0]
        assert not audio[:40 * HOP].any()
        assert np.abs(audio[40 * HOP:41 * HOP]).max() > 0.01
        rows[60:, 0] = -1.5
        audio = model.program("decode", block_frames=64).stream(rows)[:, 0]
        assert not audio[61 * HOP:].any()


def test_it_follows_loudness_and_centroid(model):
    quantiles = QuantileMap([entry["knots"] for entry in model.card["inputs"][1:5]])
    program = model.program("decode", block_frames=1024)
    rows = asked_curves(model, 40, 480, 11)
    asked, got = [], []
    for row in rows:
        program.reset()
        audio = torch.from_numpy(program.stream(row)[:, 0])
        loud = db_to_loudness(loudness_db(audio))[::4]
        unit = quantiles.forward(spectral(audio[None], 120, 4))[0]
        asked.append(row[8:-8:4])
        got.append(torch.cat((loud[:, None], unit), 1).numpy()[2:-2])
    asked, got = np.concatenate(asked), np.concatenate(got)
    heard = asked[:, 0] > -0.8
    assert spearmanr(asked[:, 0], got[:, 0])[0] >= 0.95
    assert spearmanr(asked[heard, 1], got[heard, 1])[0] >= 0.6


def test_every_block_length_gives_the_same_sound(model):
    rows = asked_curves(model, 1, 512, 13)[0]
    played = {n: model.program("decode", block_frames=n).stream(rows) for n in model.methods["decode"].blocks}
    assert set(played) == {64, 128, 256, 512, 1024}
    power = np.mean(played[64] ** 2)
    for audio in played.values():
        assert 10 * np.log10(np.mean((audio - played[64]) ** 2) / power + 1e-30) < -100


def test_the_engine_plays_what_training_heard(model):
    assert min(agreement_db(model).values()) >= 90


@pytest.mark.parametrize("reach", [1.0, 2.0, 50.0, 1e6])
def test_wild_inputs_never_break_it(model, reach):
    rng = np.random.default_rng(17)
    rows = (rng.uniform(-reach, reach, (1024, len(model.card["inputs"])))).astype(np.float32)
    audio = model.program("decode", block_frames=64).stream(rows)
    assert np.isfinite(audio).all() and np.abs(audio).max() < 10
