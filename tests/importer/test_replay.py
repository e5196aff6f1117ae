"""Replay of traces: the files of the zoo against TorchScript and interpretation, with the randomness pinned."""

import numpy as np
import pytest

from neurorack.importer.archive import open_archive
from neurorack.importer.errors import UnsupportedError
from neurorack.importer.record import Interpreted, record
from neurorack.importer.replay import Replay
from neurorack.importer.trace import Node, Trace
from neurorack.importer.verify import snr_db

torch = pytest.importorskip("torch")

from tests import zoo  # noqa: E402
from tests.importer.test_record import TorchRandom  # noqa: E402
from tests.zoo.streaming import settle_caches  # noqa: E402

NAMES = ["v1", "v2_noise", "v2_nan", "v3", "discrete", "after", "ddsp", "nsf", "controller", "image_vocoder", "freezer", "experts"]
REFUSED = {"tapes": "every call", "fade_in": "every call", "float_phase": "every call",  # count in plain numbers
           "sample_hold": "every call", "sample_hold_seldom": "every call", "gate": "depends"}
TRANSIENT = {"late_start"}  # the first call is another one; the rest is what is recorded


def compared(name, method, count=4):
    """SNR of the interpretation against TorchScript, and whether the replay is the interpretation, bit for bit."""
    family = zoo.FAMILIES.get(name) or zoo.STRANGERS[name]
    channels, ratio = family.methods[method][:2]
    frames = -(-256 // family.ratio) * family.ratio
    archive, script = open_archive(zoo.path(name)), torch.jit.load(str(zoo.path(name))).eval()
    if name == "v2_nan":
        settle_caches(script)
    where = {"in_channels": channels, "in_ratio": ratio}
    by_torch = Interpreted(archive, method, frames, random=TorchRandom(), **where)
    reference, replay = Interpreted(archive, method, frames, **where), Replay(record(archive, method, frames, **where))
    wanted, given, same = [], [], True
    for i, x in enumerate(np.split(family.feed(method, count * frames), count, 1)):
        torch.manual_seed(i)
        wanted.append(getattr(script, method)(torch.from_numpy(x)[None])[0].numpy().T)
        torch.manual_seed(i)
        given.append(by_torch.run(x.T))
        same &= np.array_equal(reference.run(x.T), replay.run(x.T))
    return snr_db(np.concatenate(wanted), np.concatenate(given)), same


def check(name, methods):
    torch.set_num_threads(1)
    with torch.inference_mode(), torch.jit.optimized_execution(False):
        for method in methods:
            snr, same = compared(name, method)
            assert snr >= 100 and same, (method, snr)


@pytest.mark.parametrize("name", NAMES)
def test_interpretation_is_torchscript_and_the_replay_is_the_interpretation(name):
    methods = (zoo.FAMILIES.get(name) or zoo.STRANGERS[name]).methods
    check(name, ["decode"] if "decode" in methods else list(methods)[:1])


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted({*zoo.FAMILIES, *zoo.STRANGERS} - TRANSIENT))
def test_every_method_of_every_file(name):
    family = zoo.FAMILIES.get(name) or zoo.STRANGERS[name]
    if name in REFUSED:
        with pytest.raises(UnsupportedError, match=REFUSED[name]):
            check(name, family.methods)
    else:
        check(name, family.methods)


def test_what_counts_frames_in_a_number_is_refused():
    with pytest.raises(UnsupportedError, match=REFUSED["tapes"]):
        record(open_archive(zoo.path("tapes")), "forward", 256, in_channels=1, in_ratio=1)


def test_a_block_of_another_shape_is_refused_and_reset_starts_anew():
    nodes = [Node("state", (), {"name": "sum", "value": np.zeros((1, 2, 1), np.float32)}, (1, 2, 1), "f32"),
             Node("input", (), {"index": 0}, (1, 2, 4), "f32"),
             Node("reduce", (1,), {"fn": "add", "axes": (2,), "scale": 1.0}, (1, 2, 1), "f32"),
             Node("binary", (0, 2), {"fn": "add"}, (1, 2, 1), "f32"),
             Node("binary", (1, 3), {"fn": "add"}, (1, 2, 4), "f32")]
    replay = Replay(Trace("forward", 4, nodes, [1], [4], {0: 3}))
    assert replay.in_shape == replay.out_shape == (4, 2)
    ones = np.ones((4, 2), np.float32)
    assert [float(replay.run(ones)[0, 0]) for _ in range(3)] == [5, 9, 13]
    replay.reset()
    assert replay.run(ones)[0, 0] == 5
    with pytest.raises(ValueError, match="takes"):
        replay.run(np.ones((5, 2)))


def test_states_swap_at_once():
    """Two states that take each other's value."""
    a, b = np.full((1, 1, 1), 1, np.float32), np.full((1, 1, 1), 2, np.float32)
    nodes = [Node("state", (), {"name": "a", "value": a}, (1, 1, 1), "f32"), Node("state", (), {"name": "b", "value": b}, (1, 1, 1), "f32"),
             Node("input", (), {"index": 0}, (1, 1, 1), "f32"), Node("binary", (0, 2), {"fn": "add"}, (1, 1, 1), "f32")]
    replay = Replay(Trace("forward", 1, nodes, [2], [3], {0: 1, 1: 0}))
    assert [float(replay.run(np.zeros((1, 1)))[0, 0]) for _ in range(3)] == [1, 2, 1]
