"""The elementary functions against double precision, over their whole range."""

import numpy as np
import pytest

from .helpers import both

EXACT = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "sin": np.sin,
    "cos": np.cos,
}
#: error relative to the exact value (sin, cos: absolute)
BOUND = {
    "exp": 3e-7,
    "expm1": 3e-7,
    "log": 3e-7,
    "tanh": 3e-7,
    "sigmoid": 3e-7,
    "softplus": 3e-7,
    "sin": 2e-7,
    "cos": 2e-7,
}


def evaluated(fn, x):
    program, _ = both(lambda m: m.output(m.unary(fn, m.input())), (len(x), 1), (len(x), 1))
    return program.run(x[:, None])[:, 0].astype(float)


@pytest.mark.parametrize("fn", EXACT)
def test_error_is_within_its_bound(fn):
    positive = np.geomspace(1e-30, 80, 40001)
    x = (
        {
            "log": np.geomspace(1.2e-38, 3e38, 80001),
            "sin": np.linspace(-3e4, 3e4, 200001),
            "cos": np.linspace(-3e4, 3e4, 200001),
        }
        .get(fn, np.concatenate([-positive, positive, np.linspace(-20, 20, 40001)]))
        .astype(np.float32)
    )
    exact = EXACT[fn](x.astype(float))
    error = np.abs(evaluated(fn, x) - exact)
    if fn not in ("sin", "cos"):
        normal = np.abs(exact) > 1.2e-38
        error = error[normal] / np.abs(exact[normal])
    assert error.max() <= BOUND[fn], f"{fn}: {error.max():.2e}"


def test_limits_and_nan():
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 200, -200, 1e38, -1e38], np.float32)
    with np.errstate(all="ignore"):
        for fn, exact in EXACT.items():
            want = exact(x.astype(float)).astype(np.float32)
            got = evaluated(fn, x).astype(np.float32)
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=2e-7, err_msg=fn)


def test_sine_of_small_arguments_keeps_its_relative_precision():
    x = np.geomspace(1e-20, 1.5, 5001).astype(np.float32)
    np.testing.assert_allclose(evaluated("sin", x), np.sin(x.astype(float)), rtol=2e-7)


def test_random_numbers_are_what_they_claim():
    n = 400_000
    for normal in (False, True):
        program, _ = both(lambda m: m.output(m.random(n, 1, normal=normal, seed=11)), (1, 1), (n, 1))
        first, second = (program.run().reshape(-1).astype(float) for _ in range(2))
        assert not np.array_equal(first, second)
        mean, variance = (0.0, 1.0) if normal else (0.5, 1 / 12)
        for x in (first, second):
            assert abs(x.mean() - mean) < 5 * np.sqrt(variance / n)
            assert abs(x.var() - variance) < 0.01 * variance * 1.5
            spectrum = np.abs(np.fft.rfft(x - x.mean())) ** 2 / n / variance
            bands = spectrum[1:200_000].reshape(-1, 1).reshape(-1)[:199_800].reshape(20, -1).mean(1)
            assert np.abs(bands - 1).max() < 0.06  # white
            lagged = [np.mean((x[k:] - mean) * (x[:-k] - mean)) / variance for k in (1, 2, 3, 16, 17, 64)]
            assert np.abs(lagged).max() < 5 / np.sqrt(n)
        if normal:
            assert np.mean(np.abs(first) > 3) == pytest.approx(0.0027, abs=0.0005)
            assert np.mean(first**4) == pytest.approx(3, abs=0.1)
        else:
            assert first.min() >= 0 and first.max() < 1


def test_seeds_give_different_sequences():
    made = [both(lambda m: m.output(m.random(1000, 1, seed=s)), (1, 1), (1000, 1))[0].run() for s in (1, 2, 3)]
    assert abs(np.corrcoef(np.concatenate(made, 1).T)[np.triu_indices(3, 1)]).max() < 0.12


@pytest.mark.parametrize("fn, exact", [("fmod", np.fmod), ("remainder", np.remainder)])
def test_phases_are_wrapped_exactly(fn, exact):
    random = np.random.default_rng(2)
    x = np.concatenate([random.standard_normal(20000) * 10.0 ** random.integers(-8, 12, 20000), np.arange(-40, 40) / 4,
                        [0.0, -0.0, 1e-45, -1e-45, 0.99999994, -0.99999994, 1e30, -1e30, np.inf, -np.inf, np.nan]]).astype(np.float32)
    program, _ = both(lambda m: m.output(m.binary(fn, m.input(), 1.0)), (len(x), 1), (len(x), 1))
    with np.errstate(all="ignore"):
        assert np.array_equal(program.run(x[:, None])[:, 0], exact(x, np.float32(1.0)), equal_nan=True)
