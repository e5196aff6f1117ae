"""Knobs named by listening: synthetic decoders whose every input does a known thing."""

import time

import numpy as np
import pytest

from neurorack.engine import ModelWriter
from neurorack.engine.model import Method
from neurorack.errors import ModelError
from neurorack.importer.knobs import apply_knobs, name_knobs
from neurorack.voice.card import check_card, drone_card
from neurorack.voice.foreign import ForeignModel
from neurorack.voice.measures import difference_db, measure
from neurorack.voice.voice import Voice

RATE, HOP = 48000, 512


def card(names, **more):
    return drone_card({"name": "known", "sample_rate_hz": RATE, "hop_frames": HOP, "inputs": [{"name": n} for n in names], "controls": [],
                       "source": {"file": "known.ts"}, **more}, ["decode"])


def known(path, names=("latent 1", "latent 2", "latent 3", "latent 4", "latent 5", "latent 6"), channels=1):
    """Dead; noise amount; pitch, downwards; level; tilt of the partials, and dead again. Lasts are ignored inputs."""
    writer = ModelWriter(card(names))

    def decode(b):
        x = b.input()
        level = b.exp(x[:, 3:4] * 0.8 - 3.0)
        numbers = np.arange(1, 17, dtype=np.float32)
        hertz = b.linear(b.exp(x[:, 2:3] * -0.25) * 220.0, numbers[:, None])
        tilt = b.exp(b.linear(b.affine(x[:, 4:5], 0.5, -1.0), np.log(numbers)[:, None]))
        tones = b.oscillators(tilt * level.expand(x.rows, 16), hertz, float(RATE), HOP)
        noise = b.linear(b.exp(x[:, 1:2] * 1.2 - 3.5) * level, np.ones((4, 1), np.float32))
        table = b.generated(kind="erb_noise_bands", bands=4, length=8192, sample_rate=RATE)
        y = tones + b.noise_bands(noise, table, HOP)
        b.output(y if channels == 1 else b.concat([y, y * 0.5]))

    writer.method("decode", decode, blocks=(HOP, 2 * HOP), in_channels=len(names), in_ratio=HOP, out_channels=channels)
    return writer.save(path)


class Made:
    """A decoder in numpy: ``sound(row, random, frames)`` gives [frames, channels] for each row."""

    def __init__(self, sound, inputs, channels=1, pause_seconds=0.0):
        self.in_shape, self.out_shape = (2, inputs), (2 * HOP, channels)
        self.sound, self.pause_seconds, self.random, self.at = sound, pause_seconds, np.random.default_rng(0), 0

    def run(self, x):
        time.sleep(self.pause_seconds)
        self.at += len(x) * HOP
        t = (self.at + np.arange(HOP)) / RATE
        return np.concatenate([self.sound(row, self.random, t + k * HOP / RATE) for k, row in enumerate(np.array(x))]).astype(np.float32)

    def reset(self):
        self.at = 0


def made(sound, names, **more):
    return ForeignModel("made.ts", card(names), {"decode": Method("decode", len(names), HOP, more.get("channels", 1), 1, (2 * HOP,), 0)},
                        lambda method, block: Made(sound, len(names), **more))


def links(controls):
    return {c["name"]: c["links"][0] for c in controls}


@pytest.mark.parametrize("channels", [1, 2])
def test_every_input_is_named_for_what_it_does_and_up_is_more(tmp_path, channels):
    model = known(tmp_path / "known.safetensors", channels=channels)
    controls = name_knobs(model)
    found = links(controls)
    assert {name: link["input"] for name, link in found.items()} == {
        "pitch": "latent 3", "brightness": "latent 5", "loudness": "latent 4", "noisiness": "latent 2"}
    assert found["pitch"]["low"] > found["pitch"]["high"], "it was upside down"
    assert found["loudness"]["low"] < 0 < found["loudness"]["high"]
    measured = {c["name"]: c["measured"] for c in controls}
    assert measured["pitch"]["pitch_octaves"] == pytest.approx(6 * 0.25 / np.log(2), rel=0.05)
    assert measured["loudness"]["loudness_db"] == pytest.approx(6 * 0.8 * 20 / np.log(10), rel=0.05)
    assert measured["brightness"]["brightness_octaves"] > 2 and measured["noisiness"]["noisiness_db"] > 20
    assert abs(measured["loudness"]["brightness_octaves"]) < 0.1


def test_a_card_with_named_knobs_plays_and_keeps_the_voice_s_own(tmp_path):
    model = known(tmp_path / "known.safetensors")
    named = apply_knobs(model.card, name_knobs(model))
    check_card(named, "named")
    names = [c["name"] for c in named["controls"]]
    assert names[:4] == ["pitch", "brightness", "loudness", "noisiness"] and "wander" in names and "decay" in names
    assert [(r["jack"], r["control"]) for r in named["patch"]["routes"]] == [
        ("cv1", "pitch"), ("cv2", "brightness"), ("cv3", "loudness"), ("cv4", "noisiness")]
    assert [i["name"] for i in named["inputs"]] == [i["name"] for i in model.card["inputs"]], "dead inputs stay, without a knob"
    assert named["inputs"][0]["wander"] == 0 and named["inputs"][3]["wander"] == pytest.approx(1.0)
    assert apply_knobs(named, name_knobs(model))["controls"] == named["controls"], "naming again changes nothing"
    model.card = named
    assert np.isfinite(Voice(model, HOP).render()).all()


def test_an_input_s_range_ends_where_it_does_nothing_more(tmp_path):
    def sound(row, random, t):
        return 0.1 * np.exp(np.clip(row[0], -1, 2))* np.sin(2 * np.pi * 300 * t)[:, None]

    link = links(name_knobs(made(sound, ["latent 1"])))["loudness"]
    assert -2 <= link["low"] <= -1 and 2 <= link["high"] <= 2.5


@pytest.mark.parametrize("gone", [np.nan, 1e4])
def test_an_input_s_range_ends_before_the_model_breaks(gone):
    def sound(row, random, t):
        return (gone if row[0] > 1.5 else 0.1 * np.exp(row[0])) * np.sin(2 * np.pi * 300 * t)[:, None]

    control = name_knobs(made(sound, ["latent 1", "latent 2"]))[0]
    assert control["links"][0]["high"] <= 1.5 and control["links"][0]["low"] == -3
    assert 0 < control["default"] <= 1


def test_random_decoders_do_not_make_dead_inputs_alive():
    def sound(row, random, t):
        return np.exp(0.8 * row[1] - 3) * random.standard_normal((len(t), 2))

    controls = name_knobs(made(sound, ["z0", "z1", "z2"], channels=2))
    assert [(c["name"], c["links"][0]["input"]) for c in controls] == [("loudness", "z1")]


def test_names_of_the_file_are_kept_and_its_units_found():
    """A decoder steered by pitch in hertz and level: silent, until both are given."""
    def sound(row, random, t):
        hertz, level = max(row[0], 0.0), max(row[1], 0.0)
        return (0.3 * level * (np.sin(2 * np.pi * hertz * t) if 20 < hertz < 8000 else 0 * t))[:, None]

    model = made(sound, ["f0", "level"])
    model.card["inputs"][0]["rest"] = 200.0
    controls = {c["name"]: c for c in name_knobs(model)}
    assert set(controls) == {"f0", "level"}
    assert controls["f0"]["links"][0]["high"] >= 1000 and controls["level"]["links"][0]["high"] >= 1
    named = apply_knobs(model.card, list(controls.values()))
    assert named["inputs"][1]["rest"] > 0, "the rest sounds"
    assert all(i["wander"] == 0 for i in named["inputs"]), "a pitch in hertz does not wander"


def test_a_slow_model_keeps_to_the_seconds_it_was_given():
    def sound(row, random, t):
        return 0.1 * np.exp(row[0] / 2) * np.sin(2 * np.pi * 300 * t)[:, None]

    names = [f"latent {i + 1}" for i in range(12)]
    began = time.monotonic()
    controls = name_knobs(made(sound, names, pause_seconds=0.004), seconds_budget=3.0)
    assert time.monotonic() - began < 9
    assert controls[0]["links"][0]["input"] == "latent 1" and controls[0]["measured"]["loudness_db"] > 10


def test_what_cannot_be_named_is_said(tmp_path):
    with pytest.raises(ModelError, match="not finite"):
        name_knobs(made(lambda row, random, t: np.full((len(t), 1), np.nan), ["latent 1"]))
    plays_input = made(lambda row, random, t: t[:, None], ["latent 1"])
    plays_input.card = {**plays_input.card, "plays": "input"}
    with pytest.raises(ModelError, match="no latents"):
        name_knobs(plays_input)
    controller = made(lambda row, random, t: t[:, None], ["latent 1"])
    controller.methods["decode"] = Method("decode", 1, HOP, 1, HOP, (2 * HOP,), 0)
    with pytest.raises(ModelError, match="no sound"):
        name_knobs(controller)


def test_the_factory_model_s_names_are_its_own():
    from neurorack import library
    from neurorack.engine import Model

    model = Model.load(library.find("impacts"))
    own = {c["name"]: c["links"][0]["input"] for c in model.card["controls"] if c.get("links")}
    found = {c["name"]: c["links"][0]["input"] for c in name_knobs(model)}
    assert {n: found[n] for n in found if n in own} == own
    assert set(own.values()) <= set(found.values())


# ---- the measures


@pytest.mark.parametrize("hertz", [55.0, 110.0, 440.0, 1500.0])
@pytest.mark.parametrize("rate", [44100, 48000])
def test_pitch(hertz, rate):
    t = np.arange(rate // 4) / rate
    saw = sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 8))[:, None] * 0.1
    assert 2 ** measure(saw, rate).pitch == pytest.approx(hertz, rel=2e-3)


def test_measures_of_noise_tones_silence_and_nan():
    random, t = np.random.default_rng(0), np.arange(12000) / 48000
    noise, tone = measure(0.1 * random.standard_normal((12000, 2)), 48000), measure(0.1 * np.sin(2 * np.pi * 1000 * t)[:, None], 48000)
    assert np.isnan(noise.pitch) and noise.noisiness > -1 and noise.loudness == pytest.approx(-20, abs=0.2)
    assert 2 ** tone.brightness == pytest.approx(1000, rel=0.01) and tone.noisiness < -30 and difference_db(noise, tone) > 20
    silent = measure(np.zeros((4096, 1)), 48000)
    assert silent.loudness == -70 and np.isnan(silent.brightness) and difference_db(silent, silent) == 0
    assert measure(np.full((4096, 1), np.nan), 48000) is None


def test_an_older_file_s_pitch_in_hertz_is_found_though_it_has_no_name():
    """Silent until pitch and level are both given; neither says what it is, and there is no encoder."""
    def sound(row, random, t):
        hertz, level = row[0], np.clip(row[1], 0, 1)
        return (0.2 * level * sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 5)) if 20 < hertz < 5500 else 0 * t)[:, None]

    model = made(sound, ["latent 1", "latent 2"])
    controls = {c["links"][0]["input"]: c for c in name_knobs(model)}
    assert controls["latent 1"]["links"][0]["high"] >= 1000
    named = apply_knobs(model.card, list(controls.values()))
    rests = [i["rest"] for i in named["inputs"]]
    assert 20 < rests[0] < 5500 and rests[1] > 0.2, "it sounds at rest"
    assert named["inputs"][0]["wander"] == 0
