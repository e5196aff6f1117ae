"""Every file of the zoo keeps the nn~ contract when torch itself plays it, at sane levels, and streams where it should."""

import copy
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests import zoo  # noqa: E402
from tests.zoo.pqmf import Pqmf  # noqa: E402
from tests.zoo.streaming import settle_caches  # noqa: E402

ALL = {**zoo.FAMILIES, **zoo.STRANGERS}
NAMES = sorted(ALL)


@pytest.fixture(autouse=True)
def quick_torch():
    """One thread, and no time spent on making a graph faster that runs a few times."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.jit.optimized_execution(False), torch.inference_mode():
        yield
    torch.set_num_threads(threads)


@cache
def loaded(name):
    with torch.inference_mode(False):
        module = torch.jit.load(str(zoo.path(name, quiet=True))).eval()
    settle_caches(module)
    return module


def fresh(name):
    """A file in the state it had before its first block. Random numbers are drawn, and without effect."""
    with torch.inference_mode(False):
        return copy.deepcopy(loaded(name))


def feed(name, method, frames, seed=0):
    return torch.from_numpy(ALL[name].feed(method, frames, seed))[None]


@pytest.mark.parametrize("name", NAMES)
def test_every_file_keeps_the_contract_at_a_sane_level(name):
    family, module = ALL[name], fresh(name)
    if hasattr(module, "get_methods"):
        assert set(module.get_methods()) == set(family.methods)
    for method, (inputs, in_ratio, outputs, out_ratio) in family.methods.items():
        declared = [int(v) for v in getattr(module, f"{method}_params")[:4]]
        assert declared == [inputs, in_ratio, outputs, out_ratio], method
        for frames in (family.ratio, 5 * family.ratio):
            for seed in range(4):
                y = getattr(module, method)(feed(name, method, frames, seed))
            assert y.shape == (1, outputs, frames // out_ratio) and y.dtype == torch.float32, method
            assert torch.isfinite(y).all(), method
        if out_ratio == 1:
            assert 0.02 < y.abs().max() < 2, (method, y.abs().max())
    for attribute, value in family.attributes.items():
        assert getattr(module, f"set_{attribute}")(value) == 0
        assert getattr(module, f"get_{attribute}")() == value


@pytest.mark.parametrize("name", [name for name in NAMES if ALL[name].streaming])
def test_blocks_of_any_length_give_what_the_whole_gives(name):
    family = ALL[name]
    for method, (_, in_ratio, _, _) in family.methods.items():
        x = feed(name, method, 8 * family.ratio)
        whole = getattr(fresh(name), method)(x)
        module = fresh(name)
        parts = x.split([n * family.ratio // in_ratio for n in (1, 2, 1, 4)], -1)
        parts = torch.cat([getattr(module, method)(part) for part in parts], -1)
        assert (whole - parts).abs().max() < 2e-4 * max(1.0, float(whole.abs().max())), method


@pytest.mark.parametrize("polyphase", [False, True])
@pytest.mark.parametrize("attenuation_db, error_db", [(100.0, -55), (40.0, -30)])
def test_the_filter_bank_gives_back_what_it_took(polyphase, attenuation_db, error_db):
    bank = Pqmf(16, attenuation_db, polyphase)
    x = 0.3 * torch.randn(1, 1, 8192, generator=torch.Generator().manual_seed(1))
    y = bank(x)
    x, y = x.numpy()[0, 0], y.numpy()[0, 0]
    correlation = np.correlate(y, x[:4096], "valid")
    delay = int(np.argmax(np.abs(correlation)))
    assert bank.taps - 16 <= delay <= bank.taps
    error = y[delay:] - x[: len(y) - delay]
    assert 10 * np.log10(np.mean(error**2) / np.mean(x**2)) < error_db
