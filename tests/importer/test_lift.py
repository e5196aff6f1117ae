"""Files lifted whole: every family of the zoo, compiled, proven, and compared with TorchScript itself."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neurorack.engine import Model  # noqa: E402
from neurorack.errors import ModelError  # noqa: E402
from neurorack.importer import verify  # noqa: E402
from neurorack.importer.lift import block_lengths, latent_names, lift, rewrite_card  # noqa: E402
from neurorack.importer.players import load_model, write_player  # noqa: E402
from neurorack.importer.probe import MethodSpec  # noqa: E402
from tests import zoo  # noqa: E402

# Rounding is amplified by the sines of Snake; the rest agrees closer.
LEAST_DB = {"v3": 100.0}


@pytest.fixture(scope="module")
def lifted_once(tmp_path_factory):
    """``lifted_once(name)``: a family, lifted once for all of these; its random draws stay in place, but make no difference."""
    folder, made = tmp_path_factory.mktemp("lifted"), {}

    def of(name):
        if name not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(verify, "PROVEN_SECONDS", 0.5)         # TorchScript itself is the measure here
                patch.setattr(verify, "LEAST_BLOCKS", 3)
                made[name] = lift(zoo.path(name, quiet=zoo.FAMILIES[name].random), into=folder / f"{name}.safetensors")
        return made[name]
    return of


def torch_stream(path, method, signal, rows, attributes=None):
    """What TorchScript gives for [rows of all blocks, channels], block by block, from settled caches."""
    with torch.no_grad():
        module = torch.jit.load(str(path)).eval()
        for name, value in (attributes or {}).items():
            getattr(module, f"set_{name}")(value)
        for buffer in module.buffers():
            if buffer.is_floating_point() and torch.isnan(buffer).any():
                buffer.zero_()
        blocks = [torch.from_numpy(signal[i:i + rows].T[None].copy()) for i in range(0, len(signal), rows)]
        return np.concatenate([getattr(module, method)(x)[0].T.numpy() for x in blocks])


def agreement_db(lifted, source, method, blocks=8, attributes=None, block_frames=None):
    model = Model.load(lifted)
    program = model.program(method, block_frames or model.methods[method].blocks[0])
    rows, channels = program.in_shape
    make = verify.audio_signal if model.methods[method].in_ratio == 1 else verify.latent_signal
    signal = make(blocks * rows, channels, seed=7)
    return verify.snr_db(torch_stream(source, method, signal, rows, attributes), program.stream(signal))


# Near others in what they do: lifted at every `make soak` only.
NEAR = {"v1_causal", "onnx", "v2_causal", "v2_resampled", "v2_channels", "wasserstein", "nsf_first", "v2_prior"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.soak) if name in NEAR else name for name in sorted(zoo.FAMILIES)])
def test_every_family_is_lifted_and_is_what_torchscript_plays(name, lifted_once):
    family = zoo.FAMILIES[name]
    source, lifted = zoo.path(name, quiet=family.random), lifted_once(name)
    assert {report.path for blocks in lifted.reports.values() for report in blocks.values()} == {"lifted"}
    assert lifted.snr_db >= 100.0 and lifted.plays == "lifted"
    for method, declared in family.methods.items():
        spec = lifted.probe.methods[method]
        assert (spec.in_channels, spec.in_ratio, spec.out_channels, spec.out_ratio) == declared
        assert agreement_db(lifted.path, source, method) >= LEAST_DB.get(name, 105.0), method


@pytest.mark.parametrize("name, block", [("ddsp", 256), pytest.param("v2", 2048, marks=pytest.mark.soak)])
def test_models_that_draw_random_numbers_differ_by_seed_only(tmp_path, monkeypatch, name, block):
    monkeypatch.setattr(verify, "PROVEN_SECONDS", 0.5)
    one, two = (lift(zoo.path(name), into=tmp_path / f"{seed}.safetensors", seed=seed) for seed in (0, 1))
    x = zoo.FAMILIES[name].feed("decode", 48 * 256).T
    sounds = [Model.load(found.path).program("decode", block).stream(x) for found in (one, two, one)]
    assert np.array_equal(sounds[0], sounds[2]) and not np.allclose(sounds[0], sounds[1], atol=1e-3)
    levels = [np.sqrt(np.mean(sound**2)) for sound in sounds[:2]]
    assert 0.7 < levels[0] / levels[1] < 1.4


def same_sound_in_blocks_of(path, lengths, rows, channels):
    model, x = Model.load(path), verify.latent_signal(rows, channels)
    short, *longer = (model.program("decode", n).stream(x) for n in lengths)
    for sound in longer:
        assert verify.snr_db(short, sound) > 90.0


def test_blocks_of_other_lengths_give_the_same_sound(lifted_once):
    same_sound_in_blocks_of(lifted_once("brave").path, (128, 256, 512), 48, 8)


@pytest.mark.parametrize("name, channels", [("toy", 2), pytest.param("v2_small", 8, marks=pytest.mark.soak)])
def test_blocks_of_three_times_the_length_give_the_same_sound(tmp_path, monkeypatch, name, channels):
    monkeypatch.setattr(verify, "PROVEN_SECONDS", 0.5)
    shortest = zoo.FAMILIES[name].ratio
    lengths = [shortest, 2 * shortest, 3 * shortest]
    lifted = lift(zoo.path(name, quiet=True), into=tmp_path / "x.safetensors", blocks=lengths)
    same_sound_in_blocks_of(lifted.path, lengths, 12, channels)


@pytest.mark.parametrize("frames", [100, 511, 1 << 20])
def test_blocks_that_cannot_be_are_refused(frames):
    with pytest.raises(ModelError, match=f"a block of {frames} frames; it must be a multiple of 512"):
        lift(zoo.path("v2_small"), blocks=[frames])


def test_attributes_are_set_before_recording(tmp_path):
    source = zoo.path("gain")
    before = lift(source, into=tmp_path / "a.safetensors")
    name, found = next((n, a) for n, a in before.probe.attributes.items() if a.types == ["float"])
    after = lift(source, into=tmp_path / "b.safetensors", attributes={name: 0.25})
    assert agreement_db(after.path, source, "forward", attributes={name: 0.25}) > 105.0
    assert agreement_db(before.path, source, "forward", attributes={name: 0.25}) < 60.0
    assert Model.load(after.path).card["source"]["attributes"] == {name: 0.25}
    with pytest.raises(ModelError):
        lift(source, attributes={"nothing": 1})


def test_sample_rate_is_taken_from_the_file_or_as_told(tmp_path):
    assert lift(zoo.path("ddsp", sample_rate=44100)).sample_rate_hz == 44100
    assert lift(zoo.path("toy"), sample_rate_hz=32000).sample_rate_hz == 32000
    with pytest.raises(ModelError, match="sample rate 400 Hz; it must lie from 8000 to 192000"):
        lift(zoo.path("toy"), sample_rate_hz=400)


def test_a_lifted_file_says_what_it_is(lifted_once, tmp_path):
    lifted = lifted_once("v2_stereo")
    path = shutil.copy(lifted.path, tmp_path / "x.safetensors")
    model = Model.load(path)
    assert model.card["name"] == zoo.path("v2_stereo", quiet=True).stem and model.card["hop_frames"] == 2048 and model.card["method"] == "decode"
    assert model.card["source"]["sha256"] == lifted.sha256 and len(model.card["inputs"]) == 8
    assert model.methods["decode"].out_channels == 2 and set(model.methods) == {"encode", "decode", "forward"}
    assert Model.load(lift(zoo.path("toy"), into=tmp_path / "toy.safetensors", name="pair").path).card["name"] == "pair"
    changed = rewrite_card(path, lambda card: {**card, "author": "somebody"})
    assert changed.card["author"] == "somebody" and changed.card["name"] == model.card["name"]
    assert np.array_equal(changed.program("decode", 2048).stream(np.ones((4, 8), np.float32)),
                          model.program("decode", 2048).stream(np.ones((4, 8), np.float32)))


def test_lifting_imports_no_torch(tmp_path):
    code = ("import sys; sys.modules['torch'] = None\n"
            "from neurorack.importer.lift import lift\n"
            f"assert lift({str(zoo.path('v2_noise', capacity=4))!r}, into={str(tmp_path / 'x.safetensors')!r}).plays == 'lifted'\n")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert Model.load(tmp_path / "x.safetensors").methods["decode"].blocks == (2048,)


def test_what_cannot_be_compiled_plays_as_a_list(tmp_path):
    source = zoo.path("swarm")       # a state in double precision that a program of single precision cannot follow
    lifted = lift(source, into=tmp_path / "x.safetensors", blocks=[64])
    report = lifted.reports["decode"][64]
    assert report.path == "list" and "agrees to" in report.reason and lifted.path is None and not (tmp_path / "x.safetensors").exists()
    native = Model.load(lift(zoo.path("toy"), into=tmp_path / "toy.safetensors").path)
    method = type(native.methods["decode"])("decode", 2, 32, 1, 1, (64,), 0)
    write_player(tmp_path / "swarm.player.json", plays="list", card={"name": "swarm"}, methods={"decode": method}, source=source)
    player = load_model(tmp_path / "swarm.player.json").program("decode", 64)
    x = verify.latent_signal(20, 2)
    sound = np.concatenate([player.run(x[i:i + 2]) for i in range(0, 20, 2)])
    assert verify.snr_db(torch_stream(source, "decode", x, 2), sound) > 100.0


def test_player_files_that_are_none(tmp_path):
    for text in ("", "{}", "[1]", '{"neurorack_player": 2, "plays": "list"}'):
        (tmp_path / "x.player.json").write_text(text)
        with pytest.raises(ModelError, match="not a player file of this version"):
            load_model(tmp_path / "x.player.json")


def test_block_lengths_by_default():
    spec = MethodSpec(8, 2048, 1, 1)
    assert block_lengths(spec, 2048) == [2048] and block_lengths(spec, 128) == [128, 256, 512]
    assert block_lengths(spec, 1) == [64, 128, 256, 512] and block_lengths(spec, 96) == [96]


def test_names_of_inputs():
    def named(labels):
        return latent_names(MethodSpec(2, 64, 1, 1, labels))

    assert named(["pitch", "noise"]) == ["pitch", "noise"]
    assert named(None) == named(["a", "a"]) == named(["(signal) latent 0", "(signal) latent 1"]) == ["latent 1", "latent 2"]
