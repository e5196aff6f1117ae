"""The harmful files really are what they claim to be, and the rewritten formats play as before, both under torch."""

import pickle
import zipfile

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests import zoo  # noqa: E402
from tests.zoo import broken, formats  # noqa: E402

CALLS = 25


def write(name, folder):
    path = folder / f"{name}.ts"
    broken.BROKEN[name](path)
    return path


def play(path, calls=CALLS, frames=4):
    """[calls * frames * ratio] samples of channel 0, and the last result."""
    module = torch.jit.load(str(path)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        out = [module.decode(torch.randn(1, 2, frames, generator=generator)) for _ in range(calls)]
    return (torch.cat(out, -1)[0, 0].numpy() if isinstance(out[-1], torch.Tensor) else None), out[-1]


def test_the_unbroken_voice_plays(tmp_path):
    broken.GOOD(tmp_path / "good.ts")
    y, last = play(tmp_path / "good.ts")
    assert last.shape == (1, 1, 2048) and 0.1 < np.abs(y).max() < 1 and abs(y.mean()) < 0.01


def test_every_file_is_written_and_nothing_runs_by_writing_it(tmp_path):
    for name in broken.BROKEN:
        path = write(name, tmp_path)
        assert path.exists() and not broken.touched(path).exists(), name


@pytest.mark.parametrize("name", ["html", "empty", "truncated", "pickle_payload", "archive_payload", "constants_payload", "checkpoint"])
def test_what_is_no_model_torch_refuses_to_load(name, tmp_path):
    path = write(name, tmp_path)
    with pytest.raises(Exception):
        torch.jit.load(str(path))
    assert not broken.touched(path).exists()


def test_the_payload_would_run_in_a_plain_unpickler(tmp_path):
    path = write("pickle_payload", tmp_path)
    pickle.loads(path.read_bytes())
    assert broken.touched(path).exists()


def test_a_flipped_byte_is_seen_only_by_the_checksum(tmp_path):
    path = write("flipped_byte", tmp_path)
    play(path, calls=1)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is not None


def test_scripted_code_can_write_a_file(tmp_path):
    path = write("writes_file", tmp_path)
    play(path, calls=1)
    assert broken.touched(path).stat().st_size == 256


def test_shapes_levels_and_numbers_go_wrong_as_named(tmp_path):
    assert play(write("wrong_length", tmp_path))[1].shape == (1, 1, 2047)
    assert play(write("wrong_channels", tmp_path))[1].shape == (1, 2, 2048)
    assert isinstance(play(write("returns_tuple", tmp_path))[1], tuple)
    assert np.abs(play(write("loud", tmp_path))[0]).max() > 10
    assert play(write("dc", tmp_path))[0].mean() > 0.3
    for name in ("nan_later", "nan_from_state"):
        y, _ = play(write(name, tmp_path))
        assert np.isfinite(y[:8192]).all() and np.isnan(y[-2048:]).all(), name
    assert "enough" in str(pytest.raises(Exception, play, write("raises_later", tmp_path)).value)


def test_an_offline_export_clicks_at_the_seams(tmp_path):
    y, _ = play(write("offline", tmp_path), calls=40)
    jumps = np.abs(np.diff(y))
    assert np.median(jumps[2047::2048]) > 5 * np.median(jumps)
    assert abs(y.mean()) < 0.03 and np.abs(y).max() < 1


@pytest.mark.parametrize("version", sorted(formats.NATIVE))
def test_torch_writes_this_format_itself(version, tmp_path):
    formats.native(version, tmp_path / "native.ts")
    assert format_of(tmp_path / "native.ts") == version


def format_of(path) -> int:
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.split("/", 1)[1] in ("version", ".data/version"))
        return int(archive.read(name))


@pytest.mark.parametrize("version", [3, 5, 6, 7])
def test_a_rewritten_format_plays_the_same(version, tmp_path):
    original, other = zoo.path("v2", quiet=True), tmp_path / "v2.ts"
    formats.rewrite(original, other, version)
    assert format_of(other) == version
    z = torch.from_numpy(zoo.FAMILIES["v2"].feed("decode", 2048))[None]
    with torch.jit.optimized_execution(False), torch.no_grad():
        a, b = (torch.jit.load(str(p)).decode(z) for p in (original, other))
    assert torch.equal(a, b)


@pytest.mark.parametrize("version, gain", [(3, 3.0), (4, 3.5)])
def test_division_of_integers_truncates_before_format_4(version, gain, tmp_path):
    formats.integer_division(tmp_path / "old.ts", version)
    y = torch.jit.load(str(tmp_path / "old.ts"))(torch.ones(1, 1, 4))
    assert float(y[0, 0, 0]) == gain * 0.25
