"""The engines: the file plays what training heard, silence is silence, pitch is exact, nothing breaks them."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.engine import Model, ModelWriter
from neurorack.lab import engines
from neurorack.lab.engines import base, harmonic
from neurorack.lab.export.check import wild_rows
from neurorack.lab.layout import C4_HERTZ, Layout
from neurorack.lab.recipe import RecipeError

FOLDER = Path(__file__).resolve().parents[2] / "models" / "impacts"
KINDS = [("noise-band", "concatenate"), ("noise-band", "film"), ("harmonic", "concatenate"), ("harmonic", "film")]
BLOCKS = (64, 256, 1024)


def made(kind, conditioning="concatenate", width=16, seed=1):
    torch.manual_seed(seed)
    return engines.make({"kind": kind, "width": width, "conditioning": conditioning}, Layout(kind == "harmonic", 8)).eval()


def written(engine, path, blocks=BLOCKS):
    """A model file of an engine, without anything else in it."""
    writer = ModelWriter({"name": "x", "engine": engine.settings,
                          "inputs": [{"name": name, "rest": 0.0} for name in engine.layout.names]})
    for name, value in engine.state_dict().items():
        writer.weights.add(value.numpy(), engines.DECODER + name)
        writer.weights.tensors[engines.DECODER + name] = value.numpy()
    writer.method("decode", engine.decode_method(), blocks=list(blocks), in_channels=engine.layout.width, in_ratio=engine.hop)
    return writer.save(path)


def rendered(engine, rows):
    with torch.no_grad():
        return engine.render(torch.from_numpy(rows)[None])[0].numpy()


@pytest.mark.parametrize("kind, conditioning", KINDS)
def test_a_file_plays_what_training_heard_at_every_block_length(tmp_path, kind, conditioning):
    engine = made(kind, conditioning)
    model = written(engine, tmp_path / "x.safetensors")
    rows = wild_rows(engine.layout, engine.hop, seconds=0.3)
    ours = rendered(engine, rows).astype(np.float64)
    again = rendered(engines.of_model(model), rows)
    np.testing.assert_array_equal(again, ours.astype(np.float32))
    for block in BLOCKS:
        played = model.program("decode", block_frames=block).stream(rows)[:, 0]
        assert 10 * np.log10((ours ** 2).sum() / ((ours - played) ** 2).sum()) > 90, block


@pytest.mark.parametrize("kind", ["noise-band", "harmonic"])
@pytest.mark.parametrize("reach", [2.0, 1e6])
def test_wild_inputs_never_break_an_engine(tmp_path, kind, reach):
    engine = made(kind)
    rows = np.random.default_rng(5).uniform(-reach, reach, (256, engine.layout.width)).astype(np.float32)
    audio = written(engine, tmp_path / "x.safetensors", [64]).program("decode", block_frames=64).stream(rows)
    assert np.isfinite(audio).all() and 0 < np.abs(audio).max() < 10
    assert np.isfinite(rendered(engine, rows)).all()


@pytest.mark.parametrize("kind", ["noise-band", "harmonic"])
def test_loudness_at_its_lowest_is_exact_silence(tmp_path, kind):
    engine = made(kind)
    rows = wild_rows(engine.layout, engine.hop, seconds=0.3)
    rows[:64, 0], rows[64:, 0] = 0.5, -1.0
    audio = written(engine, tmp_path / "x.safetensors", [64]).program("decode", block_frames=64).stream(rows)
    for sound in (audio[:, 0], rendered(engine, rows)):
        assert not sound[65 * 64:].any() and np.abs(sound[:64 * 64]).max() > 0.01


@pytest.mark.parametrize("kind", ["noise-band", "harmonic"])
def test_a_frame_has_the_level_it_is_asked_for(kind):
    engine = made(kind)
    rows = torch.randn(1, 50, engine.layout.width)
    rows[..., 0] = torch.linspace(-1.2, 1.2, 50)
    with torch.no_grad():
        if kind == "harmonic":
            tones, bands = engine.amplitudes(rows, engine.frequency(rows))
        else:
            bands, tones = engine.amplitudes(rows).split((engine.bands, len(engine.hertz)), 2)
    level = 10 * torch.log10((bands[0] ** 2).sum(1) + (tones[0] ** 2).sum(1) / 2)
    gain = 10 ** ((-36 + 30 * rows[0, :, 0].clamp(max=1)) / 20) - 10 ** (-66 / 20)     # less the floor: continuous to 0
    inside = rows[0, :, 0] > -0.95
    torch.testing.assert_close(level[inside], 20 * torch.log10(gain[inside]), rtol=0, atol=0.05)
    assert not bands[0, rows[0, :, 0] <= -1].any() and not tones[0, rows[0, :, 0] <= -1].any()


class Places:
    """A generator that begins everywhere at one hop, and turns of a phase at one place."""

    def __init__(self, hop):
        self.hop = hop

    def integers(self, most):
        return self.hop

    def random(self, count):
        return np.zeros(count)


def test_training_plays_what_rendering_plays():
    engine = made("noise-band")
    rows = torch.from_numpy(wild_rows(engine.layout, engine.hop, seconds=0.15))[None]
    with torch.no_grad():
        crop = engine.play(rows, Places(engine.history))
        whole = engine.render(rows)[:, engine.history * engine.hop:]
    torch.testing.assert_close(crop, whole, rtol=0, atol=2e-5)


def test_a_long_piece_is_rendered_in_parts():
    engine = made("noise-band")
    engine.waves = base.Waves(engine.waves.table[:32])
    rows = wild_rows(engine.layout, engine.hop, seconds=0.15)
    np.testing.assert_allclose(rendered(engine, rows), rendered(made("noise-band"), rows), rtol=0, atol=2e-5)


def test_training_plays_the_harmonics_that_rendering_plays():
    engine = made("harmonic")
    rows = torch.zeros(1, engine.history + 24, engine.layout.width)
    rows[..., engine.harmonicity_at] = 1.5
    rows[:, engine.history:, 0] = 0.8
    rows[:, :engine.history, 0] = -1.5                                           # silent before: then phases may begin at 0
    rows[..., engine.pitch_at] = 0.05 * torch.sin(torch.arange(rows.shape[1]) * 0.2)
    turns = engine.phases(torch.cat((torch.zeros(1, 1, 1), engine.frequency(rows)), 1), torch.zeros(1, dtype=torch.float64))
    start = float(turns[0, engine.history - 1, -1])

    class At(Places):
        def random(self, count):
            return np.full(count, start)

    with torch.no_grad():
        crop = engine.play(rows, At(engine.history))
        whole = engine.render(rows)[:, engine.history * engine.hop:]
    assert 10 * torch.log10((whole ** 2).sum() / ((crop - whole) ** 2).sum()) > 50


def test_gradients_of_the_harmonics_are_those_of_the_plain_sum():
    torch.manual_seed(2)
    amplitudes = torch.rand(2, 4, 5, dtype=torch.float64, requires_grad=True)
    phase = torch.rand(2, 3, 64, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a: harmonic.HarmonicSum.apply(a, phase), (amplitudes,))
    ramp = torch.arange(1, 65, dtype=torch.float64) / 64
    moving = amplitudes[:, :-1, None] + (amplitudes[:, 1:, None] - amplitudes[:, :-1, None]) * ramp[:, None]
    plain = (moving * torch.sin(2 * np.pi * phase[..., None] * torch.arange(1, 6))).sum(-1)
    torch.testing.assert_close(harmonic.HarmonicSum.apply(amplitudes, phase), plain, rtol=0, atol=1e-12)


def test_pitch_is_exact(tmp_path):
    engine = made("harmonic")
    with torch.no_grad():
        engine.head.bias[:80] = torch.tensor([0.0] + [-60.0] * 79)
        engine.head.weight[:80] = 0
    program = written(engine, tmp_path / "x.safetensors", [1024]).program("decode", block_frames=1024)
    for pitch in (-3.5, -1.0, 0.0, 0.123, 1 / 12, 2.0, 4.97):
        rows = np.zeros((768, engine.layout.width), np.float32)
        rows[:, 0], rows[:, engine.harmonicity_at], rows[:, engine.pitch_at] = 0.5, 1.5, pitch
        program.reset()
        audio = program.stream(rows)[1024:, 0].astype(np.float64)
        asked = C4_HERTZ * 2 ** pitch
        window = np.hanning(16384) * np.exp(-2j * np.pi * asked / 48000 * np.arange(16384))
        first, second = (np.angle((audio[at:at + 16384] * window).sum()) for at in (0, 24000))
        turned = (second - first) / (2 * np.pi) - asked * 24000 / 48000
        hertz = asked + (turned - round(turned)) * 48000 / 24000
        assert abs(1200 * np.log2(hertz / asked)) < 0.15, pitch


def test_nothing_folds_back_from_beyond_half_the_sample_rate(tmp_path):
    engine = made("harmonic")
    rows = np.zeros((512, engine.layout.width), np.float32)
    rows[:, 0], rows[:, engine.harmonicity_at], rows[:, engine.pitch_at] = 0.5, 1.5, 4.5
    audio = written(engine, tmp_path / "x.safetensors", [64]).program("decode", block_frames=64).stream(rows)[4096:4096 + 16384, 0]
    power = np.abs(np.fft.rfft(audio * np.blackman(16384))) ** 2
    hertz, asked = np.fft.rfftfreq(16384, 1 / 48000), C4_HERTZ * 2 ** 4.5
    own = np.zeros(len(hertz), bool)
    for k in range(1, 5):
        if k * asked < 24000:
            own |= np.abs(hertz - k * asked) < 30
    assert power[own].sum() > 0.99 * power.sum()
    folded = np.abs(hertz - (48000 - 5 * asked)) < 30                          # harmonic 5 would come down to here
    assert power[folded].sum() < 1e-4 * power.sum()


def test_a_harmonicity_asked_for_moves_power_from_noise_to_tones():
    engine = made("harmonic")
    rows = torch.zeros(1, 8, engine.layout.width)
    shares = []
    for asked in (-1.0, 0.0, 1.0):
        rows[..., engine.harmonicity_at] = asked
        with torch.no_grad():
            tones, bands = engine.shape(rows, engine.frequency(rows))
        shares.append(float(10 * torch.log10((tones[0, -1] ** 2).sum() / 2 / (bands[0, -1] ** 2).sum())))
    assert np.all(np.abs(np.array(shares) - [-20, 5, 30]) <= harmonic.CORRECTION_DB)
    assert shares[0] < shares[1] - 15 < shares[2] - 30


def test_settings_make_the_same_engine_again():
    for kind, conditioning in KINDS:
        engine = made(kind, conditioning)
        again = engines.make(engine.settings, engine.layout)
        again.load_state_dict(engine.state_dict())
        assert again.settings == engine.settings


@pytest.mark.parametrize("settings, word", [({"kind": "granular"}, "granular"), ({"kind": "noise-band", "brass": 3}, "brass")])
def test_settings_that_no_engine_has_are_named(settings, word):
    with pytest.raises(RecipeError, match=word):
        engines.make(settings, Layout())


def test_a_file_from_before_engines_had_settings_still_opens():
    engine = engines.of_model(Model.load(FOLDER / "impacts.safetensors"))
    assert engine.kind == "noise-band" and engine.layout == Layout(False, 8)
    assert rendered(engine, np.zeros((4, 13), np.float32)).shape == (256,)


def test_gain_is_zero_at_its_lowest_and_held_at_its_highest():
    gain = base.gain_of(torch.tensor([-9.0, -1.0, 1.0, 7.0]))
    assert gain[0] == gain[1] == 0 and gain[2] == gain[3] > 0.4
