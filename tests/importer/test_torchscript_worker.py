"""TorchScript in its fenced worker: it plays what torch plays, and nothing it does or suffers reaches the caller."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from neurorack.errors import ModelError
from neurorack.importer.fence import HOLDING
from neurorack.importer.torchscript import TorchScript

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from tests.zoo import broken  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENT = 5.0      # seconds for a block where a busy machine must not disturb


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")

    def make(name: str) -> Path:
        path = folder / f"{name}.ts"
        if not path.exists():
            (broken.GOOD if name == "good" else broken.BROKEN[name])(path)
        return path
    return make


def blocks(player, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, *player.in_shape)).astype(np.float32)


@pytest.fixture(scope="module")
def good(made):
    with TorchScript(made("good"), block_frames=1024, patience_seconds=PATIENT) as player:
        yield player


def test_it_plays_what_torch_plays(good, made):
    given = blocks(good, 12)
    assert (good.in_shape, good.out_shape) == ((2, 2), (1024, 1))
    assert good.reset()
    played = [good.run(block) for block in given]
    model = torch.jit.load(str(made("good")))
    with torch.inference_mode():
        expected = [model.decode(torch.from_numpy(block.T.copy())[None])[0].numpy().T for block in given]
    assert np.allclose(played, expected, atol=1e-6)
    assert good.cause is None and good.cpu_ns > 0


def test_reset_is_a_new_start(good):
    given = blocks(good, 3, seed=1)
    good.reset()
    first = [good.run(block) for block in given]
    good.reset()
    assert np.array_equal(first, [good.run(block) for block in given])


def test_it_is_fenced_and_described(good):
    assert any(good.layers[name] == "on" for name in HOLDING)
    assert good.described["methods"]["decode"] == [2, 512, 1, 1]


def test_blocks_of_another_shape_are_refused(good):
    with pytest.raises(ValueError, match=r"takes \(2, 2\)"):
        good.run(np.zeros((3, 2), np.float32))


def test_a_late_worker_gives_none_in_time_and_can_be_restarted(made):
    with TorchScript(made("endless_later"), patience_seconds=0.3) as player:
        given = blocks(player, 1)[0]
        for _ in range(20):
            assert player.run(given, PATIENT) is not None
        began = time.monotonic()
        assert player.run(given) is None and "longer than 300 ms" in player.cause
        assert player.run(given) is None          # still busy: not even asked
        assert time.monotonic() - began < 5
        player.restart()
        assert player.run(given, PATIENT) is not None and player.cause is None


def test_a_dead_worker_gives_none_and_the_cause(made):
    with TorchScript(made("good"), patience_seconds=PATIENT) as player:
        given = blocks(player, 1)[0]
        os.kill(player.pid, signal.SIGKILL)
        assert player.run(given) is None and "died" in player.cause
        player.restart()
        assert player.run(given) is not None


def test_an_exception_is_a_cause_and_no_end(made):
    with TorchScript(made("raises_later"), patience_seconds=PATIENT) as player:
        results = [player.run(block) for block in blocks(player, 22)]
        assert [made is None for made in results] == [False] * 20 + [True] * 2
        assert player.cause == "enough"
        assert player.reset() and player.run(blocks(player, 1)[0]) is not None


@pytest.mark.parametrize("name, reason", [  # the two of every `make soak` are admitted, and refused by this worker, in test_admit.py every day
    pytest.param("writes_file", "unable to open", marks=pytest.mark.soak), ("reads_file", "ermission denied"),
    pytest.param("wrong_length", "instead of", marks=pytest.mark.soak), ("allocates", "20.0 GB")])
def test_what_cannot_play_is_refused_with_the_reason(made, name, reason):
    path = made(name)
    with pytest.raises(ModelError, match=reason) as refusal:
        TorchScript(path)
    assert "\n" not in str(refusal.value) and not broken.touched(path).exists()


def test_nothing_is_left_open(made):
    before = set(os.listdir("/proc/self/fd"))
    with TorchScript(made("good")) as player:
        pid = player.pid
    assert set(os.listdir("/proc/self/fd")) <= before
    assert not Path(f"/proc/{pid}").exists()


def test_without_torch_the_refusal_is_clear(made):
    """In a process where torch cannot be imported; and importing this needs none."""
    program = textwrap.dedent(f"""
        import sys
        sys.modules["torch"] = None
        from neurorack.importer.torchscript import TorchScript
        try:
            TorchScript({str(made("good"))!r})
        except Exception as error:
            print(type(error).__name__, error)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert "ModelError" in done.stdout and "torch is not installed here" in done.stdout, done
