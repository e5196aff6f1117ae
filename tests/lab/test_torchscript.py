"""TorchScript for nn~: the contract, the same sound as the file, in pieces as in one, and back through the importer."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.engine import Model
from neurorack.importer.lift import lift
from neurorack.lab import engines
from neurorack.lab.descriptors import QuantileMap
from neurorack.lab.descriptors.streaming import encode_method
from neurorack.lab.export.replayed import traced
from neurorack.lab.export.torchscript import export_torchscript
from neurorack.lab.layout import Layout
from tests.lab.test_engines import made, written
from tests.lab.test_export import KNOTS

KINDS = ["noise-band", "harmonic", "convolution"]


def rows_of(engine, frames, seed=4):
    """Rows within their ranges that jump every eighth, low enough for all harmonics to be heard."""
    rows = np.random.default_rng(seed).uniform(-1, 1, (frames // 8, engine.layout.width)).repeat(8, 0).astype(np.float32)
    if engine.layout.pitched:
        rows[:, engine.layout.column("pitch")] *= 0.1
    return rows


def exported(kind, folder):
    """(engine, model, loaded TorchScript module) of a tiny model without encode."""
    engine = made(kind, width=4 if kind == "convolution" else 16)
    model = written(engine, folder / "x.safetensors", [512])
    model.card["hop_frames"] = engine.hop
    assert export_torchscript(model, folder / "x.ts") == ["decode"]
    return engine, model, torch.jit.load(str(folder / "x.ts")).eval()


def agreement_db(a, b):
    return 10 * np.log10((a.astype(np.float64) ** 2).sum() / max(1e-30, ((a.astype(np.float64) - b) ** 2).sum()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_script_plays_what_the_file_plays_in_pieces_of_any_length(tmp_path, kind):
    engine, model, script = exported(kind, tmp_path)
    rows = rows_of(engine, 256 * 64 // engine.hop)
    played = model.program("decode", block_frames=512).stream(rows)[:, 0]
    late = model.methods["decode"].delay_frames
    given = torch.from_numpy(rows.T[None].copy())
    with torch.inference_mode():
        for pieces in (given.split(8, 2), given.split([len(rows) // 4, len(rows) // 2, len(rows) // 4], 2)):
            sound = torch.cat([script.decode(piece) for piece in pieces], 2)[0, 0].numpy()
            assert agreement_db(played[late:], sound[:len(played) - late]) > 60
            script = torch.jit.load(str(tmp_path / "x.ts")).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_the_script_keeps_the_contract(tmp_path, kind):
    engine, model, script = exported(kind, tmp_path)
    assert script.get_methods() == ["decode"] and script.get_attributes() == [] and script.get_sample_rate() == 48000
    assert script.decode_params.tolist() == [engine.layout.width, engine.hop, 1, 1]
    assert list(script.decode_input_labels) == ["level", *engine.layout.names[1:]]
    with torch.inference_mode():
        for batch in (1, 4, 1):
            assert script.decode(torch.zeros(batch, engine.layout.width, 2048 // engine.hop)).shape == (batch, 1, 2048)


def test_an_encode_program_is_the_same_in_torch(tmp_path):
    from neurorack.engine import ModelWriter

    writer = ModelWriter({"name": "x"})
    layout = Layout(True, 2)
    writer.method("encode", encode_method(layout, QuantileMap(KNOTS)), blocks=[256], in_channels=1, out_channels=layout.width, out_ratio=64)
    model = writer.save(tmp_path / "x.safetensors")
    t = np.arange(256 * 24) / 48000
    audio = (0.3 * np.sin(2 * np.pi * 220 * t) + 0.01 * np.random.default_rng(1).normal(size=len(t))).astype(np.float32)[:, None]
    script = traced(model, "encode", 256, {})
    with torch.inference_mode():
        rows = torch.cat([script(piece) for piece in torch.from_numpy(audio).split(256)]).numpy()
    np.testing.assert_allclose(rows, model.program("encode", 256).stream(audio), rtol=0, atol=2e-3)


@pytest.mark.parametrize("kind", ["noise-band", "harmonic"])
def test_the_importer_lifts_the_script_again(tmp_path, kind):
    engine, model, _ = exported(kind, tmp_path)
    lifted = lift(tmp_path / "x.ts", blocks=[512], into=tmp_path / "back.safetensors")
    assert lifted.plays == "lifted" and lifted.snr_db > 100
    back, rows = Model.load(tmp_path / "back.safetensors"), rows_of(engine, 256)
    assert [entry["name"] for entry in back.card["inputs"]] == ["level", *engine.layout.names[1:]]
    played = model.program("decode", block_frames=512).stream(rows)
    assert agreement_db(played, back.program("decode", block_frames=512).stream(rows)) > 60
