"""Exporting: the card, gestures and latents of a finished run, and that the file plays by itself."""

import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.engine import Model
from neurorack.errors import ModelError
from neurorack.lab import encoder, engines, export
from neurorack.lab.descriptors import QuantileMap
from neurorack.lab.layout import Layout
from neurorack.voice.card import check_card
from neurorack.voice.voice import Voice
from tests.lab.test_descriptors import noise_hit

KNOTS = np.linspace([5, 5, 0, 0], [14, 13, 2, 1], 33).T


class Notes:
    """Ten made-up clips of falling notes with some noise, with their pitch and harmonicity."""

    def __init__(self, count=10):
        rng = np.random.default_rng(7)
        self.audio, self.rows, self.pitch, self.harmonicity = [], [], [], []
        for k in range(count):
            t, hertz = np.arange(14400 + 640 * k) / 48000, 200 * 2 ** (k / 7)
            tone = sum(np.sin(2 * np.pi * h * hertz * t) / h for h in range(1, 5)) + rng.normal(size=len(t)) * 0.03 * k
            self.audio.append((0.3 * tone * np.exp(-6 * t)).astype(np.float32))
            self.rows.append({"name": f"set/note{k}", "licence": "CC0", "origin": "made", "side": "train"})
            self.pitch.append(np.full(len(t) // 64, np.log2(hertz / 261.63), np.float32))
            self.harmonicity.append(np.full(len(t) // 64, 20.0 - 2 * k, np.float32))

    def __len__(self):
        return len(self.audio)

    def padded(self, index, samples):
        clip = self.audio[index][:samples]
        return np.pad(clip, (0, samples - len(clip)))


def trained(kind, plays="hits", gestures=5):
    """What `export` needs of a trainer, with fresh weights."""
    torch.manual_seed(3)
    layout = Layout(kind == "harmonic", 8)
    recipe = {"name": "made", "card": {"plays": plays, "author": "Tests", "licence": "CC0"}, "seed": 1, "conditioning": "concatenate",
              "data": {"seconds": 0.3, "gestures": gestures}}
    return types.SimpleNamespace(recipe=recipe, engine=engines.make({"kind": kind, "width": 16}, layout), step=5, clips=Notes(),
                                 encoder=encoder.ClipEncoder(8), normaliser=QuantileMap(KNOTS))


def exported_to(path, run):
    """The model of such a run, exported without the long measuring."""
    from neurorack.lab import data, evaluate

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(data, "Clips", lambda cache, side: run.clips)
        patched.setattr(evaluate, "bench_of", lambda model, clips: None)
        patched.setattr(evaluate, "evaluate", lambda bench, count: {"curves": count})
        patched.setattr(evaluate, "summary", lambda figures: "measured")
        export.export(run, None, path, 8, lambda line: None)
    return Model.load(path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A function that gives the exported model of a kind and style, made once."""
    made = {}

    def of(kind, plays="hits"):
        if (kind, plays) not in made:
            made[kind, plays] = exported_to(tmp_path_factory.mktemp("made") / "made.safetensors", trained(kind, plays))
        return made[kind, plays]

    return of


@pytest.mark.parametrize("kind", ["noise-band", "harmonic"])
def test_a_run_ends_in_a_file_that_plays_alone(exported, kind):
    model = exported(kind)
    card = model.card
    check_card(card, model.path)
    assert len(card["gestures"]) == 5 and card["measured"]["engine_agreement_db"] > 90 and card["delay_frames"] == 0
    assert [entry["name"] for entry in card["inputs"]] == list(Layout(kind == "harmonic", 8).names)
    assert {"loudness", "centroid", "gesture", "decay", "timbre1", "timbre2"} <= {control["name"] for control in card["controls"]}
    assert all(len(control["label"]) <= 10 and 0 <= control["default"] <= 1 for control in card["controls"])
    assert set(model.methods) == {"decode", "encode"}
    for method in model.methods.values():
        assert set(method.blocks) == {64, 128, 256, 512, 1024}
    voice = Voice(model)
    voice.render()
    assert -30 < card["loudness_lufs"] < 0


def test_a_pitched_file_has_a_volt_an_octave(exported):
    model = exported("harmonic")
    control = next(c for c in model.card["controls"] if c["name"] == "pitch")
    (link,) = control["links"]
    assert control["default"] == 0.5 and link["input"] == "pitch" and 0.1 * (link["high"] - link["low"]) == pytest.approx(1)
    pitch = Layout(True, 8).column("pitch")
    for gesture in model.card["gestures"]:
        assert abs(np.median(np.array(model.tensor(gesture["tensor"]))[:, pitch])) < 0.05      # counted from its note


def test_the_encoder_and_engine_of_a_file_open_again(exported):
    model = exported("harmonic")
    engine, encode, normaliser = export.read(model)
    assert engine.kind == "harmonic" and torch.allclose(normaliser.knots, torch.tensor(KNOTS, dtype=torch.float32), atol=1e-4)
    with torch.no_grad():
        latents = torch.cat([encode(torch.from_numpy(Notes().padded(k, 14400))[None])[0] for k in range(10)])
    assert latents.shape == (10, 8) and latents.mean(0).abs().max() < 0.05 and abs(float(latents[:, 0].std(unbiased=False)) - 1) < 0.05


def test_a_texture_sounds_from_the_first_second(exported):
    model = exported("noise-band", "drone")
    assert model.card["plays"] == "drone"
    inputs = {entry["name"]: entry for entry in model.card["inputs"]}
    assert all(entry["wander"] > 0 for entry in inputs.values()) and inputs["loudness"]["rest"] > -0.5
    voice, audio = Voice(model), []
    knobs = np.zeros(32)
    knobs[:len(model.card["controls"])] = [control["default"] for control in model.card["controls"]]
    for _ in range(48000 // 64):
        voice.set_row(0, np.zeros(8), knobs, np.zeros(32), 0.0)
        audio.append(voice.render().copy())
    assert np.sqrt((np.concatenate(audio)[24000:] ** 2).mean()) > 0.03


def test_what_the_engine_cannot_play_alike_is_not_exported(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "agreement_db", lambda model: {64: 31.0})
    with pytest.raises(ModelError, match="31 dB"):
        exported_to(tmp_path / "made.safetensors", trained("noise-band", gestures=2))


@pytest.mark.parametrize("kind, conditioning", [("noise-band", "film"), ("harmonic", "concatenate")])
def test_ranked_latents_sound_the_same_and_are_uncorrelated(kind, conditioning):
    torch.manual_seed(1)
    engine = engines.make({"kind": kind, "width": 16, "conditioning": conditioning}, Layout(kind == "harmonic", 8))
    encode = encoder.ClipEncoder(8)
    clips = [torch.from_numpy(noise_hit(k, 24000, 0.02 * (k + 1), k / 6 - 1))[None] for k in range(24)]
    with torch.no_grad():
        before = torch.cat([encode(clip)[0] for clip in clips])
        rows = torch.randn(24, 60, len(engine.layout.conditions))
        trunk = lambda z: engine.net(torch.cat((rows, z[:, None].expand(-1, 60, -1)), -1))
        old = trunk(before)
        share, rest = export.rank_latents(engine, encode, before)
        after = torch.cat([encode(clip)[0] for clip in clips])
        new = trunk(after)
    torch.testing.assert_close(new[..., 36:], old[..., 36:], rtol=1e-2, atol=1e-4)
    assert (share[:-1] >= share[1:]).all() and abs(float(share.sum()) - 1) < 1e-4
    alive = share > 1e-4
    spread = torch.cov(after.T)[alive][:, alive] * 23 / 24
    torch.testing.assert_close(spread, torch.eye(int(alive.sum())), rtol=0, atol=0.05)
    assert torch.isfinite(rest).all()
