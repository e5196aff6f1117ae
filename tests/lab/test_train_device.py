"""Training elsewhere than on the CPU, without such a device: torch's "meta" device computes nothing, and refuses what lies on two devices."""

import pytest
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab import data
from neurorack.lab.recipe import complete
from neurorack.lab.train import loop
from neurorack.lab.train.distributed import Team
from tests.lab import runs

ELSEWHERE = torch.device("meta")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A function of sections that gives a tiny recipe and its prepared data."""
    folder = tmp_path_factory.mktemp("device")
    text = yaml.safe_load(runs.recipe_file(folder).read_text())

    def make(**sections):
        recipe = complete(text | {name: {**text.get(name, {}), **value} for name, value in sections.items()})
        return recipe, data.prepare(recipe, folder, folder / "cache", runs.quiet)

    return make


@pytest.mark.parametrize("sections", [
    {}, {"engine": {"kind": "harmonic", "width": 16}, "data": {"pitched": True}},
    {"engine": {"kind": "convolution", "width": 4}, "latent": {"per": "frame", "adversary": 0.1},
     "train": {"waveform_adversary": 1.0, "waveform_adversary_from": 0.0}},
], ids=["noise-band", "harmonic", "convolution"])
def test_a_whole_step_lies_on_the_run_s_device(made, tmp_path, monkeypatch, sections):
    """What reads numbers back (where crops and curves begin) is done on the CPU and brought over; everything else must be there."""
    recipe, cache = made(**sections)
    monkeypatch.setattr(Team, "device", lambda self, kind: ELSEWHERE)
    monkeypatch.setattr(torch.optim, "Adam", lambda *args, made=torch.optim.Adam, fused=None, **more: made(*args, **more))     # fused: not there
    rows_of, asked_of = loop.crop_rows, loop.asked_curves
    here = lambda layout, count, frames: torch.zeros(count, frames, len(layout.conditions))
    monkeypatch.setattr(loop, "crop_rows", lambda batch, normaliser, layout, frames, history, hop: here(layout, len(batch.audio), history + frames).to(ELSEWHERE))
    monkeypatch.setattr(loop, "asked_curves", lambda rows, *more: asked_of(torch.zeros(rows.shape), *more).to(ELSEWHERE))
    trainer = loop.Trainer(recipe, cache, tmp_path)
    with pytest.raises(RuntimeError, match="item"):         # only at the end: losses have no value there
        trainer.train_step()
    assert len(trainer.optimizer.state) > 10
    assert all(p.grad is None or p.grad.device == ELSEWHERE for p in trainer.parameters) and any(p.grad is not None for p in trainer.parameters)
