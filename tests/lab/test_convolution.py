"""The convolutional engine: bands rebuild the sound, file, stream and training agree, silence is silence."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.engine import ModelWriter
from neurorack.lab import encoder, engines
from neurorack.lab.descriptors import HOP
from neurorack.lab.engines import pqmf, streams
from neurorack.lab.layout import Layout
from neurorack.lab.recipe import RecipeError
from tests.lab.test_engines import rendered, written

LATENTS = 3


def made(pitched=False, **options):
    torch.manual_seed(3)
    settings = {"kind": "convolution", "width": 4, "ratio": 256} | options
    return engines.make(settings, Layout(pitched, LATENTS)).eval()


def rows_of(engine, count=24, reach=1.4):
    rng = np.random.default_rng(4)
    return rng.uniform(-reach, reach, (count, engine.layout.width)).astype(np.float32)


def agreement_db(ours, theirs):
    ours = ours.astype(np.float64)
    return 10 * np.log10((ours ** 2).sum() / max(1e-30, ((ours - theirs) ** 2).sum()))


@pytest.mark.parametrize("attenuation, least", [(40, 38), (60, 44), (100, 54)])
def test_bands_put_together_are_the_sound_again(attenuation, least):
    assert pqmf.reconstruction_db(pqmf.Bank(attenuation)) > least


def test_a_bank_put_together_wrongly_is_found():
    bank = pqmf.Bank()
    bank.down = bank.down.flip(2)
    assert pqmf.reconstruction_db(bank) < 10


@pytest.mark.parametrize("options", [
    {"pitched": True, "conditioning": "film"}, {"ratio": 128, "noise": "last", "loudness": "gate"}, {"ratio": 2048, "noise": "none"}])
def test_file_and_stream_play_what_render_gives(tmp_path, options):
    engine = made(**options)
    hop, rows = engine.hop, rows_of(engine, 12)
    ours = rendered(engine, rows)
    assert ours.std() > 1e-4
    model = written(engine, tmp_path / "x.safetensors", [hop, 4 * hop])
    np.testing.assert_array_equal(rendered(engines.of_model(model), rows), ours)
    for block in (hop, 4 * hop):
        program = model.program("decode", block_frames=block)
        assert program.delay_frames == 0
        assert agreement_db(ours, program.stream(rows)[:, 0]) > 100, block
    stream = torch.jit.script(engine.stream_module())
    columns = torch.from_numpy(rows.T[None].copy())
    with torch.no_grad():
        parts = torch.cat([stream(columns[:, :, at:to]) for at, to in ((0, 1), (1, 3), (3, 8), (8, 12))], 2)
    assert agreement_db(ours, parts[0, 0].numpy()) > 100


@pytest.mark.parametrize("pitched", [False, True])
def test_a_row_depends_on_no_more_than_its_history(pitched):
    engine = made(pitched, noise="none", conditioning="film")
    rows = torch.from_numpy(np.stack([rows_of(engine, engine.history + 3)] * 2))
    if pitched:     # a steady pitch: its phase depends on all that was
        rows[..., engine.layout.column("pitch")] = 0.5
    other = torch.cat((torch.zeros(2, 40, rows.shape[2]), rows), 1)
    if pitched:
        other[..., engine.layout.column("pitch")] = 0.5
    rng = lambda: np.random.default_rng(1)
    with torch.no_grad():
        short = engine.play(rows, rng())
        longer = engine.play(other, rng())[:, -short.shape[1]:]
    assert short.shape == (2, 3 * engine.hop)
    if not pitched:
        assert agreement_db(longer.numpy(), short.numpy()) > 100
    assert torch.isfinite(longer).all()


@pytest.mark.parametrize("loudness", ["gain", "gate"])
def test_rest_is_exact_silence(loudness):
    engine = made(loudness=loudness)
    rows = rows_of(engine, 16)
    rows[:8, 0], rows[8:, 0] = 0.5, -1.0
    audio = rendered(engine, rows)
    assert not audio[9 * engine.hop:].any() and np.abs(audio[:8 * engine.hop]).max() > 1e-3


def test_wild_inputs_do_not_break_it(tmp_path):
    engine = made(conditioning="film")
    rows = rows_of(engine, 64, 1e6)
    audio = written(engine, tmp_path / "x.safetensors", [256]).program("decode", block_frames=256).stream(rows)
    assert np.isfinite(audio).all() and 0 < np.abs(audio).max() < 10


def test_noise_is_the_engines_own_sequence_whatever_the_pieces():
    writer = ModelWriter({"name": "x"})
    writer.method("decode", lambda b: b.output(b.random(b.input().rows, 3, seed=77)), blocks=[64], in_channels=1, out_channels=3)
    builder = writer.methods["decode"]["programs"]["64"]
    assert builder["ops"][0]["op"] == "random"
    noise = streams.Noise(3, 77)
    like = torch.zeros(1, 1, 1)
    whole = noise(like, 64)[0].T.numpy()
    noise.streaming = True
    parts = torch.cat([noise(like, count) for count in (1, 20, 43)], 2)[0].T.numpy()
    np.testing.assert_array_equal(parts, whole)
    theirs = _reference(writer) * 2 - 1
    np.testing.assert_array_equal(whole, theirs.astype(np.float32))


def _reference(writer):
    """One block of a writer's decode method by the numpy reference."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        model = writer.save(Path(folder) / "x.safetensors")
        program = model.program("decode", block_frames=64)
        return program.run(np.zeros((64, 1), np.float32))


def test_without_noise_constant_controls_repeat_every_row_and_with_it_they_do_not():
    """The reason for the noise at every stage."""
    for noise, repeats in (("none", True), ("every", False)):
        engine = made(noise=noise)
        rows = np.repeat(rows_of(engine, 1), 60, 0)
        rows[:, 0] = 0.5
        audio = rendered(engine, rows)[40 * engine.hop:].reshape(-1, engine.hop)
        assert (agreement_db(audio[0], audio[5]) > 60) == repeats


def test_new_axes_of_the_latent_keep_the_sound():
    engine, other = made(), made()
    rows = rows_of(engine)
    first, mean = len(engine.layout.conditions), torch.tensor([0.3, -0.2, 0.5])
    to_old = torch.linalg.qr(torch.randn(LATENTS, LATENTS))[0] * 0.7
    other.change_latents(to_old, mean)
    moved = rows.copy()
    moved[:, first:] = (rows[:, first:] - mean.numpy()) @ np.linalg.inv(to_old.numpy())
    settled = engine.history * engine.hop      # the zeros before the first row mean something else
    assert agreement_db(rendered(engine, rows)[settled:], rendered(other, moved)[settled:]) > 80


def test_a_ratio_there_is_none_of_is_told():
    with pytest.raises(RecipeError, match="engine.ratio is 300; it must be one of 128"):
        made(ratio=300)


@pytest.mark.parametrize("hop", [HOP, 256, 2048])
def test_the_framewise_encoder_runs_in_the_engine(tmp_path, hop):
    torch.manual_seed(5)
    coder = encoder.make({"per": "frame", "size": 3, "hop": hop, "adversary": 0.1}).eval()
    audio = torch.randn(2, 8 * coder.block_frames) * 0.3
    with torch.no_grad():
        mean, log_var = coder(audio)
    assert mean.shape == log_var.shape == (2, audio.shape[1] // hop, 3)
    writer = ModelWriter({"name": "x"})
    blocks = [coder.block_frames, 4 * coder.block_frames]
    writer.method("encode", coder.encode_method(), blocks=blocks, in_channels=1, out_channels=3, out_ratio=hop)
    model = writer.save(tmp_path / "x.safetensors")
    for block in blocks:
        told = model.program("encode", block_frames=block).stream(audio[0].numpy()[:, None])
        np.testing.assert_allclose(told, mean[0].numpy(), atol=1e-5)
    again = encoder.make(coder.settings)
    again.load_state_dict(coder.state_dict())
    turn, centre = torch.randn(3, 3), torch.randn(3)
    again.change_latents(turn, centre)
    with torch.no_grad():
        np.testing.assert_allclose(again(audio)[0], (mean - centre) @ turn, atol=1e-4)


def test_crops_of_the_framewise_encoder_are_those_of_the_rows():
    torch.manual_seed(5)
    coder = encoder.make({"per": "frame", "size": 3, "hop": 256}).eval()
    audio = torch.randn(2, 256 * 40)
    with torch.no_grad():
        whole = coder(audio)[0]
        crops = coder.of_crops(audio, [0, 80], 12, 16)[0]         # 80 hops of 64 are 20 rows; 12 rows of history
    assert crops.shape == (2, 28, 3)
    # rows 20 … 35 of the second clip, once what the encoder remembers (some 6000 samples) is past
    np.testing.assert_allclose(crops[1, -2:], whole[1, 34:36], atol=0.05)
