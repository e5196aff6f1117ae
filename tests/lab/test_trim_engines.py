"""Every architecture of the lab, tiny, loses half of its units: the shapes, the sound and the file follow."""

import copy
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.errors import ModelError
from neurorack.lab import engines
from neurorack.lab.layout import Layout
from neurorack.lab.recipe import ENGINES
from neurorack.lab.trim import engine_units
from neurorack.trim import Parts, TrimError, cut_tensors
from neurorack.trim.units import cut_shapes, masked_tensors
from tests.lab.test_engines import rendered, written

SMALL = {"layers": 3, "width": 6, "ratio": 128}
FRAMES = 16


def tiny(kind):
    """The settings of a kind, as small as they may be, and again with each of the other choices that its recipe has."""
    keys = ENGINES[kind]
    small = {name: max(key.low, SMALL.get(name, 4)) for name, key in keys.items() if key.kind == "whole"}
    yield {"kind": kind} | small
    yield {"kind": kind, "conditioning": "film"} | small
    for name, key in keys.items():
        for choice in key.choices:
            if choice != key.default:
                yield {"kind": kind, "conditioning": "film", name: choice} | small


ALL = [settings for kind in ENGINES for settings in tiny(kind)]
SOME = [pytest.param(settings, marks=[pytest.mark.soak] * k) for kind in ENGINES for k, settings in enumerate((*tiny(kind),)[::-2][:2])]


def name_of(settings):
    return "-".join(value for value in settings.values() if isinstance(value, str))


def made(settings, seed=1):
    """An engine of fresh weights, none of them nought; pitched where its kind can be."""
    torch.manual_seed(seed)
    engine = engines.make(settings, Layout(settings.get("noise") != "none", 3)).eval()
    with torch.no_grad():
        for value in engine.state_dict().values():
            value += 0.05 * torch.randn_like(value)
    return engine


def half(groups, seed=2):
    """Half of the units of every group, drawn."""
    rng = np.random.default_rng(seed)
    return [group.units[k] for group in groups for k in rng.permutation(len(group.units))[: len(group.units) // 2]]


def rows_of(engine, frames=FRAMES, seed=4):
    rows = np.random.default_rng(seed).uniform(-0.6, 0.9, (frames // 4, engine.layout.width)).repeat(4, 0).astype(np.float32)
    if engine.layout.pitched:
        rows[:, engine.layout.column("pitch")] *= 0.1
    return rows


def agreement_db(one, other):
    return 10 * np.log10((one.astype(np.float64) ** 2).sum() / max(1e-30, ((one.astype(np.float64) - other) ** 2).sum()))


@pytest.mark.parametrize("settings", ALL, ids=name_of)
def test_a_trimmed_engine_is_smaller_and_all_its_forms_play_the_same(tmp_path, settings):
    engine = made(settings)
    whole = {name: value.numpy().copy() for name, value in engine.state_dict().items()}
    rows, groups = rows_of(engine), engine_units.of_engine(engine)
    removed = half(groups)
    assert groups and all(2 * len(group.units) > 3 for group in groups)

    kept = engine_units.cut_engine(engine, removed)
    state = {name: value.numpy() for name, value in engine.state_dict().items()}
    shapes = cut_shapes({name: array.shape for name, array in whole.items()}, removed)
    assert {name: array.shape for name, array in state.items()} == shapes
    left = sum(p.numel() for p in engine.parameters())
    assert left == sum(math.prod(shape) for shape in shapes.values()) < 0.6 * sum(a.size for a in whole.values())
    for name, array in whole.items():                        # what is left are the old numbers, those of the removed units are gone
        for axis in range(array.ndim):
            array = array.take(kept.get((name, axis), np.arange(array.shape[axis])), axis)
        assert np.array_equal(state[name], array)

    sound = rendered(engine, rows)
    blocks = (engine.hop, 2 * engine.hop)
    model = written(engine, tmp_path / "x.safetensors", blocks)
    assert {name: model.tensor(engines.DECODER + name).shape for name in whole} == shapes
    for block in blocks:                                     # the file, at every block length
        program = model.program("decode", block)
        played = program.stream(rows)[program.delay_frames:, 0]
        assert np.abs(sound).max() > 1e-3 and agreement_db(sound[:len(played)], played) > 60
    again = engines.of_model(model)
    assert np.array_equal(rendered(again, rows), sound)
    stream, given = again.stream_module(), torch.from_numpy(rows.T[None].copy())
    with torch.inference_mode():                             # pieces, and the whole
        pieces = torch.cat([stream(piece) for piece in given.split([2, 9, 5], 2)], 2)[0, 0].numpy()
    assert agreement_db(sound, pieces) > 60


@pytest.mark.parametrize("settings", SOME, ids=name_of)
def test_taking_units_out_is_silencing_them_and_the_file_can_be_cut_like_the_engine(tmp_path, settings):
    engine = made(settings)
    groups = engine_units.of_engine(engine)
    removed = half([group for group in groups if not group.mixed])
    rows, state = rows_of(engine), {name: value.numpy() for name, value in engine.state_dict().items()}
    silenced, cut = copy.deepcopy(engine), copy.deepcopy(engine)
    silenced.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in masked_tensors(state, removed).items()})
    engine_units.cut_engine(cut, removed)
    sound = rendered(cut, rows)
    assert agreement_db(rendered(silenced, rows), sound) > 80 > agreement_db(rendered(engine, rows), sound)

    written(engine, tmp_path / "whole.safetensors", (engine.hop,))
    parts = Parts(tmp_path / "whole.safetensors")
    found = parts.find()
    assert [(engines.DECODER + group.name, len(group.units)) for group in groups] == [(group.name, len(group.units)) for group in found]
    model = parts.cut(half([group for group in found if not group.mixed])).save(tmp_path / "cut.safetensors")
    assert (tmp_path / "cut.safetensors").stat().st_size < (tmp_path / "whole.safetensors").stat().st_size
    program = model.program("decode", engine.hop)
    played = program.stream(rows)[program.delay_frames:, 0]
    assert agreement_db(sound[:len(played)], played) > 60


@pytest.mark.soak
@pytest.mark.parametrize("settings", SOME, ids=name_of)
def test_the_script_of_a_trimmed_engine_plays_what_its_file_plays(tmp_path, settings):
    from neurorack.lab.export.torchscript import export_torchscript

    engine = made(settings)
    engine_units.cut_engine(engine, half(engine_units.of_engine(engine)))
    model, rows = written(engine, tmp_path / "x.safetensors", (engine.hop,)), rows_of(engine, 64)
    model.card["hop_frames"] = engine.hop
    export_torchscript(model, tmp_path / "x.ts")
    script, given = torch.jit.load(str(tmp_path / "x.ts")).eval(), torch.from_numpy(rows.T[None].copy())
    with torch.inference_mode():
        sound = torch.cat([script.decode(piece) for piece in given.split([16, 32, 16], 2)], 2)[0, 0].numpy()
    program = model.program("decode", engine.hop)
    played = program.stream(rows)[program.delay_frames:, 0]
    assert agreement_db(played, sound[:len(played)]) > 60


def test_a_norm_mixes_its_channels():
    groups = engine_units.of_engine(made({"kind": "noise-band", "width": 6, "bands": 8, "sines": 4, "trunk": "recurrent"}))
    assert {group.name: group.mixed for group in groups} == {"net.entry": True, "net.gru": False, "net.around": True}


def test_a_group_without_any_unit_is_refused_and_the_engine_stays():
    engine = made(ALL[0])
    group = engine_units.of_engine(engine)[0]
    before = {name: tuple(value.shape) for name, value in engine.state_dict().items()}
    with pytest.raises(TrimError, match="leave one"):
        engine_units.cut_engine(engine, group.units)
    assert before == {name: tuple(value.shape) for name, value in engine.state_dict().items()}


def test_a_state_is_cut_like_its_engine():
    engine = made(ALL[0])
    early, removed = {name: value.clone() + 1 for name, value in engine.state_dict().items()}, half(engine_units.of_engine(engine))
    engine_units.cut_engine(engine, removed)
    cut = engine_units.cut_state(early, removed)
    engine.load_state_dict(cut)
    want = cut_tensors({name: value.numpy() for name, value in early.items()}, removed)
    assert all(np.array_equal(cut[name].numpy(), want[name]) for name in want)


def test_a_file_whose_layers_do_not_fit_each_other_is_refused(tmp_path):
    engine = made(ALL[0])
    model = written(engine, tmp_path / "x.safetensors", (engine.hop,))
    parts = Parts(model.path)
    parts.tensors["decoder.net.trunk.0.bias"] = parts.tensors["decoder.net.trunk.0.bias"][1:]
    with pytest.raises(ModelError, match="cannot be built"):
        engines.of_model(_Fake(parts))


class _Fake:
    """As much of a model as `of_model` reads."""

    def __init__(self, parts):
        self.path, self.card, self.generators, self._parts = parts.path, parts.card, parts.generators, parts

    def tensor(self, name):
        return self._parts.tensors[name]


@pytest.mark.parametrize("settings", [settings for settings in ALL if settings["kind"] == "noise-band"], ids=name_of)
def test_layers_that_keep_a_single_unit_still_run(settings):
    """A weight with one input left is a plain convolution of one channel, not one of many groups."""
    engine = made(settings)
    removed = [unit for group in engine_units.of_engine(engine) for unit in group.units[1:]]
    engine_units.cut_engine(engine, removed)
    rows = torch.from_numpy(rows_of(engine))[None]
    assert torch.isfinite(engine.render(rows)).all()
    again = engines.fit(engines.make(settings, engine.layout), engine.state_dict()).eval()
    assert torch.equal(again.render(rows), engine.render(rows))
