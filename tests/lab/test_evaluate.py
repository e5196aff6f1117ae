"""Measuring: models whose behaviour is known get the figures they deserve."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from PIL import Image

from neurorack import cli
from neurorack.engine import ModelWriter
from neurorack.lab import evaluate
from neurorack.lab.descriptors import HOP, NAMES, MinMax, QuantileMap, loudness_to_db
from neurorack.lab.evaluate import curves, quality
from neurorack.lab.evaluate.bench import FRAMES, Bench
from neurorack.lab.evaluate.command import read_baselines
from neurorack.lab.evaluate.page import page
from neurorack.lab.evaluate.pitched import followed_pitch
from neurorack.lab.evaluate.protocol import control
from neurorack.lab.layout import C4_HERTZ, Layout
from tests.lab.test_descriptors import noise_hit

IMPACTS = Path(__file__).resolve().parents[2] / "models" / "impacts" / "impacts.safetensors"
KNOTS = np.stack([np.linspace(8, 13, 33), np.linspace(9, 12.5, 33), np.linspace(0.5, 3, 33), np.linspace(0, 0.5, 33)])


class Made:
    """A few made-up clips."""

    def __init__(self, count=4, seconds=0.5, pitched=False):
        self.audio = [noise_hit(k, int(seconds * 48000), 0.1 + 0.05 * k, -0.8 + 0.4 * k).astype(np.float32) for k in range(count)]
        self.rows = [{"name": f"made/hit <{k}>"} for k in range(count)]
        frames = int(seconds * 48000) // HOP
        self.pitch = [np.full(frames, 0.25 * k, np.float32) if pitched else None for k in range(count)]
        self.harmonicity = [np.full(frames, 20.0, np.float32) if pitched else None for _ in range(count)]

    def __len__(self):
        return len(self.audio)

    def padded(self, index, samples):
        return np.pad(self.audio[index][:samples], (0, max(0, samples - len(self.audio[index]))))


def level(rows, hop=HOP):
    """Amplitude of each sample that the rows' loudness asks for; exactly 0 at or below -1."""
    asked = rows[..., 0].repeat_interleave(hop, 1)
    return torch.where(asked > -1, 10 ** (loudness_to_db(asked) / 20), torch.zeros(()))


def noise_player(rows):
    """A model that follows loudness and nothing else: white noise."""
    noise = torch.from_numpy(np.random.default_rng(len(rows)).standard_normal((len(rows), rows.shape[1] * HOP)).astype(np.float32))
    return noise * level(rows)


def bench(play=noise_player, clips=None, layout=Layout(), own=None, **more):
    return Bench(clips or Made(), layout, own or QuantileMap(KNOTS), lambda audio: torch.zeros(1, 1, layout.latents), play, **more)


def test_unseen_curves_are_none_of_trainings_kinds():
    drawn = curves.unseen_curves(40, FRAMES, np.random.default_rng(5)).numpy().transpose(0, 2, 1).reshape(200, FRAMES)
    assert np.abs(drawn).max() <= 1
    slopes = np.abs(np.diff(drawn, axis=1))
    for curve, slope in zip(drawn, slopes):
        assert len(np.unique(curve.round(4))) > 20                    # no constant, no steps
        usual = np.median(slope)
        assert np.mean(np.abs(slope - usual) < 0.02 * usual + 1e-5) > 0.8      # straight lines: no sine


def test_a_model_that_follows_loudness_alone_gets_loudness_alone():
    figures = control(bench(), 24, 2)
    for title in ("all_five", "unseen"):
        assert figures[title]["loudness"] > 0.9 and len(figures[title]["by_seed"]) == 2
        assert all(abs(figures[title][name]) < 0.35 for name in NAMES[1:]), title
    assert figures["single"]["loudness"] > 0.9 > 0.4 > abs(figures["single"]["booming"])
    assert figures["second_opinion"]["loudness"] > 0.8 and abs(figures["second_opinion"]["centroid"]) < 0.4


def test_rows_have_what_is_asked_at_their_end_in_the_models_own_units():
    space, own = QuantileMap(KNOTS), MinMax(KNOTS[:, [0, -1]] * np.array([0.9, 1.2]))
    made = bench(hop=256, own=own, space=space)
    asked = curves.unseen_curves(2, FRAMES, np.random.default_rng(6))
    rows = made.rows(asked, torch.tensor([1, 3]))
    assert rows.shape == (2, FRAMES // 4, 13)
    torch.testing.assert_close(rows[..., 0], asked[:, 3::4, 0])
    torch.testing.assert_close(own.inverse(rows[..., 1:5]), space.inverse(asked[:, 3::4, 1:]), rtol=0, atol=1e-3)


def test_a_delay_is_taken_off_before_judging_and_counted_in_steps():
    def late(rows):
        return torch.nn.functional.pad(noise_player(rows), (480, 0))[:, :rows.shape[1] * HOP]

    figures = control(bench(late, delay=480), 12, 1)
    assert figures["all_five"]["loudness"] > 0.9
    steps = quality.steps(bench(late, delay=480))
    assert steps["first_sample"] == 480 and 9 < steps["loudness_step_ms"] < 13 and steps["silence_dbfs"] is None
    prompt = quality.steps(bench())
    assert prompt["first_sample"] == 0 and prompt["loudness_step_ms"] < 2.5 and prompt["centroid_step_ms"] is None


def test_what_is_no_number_is_counted():
    def broken(rows):
        audio = noise_player(rows)
        audio[:, 7] = float("nan")
        return audio

    made = bench(broken)
    assert torch.isfinite(made.rebuild()).all() and made.broken == len(made.audio)


@pytest.mark.parametrize("off_cents", [0, 60])
def test_a_pitched_model_out_of_tune_is_found_out(off_cents):
    def tone(rows):
        hertz = C4_HERTZ * 2 ** (rows[..., 6] + off_cents / 1200).repeat_interleave(HOP, 1)
        turns = torch.cumsum(hertz.double() / 48000, 1)
        return (sum(torch.sin(2 * np.pi * k * turns) / k for k in range(1, 9)).float() * level(rows)).float()

    figures = followed_pitch(bench(tone, Made(3, pitched=True), Layout(pitched=True)))
    assert abs(figures["pitch_error_cents"] - off_cents) < 10 and figures["unvoiced"] < 0.2
    assert figures["harmonicity_error_db"] > 0                    # cleaner than the 20 dB of the clips


class _Sources(HTMLParser):
    """The addresses a page loads from, and how deep its elements are when it ends."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.sources += [(tag, value) for key, value in attributes if key in ("src", "href")]

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_needs_nothing_else_and_its_sounds_and_pictures_can_be_opened():
    made = bench()
    figures = evaluate.evaluate(made, 10, 1) | {"name": "<noise>"}
    assert figures["silence_dbfs"] is None and figures["not_numbers"] == 0 and "exactly silent" in evaluate.summary(figures)
    json.dumps(figures, allow_nan=False)
    text = page("<noise>", figures, made, {"licence": "CC0"}, {"another": figures})
    found = _Sources(text)
    assert "<noise>" in "".join(found.texts) and "<noise>" not in text       # names are escaped
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)
    kinds = {"img": 0, "audio": 0}
    for tag, source in found.sources:
        kind, data = source.split(",", 1)
        data = io.BytesIO(base64.b64decode(data))
        if tag == "img":
            assert kind == "data:image/png;base64" and Image.open(data).size[0] > 100
        else:
            sound, rate = soundfile.read(data)
            assert kind == "data:audio/ogg;base64" and rate == 48000 and len(sound) == FRAMES * HOP
        kinds[tag] += 1
    assert kinds["img"] == kinds["audio"] == 12 and text.count("<svg") >= 9


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe with eight made-up hits, two of them held out."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "sounds").mkdir()
    for k in range(8):
        soundfile.write(folder / "sounds" / f"hit{k}.wav", noise_hit(k, 14400, 0.03 + 0.01 * k, -1 + 0.25 * k), 48000)
    source = {"name": "made", "kind": "files", "package": "none", "path": str(folder / "sounds"), "files": ["*.wav"],
              "licence": "CC0", "licences": ["CC0"]}
    text = {"name": "made", "data": {"seconds": 0.3, "gesture_seconds": 0.3, "sources": [source], "held_out": ["made/hit[67]"],
                                     "gestures": {"low": "made/hit0"}}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(text))
    return folder / "recipe.yaml"


def test_the_command_measures_a_file(recipe, tmp_path, capsys):
    into = [str(IMPACTS), "--recipe", str(recipe), "--cache", str(recipe.parent / "cache"), "--curves", "8", "--seeds", "1"]
    assert cli.main(["evaluate", *into, "--json", str(tmp_path / "deep" / "figures.json"), "--page", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "deep" / "figures.json").read_text())
    assert figures["name"] == "impacts" and figures["held_out_clips"] == 2 and figures["control"]["all_five"]["loudness"] > 0.85
    assert figures["log_mel_error_db"] > figures["log_mel_error_of_noise_db"] > 0 and 0 < figures["cost_percent"] < 100
    assert "| all five at once |" in capsys.readouterr().out
    assert (tmp_path / "impacts.html").stat().st_size > 20_000
    assert list(read_baselines([tmp_path / "deep" / "figures.json"])) == ["impacts"]


@pytest.mark.parametrize("wrong, word", [(["--curves", "3"], "--curves"), (["--baseline", "none.json"], "none.json"),
                                         (["--recipe", "none.yaml"], "none.yaml")])
def test_what_is_wrong_is_said_in_one_line(tmp_path, monkeypatch, capsys, wrong, word):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["evaluate", str(IMPACTS), *wrong]) == 2
    said = capsys.readouterr().err
    assert word in said and said.count("\n") == 1


def test_a_model_of_elsewhere_is_refused_in_one_line(tmp_path):
    writer = ModelWriter({"name": "foreign", "inputs": [{"name": "brightness", "rest": 0.0}]})
    writer.method("decode", lambda b: b.output(b.hold(b.input(), HOP)), blocks=[64], in_channels=1, in_ratio=HOP)
    with pytest.raises(evaluate.opened.ModelError, match="only models of the lab"):
        evaluate.bench_of(writer.save(tmp_path / "foreign.safetensors"), Made())


def test_baselines_may_be_one_or_many_in_a_file(tmp_path):
    row = {"control": {"all_five": {"spearman": 0.5}}}
    (tmp_path / "many.json").write_text(json.dumps({"impacts": {"c-rave": row, "f-rave": row, "minutes": 10}}))
    assert list(read_baselines([tmp_path / "many.json"])) == ["c-rave", "f-rave"]
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(evaluate.command.EvaluateError, match="no figures"):
        read_baselines([tmp_path / "none.json"])
