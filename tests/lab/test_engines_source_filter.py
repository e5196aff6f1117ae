"""The source-filter engine: file, stream and training agree, rows reach no further than told, silence is silence."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab import engines
from neurorack.lab.engines.excitation import Tones
from neurorack.lab.layout import Layout
from neurorack.lab.trim.engine_units import cut_engine, of_engine
from tests.lab.test_engines import rendered, written
from tests.lab.test_torchscript import agreement_db, rows_of

BLOCKS = (64, 512)


def made(pitched=False, **options):
    torch.manual_seed(3)
    return engines.make({"kind": "source-filter", "width": 4, "layers": 3, **options}, Layout(pitched, 3)).eval()


def check_everywhere(engine, folder):
    """File, file opened again and script play what `render` gives, at all lengths of blocks and pieces."""
    rows = rows_of(engine, 32)
    ours, model = rendered(engine, rows), written(engine, folder / "x.safetensors", BLOCKS)
    assert ours.std() > 1e-4
    np.testing.assert_array_equal(rendered(engines.of_model(model), rows), ours)
    for block in BLOCKS:
        program = model.program("decode", block_frames=block)
        assert program.delay_frames == 0
        assert agreement_db(ours, program.stream(rows)[:, 0]) > 100, block
    stream = torch.jit.script(engine.stream_module())
    columns = torch.from_numpy(rows.T[None].copy())
    with torch.inference_mode():
        parts = torch.cat([stream(part) for part in columns.split([1, 2, 21, 8], 2)], 2)
        assert stream(columns.expand(3, -1, -1)).shape == (3, 1, 32 * 64)
    assert agreement_db(ours, parts[0, 0].numpy()) > 100


@pytest.mark.parametrize("options", [{}, {"pitched": True, "conditioning": "film"}, {"pitched": True, "trunk": "recurrent", "blocks": 1}])
def test_file_and_stream_play_what_render_gives(tmp_path, options):
    check_everywhere(made(**options), tmp_path)


def test_with_units_taken_out_it_trains_and_plays_on(tmp_path):
    engine = made(pitched=True, blocks=1)
    groups = {group.name: group.units for group in of_engine(engine)}
    wides = [f"filter.blocks.0.layers.{k}.wide" for k in range(3)]
    assert set(groups) == {"net.entry", "filter.blocks.0.entry", *wides}
    cut_engine(engine, [*groups["net.entry"][2:9], *groups["filter.blocks.0.entry"][:1], *groups[wides[0]][1:3], *groups[wides[2]][:1]])
    shapes = {name: tuple(value.shape) for name, value in engine.filter.blocks[0].state_dict().items()}
    assert shapes["layers.0.wide.weight"] == (2, 3, 3) and shapes["layers.0.film.film.weight"] == (4, 9, 1)
    assert shapes["layers.0.narrow.weight"] == (3, 2, 1) and shapes["leave.weight"] == (1, 3, 1) and shapes["film.film.weight"] == (6, 9, 1)
    rows = torch.from_numpy(np.stack([rows_of(engine, 64)[:engine.history + 5]] * 2))
    engine.train().play(rows, np.random.default_rng(1)).square().mean().backward()
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in engine.parameters())
    check_everywhere(engine.eval(), tmp_path)


def test_a_row_depends_on_no_more_than_its_history():
    engine = made(layers=5)
    rows = torch.from_numpy(rows_of(engine, 64)[:engine.history + 6])[None]
    other = rows.clone()
    other[:, 0] += 0.5

    def played(rows):
        torch.manual_seed(9)
        with torch.no_grad():
            return engine.play(rows, np.random.default_rng(1))

    assert played(rows).shape == (1, 6 * 64)
    torch.testing.assert_close(played(other)[:, 64:], played(rows)[:, 64:], rtol=0, atol=1e-6)
    other[:, engine.history - 1] += 0.5
    assert not torch.allclose(played(other), played(rows), atol=1e-3)


@pytest.mark.parametrize("pitched", [False, True])
def test_wild_inputs_do_not_break_it_and_rest_is_exact_silence(tmp_path, pitched):
    engine = made(pitched)
    rows = rows_of(engine, 64) * np.float32(1e6)
    rows[:8, 0], rows[32:, 0] = 1.0, -1.0
    program = written(engine, tmp_path / "x.safetensors", [64]).program("decode", block_frames=64)
    for audio in (program.stream(rows)[:, 0], rendered(engine, rows)):
        assert np.isfinite(audio).all() and 0 < np.abs(audio).max() < 10 and not audio[33 * 64:].any()


def test_without_a_pitch_noise_alone_goes_in_and_with_one_the_pitch_is_heard():
    engine = made(pitched=True)
    rows = np.zeros((96, engine.layout.width), np.float32)
    rows[:, 0], rows[:, engine.layout.column("pitch")] = 0.5, 0.0
    audio = rendered(engine, rows)[-4096:]
    lags = np.correlate(audio, audio[:2048], "valid")
    period = round(48000 / 261.63)
    assert np.argmax(lags[period // 2:period * 3 // 2]) + period // 2 in range(period - 2, period + 3)
    assert made().filter.blocks[0].entry.weight.shape == (4, 1, 1)


def test_tones_in_closed_form_are_the_sum_of_the_harmonics():
    tones = Tones(0, 7, 64)
    tones.start = torch.tensor([0.25], dtype=torch.float64)
    frequency = torch.full((1, 8), 0.011)
    turns = 0.25 + 0.011 * torch.arange(1, 513, dtype=torch.float64)
    plain = torch.stack([torch.sin(2 * np.pi * k * turns) for k in range(1, 8)]).sum(0) * tones.amplitude
    torch.testing.assert_close(tones.likeness(frequency)[0].double(), plain, rtol=0, atol=1e-3)


def test_new_axes_of_the_latent_keep_the_sound():
    engine, other = made(), made()
    rows, first, mean = rows_of(engine, 64), len(engine.layout.conditions), torch.tensor([0.3, -0.2, 0.5])
    to_old = torch.linalg.qr(torch.randn(3, 3))[0] * 0.7
    other.change_latents(to_old, mean)
    moved = rows.copy()
    moved[:, first:] = (rows[:, first:] - mean.numpy()) @ np.linalg.inv(to_old.numpy())
    settled = engine.history * engine.hop      # the zeros before the first row mean something else
    assert agreement_db(rendered(engine, rows)[settled:], rendered(other, moved)[settled:]) > 80
