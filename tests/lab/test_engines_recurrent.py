"""The recurrent trunk: its parts are what they are named after, its state goes on, and it plays with other widths than it was made with."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab import engines
from neurorack.lab.engines import base, recurrent
from neurorack.lab.export.check import wild_rows
from neurorack.lab.layout import Layout
from neurorack.lab.recipe import RecipeError
from neurorack.lab.trim.engine_units import cut_engine, of_engine
from tests.lab.test_engines import Places, rendered, written
from tests.lab.test_torchscript import agreement_db, rows_of

KINDS = [("noise-band", "film"), ("harmonic", "concatenate"), ("harmonic", "film")]
BLOCKS = (64, 512)


def made(kind="noise-band", conditioning="concatenate", width=12, **more):
    torch.manual_seed(1)
    settings = {"kind": kind, "trunk": "recurrent", "width": width, "conditioning": conditioning, **more}
    return engines.make(settings, Layout(kind == "harmonic", 4)).eval()


def check_everywhere(engine, folder, cuts=(1, 40, 87)):
    """File, file opened again and script play what `render` gives, at all lengths of blocks and pieces."""
    rows = rows_of(engine, 128)
    ours, model = rendered(engine, rows), written(engine, folder / "x.safetensors", BLOCKS)
    np.testing.assert_array_equal(rendered(engines.of_model(model), rows), ours)
    for block in BLOCKS:
        assert agreement_db(ours, model.program("decode", block_frames=block).stream(rows)[:, 0]) > 90, block
    stream = torch.jit.script(engine.stream_module())
    columns = torch.from_numpy(rows.T[None].copy())
    with torch.inference_mode():
        parts = torch.cat([stream(part) for part in columns.split(cuts, 2)], 2)
        assert stream(columns.expand(3, -1, -1)).shape == (3, 1, 128 * 64)      # another batch begins anew
    assert agreement_db(ours, parts[0, 0].numpy()) > 90


@pytest.mark.parametrize("kind, conditioning", KINDS)
def test_a_file_and_a_script_play_what_training_heard(tmp_path, kind, conditioning):
    check_everywhere(made(kind, conditioning), tmp_path)


@pytest.mark.parametrize("kind, conditioning", [("noise-band", "film"), ("harmonic", "concatenate")])
def test_with_units_taken_out_it_trains_and_plays_on(tmp_path, kind, conditioning):
    engine = made(kind, conditioning)
    groups = {group.name: group.units for group in of_engine(engine)}
    assert {name: len(units) for name, units in groups.items()} == {"net.entry": 12, "net.gru": 12, "net.around": 12}
    cut_engine(engine, [*groups["net.entry"][:5], *groups["net.gru"][3:4], *groups["net.around"][2:9]])
    shapes = {name: tuple(value.shape) for name, value in engine.net.state_dict().items()}
    assert shapes["gru.weight_ih"] == (33, 7) and shapes["gru.weight_hh"] == (33, 11) and shapes["gru.bias_hh"] == (33,)
    assert shapes["entry_norm.weight"] == (7,) and shapes["leave.weight"] == (5, 11, 1) and shapes["around.weight"] == (5, 7, 1)
    rows = torch.from_numpy(np.stack([rows_of(engine, engine.history + 6)[:engine.history + 5]] * 2))
    audio = engine.train().play(rows, np.random.default_rng(1))
    assert audio.shape == (2, 5 * 64)
    audio.square().mean().backward()
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in engine.parameters())
    check_everywhere(engine.eval(), tmp_path)


def test_the_norm_and_the_gru_are_those_of_torch():
    torch.manual_seed(2)
    x, norm, gru = torch.randn(2, 6, 9), recurrent.Norm(6), recurrent.Gru(6, 5)
    with torch.no_grad():
        norm.weight.normal_(), norm.bias.normal_()
        theirs = torch.nn.functional.layer_norm(x.transpose(1, 2), (6,), norm.weight, norm.bias, recurrent.EPSILON).transpose(1, 2)
        torch.testing.assert_close(norm(x), theirs, rtol=0, atol=1e-5)
        whole = torch.nn.GRU(6, 5, batch_first=True)
        whole.load_state_dict({f"{name}_l0": value for name, value in gru.state_dict().items()})
        torch.testing.assert_close(gru(x), whole(x.transpose(1, 2))[0].transpose(1, 2), rtol=0, atol=1e-6)
        gru.streaming = True
        torch.testing.assert_close(torch.cat([gru(part) for part in x.split(4, 2)], 2), whole(x.transpose(1, 2))[0].transpose(1, 2),
                                   rtol=0, atol=1e-6)


def test_training_plays_what_rendering_plays():
    engine = made()
    rows = torch.from_numpy(wild_rows(engine.layout, engine.hop, seconds=0.15))[None]
    with torch.no_grad():
        crop = engine.play(rows, Places(engine.history))
        whole = engine.render(rows)[:, engine.history * engine.hop:]
    torch.testing.assert_close(crop, whole, rtol=0, atol=2e-5)


def test_the_state_of_a_crop_is_near_that_of_playing():
    engine = made(width=32)
    rows = torch.from_numpy(rows_of(engine, 256))[None]
    with torch.no_grad():
        whole, late = engine.shape(rows)[:, -16:], engine.shape(rows[:, -16 - engine.history:])[:, -16:]
        cold = engine.shape(rows[:, -16:])
    assert agreement_db(whole.numpy(), late.numpy()) > agreement_db(whole.numpy(), cold.numpy()) + 20


@pytest.mark.parametrize("kind", ["noise-band", "harmonic"])
def test_wild_inputs_do_not_break_it_and_rest_is_exact_silence(tmp_path, kind):
    engine = made(kind)
    rows = np.random.default_rng(5).uniform(-1e6, 1e6, (64, engine.layout.width)).astype(np.float32)
    rows[32:, 0] = -1.0
    program = written(engine, tmp_path / "x.safetensors", [64]).program("decode", block_frames=64)
    for audio in (program.stream(rows)[:, 0], rendered(engine, rows)):
        assert np.isfinite(audio).all() and 0 < np.abs(audio).max() < 10 and not audio[33 * 64:].any()


def test_new_axes_of_the_latent_keep_the_sound():
    engine, other = made(conditioning="film"), made(conditioning="film")
    rows, first, mean = rows_of(engine, 16), len(engine.layout.conditions), torch.tensor([0.3, -0.2, 0.5, 0.1])
    to_old = torch.linalg.qr(torch.randn(4, 4))[0] * 0.7
    other.change_latents(to_old, mean)
    moved = rows.copy()
    moved[:, first:] = (rows[:, first:] - mean.numpy()) @ np.linalg.inv(to_old.numpy())
    assert agreement_db(rendered(engine, rows), rendered(other, moved)) > 80


def test_a_trunk_there_is_none_of_is_told():
    with pytest.raises(RecipeError, match="engine.trunk is 'lstm'; one of convolution, recurrent"):
        made(trunk="lstm")


def test_a_trunk_with_film_starts_as_one_without():
    engine, layout = made(conditioning="film"), Layout(False, 4)
    with torch.no_grad():
        engine.net.films[0].weight.zero_()
        plain = recurrent.RecurrentTrunk(layout, 12)
        plain.load_state_dict({name: value for name, value in engine.net.state_dict().items() if "film" not in name})
        rows = torch.from_numpy(rows_of(engine, 16))[None]
        torch.testing.assert_close(plain(rows), engine.net(rows), rtol=0, atol=1e-6)
    assert isinstance(plain, base.Reader)
